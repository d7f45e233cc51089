"""Figures of a latent space: the images and their places."""

import keras
import numpy as np
import pytest
from scipy.stats import norm

from hw5 import models, networks
from hw5.figures import latent, plots


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of the drawing functions, by the name of the file."""
    calls = {}
    monkeypatch.setattr(plots, "image_rows", lambda path, rows, **_: calls.update({path.name: rows}))
    monkeypatch.setattr(plots, "image_grid", lambda path, images, **_: calls.update({path.name: images}))
    return calls


class Brightness:
    """A model that decodes z to images; their brightness depends on the first latent and, less, on the third."""

    def decode(self, z):
        z = np.asarray(z)
        value = np.clip(0.5 + 0.1 * z[..., 0] + 0.02 * z[..., 2], 0, 1)
        return np.tile(value[..., None, None, None], (4, 4, 1))

    def interpolate(self, first_codes, last_codes, shares):
        return self.decode(first_codes[:, None] + np.asarray(shares)[:, None] * (last_codes - first_codes)[:, None])


@pytest.mark.parametrize("count", [10, 4])
def test_autoencoder_figures_show_the_experiments_of_the_sheet(drawn, digits, tmp_path, count):
    model = models.VAE(*networks.dense_vae(3, hidden=8))
    latent.autoencoder_figures(model, digits[:100], digits[100 : 100 + count], tmp_path, "x")
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
    assert steps.shape == (count, 10, 28, 28, 1)  # ten steps, one row per pair
    np.testing.assert_allclose(steps[:, 0], rows[1], atol=1e-5)
    np.testing.assert_allclose(steps[:, -1], rows[3], atol=1e-5)


def test_latent_plane_is_spaced_by_quantiles_with_z1_rightwards_and_z2_upwards(drawn, tmp_path):
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Reshape((1, 2, 1))])  # "images" that are their codes
    model = models.Autoencoder(networks.linear_autoencoder(2)[0], decoder)
    latent.latent_plane(model, tmp_path / "plane.png", steps=5)
    codes = drawn["plane.png"].reshape(5, 5, 2)
    quantiles = norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(codes[2, :, 0], quantiles, atol=1e-6)
    np.testing.assert_allclose(codes[:, 2, 1], quantiles[::-1], atol=1e-6)


def test_a_traversal_ranks_latents_by_their_influence(drawn, tmp_path):
    latent.traversal(Brightness(), tmp_path / "t.png", np.zeros((8, 4), np.float32), rows=3, columns=5)
    rows = dict(drawn["t.png"])
    assert list(rows)[:2] == ["$z_{1}$", "$z_{3}$"]
    np.testing.assert_allclose(rows["$z_{1}$"][:, 0, 0, 0], [0.2, 0.35, 0.5, 0.65, 0.8], atol=1e-6)
    np.testing.assert_allclose(rows["$z_{3}$"][:, 0, 0, 0], [0.44, 0.47, 0.5, 0.53, 0.56], atol=1e-6)


def test_a_traversal_moves_one_latent_of_the_first_code(drawn, tmp_path):
    codes = np.float32([[1, 2, 3, 4], [9, 9, 9, 9]])
    latent.traversal(Brightness(), tmp_path / "t.png", codes, columns=3)
    rows = dict(drawn["t.png"])
    np.testing.assert_allclose(rows["$z_{1}$"][:, 0, 0, 0], 0.5 + 0.1 * np.array([-3, 0, 3]) + 0.06, atol=1e-6)
    np.testing.assert_allclose(rows["$z_{2}$"][:, 0, 0, 0], 0.5 + 0.1 + 0.06, atol=1e-6)


def test_interpolation_by_codes_and_by_pixels(drawn, tmp_path):
    class Squares(Brightness):
        def decode(self, z):
            return super().decode(z) ** 2

    codes = np.zeros((6, 4), np.float32)
    codes[0, 0], codes[1, 0] = 4, -4  # brightness 0.9 and 0.1 before it is squared
    latent.latent_and_pixel_interpolation(Squares(), tmp_path / "i.png", codes)
    rows = drawn["i.png"]
    assert [label for label, _ in rows] == ["codes", "pixels"] * 3
    share = np.linspace(0, 1, 11)
    np.testing.assert_allclose(rows[0][1][:, 0, 0, 0], (0.1 + 0.8 * share) ** 2, atol=1e-6)
    np.testing.assert_allclose(rows[1][1][:, 0, 0, 0], 0.01 + 0.8 * share, atol=1e-6)
