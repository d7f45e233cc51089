"""Sheet 000, part II: variational autoencoders."""

import inspect

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from small import IMAGES, LOGITS, affine, constant_encoder, constant_vae, cross_entropy, kl, loss, sigmoid
from submission import hw5, keras

MEAN, LOG_VAR = [1.0, -0.5], [0.7, -1.2]


@pytest.mark.points(6, part="2.1")
def test_the_layers_of_the_sheet():
    encoder, decoder = hw5.networks.dense_vae(5)
    mean, log_var = encoder(np.zeros((3, 28, 28, 1), np.float32))
    assert mean.shape == log_var.shape == (3, 5)
    assert encoder.count_params() == 784 * 512 + 512 + 2 * (512 * 5 + 5)
    assert decoder.count_params() == 5 * 512 + 512 + 512 * 784 + 784
    hidden = next(layer for layer in decoder.layers if getattr(layer, "units", None) == 512)
    assert hidden.activation.__name__ == "sigmoid"


@pytest.mark.points(4, part="2.1")
def test_z_is_drawn_with_the_standard_deviation_exp_half_s():
    code = keras.Input((1,))
    decoder = keras.Model(code, keras.layers.Reshape((1, 1, 1))(affine(code, 1.0, [0.0])))  # the logit is z
    encoder = constant_encoder([0.5], [np.log(9.0)], shape=(1, 1, 1))
    vae = hw5.models.VAE(encoder, decoder, kl_weight=0.0)
    # The cross-entropy of a black pixel is log(1 + exp z) with z ~ N(0.5, 3²); its deviation is about 2.
    expected, _ = quad(lambda z: np.logaddexp(0, z) * norm.pdf(z, 0.5, 3), -40, 40)
    assert loss(vae, np.zeros((20000, 1, 1, 1)), batch_size=20000) == pytest.approx(expected, abs=0.08)


@pytest.mark.points(8, part="2.2")
def test_the_kl_divergence(grade):
    value = loss(constant_vae(MEAN, LOG_VAR)) - loss(constant_vae(MEAN, LOG_VAR, kl_weight=0.0))
    # ½ (1 + e^0.7 − 0.7 − 1) + ½ (0.25 + e^−1.2 + 1.2 − 1)
    expected = 0.5 * (1 + 2.0137527 - 0.7 - 1) + 0.5 * (0.25 + 0.3011942 + 1.2 - 1)
    if value == pytest.approx(expected + 1, rel=1e-4):
        grade(0.75, "the constant −k/2 is missing, as on the sheet; the gradient is right")
    assert value == pytest.approx(expected, rel=1e-4)


@pytest.mark.points(4, part="2.2")
def test_the_cross_entropy_is_summed_over_pixels_and_averaged_over_the_batch():
    assert loss(constant_vae([0.0, 0.0], [0.0, 0.0])) == pytest.approx(cross_entropy().mean(), rel=1e-5)


@pytest.mark.points(4, part="2.2", visibility="hidden")
def test_the_loss_stays_finite_at_extreme_logits():
    vae = constant_vae([0.0], [0.0], logits=[200.0, -200.0, 200.0, -200.0])
    images = np.float32([1, 0, 0, 1]).reshape(1, 2, 2, 1)
    assert loss(vae, images) == pytest.approx(400.0, rel=1e-5)


@pytest.mark.points(4, part="2.3")
def test_the_sheets_numbers_of_latent_dimensions_are_the_default():
    assert sorted(inspect.signature(hw5.section2.run).parameters["k"].default) == [2, 5, 10, 50, 100]


@pytest.mark.points(4, part="2.4")
def test_the_code_is_the_mode_and_images_are_probabilities():
    vae = constant_vae(MEAN, LOG_VAR)
    np.testing.assert_allclose(vae.encode(IMAGES), [MEAN, MEAN], rtol=1e-5)
    np.testing.assert_allclose(np.ravel(vae.decode(np.zeros((1, 2), np.float32))), sigmoid(LOGITS), rtol=1e-5)


@pytest.mark.runs
@pytest.mark.points(4, part="2.4")
def test_the_section_draws_its_figures(section_run, grade):
    figures = section_run(2).figures
    # reconstructions with samples, interpolations, the decoded plane, the scatter of codes
    grade(min(len(figures) / 4, 1), f"{len(figures)} figures")


@pytest.mark.points(2, part="2.5")
def test_without_the_kl_divergence_the_cross_entropy_is_left():
    vae = constant_vae([3.0, -2.0], [1.0, -3.0], kl_weight=0.0)
    assert loss(vae) == pytest.approx(cross_entropy().mean(), rel=1e-5)
    assert kl([3.0, -2.0], [1.0, -3.0]) > 5  # nothing that a tolerance would hide


@pytest.mark.runs
@pytest.mark.points(2, part="2.5")
def test_the_section_trains_with_and_without_it(section_run):
    with_kl, without = (section_run(2).results["validation"][f"kl_weight={weight}"]["k=2"] for weight in (1, 0))
    for terms in (with_kl, without):
        assert terms["negative_elbo"] == pytest.approx(terms["reconstruction"] + terms["kl"], rel=1e-6)
    assert without["kl"] > with_kl["kl"]
