"""Figures of what a model does with codes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import norm

from hw5 import figures
from hw5.callbacks import fixed_noise
from hw5.data import scale
from hw5.models import GAN
from hw5.models.base import LatentModel, decode_in_parts

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


def traversal(model: LatentModel | GAN, path: Path, codes: np.ndarray, rows: int = 8, columns: int = 9) -> None:
    """Move one latent dimension after another from −3 to 3, those that change images most first (sheet 002, 5 b).

    They are ranked by the mean change of a pixel from z_i = −3 to 3, over the first eight codes; what is drawn
    starts from the first.

    Args:
        model: with `decode`.
        codes: [n, latent_dim] from N(0, I).
    """

    def moved(codes, dimensions, values):
        """Images [len(dimensions), n, len(values), h, w, c]."""
        along = np.tile(codes[:, None], (len(dimensions), 1, len(values), 1))
        along[np.arange(len(dimensions)), :, :, dimensions] = values
        images = np.asarray(decode_in_parts(model, along.reshape(-1, along.shape[-1])))
        return images.reshape(*along.shape[:-1], *images.shape[1:])

    low, high = np.moveaxis(moved(codes[:8], range(codes.shape[1]), [-3, 3]), 2, 0)
    chosen = np.argsort(np.abs(high - low).mean(axis=(1, 2, 3, 4)))[::-1][:rows]
    drawn = moved(codes[:1], chosen, np.linspace(-3, 3, columns))[:, 0]
    labels = [f"$z_{{{dimension + 1}}}$" for dimension in chosen]
    figures.image_rows(path, list(zip(labels, drawn, strict=True)))


def two_interpolations(model: LatentModel | GAN, path: Path, codes: np.ndarray, pairs: int = 3) -> None:
    """Between pairs of samples, by codes and below that by pixels (sheet 002, 5 c).

    z' = α z₀ + (1 − α) z₁ and x' = α x₀ + (1 − α) x₁ for α = 0, 0.1 … 1.

    Args:
        model: with `decode`.
        codes: [n, latent_dim], n ≥ 2 · pairs.
    """
    share = np.linspace(0, 1, 11, dtype=np.float32)
    rows = []
    for first, last in codes[: 2 * pairs].reshape(pairs, 2, -1):
        images = np.asarray(model.decode(share[:, None] * first + (1 - share[:, None]) * last))
        mixed = share[:, None, None, None] * images[-1] + (1 - share[:, None, None, None]) * images[0]
        rows += [("codes", images), ("pixels", mixed)]
    figures.image_rows(path, rows)


def upsamplings(
    models: Mapping[str, LatentModel | GAN],
    images: np.ndarray,
    folder: Path,
    name: str,
    codes: np.ndarray,
    *,
    seed: int,
    count: int = 500,
) -> None:
    """The same codes through models that differ in their upsampling, `upsampling_NAME.png`, and where each of
    them has its energy, `spectrum_NAME.png`, beside real images (sheet 002, 3).

    Args:
        models: by upsampling, with `decode` and `sample`.
        images: uint8 [n, h, w, c], the real ones.
        codes: [n, latent_dim], of which eight are shown.
        seed: of the samples whose spectra are taken.
        count: of these samples, and of real images.
    """
    rows = [(each, model.decode(codes[:8])) for each, model in models.items()]
    figures.image_rows(folder / f"upsampling_{name}.png", rows)
    sets = {each: model.sample(count, seed=seed) for each, model in models.items()} | {"real": scale(images[:count])}
    figures.spectra(folder / f"spectrum_{name}.png", {each: power_spectrum(one) for each, one in sets.items()})


def power_spectrum(images: np.ndarray) -> np.ndarray:
    """Mean power of every spatial frequency, [h, w], the zero frequency in the middle.

    |DFT|² / (h·w) of the mean over channels, each image less its own mean. A checkerboard of one pixel has
    all its power at the corner [0, 0], stripes of one pixel at the middle of an edge.

    Args:
        images: [n, h, w, c].
    """
    grey = np.asarray(images, np.float64).mean(axis=-1)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(grey)) ** 2 / grey[0].size
    return np.fft.fftshift(power.mean(axis=0))
