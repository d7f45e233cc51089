"""Section 8: a DCGAN of emojis (sheet 003, 2.3 and 4).

32×32 colour images, the least-squares objective in the sheet's scaling, 20,000 iterations of its
Algorithm 1; what becomes of one noise every 200 of them; FID and Inception Score of 3,000 samples.

    python -m hw5.section8
    python -m hw5.section8 --data_dir=joypixels-7.0-free/png/unicode/32     # your own PNGs
"""

import time
from pathlib import Path

import numpy as np

from hw5 import data, figures, flags, metrics, models, networks, results, training, visualize
from hw5.callbacks import FixedNoise
from hw5.data.build import ImageFiles
from hw5.errors import InputError

SIZE = 32
EVERY = 200  # iterations between two pictures of the fixed noise
SCALES = {"discriminator_scale": 0.5, "generator_scale": 1.0}  # Algorithm 1, lines 5 and 9
FRAMES = 25  # of the animation
FEWEST = 4  # images: the floor of the FID compares halves


def run(
    *,
    latent_dim=100,
    hidden=32,
    upsampling="deconv",
    dataset="emojione",
    data_dir=None,
    steps=20_000,
    batch_size=16,
    learning_rate=1e-3,
    discriminator_learning_rate=None,
    beta_1=0.5,
    average=0.999,
    mixed_precision=False,
    train_size=None,
    seed=0,
    fid_samples=3000,
    inception_weights=None,
    inception_dtype="float32",
    restart=False,
    train=True,
    out="figures/section8",
    run_dir="runs/section8",
):
    """Train the DCGAN, draw its figures and judge its samples.

    Args:
        data_dir: folder or zip file of images in place of the dataset; transparency is composited on white.
        steps: iterations of the training loop.
        upsampling: "deconv", "nearest" or "bilinear", how the generator doubles the size.
        average: decay of a running average of the generator's weights; 0, the sheet's setting, for none.
        mixed_precision: networks in bfloat16; their weights, the losses and the samples in float32.
        fid_samples: samples for the FID to all training images.

    Returns:
        The contents of metrics.json; `results` holds fid (`metrics.frechet_report`) and the scores of
        `metrics.class_scores` where their weights are, and the history of the training.
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    images = load(dataset, data_dir, train_size)
    if len(images) < max(train_size or 0, FEWEST):
        asked = f"--train_size={train_size}: " if train_size else ""
        raise InputError(f"{asked}{data_dir or dataset} has {len(images)} images; at least {FEWEST} are needed")

    def build():
        with networks.precision(mixed_precision):
            pair = networks.dcgan(latent_dim, hidden, images.shape[1:], upsampling)
        return models.GAN(*pair, "least_squares", scales=SCALES, average=average)

    gan, history = training.fit_gan(
        build,
        images,
        run_dir=run_dir,
        steps=steps,
        records=max(steps // EVERY, 1),
        batch_size=batch_size,
        learning_rate=learning_rate,
        discriminator_learning_rate=discriminator_learning_rate,
        beta_1=beta_1,
        settings={
            "dataset": data_dir or dataset,
            "train_size": train_size,
            "hidden": hidden,
            "upsampling": upsampling,
            "average": average,
            "mixed_precision": mixed_precision,
        },
        watching=[FixedNoise(run_dir, seed, rows=4)],
        seed=seed,
        restart=restart,
        train=train,
    )
    visualize.gan_training(gan, history, folder, run_dir, steps=steps, seed=seed, loss="least-squares loss")
    draw(folder, run_dir, images, seed)
    generated = gan.generate(fid_samples, seed=seed)
    measured = {"history": history, "images": len(images)}
    measured |= judge(images, generated, inception_weights, inception_dtype, seed)
    headline = {"D loss": history["d_loss"][-1], "G loss": history["g_loss"][-1]}
    if "fid" in measured:
        row = measured["fid"]
        headline = {"FID": row["fid"], "FID∞": row["fid_infinity"], "floor": row["floor"]} | headline
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


def load(dataset, data_dir, train_size):
    """The images to imitate, uint8 [n, 32, 32, c]."""
    if data_dir:
        files = ImageFiles(Path(data_dir))
        return np.stack([files.read(name, SIZE, 3) for name in files.names[:train_size]])
    return data.resize(data.load(dataset, "train", limit=train_size), SIZE)


def draw(folder, run_dir, images, seed):
    """Real images to hold beside the samples, and the fixed noise over the training as an animation (8.3)."""
    if len(images) >= 64:
        some = images[np.random.default_rng(seed).choice(len(images), 64, replace=False)]
        figures.image_grid(folder / "real.png", some.reshape(8, 8, *images.shape[1:]), width=4)
    pictures = sorted((run_dir / "samples").glob("[0-9]*.png"))
    frames = np.unique(np.linspace(0, len(pictures) - 1, FRAMES).round().astype(int))
    figures.animation(folder / "fixed_noise.gif", [pictures[i] for i in frames])


def judge(images, generated, inception_weights, inception_dtype, seed):
    """FID to the training images, whose floor is that of one half to the other, and Inception Score (8.4)."""
    measured = {}
    for extractor in metrics.extractors_for("", inception_weights, inception_dtype):
        measured["fid"] = metrics.frechet_report(images, None, generated, extractor, seed=seed)
        print(metrics.frechet_line(measured["fid"]))
    scores = metrics.class_scores(images, generated, inception_dtype, seed=seed)
    if scores:
        print("Inception Score {is:.2f} ± {is_std:.2f}, mode score {mode_score:.2f}".format(**scores))
    return measured | scores


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_integer("latent_dim", flags.default(run, "latent_dim"), "Latent dimensions.", lower_bound=1)
    flags.DEFINE_enum(
        "upsampling", flags.default(run, "upsampling"), networks.UPSAMPLINGS, "How the generator doubles the size."
    )
    flags.DEFINE_integer("hidden", flags.default(run, "hidden"), "Channels at half the image's size.", lower_bound=1)
    flags.DEFINE_string("data_dir", None, "Folder or zip file of images to imitate, in place of --dataset.")
    flags.launch(run)
