"""Trained models for the package: smaller files, the same samples."""

import numpy as np
import pytest
import tensorflow as tf

from hw5 import models, networks
from hw5.errors import InputError
from hw5.models import ship


def gan(**arguments):
    return models.GAN(*networks.dcgan(5, 4, (32, 32, 1), self_modulation=True), **arguments)


def size(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_vae_keeps_its_samples_and_its_prior(tmp_path):
    vae = models.VAE(*networks.dense_vae(3, hidden=64))
    latents = np.random.default_rng(0).normal([1, 2, 3], [0.5, 1, 2], (200, 3))
    vae.fit_prior(latents.astype(np.float32))
    models.save(vae, tmp_path / "run")
    done = ship.run(tmp_path / "run", "small", store=tmp_path / "store")
    small = models.load(tmp_path / "store" / "small")
    assert size(tmp_path / "store" / "small") == done["bytes"] < 0.6 * size(tmp_path / "run")
    change = np.abs(np.asarray(small.sample(256, seed=0)) - vae.sample(256, seed=0))
    assert (change.max(), change.mean()) == pytest.approx((done["max_change"], done["mean_change"]))
    assert 0 < change.max() < 2e-3  # 11 bits of each weight
    assert {weight.dtype for weight in small.decoder.weights} == {"float32"}
    np.testing.assert_allclose(small.prior.mean, latents.mean(axis=0), rtol=1e-3)


def test_a_gan_keeps_the_average_as_its_generator(tmp_path):
    model = gan(ema_decay=0.9, r1=1.0)
    model.generator.set_weights([2 * weight for weight in model.generator.get_weights()])
    models.save(model, tmp_path / "run")
    ship.run(tmp_path / "run", "small", store=tmp_path / "store")
    small = models.load(tmp_path / "store" / "small")
    assert (small.ema_decay, small.r1) == (0, 1)
    np.testing.assert_allclose(small.sample(9, seed=1), model.sample(9, seed=1), atol=2e-3)
    images = tf.tanh(tf.random.normal((4, 32, 32, 1), seed=0))
    np.testing.assert_allclose(small.logits(images), model.logits(images), rtol=1e-2, atol=1e-3)


def test_a_gan_without_an_average_stays_as_it_is(tmp_path):
    model = gan()
    assert ship.without_average(model) is model


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(InputError, match="holds no trained model"):
        ship.run(tmp_path, "small", store=tmp_path)
