"""Figures: arrays in, PNG files out.

`plots` draws arrays. `latent` draws images that a model decodes from codes. `gan` draws the training of a GAN.
"""

from hw5.figures import gan, latent
from hw5.figures.plots import (
    GAP,
    STYLE,
    WIDTH,
    animation,
    bars,
    contact_sheet,
    curve_panels,
    curves,
    filmstrip,
    image_grid,
    image_rows,
    make_grid,
    point_panels,
    save_grid,
    scatter,
    spectra,
    square,
    tile,
    training_curves,
)

__all__ = [
    "GAP",
    "STYLE",
    "WIDTH",
    "animation",
    "bars",
    "contact_sheet",
    "curve_panels",
    "curves",
    "filmstrip",
    "gan",
    "image_grid",
    "image_rows",
    "latent",
    "make_grid",
    "point_panels",
    "save_grid",
    "scatter",
    "spectra",
    "square",
    "tile",
    "training_curves",
]
