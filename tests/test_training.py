"""The one way of training."""

import keras
import numpy as np
import pytest

from hw5 import models, networks, training
from hw5.errors import InputError


def small_vae():
    keras.utils.set_random_seed(3)
    return models.VAE(*networks.dense_vae(2, hidden=16))


@pytest.mark.parametrize(
    ("images", "batch_size", "expected"),
    [
        (54_000, 128, (420, 60)),  # 421 is prime: one step short
        (54_000, 100, (540, 60)),
        (60_000, 128, (468, 52)),
        (1_000, 100, (10, 10)),
        (6_300, 100, (63, 63)),
        (50, 50, (1, 1)),
    ],
)
def test_an_epoch_is_a_whole_number_of_executions(images, batch_size, expected):
    assert training.epoch_steps(images, batch_size) == expected


@pytest.mark.parametrize("images", range(100, 40_000, 1_237))
def test_an_epoch_loses_at_most_two_percent(images):
    steps, execution = training.epoch_steps(images, 32)
    assert steps % execution == 0
    assert 0.98 * (images // 32) <= steps <= images // 32


def test_an_epoch_runs_exactly_its_steps(digits):
    model = small_vae()
    training.fit(model, digits, None, epochs=2, batch_size=19, learning_rate=1e-3)
    steps, execution = training.epoch_steps(len(digits), 19)
    assert execution > 1
    assert model.optimizer.iterations.numpy() == 2 * steps


def test_two_runs_with_one_seed_agree_and_another_seed_does_not(digits):
    def run(seed):
        model = small_vae()
        history = training.fit(
            model, digits[:500], digits[500:600], epochs=2, batch_size=50, learning_rate=1e-3, seed=seed
        )
        return history, model.get_weights()

    (history, weights), (again, weights_again), (other, _) = run(1), run(1), run(2)
    assert history == again
    for one, two in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert history != other


def test_training_lowers_the_validation_loss(digits):
    history = training.fit(small_vae(), digits[:1500], digits[1500:], epochs=4, batch_size=50, learning_rate=5e-3)
    assert history["val_loss"][-1] < 0.9 * history["val_loss"][0]


def test_a_batch_larger_than_the_data(digits):
    history = training.fit(small_vae(), digits[:10], digits[:10], epochs=1, batch_size=128, learning_rate=1e-3)
    assert np.isfinite(history["loss"]).all()


def test_divergence_is_said_and_not_trained_on(digits):
    with pytest.raises(InputError, match=r"training diverged: \w+ is (nan|inf) in epoch 1; lower --learning_rate"):
        training.fit(small_vae(), digits[:500], digits[:100], epochs=50, batch_size=50, learning_rate=1e6)


def test_transform_sees_every_batch(digits):
    model = models.Autoencoder(*networks.linear_autoencoder(2))
    black = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Rescaling(0.0)])
    history = training.fit(
        model, digits[:100], digits[:50], epochs=1, batch_size=50, learning_rate=0.1, transform=black
    )
    assert history["mse"] == history["val_mse"] == [0.0]  # an untrained linear autoencoder keeps black black
