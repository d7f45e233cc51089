"""Statistics of a set of images, the input of all metrics: computed once, saved, cached."""

import dataclasses
import hashlib
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import keras
import numpy as np

from hw5.errors import InputError
from hw5.files import atomic_write, cache_folder
from hw5.metrics.extractor import Extractor, check_images, shard_bounds
from hw5.metrics.frechet import Gaussian
from hw5.metrics.shards import Shards, kept


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Mean and covariance of the features of a set of images, and the features themselves if they were kept.

    Attributes:
        gaussian: mean, covariance and count of the features.
        extractor: its `name`; None for a file of another program.
        features: [n, d], or None.
        logits: [n, classes], or None.
        shard: None, or (i, n, N) if the images are only the i-th of n parts of N images. Metrics are of all parts.
    """

    gaussian: Gaussian
    extractor: str | None
    features: np.ndarray | None = None
    logits: np.ndarray | None = None
    shard: tuple[int, int, int] | None = None

    @classmethod
    def of(
        cls,
        images: Sequence,
        extractor: Extractor,
        *,
        keep: bool = True,
        shard: tuple[int, int] | None = None,
        **kwargs,
    ) -> "Statistics":
        """Compute the statistics of images.

        Args:
            images, kwargs: as in `Extractor.activations`.
            keep: keep features and logits; without them, memory does not grow with the number of images.
            shard: (i, n) for the i-th of n parts of the images alone, counted from 1; `merge` merges all parts.
        """
        features, logits = [], []

        def batches():
            for batch_features, batch_logits in extractor.activations(images, shard=shard or (1, 1), **kwargs):
                if keep:
                    features.append(batch_features)
                    logits.append(batch_logits)
                yield batch_features

        gaussian = Gaussian.of(batches(), is_part=shard is not None)
        return cls(
            gaussian,
            extractor.name,
            np.concatenate(features) if features else None,
            np.concatenate(logits) if logits and extractor.has_classes else None,
            shard and (*shard, len(images)),
        )

    @classmethod
    def merge(cls, parts: Iterable["Statistics"]) -> "Statistics":
        """Merge the statistics of all parts of a set of images, in their order, into those of the set.

        Features and logits are those of the whole set to the bit, mean and covariance up to rounding. Parts are
        read one after the other; without features, memory grows with the logarithm of their number.

        Raises:
            InputError: a part is missing, there twice or in the wrong place; parts of different sets, by different
                extractors, or of which only some have features; fewer than 2 images in all.
        """
        features, logits, first, count = [], [], None, 0

        def gaussians():
            nonlocal first, count
            for number, part in enumerate(parts, 1):
                first = first or part
                expected = first.shard and (number, *first.shard[1:])
                if part.shard != expected:
                    raise InputError(f"a part is {_named(part.shard)}, not {_named(expected)}")
                if part.extractor != first.extractor:
                    raise InputError(f"statistics by {first.extractor} and by {part.extractor} cannot be merged")
                if part.gaussian.count:
                    features.append(part.features)
                    logits.append(part.logits)
                count = number
                yield part.gaussian

        gaussian = Gaussian.merge(gaussians())
        if first.shard and first.shard[1:] != (count, gaussian.count):
            raise InputError(f"{count} of {first.shard[1]} shards, {gaussian.count:,} of {first.shard[2]:,} images")
        for arrays in (features, logits):
            if len({array is None for array in arrays}) > 1:
                raise InputError("only some of the parts have features or logits")
        joined = (None if arrays[0] is None else np.concatenate(arrays) for arrays in (features, logits))
        return cls(gaussian, first.extractor, *joined)

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to one `.npz` file, complete or not at all."""
        arrays = {
            "mean": self.gaussian.mean,
            "covariance": self.gaussian.covariance,
            "count": self.gaussian.count,
            "extractor": self.extractor,
            "features": self.features,
            "logits": self.logits,
            "shard": self.shard,
        }
        with atomic_write(path) as partial, partial.open("wb") as file:
            np.savez(file, **{name: value for name, value in arrays.items() if value is not None})

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Statistics":
        """Read a file that `save` wrote, or the `mu` and `sigma` of pytorch-fid and others.

        Raises:
            InputError: the file is missing, damaged, or holds no statistics.
        """
        try:
            with np.load(path) as file:  # without unpickling
                names = ("mu", "sigma") if "mu" in file else ("mean", "covariance")
                mean, covariance = (np.float64(file[name]) for name in names)
                count = int(file["count"]) if "count" in file else None
                extractor = str(file["extractor"]) if "extractor" in file else None
                features, logits = (file.get(name) for name in ("features", "logits"))
                shard = tuple(int(number) for number in file["shard"]) if "shard" in file else None
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            reason = " ".join(str(error).split())[:100]
            raise InputError(f"{path}: holds no readable statistics of images ({reason})") from error
        if mean.ndim != 1 or covariance.shape != 2 * mean.shape or not np.isfinite(covariance).all():
            raise InputError(f"{path}: holds no statistics: mean {mean.shape}, covariance {covariance.shape}, or NaN")
        return cls(Gaussian(mean, covariance, count), extractor, features, logits, shard)


def _named(shard):
    return f"shard {shard[0]} of {shard[1]} of {shard[2]:,} images" if shard else "a whole set"


def sharded_statistics(
    images: Sequence | Callable[[], Sequence],
    extractor: Extractor,
    shards: Shards,
    *,
    keep: bool = True,
    verbose: bool = False,
) -> Statistics:
    """Return `Statistics.of` images, computed by several processes.

    Args:
        images: as in `Extractor.activations`; or a function that can be pickled and that every process calls to open
            them, if they are in files.
        shards: the processes.
    """
    if shards.count == 1:
        return Statistics.of(images() if callable(images) else images, extractor, keep=keep, verbose=verbose)
    numbers = [(number, shards.count) for number in range(1, shards.count + 1)]
    if callable(images):
        tasks = [(images, extractor, keep, shard, None) for shard in numbers]
    else:
        images = np.asarray(images) if hasattr(images, "shape") else images
        parts = [slice(*shard_bounds(len(images), shard, extractor.batch_size)) for shard in numbers]
        tasks = [
            (images[part], extractor, keep, shard, len(images)) for part, shard in zip(parts, numbers, strict=True)
        ]
    parts = shards.map(_kept_shard, tasks)
    if verbose:
        progress = keras.utils.Progbar(shards.count, unit_name="shard")
        parts = (progress.add(1) or part for part in parts)
    return Statistics.merge(parts)


def _kept_shard(images, extractor, keep, shard, total):
    """Compute the statistics of a shard of images, or read them from the cache folder.

    Args:
        images: those of the shard; or, if `total` is None, a function that opens all.
        total: number of images of all shards.
    """
    part = (1, 1)
    if total is None:
        images, part = images(), shard
        total = len(images)
    first, last = shard_bounds(len(images), part, extractor.batch_size)

    def compute():
        if first == last:
            return Statistics(Gaussian.of([], is_part=True), extractor.name, shard=(*shard, total))
        statistics = Statistics.of(images, extractor, keep=keep, shard=part)
        return dataclasses.replace(statistics, shard=(*shard, total))

    content = hash_of_images(images, first, last, extractor.batch_size)
    kind = "features" if keep else "gaussian"
    name = f"{extractor.name}_{kind}_{shard[0]}-{shard[1]}_{total}_{content}.npz"
    return kept(name, compute, Statistics.load, lambda statistics, path: statistics.save(path))


def hash_of_images(images: Sequence, first: int, last: int, batch_size: int) -> str:
    """Compute a hash of the images from `first` to `last` and of their order, batch by batch."""
    content = hashlib.sha256()
    for start in range(first, last, batch_size):
        for image in images[start : min(start + batch_size, last)]:
            image = np.ascontiguousarray(image)
            content.update(f"{image.dtype} {image.shape}".encode())
            content.update(image)
    return content.hexdigest()[:16]


def load_shards(folder: Path) -> Statistics | None:
    """Merge the statistics of all shards of a set, one file each in a folder; None if it has no statistics.

    Raises:
        InputError: files are damaged or no shards, or some are missing.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths or len(paths) < sum(not path.name.startswith(".") for path in folder.iterdir()):
        return None
    numbers = {}
    for path in paths:
        try:
            with np.load(path) as file:
                numbers[path] = int(file["shard"][0])
        except Exception as error:
            raise InputError(f"{path}: holds no statistics of a shard, as the others of the folder are to") from error
    try:
        return Statistics.merge(map(Statistics.load, sorted(paths, key=numbers.get)))
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


def cached_statistics(
    images: np.ndarray,
    extractor: Extractor,
    *,
    keep: bool = True,
    verbose: bool = False,
    shards: Shards | None = None,
) -> Statistics:
    """Return `Statistics.of` an array or tensor of images, from a file of the cache folder if there is one.

    Several `shards` compute them as in `sharded_statistics`.

    The file name contains the extractor's name (network, weights, type of the floats), the number and shape of
    the images, and a hash of their bytes, so that a file belongs to exactly these images.
    """
    images = np.asarray(images)
    check_images(images)  # a file in the cache is of equal bytes, but perhaps of another type
    content = hashlib.sha256(np.ascontiguousarray(images)).hexdigest()[:16]
    shape = "x".join(map(str, images.shape))
    path = cache_folder() / f"{extractor.name}_{shape}_{content}.npz"
    if path.exists():
        try:
            statistics = Statistics.load(path)
            if statistics.features is not None or not keep:
                return statistics
        except InputError as error:
            print(f"warning: {error}; computed again", file=sys.stderr)
    statistics = sharded_statistics(images, extractor, shards or Shards(), keep=keep, verbose=verbose)
    try:
        statistics.save(path)
    except OSError as error:  # a read-only or full disk is no reason to lose what was computed
        print(f"warning: {path}: {error.strerror}; the statistics are not kept", file=sys.stderr)
    return statistics
