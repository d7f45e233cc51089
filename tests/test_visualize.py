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
