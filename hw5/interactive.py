"""For notebooks: the figures of a run in place, and sliders that move codes.

Each slider stands below a picture of its whole range, which a notebook also shows where no program runs behind it.
IPython and ipywidgets are in Jupyter and Colab; `pip install "hw5[notebooks]"` installs them elsewhere.
"""

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import ipywidgets
import numpy as np
from IPython.display import Image, display
from PIL import Image as Picture

from hw5 import figures
from hw5.figures.latent import LatentModel

WIDTH = 640  # of a figure, in pixels
PICTURE_WIDTH = 224  # of a slider's image, in pixels
REACH = 3.0  # a latent dimension moves from −REACH to REACH
GRID_STEPS = 11
NUM_CODES = 8  # over which the influence of a dimension is averaged


def show(results: Mapping, *names: str, width: int = WIDTH) -> None:
    """Show figures of a run of a section.

    Args:
        results: what its `run` returned.
        names: of the figures, without ".png".
        width: in pixels.
    """
    for name in names:
        display(Image(Path(results["settings"]["out"], f"{name}.png").read_bytes(), width=width))


def draw(figure: Callable, *, width: int = WIDTH, **arguments) -> None:
    """Show a figure of `hw5.figures` in place, as `draw(figures.image_rows, rows=rows)`.

    Args:
        figure: a function that writes a file, its argument `path`.
        width: in pixels.
        arguments: the function's others.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figure.png")
        figure(path=path, **arguments)
        display(Image(path.read_bytes(), width=width))


def latent_sliders(model: LatentModel, code: np.ndarray | None = None, seed: int = 0) -> None:
    """Show the images over the two latent dimensions that change them most: all on a grid, and one by two sliders.

    Args:
        code: [latent_dim], of the other dimensions (default: 0).
        seed: of the codes by which the two are found.
    """
    code = np.zeros(model.latent_dim, np.float32) if code is None else np.asarray(code, np.float32)
    drawn = np.random.default_rng(seed).standard_normal((NUM_CODES, model.latent_dim), np.float32)
    dimensions = np.sort(figures.latent.influential_dimensions(model, drawn)[:2])

    def codes(first, second):
        moved = np.tile(code, (np.size(first), 1))
        moved[:, dimensions[0]], moved[:, dimensions[1]] = np.ravel(first), np.ravel(second)
        return moved

    steps = np.linspace(-REACH, REACH, GRID_STEPS)
    images = model.decode(codes(*np.meshgrid(steps, steps[::-1])))
    labels = [f"$z_{{{dimension + 1}}}$" for dimension in dimensions]
    names = dict(left=f"−{REACH:g}", right=f"{REACH:g}", xlabel=labels[0], ylabel=labels[1])
    draw(figures.image_grid, images=figures.square(images), width=WIDTH // 2, **names)
    ranges = {f"z{dimension + 1}": (-REACH, REACH, code[dimension]) for dimension in dimensions}
    sliders(lambda *values: model.decode(codes(*values))[0], ranges)


def interpolation_slider(model: LatentModel, first: np.ndarray, last: np.ndarray) -> None:
    """Show the images between two codes and beyond: all in a row, and one by a slider.

    Args:
        first, last: codes [latent_dim], at 0 and 1 of the slider.
    """
    shares = np.linspace(-0.5, 1.5, 13)
    row = model.interpolate(first[None], last[None], shares)[0]
    labels = [f"{share:.2g}".replace("-", "−") for share in shares]
    draw(figures.image_rows, rows=[("", row)], columns=labels)
    sliders(lambda share: model.interpolate(first[None], last[None], [share])[0, 0], {"share": (-0.5, 1.5, 0.5)})


def sliders(image: Callable, ranges: Mapping[str, tuple[float, float, float]]) -> None:
    """Show sliders, and the image that belongs to their values.

    Args:
        image: the values of the sliders → an image [h, w, c] in [0, 1].
        ranges: name → (lowest, highest, first value).
    """
    bars = [
        ipywidgets.FloatSlider(float(value), min=low, max=high, step=0.05, description=name)
        for name, (low, high, value) in ranges.items()
    ]
    picture = ipywidgets.Image(format="png", width=PICTURE_WIDTH)

    def update(_=None):
        picture.value = png(image(*(bar.value for bar in bars)))

    for bar in bars:
        bar.observe(update, "value")
    update()
    display(ipywidgets.HBox([ipywidgets.VBox(bars), picture]))


def png(image: np.ndarray) -> bytes:
    """Encode an image [h, w, c] in [0, 1], each pixel as a square of several."""
    pixels = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8).squeeze()
    scale = max(PICTURE_WIDTH // pixels.shape[1], 1)
    buffer = io.BytesIO()
    Picture.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)).save(buffer, "png")
    return buffer.getvalue()
