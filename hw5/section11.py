"""Section 11: a DCGAN (sheet 004).

The sheet's generator, hidden dimension 16 and latent dimension 100, on MNIST at 32×32, with the
non-saturating objective; its five curves, its FID, and interpolation beside a VAE of as many latents.

    python -m hw5.section11
    python -m hw5.section11 --learning_rate=2e-4 --gradient_penalty=0 --average=0    # plain
    python -m hw5.section11 --notrain --fid_samples=10000
"""

import time
from pathlib import Path

import numpy as np

from hw5 import data, figures, flags, metrics, models, networks, results, training, visualize
from hw5.callbacks import FixedNoise
from hw5.errors import InputError
from hw5.metrics import MnistClassifier, class_shares

SIZE = 32
RECORDS = 40
ROWS = 6  # of interpolations
SHARES = np.linspace(-0.5, 1.5, 13)  # i/K from beyond one end to beyond the other


def run(
    *,
    latent_dim=100,
    hidden=16,
    upsampling="deconv",
    dataset="mnist",
    steps=8000,
    batch_size=64,
    learning_rate=2e-3,
    discriminator_learning_rate=None,
    beta_1=0.5,
    gradient_penalty=10.0,
    average=0.999,
    mixed_precision=False,
    train_size=None,
    vae="runs/section10/convolutional_z100",
    seed=0,
    fid_samples=3000,
    inception_weights=None,
    inception_dtype="float32",
    restart=False,
    train=True,
    out="figures/section11",
    run_dir="runs/section11",
):
    """Train the DCGAN, draw its figures and judge its samples.

    Args:
        steps: of the generator, the sheet's `num_train_steps`.
        discriminator_learning_rate: where it is to differ from the generator's.
        upsampling: "deconv", "nearest" or "bilinear", how the generator doubles the size.
        gradient_penalty: weight of D's penalty (Gulrajani et al. 2017), which keeps D from winning with this
            objective, too (Fedus et al. 2018); 0, the sheet's setting, for none.
        average: decay of a running average of the generator's weights; 0, the sheet's setting, for none.
        mixed_precision: networks in bfloat16; their weights, the losses and the samples in float32.
        vae: folder of section 10's VAE of 100 latents, for the interpolations; where it has not been
            trained, a VAE is trained in its place, under `run_dir`.
        fid_samples: samples for the FID (11.4) to as many training images.

    Returns:
        The contents of metrics.json; `results` holds fid (`metrics.frechet_report` by extractor), the
        shares of the classes among samples, and what D says at the end (11.6).
    """
    settings, started = dict(locals()), time.time()
    folder, run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    images, validation = (data.resize(part, SIZE) for part in data.train_validation(dataset, train_size))
    extractors = metrics.extractors_for(dataset, inception_weights, inception_dtype)
    reference = metrics.reference(dataset, fid_samples, SIZE)

    def build():
        with networks.precision(mixed_precision):
            pair = networks.dcgan(latent_dim, hidden, images.shape[1:], upsampling)
        return models.GAN(*pair, gradient_penalty=gradient_penalty, average=average)

    gan, history = training.fit_gan(
        build,
        images,
        run_dir=run_dir / "dcgan",
        steps=steps,
        records=RECORDS,
        batch_size=batch_size,
        learning_rate=learning_rate,
        discriminator_learning_rate=discriminator_learning_rate,
        beta_1=beta_1,
        settings={
            "dataset": dataset,
            "train_size": train_size,
            "hidden": hidden,
            "upsampling": upsampling,
            "gradient_penalty": gradient_penalty,
            "average": average,
            "mixed_precision": mixed_precision,
        },
        watching=[FixedNoise(run_dir / "dcgan", seed)],
        seed=seed,
        restart=restart,
        train=train,
    )
    generated = gan.generate(fid_samples, seed=seed)
    fid = {judge.name: metrics.frechet_report(*reference, generated, judge, seed=seed) for judge in extractors}
    at_the_end = {name: history[name][-1] for name in ("d_loss", "g_loss", "d_real", "d_fake_g_step", "d_fake_d_step")}
    measured = {"fid": fid, "at_the_end": at_the_end, "history": history}
    if dataset == "mnist":
        measured["class_shares"], measured["confidence"] = class_shares(MnistClassifier().logits(generated))

    visualize.gan_training(gan, history, folder, run_dir / "dcgan", steps=steps, seed=seed)  # 11.3
    partner = vae_for_comparison(
        Path(vae), images, validation, run_dir / "vae", seed=seed, restart=restart, train=train
    )
    draw_interpolations(folder, gan, partner, seed)
    return report(folder, settings, measured, started)


def vae_for_comparison(folder, images, validation, own_folder, **arguments):
    """The VAE of `folder`, or one trained here."""
    if (folder / "config.json").exists():
        vae = models.load(folder)
        if vae.decoder.output_shape[1:] != images.shape[1:]:
            raise InputError(f"--vae={folder}: makes images {vae.decoder.output_shape[1:]}, not {images.shape[1:]}")
        return vae
    print(f"{folder}: no trained VAE there; one is trained in {own_folder}")
    steps = 5000 if len(images) > 5000 else len(images)
    schedule = dict(**training.recorded(steps), batch_size=64, learning_rate=4e-3)
    trained, _ = training.fit(
        lambda: models.VAE(*networks.convolutional_vae(100, images.shape[1:])),
        images,
        validation,
        run_dir=own_folder,
        **schedule,
        **arguments,
    )
    return trained


def draw_interpolations(folder, gan, vae, seed):
    """z₁ + (i/K)(z₂ − z₁) for both models, one above the other; outside the marks it is extrapolation (11.5)."""
    rng = np.random.default_rng(seed)
    for name, model in (("dcgan", gan), ("vae", vae)):
        first, last = rng.standard_normal((2, ROWS, 1, model.latent_dim), np.float32)
        codes = first + SHARES[:, None].astype(np.float32) * (last - first)  # [rows, columns, latent_dim]
        images = np.reshape(model.decode(codes.reshape(-1, model.latent_dim)), (*codes.shape[:2], SIZE, SIZE, -1))
        labels = dict(
            left="$i/K = -½$", xlabel="from 0 (fourth column) to 1 (tenth)", right="$1½$", ylabel=name.upper()
        )
        figures.image_grid(folder / f"interpolation_{name}.png", images, **labels)


def report(folder, settings, measured, started):
    """Print and save the numbers."""
    headline = {}
    for judge, row in measured["fid"].items():
        print(metrics.frechet_line(row))
        headline[f"FID {judge.partition('_')[0]}"] = row["fid"]
    if "class_shares" in measured:
        print("share of each class, %:", *np.round(100 * measured["class_shares"], 1))
        headline["classes with 3 %"] = int((measured["class_shares"] >= 0.03).sum())
    end = measured["at_the_end"]
    print(f"at the end D(x) is {end['d_real']:.3f}, D(G(z)) {end['d_fake_g_step']:.3f}; ½ each at the equilibrium")
    headline |= {"D(x)": end["d_real"], "D(G(z))": end["d_fake_g_step"]}
    return results.save_metrics(folder, settings=settings, results=measured, headline=headline, started=started)


if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_integer("latent_dim", flags.default(run, "latent_dim"), "Latent dimensions.", lower_bound=1)
    flags.DEFINE_enum(
        "upsampling", flags.default(run, "upsampling"), networks.UPSAMPLINGS, "How the generator doubles the size."
    )
    flags.DEFINE_integer("hidden", flags.default(run, "hidden"), "Channels at half the image's size.", lower_bound=1)
    flags.DEFINE_string("vae", flags.default(run, "vae"), "Folder of section 10's VAE of 100 latents.")
    flags.launch(run)
