"""Figures of a latent space: reconstructions, samples, interpolations, traversals and the latent plane."""

from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.special import ndtri

from hw5.figures import plots

NUM_SHOWN = 10  # images in a row


class LatentModel(Protocol):
    """A model whose codes can be drawn: images and codes are float32, images in [0, 1]."""

    def decode(self, z): ...

    def sample(self, count, seed): ...

    def interpolate(self, first_codes, last_codes, shares): ...


class ReconstructingModel(LatentModel, Protocol):
    """A latent model with an encoder."""

    def encode(self, images): ...

    def reconstruct(self, images): ...


def autoencoder_figures(
    model: ReconstructingModel, training: np.ndarray, validation: np.ndarray, folder: Path, name: str
) -> None:
    """Draw the experiments of sheet 000, I.4, as `reconstruction_NAME.png` and `interpolation_NAME.png`.

    The first shows both sets of images over their reconstructions, and decoded codes from N(0, I). The
    second shows ten steps from the code of each training image to that of its validation image, one row per pair.

    Args:
        training, validation: images [n, h, w, c], uint8 or float in [0, 1]; the first ten of each are shown.
    """
    count = min(len(training), len(validation), NUM_SHOWN)
    training, validation = (plots.to_floats(images[:count]) for images in (training, validation))
    rows = [
        ("training", training),
        ("reconstruction", model.reconstruct(training)),
        ("validation", validation),
        ("reconstruction", model.reconstruct(validation)),
        (r"decoded $\mathcal{N}(0, I)$", model.sample(count, seed=0)),
    ]
    plots.image_rows(folder / f"reconstruction_{name}.png", rows)
    shares = np.linspace(0, 1, 10, dtype=np.float32)
    steps = model.interpolate(model.encode(training), model.encode(validation), shares)
    labels = dict(left="training image's code", right="validation image's code")
    plots.image_grid(folder / f"interpolation_{name}.png", steps, width=0.7 * plots.WIDTH, **labels)


def latent_plane(model: LatentModel, path: Path, steps: int = 20) -> None:
    """Decode a grid over a two-dimensional latent space, spaced by the quantiles of N(0, 1).

    As figure 4 of Kingma & Welling 2014: every image stands for the same share of the prior.
    """
    quantiles = ndtri((np.arange(steps) + 0.5) / steps)
    plane = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1)  # z₁ to the right, z₂ upwards
    images = np.asarray(model.decode(plane.reshape(-1, 2).astype(np.float32)))
    plots.image_grid(path, plots.square(images), width=0.8 * plots.WIDTH, xlabel="$z_1$", ylabel="$z_2$")


def traversal(model: LatentModel, path: Path, codes: np.ndarray, rows: int = 8, columns: int = 9) -> None:
    """Move one latent dimension at a time from −3 to 3, the most influential dimensions first (sheet 002, 5 b).

    The rows start from the first code; the influence is that on the first eight.

    Args:
        codes: [n, latent_dim] from N(0, I).
    """
    dimensions = influential_dimensions(model, codes[:8])[:rows]
    images = _moved(model, codes[:1], dimensions, columns)[:, 0]
    labels = [f"$z_{{{dimension + 1}}}$" for dimension in dimensions]
    values = [f"{value:g}".replace("-", "−") for value in np.linspace(-3, 3, columns)]
    plots.image_rows(path, list(zip(labels, images, strict=True)), title="value of $z_i$", columns=values)


def influential_dimensions(model: LatentModel, codes: np.ndarray) -> np.ndarray:
    """Sort the latent dimensions by their influence, the largest first. Returns [latent_dim] of indices from 0.

    The influence of a dimension is the mean change of a pixel between z_i = −3 and z_i = 3.

    Args:
        codes: [n, latent_dim] from N(0, I), over which the change is averaged.
    """
    low, high = np.moveaxis(_moved(model, codes, range(codes.shape[1]), 2), 2, 0)
    return np.argsort(np.abs(high - low).mean(axis=(1, 2, 3, 4)))[::-1]


def _moved(model, codes, dimensions, steps):
    """Decode every code with one dimension at a time moved from −3 to 3.

    Returns:
        [len(dimensions), len(codes), steps, h, w, c].
    """
    low = np.tile(codes, (len(dimensions), 1, 1))
    low[np.arange(len(dimensions)), :, dimensions] = -3
    high = low.copy()
    high[np.arange(len(dimensions)), :, dimensions] = 3
    low, high = (ends.reshape(-1, codes.shape[-1]) for ends in (low, high))
    images = model.interpolate(low, high, np.linspace(0, 1, steps, dtype=np.float32))
    return images.reshape(len(dimensions), len(codes), *images.shape[1:])


def latent_and_pixel_interpolation(model: LatentModel, path: Path, codes: np.ndarray, pairs: int = 3) -> None:
    """Draw interpolations between pairs of samples: of their codes, and below of their pixels (sheet 002, 5 c).

    z' = α z₀ + (1 − α) z₁ and x' = α x₀ + (1 − α) x₁ for α = 0, 0.1 … 1.

    Args:
        codes: [n, latent_dim], n ≥ 2 · pairs.
    """
    share = np.linspace(0, 1, 11, dtype=np.float32)
    first, last = np.moveaxis(codes[: 2 * pairs].reshape(pairs, 2, -1), 1, 0)
    rows = []
    for images in model.interpolate(last, first, share):  # α = 0 is z₁
        mixed = share[:, None, None, None] * images[-1] + (1 - share[:, None, None, None]) * images[0]
        rows += [("codes", images), ("pixels", mixed)]
    labels = [f"{alpha:.1f}" for alpha in share]
    labels[0], labels[-1] = f"$z_1$, $x_1$\n{labels[0]}", f"$z_0$, $x_0$\n{labels[-1]}"
    title = r"$\alpha z_0 + (1 - \alpha) z_1$ and $\alpha x_0 + (1 - \alpha) x_1$, by $\alpha$"
    plots.image_rows(path, rows, title=title, columns=labels)
