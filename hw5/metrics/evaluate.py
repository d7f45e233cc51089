"""Evaluation of generated images by all metrics, the same for the sections and the command line."""

import dataclasses
import functools
import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from hw5 import data
from hw5.errors import InputError
from hw5.metrics.class_scores import class_proportions, inception_score, mode_score
from hw5.metrics.extractor import Extractor
from hw5.metrics.frechet import Gaussian, frechet_infinity
from hw5.metrics.inception import Inception, MissingWeights
from hw5.metrics.linear_head import find_head
from hw5.metrics.mmd import kernel_inception_distance, maximum_mean_discrepancy
from hw5.metrics.mnist_classifier import MnistClassifier
from hw5.metrics.precision_recall import precision_recall
from hw5.metrics.shards import Shards
from hw5.metrics.statistics import Statistics, cached_statistics, sharded_statistics
from hw5.metrics.wasserstein import wasserstein_distance
from hw5.settings import as_list

IS_SPLITS = 10  # or one per image if there are fewer
KID_SUBSET_SIZE = 1000  # images per subset, or all where there are fewer
MIN_PROPORTION = 0.03  # of the samples, for a class to count as covered
REAL_VALUES = {}  # results of `_real_vs_real`, which are the same for every model of a section


class Inputs(NamedTuple):
    """The statistics that the metrics are computed from, all by one extractor."""

    fake: Statistics
    real: Statistics | None
    held_out: Statistics | None
    seed: int


def _fid(inputs):
    row = {"fid": inputs.real.gaussian.distance(inputs.fake.gaussian)}
    if inputs.held_out is not None:
        real = inputs.real.gaussian.distance(inputs.held_out.gaussian)
        return row | {"real_vs_real_fid": real, "real_vs_real_samples": inputs.held_out.gaussian.count}
    return row | _real_vs_real(_fid_of_features, inputs)


def _fid_infinity(inputs):
    value, error = frechet_infinity(*_features(inputs), seed=inputs.seed)
    return {"fid_infinity": value, "fid_infinity_error": error}


def _with_real(metric):
    """Make a function of `Inputs` from a metric of (real features, other features, seed), and add its real value."""

    def with_real(inputs):
        return metric(*_features(inputs), inputs.seed) | _real_vs_real(metric, inputs)

    return with_real


def _fid_of_features(real, other, seed):
    return {"fid": Gaussian.of(real).distance(Gaussian.of(other))}


def _kid(real, other, seed):
    size = min(KID_SUBSET_SIZE, len(real), len(other))
    mean, std = kernel_inception_distance(real, other, subset_size=size, seed=seed)
    return {"kid": mean, "kid_std": std, "kid_subset_size": size}


def _mmd(real, other, seed):
    return {"mmd": maximum_mean_discrepancy(real, other, kernel="rbf")}


def _wasserstein(real, other, seed):
    return {"wasserstein": wasserstein_distance(real, other)}


def _sliced_wasserstein(real, other, seed):
    return {"sliced_wasserstein": wasserstein_distance(real, other, method="sliced", seed=seed)}


def _precision_recall(real, other, seed):
    precision, recall = precision_recall(real, other)
    return {"precision": precision, "recall": recall}


def _real_vs_real(metric, inputs):
    """Compute a metric of real features and held-out ones, or else of two random halves of the real ones.

    The result is empty if there are no features, or too few for the metric.
    """
    first, second = inputs.real.features, None
    if first is not None and inputs.held_out is not None:
        second = inputs.held_out.features
    elif first is not None:
        order = np.random.default_rng(inputs.seed).permutation(len(first))
        first, second = (first[rows] for rows in np.array_split(order, 2))
        if metric is _wasserstein:  # takes equal counts
            first = first[: len(second)]
    if second is None:
        return {}
    # The exact Wasserstein distance of 3,000 images takes a quarter of a minute.
    key = metric, inputs.seed, *(hashlib.sha256(np.ascontiguousarray(side)).digest() for side in (first, second))
    if key not in REAL_VALUES:
        try:
            row = metric(first, second, inputs.seed)
        except InputError:  # too few, or unequal counts, which need not be those of the generated images
            row = {}
        REAL_VALUES[key] = {f"real_vs_real_{name}": value for name, value in row.items()}
        REAL_VALUES[key] |= {"real_vs_real_samples": len(second)} if row else {}
    return REAL_VALUES[key]


def _inception_score(inputs):
    def score(logits, key):
        mean, std = inception_score(logits, splits=min(IS_SPLITS, len(logits)), seed=inputs.seed)
        return {key: mean, f"{key}_std": std}

    row = score(_logits(inputs.fake), "is")
    real = _real_logits(inputs)
    return row if real is None else row | score(real, "real_is") | {"real_is_samples": len(real)}


def _mode_score(inputs):
    class_probabilities = softmax(np.float64(_logits(inputs.real)), axis=1).mean(axis=0)
    fake, real = (mode_score(logits, class_probabilities) for logits in (_logits(inputs.fake), _real_logits(inputs)))
    return {"mode_score": fake, "real_mode_score": real}


def _real_logits(inputs):
    """Return the logits of as many real images as generated ones, held-out ones if there are some; None without."""
    statistics = inputs.held_out if inputs.held_out is not None else inputs.real
    if statistics is None or statistics.logits is None:
        return None
    return data.random_subset(statistics.logits, inputs.fake.gaussian.count, inputs.seed)


def _class_proportions(inputs):
    proportions, confidence = class_proportions(_logits(inputs.fake))
    covered = int(np.count_nonzero(proportions >= MIN_PROPORTION))
    return {"class_proportions": proportions, "classes_covered": covered, "confidence": confidence}


FEATURE_METRICS: dict[str, Callable[[Inputs], dict]] = {
    "fid": _fid,
    "fid_infinity": _fid_infinity,
    "kid": _with_real(_kid),
    "mmd": _with_real(_mmd),
    "wasserstein": _with_real(_wasserstein),
    "sliced_wasserstein": _with_real(_sliced_wasserstein),
    "precision_recall": _with_real(_precision_recall),
}
CLASS_METRICS: dict[str, Callable[[Inputs], dict]] = {
    "is": _inception_score,
    "mode_score": _mode_score,
    "class_proportions": _class_proportions,
}
METRICS = FEATURE_METRICS | CLASS_METRICS
METRICS_OF_FAKES_ALONE = {"is", "class_proportions"}
METRICS_OF_HELD_OUT = METRICS.keys() - {"fid_infinity", "class_proportions"}


def evaluate_samples(
    fake_images,
    extractors: Iterable[Extractor],
    *,
    real_images=None,
    held_out_images=None,
    metrics: str | Sequence[str] = ("fid", "fid_infinity"),
    seed: int = 0,
    shards: int = 1,
    verbose: bool = True,
) -> dict[str, dict]:
    """Compute metrics of generated images by every extractor that has the outputs for them.

    Images are an array, a tensor or a list, as in `Extractor.activations`: uint8, or float in [0, 1].
    `Statistics` may stand for any of them.

    Args:
        fake_images: the generated images.
        extractors: networks. One that has no classes skips `CLASS_METRICS`; one whose `has_features` is False
            skips `FEATURE_METRICS`.
        real_images: real images. Statistics of an array or a tensor are kept in the cache folder.
        held_out_images: other real images for `real_vs_real_fid` and others, as many as generated ones if possible.
        metrics: names from `METRICS`, one or several.
        seed: of subsets, halves and projections.
        shards: parts of the images, which several processes work on (`hw5.metrics.shards`). They do not change the
            results, except for the rounding of a FID.
        verbose: show progress bars.

    Returns:
        `extractor.key` → the metrics that this extractor computed, `num_samples` (the number of generated
        images), `num_real_images`, `extractor`, its full name, and `classifier`, its linear head's, if the head was
        used. Every metric of features but fid_infinity comes with its value for real images, real_vs_real_fid,
        real_vs_real_mmd and so on: of `held_out_images` to `real_images`, or of one random half of `real_images` to
        the other; `real_vs_real_samples` is the number of the former. No generator can be expected to have a better
        one. It is missing if statistics without features are given, or too few images; distances and shares that
        depend on the counts are to be compared with care if these differ.
        The metrics, and what comes with them:

        - fid: the FID of generated to real images, a number.
        - fid_infinity, fid_infinity_error: FID extrapolated to infinitely many images, and standard error.
        - kid, kid_std, kid_subset_size: mean of the unbiased MMD² with the polynomial kernel over subsets of
          1,000 images, or of all if there are fewer.
        - mmd: unbiased MMD² with the Gaussian kernel.
        - wasserstein, sliced_wasserstein: Wasserstein-1 distances, exact (equal counts up to 5,000) and sliced.
        - precision, recall (metric "precision_recall").
        - is, is_std: Inception Score; real_is, real_is_std: that of `held_out_images`, or of `real_images` if there
          are none, as many as generated ones if possible (real_is_samples). It is the ceiling: no generator can be
          expected to have a higher one. It is missing if neither are given.
        - mode_score, real_mode_score: mode score, and that of the same real images.
        - class_proportions [classes]; classes_covered, how many of them have 3 % or more; and confidence.

    Raises:
        InputError: an unknown metric; images outside their range, NaN or of a wrong shape; real images are
            needed and missing; statistics of different extractors; features or logits were not kept.
    """
    metrics = as_list(metrics)
    for name in metrics:
        if name not in METRICS:
            raise InputError(f"metrics={name}: must be one of {', '.join(METRICS)}")
        if real_images is None and name not in METRICS_OF_FAKES_ALONE:
            raise InputError(f"metrics={name}: needs real_images")
    results = {}
    with Shards(shards) as pool:
        for extractor in extractors:
            if chosen := [name for name in metrics if can_compute(extractor, name)]:
                how = dict(shards=pool, verbose=verbose)
                fake = _statistics(fake_images, extractor, keep=set(chosen) != {"fid"}, **how)
                real = held_out = None
                if set(chosen) != {"class_proportions"}:
                    real = _statistics(real_images, extractor, cache=True, **how)
                if set(chosen) & METRICS_OF_HELD_OUT:
                    held_out = _statistics(held_out_images, extractor, cache=True, **how)
                results[extractor.key] = _evaluate(Inputs(fake, real, held_out, seed), chosen, extractor)
    return results


def can_compute(extractor: Extractor, metric: str) -> bool:
    """Check whether the extractor returns the inputs of the metric, and is meant for it."""
    return extractor.has_classes if metric in CLASS_METRICS else extractor.has_features


def _statistics(images, extractor, *, cache=False, **how):
    if images is None:
        return None
    if isinstance(images, Statistics):
        if images.shard is not None:
            raise InputError("statistics of one shard are not those of a set; Statistics.merge merges all shards")
        return images
    if cache and hasattr(images, "shape"):
        return cached_statistics(images, extractor, **how)
    return sharded_statistics(images, extractor, **how)


def _evaluate(inputs, metrics, extractor):
    names = [side.extractor for side in inputs[:3] if side is not None and side.extractor is not None]
    names = list(dict.fromkeys(names)) or [extractor.name]
    if len(names) > 1:
        raise InputError(f"statistics by {' and by '.join(names)} cannot be compared")
    by_head = {}
    if extractor.head is not None and set(metrics) & CLASS_METRICS.keys():
        inputs = Inputs(*(_with_logits(side, extractor.head) for side in inputs[:3]), inputs.seed)
        by_head = {"classifier": extractor.head.name}
    row = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few images; real_vs_real_fid and FID∞ show their effect
        for name in metrics:
            row |= METRICS[name](inputs)
    counts = {"num_samples": inputs.fake.gaussian.count}
    if inputs.real is not None:
        counts["num_real_images"] = inputs.real.gaussian.count
    return row | counts | {"extractor": names[0]} | by_head


def _with_logits(statistics, head):
    """Compute the logits from the features: those in a file may be another head's, or missing."""
    if statistics is None or statistics.features is None:
        return statistics
    return dataclasses.replace(statistics, logits=head.logits(statistics.features))


def _features(inputs):
    if inputs.real.features is None or inputs.fake.features is None:
        raise InputError("statistics without features are enough for fid only; give the images instead")
    return inputs.real.features, inputs.fake.features


def _logits(statistics):
    if statistics.logits is None:
        raise InputError("class scores need logits, which these statistics do not have; give the images instead")
    return statistics.logits


def extractors_for(
    dataset: str,
    inception_weights: str | os.PathLike | None = None,
    inception_dtype: str = "float32",
    *,
    head: str | os.PathLike | None = None,
    weights: str = "fid",
) -> list[Extractor]:
    """Return the extractors for generated images of a dataset.

    They are InceptionV3 with the `fid` weights for metrics of features, and for class scores by the dataset's
    linear head; the MNIST classifier for MNIST; and InceptionV3 with Keras' weights for the class scores of other
    datasets, if they are installed. What is not installed is left out, with a warning on stderr if a metric is
    missing.

    Args:
        dataset: its name; "" for other images.
        head: file of a linear head; by default the dataset's (`hw5.metrics.heads`).
        weights: "imagenet" adds InceptionV3 with Keras' weights for any dataset, and downloads them if necessary.

    Raises:
        InputError: `inception_weights` is not the file of the `fid` weights; bfloat16 on a processor without it; a
            head that is damaged or does not exist; weights that cannot be downloaded.
    """
    extractors, found = [], find_head(dataset, head)
    try:
        extractors += [Inception("fid", inception_weights, inception_dtype, head=found)]
    except MissingWeights as error:
        print(f"warning: no FID by InceptionV3; {error}", file=sys.stderr)
    if dataset == "mnist":
        extractors += [MnistClassifier()]
    if dataset != "mnist" or weights == "imagenet":
        download, how = weights == "imagenet", {"inception_dtype": inception_dtype, "has_features": False}
        try:
            extractors += [Inception("imagenet", **how, download=download)]
        except MissingWeights:  # a second network, that need not be there
            if download:
                raise
    if extractors and not any(extractor.has_classes for extractor in extractors):
        fit = f"python -m hw5.metrics.heads {dataset} fits one to its labels" if dataset else "head=FILE names one"
        print(f"warning: no Inception Score; it needs a linear head ({fit}) or weights=imagenet", file=sys.stderr)
    return extractors


def evaluator(
    dataset: str, extractors: Sequence[Extractor], num_images: int, size: int, source: dict | None = None, **how
) -> Callable[..., dict]:
    """Make a function of generated images that compares them with training images, and these with held-out ones.

    Args:
        num_images, size, source: of the real images, as in `real_images_for_fid`.
        how: more arguments of `evaluate_samples`.

    Returns:
        `evaluate_samples` with these arguments.
    """
    real, held_out = real_images_for_fid(dataset, num_images, size, **(source or {}))
    how = dict(extractors=extractors, real_images=real, held_out_images=held_out, **how)
    return functools.partial(evaluate_samples, **how)


def real_images_for_fid(dataset: str, fid_samples: int, size: int, **source) -> tuple[np.ndarray, np.ndarray]:
    """Load training images to compare generated ones with, and as many held-out ones for `real_vs_real_fid`.

    Args:
        fid_samples: number of images of each.
        size: height and width, in pixels.
        source: more arguments of `hw5.data.load`.

    Returns:
        Two arrays, uint8 [fid_samples, size, size, c]: the first and the next images of the training split.

    Raises:
        InputError: the dataset has too few images.
    """
    images = data.load(dataset, "train", limit=2 * fid_samples, **source)
    if len(images) < 2 * fid_samples:
        raise InputError(
            f"fid_samples={fid_samples}: {dataset} has {len(images)} training images; twice as many are needed"
        )
    images = data.resize(images, size)
    return images[:fid_samples], images[fid_samples:]
