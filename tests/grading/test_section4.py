"""Sheet 001: a dense VAE with a tuned KL weight."""

import inspect
import itertools
from collections import Counter

import numpy as np
import pytest
from claims import assert_rows_are_of_weights, assert_trained_on_digits, images_of
from conftest import SHARES
from drawings import ROUNDED, KnownImages, pictures, places, sampled_codes
from scipy.stats import kstest
from small import (
    as_output,
    assert_loss_has_both_terms,
    assert_posterior_is_free,
    assert_training_descends_the_kl,
    heads,
    random_weights,
)
from submission import hw5, in_worker, keras, tf


@pytest.mark.points(4, part="4.1")
def test_the_layers_of_the_sheet():
    encoder, decoder = hw5.networks.tanh_vae()
    mean, log_var = encoder(np.zeros((3, 28, 28, 1), np.float32))
    assert mean.shape == log_var.shape == (3, 32)
    assert encoder.count_params() == 784 * 200 + 200 + 2 * (200 * 32 + 32)
    assert decoder.count_params() == 32 * 200 + 200 + 200 * 784 + 784


@pytest.mark.points(4, part="4.1")
def test_the_hidden_layers_are_tanh_and_the_output_is_logistic():
    encoder, decoder = hw5.networks.tanh_vae()
    random = np.random.default_rng(0)
    images, codes = (random.normal(size=shape).astype(np.float32) for shape in ((20, 28, 28, 1), (20, 32)))
    (kernel, bias, *rest), mean = random_weights(encoder), np.asarray(encoder(images)[0])
    hidden = np.tanh(images.reshape(20, 784) @ kernel + bias)
    assert any(np.allclose(mean, hidden @ w + b, rtol=1e-3, atol=1e-4) for w, b in heads(rest, 200, 32))
    assert_posterior_is_free(encoder, images, 32)
    first, first_bias, second, second_bias = random_weights(decoder)
    expected = as_output(np.tanh(codes @ first + first_bias) @ second + second_bias)
    np.testing.assert_allclose(np.reshape(decoder(codes), (20, 784)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.points(4, part="4.1")
def test_only_the_encoder_drops_units_and_only_in_training():
    """Some units are dropped, not most of them, in a training alone, and the others are scaled up."""
    encoder, decoder = hw5.networks.tanh_vae()
    weights = random_weights(encoder)
    # All hidden units are tanh(9) = 1, so an output of equal weights counts those that are left.
    encoder.set_weights([
        np.zeros(w.shape) if len(w) == 784 else np.full(w.shape, 9.0 if w.shape == (200,) else 0.01) for w in weights
    ])  # fmt: skip
    images, codes = np.zeros((500, 28, 28, 1), np.float32), np.ones((5, 32), np.float32)
    left = np.asarray(encoder(images, training=False)[0])[:, 0]
    np.testing.assert_allclose(left, left[0], rtol=1e-5)
    counted = np.float64(encoder(images, training=True)[0])[:, 0] - 0.01
    # Of 200 units with the rate p, scaled by 1/(1 − p), the variance is 200 p/(1 − p); 500 images know it to 6.3 %.
    odds = counted.var() / 200 / 0.01**2
    assert 0.01 < odds < 2.5, f"the rate of the dropout seems to be {odds / (1 + odds):.3f}"
    assert counted.mean() == pytest.approx(2.0, abs=6 * 0.01 * np.sqrt(200 * odds / 500))
    np.testing.assert_array_equal(decoder(codes, training=True), decoder(codes, training=False))
    # μ is 1, or with dropout of ½ it is 0 or 2: so KL divergences of ½ or 1 ± 1/64, by how many images they are summed
    assert loss_that_dropout_adds() > 0.25


@in_worker
def loss_that_dropout_adds():
    """Return the difference of the losses of a VAE with dropout in `fit`, at the learning rate 0, and in `evaluate`."""
    import keras
    import numpy as np
    import tensorflow as tf

    from hw5 import models

    images, z = keras.Input((1, 1, 1)), keras.Input((1,))
    flat = keras.layers.Flatten()(images)
    ones = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones")(flat)
    zeros = keras.layers.Dense(1, kernel_initializer="zeros")(flat)
    encoder = keras.Model(images, [keras.layers.Dropout(0.5)(ones), zeros])
    decoder = keras.Model(z, keras.layers.Reshape((1, 1, 1))(keras.layers.Dense(1, kernel_initializer="zeros")(z)))
    vae = models.VAE(encoder, decoder)
    vae.compile(optimizer=keras.optimizers.SGD(0.0))
    batches = tf.data.Dataset.from_tensors(np.full((4096, 1, 1, 1), 0.5, np.float32))
    in_fit = vae.fit(batches, epochs=1, shuffle=False, verbose=0).history["loss"][-1]
    return in_fit - vae.evaluate(batches, verbose=0, return_dict=True)["loss"]


@pytest.mark.points(1, part="4.1")
def test_batches_of_a_hundred():
    assert inspect.signature(hw5.section4.run).parameters["batch_size"].default == 100


@pytest.mark.seconds(300)
@pytest.mark.runs
@pytest.mark.points(1, part="4.1")
def test_the_section_trains_these_networks_in_such_batches(section_run):
    """The models of the section have the sheet's networks with dropout; of `batch_size=50` batches have 50 images."""
    done = section_run(4)
    encoder, decoder = hw5.networks.tanh_vae()
    images = np.float32(hw5.data.load("mnist", limit=100)) / 255
    for model in done.models:
        assert model.encoder.count_params() == encoder.count_params()
        assert model.decoder.count_params() == decoder.count_params()
        dropped, whole = (np.asarray(model.encoder(images, training=training)[0]) for training in (True, False))
        assert np.abs(dropped - whole).max() > 1e-3 * np.abs(whole).max(), "trained without dropout"
    assert {fit["batch_size"] for fit in done.fits if fit["is_model"]} <= {50, None}
    assert_trained_on_digits(done)


@pytest.mark.points(4, part="4.2")
@pytest.mark.parametrize("weight", [0.3, 5.0])
def test_the_weight_multiplies_the_kl_divergence_alone(weight):
    assert_loss_has_both_terms([1.0, -1.0], [0.5, -1.5], weight)
    assert_training_descends_the_kl(weight)


@pytest.mark.seconds(300)
@pytest.mark.runs
@pytest.mark.points(4, part="4.2")
def test_the_sweep_begins_at_zero(section_run):
    """Every reported weight was trained with, and the reported terms are those of its model."""
    done = section_run(4)
    measured = {weight: terms for weight, terms in done.results.items() if _is_number(weight)}
    assert min(map(float, measured)) == 0
    assert len(measured) >= 2
    for terms in measured.values():
        assert terms["reconstruction"] > 0
        assert terms["kl"] > 0
    rows = {float(weight): terms for weight, terms in measured.items()}
    assert_rows_are_of_weights(done.models, rows, images_of(done)[1])
    assert all(fit["moved"] > 0.9 for fit in done.fits)


def _is_number(text):
    try:
        return float(text) >= 0
    except ValueError:
        return False


@pytest.mark.seconds(300)
@pytest.mark.runs
@pytest.mark.points(8, part="4.3")
def test_existing_images_reconstructions_and_new_images(section_run, grade):
    """A figure has 16 existing images, their reconstructions by a trained model, and new images.

    The three groups are laid out alike, in rows or as blocks, below each other or side by side.
    """
    done = section_run(4)
    assert done.figures
    existing = KnownImages(np.concatenate([hw5.data.load("mnist"), hw5.data.load("mnist", "test")]))
    earned, fed = 0.0, np.concatenate(images_of(done))
    for picture in pictures(done):
        known = existing.within(picture)
        if earned < 1 and len({image.tobytes() for image in known.values()}) >= 16:
            earned = max(earned, *(_share_of_groups(picture, known, done, model, fed) for model in done.models))
            grade(earned, "existing images, reconstructions and new ones: a third of the points each")
    assert earned == 1


def _share_of_groups(picture, known, done, model, fed):
    """Return the share of the points for a picture with known images, {(row, column): image}."""
    images, shifts = np.float32([*known.values()]) / 255, Counter()  # from an image to its reconstruction
    for (row, column), image in zip(known, np.asarray(model.reconstruct(images)), strict=True):
        shifts.update((r - row, c - column) for r, c in places(image[..., 0], picture))
    # That of all images is among the most common ones, also where all reconstructions are nearly alike.
    shifts = [shift for shift, count in shifts.most_common(4) if count >= 16 and any(shift)]
    if not shifts:
        return 0.34
    existing, size = np.array([*known]), np.array(images.shape[1:3])
    codes = sampled_codes(done.decoded, model, np.concatenate([fed, images]))
    samples = np.asarray(model.decode(codes))[..., 0] if len(codes) else images[:0, ..., 0]
    height, width = picture.shape
    ways = [(step, 0) for step in range(-height, height)] + [(0, step) for step in range(-width, width)]
    for shift, way in itertools.product(shifts, ways):
        second, third = existing + shift, existing + way
        free = np.all([place >= 0 for place in (second, third)], axis=(0, 2))
        free &= np.all([place + size <= picture.shape for place in (second, third)], axis=(0, 2))
        taken = np.concatenate([existing, second])
        free &= ~np.all(np.abs(third[:, None] - taken) < size, axis=2).any(axis=1)
        if free.sum() >= 16:
            new = [picture[r : r + size[0], c : c + size[1]] for r, c in third[free]]
            if _are_of_noise(new, samples, codes):
                return 1.0
    return 0.67


def _are_of_noise(tiles, samples, codes):
    """Say whether all tiles are among the samples, different ones, and their codes from N(0, I).

    Of 16 tiles and 32 dimensions these are 512 numbers. A right noise fails once in 10⁷ times.
    """
    chosen = []
    for tile in tiles:
        near = np.abs(samples - tile).reshape(len(samples), -1).max(axis=1) < ROUNDED if len(samples) else []
        if not np.any(near):
            return False
        chosen.append(int(np.argmax(near)))
    return len(set(chosen)) == len(tiles) and kstest(codes[chosen].ravel(), "norm").pvalue > 1e-7


@pytest.mark.seconds(300)
@pytest.mark.runs
@pytest.mark.points(8, part="4.4")
def test_samples_are_counted_by_class(section_run):
    """Known digits take the place of the samples that `VAE.sample` gives for statistics; their classes are counted.

    A classifier with 95 % right is within 0.05 of each share.
    """
    done = section_run(4)
    measured = {weight: terms for weight, terms in done.results.items() if _is_number(weight)}
    assert len(done.sampled) >= len(measured) > 0, "the classes are not those of `VAE.sample`"
    expected = [SHARES.get(digit, 0.0) for digit in range(10)]
    for terms in measured.values():
        by_digits = terms["samples"]["mnist_classifier"]
        np.testing.assert_allclose(by_digits["class_proportions"], expected, atol=0.05)
        assert 0.8 <= by_digits["confidence"] <= 1
        assert 0 < by_digits["num_samples"] <= sum(done.sampled)


@pytest.mark.points(8, part="4.5")
def test_a_few_images_are_learnt_without_the_kl_divergence():
    keras.utils.set_random_seed(0)
    images = hw5.data.load("mnist", limit=8).astype(np.float32) / 255
    vae = hw5.models.VAE(*hw5.networks.tanh_vae(), kl_weight=0.0)
    vae.compile(optimizer=keras.optimizers.Adam(0.005))
    vae.fit(tf.data.Dataset.from_tensors(images).repeat(300), shuffle=False, verbose=0)
    error = np.mean((images - np.asarray(vae.reconstruct(images))) ** 2)
    assert error < 0.1 * np.mean((images - images.mean(axis=0)) ** 2)  # of the mean image for all
