"""The variants that section 5 compares (sheet 002, 3–5): one complete row per GAN, and the parts of each VAE."""

import dataclasses
from collections.abc import Sequence

from hw5 import distributions, layers, models, networks, training
from hw5.errors import InputError
from hw5.section_settings import PLAIN_DCGAN, GANTraining, SmoothGANTraining
from hw5.settings import Several, row_values, setting

# The training of each GAN: its objective, the discriminator's normalisation, and the penalty or clipping that keeps the
# discriminator smooth. With a penalty of D's gradient, and in a critic, D must treat each image by itself, without
# batch normalisation (Gulrajani et al. 2017, section 4). Layer normalisation hides the contrast of an image from D:
# with it, samples of the plain GAN are overexposed, and those of the clipped critic grey reliefs and white backgrounds.
# Only the critic with a penalty of all its gradients needs it. A clipped one without normalisation must be slow: at the
# generator's rate and with bounds of ±0.05, all its weights are soon at the bounds, and its outputs are in the
# thousands after 300 steps.
ONE_RATE = dict(discriminator_learning_rate=None)  # the generator's
GANS = {
    "vanilla": dict(objective="non_saturating", normalization="none", r1=5.0, **ONE_RATE),
    "wgan": dict(
        objective="wasserstein",
        normalization="none",
        critic_steps=2,
        weight_clip=0.02,
        discriminator_learning_rate=2e-4,
    ),
    "lsgan": dict(
        objective="least_squares",
        loss_scales={"discriminator_scale": 1.0, "generator_scale": 1.0},
        normalization="none",
        r1=20.0,
        **ONE_RATE,
    ),
    "wgan_gp": dict(objective="wasserstein", normalization="layer", critic_steps=2, gradient_penalty=10.0, **ONE_RATE),
    "hinge": dict(objective="hinge", normalization="none", r1=20.0, **ONE_RATE),
}
VAES = ("vanilla", "flow", "iwae")
LIKELIHOODS = {
    "gaussian": lambda: distributions.Gaussian("shared"),
    "gaussian_per_pixel": lambda: distributions.Gaussian("per_pixel"),
    "gaussian_per_image": lambda: distributions.Gaussian("per_image"),
    "gaussian_predicted": lambda: distributions.Gaussian("predicted"),
    "logistic": lambda: distributions.DiscretizedLogistic("shared"),
    "logistic_predicted": lambda: distributions.DiscretizedLogistic("predicted"),
    "logistic_mixture": lambda: distributions.LogisticMixture(),
}
SHEET_LIKELIHOODS = ("gaussian", "gaussian_per_pixel", "gaussian_per_image", "logistic")
NAMES = tuple(dict.fromkeys([*GANS, *VAES]))
FLOW_STEPS = 2
# Settings of one kind of model or of one variant, besides those of the rows.
USERS = dict.fromkeys(("learning_rate", "beta_1", "beta_2", "ema_decay", "self_modulation", "translation"), "gan")
USERS |= {"vae_learning_rate": "vae", "importance_samples": "iwae"}

# The sheet's variants, without the additions of this package.
PLAIN = PLAIN_DCGAN | dict(prior="standard", variant=("vanilla", "wgan", "lsgan", "flow", "iwae"))
PLAIN |= dict(likelihood=SHEET_LIKELIHOODS, weight_clip=0.05)


class VariantSettings(SmoothGANTraining, rows=GANS):
    """The settings of the variants."""

    model: Several[str] = setting(("gan", "vae"), "Models (5.2).", choices=("gan", "vae"))
    variant: Several[str] = setting(
        ("vanilla", "wgan", "lsgan", "wgan_gp", "flow", "iwae"),
        "Variants of GAN and VAE (5.4).",
        choices=NAMES,
    )
    upsampling: Several[str] = setting(
        ("nearest", "deconv", "bilinear"), "How the generator doubles the size (5.3).", choices=networks.UPSAMPLINGS
    )
    likelihood: Several[str] = setting(
        (*SHEET_LIKELIHOODS, "logistic_predicted"),
        "p(x|z) of the VAE (5.7): densities of dequantised pixels, or probabilities of 8-bit ones, with one scale for "
        "all, or one for each pixel, for each image, or predicted for each pixel of each image.",
        choices=tuple(LIKELIHOODS),
    )
    vae_learning_rate: float = setting(2e-3, "Highest learning rate of the VAEs.", at_least=0)
    critic_steps: int | None = setting(None, "Critic steps per generator step.", at_least=1)
    weight_clip: float | None = setting(None, "Bound of the critic's weights.", at_least=0)
    gradient_penalty: float | None = setting(None, "Weight of the gradient penalty.", at_least=0)
    importance_samples: int = setting(5, "Importance samples of the iwae's bound.", at_least=1)
    prior: str = setting(
        "gaussian",
        "Prior of a VAE's samples: standard, N(0, I), as on the sheet; or fitted to its latents after the training, a "
        "gaussian or a mixture of ten (Ghosh et al. 2020).",
        choices=tuple(distributions.PRIORS),
        training=False,
    )
    PRESETS = {
        "long": dict(likelihood=(*SHEET_LIKELIHOODS, "logistic_predicted", "logistic_mixture")),
        "paper": PLAIN | dict(critic_steps=5, self_modulation=True, beta_1=0.0, beta_2=0.9),
        "sheet": PLAIN | dict(upsampling=networks.UPSAMPLINGS),  # DCGAN's own first
    }


@dataclasses.dataclass(frozen=True)
class Variant:
    """One training of the comparison.

    Attributes:
        model: "gan" or "vae".
        name: one of `GANS` or `VAES`.
        upsampling: one of `networks.UPSAMPLINGS`.
        likelihood: of a VAE, one of `LIKELIHOODS`.
    """

    model: str
    name: str
    upsampling: str
    likelihood: str | None = None

    def __str__(self) -> str:
        return "_".join(filter(None, dataclasses.astuple(self)))


def variants_to_train(
    models: Sequence[str], names: Sequence[str], upsamplings: Sequence[str], likelihoods: Sequence[str]
) -> list[Variant]:
    """List every variant with the first upsampling and likelihood, and the first variant of each model with the others.

    Raises:
        InputError: none of the names is a variant of any of the models.
    """
    chosen = []
    for model, known in (("gan", GANS), ("vae", VAES)):
        own = [name for name in names if name in known] if model in models else []
        first, *rest = likelihoods if model == "vae" else [None]
        chosen += [Variant(model, name, upsamplings[0], first) for name in own]
        chosen += [Variant(model, own[0], upsampling, first) for upsampling in upsamplings[1:] if own]
        chosen += [Variant(model, own[0], upsamplings[0], likelihood) for likelihood in rest if own]
    if not chosen:
        raise InputError(f"variant={','.join(names)}: no variant of model={','.join(models)}")
    return chosen


def check(chosen: Sequence[Variant], settings: VariantSettings, num_images: int) -> None:
    """Refuse settings that none of the chosen variants has.

    Raises:
        InputError: an argument that no model to train has; too few images to fit a VAE's prior to.
    """
    trained = {name for variant in chosen for name in (variant.model, variant.name)}
    for argument, user in USERS.items():
        if user not in trained and not settings.is_default(argument):
            raise InputError(f"{argument}={getattr(settings, argument)}: is of a {user}, and none is to be trained")
    rows = [GANS[variant.name] for variant in chosen if variant.model == "gan"]
    for argument in dict.fromkeys(argument for row in GANS.values() for argument in row if argument in settings.FIELDS):
        value = getattr(settings, argument)
        if value and not settings.is_default(argument) and not any(argument in row for row in rows):
            raise InputError(f"{argument}={value}: no GAN to train has it; these have it: {row_values(GANS, argument)}")
    if len(rows) < len(chosen):
        distributions.check_prior(settings.prior, num_images, settings.latent_dim)


def gan_row(name: str, settings) -> dict:
    """Return the row of a GAN, with the values that the settings give for arguments that it has."""
    return settings.fill(GANS[name])


def build_gan(variant: Variant, settings, image_shape) -> models.GAN:
    """Build one of the GANs (5.4 a), untrained."""
    row = gan_row(variant.name, settings)
    pair = settings.dcgan(image_shape, upsampling=variant.upsampling, normalization=row.pop("normalization"))
    arguments = {name: value for name, value in row.items() if name not in GANTraining.FIELDS}  # its own: optimizers'
    return models.GAN(*pair, ema_decay=settings.ema_decay, augmentation=settings.augmentation(), **arguments)


def build_vae(variant: Variant, settings, image_shape) -> models.VAE:
    """Build one of the VAEs (5.4 b), untrained. With a density as likelihood, it trains on dequantised images (5.7)."""
    likelihood = LIKELIHOODS[variant.likelihood]()
    context = settings.latent_dim if variant.name == "flow" else 0
    extras = {"output_channels": likelihood.output_channels(image_shape[-1]), "context": context}
    shape = (settings.latent_dim, settings.hidden, image_shape, variant.upsampling)
    with networks.precision(settings.mixed_precision):
        pair = networks.dcgan_vae(*shape, **extras)
    arguments = {"likelihood": likelihood}
    if likelihood.is_continuous:
        arguments["preprocessing"] = layers.Dequantization()
    if variant.name == "flow":
        return models.FlowVAE(*pair, distributions.InverseAutoregressiveFlow(FLOW_STEPS), **arguments)
    if variant.name == "iwae":
        return models.ImportanceWeightedVAE(*pair, settings.importance_samples, **arguments)
    return models.VAE(*pair, **arguments)


def fit(variant, run, images, validation):
    """Train one of the models, and fit the prior of a VAE afterwards. Returns (model, history).

    After so short a training the codes of images are far from N(0, I), and half of the samples of N(0, I) are no
    faces.
    """
    settings, name, shape = run.settings, str(variant), images.shape[1:]
    alone = {"model": variant.model, "variant": variant.name, "upsampling": variant.upsampling}
    if variant.model == "gan":
        callbacks = [training.SampleGrids(run.run_dir / name, settings.seed)]
        callbacks.append(training.OverfittingMeter(images, validation))
        row = gan_row(variant.name, settings)
        alone |= {argument: value for argument, value in row.items() if argument in settings.FIELDS}
        return run.fit(name, lambda: build_gan(variant, settings, shape), images, callbacks=callbacks, **alone)
    optimizers = training.adam(settings.vae_learning_rate)
    model, history = run.fit(
        name,
        lambda: build_vae(variant, settings, shape),
        images,
        validation,
        optimizers=optimizers,
        likelihood=variant.likelihood,
        **alone,
    )
    if settings.prior != "standard":
        model.fit_prior(training.draw_latents(model, images), distributions.PRIORS[settings.prior]())
        if settings.train:
            models.save(model, run.run_dir / name)
    return model, history
