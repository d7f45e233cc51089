"""Damage files of every kind that this package reads, and check what reading them does.

    python tests/fuzz.py --cases=2000 [--seed=0]

Each case takes a whole file, cuts it off or flips bits of it, and reads it. It must be refused by an `InputError` in
one line, or be read. What is read must be equal to the whole file if its format has checksums. Formats without
them cannot tell some other pixels from damage. No case may take longer than a few seconds.
"""

import argparse
import collections
import contextlib
import faulthandler
import gzip
import io
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow_datasets as tfds
from images import idx, tiff
from PIL import Image

from hw5 import data, models
from hw5.data.image_files import ImageFiles
from hw5.errors import InputError
from hw5.metrics.frechet import Gaussian
from hw5.metrics.mnist_classifier import WEIGHTS, MnistClassifier
from hw5.metrics.sides import open_side
from hw5.metrics.statistics import Statistics
from hw5.training import checkpoints

TIMEOUT = 20  # seconds, for one case
RNG = np.random.default_rng(0)
# Smooth images with a little noise, so that the codecs have something to compress.
PIXELS = np.uint8(np.add.outer(np.arange(6), np.add.outer(np.arange(24), np.arange(20)))[..., None] * [2, 3, 4])
PIXELS = PIXELS + RNG.integers(0, 9, PIXELS.shape, np.uint8)


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        write: writes a whole file, and others that it needs, into a folder; returns the path of the file to damage.
        read: reads it; returns arrays.
        has_checksum: whether the format has checksums of all that counts.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], list]
    has_checksum: bool


class Report(NamedTuple):
    """What happened.

    Attributes:
        outcomes: (kind, "refused", "equal" or "other pixels") → number of cases.
        failures: one line for each case that did not go as it must.
    """

    outcomes: collections.Counter
    failures: list


def image(name: str, has_checksum: bool = False, mode: str = "RGB", **how) -> Kind:
    """Return the kind of an image file that Pillow writes."""

    def write(folder):
        path = folder / f"image.{name}"
        Image.fromarray(PIXELS[0]).convert(mode).save(path, **how)
        return path

    return Kind(write, lambda path: [ImageFiles(path.parent).read(path.name)], has_checksum)


def stored(name: str, encoded: bytes, read: Callable, has_checksum: bool) -> Kind:
    """Return the kind of a file with these contents."""

    def write(folder):
        (folder / name).write_bytes(encoded)
        return folder / name

    return Kind(write, read, has_checksum)


def saved(save: Callable, *args, **kwargs) -> bytes:
    """Return what a function writes to a file."""
    file = io.BytesIO()
    save(file, *args, **kwargs)
    return file.getvalue()


def read_dataset(path: Path) -> list:
    return [data.load(path, "all")] + (
        [data.load(path, "all", feature="label")] if data.has_feature(path, "label") else []
    )


def read_files(path: Path) -> list:
    """Read all images; files that are left out are said on stderr, so they are not silent."""
    files = ImageFiles(path)
    if files.skipped:
        raise InputError(f"skipped {dict(files.skipped)}")
    return [files.read(name) for name in files.names]


def write_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, pixels in enumerate(PIXELS):
            archive.writestr(f"{number}.bmp", saved(Image.fromarray(pixels).save, "BMP"))
    return folder / "images.zip"


def prepared(pattern: str, file_format: str, has_checksum: bool) -> Kind:
    """Return the kind of one of the files of a TFDS dataset."""

    def write(folder):
        features = {"image": tfds.features.Image(shape=PIXELS.shape[1:]), "label": np.int64}
        with contextlib.redirect_stdout(None):
            tfds.dataset_builders.store_as_tfds_dataset(
                name="mine",
                version="1.0.0",
                features=tfds.features.FeaturesDict(features),
                split_datasets={"train": ((n, {"image": pixels, "label": n}) for n, pixels in enumerate(PIXELS))},
                data_dir=folder,
                disable_shuffling=True,
                file_format=file_format,
            )
        return next((folder / "mine" / "1.0.0").glob(pattern))

    def read(path):
        return [data.load(path.parent, feature=feature) for feature in ("image", "label")]

    return Kind(write, read, has_checksum)


def saved_model(name: str) -> Kind:
    """Return the kind of one of the files of a saved model."""

    def write(folder):
        keras.utils.set_random_seed(0)
        encoder, decoder = (keras.Sequential([keras.Input([size]), keras.layers.Dense(7)]) for size in (9, 7))
        model = models.Autoencoder(encoder, keras.Sequential([decoder, keras.layers.Dense(9)]))
        model(np.zeros((1, 9), np.float32))
        models.save(model, folder)
        return folder / name

    return Kind(write, lambda path: models.load(path.parent).get_weights(), False)


def write_statistics(folder: Path) -> Path:
    features = RNG.normal(size=(9, 5))
    gaussian = Gaussian(features.mean(axis=0), np.cov(features.T), len(features))
    Statistics(gaussian, "a-network", features).save(folder / "statistics.npz")
    return folder / "statistics.npz"


def read_statistics(path: Path) -> list:
    statistics = Statistics.load(path)
    return [*(getattr(statistics.gaussian, name) for name in ("mean", "covariance", "count")), statistics.features]


def write_checkpoint(folder: Path) -> Path:
    checkpoints.save(folder, 3, [np.float32(RNG.normal(size=shape)) for shape in ((5, 6), (6,), ())], {"epoch": 2})
    return next(folder.glob("*.npz"))


def read_side(path: Path) -> list:
    side = open_side(str(path), SimpleNamespace(channels=3))
    return [side[0 : len(side)]]


def read_checkpoint(path: Path) -> list:
    arrays, state = checkpoints.latest(path.parent)
    return [*arrays, json.dumps(state)]


def read_classifier(path: Path) -> list:
    MnistClassifier(path)
    return []  # its weights are not compared, which would take a second per case


GREY, LABELS = PIXELS[..., 0], np.arange(6) % 3
KINDS = {
    "PNG": image("png", True),
    "PNG, palette": image("png", True, "P"),
    "PNG, 16 bits": image("png", True, "I;16"),
    "JPEG": image("jpg"),
    "WebP, lossless": image("webp", lossless=True),
    "GIF": image("gif"),
    "BMP": image("bmp"),
    "TIFF": image("tif"),
    "TIFF, deflate": image("tiff", compression="tiff_adobe_deflate"),
    "TIFF, floats": stored(
        "image.tif",
        tiff(PIXELS[0, ..., 0] / 255, "f4", 1),
        lambda path: [ImageFiles(path.parent).read(path.name)],
        False,
    ),
    "JPEG 2000": image("jp2"),
    "AVIF": image("avif"),
    "PPM": image("ppm"),
    "TGA": image("tga"),
    "zip of images": Kind(write_zip, read_files, True),
    "npy": stored("images.npy", saved(np.save, PIXELS), read_dataset, False),
    "npz": stored("images.npz", saved(np.savez, PIXELS, LABELS), read_dataset, True),
    "npz, compressed": stored("images.npz", saved(np.savez_compressed, PIXELS, LABELS), read_dataset, True),
    "npy, of metrics": stored("images.npy", saved(np.save, PIXELS), read_side, False),
    "npz, of metrics": stored("images.npz", saved(np.savez_compressed, PIXELS), read_side, True),
    "IDX": stored("images-idx3-ubyte", idx(GREY), read_dataset, False),
    "IDX, gzip": stored("images-idx3-ubyte.gz", gzip.compress(idx(GREY)), read_dataset, True),
    "TFRecord": prepared("*.tfrecord*", "tfrecord", True),
    "dataset_info.json": prepared("dataset_info.json", "tfrecord", False),
    "features.json": prepared("features.json", "tfrecord", False),
    "array_record": prepared("*.array_record*", "array_record", True),
    "weights (HDF5)": saved_model("model.weights.h5"),
    "model (JSON)": saved_model("config.json"),
    "classifier (HDF5)": stored("own.weights.h5", WEIGHTS.read_bytes(), read_classifier, False),
    "statistics": Kind(write_statistics, read_statistics, True),
    "checkpoint": Kind(write_checkpoint, read_checkpoint, True),
}


def damage(encoded: bytes, rng: np.random.Generator) -> bytes:
    """Cut a file off, or flip one to eight of its bits."""
    if rng.random() < 0.3:
        return encoded[: rng.integers(len(encoded))]
    damaged = bytearray(encoded)
    for position in rng.integers(len(encoded), size=rng.choice([1, 1, 1, 2, 8])):
        damaged[position] ^= 1 << rng.integers(8)
    return bytes(damaged)


def run(cases: int, seed: int = 0) -> Report:
    """Damage and read files of all kinds in turn."""
    outcomes, failures = collections.Counter(), []
    with tempfile.TemporaryDirectory() as root, contextlib.redirect_stderr(io.StringIO()):
        whole = {}
        for number, (name, kind) in enumerate(KINDS.items()):
            folder = Path(root, str(number))
            folder.mkdir()
            path = kind.write(folder)
            whole[name] = path, path.read_bytes(), kind.read(path)
        for case in range(cases):
            name = list(KINDS)[case % len(KINDS)]
            path, encoded, expected = whole[name]
            damaged = damage(encoded, np.random.default_rng([seed, case]))
            path.write_bytes(damaged)
            started = time.monotonic()
            faulthandler.dump_traceback_later(3 * TIMEOUT, exit=True, file=sys.__stderr__)
            try:
                outcome = _outcome(KINDS[name], path, expected)
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
            faulthandler.cancel_dump_traceback_later()
            path.write_bytes(encoded)
            if outcome not in ("refused", "equal", "other pixels"):
                failures.append(f"case {case}, {name}: {outcome}")
            elif (seconds := time.monotonic() - started) > TIMEOUT:
                failures.append(f"case {case}, {name}: took {seconds:.0f} s")
            outcomes[name, outcome] += 1
    return Report(outcomes, failures)


def _outcome(kind, path, expected):
    try:
        found = kind.read(path)
    except InputError as error:
        return "refused" if "\n" not in str(error) else f"several lines: {error}"
    if len(found) == len(expected) and all(map(np.array_equal, found, expected)):
        return "equal"
    return "read as something else, in spite of checksums" if kind.has_checksum else "other pixels"


def main() -> None:
    """Run all cases, print a table, and end with 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    report = run(arguments.cases, arguments.seed)
    columns = ("refused", "equal", "other pixels")
    for name in KINDS:
        print(f"{name:<20}", *(f"{report.outcomes[name, column]:>5} {column}" for column in columns))
    print(f"{arguments.cases} cases:", *(f"{sum(report.outcomes[n, c] for n in KINDS)} {c}," for c in columns), end=" ")
    print(f"{len(report.failures)} failures")
    print(*report.failures, sep="\n")
    sys.exit(bool(report.failures))


if __name__ == "__main__":
    main()
