"""Losses against NumPy and SciPy, and against numbers worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.special import expit
from scipy.stats import norm

from hw5 import objectives
from hw5.errors import InputError
from hw5.objectives import bernoulli_loss, gaussian_kl, squared_error

RNG = np.random.default_rng(0)


def test_bernoulli_loss_is_the_cross_entropy_summed_over_pixels():
    images = RNG.random((3, 4, 5, 2))
    logits = RNG.normal(size=(3, 4, 5, 2), scale=3)
    probabilities = expit(logits)
    expected = -(images * np.log(probabilities) + (1 - images) * np.log1p(-probabilities)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(bernoulli_loss(images.astype("float32"), logits.astype("float32")), expected, rtol=1e-5)


def test_bernoulli_loss_of_an_undecided_decoder_is_log_2_per_pixel():
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
    mean, variance = np.array([[1.0, -2.0], [0.0, 0.0], [0.0, 3.0]]), np.array([[1.0, 4.0], [1.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(gaussian_kl(mean, np.log(variance)), [expected, 0, 4.5], rtol=1e-6)


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


REAL, FAKE = tf.constant([[-5.0], [1.4], [12.5], [2.7]]), tf.constant([[10.0], [4.4], [-5.5], [3.6]])
SHEET_003 = {"discriminator_scale": 0.5, "generator_scale": 1.0}
SHEET_002 = {"discriminator_scale": 1.0, "generator_scale": 1.0}


@pytest.mark.parametrize(
    ("name", "scales", "discriminator", "generator"),
    [
        # Σ ln(1 + e^−l) of the real ones is 5.29218, Σ ln(1 + e^l) of the others 18.04328, Σ ln(1 + e^−l) 5.54328.
        ("minimax", {}, 5.83387, -4.51082),
        ("non_saturating", {}, 5.83387, 1.38582),
        # Means of (l − 1)² and l²: 171.3/4 and 162.57/4, for the generator 141.57/4.
        ("least_squares", {}, 41.73375, 17.69625),
        ("least_squares", SHEET_003, 41.73375, 35.3925),
        ("least_squares", SHEET_002, 83.4675, 35.3925),
        ("wasserstein", {}, 0.225, -3.125),  # means 11.6/4 and 12.5/4
        # Of max(0, 1 − l) only −5 counts: 6/4. Of max(0, 1 + l): (11 + 5.4 + 0 + 4.6)/4. For the generator 12.5/4.
        ("hinge", {}, 6.75, -3.125),
    ],
)
def test_gan_losses_worked_out_by_hand(name, scales, discriminator, generator):
    objective = objectives.get(name, **scales)
    np.testing.assert_allclose(objective.discriminator_loss(REAL, FAKE), discriminator, rtol=2e-6)
    np.testing.assert_allclose(objective.generator_loss(FAKE), generator, rtol=3e-6)


def test_the_relativistic_losses_worked_out_by_hand():
    objective = objectives.relativistic()
    real, fake = tf.constant([[3.0], [0.0]]), tf.constant([[1.0], [0.0]])
    # Differences 2 and 0: (ln(1 + e^−2) + ln 2)/2 for D, (ln(1 + e^2) + ln 2)/2 for G.
    np.testing.assert_allclose(objective.discriminator_loss(real, fake), (0.126928 + 0.693147) / 2, rtol=2e-6)
    np.testing.assert_allclose(objective.generator_loss(fake, real), (2.126928 + 0.693147) / 2, rtol=2e-6)
    np.testing.assert_allclose(objective.discriminator_loss(real + 9, fake + 9), 0.4100375, rtol=2e-6)
    assert objective.is_relativistic
    assert not objectives.hinge().is_relativistic


def gradient(loss, logits):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(logits)
    return tape.gradient(value, logits).numpy()


# The derivative of each generator's loss by one logit of n, times n.
SLOPES = {
    "minimax": lambda logits: -expit(logits),
    "non_saturating": lambda logits: -expit(-logits),
    "least_squares": lambda logits: logits - 1,
    "wasserstein": lambda logits: -np.ones_like(logits),
    "hinge": lambda logits: -np.ones_like(logits),
    "relativistic": lambda logits: -expit(REAL - logits),
}


def generator_loss(objective, real):
    """Return the generator's loss as a function of the fake logits alone."""
    return lambda fake: objective.generator_loss(fake, *([real] if objective.is_relativistic else []))


@pytest.mark.parametrize("name", objectives.GAN_OBJECTIVES)
def test_generator_gradients_are_the_closed_form(name):
    expected = SLOPES[name](FAKE.numpy()) / 4
    np.testing.assert_allclose(gradient(generator_loss(objectives.get(name), REAL), FAKE), expected, rtol=1e-5)


@pytest.mark.parametrize("name", objectives.GAN_OBJECTIVES)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_losses_and_gradients_are_finite_however_sure_the_discriminator_is(name, sign):
    objective, logits = objectives.get(name), tf.constant([[sign * 1e4]])
    for loss in (lambda fake: objective.discriminator_loss(-fake, fake), generator_loss(objective, -logits)):
        assert np.isfinite(loss(logits))
        assert np.isfinite(gradient(loss, logits)).all()


def test_where_the_minimax_gradient_vanishes_the_non_saturating_one_does_not():
    certain = tf.constant([[-1e4]])  # D's logit of a sample that it is certain is generated
    assert gradient(objectives.minimax().generator_loss, certain) == 0
    assert gradient(objectives.non_saturating().generator_loss, certain) == -1
    assert objectives.non_saturating().generator_loss(certain) == 1e4
    assert objectives.non_saturating().discriminator_loss(-certain, certain) == 0


def test_the_hinge_discriminator_learns_only_from_samples_within_its_margin():
    logits = tf.constant([[-1.5], [-0.5], [0.5], [1.5]])
    real = gradient(lambda real: objectives.hinge().discriminator_loss(real, FAKE), logits)
    fake = gradient(lambda fake: objectives.hinge().discriminator_loss(REAL, fake), logits)
    np.testing.assert_array_equal(real.ravel(), [-0.25, -0.25, -0.25, 0])
    np.testing.assert_array_equal(fake.ravel(), [0, 0.25, 0.25, 0.25])


def test_at_the_equilibrium_the_losses_are_2_ln_2_and_ln_2():
    undecided = np.zeros((8, 1), np.float32)
    objective = objectives.non_saturating()
    np.testing.assert_allclose(objective.discriminator_loss(undecided, undecided), 2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(objective.generator_loss(undecided), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(objectives.minimax().generator_loss(undecided), -np.log(2), rtol=1e-6)


@pytest.mark.parametrize("name", objectives.GAN_OBJECTIVES)
def test_only_a_cross_entropy_makes_probabilities_of_logits(name):
    objective, is_cross_entropy = objectives.get(name), name in ("minimax", "non_saturating")
    assert objective.outputs_probability == is_cross_entropy
    np.testing.assert_allclose(objective.output(FAKE), expit(FAKE) if is_cross_entropy else FAKE, rtol=1e-6)


def test_an_unknown_objective_is_refused_with_the_known_ones():
    message = (
        "objective=vanilla: must be one of minimax, non_saturating, least_squares, wasserstein, hinge, relativistic"
    )
    with pytest.raises(InputError, match=message):
        objectives.get("vanilla")
