"""Sheet 000, part I: autoencoders."""

import inspect
import json

import numpy as np
import pytest
from claims import full_models, images_of
from drawings import draws_samples, has_reconstructions, lines, lines_are_drawn, pictures, sampled_codes
from PIL import Image
from scipy.linalg import svd
from small import (
    IMAGES,
    LOGITS,
    assert_autoencoder_descends,
    assert_samples_are_of_the_prior,
    constant_decoder,
    constant_encoder,
    cross_entropy,
    identity_decoder,
    loss,
    random_weights,
    sigmoid,
)
from submission import hw5
from watch import linear_layers

RNG = np.random.default_rng(0)
SOME = RNG.uniform(0, 1, (5, 28, 28, 1)).astype(np.float32)


def is_mean_squared_error(measured, model, images):
    """Say whether this is a model's mean squared error, that of its images or of the outputs that these are cut off of.

    The mean of the means of batches of 128, of which the last of 6,000 images has 112, differs by less than 1e-4; the
    errors of other 6,000 images differ by 5e-3.
    """
    shown, outputs = (np.asarray(part) for part in (model.reconstruct(images), model.decoder(model.encoder(images))))
    known = [shown, outputs] if np.allclose(np.clip(outputs, 0, 1), shown, atol=1e-5) else [shown]
    return any(measured == pytest.approx(np.square(images - part).mean(dtype=np.float64), rel=1e-4) for part in known)


@pytest.mark.points(3, part="1.1")
def test_the_linear_autoencoder_has_the_sheets_layers(grade):
    """Layers from 784 pixels to k code units and back; the section trains with the sheet's k, if k is an argument."""
    encoder, decoder = hw5.networks.linear_autoencoder(7)
    assert encoder(SOME).shape == (5, 7)
    assert decoder(encoder(SOME)).shape == (5, 28, 28, 1)
    assert encoder.count_params() in (784 * 7 + 7, 784 * 7)  # the sheet does not speak of biases
    assert decoder.count_params() in (7 * 784 + 784, 7 * 784)
    grade(0.8, "the layers")
    known = inspect.signature(hw5.section1.run).parameters
    assert "k" not in known or sorted(known["k"].default) == [2, 5, 10, 50, 100]
    grade(1)


@pytest.mark.points(2, part="1.1", visibility="hidden")
def test_the_linear_autoencoder_is_affine():
    for network, inputs in zip(hw5.networks.linear_autoencoder(7), (SOME, SOME.reshape(5, 784)[:, :7]), strict=True):
        random_weights(network)
        origin, one, two = (np.asarray(network(scale * (inputs - 0.5))) for scale in (0.0, 1.0, -2.0))
        np.testing.assert_allclose(two - origin, -2 * (one - origin), atol=1e-4)


@pytest.mark.points(3, part="1.1")
def test_the_loss_is_the_mean_over_pixels_and_batch():
    outputs = [0.5, 0.5, 1.5, -0.5]  # a linear decoder is not kept between 0 and 1
    model = hw5.models.Autoencoder(constant_encoder([0.0]), constant_decoder(1, outputs, like=None))
    # (0.25 + 0.25 + 1.5625 + 1) and (0.25 + 0.25 + 2.25 + 1.5625), over 2 images of 4 pixels
    assert loss(model) == pytest.approx((3.0625 + 4.3125) / 8, rel=1e-5)


@pytest.mark.points(2, part="1.1")
def test_the_training_descends_the_squared_error():
    """With three steps of `fit`, both layers of a small linear autoencoder move along the gradient of the loss."""
    assert_autoencoder_descends()


@pytest.mark.points(1, part="1.2")
def test_mnist_is_whole():
    train = hw5.data.load("mnist")
    assert train.shape == (60000, 28, 28, 1)
    assert train.dtype == np.uint8
    assert train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)  # the mean that everybody normalises MNIST with
    assert train.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    # The mean digit is higher than wide, and leans to the right, so that no image is turned or mirrored.
    mean, at = train.mean(axis=0)[..., 0], np.arange(28) - 13.5
    assert np.sum(mean * at[:, None] ** 2) > 1.3 * np.sum(mean * at**2)
    assert np.sum(mean * np.outer(at, at)) < 0
    test = hw5.data.load("mnist", "test")
    assert test.shape == (10000, 28, 28, 1)
    assert not {image.tobytes() for image in test} & {image.tobytes() for image in train}
    assert hw5.data.load("mnist", limit=3).shape == (3, 28, 28, 1)


@pytest.mark.points(2, part="1.2")
def test_the_pipeline_scales_to_the_unit_interval():
    images = np.uint8([0, 51, 255]).reshape(3, 1, 1, 1)
    (batch,) = hw5.data.pipeline(images, 3, value_range=(0, 1), shuffle=False, seed=0)
    np.testing.assert_allclose(np.ravel(batch), [0.0, 0.2, 1.0], atol=1e-6)
    assert np.asarray(batch).dtype.kind == "f"
    levels = np.arange(200, dtype=np.uint8)
    batches = hw5.data.pipeline(levels.reshape(200, 1, 1, 1), 50, value_range=(0, 255), shuffle=True, seed=0)
    shuffled = np.concatenate([np.ravel(batch) for batch in batches])
    np.testing.assert_allclose(np.sort(shuffled), levels, atol=1e-3)
    assert np.abs(shuffled - levels).max() > 0.5, "shuffle=True leaves the images in their order"


@pytest.mark.runs
@pytest.mark.points(3, part="1.2")
def test_nine_tenths_are_trained_on_and_the_rest_validates(section_run):
    """All images of a pass, or of several: 54,000 different ones, none of them among those of the validation."""
    done = section_run(1, variant=("linear",), k=(2,), train_size=None, batch_size=2000)
    known = {image.tobytes() for image in hw5.data.load("mnist")}
    fed = {image.tobytes() for image in done.fits[-1]["images"]}
    assert fed <= known
    different = len({image.tobytes() for image in hw5.data.load("mnist", "train[:90%]")})
    assert len(fed) == pytest.approx(different, rel=0.02)  # less than a batch may be left out
    validation = done.fits[-1]["validation"]
    errors = done.results["mse"]["linear"]
    rest = np.float32([np.frombuffer(image, np.uint8).reshape(28, 28, 1) for image in known - fed]) / 255
    # The reported error is that of images that were not trained on.
    assert any(is_mean_squared_error({int(k): v for k, v in errors.items()}[2], model, rest) for model in done.models)
    if validation is not None:
        assert not {image.tobytes() for image in validation} & fed


@pytest.mark.points(2, part="1.4")
def test_reconstructions_are_decoded_codes():
    model = hw5.models.Autoencoder(*hw5.networks.linear_autoencoder(3))
    codes = model.encode(SOME)
    assert codes.shape == (5, 3)
    np.testing.assert_allclose(model.reconstruct(SOME), model.decode(codes), atol=1e-6)
    assert np.abs(np.asarray(model.reconstruct(SOME)) - SOME).mean() > 0.05  # three numbers cannot hold noise
    assert model.sample(6).shape == (6, 28, 28, 1)


@pytest.mark.points(2, part="1.4")
def test_random_codes_are_of_the_standard_normal_distribution():
    assert_samples_are_of_the_prior(
        hw5.models.Autoencoder(constant_encoder([0.0, 0.0], shape=(1, 2, 1)), identity_decoder(2, like=None)), like=None
    )


@pytest.mark.runs
@pytest.mark.points(2, part="1.4")
def test_the_section_draws_its_figures(section_run):
    """Ten training and ten validation images, their reconstructions by a model that was trained, and ten samples."""
    done = section_run(1)
    assert json.loads((done.out / "metrics.json").read_text())
    for path in done.figures:
        if path.suffix == ".png":
            Image.open(path).load()
    drawn = pictures(done)
    for images in images_of(done):
        assert any(has_reconstructions(drawn, images, model.reconstruct) for model in full_models(done))
    known = np.concatenate(images_of(done))
    assert any(
        draws_samples(drawn, sampled_codes(done.decoded, model, known), model, 10) for model in full_models(done)
    ), "no decoded random codes"


@pytest.mark.runs
@pytest.mark.points(4, part="1.4")
def test_interpolations_go_from_training_to_validation_images_in_ten_steps(section_run):
    """Codes on ten lines between the codes of a training and a validation image, in ten even steps, are decoded."""
    done = section_run(1)
    model = full_models(done)[0]
    first, last = (np.asarray(model.encode(images)) for images in images_of(done))
    codes = np.concatenate([codes for codes in done.decoded if codes.shape[1] == first.shape[1]])
    # ten images with the ends, or ten steps, or ten images between the ends
    found = max((lines(codes, first, last, np.arange(1, steps) / steps) for steps in (9, 10, 11)), key=len)
    assert len(found) >= 10
    assert lines_are_drawn(model, found, pictures(done), 10), "no figure has ten rows of the decoded images"


@pytest.mark.runs
@pytest.mark.points(6, part="1.5")
def test_pca_bounds_the_linear_autoencoder(section_run):
    done = section_run(1)
    measured, (images, validation) = done.results, images_of(done)
    pixels = np.float64(np.unique(images.reshape(-1, 784), axis=0))  # a pass has every image once
    rest = validation.reshape(-1, 784) - pixels.mean(axis=0)
    _, _, directions = svd(pixels - pixels.mean(axis=0), full_matrices=False)
    rest = rest - rest @ directions[:2].T @ directions[:2]
    bound = {int(k): value for k, value in measured["pca_mse"].items()}
    assert bound[2] == pytest.approx(np.mean(rest**2), rel=1e-4)
    linear = {int(k): value for k, value in measured["mse"]["linear"].items()}[2]
    assert linear > bound[2]
    assert any(is_mean_squared_error(linear, model, validation) for model in full_models(done))


@pytest.mark.points(2, part="1.6")
def test_the_nonlinear_autoencoder_has_a_nonlinearity_and_a_sigmoid():
    encoder, decoder = hw5.networks.nonlinear_autoencoder(50)
    model = hw5.models.Autoencoder(encoder, decoder, loss="cross_entropy")
    random_weights(encoder)
    origin, one, two = (np.asarray(model.encode(10 * scale * (SOME - 0.5))) for scale in (0.0, 1.0, -2.0))
    assert np.abs((two - origin) + 2 * (one - origin)).max() > 1e-3  # of an affine function it is 0
    (kernel, *bias), codes = random_weights(decoder), np.random.default_rng(1).normal(size=(5, 50)).astype(np.float32)
    expected = sigmoid(codes @ kernel + sum(bias))
    np.testing.assert_allclose(np.reshape(model.decode(codes), (5, 784)), expected, rtol=1e-4, atol=1e-6)
    model = autoencoder_of_constants()
    np.testing.assert_allclose(np.ravel(model.decode(np.zeros((1, 1)))), sigmoid(LOGITS), rtol=1e-5)


def autoencoder_of_constants():
    decoder = constant_decoder(1, like="nonlinear_autoencoder")
    return hw5.models.Autoencoder(constant_encoder([0.0]), decoder, loss="cross_entropy")


@pytest.mark.points(2, part="1.6")
def test_its_loss_is_the_cross_entropy_summed_over_pixels():
    model = autoencoder_of_constants()
    assert loss(model, IMAGES) == pytest.approx(cross_entropy().mean(), rel=1e-5)
    assert_autoencoder_descends(cross_entropy=True)


@pytest.mark.runs
@pytest.mark.points(2, part="1.6")
def test_the_nonlinear_autoencoder_is_trained(section_run):
    done, hidden = section_run(1), 784 * 2 + 2
    (measured,), (_, images) = done.results["mse"]["nonlinear"].values(), images_of(done)
    found = [model for model in full_models(done) if is_mean_squared_error(measured, model, images)]
    assert found
    assert all(model.encoder.count_params() in (hidden, hidden - 2) for model in found)  # not the stacked one
    outputs = np.concatenate([np.ravel(model.decode(100 * np.eye(2, dtype=np.float32))) for model in found])
    assert outputs.min() >= 0
    assert outputs.max() <= 1


@pytest.mark.points(3, part="1.7")
def test_the_stacked_autoencoder_has_layers_of_varying_size():
    encoder, decoder = hw5.networks.stacked_autoencoder(5, hidden=(64, 32))
    for network, inputs in ((encoder, SOME), (decoder, SOME.reshape(5, 784)[:, :5])):
        random_weights(network)
        origin, one, two = (np.asarray(network(10 * scale * (inputs - 0.5))) for scale in (0.0, 1.0, -2.0))
        assert np.abs((two - origin) + 2 * (one - origin)).max() > 1e-3  # layers without a non-linearity are one layer
        assert linear_layers(network, inputs) == []  # also the second one has a non-linearity
    assert encoder.count_params() == 784 * 64 + 64 + 64 * 32 + 32 + 32 * 5 + 5
    assert decoder.count_params() == 5 * 32 + 32 + 32 * 64 + 64 + 64 * 784 + 784


@pytest.mark.runs
@pytest.mark.points(3, part="1.7")
def test_end_to_end_and_pretrained_are_compared(section_run):
    done = section_run(1)
    errors, (_, images) = done.results["mse"], images_of(done)
    (stacked,), (pretrained,) = errors["stacked"].values(), errors["pretrained"].values()
    assert pretrained != stacked
    for measured in (stacked, pretrained):
        assert any(is_mean_squared_error(measured, model, images) for model in full_models(done))
    # Four variants are trained once, and before the last one at least two of its three pairs of layers.
    assert len(done.fits) >= 4 + 2
    # The last one starts with kernels that these pairs ended with; each has two checksums. It trains all of them.
    ended = [set(fit["end"]) for fit in done.fits]
    kept = [len(set(fit["start"]) & set().union(*ended[:number])) for number, fit in enumerate(done.fits)]
    whole = [fit for fit, count in zip(done.fits, kept, strict=True) if count >= 4]
    assert whole, "no training starts with the weights of a pre-training"
    assert any(not set(fit["start"]) & set(fit["end"]) for fit in whole), "pre-trained layers are not trained further"
