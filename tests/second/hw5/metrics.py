"""Metrics of generated images, in float64.

Features are arrays [n, d], logits of a classifier [n, classes].
"""

import numpy as np
from scipy.linalg import eigh, eigvalsh
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax
from scipy.stats import entropy


def inception_score(logits, splits=10):
    """5.6, 8.4: Compute (mean, standard deviation) over splits of exp of the mean of KL(p(y|x) ‖ p(y))."""
    # TODO start
    scores = []
    for part in np.array_split(softmax(np.asarray(logits, np.float64), axis=1), splits):
        marginal = part.mean(axis=0, keepdims=True)
        scores.append(np.exp(np.mean(entropy(part, marginal, axis=1))))
    return float(np.mean(scores)), float(np.std(scores))
    # TODO end


def frechet_distance(mean, covariance, other_mean, other_covariance):
    """5.6 (the way FID), 8.4, 10.5 and, optional, 11.4: Compute |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 √(Σ₁Σ₂)).

    Singular covariances are allowed.
    """
    # TODO start
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    other_mean, other_covariance = np.asarray(other_mean, np.float64), np.asarray(other_covariance, np.float64)
    variances, directions = eigh(covariance)
    root = directions * np.sqrt(np.maximum(variances, 0)) @ directions.T
    eigenvalues = eigvalsh(root @ other_covariance @ root)
    trace = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(np.sum((mean - other_mean) ** 2) + trace)
    # TODO end


def mode_score(logits, class_distribution):
    """5.6, one of the ways: Compute exp(mean of KL(p(y|x) ‖ p(y)) − KL(p(y) ‖ p*(y))); p* is that of real images."""
    # TODO start
    p = softmax(np.asarray(logits, np.float64), axis=1)
    marginal = p.mean(axis=0, keepdims=True)
    return float(np.exp(np.mean(entropy(p, marginal, axis=1)) - entropy(marginal[0], np.asarray(class_distribution))))
    # TODO end


def wasserstein_distance(x, y):
    """5.6, one of the ways: Compute the mean Euclidean distance of the best one-to-one assignment of equally many."""
    # TODO start
    costs = cdist(x, y)
    return float(costs[linear_sum_assignment(costs)].mean())
    # TODO end


def maximum_mean_discrepancy(x, y, kernel="polynomial"):
    """5.6, one of the ways: Estimate MMD² without bias; the kernel is (x·y / d + 1)³."""
    # TODO start
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    within_x, within_y, across = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    own = (within_x.sum() - np.trace(within_x)) / (n * (n - 1)) + (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
    return float(own - 2 * across.mean())
    # TODO end


def log_likelihood(model, images, num_samples=2000):
    """5.6, the way bits per pixel: Estimate log p(x) of each image by importance sampling, in nats, [n].

    The weights are the model's `log_weights`. Choose the sheet's number of samples as the default.
    """
    # TODO start
    rng = np.random.default_rng(0)
    latent_dim = model.encoder.output[0].shape[-1]
    parts = []
    for start in range(0, num_samples, 100):
        count = min(100, num_samples - start)
        epsilon = rng.standard_normal((count, len(images), latent_dim)).astype(np.float32)
        parts.append(np.asarray(model.log_weights(images, epsilon), np.float64))
    return logsumexp(np.concatenate(parts), axis=0) - np.log(num_samples)
    # TODO end


def bits_per_dimension(log_likelihood, image_shape, value_range=None):
    """5.6, the way bits per pixel: Convert nats of a whole image to bits per value (h · w · c of them).

    Args:
        value_range: None if they are log-probabilities of the 256 levels; (0, 1) if they are log-densities of images
            that were scaled to [0, 1] from [0, 256]: account for this scaling.
    """
    # TODO start
    dimensions = np.prod(image_shape)
    nats = np.asarray(log_likelihood, np.float64)
    if value_range is not None:
        low, high = value_range
        nats = nats - dimensions * np.log(256 / (high - low))
    return -nats / dimensions / np.log(2)
    # TODO end


def dequantize(images, seed=0):
    """5.6, the way bits per pixel: Spread levels over the unit interval, (x + u) / 256 with u ~ U(0, 1), float32.

    The grading looks at it if it is there.
    """
    # TODO start
    noise = np.random.default_rng(seed).uniform(size=images.shape)
    return ((images + noise) / 256).astype(np.float32)
    # TODO end
