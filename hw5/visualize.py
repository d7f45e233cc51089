"""Figures of what a model does with codes."""

from pathlib import Path

import numpy as np
from scipy.stats import norm

from hw5 import figures
from hw5.data import scale
from hw5.models.base import LatentModel

SHOWN = 10  # images in a row


def code_figures(model: LatentModel, training: np.ndarray, validation: np.ndarray, folder: Path, name: str) -> None:
    """The experiments of sheet 000, I.4, as `reconstruction_NAME.png` and `interpolation_NAME.png`.

    The first shows both sets of images over their reconstructions, and decoded codes from N(0, I); the
    second ten steps from the code of each training image to that of its validation image, a row a pair.

    Args:
        training, validation: uint8 images [n, h, w, c]; the first ten of each are shown.
    """
    count = min(len(training), len(validation), SHOWN)
    training, validation = scale(training[:count]), scale(validation[:count])
    rows = [
        ("training", training),
        ("reconstruction", model.reconstruct(training)),
        ("validation", validation),
        ("reconstruction", model.reconstruct(validation)),
        (r"decoded $\mathcal{N}(0, I)$", model.sample(count, seed=0)),
    ]
    figures.image_rows(folder / f"reconstruction_{name}.png", rows)
    steps = model.interpolate(training, validation, steps=10)
    labels = dict(left="training image's code", right="validation image's code")
    figures.image_grid(folder / f"interpolation_{name}.png", steps, width=0.7 * figures.WIDTH, **labels)


def latent_plane(model: LatentModel, path: Path, steps: int = 20) -> None:
    """Decode a grid over a two-dimensional latent space, spaced by the quantiles of N(0, 1).

    As figure 4 of Kingma & Welling 2014: every image stands for the same share of the prior.
    """
    quantiles = norm.ppf((np.arange(steps) + 0.5) / steps)
    plane = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1)  # z₁ to the right, z₂ upwards
    images = np.asarray(model.decode(plane.reshape(-1, 2).astype(np.float32)))
    images = images.reshape(steps, steps, *images.shape[1:])
    figures.image_grid(path, images, width=0.8 * figures.WIDTH, xlabel="$z_1$", ylabel="$z_2$")
