"""The metrics by name, and the Fréchet distance with what it takes to read it."""

import sys
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import softmax

from hw5 import data
from hw5.errors import InputError
from hw5.metrics.extractor import Extractor
from hw5.metrics.frechet import Gaussian, frechet_infinity
from hw5.metrics.inception import Inception, MissingWeights
from hw5.metrics.inception_score import inception_score, mode_score
from hw5.metrics.mmd import kernel_inception_distance, maximum_mean_discrepancy
from hw5.metrics.mnist_classifier import MnistClassifier
from hw5.metrics.precision_recall import precision_recall
from hw5.metrics.statistics import Statistics, cached
from hw5.metrics.wasserstein import wasserstein_distance

KID_SUBSET = 1000


def fid(real: Statistics, fake: Statistics, seed: int) -> dict:
    return {"fid": real.gaussian.distance(fake.gaussian)}


def fid_infinity(real: Statistics, fake: Statistics, seed: int) -> dict:
    value, error = frechet_infinity(_features(real), _features(fake), seed=seed)
    return {"fid_infinity": value, "fid_infinity_error": error}


def inception(real: Statistics, fake: Statistics, seed: int) -> dict:
    mean, std = inception_score(_logits(fake), seed=seed)
    return {"is": mean, "is_std": std}


def mode(real: Statistics, fake: Statistics, seed: int) -> dict:
    class_probabilities = softmax(np.float64(_logits(real)), axis=1).mean(axis=0)
    return {"mode_score": mode_score(_logits(fake), class_probabilities)}


def kid(real: Statistics, fake: Statistics, seed: int) -> dict:
    size = min(KID_SUBSET, len(_features(real)), len(_features(fake)))
    mean, std = kernel_inception_distance(real.features, fake.features, subset_size=size, seed=seed)
    return {"kid": mean, "kid_std": std, "kid_subset_size": size}


def mmd(real: Statistics, fake: Statistics, seed: int) -> dict:
    return {"mmd": maximum_mean_discrepancy(_features(real), _features(fake), kernel="rbf")}


def wasserstein(real: Statistics, fake: Statistics, seed: int) -> dict:
    return {"wasserstein": wasserstein_distance(_features(real), _features(fake))}


def sliced_wasserstein(real: Statistics, fake: Statistics, seed: int) -> dict:
    distance = wasserstein_distance(_features(real), _features(fake), method="sliced", seed=seed)
    return {"sliced_wasserstein": distance}


def precision_and_recall(real: Statistics, fake: Statistics, seed: int) -> dict:
    precision, recall = precision_recall(_features(real), _features(fake))
    return {"precision": precision, "recall": recall}


METRICS: dict[str, Callable[[Statistics, Statistics, int], dict]] = {
    "fid": fid,
    "fid_infinity": fid_infinity,
    "is": inception,
    "mode_score": mode,
    "kid": kid,
    "mmd": mmd,
    "wasserstein": wasserstein,
    "sliced_wasserstein": sliced_wasserstein,
    "precision_recall": precision_and_recall,
}


def compare(real: Statistics, fake: Statistics, metrics: Sequence[str] = ("fid",), *, seed: int = 0) -> dict:
    """Metrics of `fake` against `real`, by name, with their standard deviations where they have one.

    Args:
        metrics: names out of `METRICS`. "kid" and "mmd" are MMD² with the polynomial kernel (subsets of
            1,000, or of as many as there are) and the Gaussian one; "is" does not look at `real`.

    Raises:
        InputError: unknown metric; the two sides were measured by different extractors; features or
            logits are needed and were not kept.
    """
    if unknown := [name for name in metrics if name not in METRICS]:
        raise InputError(f"unknown metric {unknown[0]!r}; there are {', '.join(METRICS)}")
    if None not in (real.extractor, fake.extractor) and real.extractor != fake.extractor:
        raise InputError(f"statistics by {real.extractor} and by {fake.extractor} do not compare")
    results = {}
    for name in metrics:
        results |= METRICS[name](real, fake, seed)
    return results


def extractors_for(
    dataset: str, inception_weights: str | None = None, inception_dtype: str = "float32"
) -> list[Extractor]:
    """What a dataset's images are judged by: InceptionV3 with the `fid` weights, and for MNIST its classifier.

    Where no weights are installed, and none are named, InceptionV3 is left out, which is said on stderr.
    """
    classifier = [MnistClassifier()] if dataset == "mnist" else []
    try:
        return [Inception("fid", inception_weights, inception_dtype), *classifier]
    except MissingWeights as error:
        print(f"warning: no FID by InceptionV3; {error}", file=sys.stderr)
        return classifier


def reference(dataset: str, count: int, size: int, **source) -> tuple[np.ndarray, np.ndarray]:
    """Training images to compare `count` generated ones with, and as many others, which tell the floor.

    Args:
        source: more for `data.load`.

    Returns:
        Two arrays, uint8 [count, size, size, c]: the first and the next images of the training split.

    Raises:
        InputError: there are not so many.
    """
    images = data.load(dataset, "train", limit=2 * count, **source)
    if len(images) < 2 * count:
        raise InputError(f"--fid_samples={count}: {dataset} has {len(images)} training images, it takes twice as many")
    images = data.resize(images, size)
    return images[:count], images[count:]


def frechet_report(
    real_images: np.ndarray,
    other_images: np.ndarray | None,
    fake_images: np.ndarray,
    extractor: Extractor,
    also: Sequence[str] = (),
    *,
    seed: int = 0,
    verbose: bool = True,
) -> dict:
    """The Fréchet distance of generated images to real ones, and what it takes to read it.

    Args:
        real_images: uint8 [n, h, w, c], the reference. Features of real images are kept (`cached`).
        other_images: other real images, for the floor; best as many as generated ones. Where there are
            none, the floor is that of one half of `real_images`, at random, to the other.
        fake_images: [m, h, w, c], uint8, or float in [0, 1].
        also: more of `METRICS`.

    Returns:
        `fid`; `floor`, what the other real images get: less, no generator can be told to deserve;
        `fid_infinity` and `fid_infinity_error`, the extrapolation to infinitely many images and its
        standard error; `images`, which is m; `extractor`, its name.
    """
    real = cached(real_images, extractor, verbose=verbose)
    if other_images is None:
        shuffled = np.random.default_rng(seed).permutation(real.features)
        first, second = (Gaussian.of(half) for half in np.array_split(shuffled, 2))
    else:
        first, second = real.gaussian, cached(other_images, extractor, verbose=verbose).gaussian
    fake = Statistics.of(fake_images, extractor, verbose=verbose)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few images: the floor and FID∞ tell how few
        return {
            **compare(real, fake, ("fid", "fid_infinity", *also), seed=seed),
            "floor": first.distance(second),
            "images": len(fake_images),
            "extractor": extractor.name,
        }


def class_scores(real_images: np.ndarray, fake_images: np.ndarray, dtype: str = "float32", *, seed: int = 0) -> dict:
    """Inception Score and mode score of generated images, by InceptionV3 with Keras' weights, which have classes.

    Returns:
        `is`, `is_std` and `mode_score`; nothing where there are no such weights, which is said on stderr.
    """
    try:
        extractor = Inception("imagenet", dtype=dtype)
    except MissingWeights as error:
        print(f"warning: no Inception Score; {error}", file=sys.stderr)
        return {}
    real, fake = cached(real_images, extractor), Statistics.of(fake_images, extractor, verbose=True)
    return compare(real, fake, ("is", "mode_score"), seed=seed)


def frechet_line(report: dict) -> str:
    """A `frechet_report` in words."""
    return (
        f"FID of {report['images']:,} samples, {report['extractor']}: {report['fid']:.2f} (floor "
        f"{report['floor']:.2f}, FID∞ {report['fid_infinity']:.2f} ± {report['fid_infinity_error']:.2f})"
    )


def _features(statistics):
    if statistics.features is None:
        raise InputError("a statistics file without features serves fid alone; give the images instead")
    return statistics.features


def _logits(statistics):
    if statistics.logits is None:
        raise InputError("the Inception Score and the mode score need class logits; the fid weights have none")
    return statistics.logits
