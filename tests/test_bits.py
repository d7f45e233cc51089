"""Bits per dimension of images under a VAE."""

from types import SimpleNamespace

import numpy as np
import pytest

from hw5 import data, distributions, layers, metrics, models, networks
from hw5.errors import InputError
from hw5.metrics import bits

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), np.uint8)


def model_of(is_continuous):
    return SimpleNamespace(likelihood=SimpleNamespace(is_continuous=is_continuous))


def test_images_of_a_density_are_dequantised_and_those_of_a_probability_are_levels(monkeypatch):
    """Check what is sampled: 8 bits are those of a uniform density on [0, 1], and of 256 equal probabilities."""
    asked = {}
    for is_continuous, nats in ((True, 0.0), (False, -16 * np.log(256))):
        monkeypatch.setattr(
            bits, "log_likelihood", lambda *args, nats=nats, **how: asked.update(how, args=args) or np.full(3, nats)
        )
        found = metrics.vae_bits_per_dimension(model_of(is_continuous), IMAGES, 7, seed=5, shards=4)
        np.testing.assert_allclose(found, [8, 8, 8], rtol=1e-12)
        _, images, num_samples = asked["args"]
        expected = metrics.dequantize(IMAGES, 5) if is_continuous else IMAGES / np.float32(255)
        np.testing.assert_allclose(images, expected, rtol=1e-6)
        assert images.dtype == np.float32
        assert (num_samples, asked["seed"], asked["shards"].count, asked["verbose"]) == (7, 5, 4, False)


def test_if_nothing_is_asked_there_are_2000_samples_of_seed_0_and_one_shard(monkeypatch):
    asked = {}
    monkeypatch.setattr(bits, "log_likelihood", lambda *args, **how: asked.update(how, args=args) or np.zeros(3))
    metrics.vae_bits_per_dimension(model_of(is_continuous=True), IMAGES)
    _, images, num_samples = asked["args"]
    np.testing.assert_array_equal(images, metrics.dequantize(IMAGES, 0))
    assert (num_samples, asked["seed"], asked["shards"].count, asked["verbose"]) == (2000, 0, 1, False)


@pytest.mark.parametrize("likelihood", [distributions.DiscretizedLogistic(), distributions.Gaussian()])
def test_the_bits_of_a_model_are_those_of_its_likelihood(likelihood):
    how = {"preprocessing": layers.Dequantization()} if likelihood.is_continuous else {}
    vae = models.VAE(*networks.dense_vae(2, hidden=4, image_shape=(4, 4, 1)), likelihood=likelihood, **how)
    found = metrics.vae_bits_per_dimension(vae, IMAGES, 20, seed=1)
    images = metrics.dequantize(IMAGES, 1) if likelihood.is_continuous else data.scale(IMAGES)
    nats = metrics.log_likelihood(vae, np.asarray(images), 20, seed=1)
    cells = 16 * np.log(256) if likelihood.is_continuous else 0  # the volume of a dequantised image's cell is 256^-16
    np.testing.assert_allclose(found, (cells - nats) / (16 * np.log(2)), rtol=1e-10)
    np.testing.assert_allclose(metrics.in_bits(nats, vae, (4, 4, 1)), found, rtol=1e-10)


def test_floats_have_no_bits():
    with pytest.raises(InputError, match="images to dequantize must be uint8, not float64"):
        metrics.vae_bits_per_dimension(model_of(True), IMAGES / 255, 1)


def test_differences_of_bits_are_those_of_the_same_images():
    of_images = np.array([3.0, 5.0, 10.0])
    row = metrics.summary_of_bits({"first": of_images, "last": of_images + [0.1, 0.2, 0.3]}, 3)
    assert (row["bits_per_dimension"], row["bits_per_pixel"]) == pytest.approx((6 + 0.2, 3 * (6 + 0.2)))
    assert row["bits_per_dimension_error"] > 2
    assert (row["bits_difference"], row["bits_difference_error"]) == pytest.approx((0.2, 0.1 / np.sqrt(3)))
    assert (row["bits_difference_from"], row["num_images"]) == ("first", 3)
    assert "bits_difference" not in metrics.summary_of_bits({"alone": of_images}, 3)
