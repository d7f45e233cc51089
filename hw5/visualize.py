"""Figures of what a model does with codes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import norm

from hw5 import figures
from hw5.callbacks import fixed_noise
from hw5.data import scale
from hw5.models import GAN
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


def gan_training(
    gan: GAN, history: Mapping[str, Sequence[float]], folder: Path, run_dir: Path, *, steps: int, seed: int, loss="loss"
) -> None:
    """What becomes of a GAN: `losses.png`, `outputs.png` of D, `fixed_noise.png` over the training, `samples.png`.

    Args:
        history: of `training.fit_gan`, evenly spaced over `steps`.
        run_dir: where a `callbacks.FixedNoise` of that `seed` has left its pictures.
        loss: name of the axis.
    """
    at = np.linspace(0, steps, len(history["d_loss"]) + 1)[1:]
    losses = {"D": (at, history["d_loss"]), "G": (at, history["g_loss"])}
    figures.curves(folder / "losses.png", losses, xlabel="training steps", ylabel=loss)
    outputs = {
        "D(x)": (at, history["d_real"]),
        "D(G(z)) before G's step": (at, history["d_fake_g_step"]),
        "D(G(z)) after G's step": (at, history["d_fake_d_step"]),
    }
    dashed = []
    if gan.objective.has_probabilities:
        outputs["equilibrium"], dashed = (at, np.full(len(at), 0.5)), ["equilibrium"]
    ylabel = "probability" if gan.objective.has_probabilities else "output of D"
    figures.curves(folder / "outputs.png", outputs, xlabel="training steps", ylabel=ylabel, dashed=dashed)
    pictures = sorted((run_dir / "samples").glob("[0-9]*.png"))
    chosen = np.unique(np.geomspace(1, len(pictures), 4).round().astype(int) - 1)
    strip = {f"step {int(pictures[i].stem):,}": pictures[i] for i in chosen}
    figures.filmstrip(folder / "fixed_noise.png", strip)
    samples = np.asarray(gan.decode(fixed_noise(run_dir, gan.latent_dim, seed)))
    figures.image_grid(folder / "samples.png", samples.reshape(8, 8, *samples.shape[1:]), width=4)
