"""Compare generated images with real ones.

    python -m hw5.metrics REAL FAKE --metric=fid,kid,precision_recall
    python -m hw5.metrics mnist:test samples/ --weights=mnist --metric=fid,is,mode_score --json
    python -m hw5.metrics mnist fake.npy --value_range=-1,1
    python -m hw5.metrics mnist --samples=10000 --save_stats=mnist.npz
    python -m hw5.metrics REAL FAKE --shards=4
    python -m hw5.metrics REAL --shard=1/4 --save_stats=parts/1.npz

Each side is a folder or zip file of images, an array, a dataset (mnist, emojione, cartoon_faces, a TFDS name; with a
split: mnist:test, cifar10:train[:5000]), or a file of statistics that --save_stats or pytorch-fid wrote.

Arrays are .npy files or .npz files in which one array can be images: [n, h, w, 1 or 3], [n, 1 or 3, h, w], or grey
ones [n, h, w] and [n, 784]. They are uint8 in 0 to 255, bool, or float in [0, 1]; others need --value_range.

With --shards=4, four processes of this machine divide the images among them. If they are stopped, the same command
goes on. Several machines divide them by --shard=1/4 to --shard=4/4. The folder with their files is then a side.

A metric that cannot be computed is null, and "missing" says why. The exit code is 1 only if none can be computed.
"""

import contextlib
import ctypes
import dataclasses
import functools
import json
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hw5 import command_line
from hw5.data.image_files import note, printable
from hw5.errors import InputError
from hw5.files import output_file
from hw5.metrics.evaluate import (
    CLASS_METRICS,
    IS_SPLITS,
    METRICS,
    METRICS_OF_FAKES_ALONE,
    can_compute,
    evaluate_samples,
)
from hw5.metrics.extractor import Extractor, shard_bounds
from hw5.metrics.frechet import MIN_FID_IMAGES
from hw5.metrics.inception import NUM_FEATURES, ClassifierSettings, Inception
from hw5.metrics.linear_head import find_head
from hw5.metrics.mnist_classifier import MnistClassifier
from hw5.metrics.shards import Shards
from hw5.metrics.sides import open_side
from hw5.metrics.statistics import Statistics, cached_statistics, image_checksum
from hw5.metrics.wasserstein import MAX_EXACT_POINTS
from hw5.settings import Several, program, setting

# Images of each side that a metric needs; two if it is not named here. Inception Scores of single images are 1.
MIN_IMAGES = {"fid_infinity": 4, "precision_recall": 4, "is": 2 * IS_SPLITS}
# What is null if a metric cannot be computed; otherwise its own name.
RESULTS = {"precision_recall": ("precision", "recall")}
# Ends of the names of results that are numbers of images themselves.
COUNTS = ("_samples", "_images", "_subset_size")
# Numbers of the generated images alone.
OF_FAKES_ALONE = {"is", "is_std", "class_proportions", "classes_covered", "confidence"}
OF_REAL_IMAGES_ALONE = {"real_is", "real_is_std", "real_mode_score"}  # as many as generated ones, if there are


class Arguments(ClassifierSettings):
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
    value_range: Several[float] | None = setting(
        None,
        "Black and white of arrays of both sides, such as -1,1 or 0,255; "
        "by default 0,1 for float. uint8 arrays are 0,255 unless the range begins at 0 and holds all their values.",
        may_repeat=True,
    )
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
        The printed results: the sides, their counts, the extractor, the seed, and the metrics by name. `num_images` has
        the numbers of images, of one or both sides, that each number comes from. A metric that cannot be computed is
        None, and `missing` has the reason by the name of the metric.

    Raises:
        InputError: a side cannot be read; no metric can be computed.
        OSError: the statistics could not be saved; the metrics are printed all the same.
    """
    try:
        with results_alone_on_stdout():
            results, failure = compare(arguments)
    except InputError as error:  # a name of a file may contain a line break
        if str(error).isprintable():
            raise
        raise InputError(printable(str(error))) from error
    if arguments.json:
        print(json.dumps(results, default=np.ndarray.tolist, allow_nan=False))
    else:
        print_table(results)
    if failure is not None:
        raise failure
    return results


def compare(arguments: Arguments) -> tuple[dict, OSError | None]:
    """Do the work of `main`, but print no results.

    Returns:
        (results, the reason why the statistics could not be saved, which does not end the rest).
    """
    names = {"real": arguments.real} | ({} if arguments.fake is None else {"fake": arguments.fake})
    if arguments.real is None or (arguments.fake is None and arguments.save_stats is None):
        raise InputError("name two sides, REAL and FAKE, or REAL and save_stats=FILE; --help lists their forms")
    value_range = check_value_range(arguments.value_range)
    save_stats = check_save_stats(arguments.save_stats, names.values())
    shard = parse_shard(arguments)
    extractor = make_extractor(arguments)

    # Everything that can be refused is refused before time is spent on features.
    how = (extractor, value_range, arguments.samples)
    openers = {name: functools.partial(open_side, side, *how) for name, side in names.items()}
    sides = {name: open_images() for name, open_images in openers.items()}
    check_statistics(names, sides, extractor)
    if shard is not None and isinstance(sides["real"], Statistics):
        raise InputError(f"shard={arguments.shard}: {arguments.real} holds statistics already; name images")
    for name, side in sides.items():
        check_images(names[name], side, extractor, arguments.samples)
    missing = {}
    if "fake" in sides:
        reasons = {metric: obstacle(metric, sides["real"], sides["fake"], extractor) for metric in arguments.metric}
        missing = {metric: reason for metric, reason in reasons.items() if reason}
        check_any_left(arguments.metric, missing)
    checksums = {name: checksum(names[name], side) for name, side in sides.items() if not isinstance(side, Statistics)}

    chosen = [metric for metric in arguments.metric if metric not in missing]
    needs_features = chosen != ["fid"]
    statistics = {}
    with Shards(arguments.shards) as shards:
        for name, side in sides.items():
            how = dict(keep=needs_features or (name == "real" and "fake" in sides), verbose=True)
            with named(names[name]):
                if isinstance(side, Statistics):
                    statistics[name] = side
                elif shard is not None:
                    statistics[name] = Statistics.of(side, extractor, shard=shard, **how)
                else:
                    if not hasattr(side, "shape"):  # every process opens the files, so that none holds all images
                        how |= dict(open_images=openers[name])
                    how |= dict(shards=shards, checksum=checksums[name])
                    statistics[name] = cached_statistics(side, extractor, **how)
    keeps_features = needs_features or "fake" in sides  # without, they come from the cache, where others needed them
    failure = save(statistics["real"], save_stats, keeps_features) if save_stats else None

    results = {}
    for name, side in names.items():
        results |= {name: side, f"num_{name}_images": statistics[name].gaussian.count}
    results["extractor"] = extractor.name
    if "fake" in sides:
        warn_of_few_images(*statistics.values(), chosen)
        results |= {"seed": arguments.seed, **compute(arguments.metric, statistics, extractor, arguments.seed, missing)}
        for metric, reason in missing.items():
            print(f"warning: no {metric}: {reason}", file=sys.stderr)
    return results, failure


def make_extractor(arguments: Arguments) -> Extractor:
    """Make the network that `weights` names, with a head for class logits if there is one."""
    if arguments.weights == "mnist":
        return MnistClassifier()
    head = find_head(arguments.real.partition(":")[0], arguments.head) if arguments.weights == "fid" else None
    where = (arguments.inception_weights, arguments.inception_dtype)
    return Inception(arguments.weights, *where, head=head, download=True)


def save(statistics: Statistics, path: Path, keeps_features: bool) -> OSError | None:
    """Save statistics, with or without features and logits. Returns the reason if it failed, as on a full disk."""
    if not keeps_features:
        statistics = dataclasses.replace(statistics, features=None, logits=None)
    try:
        statistics.save(path)
    except OSError as error:
        return error
    return None


run = program(Arguments, main, positional=("real", "fake"))


def compute(
    metrics: Sequence[str], statistics: dict[str, Statistics], extractor: Extractor, seed: int, missing: dict[str, str]
) -> dict:
    """Compute the metrics one by one, so that one that cannot be computed does not end the others.

    Args:
        missing: metrics that cannot be computed → the reasons; more are added.

    Raises:
        InputError: none can be computed.
    """
    real, fake = statistics["real"], statistics["fake"]
    row = {}
    for metric in metrics:
        if metric not in missing:
            try:
                how = dict(real_images=real, metrics=metric, seed=seed)
                computed = evaluate_samples(fake, [extractor], **how)[extractor.key]
                if broken := [name for name, value in computed.items() if not is_finite(value)]:
                    raise InputError(f"{', '.join(broken)} came out as NaN or infinity")
                row |= computed
                continue
            except (InputError, np.linalg.LinAlgError, MemoryError) as error:
                missing[metric] = " ".join(str(error).split()) or "not enough memory"
        row |= dict.fromkeys(RESULTS.get(metric, (metric,)))
    check_any_left(metrics, missing)
    num_images = {
        name: images_of(name, real.gaussian.count, fake.gaussian.count)
        for name, value in row.items()
        if value is not None and name not in ("extractor", "classifier") and not name.endswith(COUNTS)
    }
    return row | {"num_images": num_images} | ({"missing": missing} if missing else {})


def images_of(name: str, num_real: int | None, num_fake: int | None) -> list[int | None]:
    """Return the numbers of images, of one or both sides, that a number comes from."""
    if name in OF_FAKES_ALONE:
        return [num_fake]
    if name in OF_REAL_IMAGES_ALONE:
        return [min(num_real, num_fake)]
    if name.startswith("real_vs_real_"):  # halves of the real images
        smaller, larger = sorted((num_real // 2, num_real - num_real // 2))
        return [smaller if name.endswith("_wasserstein") and "sliced" not in name else larger, smaller]
    return [num_real, num_fake]


def is_finite(value) -> bool:
    """Check that a result holds no NaN and no infinity."""
    return isinstance(value, str) or value is None or bool(np.isfinite(value).all())


def obstacle(metric: str, real: Sequence | Statistics, fake: Sequence | Statistics, extractor: Extractor) -> str | None:
    """Return the reason why a metric cannot be computed, as far as it is known before the features."""
    if not can_compute(extractor, metric):
        if metric in CLASS_METRICS:
            return (
                "needs class logits; weights=imagenet and weights=mnist have them, and weights=fid with a head=FILE, "
                "or if REAL is a dataset with a head (python -m hw5.metrics.heads)"
            )
        return f"is not computed of the features of {extractor.name}"
    if metric == "fid":
        return None
    sides = [fake] if metric in METRICS_OF_FAKES_ALONE else [real, fake]
    kept = "logits" if metric in CLASS_METRICS and extractor.head is None else "features"
    if any(isinstance(side, Statistics) and getattr(side, kept) is None for side in sides):
        return f"needs {kept}; statistics without features are enough for fid only; give the images instead"
    counts = [side.gaussian.count if isinstance(side, Statistics) else len(side) for side in sides]
    if min(counts) < MIN_IMAGES.get(metric, 2):
        return f"needs at least {MIN_IMAGES[metric]} images on a side, not {min(counts)}"
    if metric == "wasserstein" and (counts[0] != counts[1] or max(counts) > MAX_EXACT_POINTS):
        return (
            f"needs equally many images on both sides, at most {MAX_EXACT_POINTS:,}, "
            f"not {counts[0]:,} and {counts[1]:,}; samples=n takes the first n, sliced_wasserstein takes any number"
        )
    return None


def check_any_left(metrics: Sequence[str], missing: dict[str, str]) -> None:
    """Check that not all metrics are missing."""
    if set(metrics) <= set(missing):
        raise InputError("; ".join(f"metric={metric}: {missing[metric]}" for metric in metrics))


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


def check_value_range(value_range: Sequence[float] | None) -> tuple[float, float] | None:
    """Check that a range is two numbers, black and white."""
    if value_range is None:
        return None
    if len(value_range) != 2 or not -math.inf < value_range[0] < value_range[1] < math.inf:
        shown = ",".join(f"{number:g}" for number in value_range)
        raise InputError(f"value_range={shown}: must be two numbers, black and white, as -1,1 or 0,255")
    return tuple(value_range)


def check_save_stats(path: Path | None, sides: Sequence[str]) -> Path | None:
    """Check, before time is spent, that a file of statistics can be written; add the suffix that it needs."""
    if path is None:
        return None
    if path.is_dir():
        raise InputError(f"save_stats={path}: is a folder; name a file")
    if path.suffix.lower() != ".npz":
        path = path.with_name(f"{path.name}.npz")
        note(f"the statistics go to {printable(path)}")
    output_file(path, "save_stats")
    if any(os.path.exists(side) and path.exists() and path.samefile(side) for side in sides):
        raise InputError(f"save_stats={path}: is one of the sides, which would be lost; name another file")
    return path


def check_statistics(names: dict[str, str], sides: dict, extractor: Extractor) -> None:
    """Check that sides of statistics are by the extractor, as far as their files say it."""
    given = {name: side for name, side in sides.items() if isinstance(side, Statistics)}
    for name, side in given.items():
        if side.extractor is None and extractor.key != "inception":
            raise InputError(
                f"{names[name]}: does not say by which network it is; statistics of other programs are by "
                f"InceptionV3 with the fid weights, not by {extractor.name}"
            )
        if side.extractor is None and len(side.gaussian.mean) != NUM_FEATURES:
            raise InputError(
                f"{names[name]}: statistics of {len(side.gaussian.mean)} features are of another layer or network than "
                f"{extractor.name}, which has {NUM_FEATURES:,}"
            )
        if side.extractor is None:
            note(
                f"{printable(names[name])}: does not say by which network it is; make sure that it is {extractor.name}"
            )
        elif side.extractor != extractor.name:
            raise InputError(
                f"{names[name]}: statistics by {side.extractor} and by {extractor.name} cannot be compared; "
                "see --weights and --inception_dtype"
            )
    if given:
        dimensions = {names[name]: len(side.gaussian.mean) for name, side in given.items()}
        if len(given) < len(sides):
            blank = np.zeros((1, 32, 32, extractor.channels), np.uint8)
            dimensions[extractor.name] = extractor.features(blank).shape[1]
        if len(set(dimensions.values())) > 1:
            listed = ", ".join(f"{name} has {size}" for name, size in dimensions.items())
            raise InputError(f"features of different dimensions cannot be compared: {listed}")


def check_images(name: str, side: Sequence | Statistics, extractor: Extractor, samples: int | None) -> None:
    """Check that a side has images enough, with colours that the network takes; note where `samples` has no effect."""
    if isinstance(side, Statistics):
        if samples is not None:
            note(f"{printable(name)}: statistics are of all their images, samples={samples} has no effect")
        return
    if len(side) < 2:
        raise InputError(f"{name}: holds one image; metrics need two or more, and a reliable FID needs thousands")
    channels = np.shape(side[0:1][0])[-1]
    if channels not in (1, extractor.channels):
        raise InputError(f"{name}: {extractor.name} takes images of {extractor.channels} channels, not {channels}")
    if samples is not None and len(side) < samples:
        note(f"{printable(name)}: has only {len(side):,} images, not {samples:,}")


def checksum(name: str, side: Sequence) -> str:
    """Read all images of a side once: what cannot be read is found now, and what is in the cache is found again."""
    print(f"{printable(name)}: {len(side):,} images")
    with named(name):
        return image_checksum(side, name)


@contextlib.contextmanager
def named(side: str) -> Iterator[None]:
    """Name the side in errors that do not."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error) if str(error).startswith((side, "shards=")) else f"{side}: {error}") from error


def warn_of_few_images(real: Statistics, fake: Statistics, metrics: Sequence[str]) -> None:
    """Print a warning where the bias of the FID is large."""
    smaller = min(side.gaussian.count or MIN_FID_IMAGES for side in (real, fake))
    if "fid" in metrics and smaller < MIN_FID_IMAGES:
        print(
            f"warning: FID from only {smaller:,} images (fewer than {MIN_FID_IMAGES:,}) is biased upwards; "
            "--metric=fid_infinity corrects it",
            file=sys.stderr,
        )


@contextlib.contextmanager
def results_alone_on_stdout() -> Iterator[None]:
    """Send everything that is printed to stderr: progress, and the messages of native libraries such as LAPACK."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None]
    for stream in streams:
        stream.flush()
    try:
        stdout = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of them is closed
        stdout = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if stdout is not None:
            ctypes.CDLL(None).fflush(None)  # what native libraries have printed and not written yet
            os.dup2(stdout, 1)
            os.close(stdout)


def print_table(results: dict) -> None:
    """Print one line per result, with the numbers of images that it comes from."""
    num_images, missing = results.get("num_images", {}), results.get("missing", {})
    reasons = {name: reason for metric, reason in missing.items() for name in RESULTS.get(metric, (metric,))}
    width = max(20, *map(len, results)) + 2
    for name, value in results.items():
        if name in ("num_images", "missing", "num_samples", "real_vs_real_samples"):  # the last column has them
            continue
        if isinstance(value, np.ndarray):
            shown = " ".join(f"{number:.4f}" for number in value)
        elif value is not None:
            shown = f"{value:.6g}" if isinstance(value, float) else printable(str(value))
        else:
            shown = f"not computed: {reasons[name]}" if name in reasons else "unknown"
        counts = " and ".join("?" if count is None else f"{count:,}" for count in num_images.get(name, ()))
        print(f"{name:<{width}}{shown:<14}{counts and f'  of {counts} images'}".rstrip())


if __name__ == "__main__":
    command_line.launch(run)
