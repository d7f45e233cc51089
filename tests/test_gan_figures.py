"""Figures of GANs: the curves, the strip over the training, and the spectra of upsampling."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from hw5.figures import gan, plots


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of the drawing functions, by the name of the file."""
    calls = {}
    for name in ("image_rows", "image_grid", "curves", "filmstrip", "spectra"):
        monkeypatch.setattr(plots, name, lambda path, content, **options: calls.update({path.name: (content, options)}))
    return calls


class Stripes:
    """A model that decodes z to flat images, and samples stripes of one pixel with the given contrast."""

    def __init__(self, strength, outputs_probability=True):
        self.strength = strength
        self.objective = SimpleNamespace(outputs_probability=outputs_probability)

    def decode(self, z):
        return np.tile(np.asarray(z)[:, :1, None, None], (1, 8, 8, 1))

    def sample(self, count, seed):
        stripes = 0.5 + self.strength * (-1.0) ** np.arange(8)
        return np.tile(stripes[None, None, :, None], (count, 8, 1, 1))


@pytest.mark.parametrize("outputs_probability", [True, False])
def test_training_figures(drawn, tmp_path, outputs_probability):
    names = ("d_loss", "g_loss", "d_real", "d_fake_g_step", "d_fake_d_step")
    history = {name: [number, number + 0.5] for number, name in enumerate(names)}
    grids = [tmp_path / f"{step:06}.png" for step in (3000, 1, 2000, 10, 4000, 5000, 20, 50, 100, 1000)]
    noise = np.random.default_rng(0).normal(size=(64, 5))
    model = Stripes(0.0, outputs_probability)
    gan.training_figures(model, history, tmp_path, grids=grids, noise=noise, steps=100, loss="the loss")

    losses, axes = drawn["losses.png"]
    assert {name: list(y) for name, (_, y) in losses.items()} == {"D": history["d_loss"], "G": history["g_loss"]}
    np.testing.assert_array_equal(losses["D"][0], [50, 100])
    assert axes["ylabel"] == "the loss"
    outputs, axes = drawn["outputs.png"]
    assert list(outputs["D(G(z)) before G's step"][1]) == history["d_fake_g_step"]
    assert list(outputs["D(G(z)) after G's step"][1]) == history["d_fake_d_step"]
    assert ("equilibrium" in outputs) == outputs_probability
    assert axes["ylabel"] == ("probability" if outputs_probability else "output of D")
    strip, _ = drawn["fixed_noise.png"]
    assert [name.removeprefix("step ") for name in strip] == ["1", "10", "20", "50", "100", "1,000", "2,000", "5,000"]
    assert strip["step 2,000"].name == "002000.png"
    assert "overfitting, $r_v$" not in outputs
    samples, _ = drawn["samples.png"]
    np.testing.assert_array_equal(samples.reshape(64, 8, 8, 1), model.decode(noise))


def test_overfitting_is_drawn_with_the_outputs_where_it_was_measured(drawn, tmp_path):
    names = ("d_loss", "g_loss", "d_real", "d_fake_g_step", "d_fake_d_step", "overfitting")
    history = {name: [number] for number, name in enumerate(names)} | {"overfitting": [-50]}
    how = dict(grids=[tmp_path / "000001.png"], noise=np.zeros((4, 5)), steps=100)
    gan.training_figures(Stripes(0.0, True), history, tmp_path, **how, suffix="_second")
    outputs, axes = drawn["outputs_second.png"]
    assert axes["ylabel"] == "probability and $r_v$"
    assert list(outputs["overfitting, $r_v$"][1]) == [-50]
    assert axes["ylim"] == (gan.OUTPUT_RANGE[0], 4)  # of all outputs of D, but not of the overfitting
    assert set(drawn) == {f"{name}_second.png" for name in ("losses", "outputs", "fixed_noise", "samples")}


def test_upsamplings_are_compared_by_the_same_codes_and_by_their_spectra(drawn, tmp_path):
    codes = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    by_upsampling = {"deconv": Stripes(0.25), "nearest": Stripes(0.125)}
    real = Stripes(0.0625).sample(30, 0)
    powers = gan.upsampling_figures(by_upsampling, real, tmp_path, "gan", codes, seed=0, count=20)
    labels, rows = zip(*drawn["upsampling_gan.png"][0], strict=True)
    assert labels == ("deconv", "nearest")
    for row in rows:
        np.testing.assert_array_equal(row, Stripes(0.0).decode(codes[:8]))
    power = {name: spectrum[4, 0] for name, spectrum in drawn["spectrum_gan.png"][0].items()}
    assert power == pytest.approx({"deconv": 4.0, "nearest": 1.0, "real": 0.25})  # 64 pixels times the variance
    assert powers.keys() == {"deconv", "nearest"}


def test_power_spectrum_by_hand():
    rows, columns = np.indices((8, 8))
    checkerboard = 0.5 + 0.25 * (-1.0) ** (rows + columns)
    spectrum = gan.power_spectrum(checkerboard[None, ..., None])
    assert spectrum[0, 0] == pytest.approx(64 * 0.25**2)  # all its variance
    assert spectrum.sum() == pytest.approx(spectrum[0, 0])
    stripes = 0.5 + 0.25 * (-1.0) ** columns
    assert gan.power_spectrum(stripes[None, ..., None])[4, 0] == pytest.approx(64 * 0.25**2)


def test_a_checkerboard_has_high_frequencies_and_stripes_and_slow_changes_have_none():
    rows, columns = np.indices((8, 8))
    checkerboard, stripes = (0.5 + 0.25 * (-1.0) ** places for places in (rows + columns, columns))
    slow = 0.5 + 0.25 * np.cos(2 * np.pi * (rows + columns) / 4)  # a quarter of a cycle per pixel
    power = [
        gan.high_frequency_power(gan.power_spectrum(image[None, ..., None])) for image in (checkerboard, stripes, slow)
    ]
    assert power == pytest.approx([64 * 0.25**2 / 9, 0, 0])  # three frequencies each way: -1/2, -3/8 and 3/8


def test_an_untrained_transposed_convolution_makes_a_checkerboard():
    """Check kernel 3 and stride 2: pixels get 1, 2 or 4 products in turn (Odena et al. 2016)."""
    smooth = keras.random.normal((200, 16, 16, 1), seed=0) * 0.1 + 1.0
    positive = keras.initializers.RandomUniform(0, 1, seed=0)
    images = {"deconv": keras.layers.Conv2DTranspose(1, 3, 2, "same", kernel_initializer=positive)(smooth)}
    for name in ("nearest", "bilinear"):
        convolution = keras.layers.Conv2D(1, 3, 1, "same", kernel_initializer=positive)
        images[name] = convolution(keras.layers.UpSampling2D(2, interpolation=name)(smooth))
    inside = {name: np.asarray(image)[:, 4:-4, 4:-4] for name, image in images.items()}
    spectra = {name: gan.power_spectrum(image / image.mean()) for name, image in inside.items()}
    peaks = {name: max(power[0, 0], power[0, 12], power[12, 0]) for name, power in spectra.items()}
    assert peaks["deconv"] > 30 * peaks["nearest"]
    assert peaks["deconv"] > 30 * peaks["bilinear"]
