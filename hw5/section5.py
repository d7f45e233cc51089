"""Section 5: faces at 64×64, by GANs and by VAEs (sheet 002).

A DCGAN, and a VAE of the same networks, with three ways to double the size of a feature map, in all their
variants, the VAE with four likelihoods. Called alone, it compares what the sheet asks to compare: every
variant and likelihood with the first upsampling, and every upsampling in the plain GAN and the plain VAE.

    python -m hw5.section5
    python -m hw5.section5 --model=gan --upsampling=bilinear --variant=wgan     # one run
    python -m hw5.section5 --dataset=celeb_a --data_dir=celeba                  # the sheet's photographs
"""

import dataclasses
import time
from types import SimpleNamespace

import numpy as np

from hw5 import data, faces, figures, flags, metrics, networks, results, training, visualize
from hw5.callbacks import fixed_noise
from hw5.errors import InputError

SIZE = 64
ALSO = ("kid", "mmd", "wasserstein", "sliced_wasserstein", "precision_recall")  # metrics beside FID (5.6)


def run(
    *,
    model=("gan", "vae"),
    variant=faces.VARIANTS,
    upsampling=("nearest", "deconv", "bilinear"),
    likelihood=tuple(faces.LIKELIHOODS),
    dataset="cartoon_faces",
    data_dir=None,
    latent_dim=100,
    hidden=16,
    steps=2000,
    batch_size=16,
    gan_learning_rate=1e-3,
    vae_learning_rate=2e-3,
    r1=20.0,
    critic_steps=2,
    clip=0.05,
    average=0.998,
    importance_samples=5,
    fit_prior=True,
    mixed_precision=False,
    train_size=None,
    seed=0,
    fid_samples=3000,
    likelihood_images=32,
    likelihood_samples=2000,
    inception_weights=None,
    inception_dtype="float32",
    restart=False,
    train=True,
    out="figures/section5",
    run_dir="runs/section5",
):
    """Train the models of the comparison, draw their figures and measure them.

    Args:
        model, variant, upsampling, likelihood: what is compared; with one of each, it is one run (5.2–5.4).
        data_dir: folder of CelebA's aligned JPEGs, for `dataset="celeb_a"` (5.1).
        hidden: channels at half the image's size, and in a GAN's generator at the whole.
        steps: of each training; of a GAN, its generator's.
        r1: γ of the penalty of D's gradient in the vanilla and the least squares GAN, which keeps D from
            winning; 0 is the sheet's, with batch normalisation in D.
        critic_steps, clip: of the Wasserstein GANs; `clip` of the one without a gradient penalty.
        average: decay of the running average of a generator's weights; 0 for none.
        importance_samples: k of the importance weighted autoencoder.
        fit_prior: whether a VAE's prior, after its training, is the Gaussian that fits its latents; if not, N(0, I).
        mixed_precision: networks in bfloat16; their weights, the losses and what is sampled in float32.
        fid_samples: samples of every variant that are compared with as many training images (5.6).
        likelihood_images, likelihood_samples: test images of which bits per dimension are estimated, and
            importance samples for each (5.7).

    Returns:
        The contents of metrics.json; `results` holds by run the history, and what was measured.
    """
    given, started = dict(locals()), time.time()
    settings = SimpleNamespace(**given)
    settings.folder, settings.run_dir = results.output_folder(out), results.output_folder(run_dir, "run_dir")
    upsampling, likelihood = flags.several(upsampling), flags.several(likelihood)
    chosen = faces.comparison(flags.several(model), flags.several(variant), upsampling, likelihood)
    images = load(settings, "train")
    if fit_prior and len(images) <= latent_dim and any(one.model == "vae" for one in chosen):
        raise InputError(f"--train_size={len(images)}: too few to fit a prior of {latent_dim} latents; see --fit_prior")
    validation, test = load(settings, "validation"), load(settings, "test")
    judges = metrics.extractors_for("", inception_weights, inception_dtype)
    reference = metrics.reference(dataset, fid_samples, SIZE, data_dir=data_dir) if judges else None

    trained, measured = {}, {}
    for one in chosen:
        print(one.name)
        trained[one], history = faces.fit(one, settings, images, validation)
        measured[one.name] = {"history": history, "parameters": trained[one].count_params()}
        draw(one, trained[one], history, settings)
        if one.model == "vae":
            measured[one.name] |= bits(trained[one], validation, test, settings)
        if one.upsampling == upsampling[0] and one.likelihood in (None, likelihood[0]):
            generated = trained[one].sample(fid_samples, seed=seed)
            for judge in judges:
                measured[one.name]["fid"] = metrics.frechet_report(*reference, generated, judge, ALSO, seed=seed)
                measured[one.name]["fid"] |= metrics.class_scores(reference[0], generated, inception_dtype, seed=seed)

    draw_upsamplings(trained, images, settings)
    print_table(measured)
    headline = {f"FID {name}": row["fid"]["fid"] for name, row in measured.items() if "fid" in row}
    headline |= {
        f"bits {name}": row["bits_per_dimension"] for name, row in measured.items() if "bits_per_dimension" in row
    }
    return results.save_metrics(settings.folder, settings=given, results=measured, headline=headline, started=started)


def load(settings, split):
    """Images of a split, uint8 [n, 64, 64, 3]."""
    limit = settings.train_size if split == "train" else None
    images = data.load(settings.dataset, split, limit=limit, data_dir=settings.data_dir)
    if settings.train_size and split == "train" and len(images) < settings.train_size:
        raise InputError(f"--train_size={limit}: {settings.dataset} has only {len(images)} training images")
    return data.resize(images, SIZE)


def bits(vae, validation, test, settings):
    """The terms of −ELBO on validation images; bits per dimension and pixel of test images with their error (5.7)."""
    terms = training.negative_elbo(vae, validation)
    images, value_range = test[: settings.likelihood_images], None
    if vae.likelihood.is_density:
        scaled, value_range = metrics.dequantize(images, settings.seed), (0.0, 1.0)
    else:
        scaled = np.asarray(data.scale(images))
    log_likelihood = metrics.log_likelihood(vae, scaled, settings.likelihood_samples, seed=settings.seed, verbose=True)
    each = metrics.bits_per_dimension(log_likelihood, images.shape[1:], value_range=value_range)
    return terms | {
        "bits_per_dimension": each.mean(),
        "bits_per_dimension_error": each.std(ddof=1) / np.sqrt(len(each)),
        "bits_per_pixel": each.mean() * images.shape[-1],
        "images": len(each),
    }


def draw(one, model, history, settings):
    """Curves (5.8), samples (5.5 a), traversals (b), and both interpolations (c) of one run."""
    name, folder = one.name, settings.folder
    steps = settings.steps // len(next(iter(history.values()), [1]))
    figures.training_curves(folder / f"curves_{name}.png", history, steps=steps)
    noise = fixed_noise(settings.run_dir / name, settings.latent_dim, settings.seed)
    samples = np.asarray(model.decode(noise))
    figures.image_grid(folder / f"samples_{name}.png", samples.reshape(8, 8, *samples.shape[1:]))
    visualize.traversal(model, folder / f"traversal_{name}.png", noise)
    visualize.two_interpolations(model, folder / f"interpolation_{name}.png", noise)


def draw_upsamplings(trained, images, settings):
    """The plain model of each kind with every upsampling (5.3)."""
    for kind in dict.fromkeys(one.model for one in trained):
        plain = next(one for one in trained if one.model == kind)
        alike = [one for one in trained if one == dataclasses.replace(plain, upsampling=one.upsampling)]
        if len(alike) > 1:
            noise = fixed_noise(settings.run_dir / plain.name, settings.latent_dim, settings.seed)
            models = {one.upsampling: trained[one] for one in alike}
            visualize.upsamplings(models, images, settings.folder, kind, noise, seed=settings.seed)


def print_table(measured):
    """All metrics of all runs, a row each."""
    columns = ("fid", "floor", "fid_infinity", "is", "mode_score", "kid", "mmd", "wasserstein", "precision", "recall")
    columns += ("negative_elbo", "bits_per_dimension", "bits_per_dimension_error")
    print(f"{'':<40}" + "".join(f"{name[:12]:>13}" for name in columns))
    for name, row in measured.items():
        values = row | row.get("fid", {})
        print(f"{name:<40}" + "".join(f"{values[key]:>13.4g}" if key in values else f"{'':>13}" for key in columns))


if __name__ == "__main__":
    flags.shared(run)
    for name, choices, text in (
        ("model", ["gan", "vae"], "Models"),
        ("variant", list(faces.VARIANTS), "Variants of GAN and VAE; wgan_gp has a gradient penalty"),
        ("upsampling", list(networks.UPSAMPLINGS), "How the generator doubles the size"),
        ("likelihood", list(faces.LIKELIHOODS), "p(x|z) of the VAE, with σ shared, per pixel or per image"),
    ):
        flags.DEFINE_multi_enum(name, flags.default(run, name), choices, f"{text}; repeat for several.")
    flags.DEFINE_string("data_dir", None, "Folder of CelebA's aligned JPEGs, for --dataset=celeb_a.")
    for name, text in (
        ("latent_dim", "Latent dimensions."),
        ("hidden", "Channels at half the image's size."),
        ("critic_steps", "Steps of a Wasserstein critic for one of the generator."),
        ("importance_samples", "Importance samples of the iwae's bound."),
        ("likelihood_samples", "Importance samples for the bits per dimension."),
    ):
        flags.DEFINE_integer(name, flags.default(run, name), text, lower_bound=1)
    text = "Fit the prior of a VAE to its latents after the training; --nofit_prior keeps N(0, I)."
    flags.DEFINE_boolean("fit_prior", flags.default(run, "fit_prior"), text)
    text = "Test images for the bits per dimension, whose standard error takes two."
    flags.DEFINE_integer("likelihood_images", flags.default(run, "likelihood_images"), text, lower_bound=2)
    for name, text in (
        ("gan_learning_rate", "Learning rate of the GANs."),
        ("vae_learning_rate", "Highest learning rate of the VAEs."),
        ("r1", "Gamma of the penalty of D's gradient in the vanilla GAN and the lsgan; 0 for none."),
        ("clip", "Bound of the weights of the wgan's critic."),
    ):
        flags.DEFINE_float(name, flags.default(run, name), text, lower_bound=0)
    flags.launch(run)
