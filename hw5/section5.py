"""Section 5: faces at 64×64, by GANs and by VAEs (sheet 002).

A DCGAN and a VAE with the same networks, in all their variants. There are three ways to double the size of a feature
map, and several likelihoods of the VAE; their bits per dimension are compared with PNG's. By default the section trains
most variants and likelihoods with the first upsampling, and the plain GAN and the plain VAE with every upsampling.
--preset=long trains longer, and adds a mixture of logistics.

    python -m hw5.section5
    python -m hw5.section5 --model=gan --upsampling=bilinear --variant=wgan     # one run
    python -m hw5.section5 --preset=sheet                                       # exactly as on the sheet
    python -m hw5.section5 --dataset=celeb_a --data_dir=celeba                  # the sheet's photographs
"""

import dataclasses
from pathlib import Path

from hw5 import command_line, data, figures, metrics, training, variants
from hw5.errors import InputError
from hw5.metrics.wasserstein import MAX_EXACT_POINTS
from hw5.section import section
from hw5.section_settings import MIN_SAMPLES, SAMPLE_METRICS, InceptionEvaluation
from hw5.settings import setting
from hw5.tables import print_evaluations, print_table

SIZE = 64
METRICS = (*SAMPLE_METRICS, "kid", "mmd", "wasserstein", "sliced_wasserstein", "precision_recall")


class Settings(variants.VariantSettings, InceptionEvaluation):
    data_dir: Path | None = setting(None, "Folder of CelebA's aligned JPEGs, for the dataset celeb_a (5.1).")
    fid_samples: int = setting(
        400,
        "Generated images for the metrics, and as many real ones.",
        at_least=MIN_SAMPLES,
        at_most=MAX_EXACT_POINTS,  # of the Wasserstein distance
        training=False,
    )
    likelihood_images: int = setting(32, "Test images for the bits per dimension (5.7).", at_least=2, training=False)
    likelihood_samples: int = setting(500, "Importance samples per test image.", at_least=1, training=False)
    dataset = "cartoon_faces"
    num_epochs = 10
    steps = 1000
    batch_size = 16
    learning_rate = 1e-3
    ema_decay = 0.998
    PRESETS = {
        "smoke": dict(steps=2, train_size=64, hidden=4, latent_dim=5, variant="vanilla", upsampling="nearest")
        | dict(likelihood="gaussian", fid_samples=16, likelihood_images=2, likelihood_samples=20),
        "long": dict(steps=2000, fid_samples=1000, likelihood_images=64, likelihood_samples=2000),
        "sheet": dict(steps=2000, likelihood_images=64, likelihood_samples=2000),
        "paper": dict(steps=50_000, batch_size=64, hidden=64)
        | dict(fid_samples=4000, likelihood_images=1000, likelihood_samples=2000),
    }


def main(settings, run):
    """Train the models of the comparison, draw their figures and measure them.

    Returns:
        The contents of metrics.json; `results` holds by run the history, and what was measured; and in
        high_frequency_power, by model and upsampling, the power of samples over that of real images (5.3).
    """
    chosen = variants.variants_to_train(settings.model, settings.variant, settings.upsampling, settings.likelihood)
    images, validation, test = (load(settings, run, split) for split in ("train", "validation", "test"))
    variants.check(chosen, settings, len(images))
    evaluate = settings.evaluator(SIZE, METRICS, data_dir=settings.data_dir)
    coded = test[: settings.likelihood_images]
    how = dict(num_samples=settings.likelihood_samples, seed=settings.seed, shards=settings.shards, verbose=True)

    trained, measured, bits_of_images = {}, {}, {}
    for variant in chosen:
        name = str(variant)
        print(name)
        model, history = variants.fit(variant, run, images, validation)
        trained[variant] = model
        measured[name] = {"history": history, "parameters": model.count_params()}
        draw(name, model, history, run)
        if variant.model == "gan":
            measured[name]["arguments"] = variants.gan_row(variant.name, settings)
        else:
            bits_of_images[name] = metrics.vae_bits_per_dimension(model, coded, **how)  # 5.7
            measured[name] |= training.negative_elbo(model, validation)
            elbo = -measured[name]["negative_elbo"]
            measured[name]["negative_elbo_bits_per_dimension"] = metrics.in_bits(elbo, model, images.shape[1:])
            measured[name] |= metrics.summary_of_bits(bits_of_images, images.shape[-1])
        if variant.upsampling == settings.upsampling[0] and variant.likelihood in (None, settings.likelihood[0]):
            measured[name]["samples"] = evaluate(model)  # 5.6

    if bits_of_images:
        bits_of_images["png"] = metrics.png_bits_per_dimension(coded)
        measured["png"] = metrics.summary_of_bits(bits_of_images, images.shape[-1])
    powers = draw_upsamplings(trained, images, run)
    print_results(measured)
    evaluated = {name: row["samples"].get("inception") for name, row in measured.items() if "samples" in row}
    headline = {f"FID {name}": row["fid"] for name, row in evaluated.items() if row}
    bits_of = {name: row["bits_per_dimension"] for name, row in measured.items() if "bits_per_dimension" in row}
    headline |= {f"bits {name}": value for name, value in bits_of.items()}
    return headline, measured | {"high_frequency_power": powers}


def load(settings, run, split):
    """Load the images of a split, uint8 [n, 64, 64, 3] (5.1)."""
    limit = settings.train_size if split == "train" else None
    images = data.load(settings.dataset, split, limit=limit, data_dir=settings.data_dir)
    if limit and len(images) < limit:
        raise InputError(f"train_size={limit}: {settings.dataset} has only {len(images)} training images")
    return run.scaled(images, SIZE) if split == "train" else data.resize(images, SIZE)


def draw(name, model, history, run):
    """Draw curves (5.8), samples (5.5 a), traversals (b), and both interpolations (c) of one run."""
    steps = run.settings.steps // len(next(iter(history.values()), [1]))
    unit = None if name.startswith("gan") else "nats per image"
    figures.training_curves(run.figure(f"curves_{name}"), history, steps=steps, ylabel=unit)
    noise = run.noise(name, model.latent_dim)
    samples = model.sample(len(noise), seed=run.settings.seed)
    figures.image_grid(run.figure(f"samples_{name}"), figures.square(samples))
    figures.latent.traversal(model, run.figure(f"traversal_{name}"), noise)
    figures.latent.latent_and_pixel_interpolation(model, run.figure(f"interpolation_{name}"), noise)


def draw_upsamplings(trained, images, run):
    """Draw the plain model of each kind with every upsampling (5.3). Returns model → upsampling → power."""
    powers = {}
    for kind in dict.fromkeys(variant.model for variant in trained):
        plain = next(variant for variant in trained if variant.model == kind)
        alike = [v for v in trained if v == dataclasses.replace(plain, upsampling=v.upsampling)]
        if len(alike) > 1:
            codes = run.noise(str(plain), run.settings.latent_dim)
            by_upsampling = {variant.upsampling: trained[variant] for variant in alike}
            how = dict(name=kind, codes=codes, seed=run.settings.seed)
            powers[kind] = figures.gan.upsampling_figures(by_upsampling, images, run.folder, **how)
    return powers


def print_results(measured):
    """Print all metrics of all runs, one row per run and extractor."""
    print_evaluations({name: row.get("samples", {}) for name, row in measured.items()})
    columns = {"-ELBO": ("negative_elbo", ".4g"), "images": ("num_images", ",d")}
    columns |= {"bits per dimension": ("bits_per_dimension", ".4g"), "±": ("bits_per_dimension_error", ".2g")}
    columns |= {"difference": ("bits_difference", "+.4f"), "± ": ("bits_difference_error", ".2g")}
    print_table("", measured, columns)


run = section(Settings, main)

if __name__ == "__main__":
    command_line.launch(run)
