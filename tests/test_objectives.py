"""Losses against NumPy and SciPy, and against numbers worked out by hand."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit
from scipy.stats import norm

from hw5.objectives import bernoulli_loss, gaussian_kl, squared_error

RNG = np.random.default_rng(0)


def test_bernoulli_loss_is_the_cross_entropy_summed_over_pixels():
    images = RNG.random((3, 4, 5, 2))
    logits = RNG.normal(size=(3, 4, 5, 2), scale=3)
    probabilities = expit(logits)
    expected = -(images * np.log(probabilities) + (1 - images) * np.log1p(-probabilities)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(bernoulli_loss(images.astype("float32"), logits.astype("float32")), expected, rtol=1e-5)


def test_bernoulli_loss_of_the_undecided_decoder_is_log_2_a_pixel():
    np.testing.assert_allclose(bernoulli_loss(np.ones((2, 28, 28, 1)), np.zeros((2, 28, 28, 1))), 784 * np.log(2))


def test_bernoulli_loss_is_finite_for_certain_and_wrong_decoders():
    images, logits = np.array([[1.0, 0.0]], "float32"), np.array([[-1000.0, 1000.0]], "float32")
    assert ops.convert_to_numpy(bernoulli_loss(images, logits)) == 2000
    assert ops.convert_to_numpy(bernoulli_loss(images, -logits)) == 0


def test_squared_error_is_a_mean_over_pixels():
    x, y = RNG.random((3, 28, 28, 1)), RNG.random((3, 28, 28, 1))
    np.testing.assert_allclose(squared_error(x, y), ((x - y) ** 2).reshape(3, 784).sum(axis=1) / 784, rtol=1e-6)


def test_kl_against_the_closed_form_by_hand():
    # μ = (1, −2), σ² = (1, 4):  ½ [(1 + 1 − 0 − 1) + (4 + 4 − ln 4 − 1)]
    expected = 0.5 * (1 + 7 - np.log(4))
    np.testing.assert_allclose(gaussian_kl(np.array([[1.0, -2.0]]), np.log([[1.0, 4.0]])), [expected], rtol=1e-6)


def test_kl_against_numerical_integration():
    mean, sigma = 0.7, 0.4
    x = np.linspace(-12, 12, 200_001)
    q = norm.pdf(x, mean, sigma)
    integral = np.trapezoid(q * (norm.logpdf(x, mean, sigma) - norm.logpdf(x)), x)
    np.testing.assert_allclose(gaussian_kl(np.array([[mean]]), np.log([[sigma**2]])), [integral], rtol=1e-6)


def test_kl_is_zero_at_the_prior_and_nowhere_negative():
    assert ops.convert_to_numpy(gaussian_kl(np.zeros((1, 7)), np.zeros((1, 7)))) == 0
    assert np.all(ops.convert_to_numpy(gaussian_kl(RNG.normal(size=(100, 3)), RNG.normal(size=(100, 3)))) > 0)


@pytest.mark.parametrize("latent_dim", [1, 5])
def test_kl_is_a_sum_over_latent_dimensions(latent_dim):
    one = ops.convert_to_numpy(gaussian_kl(np.full((1, 1), 0.3), np.full((1, 1), -0.2)))
    many = ops.convert_to_numpy(gaussian_kl(np.full((1, latent_dim), 0.3), np.full((1, latent_dim), -0.2)))
    np.testing.assert_allclose(many, latent_dim * one, rtol=1e-6)
