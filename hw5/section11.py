"""Section 11: a DCGAN (sheet 004).

A DCGAN with hidden dimension 16 and latent dimension 100, on MNIST at 32×32, with the non-saturating objective. The
section shows its five curves, its FID, and its interpolations compared with those of a VAE of as many latents. By
default D's gradient has a penalty, and z reaches every layer of G; --preset=sheet is the sheet's DCGAN.

    python -m hw5.section11
    python -m hw5.section11 --preset=sheet                   # exactly as on the sheet
    python -m hw5.section11 --notrain --fid_samples=10000
"""

from pathlib import Path

import numpy as np

from hw5 import command_line, figures, metrics, models, networks, training
from hw5.errors import InputError
from hw5.section import section
from hw5.section_settings import PLAIN_DCGAN, InceptionEvaluation, SmoothGANTraining
from hw5.settings import setting
from hw5.tables import print_evaluations

SIZE = 32
NUM_ROWS = 6  # of interpolations
NUM_MEASURED = 2000  # images for the overfitting, as D's outputs differ little
SHARES = np.linspace(-0.5, 1.5, 13)  # i/K from beyond one end to beyond the other
CURVES = ("d_loss", "g_loss", "d_real", "d_fake_g_step", "d_fake_d_step")
VAE_STEPS, VAE_BATCH_SIZE, VAE_LEARNING_RATE = 5000, 64, 4e-3  # section 10's


class Settings(SmoothGANTraining, InceptionEvaluation):
    vae: Path | None = setting(
        None,
        "Folder of section 10's VAE of 100 latents, for the interpolations (default: the one next to run_dir). "
        "If there is none, a VAE is trained in its place.",
        training=False,
    )
    steps = 2000
    batch_size = 64
    learning_rate = 2e-3
    ema_decay = 0.999
    num_epochs = 20
    PRESETS = {
        "smoke": dict(steps=4, train_size=512, hidden=4, fid_samples=16, vae="runs/smoke/section10/convolutional_z10"),
        "long": dict(steps=8000),
        "sheet": dict(steps=8000),
        "paper": PLAIN_DCGAN | dict(steps=100_000, fid_samples=10_000),
    }


def main(settings, run):
    """Train the DCGAN, draw its figures and evaluate its samples.

    Returns:
        The contents of metrics.json; `results` holds the history, the outputs of D at the end (11.6), and the
        metrics of the samples by extractor (11.4).
    """
    images, validation = run.train_validation(SIZE)
    evaluate = settings.evaluator(SIZE)
    vae = load_vae(settings, run, images.shape[1:])

    def build():
        return settings.gan(images.shape[1:])

    grids = training.SampleGrids(run.run_dir / "dcgan", settings.seed)
    meter = training.OverfittingMeter(images, validation, NUM_MEASURED)
    gan, history = run.fit("dcgan", build, images, callbacks=[grids, meter])
    how = dict(grids=grids.paths, noise=run.noise("dcgan", settings.latent_dim), steps=settings.steps)
    figures.gan.training_figures(gan, history, run.folder, **how)  # 11.3
    evaluated = evaluate(gan)
    for name, model in {"dcgan": gan, "vae": vae or train_vae(settings, run, images, validation)}.items():
        draw_interpolations(run.figure(f"interpolation_{name}"), model, name.upper(), settings.seed)

    print_evaluations({"": evaluated})
    end = {name: history[name][-1] for name in CURVES}
    print(f"at the end D(x) is {end['d_real']:.3f}, D(G(z)) {end['d_fake_g_step']:.3f}; ½ each at the equilibrium")
    headline = {f"FID {key.partition('_')[0]}": row["fid"] for key, row in evaluated.items() if "fid" in row}
    if by_digits := evaluated.get(metrics.MnistClassifier.key):
        headline |= {"classes with 3 %": by_digits["classes_covered"], "IS": by_digits["is"]}
    headline |= {"D(x)": end["d_real"], "D(G(z))": end["d_fake_g_step"]}
    return headline, {"samples": evaluated, "at_the_end": end, "history": history}


def load_vae(settings, run, image_shape):
    """Load section 10's VAE of such images, or return None."""
    folder = settings.vae or run.run_dir.parent / "section10" / "convolutional_z100"
    vae = models.load(folder) if (folder / "config.json").exists() else None
    if isinstance(vae, models.VAE) and vae.encoder.input_shape[1:] == image_shape:
        return vae
    if vae and not settings.is_default("vae"):
        raise InputError(f"vae={folder}: holds no VAE of images {image_shape}")
    print(f"{folder}: no VAE of such images there; one will be trained in {run.run_dir / 'vae'}")
    return None


def train_vae(settings, run, images, validation):
    """Train a VAE in place of section 10's."""

    def build():
        return models.VAE(*networks.convolutional_vae(100, images.shape[1:]))

    schedule = training.Schedule.of_steps(min(VAE_STEPS, len(images)), VAE_BATCH_SIZE, settings.num_epochs)
    optimizers = training.adam(VAE_LEARNING_RATE)
    return run.fit("vae", build, images, validation, optimizers=optimizers, schedule=schedule)[0]


def draw_interpolations(path, model, name, seed):
    """Draw decoded z₁ + (i/K)(z₂ − z₁), one row per pair of codes; outside the marks it is extrapolation (11.5)."""
    first, last = np.random.default_rng(seed).standard_normal((2, NUM_ROWS, model.latent_dim), np.float32)
    labels = dict(left="$i/K = -½$", xlabel="from 0 (fourth column) to 1 (tenth)", right="$1½$", ylabel=name)
    figures.image_grid(path, model.interpolate(first, last, SHARES), **labels)


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
