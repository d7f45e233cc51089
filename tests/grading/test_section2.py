"""Sheet 000, part II: variational autoencoders."""

import inspect

import numpy as np
import pytest
from claims import assert_rows_are_of_weights, assert_terms_are_of_models, assert_trained_on_digits, images_of
from drawings import draws_samples, has_reconstructions, lines, lines_are_drawn, pictures, sampled_codes
from scipy.integrate import quad
from scipy.stats import norm
from small import (
    IMAGES,
    LOGITS,
    as_output,
    assert_loss_has_both_terms,
    assert_noise_is_normal,
    assert_reparameterisation_passes_the_gradient,
    assert_samples_are_of_the_prior,
    assert_training_descends_the_kl,
    constant_encoder,
    constant_vae,
    cross_entropy,
    identity_decoder,
    kl,
    kl_constant,
    loss,
    random_weights,
    scaled,
    sigmoid,
)
from submission import hw5

MEAN, LOG_VAR = [1.0, -0.5], [0.7, -1.2]


@pytest.mark.points(2, part="2.1")
def test_the_layers_of_the_sheet():
    encoder, decoder = hw5.networks.dense_vae(5)
    mean, log_var = encoder(np.zeros((3, 28, 28, 1), np.float32))
    assert mean.shape == log_var.shape == (3, 5)
    assert encoder.count_params() == 784 * 512 + 512 + 2 * (512 * 5 + 5)
    assert decoder.count_params() == 5 * 512 + 512 + 512 * 784 + 784


@pytest.mark.points(3, part="2.1")
def test_the_activations_of_the_sheet():
    """Mean and log-variance are linear in the hidden layer, which is not; the decoder has a sigmoid in its middle."""
    encoder, decoder = hw5.networks.dense_vae(5)
    images = np.random.default_rng(0).uniform(0, 1, (20, 28, 28, 1)).astype(np.float32)
    random_weights(encoder)
    before = [np.asarray(outputs) for outputs in encoder(images)]
    away = [np.asarray(outputs) for outputs in encoder(-images)]
    zero = [np.asarray(outputs) for outputs in encoder(0 * images)]
    assert all(np.abs(a + b - 2 * c).max() > 1e-3 for a, b, c in zip(before, away, zero, strict=True))
    scaled(encoder, -3.0, [(512, 5), (512, 10), (5,), (10,)])
    for outputs, expected in zip(encoder(images), before, strict=True):
        np.testing.assert_allclose(outputs, -3 * expected, rtol=1e-3, atol=1e-4)
    first, first_bias, second, second_bias = random_weights(decoder)
    codes = np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32)
    expected = as_output(sigmoid(codes @ first + first_bias) @ second + second_bias)
    np.testing.assert_allclose(np.reshape(decoder(codes), (20, 784)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.points(3, part="2.1")
def test_the_noise_is_new_in_every_step_for_every_image():
    assert_noise_is_normal("VAE")


@pytest.mark.points(2, part="2.1")
def test_z_is_drawn_with_the_standard_deviation_exp_half_s():
    encoder = constant_encoder([0.5], [np.log(9.0)], shape=(1, 1, 1))
    vae = hw5.models.VAE(encoder, identity_decoder(1), kl_weight=0.0)  # the logit is z
    # The cross-entropy of a black pixel is log(1 + exp z) with z ~ N(0.5, 3²); its deviation is about 2.
    expected, _ = quad(lambda z: np.logaddexp(0, z) * norm.pdf(z, 0.5, 3), -40, 40)
    assert loss(vae, np.zeros((20000, 1, 1, 1)), batch_size=20000) == pytest.approx(expected, abs=0.08)
    assert_reparameterisation_passes_the_gradient()


@pytest.mark.points(6, part="2.2")
def test_the_kl_divergence():
    """The KL divergence from N(0, I) in closed form, with the constant −k/2 or without it, as on the sheet."""
    value = loss(constant_vae(MEAN, LOG_VAR)) - loss(constant_vae(MEAN, LOG_VAR, kl_weight=0.0))
    # ½ (1 + e^0.7 − 0.7 − 1) + ½ (0.25 + e^−1.2 + 1.2 − 1)
    expected = 0.5 * (1 + 2.0137527 - 0.7 - 1) + 0.5 * (0.25 + 0.3011942 + 1.2 - 1)
    assert value == pytest.approx(expected + 2 * kl_constant(), rel=1e-4)


@pytest.mark.points(2, part="2.2")
def test_the_training_descends_the_kl_divergence():
    """With a frozen decoder, `fit` moves μ and log σ² along the gradient of the KL divergence."""
    assert_training_descends_the_kl()


@pytest.mark.points(4, part="2.2")
def test_the_cross_entropy_is_summed_over_pixels_and_averaged_over_the_batch():
    assert loss(constant_vae([0.0, 0.0], [0.0, 0.0], kl_weight=0.0)) == pytest.approx(cross_entropy().mean(), rel=1e-5)
    assert_loss_has_both_terms(MEAN, LOG_VAR)


@pytest.mark.points(4, part="2.2", visibility="hidden")
def test_the_loss_stays_finite_at_extreme_logits():
    vae = constant_vae([0.0], [0.0], logits=[200.0, -200.0, 200.0, -200.0], kl_weight=0.0)
    images = np.float32([1, 0, 0, 1]).reshape(1, 2, 2, 1)
    # Two pixels are wrong by 200 nats, or by 16 if probabilities are kept from 0 by 1e-7, as Keras does.
    value = loss(vae, images)
    assert np.isfinite(value)
    assert -2 * np.log(1.3e-7) <= value <= 400 * (1 + 1e-5)


@pytest.mark.points(2, part="2.3")
def test_the_sheets_numbers_of_latent_dimensions_are_the_default():
    assert sorted(inspect.signature(hw5.section2.run).parameters["k"].default) == [2, 5, 10, 50, 100]


@pytest.mark.runs
@pytest.mark.points(2, part="2.3")
def test_every_number_of_latent_dimensions_is_trained(section_run):
    """The models have the latent dimensions that were asked for, and `fit` changed all their variables."""
    done = section_run(2)
    by_k = {2: [], 5: []}
    for model in done.models:
        by_k[model.encode(np.zeros((1, 28, 28, 1), np.float32)).shape[1]].append(model)
    assert all(fit["moved"] > 0.9 for fit in done.fits)
    terms = done.results["validation"]["kl_weight=1"]
    for k, models in by_k.items():
        assert models, f"no model of k = {k} was trained"
        expected = hw5.networks.dense_vae(k)[0].count_params()
        assert all(model.encoder.count_params() == expected for model in models)
        assert_terms_are_of_models(models, [terms[f"k={k}"]], images_of(done)[1])
    assert_trained_on_digits(done)


@pytest.mark.points(1, part="2.4")
def test_the_code_is_the_mode_and_images_are_probabilities():
    vae = constant_vae(MEAN, LOG_VAR)
    np.testing.assert_allclose(vae.encode(IMAGES), [MEAN, MEAN], rtol=1e-5)
    np.testing.assert_allclose(np.ravel(vae.decode(np.zeros((1, 2), np.float32))), sigmoid(LOGITS), rtol=1e-5)


@pytest.mark.points(1, part="2.4")
def test_random_codes_are_of_the_standard_normal_distribution():
    encoder = constant_encoder([0.0, 0.0], [0.0, 0.0], shape=(1, 2, 1))
    assert_samples_are_of_the_prior(hw5.models.VAE(encoder, identity_decoder(2)))


@pytest.mark.runs
@pytest.mark.points(2, part="2.4")
def test_the_section_draws_images_with_the_reconstructions_of_their_modes(section_run):
    """Ten training and ten validation images, their reconstructions by a model that was trained, and ten samples."""
    done = section_run(2)
    assert done.figures
    drawn = pictures(done)
    for images in images_of(done):
        assert any(has_reconstructions(drawn, images, model.reconstruct) for model in done.models)
    known = np.concatenate(images_of(done))
    assert any(draws_samples(drawn, sampled_codes(done.decoded, model, known), model, 10) for model in done.models), (
        "no decoded random codes"
    )


@pytest.mark.runs
@pytest.mark.points(4, part="2.4")
def test_interpolations_go_from_training_to_validation_images_in_ten_steps(section_run):
    """Codes on ten lines between the modes of a training and a validation image, in ten even steps, are decoded."""
    done = section_run(2)
    model = done.models[0]
    first, last = (np.asarray(model.encode(images)) for images in images_of(done))
    codes = np.concatenate([codes for codes in done.decoded if codes.shape[1] == first.shape[1]])
    # ten images with the ends, or ten steps, or ten images between the ends
    found = max((lines(codes, first, last, np.arange(1, steps) / steps) for steps in (9, 10, 11)), key=len)
    assert len(found) >= 10
    assert lines_are_drawn(model, found, pictures(done), 10), "no figure has ten rows of the decoded images"


@pytest.mark.points(2, part="2.5")
def test_without_the_kl_divergence_the_cross_entropy_is_left():
    vae = constant_vae([3.0, -2.0], [1.0, -3.0], kl_weight=0.0)
    assert loss(vae) == pytest.approx(cross_entropy().mean(), rel=1e-5)
    assert kl([3.0, -2.0], [1.0, -3.0]) > 5  # nothing that a tolerance would hide


@pytest.mark.runs
@pytest.mark.points(2, part="2.5")
def test_the_section_trains_with_and_without_it(section_run):
    done = section_run(2)
    with_kl, without = (done.results["validation"][f"kl_weight={weight}"]["k=2"] for weight in (1, 0))
    for terms in (with_kl, without):
        assert terms["negative_elbo"] == pytest.approx(terms["reconstruction"] + terms["kl"], rel=1e-6)
    assert without["kl"] > with_kl["kl"]
    assert_rows_are_of_weights(done.models, {0: without, 1: with_kl}, images_of(done)[1])
