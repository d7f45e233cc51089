"""Measures of how good generated images are."""

from hw5.metrics.mnist_classifier import MnistClassifier, class_shares

__all__ = ["MnistClassifier", "class_shares"]
