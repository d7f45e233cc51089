"""Statistics of a set of images, the input of all metrics: computed once, saved, cached."""

import dataclasses
import hashlib
import os
import sys
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from hw5.errors import InputError
from hw5.files import atomic_write, cache_folder
from hw5.metrics.extractor import Extractor, check_images
from hw5.metrics.frechet import Gaussian


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Mean and covariance of the features of a set of images, and the features themselves if they were kept.

    Attributes:
        gaussian: mean, covariance and count of the features.
        extractor: its `name`; None for a file of another program.
        features: [n, d], or None.
        logits: [n, classes], or None.
    """

    gaussian: Gaussian
    extractor: str | None
    features: np.ndarray | None = None
    logits: np.ndarray | None = None

    @classmethod
    def of(cls, images: Sequence, extractor: Extractor, *, keep: bool = True, **kwargs) -> "Statistics":
        """Compute the statistics of images.

        Args:
            images, kwargs: as in `Extractor.activations`.
            keep: keep features and logits; without them, memory does not grow with the number of images.
        """
        features, logits = [], []

        def batches():
            for batch_features, batch_logits in extractor.activations(images, **kwargs):
                if keep:
                    features.append(batch_features)
                    logits.append(batch_logits)
                yield batch_features

        gaussian = Gaussian.of(batches())
        return cls(
            gaussian,
            extractor.name,
            np.concatenate(features) if keep else None,
            np.concatenate(logits) if keep and extractor.has_classes else None,
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to one `.npz` file, complete or not at all."""
        arrays = {
            "mean": self.gaussian.mean,
            "covariance": self.gaussian.covariance,
            "count": self.gaussian.count,
            "extractor": self.extractor,
            "features": self.features,
            "logits": self.logits,
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
        return cls(Gaussian(mean, covariance, count), extractor, features, logits)


def cached_statistics(
    images: np.ndarray, extractor: Extractor, *, keep: bool = True, verbose: bool = False
) -> Statistics:
    """Return `Statistics.of` an array or tensor of images, from a file of the cache folder if there is one.

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
    statistics = Statistics.of(images, extractor, keep=keep, verbose=verbose)
    try:
        statistics.save(path)
    except OSError as error:  # a read-only or full disk is no reason to lose what was computed
        print(f"warning: {path}: {error.strerror}; the statistics are not kept", file=sys.stderr)
    return statistics
