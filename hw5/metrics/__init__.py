"""Metrics of generated images: pure functions of features, logits and log-weights, and networks that compute these.

`evaluate_samples` computes all of them; `python -m hw5.metrics` is the command line. The pure functions
(NumPy, float64) are imported at once. Names that need TensorFlow are imported when they are first used.
"""

import importlib

from hw5.metrics import pca
from hw5.metrics.class_scores import class_proportions, inception_score, mode_score
from hw5.metrics.frechet import frechet_distance, frechet_infinity
from hw5.metrics.likelihood import (
    bits_per_dimension,
    bits_per_pixel,
    dequantize,
    iwae_bound,
    mean_and_error,
    merge_bounds,
    png_bits_per_dimension,
)
from hw5.metrics.linear_head import LinearHead, find_head
from hw5.metrics.mmd import kernel_inception_distance, maximum_mean_discrepancy
from hw5.metrics.precision_recall import precision_recall
from hw5.metrics.shards import Shards
from hw5.metrics.trivial import trivial_losses
from hw5.metrics.wasserstein import wasserstein_distance

WITH_TENSORFLOW = {
    "Inception": "inception",
    "MnistClassifier": "mnist_classifier",
    "Statistics": "statistics",
    "evaluate_samples": "evaluate",
    "evaluator": "evaluate",
    "extractors_for": "evaluate",
    "in_bits": "bits",
    "log_likelihood": "importance_sampling",
    "real_images_for_fid": "evaluate",
    "summary_of_bits": "bits",
    "vae_bits_per_dimension": "bits",
}

__all__ = [
    "Inception",
    "LinearHead",
    "MnistClassifier",
    "Shards",
    "Statistics",
    "bits_per_dimension",
    "bits_per_pixel",
    "class_proportions",
    "dequantize",
    "evaluate_samples",
    "evaluator",
    "extractors_for",
    "find_head",
    "frechet_distance",
    "frechet_infinity",
    "in_bits",
    "inception_score",
    "iwae_bound",
    "kernel_inception_distance",
    "log_likelihood",
    "maximum_mean_discrepancy",
    "mean_and_error",
    "merge_bounds",
    "mode_score",
    "pca",
    "png_bits_per_dimension",
    "precision_recall",
    "real_images_for_fid",
    "summary_of_bits",
    "trivial_losses",
    "vae_bits_per_dimension",
    "wasserstein_distance",
]


def __getattr__(name: str):
    """Import a name of `WITH_TENSORFLOW` (PEP 562)."""
    if name not in WITH_TENSORFLOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{WITH_TENSORFLOW[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *WITH_TENSORFLOW})
