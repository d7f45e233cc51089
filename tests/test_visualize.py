"""Figures of codes: which images go where."""

import keras
import numpy as np
import pytest
from scipy.stats import norm

from hw5 import figures, models, networks, visualize


@pytest.fixture
def drawn(monkeypatch):
    """What is handed to the drawing functions, by the name of the file."""
    calls = {}
    monkeypatch.setattr(figures, "image_rows", lambda path, rows, **_: calls.update({path.name: rows}))
    monkeypatch.setattr(figures, "image_grid", lambda path, images, **_: calls.update({path.name: images}))
    return calls


@pytest.mark.parametrize("count", [10, 4])
def test_code_figures_show_the_experiments_of_the_sheet(drawn, digits, tmp_path, count):
    model = models.VAE(*networks.dense_vae(3, hidden=8))
    visualize.code_figures(model, digits[:100], digits[100 : 100 + count], tmp_path, "x")
    labels, rows = zip(*drawn["reconstruction_x.png"], strict=True)
    assert [label.split()[0] for label in labels] == [
        "training",
        "reconstruction",
        "validation",
        "reconstruction",
        "decoded",
    ]
    np.testing.assert_allclose(rows[0], digits[:count] / 255, atol=1e-6)
    np.testing.assert_allclose(rows[2], digits[100 : 100 + count] / 255, atol=1e-6)
    np.testing.assert_array_equal(rows[3], model.reconstruct(rows[2]))
    assert rows[4].shape == rows[0].shape
    steps = drawn["interpolation_x.png"]
    assert steps.shape == (count, 10, 28, 28, 1)  # ten steps, a pair a row
    np.testing.assert_allclose(steps[:, 0], rows[1], atol=1e-5)
    np.testing.assert_allclose(steps[:, -1], rows[3], atol=1e-5)


def test_latent_plane_is_spaced_by_quantiles_with_z1_rightwards_and_z2_upwards(drawn, tmp_path):
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Reshape((1, 2, 1))])  # "images" that are their codes
    model = models.Autoencoder(networks.linear_autoencoder(2)[0], decoder)
    visualize.latent_plane(model, tmp_path / "plane.png", steps=5)
    codes = drawn["plane.png"].reshape(5, 5, 2)
    quantiles = norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(codes[2, :, 0], quantiles, atol=1e-6)
    np.testing.assert_allclose(codes[:, 2, 1], quantiles[::-1], atol=1e-6)


class Colours:
    """Decodes z to images whose brightness is the first latent, and, less, the third."""

    def decode(self, z):
        z = np.asarray(z)
        value = np.clip(0.5 + 0.1 * z[:, 0] + 0.02 * z[:, 2], 0, 1)
        return np.tile(value[:, None, None, None], (1, 4, 4, 1))


def test_a_traversal_ranks_latents_by_what_they_change(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(figures, "image_rows", lambda path, rows: drawn.update(rows))
    visualize.traversal(Colours(), tmp_path / "t.png", np.zeros((8, 4), np.float32), rows=3, columns=5)
    assert list(drawn)[:2] == ["$z_{1}$", "$z_{3}$"]
    np.testing.assert_allclose(drawn["$z_{1}$"][:, 0, 0, 0], [0.2, 0.35, 0.5, 0.65, 0.8], atol=1e-6)
    np.testing.assert_allclose(drawn["$z_{3}$"][:, 0, 0, 0], [0.44, 0.47, 0.5, 0.53, 0.56], atol=1e-6)


def test_interpolation_by_codes_and_by_pixels(tmp_path, monkeypatch):
    class Squares(Colours):
        def decode(self, z):
            return super().decode(z) ** 2

    rows = []
    monkeypatch.setattr(figures, "image_rows", lambda path, drawn: rows.extend(drawn))
    codes = np.zeros((6, 4), np.float32)
    codes[0, 0], codes[1, 0] = 4, -4  # brightness 0.9 and 0.1 before it is squared
    visualize.two_interpolations(Squares(), tmp_path / "i.png", codes)
    assert [label for label, _ in rows] == ["codes", "pixels"] * 3
    share = np.linspace(0, 1, 11)
    np.testing.assert_allclose(rows[0][1][:, 0, 0, 0], (0.1 + 0.8 * share) ** 2, atol=1e-6)
    np.testing.assert_allclose(rows[1][1][:, 0, 0, 0], 0.01 + 0.8 * share, atol=1e-6)


class Stripes(Colours):
    """Samples with stripes of one pixel, as strong as is said."""

    def __init__(self, strength):
        self.strength = strength

    def sample(self, count, seed):
        stripes = 0.5 + self.strength * (-1.0) ** np.arange(8)
        return np.tile(stripes[None, None, :, None], (count, 8, 1, 1))


def test_upsamplings_are_compared_by_the_same_codes_and_by_their_spectra(drawn, monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "spectra", lambda path, panels: drawn.update({path.name: panels}))
    codes = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    real = np.full((30, 8, 8, 1), 128, np.uint8)
    by_upsampling = {"deconv": Stripes(0.25), "nearest": Stripes(0.125)}
    visualize.upsamplings(by_upsampling, real, tmp_path, "gan", codes, seed=0, count=20)
    labels, rows = zip(*drawn["upsampling_gan.png"], strict=True)
    assert labels == ("deconv", "nearest")
    for row in rows:
        np.testing.assert_array_equal(row, Colours().decode(codes[:8]))
    power = {name: spectrum[4, 0] for name, spectrum in drawn["spectrum_gan.png"].items()}
    assert power == pytest.approx({"deconv": 4.0, "nearest": 1.0, "real": 0.0})  # 64 pixels times the variance


def test_power_spectrum_by_hand():
    rows, columns = np.indices((8, 8))
    checkerboard = 0.5 + 0.25 * (-1.0) ** (rows + columns)
    spectrum = visualize.power_spectrum(checkerboard[None, ..., None])
    assert spectrum[0, 0] == pytest.approx(64 * 0.25**2)  # all its variance
    assert spectrum.sum() == pytest.approx(spectrum[0, 0])
    stripes = 0.5 + 0.25 * (-1.0) ** columns
    assert visualize.power_spectrum(stripes[None, ..., None])[4, 0] == pytest.approx(64 * 0.25**2)


def test_an_untrained_transposed_convolution_makes_a_checkerboard():
    """With kernel 3 and stride 2, pixels get 1, 2 or 4 products in turn (Odena et al. 2016)."""
    smooth = keras.random.normal((200, 16, 16, 1), seed=0) * 0.1 + 1.0
    positive = keras.initializers.RandomUniform(0, 1, seed=0)
    images = {"deconv": keras.layers.Conv2DTranspose(1, 3, 2, "same", kernel_initializer=positive)(smooth)}
    for name in ("nearest", "bilinear"):
        convolution = keras.layers.Conv2D(1, 3, 1, "same", kernel_initializer=positive)
        images[name] = convolution(keras.layers.UpSampling2D(2, interpolation=name)(smooth))
    inside = {name: np.asarray(image)[:, 4:-4, 4:-4] for name, image in images.items()}
    spectra = {name: visualize.power_spectrum(image / image.mean()) for name, image in inside.items()}
    peaks = {name: max(power[0, 0], power[0, 12], power[12, 0]) for name, power in spectra.items()}
    assert peaks["deconv"] > 30 * peaks["nearest"]
    assert peaks["deconv"] > 30 * peaks["bilinear"]
