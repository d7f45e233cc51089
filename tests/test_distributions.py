"""Likelihoods, posteriors, the flow and priors, against SciPy in float64 and automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_expit
from scipy.stats import bernoulli, logistic, multivariate_normal, norm

from hw5.distributions import (
    MIN_SCALE,
    Bernoulli,
    DiagonalGaussian,
    DiscretizedLogistic,
    FlowPosterior,
    Gaussian,
    GaussianMixturePrior,
    GaussianPrior,
    InverseAutoregressiveFlow,
    LogisticMixture,
    StandardNormal,
)
from hw5.errors import InputError

# Likelihoods

LEVELS = np.arange(256)
LEARNED = [Gaussian, DiscretizedLogistic]


def built(likelihood, shape=(4, 5, 3)):
    likelihood.build((None, *shape))
    return likelihood


def every_level(likelihood, output):
    """Return log P of the levels 0 … 255 of one pixel, [256]."""
    images = (LEVELS / 255).astype(np.float32).reshape(-1, 1, 1, 1)
    return built(likelihood, (1, 1, 1)).log_prob(images, np.full_like(images, output)).numpy()


def logistic_bins(mean, scale):
    """Return log P of the levels 0 … 255 in float64, bins mirrored to the left of the mean, where cdfs are small."""
    ends = (np.concatenate([[-np.inf], LEVELS[1:] - 0.5, [np.inf]]) / 255 - mean) / scale
    lower, upper = ends[:-1], ends[1:]
    right = lower + upper > 0
    lower, upper = np.where(right, -upper, lower), np.where(right, -lower, upper)
    return log_expit(upper) + np.log(-np.expm1(log_expit(lower) - log_expit(upper)))


def logistic_masses(images, location, scale):
    """Return P of images k/255 in float64, by SciPy; right of the location from the upper tail, to keep the digits."""
    levels = np.round(255 * np.float64(images))
    lower = np.where(levels == 0, -np.inf, (levels - 0.5) / 255)
    upper = np.where(levels == 255, np.inf, (levels + 0.5) / 255)
    left = logistic.cdf(upper, location, scale) - logistic.cdf(lower, location, scale)
    right = logistic.sf(lower, location, scale) - logistic.sf(upper, location, scale)
    return np.where(lower > location, right, left)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 256, (6, 4, 5, 3)) / 255).astype(np.float32)
    return images, rng.normal(size=images.shape, scale=2).astype(np.float32)


def test_bernoulli_against_scipy(batch):
    images, outputs = batch
    expected = bernoulli.logpmf(images > 0.5, expit(outputs.astype(np.float64))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(Bernoulli().log_prob((images > 0.5).astype("float32"), outputs), expected, rtol=1e-5)
    assert not Bernoulli().has_sigma
    assert not built(Bernoulli()).variables


@pytest.mark.parametrize("sigma", [0.6 * MIN_SCALE + 1e-3, 0.05, 0.2, 3.0])
def test_gaussian_against_scipy(batch, sigma):
    images, outputs = batch
    expected = norm.logpdf(images, expit(outputs.astype(np.float64)), sigma).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(built(Gaussian(initial_scale=sigma)).log_prob(images, outputs), expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [2 * MIN_SCALE, 0.01, 0.1, 50.0])
@pytest.mark.parametrize("output", [-12.0, -3.0, 0.1, 3.0, 12.0])
def test_discretized_logistic_against_float64_far_into_its_tails(scale, output):
    expected = logistic_bins(expit(output), scale)
    measured = every_level(DiscretizedLogistic(initial_scale=scale), output)
    # float32 holds the mean to 6e-8, which counts in units of the scale
    np.testing.assert_allclose(measured, expected, rtol=2e-6, atol=2e-7 / scale + 2e-6)
    assert expected.min() < -3


@pytest.mark.parametrize("scale", [0.01, 0.1, 2.0])
def test_discretized_logistic_is_a_difference_of_cdfs(scale):
    ends = np.concatenate([[-np.inf], LEVELS[1:] - 0.5, [np.inf]]) / 255
    expected = np.diff(logistic.cdf(ends, loc=expit(0.3), scale=scale))
    np.testing.assert_allclose(np.exp(every_level(DiscretizedLogistic(initial_scale=scale), 0.3)), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [2 * MIN_SCALE, 0.003, 0.1, 5.0])
@pytest.mark.parametrize("output", [-30.0, -2.0, 0.0, 1.3, 30.0])
def test_the_256_probabilities_sum_to_one(scale, output):
    log_probs = every_level(DiscretizedLogistic(initial_scale=scale), output).astype(np.float64)
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=2e-5)


@pytest.mark.parametrize("likelihood", LEARNED)
def test_values_and_gradients_are_finite_at_the_extremes(likelihood):
    images = (LEVELS / 255).astype(np.float32).reshape(-1, 1, 1, 1)
    for raw, output in [(-200.0, -100.0), (-200.0, 100.0), (-200.0, 0.0), (100.0, 0.0), (0.0, 100.0)]:
        layer, outputs = built(likelihood(), (1, 1, 1)), tf.fill(images.shape, output)
        layer.raw_scale.assign(raw)
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            log_prob = layer.log_prob(images, outputs)
        gradients = tape.gradient(log_prob, [outputs, layer.raw_scale.value])
        assert all(np.isfinite(value).all() for value in (log_prob, *gradients)), (raw, output)


@pytest.mark.parametrize("likelihood", LEARNED)
def test_gradients_against_finite_differences(likelihood, batch):
    images, outputs = batch
    layer = built(likelihood(initial_scale=0.15))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer.log_prob(images, outputs))
    gradient = float(tape.gradient(value, layer.raw_scale.value))
    raw, step = float(layer.raw_scale.numpy()), 1e-2
    values = []
    for moved in (raw + step, raw - step):
        layer.raw_scale.assign(moved)
        values.append(float(tf.reduce_sum(layer.log_prob(images, outputs))))
    assert gradient == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-2)


@pytest.mark.parametrize("likelihood", LEARNED)
def test_a_scale_per_pixel_is_that_of_its_pixel(likelihood, batch):
    images, outputs = batch
    layer = built(likelihood("per_pixel"))
    assert layer.raw_scale.shape == (4, 5, 3)
    before = layer.log_prob(images, outputs).numpy()
    np.testing.assert_allclose(before, built(likelihood()).log_prob(images, outputs), rtol=1e-6)
    raw = layer.raw_scale.numpy()
    raw[1, 2, 0] += 1
    layer.raw_scale.assign(raw)
    pixel = [np.ascontiguousarray(array[:, 1:2, 2:3, 0:1]) for array in batch]
    alone = built(likelihood(), (1, 1, 1))
    change = -alone.log_prob(*pixel).numpy()
    alone.raw_scale.assign(raw[1, 2, 0])
    change += alone.log_prob(*pixel).numpy()
    assert np.abs(change).min() > 1e-3
    np.testing.assert_allclose(layer.log_prob(images, outputs).numpy() - before, change, atol=2e-4)


@pytest.mark.parametrize("likelihood", LEARNED)
def test_a_scale_per_image_is_moved_by_the_extra_channel(likelihood, batch):
    images, outputs = batch
    layer = built(likelihood("per_image", initial_scale=0.2), (4, 5, 4))
    assert layer.output_channels(3) == 4
    extra = np.random.default_rng(0).normal(size=(*outputs.shape[:-1], 1)).astype(np.float32)
    both = np.concatenate([outputs, extra], axis=-1)
    np.testing.assert_allclose(layer.mean(both), expit(outputs), rtol=1e-6)
    scales = MIN_SCALE + np.logaddexp(0, np.log(np.expm1(0.2 - MIN_SCALE)) + extra.mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(np.ravel(layer.scale(both)), scales, rtol=1e-5)
    for image, output, scale, value in zip(images, outputs, scales, layer.log_prob(images, both), strict=True):
        alone = built(likelihood(initial_scale=float(scale))).log_prob(image[None], output[None])
        np.testing.assert_allclose(value, alone[0], rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    np.testing.assert_array_equal(again.log_prob(images, both), layer.log_prob(images, both))


@pytest.mark.parametrize("likelihood", LEARNED)
def test_a_predicted_scale_is_that_of_its_pixel_and_image(likelihood, batch):
    images, outputs = batch
    layer = built(likelihood("predicted", initial_scale=0.2), (4, 5, 6))
    assert layer.output_channels(3) == 6
    predicted = np.random.default_rng(0).normal(size=outputs.shape).astype(np.float32)
    both = np.concatenate([outputs, predicted], axis=-1)
    np.testing.assert_allclose(layer.mean(both), expit(outputs), rtol=1e-6)
    scales = MIN_SCALE + np.logaddexp(0, np.log(np.expm1(0.2 - MIN_SCALE)) + np.float64(predicted))
    np.testing.assert_allclose(layer.scale(both), scales, rtol=1e-5)
    if likelihood is Gaussian:
        expected = norm.logpdf(images, expit(np.float64(outputs)), scales).sum(axis=(1, 2, 3))
    else:
        expected = np.log(logistic_masses(images, expit(np.float64(outputs)), scales)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(layer.log_prob(images, both), expected, rtol=1e-4)


# Mixtures of discretised logistics


def mixture_outputs(likelihood, shape, spread=2.0):
    channels = likelihood.output_channels(shape[-1])
    return np.random.default_rng(3).normal(size=(*shape[:-1], channels), scale=spread).astype(np.float32)


@pytest.mark.parametrize("components", [1, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0])
def test_the_256_probabilities_of_a_mixture_sum_to_one(components, spread):
    likelihood = LogisticMixture(components)
    outputs = mixture_outputs(likelihood, (1, 1, 1, 1), spread)
    images = (LEVELS / 255).astype(np.float32).reshape(-1, 1, 1, 1)
    log_probs = built(likelihood, outputs.shape[1:]).log_prob(images, np.repeat(outputs, 256, axis=0)).numpy()
    assert np.exp(log_probs.astype(np.float64)).sum() == pytest.approx(1, abs=2e-5)


def test_the_65536_probabilities_of_two_channels_sum_to_one():
    likelihood = LogisticMixture(3)
    outputs = mixture_outputs(likelihood, (1, 1, 1, 2))
    images = np.stack(np.meshgrid(LEVELS, LEVELS), axis=-1).reshape(-1, 1, 1, 2).astype(np.float32) / 255
    log_probs = built(likelihood, outputs.shape[1:]).log_prob(images, np.repeat(outputs, len(images), axis=0)).numpy()
    assert np.exp(log_probs.astype(np.float64)).sum() == pytest.approx(1, abs=2e-5)


def test_a_mixture_needs_a_logit_and_the_places_and_scales_of_the_channels_for_each_component():
    assert LogisticMixture(4).output_channels(3) == 4 * 7
    assert LogisticMixture().output_channels(1) == 5 * 3


def test_a_mixture_against_scipy(batch):
    """Check Σ_k π_k Π_c P(x_c; μ_kc, s_kc) in float64, from the decoder's outputs in the order that they have."""
    images, likelihood = batch[0], LogisticMixture(4, initial_scale=0.05)
    outputs = mixture_outputs(likelihood, images.shape, spread=1.0)
    layer = built(likelihood, outputs.shape[1:])
    by_component = np.float64(outputs).reshape(*images.shape[:3], 4, 7)
    shares = np.exp(by_component[..., 0]) / np.exp(by_component[..., 0]).sum(axis=-1, keepdims=True)
    grey = np.log(np.array([1, 3, 5, 7]) / np.array([7, 5, 3, 1]))[:, None]  # the logits of 1/8, 3/8, 5/8, 7/8
    locations = expit(grey + by_component[..., 1:4])
    scales = MIN_SCALE + np.logaddexp(0, np.log(np.expm1(0.05 - MIN_SCALE)) + by_component[..., 4:])
    masses = logistic_masses(images[..., None, :], locations, scales)
    expected = np.log((shares * masses.prod(axis=-1)).sum(axis=-1)).sum(axis=(1, 2))
    np.testing.assert_allclose(layer.log_prob(images, outputs), expected, rtol=1e-4)
    mean = (shares[..., None] * locations).sum(axis=-2)
    np.testing.assert_allclose(layer.mean(outputs), mean, rtol=1e-4)


def test_a_mixture_of_one_component_is_the_logistic_with_a_predicted_scale(batch):
    images, outputs = batch
    scales = np.random.default_rng(0).normal(size=outputs.shape).astype(np.float32)
    logits = np.full((*images.shape[:3], 1), 7.0, np.float32)  # of the only component: without effect
    mixture = built(LogisticMixture(1), (4, 5, 7)).log_prob(images, np.concatenate([logits, outputs, scales], axis=-1))
    both = np.concatenate([outputs, scales], axis=-1)
    expected = built(DiscretizedLogistic("predicted"), (4, 5, 6)).log_prob(images, both)
    np.testing.assert_allclose(mixture, expected, rtol=1e-5)


def test_a_mixture_is_finite_at_the_extremes():
    images = (LEVELS / 255).astype(np.float32).reshape(-1, 1, 1, 1)
    likelihood = built(LogisticMixture(2), (1, 1, 6))
    for raw in (-200.0, 0.0, 200.0):
        for place in (-200.0, 0.0, 200.0):
            outputs = tf.constant([[[[raw, place, raw, -raw, -place, raw]]]] * 256)
            with tf.GradientTape() as tape:
                tape.watch(outputs)
                log_prob = likelihood.log_prob(images, outputs)
            gradients = tape.gradient(log_prob, [outputs, *[weight.value for weight in likelihood.trainable_weights]])
            assert all(np.isfinite(value).all() for value in (log_prob, *gradients)), (raw, place)


def test_a_mixture_is_serialized():
    layer = built(LogisticMixture(3, initial_scale=0.2), (4, 5, 21))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (again.components, again.initial_scale) == (3, 0.2)
    np.testing.assert_allclose(again.raw_locations, layer.raw_locations)


def test_sigma_is_the_standard_deviation():
    assert float(built(Gaussian(initial_scale=0.3)).sigma(None)) == pytest.approx(0.3, rel=1e-6)
    assert float(built(DiscretizedLogistic(initial_scale=0.3)).sigma(None)) == pytest.approx(
        logistic.std(scale=0.3), rel=1e-6
    )


@pytest.mark.parametrize("likelihood", LEARNED)
def test_the_scale_is_positive_and_bounded_below(likelihood):
    layer = built(likelihood())
    for raw in (-1000.0, -20.0, 0.0, 1000.0):
        layer.raw_scale.assign(raw)
        assert MIN_SCALE <= float(layer.scale(None)) <= 1001


@pytest.mark.parametrize("likelihood", [Bernoulli, *LEARNED])
def test_means_are_images(likelihood, batch):
    np.testing.assert_allclose(built(likelihood()).mean(batch[1]), expit(batch[1]), rtol=1e-6)


@pytest.mark.parametrize("likelihood", LEARNED)
def test_the_arguments_are_kept_and_checked(likelihood):
    config = keras.saving.serialize_keras_object(built(likelihood("per_pixel", initial_scale=0.25)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is likelihood
    assert (again.scale_sharing, again.initial_scale) == ("per_pixel", 0.25)
    assert again.raw_scale.shape == (4, 5, 3)
    with pytest.raises(
        InputError, match="scale_sharing=per_row: must be one of shared, per_pixel, per_image, predicted"
    ):
        likelihood("per_row")
    for scale in (0, MIN_SCALE):
        with pytest.raises(InputError, match=f"initial_scale={scale}: must be above {MIN_SCALE}"):
            likelihood(initial_scale=scale)


@pytest.mark.parametrize(("likelihood", "scale"), [(Gaussian, 0.2), (DiscretizedLogistic, 0.1)])
def test_by_default_one_scale_is_shared_by_all_pixels(likelihood, scale):
    layer = built(likelihood(name="of_pixels"))
    assert (layer.name, layer.scale_sharing, layer.output_channels(3)) == ("of_pixels", "shared", 3)
    assert layer.raw_scale.shape == ()
    assert float(layer.scale(None)) == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize("distribution", [Gaussian, Bernoulli, InverseAutoregressiveFlow, GaussianPrior])
def test_densities_are_float32_under_every_policy_unless_it_is_asked_for(distribution):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert distribution().compute_dtype == "float32"
        assert distribution(dtype="float64", name="own").compute_dtype == "float64"
    finally:
        keras.config.set_dtype_policy(policy)


# Posteriors


def posterior(count=16, size=3):
    rng = np.random.default_rng(4)
    return DiagonalGaussian(*rng.normal(size=(2, count, size)).astype(np.float32))


def test_samples_have_the_mean_and_variance_asked_for():
    mean, log_var = np.array([[-1.0, 0.0, 3.0]], "float32"), np.log([[0.25, 1.0, 4.0]]).astype("float32")
    epsilon = np.random.default_rng(0).normal(size=(100_000, 3)).astype("float32")
    z, _ = DiagonalGaussian(mean, log_var).sample(epsilon)
    # Standard errors over n = 10⁵ draws: σ/√n of a mean, √(2/n) of a relative variance; five of them.
    sigma = np.exp(log_var[0] / 2)
    np.testing.assert_array_less(np.abs(np.mean(z, axis=0) - mean[0]), 5 * sigma / np.sqrt(1e5))
    np.testing.assert_array_less(np.abs(np.var(z, axis=0) / sigma**2 - 1), 5 * np.sqrt(2 / 1e5))


def test_gradients_of_a_sample_are_those_of_the_reparametrisation():
    mean, log_var, epsilon = tf.constant([[0.5, -1.0]]), tf.constant([[0.2, -0.4]]), tf.constant([[0.3, -2.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([mean, log_var])
        z, _ = DiagonalGaussian(mean, log_var).sample(epsilon)
    np.testing.assert_allclose(tape.gradient(z, mean), [[1, 1]])  # dz/dμ = 1
    np.testing.assert_allclose(tape.gradient(z, log_var), (z - mean) / 2, rtol=1e-6)  # dz/ds = σε/2


@pytest.mark.parametrize("shape", [(16, 3), (5, 16, 3)])
def test_the_density_of_a_sample_is_that_of_the_gaussian(shape):
    q = posterior()
    z, log_prob = q.sample(np.random.default_rng(5).normal(size=shape).astype(np.float32))
    expected = norm.logpdf(np.float64(z), q.mean, np.exp(q.log_var / 2)).sum(axis=-1)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 3), (5, 16, 3)])
def test_the_density_as_a_function_of_z_is_that_of_its_sample(shape):
    q = posterior()
    z, log_prob = q.sample(np.random.default_rng(5).normal(size=shape).astype(np.float32))
    np.testing.assert_allclose(q.log_prob(z), log_prob, rtol=1e-5, atol=1e-5)


def test_the_path_gradient_of_the_density_is_that_of_z_alone():
    """Check d log q(z)/dz · dz/dμ = −ε/σ, where in the total derivative the two parts cancel."""
    mean, log_var, epsilon = tf.constant([[0.5, -1.0]]), tf.constant([[0.2, -0.4]]), tf.constant([[0.3, -2.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([mean, log_var])
        q = DiagonalGaussian(mean, log_var)
        z, total = q.sample(epsilon)
        total_of_z, path = q.log_prob(z), q.stop_gradient().log_prob(z)
    sigma = np.exp(log_var.numpy() / 2)
    np.testing.assert_allclose(tape.gradient(path, mean), -epsilon / sigma, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(path, log_var), -np.square(epsilon) / 2, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(total_of_z, mean), [[0, 0]], atol=1e-6)
    for log_prob in (total, total_of_z):
        np.testing.assert_allclose(tape.gradient(log_prob, log_var), [[-0.5, -0.5]], rtol=1e-5)


def test_no_noise_gives_the_mode():
    q = posterior()
    z, log_prob = q.sample(0.0)
    np.testing.assert_array_equal(z, q.mean)
    np.testing.assert_allclose(log_prob, norm.logpdf(0, 0, np.exp(q.log_var / 2)).sum(axis=-1), rtol=1e-5)


def test_the_density_of_a_flow_posterior_is_divided_by_the_determinant():
    q, layer, context = posterior(), flow(2, latent_dim=3), np.ones((16, 4), np.float32)
    epsilon = np.random.default_rng(5).normal(size=(5, 16, 3)).astype(np.float32)
    z, log_prob = FlowPosterior(q, layer, context).sample(epsilon)
    first, log_prob_of_first = q.sample(epsilon)
    expected, log_det = layer(first, context)
    np.testing.assert_array_equal(z, expected)
    np.testing.assert_allclose(log_prob, log_prob_of_first - log_det, rtol=1e-6)


# The inverse autoregressive flow

RNG = np.random.default_rng(0)


def flow(steps=2, latent_dim=5, context_dim=4):
    """A flow whose weights are so large that it changes z."""
    layer = InverseAutoregressiveFlow(steps, hidden=16)
    layer.build((None, latent_dim), (None, context_dim))
    for weight in layer.weights:
        weight.assign(RNG.normal(0, weight.shape[0] ** -0.5, weight.shape))
    return layer


def jacobians(layer, z, context):
    """Compute ∂z/∂z₀ by automatic differentiation, [batch, latent_dim, latent_dim]."""
    with tf.GradientTape() as tape:
        z = tf.constant(z)
        tape.watch(z)
        moved, _ = layer(z, context)
    return tape.batch_jacobian(moved, z).numpy()


@pytest.mark.parametrize("latent_dim", [1, 2, 5, 20])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_log_determinant_is_that_of_the_jacobian(steps, latent_dim):
    layer = flow(steps, latent_dim)
    z, context = (RNG.normal(size=(6, n)).astype(np.float32) for n in (latent_dim, 4))
    _, log_det = layer(z, context)
    sign, expected = np.linalg.slogdet(jacobians(layer, z, context).astype(np.float64))
    assert (sign != 0).all()
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-4)


def test_one_step_is_triangular_and_two_are_not():
    z, context = (RNG.normal(size=(3, n)).astype(np.float32) for n in (5, 4))
    one = jacobians(flow(1), z, context)
    np.testing.assert_array_equal(np.triu(one, 1), 0)
    assert (np.abs(one[:, np.arange(1, 5), np.arange(4)]) > 1e-6).all()  # z_i depends on z_{i-1}
    two = jacobians(flow(2), z, context)
    assert np.abs(np.triu(two, 1)).max() > 1e-3
    assert np.abs(np.tril(two, -1)).max() > 1e-3


def test_the_context_moves_every_dimension():
    layer = flow(1)
    z, context = (RNG.normal(size=(1, n)).astype(np.float32) for n in (5, 4))
    assert (np.abs(layer(z, context)[0] - layer(z, context + 1)[0]) > 1e-6).all()


def test_a_step_moves_z_towards_m():
    """Check z ← σ ⊙ z + (1 − σ) ⊙ m with m and σ that depend on nothing."""
    layer = InverseAutoregressiveFlow(1, hidden=4)
    layer.build((None, 2), (None, 3))
    for weight in layer.weights:
        weight.assign(np.zeros(weight.shape))
    m, gate = np.array([5.0, -7.0]), np.array([0.5, -1.0])
    layer.networks[0]["output_bias"].assign([*m, *gate])
    z, sigma = RNG.normal(size=(6, 2)).astype(np.float32), expit(gate + 2)
    moved, log_det = layer(z, np.ones((6, 3), np.float32))
    np.testing.assert_allclose(moved, sigma * z + (1 - sigma) * m, rtol=1e-5, atol=1e-5)  # the sum may cancel
    np.testing.assert_allclose(log_det, np.full(6, np.log(sigma).sum()), rtol=1e-5)


def test_no_steps_change_nothing():
    z = RNG.normal(size=(3, 5)).astype(np.float32)
    moved, log_det = flow(0)(z, np.zeros((3, 4), np.float32))
    np.testing.assert_array_equal(moved, z)
    np.testing.assert_array_equal(log_det, np.zeros(3))


def test_it_starts_near_the_identity():
    layer = InverseAutoregressiveFlow(2)
    layer.build((None, 50), (None, 50))
    z, context = (RNG.normal(size=(100, 50)).astype(np.float32) for _ in range(2))
    moved, _ = layer(z, context)
    assert np.corrcoef(np.ravel(moved[:, ::-1]), np.ravel(z))[0, 1] > 0.95


@pytest.mark.parametrize(
    ("latent_dim", "of_z", "of_outputs"),
    [
        (1, [[1, 1, 1, 1]], [[0]] * 4),
        (2, [[1, 1, 1, 1], [0, 0, 0, 0]], [[0, 1]] * 4),
        # hidden units see z₁ or z₁ and z₂ in turn, and reach the dimensions after these
        (3, [[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], [[0, 1, 1], [0, 0, 1]] * 2),
    ],
)
def test_hidden_units_see_the_first_dimensions_and_reach_the_others(latent_dim, of_z, of_outputs):
    layer = InverseAutoregressiveFlow(1, hidden=4)
    layer.build((None, latent_dim), (None, 2))
    np.testing.assert_array_equal(layer.masks[0], of_z)
    np.testing.assert_array_equal(layer.masks[1], np.concatenate([of_outputs, of_outputs], axis=1))  # of m and of σ


def test_its_weights_start_with_the_variance_of_glorot_and_those_of_the_outputs_at_a_hundredth_of_it():
    layer = InverseAutoregressiveFlow(2, name="flow")
    layer.build((None, 60), (None, 50))
    assert (layer.name, layer.steps, layer.hidden) == ("flow", 2, 200)
    assert len({weight.name for weight in layer.weights}) == 12
    for step, weights in enumerate(layer.networks):
        for name, kernel in weights.items():
            assert kernel.name == f"{name}_{step}"
            if name.endswith("bias"):
                np.testing.assert_array_equal(kernel, 0)
            else:
                expected = (1 if name in ("z_kernel", "context_kernel") else 0.1) * np.sqrt(2 / sum(kernel.shape))
                # The error of a standard deviation of n normal numbers is σ/√(2 n), of cut ones smaller; five of them.
                assert np.std(kernel) == pytest.approx(expected, rel=5 / np.sqrt(2 * np.size(kernel)))


def test_samples_in_front_of_the_batch_are_as_good_as_one_by_one():
    layer = flow(2)
    z, context = RNG.normal(size=(7, 3, 5)).astype(np.float32), RNG.normal(size=(3, 4)).astype(np.float32)
    moved, log_det = layer(z, context)
    assert (moved.shape, log_det.shape) == ((7, 3, 5), (7, 3))
    for index in range(7):
        one, its_log_det = layer(z[index], context)
        np.testing.assert_allclose(moved[index], one, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(log_det[index], its_log_det, rtol=1e-5, atol=1e-6)


def test_the_arguments_are_kept():
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(flow(3)))
    assert (again.steps, again.hidden) == (3, 16)


# Priors


def fitted_prior(count=200, size=3):
    """A prior, and the latents it was fitted to."""
    rng = np.random.default_rng(2)
    prior, z = GaussianPrior(), rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + [3, -1, 0]
    prior.build((None, size))
    prior.fit(z)
    return prior, z


def test_a_prior_is_standard_normal_until_it_is_fitted():
    z = np.random.default_rng(3).normal(size=(4, 2, 3)).astype(np.float32)
    expected = multivariate_normal(np.zeros(3)).logpdf(z)
    fitted = GaussianPrior()
    fitted.build((None, 3))
    for prior in (StandardNormal(), fitted):
        np.testing.assert_array_equal(prior.color(z), z)
        np.testing.assert_array_equal(prior.whiten(z), z)
        np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)
    q = posterior()
    np.testing.assert_allclose(fitted.kl(q), StandardNormal().kl(q), rtol=1e-5)


def test_a_fitted_prior_is_the_gaussian_of_its_latents():
    prior, z = fitted_prior()
    expected = multivariate_normal(z.mean(axis=0), np.cov(z, rowvar=False)).logpdf(z)
    np.testing.assert_allclose(prior.log_prob(np.float32(z)), expected, rtol=1e-4, atol=1e-4)
    white = prior.whiten(np.float32(z)).numpy()
    np.testing.assert_allclose(white.mean(axis=0), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(3), atol=1e-4)
    np.testing.assert_allclose(prior.color(white), z, rtol=1e-4, atol=1e-4)


def test_a_fitted_prior_is_the_most_likely_one():
    prior, z = fitted_prior()
    z = np.float32(z)
    best = np.mean(prior.log_prob(z))
    assert best > np.mean(StandardNormal().log_prob(z)) + 1
    mean, cholesky = prior.mean.numpy(), prior.cholesky.numpy()
    for shift, stretch in ((0.3, 1.0), (0.0, 1.2), (0.0, 0.8)):
        prior.mean.assign(mean + np.float32(shift))
        prior.cholesky.assign(cholesky * np.float32(stretch))
        assert np.mean(prior.log_prob(z)) < best - 0.01


def test_the_kl_divergence_to_a_fitted_prior_is_that_of_two_gaussians():
    (prior, _), q = fitted_prior(), posterior()
    covariance = prior.cholesky.numpy().astype(np.float64) @ prior.cholesky.numpy().T
    precision, distance = np.linalg.inv(covariance), q.mean - prior.mean.numpy()
    # ½ (tr(Σ⁻¹ diag σ²) + (μ − m)ᵀ Σ⁻¹ (μ − m) − d + log |Σ| − Σ log σ²)
    expected = 0.5 * (
        np.exp(q.log_var) @ np.diag(precision)
        + np.einsum("bi,ij,bj->b", distance, precision, distance)
        - 3
        + np.linalg.slogdet(covariance)[1]
        - q.log_var.sum(axis=1)
    )
    np.testing.assert_allclose(prior.kl(q), expected, rtol=1e-4)


@pytest.mark.parametrize("build", [StandardNormal, lambda: fitted_prior()[0]])
def test_the_kl_divergence_is_the_mean_of_its_estimates(build):
    prior, q = build(), posterior()
    z, log_prob = q.sample(np.random.default_rng(6).normal(size=(4000, 16, 3)).astype(np.float32))
    estimates = np.float64(log_prob - prior.log_prob(z))
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    np.testing.assert_array_less(np.abs(estimates.mean(axis=0) - prior.kl(q)), 5 * error + 1e-4)


def test_a_prior_is_fitted_and_not_trained():
    prior, _ = fitted_prior(count=4)
    assert not prior.trainable_variables
    assert [weight.name for weight in prior.weights] == ["mean", "cholesky"]
    samples = GaussianPrior()
    samples.build((None, 5, 3))  # several samples of each image
    assert samples.cholesky.shape == (3, 3)


def test_a_prior_needs_more_images_than_latents():
    with pytest.raises(InputError, match="^prior=gaussian: 3 images are too few to fit a prior of 3 latents to"):
        fitted_prior(count=3)


def clusters(count=4000):
    """Two clusters of equal size around (−3, 0) and (3, 1), with variances of 1/4 and 1."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=(count, 2)) * [0.5, 1]
    z[::2] += [-3, 0]
    z[1::2] += [3, 1]
    return z.astype(np.float32)


def mixture_prior(components=2):
    prior = GaussianMixturePrior(components)
    prior.build((None, 2))
    return prior


def test_a_mixture_prior_is_standard_normal_until_it_is_fitted():
    prior, z = mixture_prior(3), np.random.default_rng(0).normal(size=(7, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(prior.log_prob(z), StandardNormal().log_prob(z), rtol=1e-5)
    np.testing.assert_array_equal(prior.whiten(z), z)
    assert not prior.has_closed_kl
    assert not prior.trainable_variables


def test_a_fitted_mixture_prior_has_the_density_of_its_clusters():
    prior, z = mixture_prior(), clusters()
    prior.fit(z)
    components = [multivariate_normal(m, np.diag([0.25, 1])).pdf(z) for m in ([-3, 0], [3, 1])]
    difference = np.float64(prior.log_prob(z)) - np.log(np.mean(components, axis=0))
    # at the maximum the mean gains half a nat for each of 11 parameters, in all; and the prior of EM has ν = 2
    assert abs(difference.mean()) < 20 / len(z)
    assert np.abs(difference).max() < 0.5


def test_codes_of_a_mixture_prior_are_its_clusters_with_mean_0_and_covariance_1():
    prior, count = mixture_prior(), 20_000
    prior.fit(clusters())
    codes = prior.draw_codes(count, 2, 5)
    np.testing.assert_array_equal(codes, prior.draw_codes(count, 2, 5))
    np.testing.assert_array_equal(codes, prior.draw_codes(count, 2, keras.random.SeedGenerator(5)))
    # five standard errors of a mean, 1/√n, and of a covariance, at most √(2/n)
    np.testing.assert_allclose(np.mean(codes, axis=0), 0, atol=5 / np.sqrt(count))
    np.testing.assert_allclose(np.cov(np.transpose(codes)), np.eye(2), atol=5 * np.sqrt(2 / count))
    z = np.asarray(prior.color(codes))
    np.testing.assert_allclose(prior.whiten(z), codes, atol=1e-5)
    assert np.mean(np.abs(z[:, 0]) < 1) < 1e-3  # four standard deviations from both clusters
    assert np.mean(z[:, 0] > 0) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(count))


def test_a_mixture_prior_is_serialized_with_its_components():
    prior = mixture_prior(4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior))
    assert again.components == 4
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in prior.weights]
