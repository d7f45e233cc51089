"""The Sampling layer."""

import numpy as np
import tensorflow as tf

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
