"""Sheet 000, part I: autoencoders."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.linalg import svd
from small import IMAGES, LOGITS, constant_decoder, constant_encoder, cross_entropy, loss, sigmoid
from submission import hw5

RNG = np.random.default_rng(0)
SOME = RNG.uniform(0, 1, (5, 28, 28, 1)).astype(np.float32)


@pytest.mark.points(5, part="1.1")
def test_the_linear_autoencoder_has_the_sheets_layers():
    encoder, decoder = hw5.networks.linear_autoencoder(7)
    assert encoder(SOME).shape == (5, 7)
    assert decoder(encoder(SOME)).shape == (5, 28, 28, 1)
    assert encoder.count_params() == 784 * 7 + 7
    assert decoder.count_params() == 7 * 784 + 784


@pytest.mark.points(2, part="1.1", visibility="hidden")
def test_the_linear_autoencoder_is_affine():
    for network, inputs in zip(hw5.networks.linear_autoencoder(7), (SOME, SOME.reshape(5, 784)[:, :7]), strict=True):
        origin, one, two = (np.asarray(network(scale * (inputs - 0.5))) for scale in (0.0, 1.0, -2.0))
        np.testing.assert_allclose(two - origin, -2 * (one - origin), atol=1e-4)


@pytest.mark.points(3, part="1.1")
def test_the_loss_is_the_mean_over_pixels_and_batch():
    outputs = [0.5, 0.5, 1.0, 0.0]
    model = hw5.models.Autoencoder(constant_encoder([0.0]), constant_decoder(1, outputs))
    # (0.25 + 0.25 + 0.5625 + 0.25) and (0.25 + 0.25 + 1 + 0.5625), over 2 images of 4 pixels
    assert loss(model) == pytest.approx((1.3125 + 2.0625) / 8, rel=1e-5)


@pytest.mark.points(3, part="1.2")
def test_mnist_is_whole():
    train = hw5.data.load("mnist")
    assert train.shape == (60000, 28, 28, 1)
    assert train.dtype == np.uint8
    assert train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)  # the mean that everybody normalises MNIST with
    assert train.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    assert hw5.data.load("mnist", "test").shape == (10000, 28, 28, 1)
    assert hw5.data.load("mnist", limit=3).shape == (3, 28, 28, 1)


@pytest.mark.points(3, part="1.2")
def test_the_pipeline_scales_to_the_unit_interval():
    images = np.uint8([0, 51, 255]).reshape(3, 1, 1, 1)
    (batch,) = hw5.data.pipeline(images, 3, value_range=(0, 1), shuffle=False, seed=0)
    np.testing.assert_allclose(np.ravel(batch), [0.0, 0.2, 1.0], atol=1e-6)
    assert np.asarray(batch).dtype == np.float32


@pytest.mark.points(4, part="1.4")
def test_reconstructions_are_decoded_codes():
    model = hw5.models.Autoencoder(*hw5.networks.linear_autoencoder(3))
    codes = model.encode(SOME)
    assert codes.shape == (5, 3)
    np.testing.assert_allclose(model.reconstruct(SOME), model.decode(codes), atol=1e-6)
    assert model.sample(6).shape == (6, 28, 28, 1)


@pytest.mark.runs
@pytest.mark.points(6, part="1.4")
def test_the_section_draws_its_figures(section_run, grade):
    done = section_run(1)
    assert json.loads((done.out / "metrics.json").read_text())
    for path in done.figures.values():
        Image.open(path).load()
    # reconstructions with samples, and interpolations, of each of three autoencoders
    grade(min(len(done.figures) / 6, 1), f"{len(done.figures)} figures")


@pytest.mark.runs
@pytest.mark.points(6, part="1.5")
def test_pca_bounds_the_linear_autoencoder(section_run):
    measured = section_run(1).results
    pixels = hw5.data.load("mnist", limit=200).reshape(200, 784) / 255
    validation = hw5.data.load("mnist", "train[90%:]").reshape(6000, 784) / 255 - pixels.mean(axis=0)
    _, _, directions = svd(pixels - pixels.mean(axis=0), full_matrices=False)
    rest = validation - validation @ directions[:2].T @ directions[:2]
    bound = {int(k): value for k, value in measured["pca_mse"].items()}
    assert bound[2] == pytest.approx(np.mean(rest**2), rel=1e-4)
    assert {int(k): value for k, value in measured["mse"]["linear"].items()}[2] > bound[2]


@pytest.mark.points(3, part="1.6")
def test_the_nonlinear_autoencoder_has_a_relu_and_a_sigmoid():
    model = hw5.models.Autoencoder(*hw5.networks.nonlinear_autoencoder(50), loss="cross_entropy")
    codes = np.asarray(model.encode(SOME))
    assert codes.min() == 0 < codes.max()
    model = hw5.models.Autoencoder(constant_encoder([0.0]), constant_decoder(1), loss="cross_entropy")
    np.testing.assert_allclose(np.ravel(model.decode(np.zeros((1, 1)))), sigmoid(LOGITS), rtol=1e-5)


@pytest.mark.points(3, part="1.6")
def test_its_loss_is_the_cross_entropy_summed_over_pixels():
    model = hw5.models.Autoencoder(constant_encoder([0.0]), constant_decoder(1), loss="cross_entropy")
    assert loss(model, IMAGES) == pytest.approx(cross_entropy().mean(), rel=1e-5)


@pytest.mark.points(3, part="1.7")
def test_the_stacked_autoencoder_has_layers_of_varying_size():
    encoder, decoder = hw5.networks.stacked_autoencoder(5, hidden=(64, 32))
    assert encoder.count_params() == 784 * 64 + 64 + 64 * 32 + 32 + 32 * 5 + 5
    assert decoder.count_params() == 5 * 32 + 32 + 32 * 64 + 64 + 64 * 784 + 784


@pytest.mark.runs
@pytest.mark.points(3, part="1.7")
def test_end_to_end_and_pretrained_are_compared(section_run):
    errors = section_run(1).results["mse"]
    (stacked,), (pretrained,) = errors["stacked"].values(), errors["pretrained"].values()
    assert 0 < pretrained < 0.25
    assert 0 < stacked < 0.25
    assert pretrained != stacked
