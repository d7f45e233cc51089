"""Figures of GANs: the curves and samples of a training, and a comparison of upsamplings."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hw5.figures import plots
from hw5.figures.latent import LatentModel

NUM_STRIP_GRIDS = 8  # grids of samples in a strip over the training
NUM_SHOWN = 8  # samples in a row
OUTPUTS = ("d_real", "d_fake_g_step", "d_fake_d_step")
OUTPUT_RANGE = (-0.25, 1.05)  # what the axis of D's outputs shows at least; of the overfitting more is cut off


def training_figures(
    gan: LatentModel,
    history: Mapping[str, Sequence[float]],
    folder: Path,
    *,
    grids: Sequence[Path],
    noise: np.ndarray,
    steps: int,
    loss: str = "loss",
    suffix: str = "",
) -> None:
    """Draw `losses.png`, `outputs.png` of D, `fixed_noise.png` over the training, and `samples.png` at its end.

    Args:
        gan: with `objective.outputs_probability`, whether an output of D is a probability.
        history: metric → its values, evenly spaced over `steps`.
        grids: PNG files named by their step, which show samples of one noise during the training.
        noise: codes [n, latent_dim] of the samples at the end; the largest square of them is shown.
        loss: name of the axis.
        suffix: of the files' names.
    """
    how = dict(steps=steps, loss=loss, suffix=suffix)
    history_figures(history, folder, outputs_probability=gan.objective.outputs_probability, **how)
    grids = sorted(grids)
    numbers = np.geomspace(1, len(grids), NUM_STRIP_GRIDS).round().astype(int)
    numbers = np.unique(np.minimum(np.maximum(numbers, np.arange(NUM_STRIP_GRIDS) + 1), len(grids)))  # none twice
    shown = {f"step {int(grids[number - 1].stem):,}": grids[number - 1] for number in numbers}
    plots.filmstrip(folder / f"fixed_noise{suffix}.png", shown)
    plots.image_grid(folder / f"samples{suffix}.png", plots.square(gan.decode(noise)), width=4)


def history_figures(
    history: Mapping[str, Sequence[float]],
    folder: Path,
    *,
    steps: int,
    outputs_probability: bool,
    loss: str = "loss",
    suffix: str = "",
) -> None:
    """Draw `losses.png` and `outputs.png`, those of `training_figures` that need no model.

    Args:
        outputs_probability: whether an output of D is a probability; then ½ is that of the equilibrium.
    """
    at = np.linspace(0, steps, len(history["d_loss"]) + 1)[1:]
    losses = {"D": (at, history["d_loss"]), "G": (at, history["g_loss"])}
    plots.curves(folder / f"losses{suffix}.png", losses, xlabel="training steps", ylabel=loss)
    outputs = {plots.NAMES[metric]: (at, history[metric]) for metric in OUTPUTS}
    values = np.concatenate([OUTPUT_RANGE, *(history[metric] for metric in OUTPUTS)])
    ylabel = "probability" if outputs_probability else "output of D"
    if "overfitting" in history:
        outputs[plots.NAMES["overfitting"]] = (at, history["overfitting"])
        ylabel += " and $r_v$"
    if outputs_probability:
        outputs["equilibrium"] = (at, np.full(len(at), 0.5))
    how = dict(xlabel="training steps", ylabel=ylabel, references=["equilibrium"], ylim=(values.min(), values.max()))
    plots.curves(folder / f"outputs{suffix}.png", outputs, **how)


def upsampling_figures(
    models: Mapping[str, LatentModel],
    images: np.ndarray,
    folder: Path,
    name: str,
    codes: np.ndarray,
    *,
    seed: int,
    count: int = 500,
) -> dict[str, float]:
    """Compare models that differ in their upsampling: `upsampling_NAME.png` and `spectrum_NAME.png` (sheet 002, 3).

    The first shows the same codes decoded by each model. The second shows the mean power spectrum of samples
    of each model, and that of real images.

    Args:
        models: by upsampling.
        images: the real images [n, h, w, c], uint8 or float in [0, 1].
        codes: [n, latent_dim]; the first eight are shown.
        seed: of the samples whose spectra are taken.
        count: of these samples, and of real images.

    Returns:
        By upsampling the power of samples over that of real images at high frequencies, those above a quarter of a
        cycle per pixel in both directions, where a checkerboard is.
    """
    rows = [(upsampling, model.decode(codes[:NUM_SHOWN])) for upsampling, model in models.items()]
    plots.image_rows(folder / f"upsampling_{name}.png", rows)
    spectra = {upsampling: power_spectrum(model.sample(count, seed=seed)) for upsampling, model in models.items()}
    spectra["real"] = power_spectrum(plots.to_floats(images[:count]))
    plots.spectra(folder / f"spectrum_{name}.png", spectra)
    high = {upsampling: high_frequency_power(spectrum) for upsampling, spectrum in spectra.items()}
    return {upsampling: high[upsampling] / max(high["real"], 1e-12) for upsampling in models}


def high_frequency_power(spectrum: np.ndarray) -> float:
    """Return the mean of a `power_spectrum` where both frequencies are above a quarter of a cycle per pixel."""
    rows, columns = (np.abs(np.fft.fftshift(np.fft.fftfreq(size))) > 0.25 for size in spectrum.shape)
    return float(spectrum[np.ix_(rows, columns)].mean())


def power_spectrum(images: np.ndarray) -> np.ndarray:
    """Compute the mean power of every spatial frequency, [h, w], the zero frequency in the middle.

    |DFT|² / (h·w) of the mean over channels, after the mean of each image is subtracted. A checkerboard of one
    pixel has all its power at the corner [0, 0], stripes of one pixel at the middle of an edge.

    Args:
        images: [n, h, w, c], floats.
    """
    grey = np.asarray(images, np.float64).mean(axis=-1)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(grey)) ** 2 / grey[0].size
    return np.fft.fftshift(power.mean(axis=0))
