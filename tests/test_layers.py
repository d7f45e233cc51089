"""The layers that Keras lacks."""

import numpy as np
import pytest
import tensorflow as tf

from hw5 import layers
from hw5.layers import Sampling


def test_samples_have_the_mean_and_variance_asked_for():
    mean, log_var = np.array([[-1.0, 0.0, 3.0]], "float32"), np.log([[0.25, 1.0, 4.0]]).astype("float32")
    z = Sampling(seed=0)(np.repeat(mean, 100_000, axis=0), np.repeat(log_var, 100_000, axis=0)).numpy()
    # Standard errors over n = 10⁵ draws: σ/√n of a mean, √(2/n) of a relative variance; five of them.
    sigma = np.exp(log_var[0] / 2)
    np.testing.assert_array_less(np.abs(z.mean(axis=0) - mean[0]), 5 * sigma / np.sqrt(1e5))
    np.testing.assert_array_less(np.abs(z.var(axis=0) / sigma**2 - 1), 5 * np.sqrt(2 / 1e5))


def test_gradients_are_those_of_the_reparametrisation():
    mean, log_var = tf.constant([[0.5, -1.0]]), tf.constant([[0.2, -0.4]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([mean, log_var])
        z = Sampling(seed=0)(mean, log_var)
    np.testing.assert_allclose(tape.gradient(z, mean), [[1, 1]])  # dz/dμ = 1
    np.testing.assert_allclose(tape.gradient(z, log_var), (z - mean) / 2, rtol=1e-6)  # dz/ds = σε/2


def test_noise_is_fresh_each_call_and_the_same_for_the_same_seed():
    zeros = np.zeros((2, 3), "float32")
    first, second = Sampling(seed=7), Sampling(seed=7)
    draws = [first(zeros, zeros).numpy() for _ in range(2)]
    assert not np.allclose(*draws)
    np.testing.assert_array_equal(draws, [second(zeros, zeros).numpy() for _ in range(2)])
    assert first.get_config()["seed"] == 7


def test_patch_noise_stays_inside_one_patch_and_reaches_every_place():
    images = np.full((2000, 12, 10, 1), 0.5, np.float32)
    noisy, mask = map(np.asarray, layers.PatchNoise(4, 0.1, seed=1)(images))
    np.testing.assert_array_equal(mask.sum(axis=(1, 2, 3)), 16)
    np.testing.assert_array_equal(noisy[mask == 0], 0.5)
    inside = noisy[mask == 1] - 0.5
    assert inside.std() == pytest.approx(0.1, rel=0.02)
    assert abs(inside.mean()) < 5 * 0.1 / len(inside) ** 0.5
    rows, columns = mask.any(axis=(2, 3)).argmax(axis=1), mask.any(axis=(1, 3)).argmax(axis=1)
    assert set(rows) == set(range(9))
    assert set(columns) == set(range(7))
    assert mask[0].any(axis=(1, 2)).sum() == mask[0].any(axis=(0, 2)).sum() == 4  # a square


def test_patch_noise_is_new_each_call_and_clipped():
    images = np.zeros((50, 9, 9, 3), np.float32)
    layer = layers.PatchNoise(9, 2.0, seed=1)
    (first, _), (second, _) = layer(images), layer(images)
    assert np.abs(first - second).max() > 0
    assert np.asarray(first).min() == 0
    assert np.asarray(first).max() == 1
    assert layers.PatchNoise.from_config(layer.get_config()).stddev == 2.0
