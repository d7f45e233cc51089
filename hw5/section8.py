"""Section 8: a DCGAN of emojis (sheet 003, 2.3 and 4).

32×32 colour images, the least-squares objective in the sheet's scaling, and 20,000 iterations of its Algorithm 1.
The section draws samples of one fixed noise every 200 iterations, and computes FID and Inception Score of 3,000
samples. A second GAN, of the non-saturating objective with a penalty of D's gradient, shows what else these steps can
reach. D sees all images shifted at random, against overfitting. The second command is shorter; ./run_all.sh has its
settings.

    python -m hw5.section8
    python -m hw5.section8 --steps=2500 --fid_samples=1000                  # fewer of both
    python -m hw5.section8 --preset=sheet                                   # exactly as on the sheet
    python -m hw5.section8 --data_dir=joypixels-7.0-free/png/unicode/32     # your own PNGs
"""

from pathlib import Path

import numpy as np

from hw5 import command_line, data, figures, metrics, training
from hw5.data.build import ImageFiles
from hw5.errors import InputError
from hw5.section import section
from hw5.section_settings import SAMPLE_METRICS, InceptionEvaluation, SmoothGANTraining
from hw5.settings import Several, setting
from hw5.tables import print_evaluations

SIZE = 32
GRID_INTERVAL = 200  # iterations between two grids of the fixed noise
NUM_FRAMES = 100  # of the animation and of the contact sheet: all grids of 20,000 iterations
MIN_IMAGES = 4  # the FID of real images to real ones compares halves
# The training of each objective: settings, and arguments of the GAN.
TRAININGS = {
    "least_squares": dict(  # Algorithm 1, lines 5 and 9; Adam as Radford et al. 2016 have it
        loss_scales={"discriminator_scale": 0.5, "generator_scale": 1.0},
        normalization="batch",
        self_modulation=False,
        upsampling="deconv",
        r1=0.0,
        beta_1=0.5,
        beta_2=0.999,
    ),
    "non_saturating": dict(
        normalization="none",
        self_modulation=True,
        upsampling="nearest",
        r1=1.0,
        beta_1=0.0,
        beta_2=0.9,
    ),
}
METRICS = (*SAMPLE_METRICS, "precision_recall")


class Settings(SmoothGANTraining, InceptionEvaluation, rows=TRAININGS):
    objective: Several[str] = setting(
        tuple(TRAININGS), "Objectives to train: the sheet's, and the non-saturating one.", choices=tuple(TRAININGS)
    )
    data_dir: Path | None = setting(None, "Folder or zip file of images to imitate, in place of the dataset.")
    held_out: int = setting(
        100, "Images that are not trained on, to measure how D overfits; of a small dataset at most 5 %.", at_least=0
    )
    dataset = "emojione"
    hidden = 32
    steps = 20_000  # the sheet's
    fid_samples = 3000  # the sheet's
    batch_size = 16
    ema_decay = 0.999
    translation = 1 / 8
    PRESETS = {
        "smoke": dict(steps=4, hidden=8, train_size=64, fid_samples=16),
        "sheet": dict(objective="least_squares", held_out=0),
    }

    @property
    def num_epochs(self):
        return max(self.steps // GRID_INTERVAL, 1)


def main(settings, run):
    """Train the DCGANs, draw their figures and evaluate their samples.

    Returns:
        The contents of metrics.json; `results` holds the history of the training, its arguments, and the metrics of the
        samples against all images; of a second objective under its name.
    """
    images = load(settings, run)
    extractors = settings.extractors("" if settings.data_dir else settings.dataset)
    draw_real(run, images)

    measured = {}
    for name in settings.objective:
        is_first = name == settings.objective[0]
        folder, suffix = (".", "") if is_first else (name, f"_{name}")
        arguments = settings.fill(TRAININGS[name])
        gan, history, grids = train(name, folder, run, images, **arguments)
        how = dict(grids=grids, noise=run.noise(folder, settings.latent_dim), steps=settings.steps, suffix=suffix)
        figures.gan.training_figures(gan, history, run.folder, **how, loss=f"{name.replace('_', '-')} loss")
        frames = np.unique(np.linspace(0, len(grids) - 1, NUM_FRAMES).round().astype(int))
        frames = [grids[i] for i in frames]
        figures.animation(run.folder / f"fixed_noise{suffix}.gif", frames)  # 8.3
        figures.contact_sheet(run.figure(f"fixed_noise_all{suffix}"), frames)
        how = dict(real_images=images, metrics=METRICS, seed=settings.seed, shards=settings.shards)
        generated = gan.generate(settings.fid_samples, seed=settings.seed)
        samples = metrics.evaluate_samples(generated, extractors, **how)  # 8.4
        measured[name] = {"history": history, "samples": samples, "arguments": arguments}

    print_evaluations({name: row["samples"] for name, row in measured.items()})
    (_, first), *others = measured.items()
    names = {"fid": "FID", "fid_infinity": "FID∞", "real_vs_real_fid": "real vs. real"}
    names |= {"is": "IS", "real_is": "real IS"}
    rows = [*first["samples"].values()][::-1]  # of two networks, the first one's numbers
    headline = {label: row[key] for row in rows for key, label in names.items() if key in row}
    for name, row in others:
        headline |= {f"FID {name}": evaluated["fid"] for evaluated in row["samples"].values() if "fid" in evaluated}
    headline |= {"D loss": first["history"]["d_loss"][-1], "G loss": first["history"]["g_loss"][-1]}
    return headline, first | {"num_images": len(images)} | dict(others)


def train(name, folder, run, images, loss_scales=None, **own):
    """Train the GAN of one objective with settings of its own. Returns (GAN, history, the grids of the fixed noise)."""
    settings = run.settings.replace(objective=name, **own)
    order = np.random.default_rng(settings.seed).permutation(len(images))
    num_held_out = min(settings.held_out, len(images) // 20)
    held_out, images = images[order[:num_held_out]], images[np.sort(order[num_held_out:])]

    def build():
        return settings.gan(images.shape[1:], name, loss_scales=loss_scales)

    grids = training.SampleGrids(run.run_dir / folder, settings.seed, rows=4)
    meter = [training.OverfittingMeter(images, held_out)] if num_held_out else []
    gan, history = run.fit(folder, build, images, callbacks=[grids, *meter], objective=name, **own)
    return gan, history, grids.paths


def load(settings, run):
    """Load the images to imitate, uint8 [n, 32, 32, c]."""
    if settings.data_dir:
        files = ImageFiles(settings.data_dir)
        images = np.stack([files.read(name, SIZE, 3) for name in files.names[: settings.train_size]])
    else:
        images = run.scaled(data.load(settings.dataset, "train", limit=settings.train_size), SIZE)
    least = max(settings.train_size or 0, MIN_IMAGES)
    if len(images) < least:
        asked = f"train_size={settings.train_size}: " if settings.train_size else ""
        source = settings.data_dir or settings.dataset
        raise InputError(f"{asked}{len(images)} images of {source} are too few; {least} are needed")
    return images


def draw_real(run, images):
    """Draw real images to compare the samples with."""
    if len(images) >= 64:
        some = data.random_subset(images, 64, run.settings.seed)
        figures.image_grid(run.figure("real"), figures.square(some), width=4)


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
