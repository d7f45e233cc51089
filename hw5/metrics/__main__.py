"""Compare generated images with real ones.

    python -m hw5.metrics REAL FAKE --metric=fid,kid,precision_recall
    python -m hw5.metrics mnist:test samples/ --weights=mnist --metric=fid,is,mode_score
    python -m hw5.metrics mnist --samples=10000 --save_stats=mnist.npz
    python -m hw5.metrics REAL FAKE --shards=4
    python -m hw5.metrics REAL --shard=1/4 --save_stats=parts/1.npz

Each side is a folder or zip file of images, a .npy or .npz array (uint8, or float in [0, 1]), a dataset
(mnist, emojione, cartoon_faces, a TFDS name; with a split: mnist:test, cifar10:train[:5000]), or a file
of statistics that --save_stats or pytorch-fid wrote.

With --shards=4, four processes of this machine divide the images among them. If they are stopped, the same command
goes on. Several machines divide them by --shard=1/4 to --shard=4/4. The folder with their files is then a side.
"""

import contextlib
import functools
import json
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw5 import command_line, data
from hw5.data.build import ImageFiles
from hw5.errors import InputError
from hw5.metrics.evaluate import CLASS_METRICS, METRICS, evaluate_samples
from hw5.metrics.extractor import Extractor, check_images, shard_bounds
from hw5.metrics.frechet import MIN_FID_IMAGES
from hw5.metrics.inception import Inception, InceptionSettings
from hw5.metrics.mnist_classifier import MnistClassifier
from hw5.metrics.shards import Shards
from hw5.metrics.statistics import Statistics, cached_statistics, load_shards, sharded_statistics
from hw5.settings import Several, program, setting


class Arguments(InceptionSettings):
    """The two sides and their comparison."""

    real: str | None = setting(None, "Real images, in one of the forms above.")
    fake: str | None = setting(None, "Generated images, in one of the forms above.")
    metric: Several[str] = setting(("fid",), "Metrics, separated by commas.", choices=tuple(METRICS))
    weights: str = setting(
        "fid",
        "Network: fid and imagenet are InceptionV3's, mnist a digit classifier.",
        choices=("fid", "imagenet", "mnist"),
    )
    samples: int | None = setting(None, "Use only the first n images of each side.", at_least=2)
    seed: int = setting(0, "Seed of subsets, halves and projections.", at_least=0, at_most=2**32 - 1)
    save_stats: Path | None = setting(None, "File to write REAL's statistics to, ….npz.")
    shards: int = setting(
        1, "Parts of each side, which as many processes of this machine work on; no more than processors.", at_least=1
    )
    shard: str | None = setting(
        None, "Compute only part i of n of REAL, written i/n, for save_stats; other machines compute the others."
    )
    json: bool = setting(False, "Print a JSON object.")


def main(arguments: Arguments) -> dict:
    """Compare two sides, or save the statistics of one.

    Returns:
        The printed results: the sides, their counts, the extractor, the seed, and the metrics by name.
    """
    real, fake, weights = arguments.real, arguments.fake, arguments.weights
    if real is None or (fake is None and arguments.save_stats is None):
        raise InputError("name two sides, REAL and FAKE, or REAL and save_stats=FILE; --help lists their forms")
    if arguments.save_stats and arguments.save_stats.suffix != ".npz":
        raise InputError(f"save_stats={arguments.save_stats}: must end in .npz, or it could not be read again")
    if weights == "mnist":
        extractor = MnistClassifier()
    else:
        extractor = Inception(weights, arguments.inception_weights, arguments.inception_dtype)
    for name in arguments.metric:
        if name in CLASS_METRICS and not extractor.has_classes:
            raise InputError(f"metric={name}: needs class logits; weights=imagenet and weights=mnist have them")

    shard = parse_shard(arguments)
    keep = set(arguments.metric) != {"fid"}

    # Progress goes to stderr; the standard output is for the results.
    with contextlib.redirect_stdout(sys.stderr), Shards(arguments.shards) as shards:
        compute = functools.partial(measure, extractor=extractor, limit=arguments.samples, shards=shards)
        real_statistics = compute(real, keep=keep or fake is not None, shard=shard)
        if arguments.save_stats:
            real_statistics.save(arguments.save_stats)
        results = {"real": real, "num_real_images": real_statistics.gaussian.count, "extractor": extractor.name}
        if fake is not None:
            fake_statistics = compute(fake, keep=keep)
            rows = evaluate_samples(
                fake_statistics,
                [extractor],
                real_images=real_statistics,
                metrics=arguments.metric,
                seed=arguments.seed,
            )
            results |= {"fake": fake, "seed": arguments.seed, **rows[extractor.key]}
            warn_of_few_images(real_statistics, fake_statistics, arguments.metric)
    if arguments.json:
        print(json.dumps(results, default=np.ndarray.tolist))
    else:
        for name, value in results.items():
            print(f"{name:<22}{f'{value:.6g}' if isinstance(value, float) else value}")
    return results


run = program(Arguments, main, positional=("real", "fake"))


def parse_shard(arguments: Arguments) -> tuple[int, int] | None:
    """Read the setting `shard`."""
    if arguments.shard is None:
        return None
    if not re.fullmatch(r"\d+/\d+", arguments.shard):
        raise InputError(f"shard={arguments.shard}: must be i/n, as 1/4")
    if arguments.save_stats is None or arguments.fake is not None or arguments.shards > 1:
        raise InputError(f"shard={arguments.shard}: takes REAL and save_stats=FILE, without FAKE and shards")
    number, count = map(int, arguments.shard.split("/"))
    shard_bounds(0, (number, count))
    return number, count


def measure(
    side: str,
    extractor: Extractor,
    limit: int | None,
    shards: Shards,
    *,
    keep: bool,
    shard: tuple[int, int] | None = None,
) -> Statistics:
    """Compute the statistics of one side, or of a shard of it, with a progress bar."""
    images, is_dataset = open_side(side, extractor, limit)
    if isinstance(images, Statistics):
        return images
    if len(images) < 2:
        raise InputError(f"{side}: holds one image; metrics need two or more, and a reliable FID needs thousands")
    print(f"{side}: {len(images):,} images")
    how = dict(keep=keep, verbose=True)
    try:
        if shard is not None:
            return Statistics.of(images, extractor, shard=shard, **how)
        if is_dataset:
            return cached_statistics(images, extractor, shards=shards, **how)
        # Every process opens the files, so that none holds all images. It finds the function by the name of this
        # module, which is not "__main__" there.
        from hw5.metrics.__main__ import open_images

        return sharded_statistics(functools.partial(open_images, side, extractor, limit), extractor, shards, **how)
    except InputError as error:
        raise InputError(str(error) if str(error).startswith((side, "shards=")) else f"{side}: {error}") from error


def open_images(side: str, extractor: Extractor, limit: int | None) -> Sequence:
    """Open the images that REAL or FAKE names."""
    return open_side(side, extractor, limit)[0]


def open_side(side: str, extractor: Extractor, limit: int | None) -> tuple[Sequence | Statistics, bool]:
    """Open the images or statistics that REAL or FAKE names.

    Returns:
        (images or statistics, whether they are a dataset's).

    Raises:
        InputError: it does not exist or cannot be read.
    """
    path = Path(side)
    if path.is_dir() and (statistics := load_shards(path)):
        return statistics, False
    if path.is_dir() or (path.suffix not in (".npy", ".npz") and zipfile.is_zipfile(path)):
        return Folder(path, extractor.channels, limit), False
    if path.suffix in (".npy", ".npz"):
        return _read_array(path, limit), False
    if os.sep in side or path.suffix or path.exists():
        known = "a folder or zip file of images, a .npy or .npz file, or a dataset"
        raise InputError(f"{side}: {f'is not {known}' if path.exists() else 'no such file or folder'}")
    name, _, split = side.partition(":")
    return data.load(name, split or "train", limit=limit), True


class Folder:
    """The images of a folder or zip file, as a sequence that reads each slice when it is used."""

    def __init__(self, path: Path, channels: int, limit: int | None):
        self.files = ImageFiles(path)
        self.names = self.files.names[:limit]
        self.channels = channels

    def __len__(self):
        return len(self.names)

    def __getitem__(self, part: slice) -> list[np.ndarray]:
        return [self.files.read(name, None, self.channels) for name in self.names[part]]


def _read_array(path, limit):
    try:
        file = np.load(path, mmap_mode="r")
        if not isinstance(file, np.ndarray):  # an archive of arrays, also if it is called .npy
            with file:
                if {"mean", "mu"} & set(file):
                    return whole(Statistics.load(path), path)
                if len(file.files) != 1:
                    raise ValueError(f"holds {len(file.files)} arrays, not images alone")
                file = file[file.files[0]]
    except InputError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{path}: {error.strerror if isinstance(error, FileNotFoundError) else reason}") from error
    images = file[..., None] if file.ndim == 3 else file
    try:
        check_images(images)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return images[:limit]


def whole(statistics: Statistics, path: Path) -> Statistics:
    """Return statistics of a file; refuse those of a shard alone."""
    if statistics.shard is not None:
        number, count, _ = statistics.shard
        raise InputError(f"{path}: is shard {number} of {count}; name the folder that has all of them, and them alone")
    return statistics


def warn_of_few_images(real: Statistics, fake: Statistics, metrics: Sequence[str]) -> None:
    """Print a warning where the bias of the FID is large."""
    smaller = min(side.gaussian.count or MIN_FID_IMAGES for side in (real, fake))
    if "fid" in metrics and smaller < MIN_FID_IMAGES:
        print(
            f"warning: FID from only {smaller:,} images (fewer than {MIN_FID_IMAGES:,}) is biased upwards; "
            "--metric=fid_infinity corrects it",
            file=sys.stderr,
        )


if __name__ == "__main__":
    command_line.launch(run)
