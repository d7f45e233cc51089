"""Decoder likelihoods against SciPy's distributions in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_expit
from scipy.stats import bernoulli, logistic, norm

from hw5.likelihoods import MINIMUM, Bernoulli, DiscretizedLogistic, Gaussian

LEVELS = np.arange(256)
LEARNED = [Gaussian, DiscretizedLogistic]


def built(likelihood, shape=(4, 5, 3)):
    likelihood.build((None, *shape))
    return likelihood


def every_level(likelihood, output):
    """log P of the levels 0 … 255 of one pixel, [256]."""
    images = (LEVELS / 255).astype(np.float32).reshape(-1, 1, 1, 1)
    return built(likelihood, (1, 1, 1)).log_prob(images, np.full_like(images, output)).numpy()


def logistic_bins(mean, scale):
    """log P of the levels 0 … 255 in float64, each bin mirrored to the left of the mean, where cdfs are small."""
    ends = (np.concatenate([[-np.inf], LEVELS[1:] - 0.5, [np.inf]]) / 255 - mean) / scale
    lower, upper = ends[:-1], ends[1:]
    right = lower + upper > 0
    lower, upper = np.where(right, -upper, lower), np.where(right, -lower, upper)
    return log_expit(upper) + np.log(-np.expm1(log_expit(lower) - log_expit(upper)))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 256, (6, 4, 5, 3)) / 255).astype(np.float32)
    return images, rng.normal(size=images.shape, scale=2).astype(np.float32)


def test_bernoulli_against_scipy(batch):
    images, outputs = batch
    expected = bernoulli.logpmf(images > 0.5, expit(outputs.astype(np.float64))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(Bernoulli().log_prob((images > 0.5).astype("float32"), outputs), expected, rtol=1e-5)
    assert not Bernoulli().learns_sigma
    assert not built(Bernoulli()).variables


@pytest.mark.parametrize("sigma", [0.6 * MINIMUM + 1e-3, 0.05, 0.2, 3.0])
def test_gaussian_against_scipy(batch, sigma):
    images, outputs = batch
    expected = norm.logpdf(images, expit(outputs.astype(np.float64)), sigma).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(built(Gaussian(initial=sigma)).log_prob(images, outputs), expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [2 * MINIMUM, 0.01, 0.1, 50.0])
@pytest.mark.parametrize("output", [-12.0, -3.0, 0.1, 3.0, 12.0])
def test_discretized_logistic_against_float64_far_into_its_tails(scale, output):
    expected = logistic_bins(expit(output), scale)
    measured = every_level(DiscretizedLogistic(initial=scale), output)
    # float32 holds the mean to 6e-8, which counts in units of the scale
    np.testing.assert_allclose(measured, expected, rtol=2e-6, atol=2e-7 / scale + 2e-6)
    assert expected.min() < -3


@pytest.mark.parametrize("scale", [0.01, 0.1, 2.0])
def test_discretized_logistic_is_a_difference_of_cdfs(scale):
    ends = np.concatenate([[-np.inf], LEVELS[1:] - 0.5, [np.inf]]) / 255
    expected = np.diff(logistic.cdf(ends, loc=expit(0.3), scale=scale))
    np.testing.assert_allclose(np.exp(every_level(DiscretizedLogistic(initial=scale), 0.3)), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [2 * MINIMUM, 0.003, 0.1, 5.0])
@pytest.mark.parametrize("output", [-30.0, -2.0, 0.0, 1.3, 30.0])
def test_the_256_probabilities_sum_to_one(scale, output):
    log_probs = every_level(DiscretizedLogistic(initial=scale), output).astype(np.float64)
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
    layer = built(likelihood(initial=0.15))
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
    layer = built(likelihood("per_image", initial=0.2), (4, 5, 4))
    extra = np.random.default_rng(0).normal(size=(*outputs.shape[:-1], 1)).astype(np.float32)
    both = np.concatenate([outputs, extra], axis=-1)
    np.testing.assert_allclose(layer.mean(both), expit(outputs), rtol=1e-6)
    scales = MINIMUM + np.logaddexp(0, np.log(np.expm1(0.2 - MINIMUM)) + extra.mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(np.ravel(layer.scale(both)), scales, rtol=1e-5)
    for image, output, scale, value in zip(images, outputs, scales, layer.log_prob(images, both), strict=True):
        alone = built(likelihood(initial=float(scale))).log_prob(image[None], output[None])
        np.testing.assert_allclose(value, alone[0], rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    np.testing.assert_array_equal(again.log_prob(images, both), layer.log_prob(images, both))


def test_sigma_is_the_standard_deviation():
    assert float(built(Gaussian(initial=0.3)).sigma(None)) == pytest.approx(0.3, rel=1e-6)
    assert float(built(DiscretizedLogistic(initial=0.3)).sigma(None)) == pytest.approx(
        logistic.std(scale=0.3), rel=1e-6
    )


@pytest.mark.parametrize("likelihood", LEARNED)
def test_the_scale_is_positive_and_bounded_below(likelihood):
    layer = built(likelihood())
    for raw in (-1000.0, -20.0, 0.0, 1000.0):
        layer.raw_scale.assign(raw)
        assert MINIMUM <= float(layer.scale(None)) <= 1001


@pytest.mark.parametrize("likelihood", [Bernoulli, *LEARNED])
def test_means_are_images(likelihood, batch):
    np.testing.assert_allclose(built(likelihood()).mean(batch[1]), expit(batch[1]), rtol=1e-6)


@pytest.mark.parametrize("likelihood", LEARNED)
def test_the_arguments_are_kept_and_checked(likelihood):
    config = keras.saving.serialize_keras_object(built(likelihood("per_pixel", initial=0.25)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is likelihood
    assert (again.sharing, again.initial) == ("per_pixel", 0.25)
    assert again.raw_scale.shape == (4, 5, 3)
    with pytest.raises(ValueError, match="'per_row': must be one of shared, per_pixel, per_image"):
        likelihood("per_row")
    with pytest.raises(ValueError, match="initial=0"):
        likelihood(initial=0)
