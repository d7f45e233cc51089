"""The fused Adam against Keras' own, and the learning rate over a training."""

import keras
import numpy as np
import tensorflow as tf

from hw5.training import Adam, WarmupDecay


def test_fused_adam_makes_the_steps_of_keras():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(4, 3)), rng.normal(size=(20, 4, 3)) * 10.0 ** rng.integers(-4, 4, (20, 4, 3))
    paths = []
    for optimizer in (keras.optimizers.Adam, Adam):
        variable = keras.Variable(start, dtype="float32")
        adam = optimizer(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-5)
        for gradient in gradients:
            adam.apply([tf.constant(gradient, tf.float32)], [variable])
        paths.append([variable.numpy(), *(slot.numpy() for slot in adam.variables[2:])])
    for ours, keras_ in zip(*paths, strict=True):
        np.testing.assert_allclose(ours, keras_, rtol=2e-5, atol=1e-6)  # twenty float32 steps in another order


def test_adam_keeps_its_slots_in_a_checkpoint(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer=Adam(WarmupDecay(0.1, 100)), loss="mse")
    model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is Adam
    assert loaded.optimizer.iterations.numpy() == 1
    for saved, read in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(saved, read)


def test_learning_rate_rises_in_a_twentieth_and_falls_to_zero():
    rates = np.array([float(WarmupDecay(0.5, 1000)(step)) for step in range(1001)])
    assert np.argmax(rates) == 50 - 1
    np.testing.assert_allclose(rates.max(), 0.5, rtol=1e-6)
    assert np.all(np.diff(rates[:50]) > 0)
    assert np.all(np.diff(rates[50:]) < 0)
    assert 0 < rates[0] <= 0.5 / 50 * 1.001
    assert rates[1000] == 0


def test_a_single_step_has_the_full_learning_rate():
    np.testing.assert_allclose(WarmupDecay(0.5, 1)(0), 0.5)
