"""Compare generated images with real ones.

    python -m hw5.metrics REAL FAKE --metric=fid,kid,precision_recall
    python -m hw5.metrics mnist:test samples/ --weights=mnist --metric=fid,is,mode_score
    python -m hw5.metrics mnist --samples=10000 --save_stats=mnist.npz

Each side is a folder or zip file of images, a .npy or .npz array (uint8, or float in [0, 1]), a dataset
(mnist, emojione, cartoon_faces, a TFDS name; with a split: mnist:test, cifar10:train[:5000]), or a file
of statistics that --save_stats or pytorch-fid wrote.
"""

import contextlib
import json as json_module
import os
import sys
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw5 import data, flags
from hw5.data.build import ImageFiles
from hw5.errors import InputError
from hw5.metrics.extractor import Extractor, check_images
from hw5.metrics.inception import Inception
from hw5.metrics.mnist_classifier import MnistClassifier
from hw5.metrics.report import METRICS, compare
from hw5.metrics.statistics import Statistics, cached

WEIGHTS = ("fid", "imagenet", "mnist")


class Folder:
    """The images of a folder or zip file as a sequence that reads what is asked for."""

    def __init__(self, path: Path, channels: int, limit: int | None):
        self.files = ImageFiles(path)
        self.names = self.files.names[:limit]
        self.channels = channels

    def __len__(self):
        return len(self.names)

    def __getitem__(self, part: slice) -> list[np.ndarray]:
        return [self.files.read(name, None, self.channels) for name in self.names[part]]


def open_side(side: str, extractor: Extractor, limit: int | None) -> tuple[Sequence | Statistics, bool]:
    """What a command line's REAL or FAKE names: images or statistics, and whether a dataset's.

    Raises:
        InputError: there is no such thing, or it cannot be read.
    """
    path = Path(side)
    if path.is_dir() or (path.suffix not in (".npy", ".npz") and zipfile.is_zipfile(path)):
        return Folder(path, extractor.channels, limit), False
    if path.suffix in (".npy", ".npz"):
        return _read_array(path, limit), False
    if os.sep in side or path.suffix or path.exists():
        known = "a folder or zip file of images, a .npy or .npz file, or a dataset"
        raise InputError(f"{side}: {f'is not {known}' if path.exists() else 'no such file or folder'}")
    name, _, split = side.partition(":")
    return data.load(name, split or "train", limit=limit), True


def _read_array(path, limit):
    try:
        file = np.load(path, mmap_mode="r")
        if path.suffix == ".npz":
            with file:
                if {"mean", "mu"} & set(file):
                    return Statistics.load(path)
                if len(file.files) != 1:
                    raise ValueError(f"holds {len(file.files)} arrays, not images alone")
                file = file[file.files[0]]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{path}: {error.strerror if isinstance(error, FileNotFoundError) else reason}") from error
    images = file[..., None] if file.ndim == 3 else file
    try:
        check_images(images)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return images[:limit]


def measure(side: str, extractor: Extractor, limit: int | None, keep: bool) -> Statistics:
    """The statistics of one side, with a progress bar."""
    images, is_dataset = open_side(side, extractor, limit)
    if isinstance(images, Statistics):
        return images
    if len(images) < 2:
        raise InputError(f"{side}: holds one image; a distribution takes two or more, and an honest FID thousands")
    print(f"{side}: {len(images):,} images")
    try:
        if is_dataset:
            return cached(images, extractor, keep=keep, verbose=True)
        return Statistics.of(images, extractor, keep=keep, verbose=True)
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(side) else f"{side}: {error}") from error


def run(
    real: str | None = None,
    fake: str | None = None,
    *,
    metric=("fid",),
    weights="fid",
    inception_weights=None,
    inception_dtype="float32",
    samples=None,
    seed=0,
    save_stats=None,
    json=False,
) -> dict:
    """Compare two sides, or save the statistics of one.

    Returns:
        What is printed: the metrics by name, and under which conditions they were computed.
    """
    if real is None or (fake is None and save_stats is None):
        raise InputError("name two sides, REAL and FAKE, or REAL and --save_stats=FILE; --help tells what they may be")
    if unknown := [name for name in metric if name not in METRICS]:
        raise InputError(f"--metric={unknown[0]}: unknown; there are {', '.join(METRICS)}")
    extractor = MnistClassifier() if weights == "mnist" else Inception(weights, inception_weights, inception_dtype)
    keep = fake is not None and set(metric) != {"fid"}
    with contextlib.redirect_stdout(sys.stderr):  # progress; the standard output is for the results
        sides = [measure(side, extractor, samples, keep) for side in (real, fake) if side is not None]
    results = {"real": real, "images": sides[0].gaussian.count, "extractor": extractor.name}
    if save_stats:
        sides[0].save(save_stats)
    if fake is not None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            measured = compare(*sides, metric, seed=seed)
        for text in dict.fromkeys(str(warning.message) for warning in caught):
            print(f"warning: {text}", file=sys.stderr)
        counts = [side.gaussian.count for side in sides]
        results |= {"fake": fake, "images": counts, "seed": seed, **measured}
    if json:
        print(json_module.dumps(results))
    else:
        for name, value in results.items():
            print(f"{name:<22}{f'{value:.6g}' if isinstance(value, float) else value}")
    return results


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_list("metric", flags.default(run, "metric"), f"Metrics, separated by commas: {', '.join(METRICS)}.")
    flags.DEFINE_enum(
        "weights", "fid", WEIGHTS, "Network: fid and imagenet are InceptionV3's, mnist a digit classifier."
    )
    flags.DEFINE_integer("samples", None, "Use only the first n images of each side.", lower_bound=2)
    flags.DEFINE_string("save_stats", None, "File to write REAL's statistics to, ….npz.")
    flags.DEFINE_boolean("json", False, "Print a JSON object.")
    flags.launch(run, positional=("real", "fake"))
