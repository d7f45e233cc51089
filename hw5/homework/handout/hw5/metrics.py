"""Metrics of generated images, in float64.

Features are arrays [n, d], logits of a classifier [n, classes].
"""


def inception_score(logits, splits=10):
    """5.6, 8.4: Compute (mean, standard deviation) over splits of exp of the mean of KL(p(y|x) ‖ p(y))."""
    # TODO start
    raise NotImplementedError
    # TODO end


def frechet_distance(mean, covariance, other_mean, other_covariance):
    """5.6 (the way FID), 8.4, 10.5 and, optional, 11.4: Compute |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 √(Σ₁Σ₂)).

    Singular covariances are allowed.
    """
    # TODO start
    raise NotImplementedError
    # TODO end


def mode_score(logits, class_distribution):
    """5.6, one of the ways: Compute exp(mean of KL(p(y|x) ‖ p(y)) − KL(p(y) ‖ p*(y))); p* is that of real images."""
    # TODO start
    raise NotImplementedError
    # TODO end


def wasserstein_distance(x, y):
    """5.6, one of the ways: Compute the mean Euclidean distance of the best one-to-one assignment of equally many."""
    # TODO start
    raise NotImplementedError
    # TODO end


def maximum_mean_discrepancy(x, y, kernel="polynomial"):
    """5.6, one of the ways: Estimate MMD² without bias; the kernel is (x·y / d + 1)³."""
    # TODO start
    raise NotImplementedError
    # TODO end


def log_likelihood(model, images, num_samples=None):
    """5.6, the way bits per pixel: Estimate log p(x) of each image by importance sampling, in nats, [n].

    The weights are the model's `log_weights`. Choose the sheet's number of samples as the default.
    """
    # TODO start
    raise NotImplementedError
    # TODO end


def bits_per_dimension(log_likelihood, image_shape, value_range=None):
    """5.6, the way bits per pixel: Convert nats of a whole image to bits per value (h · w · c of them).

    Args:
        value_range: None if they are log-probabilities of the 256 levels; (0, 1) if they are log-densities of images
            that were scaled to [0, 1] from [0, 256]: account for this scaling.
    """
    # TODO start
    raise NotImplementedError
    # TODO end


def dequantize(images, seed=0):
    """5.6, the way bits per pixel: Spread levels over the unit interval, (x + u) / 256 with u ~ U(0, 1), float32.

    The grading looks at it if it is there.
    """
    # TODO start
    raise NotImplementedError
    # TODO end
