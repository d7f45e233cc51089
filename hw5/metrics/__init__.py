"""Measures of how good generated images are.

Pure functions of features, logits and log-weights (NumPy, float64); apart from them the networks that
turn images into features, `Inception` and `MnistClassifier`. `python -m hw5.metrics` is the command line.
"""

from hw5.metrics.frechet import frechet_distance, frechet_infinity
from hw5.metrics.inception import Inception
from hw5.metrics.inception_score import inception_score, mode_score
from hw5.metrics.likelihood import bits_per_dimension, bits_per_pixel, dequantize, iwae_bound, log_likelihood
from hw5.metrics.mmd import kernel_inception_distance, maximum_mean_discrepancy
from hw5.metrics.mnist_classifier import MnistClassifier, class_shares
from hw5.metrics.precision_recall import precision_recall
from hw5.metrics.report import class_scores, extractors_for, frechet_line, frechet_report, reference
from hw5.metrics.statistics import Statistics
from hw5.metrics.wasserstein import wasserstein_distance

__all__ = [
    "Inception",
    "MnistClassifier",
    "Statistics",
    "bits_per_dimension",
    "bits_per_pixel",
    "class_scores",
    "class_shares",
    "dequantize",
    "extractors_for",
    "frechet_distance",
    "frechet_infinity",
    "frechet_line",
    "frechet_report",
    "inception_score",
    "iwae_bound",
    "kernel_inception_distance",
    "log_likelihood",
    "maximum_mean_discrepancy",
    "mode_score",
    "precision_recall",
    "reference",
    "wasserstein_distance",
]
