"""What notebooks show: pictures in place, and sliders that decode codes anew."""

import io

import numpy as np
import pytest
from PIL import Image

from hw5 import figures

interactive = pytest.importorskip("hw5.interactive", reason="pip install '.[notebooks]'", exc_type=ImportError)


class Plane:
    """A model of three latent dimensions whose images are grey: sigmoid-like in z₁ + 2 z₃."""

    latent_dim = 3

    def decode(self, z):
        grey = 0.5 + 0.05 * (z[:, 0] + 2 * z[:, 2])
        return np.broadcast_to(grey[:, None, None, None], (len(z), 4, 4, 1))

    def interpolate(self, first, last, shares):
        codes = first[:, None] + np.asarray(shares, np.float32)[:, None] * (last - first)[:, None]
        return self.decode(codes.reshape(-1, 3)).reshape(*codes.shape[:2], 4, 4, 1)


@pytest.fixture
def displayed(monkeypatch):
    found = []
    monkeypatch.setattr(interactive, "display", found.append)
    return found


def parts(box):
    bars, picture = box.children
    return bars.children, picture


def grey(picture):
    return np.asarray(Image.open(io.BytesIO(picture.value))).mean()


def test_figures_of_a_run(displayed, tmp_path):
    figures.save_grid(tmp_path / "samples.png", np.zeros((2, 2, 4, 4, 1)))
    interactive.show({"settings": {"out": str(tmp_path)}}, "samples", width=100)
    (image,) = displayed
    assert (image.data, image.width) == ((tmp_path / "samples.png").read_bytes(), 100)


def test_a_figure_without_a_file(displayed):
    interactive.draw(figures.save_grid, images=np.zeros((2, 2, 4, 4, 1)))
    assert Image.open(io.BytesIO(displayed[0].data)).size == (10, 10)


def test_sliders_of_the_two_influential_dimensions(displayed):
    interactive.latent_sliders(Plane(), code=np.array([1, 2, 0]))
    _, box = displayed  # the grid of all images comes first
    bars, picture = parts(box)
    assert [(bar.description, bar.value, bar.min, bar.max) for bar in bars] == [("z1", 1, -3, 3), ("z3", 0, -3, 3)]
    assert Image.open(io.BytesIO(picture.value)).size == (224, 224)
    assert grey(picture) == round(255 * 0.55)
    bars[1].value = 2.0
    assert grey(picture) == round(255 * 0.75)
    bars[0].value = -3.0
    assert grey(picture) == round(255 * 0.55)


def test_a_slider_between_two_codes_and_beyond(displayed):
    interactive.interpolation_slider(Plane(), np.zeros(3, np.float32), np.array([2, 0, 0], np.float32))
    _, box = displayed
    (bar,), picture = parts(box)
    assert (bar.value, bar.min, bar.max) == (0.5, -0.5, 1.5)
    assert grey(picture) == round(255 * 0.55)
    bar.value = 1.5
    assert grey(picture) == round(255 * 0.65)


def test_colours_are_kept():
    image = np.zeros((2, 2, 3))
    image[..., 1] = 1.2  # beyond 1, as an extrapolation may be
    assert (np.asarray(Image.open(io.BytesIO(interactive.png(image)))) == [0, 255, 0]).all()
