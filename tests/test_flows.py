"""The inverse autoregressive flow against automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hw5.flows import InverseAutoregressiveFlow

RNG = np.random.default_rng(0)


def flow(steps=2, latent_dim=5, context_dim=4):
    """One with weights so large that it does something."""
    layer = InverseAutoregressiveFlow(steps, hidden=16)
    layer.build((None, latent_dim), (None, context_dim))
    for weight in layer.weights:
        weight.assign(RNG.normal(0, weight.shape[0] ** -0.5, weight.shape))
    return layer


def jacobians(layer, z, context):
    """∂z/∂z₀ by automatic differentiation, [batch, latent_dim, latent_dim]."""
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
