"""Section 8: a DCGAN of emojis (sheet 003, 2.3 and 4).

32×32 colour images, the least-squares objective in the sheet's scaling, and 20,000 iterations of its Algorithm 1.
The section draws samples of one fixed noise every 200 iterations, and computes FID and Inception Score of 3,000
samples.

    python -m hw5.section8
    python -m hw5.section8 --preset=sheet                                   # exactly as on the sheet
    python -m hw5.section8 --data_dir=joypixels-7.0-free/png/unicode/32     # your own PNGs
"""

from pathlib import Path

import numpy as np

from hw5 import command_line, data, figures, metrics, models, training
from hw5.data.build import ImageFiles
from hw5.errors import InputError
from hw5.section import section
from hw5.section_settings import SAMPLE_METRICS, GANTraining, InceptionEvaluation
from hw5.settings import setting
from hw5.tables import print_evaluations

SIZE = 32
GRID_INTERVAL = 200  # iterations between two grids of the fixed noise
LOSS_SCALES = {"discriminator_scale": 0.5, "generator_scale": 1.0}  # Algorithm 1, lines 5 and 9
NUM_FRAMES = 25  # of the animation
MIN_IMAGES = 4  # the FID of real images to real ones compares halves


class Settings(GANTraining, InceptionEvaluation):
    data_dir: Path | None = setting(None, "Folder or zip file of images to imitate, in place of the dataset.")
    dataset = "emojione"
    hidden = 32
    steps = 20_000
    batch_size = 16
    ema_decay = 0.999
    PRESETS = {
        "smoke": dict(steps=4, hidden=8, train_size=64, fid_samples=16),
        "sheet": dict(ema_decay=0.0, learning_rate=2e-4),  # no average on the sheet; the rate is Radford et al.'s
    }

    @property
    def num_epochs(self):
        return max(self.steps // GRID_INTERVAL, 1)


def main(settings, run):
    """Train the DCGAN, draw its figures and evaluate its samples.

    Returns:
        The contents of metrics.json; `results` holds the history of the training, and the metrics of the
        samples against all training images.
    """
    images = load(settings, run)
    extractors = settings.extractors("" if settings.data_dir else settings.dataset)

    def build():
        pair = settings.dcgan(images.shape[1:])
        return models.GAN(*pair, "least_squares", loss_scales=LOSS_SCALES, ema_decay=settings.ema_decay)

    grids = training.SampleGrids(run.run_dir, settings.seed, rows=4)
    gan, history = run.fit(".", build, images, callbacks=[grids])
    how = dict(grids=grids.paths, noise=run.noise(".", settings.latent_dim), steps=settings.steps)
    figures.gan.training_figures(gan, history, run.folder, **how, loss="least-squares loss")
    draw(run, images, grids.paths)

    generated = gan.generate(settings.fid_samples, seed=settings.seed)
    how = dict(real_images=images, metrics=SAMPLE_METRICS, seed=settings.seed, shards=settings.shards)
    evaluated = metrics.evaluate_samples(generated, extractors, **how)  # 8.4
    print_evaluations({"": evaluated})
    names = {"fid": "FID", "fid_infinity": "FID∞", "real_vs_real_fid": "real vs. real"}
    names |= {"is": "IS", "real_is": "real IS"}
    rows = [*evaluated.values()][::-1]  # of two networks, the first one's numbers
    headline = {label: row[key] for row in rows for key, label in names.items() if key in row}
    headline |= {"D loss": history["d_loss"][-1], "G loss": history["g_loss"][-1]}
    return headline, {"history": history, "num_images": len(images), "samples": evaluated}


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


def draw(run, images, grids):
    """Draw real images to compare the samples with, and animate the fixed noise over the training (8.3)."""
    if len(images) >= 64:
        some = images[np.random.default_rng(run.settings.seed).choice(len(images), 64, replace=False)]
        figures.image_grid(run.figure("real"), figures.square(some), width=4)
    frames = np.unique(np.linspace(0, len(grids) - 1, NUM_FRAMES).round().astype(int))
    figures.animation(run.folder / "fixed_noise.gif", [grids[i] for i in frames])


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
