"""Sheet 002: the metrics of GANs and VAEs (5.6)."""

import contextlib
import inspect

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import entropy, kstest, norm
from small import IMAGES, constant_vae, cross_entropy
from submission import hw5

GAN_METRICS = ("mode score", "Wasserstein distance", "MMD", "FID")


@pytest.mark.points(14, part="5.6", way=GAN_METRICS)
def test_the_inception_score():
    # exp(ln 2 − H(0.8)) with H(0.8) = 0.5004024, of logits that do not sum to 1
    logits = np.log([[0.8, 0.2], [0.2, 0.8]]) + 3.0
    mean, std = hw5.metrics.inception_score(logits, splits=1)
    assert mean == pytest.approx(2 * np.exp(-0.5004024), rel=1e-5)
    assert std == pytest.approx(0, abs=1e-6)
    # Each part has its own p(y): of one image, it is p(y|x), and the score is 1.
    mean, std = hw5.metrics.inception_score(logits, splits=2)
    assert mean == pytest.approx(1, rel=1e-5)
    assert std == pytest.approx(0, abs=1e-5)
    # Two parts of two images: they are alike, with 1 each, or mixed, with the score of all.
    mean, std = hw5.metrics.inception_score(np.repeat(logits, 2, axis=0), splits=2)
    assert mean in (pytest.approx(1, rel=1e-5), pytest.approx(2 * np.exp(-0.5004024), rel=1e-5))
    # Of four images, whichever two are together; the deviation has the divisor 2 or 1.
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    halves = [([0, 1], [2, 3]), ([0, 2], [1, 3]), ([0, 3], [1, 2])]
    scores = [
        [np.exp(entropy(p[two].mean(axis=0)) - entropy(p[two], axis=1).mean()) for two in half] for half in halves
    ]
    mean, std = hw5.metrics.inception_score(np.log(p), splits=2)
    found = [pair for pair in scores if mean == pytest.approx(np.mean(pair), rel=1e-5)]
    assert found, f"a score of {mean}"
    assert any(std == pytest.approx(np.std(pair, ddof=ddof), rel=1e-4) for pair in found for ddof in (0, 1))


@pytest.mark.points(16, part="5.6", way="mode score")
def test_the_mode_score():
    logits = np.log([[0.9, 0.1], [0.1, 0.9]])
    assert hw5.metrics.mode_score(logits, [0.5, 0.5]) == pytest.approx(1.4449350, rel=1e-5)
    # less by KL((½, ½) ‖ (0.8, 0.2)) = 0.2231436
    assert hw5.metrics.mode_score(logits, [0.8, 0.2]) == pytest.approx(1.4449350 * np.exp(-0.2231436), rel=1e-5)
    # p(y) = (0.7, 0.3): exp(H(0.7) − (H(0.9) + H(0.5))/2 − KL((0.7, 0.3) ‖ (½, ½)))
    score = hw5.metrics.mode_score(np.log([[0.9, 0.1], [0.5, 0.5]]), [0.5, 0.5])
    assert score == pytest.approx(np.exp(0.6108643 - (0.3250830 + 0.6931472) / 2 - 0.0822829), rel=1e-5)


@pytest.mark.points(16, part="5.6", way="Wasserstein distance")
def test_the_wasserstein_distance():
    x, y = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 3.0], [5.0, 0.0]])
    assert hw5.metrics.wasserstein_distance(x, y) == pytest.approx((3 + 4) / 2, rel=1e-5)
    # Points in another order are the same distribution; each has one partner, though not the nearest one.
    assert hw5.metrics.wasserstein_distance(x, x[::-1]) == pytest.approx(0, abs=1e-5)
    x, y = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [4.0, 0.0]])
    assert hw5.metrics.wasserstein_distance(x, y) == pytest.approx(2, rel=1e-5)
    # The nearest point of the first one is the partner of the second one: (4 + 1)/2, and not (3 + √32)/2.
    x, y = np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([[3.0, 0.0], [0.0, 4.0]])
    assert hw5.metrics.wasserstein_distance(x, y) == pytest.approx(2.5, rel=1e-5)
    # A distance is Euclidean, here of (3, 4) and of (5, 12), and not that of the differences' sum or their largest.
    x, y = np.array([[0.0, 0.0], [100.0, 0.0]]), np.array([[3.0, 4.0], [105.0, 12.0]])
    assert hw5.metrics.wasserstein_distance(x, y) == pytest.approx((5 + 13) / 2, rel=1e-5)


@pytest.mark.points(16, part="5.6", way="MMD")
def test_the_maximum_mean_discrepancy_is_unbiased():
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    # (x·y + 1)³: 1 between the xs, 343 between the ys, and across the mean of 1, 1, 27 and 64
    expected = 1 + 343 - 2 * 93 / 4
    assert hw5.metrics.maximum_mean_discrepancy(x, y, kernel="polynomial") == pytest.approx(expected, rel=1e-5)
    # of two dimensions (x·y/2 + 1)³
    expected = 1 + 27 - 2 * (1 + 1 + 3.375 + 8) / 4
    pair = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 2.0], [2.0, 1.0]])
    assert hw5.metrics.maximum_mean_discrepancy(*pair, kernel="polynomial") == pytest.approx(expected, rel=1e-5)
    # Of three xs and two ys: 1, 1 and 27 between the xs, 27 between the ys, and across 1, 1, 8, 27, 27 and 125.
    three, two = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]])
    across = np.mean((three @ two.T + 1) ** 3)
    found = None
    with contextlib.suppress(Exception):  # an estimate for sets of the same size alone refuses these in many ways
        found = hw5.metrics.maximum_mean_discrepancy(three, two, kernel="polynomial")
    assert found is None or found == pytest.approx((1 + 1 + 27) / 3 + 27 - 2 * across, rel=1e-5)
    if "bandwidth" not in inspect.signature(hw5.metrics.maximum_mean_discrepancy).parameters:
        return
    # exp(−‖x − y‖²/(2 · 2²)): of 1 within both sets, and of 2, 3, 1 and 2 across
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    expected = 2 * np.exp(-1 / 8) - 2 * np.exp(-np.array([4, 9, 1, 4]) / 8).mean()
    found = hw5.metrics.maximum_mean_discrepancy(x, y, kernel="rbf", bandwidth=2.0)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.points(16, part="5.6", way="FID")
def test_the_frechet_distance():
    mean, covariance = np.array([1.0, 2.0]), np.diag([4.0, 9.0])
    # the squared distance of the means, and Σ (σ₁ − σ₂)²
    distance = hw5.metrics.frechet_distance(mean, covariance, np.array([0.0, 4.0]), np.diag([1.0, 16.0]))
    assert distance == pytest.approx(5 + 2, rel=1e-3)  # float32 has digits enough
    # tr √(Σ₁Σ₂) of 2×2 matrices is √(tr + 2 √det) = √(10 + 2 √12)
    distance = hw5.metrics.frechet_distance(np.zeros(2), [[2.0, 1.0], [1.0, 2.0]], np.zeros(2), np.diag([1.0, 4.0]))
    assert distance == pytest.approx(9 - 2 * np.sqrt(10 + 2 * np.sqrt(12)), rel=1e-3)


@pytest.mark.points(10, part="5.6", way="bits per pixel")
def test_the_estimate_of_a_likelihood_that_is_known():
    # as above, every weight is p(x), whatever their number
    model, images = constant_vae([0.0], [0.0]), IMAGES
    for count in (1, 7):
        estimate = hw5.metrics.log_likelihood(model, images, num_samples=count)
        np.testing.assert_allclose(estimate, -cross_entropy(), rtol=1e-5)


@pytest.mark.points(10, part="5.6", way="bits per pixel")
def test_importance_sampling_corrects_a_posterior_that_is_wrong():
    # the decoder does not look at z, so log p(x) is the same; the ELBO would be short by the KL divergence
    estimate = hw5.metrics.log_likelihood(constant_vae([0.5], [-0.3]), IMAGES, num_samples=2000)
    np.testing.assert_allclose(estimate, -cross_entropy(), atol=0.06)
    # of five samples, the estimate is lower on average: by 200,000 draws here, and by 4,000 images there
    mean, std, count = 1.0, np.exp(-0.5), 4000
    z = mean + std * np.random.default_rng(0).standard_normal((5, 200_000))
    ratios = logsumexp(norm.logpdf(z) - norm.logpdf(z, mean, std), axis=0) - np.log(5)
    images = np.tile(IMAGES[:1], (count, 1, 1, 1))
    estimate = hw5.metrics.log_likelihood(constant_vae([mean], [-1.0]), images, num_samples=5)
    expected, tolerance = ratios.mean() - cross_entropy(IMAGES[:1]).mean(), 6 * ratios.std() / np.sqrt(count - 100)
    assert np.mean(estimate) == pytest.approx(expected, abs=tolerance)


@pytest.mark.points(6, part="5.6", way="bits per pixel")
def test_bits_per_dimension_of_the_uniform_distribution():
    shape = (64, 64, 3)
    assert hw5.metrics.bits_per_dimension(-64 * 64 * 3 * np.log(256), shape) == pytest.approx(8)
    # a density of 1 on the unit cube gives each of 256 levels the same
    assert hw5.metrics.bits_per_dimension(0.0, shape, value_range=(0, 1)) == pytest.approx(8)
    # as does a density of 2^−d on the cube from −1 to 1
    nats = -64 * 64 * 3 * np.log(2)
    assert hw5.metrics.bits_per_dimension(nats, shape, value_range=(-1, 1)) == pytest.approx(8)
    assert_dequantized_evenly()


def assert_dequantized_evenly():
    """Check the noise that spreads levels over their cells, (x + u)/256 with u from [0, 1), if it has a name.

    It is new for every image, pixel and channel: the correlation of n pairs has the deviation 1/√n. This test and that
    of Kolmogorov and Smirnov give a false alarm once in 10⁷ times.
    """
    try:
        dequantize = hw5.metrics.dequantize
    except AttributeError:
        return
    levels = np.repeat(np.uint8([0, 7, 255]), 2 * 20 * 50 * 3).reshape(6, 20, 50, 3)
    noise = 256 * np.asarray(dequantize(levels), np.float64) - levels
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert kstest(noise.ravel(), "uniform").pvalue > 1e-7
    for axis, name in enumerate(("images", "rows", "columns", "channels")):
        one, two = (np.take(noise, range(start, noise.shape[axis] - 1 + start), axis).ravel() for start in (0, 1))
        assert abs(np.corrcoef(one, two)[0, 1]) < 6 / np.sqrt(len(one)), f"the noise of different {name} is alike"


@pytest.mark.points(2, part="5.6", way="bits per pixel")
def test_two_thousand_samples():
    assert inspect.signature(hw5.metrics.log_likelihood).parameters["num_samples"].default == 2000
