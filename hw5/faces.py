"""What section 5 compares (sheet 002): the variants of GAN and VAE, and how each of them is trained."""

import dataclasses

from hw5 import data, flows, layers, likelihoods, models, networks, training
from hw5.callbacks import FixedNoise
from hw5.errors import InputError

RECORDS = 20
GANS = {  # 5.4
    "vanilla": dict(objective="non_saturating"),
    "wgan": dict(objective="wasserstein"),
    "lsgan": dict(objective="least_squares", scales={"discriminator_scale": 1.0, "generator_scale": 1.0}),
    "wgan_gp": dict(objective="wasserstein", gradient_penalty=10.0),
}
VAES = ("vanilla", "flow", "iwae")
LIKELIHOODS = {
    "gaussian": lambda: likelihoods.Gaussian("shared"),
    "gaussian_per_pixel": lambda: likelihoods.Gaussian("per_pixel"),
    "gaussian_per_image": lambda: likelihoods.Gaussian("per_image"),
    "logistic": lambda: likelihoods.DiscretizedLogistic("shared"),
}
VARIANTS = tuple(dict.fromkeys([*GANS, *VAES]))
FLOW_STEPS = 2


@dataclasses.dataclass(frozen=True)
class Setting:
    """One training of the comparison."""

    model: str
    variant: str
    upsampling: str
    likelihood: str | None = None  # of a VAE

    @property
    def name(self) -> str:
        return "_".join(filter(None, dataclasses.astuple(self)))


def comparison(model, variant, upsampling, likelihood) -> list[Setting]:
    """What is trained: every variant with the first upsampling and likelihood, and the first variant of
    each model with every upsampling and every likelihood.

    Raises:
        InputError: a variant of a model that is not asked for alone.
    """
    chosen = []
    for each, known in (("gan", GANS), ("vae", VAES)):
        variants = [name for name in variant if name in known] if each in model else []
        decoders = likelihood if each == "vae" else [None]
        chosen += [Setting(each, name, upsampling[0], decoders[0]) for name in variants]
        chosen += [Setting(each, variants[0], other, decoders[0]) for other in upsampling[1:] if variants]
        chosen += [Setting(each, variants[0], upsampling[0], other) for other in decoders[1:] if variants]
    if not chosen:
        raise InputError(f"--variant={', '.join(variant)}: no variant of --model={', '.join(model)}")
    return chosen


def fit(one, settings, images, validation):
    """Train one of them, in `settings.run_dir`.

    Args:
        one: a Setting.
        settings: the arguments of `section5.run`, as attributes.
        images, validation: uint8 [n, 64, 64, 3].

    Returns:
        (model, history), as `training.fit`.
    """
    if one.model == "vae":
        return fit_vae(one, settings, images, validation)
    return fit_gan(one, settings, images)


def fit_gan(one, settings, images):
    """One of the GANs (5.4 a): its objective, and what keeps its D or its critic smooth."""
    playing = GANS[one.variant] | {"average": settings.average}
    if playing["objective"] == "wasserstein":
        # A critic values single images, not batches (Gulrajani et al. 2017, section 4). Clipped weights need
        # it as well: with normalised batches, samples are still torn to pieces after 2,000 steps. So they are
        # with momentum (Arjovsky et al. 2017, section 4).
        playing["critic_steps"], normalization, beta_1 = settings.critic_steps, "layer", 0.0
    else:
        # A penalty of D's gradient is of single images, too. Layer normalisation would be, but hides from D how
        # strong an image's contrast is: after 3,000 steps, samples are still overexposed.
        playing["r1"], normalization, beta_1 = settings.r1, "none" if settings.r1 else "batch", 0.5
    if one.variant == "wgan":
        playing["clip"] = settings.clip
    shape = (settings.latent_dim, settings.hidden, images.shape[1:], one.upsampling)

    def build():
        with networks.precision(settings.mixed_precision):
            pair = networks.dcgan(*shape, normalization, self_modulation=True)
        return models.GAN(*pair, **playing)

    own_dir = settings.run_dir / one.name
    return training.fit_gan(
        build,
        images,
        run_dir=own_dir,
        steps=settings.steps,
        records=RECORDS,
        batch_size=settings.batch_size,
        learning_rate=settings.gan_learning_rate,
        beta_1=beta_1,
        critic_steps=playing.get("critic_steps", 1),
        watching=[FixedNoise(own_dir, settings.seed)],
        **what_it_is(settings, "hidden", "average", "r1", "clip"),
    )


def fit_vae(one, settings, images, validation):
    """One of the VAEs (5.4 b). What has a density is trained on dequantised images (5.7).

    After a training as short as this the latents of images are far from N(0, I), and half of what is decoded
    from that is no face; so the prior is fitted to them.
    """

    def build():
        likelihood = LIKELIHOODS[one.likelihood]()
        extras = {"extra_channels": likelihood.extra_channels, "context": settings.latent_dim * (one.variant == "flow")}
        shape = (settings.latent_dim, settings.hidden, images.shape[1:], one.upsampling)
        with networks.precision(settings.mixed_precision):
            pair = networks.dcgan_vae(*shape, **extras)
        arguments = {"likelihood": likelihood, "prior": layers.GaussianPrior() if settings.fit_prior else None}
        if likelihood.is_density:
            arguments["preprocessing"] = layers.Dequantization()
        if one.variant == "flow":
            return models.FlowVAE(*pair, flows.InverseAutoregressiveFlow(FLOW_STEPS), **arguments)
        if one.variant == "iwae":
            return models.ImportanceWeightedVAE(*pair, settings.importance_samples, **arguments)
        return models.VAE(*pair, **arguments)

    own_dir = settings.run_dir / one.name
    model, history = training.fit(
        build,
        images,
        validation,
        run_dir=own_dir,
        **training.recorded(settings.steps, RECORDS),
        batch_size=settings.batch_size,
        learning_rate=settings.vae_learning_rate,
        **what_it_is(settings, "hidden", "importance_samples", "fit_prior"),
    )
    if settings.fit_prior:
        model.fit_prior(data.pipeline(images, training.EVALUATION_BATCH))
        if settings.train:
            models.save(model, own_dir)
    return model, history


def what_it_is(settings, *names):
    """Arguments of a training that all runs share; `names` are flags of their own."""
    names = ("dataset", "data_dir", "train_size", "latent_dim", "mixed_precision", *names)
    own = {name: getattr(settings, name) for name in names}
    return {"settings": own} | {name: getattr(settings, name) for name in ("seed", "restart", "train")}
