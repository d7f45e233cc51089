"""Statistics of a set of images, the input of all metrics: computed once, saved, cached."""

import contextlib
import dataclasses
import hashlib
import lzma
import os
import struct
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
import scipy.linalg

from hw5.data.image_files import note_if_dark, open_zip
from hw5.errors import InputError, reason_of
from hw5.files import atomic_write, cache_folder
from hw5.metrics.extractor import Extractor, shard_bounds, to_bytes
from hw5.metrics.frechet import Gaussian
from hw5.metrics.shards import Shards, kept

# Names in files of statistics: those of this package, and of pytorch-fid, clean-fid and guided-diffusion, which adds
# statistics of spatial features.
STATISTICS_NAMES = {"mean", "covariance", "count", "extractor", "features", "logits", "shard"}
STATISTICS_NAMES |= {"mu", "sigma", "mu_s", "sigma_s"}
MAX_ASYMMETRY = 1e-4  # of a covariance, and its most negative variance, as shares of the largest variance
CHECKSUM_BATCH = 64  # images read at once for their checksum
PART_IMAGES = 2000  # images whose features are lost, at most, if a command is interrupted
CACHE_BYTES = 4 * 2**30  # of statistics in the cache folder; the oldest are removed
# Exceptions of zipfile and of NumPy's parser for a file that is damaged, encrypted or something else.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


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
            InputError: the file is missing, damaged, or holds no statistics: wrong shapes, complex numbers, NaN,
                a covariance that is none, a count that is none, features that are not of this mean.
        """
        try:
            file = np.load(path)  # without unpickling
            if isinstance(file, np.ndarray):
                raise ValueError("one array, not an archive of arrays")
            with file:
                with open_zip(path) as archive:  # NumPy reads what the header says, perhaps not up to the checksum
                    damaged = archive.testzip()
                if damaged:
                    raise ValueError(f"the checksum of {damaged} is wrong")
                names = ("mu", "sigma") if "mu" in file else ("mean", "covariance")
                if "mu" in file and "mean" in file:
                    raise ValueError("both mu and mean, which may differ")
                mean, covariance, features, logits = (
                    _real_numbers(name, file[name]) if name in file else None for name in (*names, "features", "logits")
                )
                shard = _shard(file["shard"]) if "shard" in file else None
                count = _count(file["count"], 0 if shard else 2) if "count" in file else None
                extractor = _text("extractor", file["extractor"]) if "extractor" in file else None
            if mean is None or covariance is None:
                raise ValueError(f"no {' and '.join(names)}")
            if count != 0 or mean.size:  # the Gaussian of no images, which a shard may have, has no dimensions
                _check_gaussian(mean, covariance)
            for name, values in (("features", features), ("logits", logits)):
                if values is not None and (values.ndim != 2 or len(values) != count):
                    raise ValueError(f"{name} {list(values.shape)} of {count} images")
            if features is not None and features.shape[1] != len(mean):
                raise ValueError(f"features {list(features.shape)} of a mean {list(mean.shape)}")
            if features is not None and count > 1:
                _check_features(features, mean, covariance)
        except UNREADABLE as error:
            raise InputError(f"{path}: holds no readable statistics of images ({reason_of(error)})") from error
        return cls(Gaussian(np.float64(mean), np.float64(covariance), count), extractor, features, logits, shard)


def holds_statistics(names: Collection[str]) -> bool:
    """Check whether the arrays of an archive are statistics, from their names."""
    return {"mu", "sigma"} <= set(names) or {"mean", "covariance"} <= set(names)


def _text(name, value):
    value = np.asarray(value)
    if value.shape != () or value.dtype.kind != "U":
        raise ValueError(f"{name} is no text")
    return str(value)


def _real_numbers(name, values):
    values = np.asarray(values)  # a member of another format is bytes
    if values.dtype.kind not in "iuf":
        raise ValueError(f"{name} is of type {values.dtype}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return values


def _count(value, at_least):
    value = np.asarray(value)
    is_number = value.shape == () and value.dtype.kind in "iuf"
    if not is_number or value != np.floor(value) or not at_least <= value < 2**53:
        shown = " ".join(str(value).split())[:40]
        raise ValueError(f"the count of images is {shown}, not a number of at least {at_least}")
    return int(value)


def _shard(value):
    value = np.asarray(value)
    if value.shape != (3,) or value.dtype.kind not in "iu":
        raise ValueError(f"shard is {' '.join(str(value).split())[:40]}, not three numbers")
    return tuple(map(int, value))


def _check_gaussian(mean, covariance):
    """Check that mean and covariance fit, and that the covariance is symmetric and not negative, up to rounding."""
    size = mean.size
    if not size or mean.shape != (size,) or covariance.shape != (size, size):
        raise ValueError(f"shapes {list(mean.shape)} and {list(covariance.shape)}, not [d] and [d, d]")
    covariance = np.float64(covariance)
    if covariance.diagonal().min() < 0:
        raise ValueError("the covariance has negative variances")
    largest = np.abs(covariance).max()
    if not np.allclose(covariance, covariance.T, rtol=0, atol=MAX_ASYMMETRY * largest):
        raise ValueError("the covariance is not symmetric")
    # As fast as a hundredth of an eigenvalue decomposition: only matrices without negative eigenvalues have a root.
    shifted = covariance + 2 * MAX_ASYMMETRY * largest * np.eye(size)
    _, failed = scipy.linalg.lapack.dpotrf(shifted, overwrite_a=True)
    if failed and largest:
        raise ValueError("the covariance has negative eigenvalues")


def _check_features(features, mean, covariance):
    """Check that mean and variances are those of the features, up to rounding."""
    count, variances = len(features), covariance.diagonal()
    found = features.mean(axis=0, dtype=np.float64)
    squares = np.einsum("nd,nd->d", features, features, dtype=np.float64) / count  # no copy in float64
    if not np.allclose(found, mean, rtol=1e-3, atol=1e-3 * np.sqrt(variances.max())):
        raise ValueError("the mean is not that of the features")
    rounding = 1e-9 * squares.max()  # which is all that there is if all images are equal
    found_variances = (squares - found**2) * count / (count - 1)
    if not np.allclose(found_variances, variances, rtol=1e-3, atol=1e-3 * variances.max() + rounding):
        raise ValueError("the covariance is not that of the features")


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
    paths = sorted(path for path in folder.glob("[!.]*.npz") if path.is_file())  # a pipe would never end
    if not paths or len(paths) < sum(not path.name.startswith(".") for path in folder.iterdir()):
        return None
    if not any(map(_names_statistics, paths)):
        return None
    shards = {}
    for path in paths:
        try:
            with np.load(path) as file:
                shards[path] = _shard(file["shard"])
        except (*UNREADABLE, KeyError, TypeError) as error:
            raise InputError(f"{path}: holds no statistics of a shard, as the others of the folder are to") from error
    _, count, _ = next(iter(shards.values()))
    if len(shards) < count:
        raise InputError(f"{folder}: {len(shards)} of {count} shards")
    try:
        return Statistics.merge(map(Statistics.load, sorted(paths, key=shards.get)))
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


def _names_statistics(path):
    try:
        with open_zip(path) as archive:
            return holds_statistics([name.removesuffix(".npy") for name in archive.namelist()])
    except UNREADABLE:
        return True  # the error is to name this file


def image_checksum(images: Sequence, name: str | None = None) -> str:
    """Return the shape of images and a hash of their bytes, `120x28x28x1_…`: equal images have equal ones.

    Every image is read once, so files that cannot be read are found before time is spent on features.

    Args:
        images: as in `Extractor.activations`.
        name: of the images, for a note if they are nearly black.

    Raises:
        InputError: as `Extractor.activations`.
    """
    brightest = 0
    if hasattr(images, "shape"):
        images = np.asarray(images)
    content, shapes = hashlib.sha256(), []
    for start in range(0, len(images), CHECKSUM_BATCH):
        batch = images[start : start + CHECKSUM_BATCH]
        parts = [batch] if hasattr(batch, "shape") else [np.asarray(image)[None] for image in batch]
        for part in map(to_bytes, parts):
            content.update(np.ascontiguousarray(part))
            shapes += [part.shape[1:]] * len(part)
            brightest = max(brightest, int(part.max(initial=0)))
    if not shapes:
        raise InputError("no images to extract features from")
    if name is not None:
        note_if_dark(name, brightest)
    if len(set(shapes)) > 1:
        content.update(repr(shapes).encode())
    shape = "x".join(map(str, shapes[0])) if len(set(shapes)) == 1 else "mixed"
    return f"{len(shapes)}x{shape}_{content.hexdigest()[:16]}"


def cached_statistics(
    images: Sequence,
    extractor: Extractor,
    *,
    keep: bool = True,
    verbose: bool = False,
    shards: Shards | None = None,
    open_images: Callable[[], Sequence] | None = None,
    checksum: str | None = None,
) -> Statistics:
    """Return `Statistics.of` images, from a file of the cache folder if there is one.

    The file name contains the extractor's name (network, weights, type of the floats) and the images' checksum,
    so that a file belongs to exactly these images.

    Args:
        images, verbose: as in `Extractor.activations`.
        keep: as in `Statistics.of`.
        shards: processes that compute them, as in `sharded_statistics`.
        open_images: opens the images again in every process, if they are in files.
        checksum: the images' `image_checksum`, if it has been computed already.
    """
    checksum = checksum or image_checksum(images)
    path = cache_folder() / f"{extractor.name}_{checksum}.npz"
    statistics = _read_cache(path, extractor, len(images))
    if statistics is not None and (statistics.features is not None or not keep):
        return statistics
    shards = shards or Shards()
    if shards.count > 1:
        statistics, parts = sharded_statistics(open_images or images, extractor, shards, keep=keep, verbose=verbose), []
    else:
        statistics, parts = _in_parts(images, extractor, checksum, keep=keep, verbose=verbose)
    try:
        statistics.save(path)
    except OSError as error:  # a read-only or full disk is no reason to lose what was computed
        print(f"warning: {path}: {error.strerror}; the statistics are not kept", file=sys.stderr)
    else:
        _limit_size(path.parent, kept=path)
    for part in parts:
        with contextlib.suppress(OSError):  # it could not be written
            part.unlink()
    return statistics


def _in_parts(images, extractor, checksum, *, keep, verbose):
    """Compute the statistics of many images in parts; if it is interrupted, the next call goes on with its part.

    Returns:
        (statistics, the files that keep the parts).
    """
    count = -(-len(images) // PART_IMAGES)
    if count == 1:
        return Statistics.of(images, extractor, keep=keep, verbose=verbose), []
    kind = "features" if keep else "gaussian"
    paths = []

    def parts():
        for number in range(1, count + 1):
            path = cache_folder() / "parts" / f"{extractor.name}_{checksum}_{kind}_{number}-{count}.npz"
            part = _read_cache(path, extractor, None)
            if part is None:
                part = Statistics.of(images, extractor, keep=keep, shard=(number, count), verbose=verbose)
                with contextlib.suppress(OSError):  # the warning about the whole is enough
                    part.save(path)
            paths.append(path)
            yield part

    return Statistics.merge(parts()), paths


def _read_cache(path, extractor, count):
    try:
        if not path.exists():
            return None
        statistics = Statistics.load(path)
        if (statistics.extractor, count or statistics.gaussian.count) != (extractor.name, statistics.gaussian.count):
            raise InputError(f"{path}: holds statistics of other images")
    except (InputError, OSError) as error:
        print(f"warning: {error}; computed again", file=sys.stderr)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # it was used now, so others are removed before it
    return statistics


def _limit_size(folder, kept):
    """Remove the statistics that were not used for the longest time, if there are more than `CACHE_BYTES` of them."""
    with contextlib.suppress(OSError):  # another process removed one of them
        paths = [*folder.glob("[!.]*_*.npz"), *folder.glob("parts/[!.]*_*.npz")]
        files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in paths)
        excess = sum(size for _, size, _ in files) - CACHE_BYTES
        for _, size, path in files:
            if excess > 0 and path != kept:
                path.unlink()
                excess -= size
