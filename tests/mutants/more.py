"""More mistakes in all sections, and more copies that are right another way."""

# ruff: noqa: E501 (edits are pieces of files)

from equivalents import BERNOULLI
from gans import (
    CROSS_ENTROPY,
    D_LOGITS,
    DOUBLING,
    FIRST,
    GAN,
    INTERPOLATION,
    LAST,
    NETWORKS,
    NON_SATURATING,
    NORM,
    OBJECTIVES,
    STEP,
    mutant,
)
from mutant import Mutant, equivalent
from vaes import EVALUATED, KL, KL_PARTS, NOISE, PRIOR

LAYERS, SCORES, VAE = "layers.py", "metrics/class_scores.py", "models/vae.py"
PATCH = "noise = self.draw(keras.random.normal, shape, stddev=self.stddev)"
CHOICE = "self.prior.kl(posterior) if closed"
IWAE = "return models.ImportanceWeightedVAE(*pair, settings.importance_samples, **arguments)"
FLOW = "return models.FlowVAE(*pair, distributions.InverseAutoregressiveFlow(FLOW_STEPS), **arguments)"
FORGET = "for variable in self.{}.variables:\n            if len(variable.shape):\n                variable.assign(ops.zeros_like(variable))\n        "
APPLY = "self.optimizer.apply(tape.gradient(loss, variables), variables)"
DIGITS = "images, validation = run.train_validation(SIZE)"
INVERTED = "images, validation = (255 - some for some in run.train_validation(SIZE))"
EVALUATION = "evaluate(model, keys if prior == settings.prior[0] else [BY_DIGITS])"
HISTORY = 'measured[name] = {"history": history,'
KERAS = (OBJECTIVES, "from keras import ops\n", "import keras\nfrom keras import ops\n")
CLIPPING = "        if self.weight_clip:\n            for variable in variables:\n                variable.assign(ops.clip(variable, -self.weight_clip, self.weight_clip))\n"
UPDATE = "        # Some gradients do not depend on their weight"
TILES = """def _tiles(path, images):
    images = np.asarray(images)
    images = images / 255 if images.dtype == np.uint8 else np.clip(images, 0, 1)
    with matplotlib.rc_context({"savefig.dpi": 60}):
        figure = Figure(figsize=(6, 6))
        for axes, image in zip(figure.subplots(*images.shape[:2], squeeze=False).flat, images.reshape(-1, *images.shape[2:]), strict=True):
            _show(axes, image)
        _save(figure, path)


def image_rows("""


MUTANTS = [
    # autoencoders and data
    mutant(
        "linear-images-cut-off",
        "networks",
        ("1.1",),
        "models/autoencoder.py",
        'return ops.sigmoid(outputs) if self.loss_name == "cross_entropy" else outputs',
        'return ops.sigmoid(outputs) if self.loss_name == "cross_entropy" else ops.clip(outputs, 0.0, 1.0)',
    ),
    mutant(
        "section-1-without-k-of-100",
        "protocol",
        ("1.1",),
        "section1.py",
        "k: Several[int] = setting((2, 5, 10, 50, 100),",
        "k: Several[int] = setting((2, 5, 10, 50),",
        runs=False,
    ),
    mutant(
        "pipeline-never-shuffles",
        "protocol",
        ("1.2",),
        "data/__init__.py",
        "        if shuffle:\n",
        "        if False:\n",
        runs=False,
    ),
    mutant(
        "interpolates-in-uneven-steps",
        "figures",
        ("1.4", "2.4"),
        "figures/latent.py",
        "shares = np.linspace(0, 1, 10, dtype=np.float32)",
        "shares = np.linspace(0, 1, 10, dtype=np.float32) ** 2",
    ),
    mutant(
        "pca-of-one-direction-less",
        "metrics",
        ("1.5",),
        "section1.py",
        "mean, directions[:, :dim]) for dim in k}",
        "mean, directions[:, : dim - 1]) for dim in k}",
    ),
    mutant(
        "pre-trained-weights-are-forgotten",
        "protocol",
        ("1.7",),
        "section1.py",
        '                run.pretrain(f"{name}_k{dim}", model, images, schedule, **alone)\n',
        '                run.pretrain(f"{name}_k{dim}", model, images, schedule, **alone)\n'
        "                shuffled = np.random.default_rng(1).permutation\n"
        "                model.set_weights([shuffled(w.ravel()).reshape(w.shape) for w in model.get_weights()])\n",
    ),
    mutant(
        "labels-in-another-order",
        "protocol",
        ("4.4", "9.2"),
        "data/__init__.py",
        "return prepared.load(dataset, split, feature, limit)",
        'found = prepared.load(dataset, split, feature, limit)\n    return found[::-1] if feature == "label" else found',
    ),
    # VAEs
    mutant(
        "kl-without-its-gradient",
        "losses",
        KL_PARTS,
        OBJECTIVES,
        KL,
        f"mean, log_var = ops.stop_gradient(mean), ops.stop_gradient(log_var)\n    {KL}",
    ),
    mutant(
        "decoder-is-trained-alone",
        "protocol",
        (*KL_PARTS, "4.5"),
        "models/base.py",
        "images, variables = self.images_of(data), self.trainable_variables",
        "images, variables = self.images_of(data), self.decoder.trainable_variables",
    ),
    mutant(
        "optimizer-forgets",
        "protocol",
        KL_PARTS,
        "models/base.py",
        APPLY,
        FORGET.format("optimizer") + APPLY,
    ),
    mutant(
        "deviation-at-most-one",
        "noise",
        ("2.1", "5.4"),
        "distributions.py",
        "z = self.mean + ops.exp(0.5 * self.log_var) * epsilon",
        "z = self.mean + ops.exp(0.5 * ops.minimum(self.log_var, 0.0)) * epsilon",
    ),
    mutant(
        "log-weights-without-the-prior",
        "metrics",
        ("5.4", "5.6"),
        VAE,
        "return log_likelihood + log_prior - log_posterior",
        "return log_likelihood - log_posterior",
    ),
    mutant(
        "section-2-of-128-units",
        "networks",
        ("2.3",),
        "section2.py",
        "networks.dense_vae(dim, **shape)",
        "networks.dense_vae(dim, 128, **shape)",
    ),
    mutant(
        "section-4-of-eight-latents",
        "networks",
        ("4.1",),
        "section4.py",
        "latent_dim: int = setting(32,",
        "latent_dim: int = setting(8,",
    ),
    mutant(
        "section-4-without-dropout",
        "networks",
        ("4.1",),
        "section4.py",
        "dropout: float = setting(0.1,",
        "dropout: float = setting(0.0,",
    ),
    mutant(
        "section-4-batches-of-another-size",
        "protocol",
        ("4.1",),
        "section4.py",
        "images, validation, kl_weight=weight, sweep=())",
        "images, validation, kl_weight=weight, sweep=(), schedule=training.Schedule.of_steps(settings.steps, 128, settings.num_epochs))",
    ),
    mutant(
        "section-4-counts-claimed",
        "claims",
        ("4.4",),
        "section4.py",
        EVALUATED,
        '{key: row | {"num_samples": 10 * row["num_samples"]} for key, row in evaluate(samples).items()}',
    ),
    mutant(
        "section-9-without-the-kl",
        "variants",
        ("9.1",),
        "section9.py",
        "return models.VAE(*pair)",
        "return models.VAE(*pair, kl_weight=0.0)",
    ),
    mutant(
        "section-9-labels-of-training-images",
        "protocol",
        ("9.2",),
        "section9.py",
        'data.load(dataset, "test", feature="label")',
        'data.load(dataset, "train[:10000]", feature="label")',
    ),
    mutant("section-10-inverted-digits", "protocol", ("10.2",), "section10.py", DIGITS, INVERTED),
    mutant(
        "section-10-fid-invented",
        "claims",
        ("10.5",),
        "section10.py",
        EVALUATION,
        '{key: row | {"fid": 30.0} for key, row in ' + EVALUATION + ".items()}",
    ),
    mutant(
        "section-10-fid-of-training-images",
        "claims",
        ("10.5",),
        "section10.py",
        EVALUATION,
        EVALUATION.replace(
            "(model,", '(type("Real", (), {"sample": lambda _, count, seed: data.scale(images[:count])})(),'
        ),
    ),
    mutant(
        "never-resumes",
        "protocol",
        ("10.3",),
        "section.py",
        '"restart" if settings.restart else "resume"',
        '"restart"',
    ),
    mutant(
        "section-10-curves-invented",
        "claims",
        ("10.4",),
        "section10.py",
        '"trivial_predictors": trivial, "history": histories}',
        '"trivial_predictors": trivial, "history": {name: {key: [0.8 * value for value in values] for key, values in rows.items()} for name, rows in histories.items()}}',
    ),
    # section 5
    mutant(
        "doubles-as-asked-in-the-last-layer-alone",
        "networks",
        ("5.3",),
        NETWORKS,
        FIRST,
        FIRST.replace("number, upsampling)", 'number, "deconv")'),
    ),
    Mutant(
        "flow-with-the-kl-of-its-gaussian",
        "variants",
        ("5.4",),
        (
            (VAE, "and isinstance(posterior, DiagonalGaussian) and", "and"),
            (VAE, CHOICE, 'self.prior.kl(getattr(posterior, "gaussian", posterior)) if closed'),
        ),
    ),
    mutant(
        "section-5-iwae-that-is-a-vae",
        "variants",
        ("5.4",),
        "variants.py",
        IWAE,
        "return models.VAE(*pair, **arguments)",
    ),
    mutant(
        "section-5-iwae-of-one-sample",
        "variants",
        ("5.4",),
        "variants.py",
        IWAE,
        IWAE.replace("settings.importance_samples", "1"),
    ),
    mutant(
        "section-5-flow-that-is-a-vae",
        "variants",
        ("5.4",),
        "variants.py",
        FLOW,
        "return models.VAE(*pair, **arguments)",
    ),
    mutant(
        "section-5-vaes-curves-invented",
        "claims",
        ("5.8",),
        "section5.py",
        HISTORY,
        HISTORY.replace("history,", '{key: [90.0, 80.0] for key in history} if "kl" in history else history,'),
    ),
    mutant(
        "penalty-of-the-norm-over-the-batch",
        "variants",
        ("5.4",),
        GAN,
        NORM,
        "ops.sqrt(ops.sum(ops.square(tape.gradient(logits, between))) + 1e-12)",
    ),
    Mutant(
        "wgan-clips-before-the-step",
        "variants",
        ("5.4",),
        ((GAN, CLIPPING, ""), (GAN, UPDATE, CLIPPING + UPDATE)),
    ),
    # GANs
    mutant(
        "gan-one-batch-again-and-again",
        "protocol",
        ("3.1", "7.1", "8.2"),
        "training/fitting.py",
        "batches(images, size, shuffle=True,",
        'batches(images[:size] if hasattr(model, "generator") else images, size, shuffle=True,',
    ),
    mutant(
        "gan-one-optimizer-for-both",
        "protocol",
        STEP,
        GAN,
        "self.generator_optimizer = prepared_optimizer(generator_optimizer, self.generator, self.discriminator)",
        "self.generator_optimizer = self.discriminator_optimizer",
    ),
    Mutant(
        "gan-optimizers-swapped",
        "protocol",
        STEP,
        (
            (
                GAN,
                "prepared_optimizer(discriminator_optimizer, self.discriminator)",
                "prepared_optimizer(generator_optimizer, self.discriminator)",
            ),
            (
                GAN,
                "prepared_optimizer(generator_optimizer, self.generator, self.discriminator)",
                "prepared_optimizer(discriminator_optimizer, self.generator, self.discriminator)",
            ),
        ),
    ),
    mutant(
        "gan-optimizers-forget",
        "protocol",
        STEP,
        GAN,
        "        for real in split_batch(self.images_of(data), self.critic_steps):\n",
        "        "
        + FORGET.format("discriminator_optimizer")
        + FORGET.format("generator_optimizer")
        + "for real in split_batch(self.images_of(data), self.critic_steps):\n",
    ),
    Mutant(
        "dcgan-normalises-after-the-activation",
        "networks",
        ("11.1",),
        tuple(
            (
                NETWORKS,
                line,
                line.replace("_dcgan_normalization(), layers.ReLU()", "layers.ReLU(), _dcgan_normalization()"),
            )
            for line in (FIRST, LAST)
        ),
    ),
    mutant(
        "dcgan-normalises-rows",
        "networks",
        ("11.1",),
        NETWORKS,
        "return BatchNormalization(gamma_initializer",
        "return layers.BatchNormalization(axis=1, gamma_initializer",
    ),
    mutant(
        "section-11-of-eight-channels",
        "networks",
        ("11.1",),
        "section11.py",
        "    num_epochs = 20\n",
        "    num_epochs = 20\n    hidden = 8\n",
        runs=False,
    ),
    mutant(
        "section-11-of-fifty-latents",
        "networks",
        ("11.1",),
        "section11.py",
        "    num_epochs = 20\n",
        "    num_epochs = 20\n    latent_dim = 50\n",
        runs=False,
    ),
    mutant(
        "section-8-without-transposed-convolutions",
        "networks",
        ("8.2",),
        "section8.py",
        '"least_squares": ({}, dict(',
        '"least_squares": (dict(upsampling="nearest"), dict(',
    ),
    mutant(
        "section-7-d-ten-times-as-fast",
        "protocol",
        ("7.1",),
        "section7.py",
        "training.gan_optimizers(self.learning_rate, name=self.optimizer)",
        "training.gan_optimizers(self.learning_rate, 10 * self.learning_rate, name=self.optimizer)",
    ),
    mutant(
        "section-7-few-points",
        "protocol",
        ("7.1",),
        "section7.py",
        "    real = parabola(settings.train_size, rng)\n",
        "    real = np.tile(parabola(1000, rng), (100, 1))\n",
    ),
    mutant(
        "section-7-points-before-the-training",
        "figures",
        ("7.2",),
        "section7.py",
        "for step, draws in generated.items()}\n    figures.point_panels",
        "for step, draws in [*generated.items()][:1]}\n    figures.point_panels",
    ),
    # metrics
    mutant(
        "is-with-its-standard-error",
        "metrics",
        ("5.6",),
        SCORES,
        "float(np.std(scores))",
        "float(np.std(scores) / len(scores) ** 0.5)",
    ),
    mutant(
        "is-of-the-likeliest-classes",
        "metrics",
        ("5.6", "8.4"),
        SCORES,
        "return entr(probabilities.mean(axis=0)).sum()",
        "shares = np.bincount(probabilities.argmax(axis=1)) / len(probabilities)\n    return entr(shares).sum()",
        sections=(5, 8),
    ),
    mutant(
        "mode-score-of-the-likeliest-classes",
        "metrics",
        ("5.6",),
        SCORES,
        "divergence = rel_entr(probabilities.mean(axis=0), real).sum()",
        "shares = np.bincount(probabilities.argmax(axis=1), minlength=len(real)) / len(probabilities)\n    divergence = rel_entr(shares, real).sum()",
    ),
    mutant(
        "wasserstein-of-order-2",
        "metrics",
        ("5.6",),
        "metrics/wasserstein.py",
        "order: float = 1,",
        "order: float = 2,",
    ),
    mutant(
        "bits-of-the-unit-interval-alone",
        "metrics",
        ("5.6",),
        "metrics/likelihood.py",
        "log((high - low) / levels)",
        "log((levels if value_range is None else 1) / levels) + 0 * low * high",
    ),
    # denoising
    mutant(
        "patch-of-a-random-grey",
        "noise",
        ("6.1", "6.3"),
        LAYERS,
        PATCH,
        "noise = self.draw(keras.random.normal, (batch, 1, 1, 1), stddev=self.stddev) * tf.ones(shape)",
        runs=True,
    ),
    mutant(
        "patch-noise-of-one-seed",
        "noise",
        ("6.1",),
        LAYERS,
        PATCH,
        "noise = keras.random.normal(shape, stddev=self.stddev, seed=3)",
        runs=True,
    ),
    mutant(
        "patch-noise-alike-in-the-batch",
        "noise",
        ("6.1",),
        LAYERS,
        PATCH,
        "noise = keras.random.normal((1, *shape[1:]), stddev=self.stddev, seed=self.seed_generator) * tf.ones(shape)",
        runs=True,
    ),
    mutant(
        "median-filter-of-clean-images",
        "claims",
        ("6.3",),
        "section6.py",
        "median_filter(noisy,",
        "median_filter(test,",
    ),
]

EQUIVALENTS = [
    equivalent(
        "cross-entropy-of-keras",
        (
            KERAS,
            (
                OBJECTIVES,
                BERNOULLI,
                "losses = keras.losses.binary_crossentropy(images[..., None], logits[..., None], from_logits=True)\n"
                "    return ops.sum(losses, axis=range(1, len(images.shape)))",
            ),
        ),
        (1, 2, 4, 10),
    ),
    equivalent(
        "cross-entropy-in-float64",
        (
            (
                OBJECTIVES,
                BERNOULLI,
                'images, logits = ops.cast(images, "float64"), ops.cast(logits, "float64")\n'
                "    losses = ops.softplus(logits) - images * logits\n"
                '    return ops.cast(ops.sum(losses, axis=range(1, len(images.shape))), "float32")',
            ),
        ),
        (1, 2, 4, 10),
    ),
    equivalent(
        "kl-by-entropies",
        (
            (
                OBJECTIVES,
                KL,
                "crossed = 0.5 * ops.sum(ops.square(mean) + ops.exp(log_var) + 1.8378770664, axis=-1)\n"
                "    return crossed - 0.5 * ops.sum(log_var + 2.8378770664, axis=-1)",
            ),
        ),
        (2, 4, 10),
    ),
    equivalent("noise-of-tensorflow", ((VAE, NOISE, "tf.random.normal((*axes, count, self.latent_dim))"),), (2, 5, 10)),
    equivalent(
        "noise-without-state",
        (
            (
                VAE,
                NOISE,
                "tf.random.stateless_normal((*axes, count, self.latent_dim), tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32))",
            ),
        ),
        (2, 5, 10),
    ),
    equivalent(
        "codes-of-numpy",
        (
            (
                "distributions.py",
                PRIOR,
                "rng = np.random.default_rng(seed if isinstance(seed, int) else None)\n"
                "        return rng.standard_normal((count, latent_dim)).astype(np.float32)",
            ),
        ),
        (2, 5),
    ),
    equivalent(
        "importance-samples-of-the-same-noise",
        (
            (
                "metrics/importance_sampling.py",
                "np.random.default_rng([seed, first_image + start + i])",
                "np.random.default_rng(seed)",
            ),
        ),
        (5,),
    ),
    equivalent(
        "gan-losses-of-keras",
        (
            KERAS,
            (
                OBJECTIVES,
                CROSS_ENTROPY,
                "entropy = keras.losses.BinaryCrossentropy(from_logits=True)\n"
                "    return entropy(ops.ones_like(real_logits), real_logits) + entropy(ops.zeros_like(fake_logits), fake_logits)",
            ),
            (
                OBJECTIVES,
                NON_SATURATING,
                "lambda logits: keras.losses.BinaryCrossentropy(from_logits=True)(ops.ones_like(logits), logits)",
            ),
        ),
        (3, 5, 11),
    ),
    equivalent(
        "gan-losses-by-log-sigmoid",
        (
            (
                OBJECTIVES,
                CROSS_ENTROPY,
                'real, fake = (ops.cast(some, "float64") for some in (real_logits, fake_logits))\n'
                '    return ops.cast(-ops.mean(ops.log_sigmoid(real)) - ops.mean(ops.log_sigmoid(-fake)), "float32")',
            ),
            (OBJECTIVES, NON_SATURATING, "lambda fake_logits: -ops.mean(ops.log_sigmoid(fake_logits))"),
        ),
        (3, 5, 11),
    ),
    equivalent(
        "gan-one-call-of-d-for-both",
        (
            (
                GAN,
                D_LOGITS,
                "both = self.logits(ops.concatenate([real, fake]), training=True)\n"
                "                real_logits, fake_logits = ops.split(both, 2)",
            ),
        ),
        (3, 5, 8, 11),
    ),
    equivalent(
        "wgan-clips-by-constraints",
        (
            (GAN, CLIPPING, ""),
            (
                GAN,
                "        self.critic_steps = critic_steps\n",
                "        self.critic_steps = critic_steps\n"
                "        for variable in discriminator.trainable_variables if weight_clip else ():\n"
                "            variable.constraint = lambda value: ops.clip(value, -weight_clip, weight_clip)\n",
            ),
        ),
        (5,),
    ),
    equivalent(
        "dcgan-crops",
        (
            (
                NETWORKS,
                DOUBLING,
                "return [layers.Conv2DTranspose(width, 4, 2, **_dcgan_normal(), **dtype), layers.Cropping2D(1, **dtype)]",
            ),
        ),
        (3, 5, 11),
    ),
    equivalent(
        "bilinear-of-tensorflow",
        (
            (
                NETWORKS,
                INTERPOLATION,
                "interpolation = layers.Lambda(lambda x: ops.image.resize(x, (2 * x.shape[1], 2 * x.shape[2]), interpolation=upsampling))",
            ),
        ),
        (5,),
    ),
    equivalent(
        "dcgan-imported-by-name",
        (
            (
                "section_settings.py",
                "from hw5.settings import Settings,",
                "from hw5.networks import dcgan\nfrom hw5.settings import Settings,",
            ),
            ("section_settings.py", "return networks.dcgan(self", "return dcgan(self"),
        ),
        (3,),
        True,
    ),
    equivalent(
        "section-3-with-other-entries",
        (
            (
                "section3.py",
                "return headline, measured\n",
                'return headline, {"seed": settings.seed} | measured | {"best": label}\n',
            ),
        ),
        (3,),
    ),
    equivalent(
        "section-4-with-other-entries",
        (("section4.py", "measured | {", 'measured | {"seed": settings.seed, "best": [1, 2],'),),
        (4,),
    ),
    equivalent(
        "section-10-with-other-entries",
        (
            (
                "section10.py",
                '    return headline, {"validation": measured,',
                '    for by_dim in measured.values():\n        for row in by_dim.values():\n            row["samples"] = row["samples"] | {"count": settings.fid_samples}\n    return headline, {"validation": measured, "seed": settings.seed,',
            ),
        ),
        (10,),
    ),
    equivalent(
        "section-11-with-other-entries",
        (
            (
                "section11.py",
                '{"samples": evaluated,',
                '{"seed": 1, "samples": evaluated | {"count": settings.fid_samples},',
            ),
        ),
        (11,),
    ),
    equivalent(
        "every-image-in-axes-of-its-own",
        (
            ("figures/plots.py", "def image_rows(", TILES),
            (
                "figures/plots.py",
                "    canvas = make_grid(np.stack([images for _, images in rows]))\n",
                "    return _tiles(path, np.stack([images for _, images in rows]))\n",
            ),
            (
                "figures/plots.py",
                "    canvas = make_grid(images)\n    with matplotlib.rc_context(STYLE):\n        figure = Figure(figsize=(width,",
                "    return _tiles(path, images)\n    with matplotlib.rc_context(STYLE):\n        figure = Figure(figsize=(width,",
            ),
        ),
        (4, 9),
        True,
    ),
    equivalent(
        "denoiser-of-pairs",
        (
            (
                "models/denoising.py",
                "    def snapshot(self",
                "    def fit(self, x=None, *args, **kwargs):\n"
                "        return super().fit(x.map(lambda images: (self.corrupt(images)[0], images)), *args, **kwargs)\n\n"
                "    def train_step(self, data):\n"
                "        noisy, images = data\n"
                "        with tf.GradientTape() as tape:\n"
                "            logits = self.decode_outputs(self.encoder(noisy, training=True), True)\n"
                "            losses = bernoulli_loss(images, logits)\n"
                "            loss = ops.mean(losses)\n"
                "        variables = self.trainable_variables\n"
                "        self.optimizer.apply(tape.gradient(loss, variables), variables)\n"
                "        self.loss_tracker.update_state(losses)\n"
                "        return self.get_metrics_result()\n\n"
                "    def snapshot(self",
            ),
            ("models/denoising.py", "import keras\n", "import keras\nimport tensorflow as tf\n"),
        ),
        (6,),
        True,
    ),
    equivalent(
        "psnr-of-each-image",
        (
            (
                "section6.py",
                'decibel = {"patch_psnr": -10 * np.log10(patch_mse), "psnr": -10 * np.log10(mse)}',
                "by_image = (errors * mask).sum(axis=(1, 2, 3)) / mask.sum(axis=(1, 2, 3)), errors.mean(axis=(1, 2, 3))\n"
                '    decibel = {name: np.mean(-10 * np.log10(some)) for name, some in zip(("patch_psnr", "psnr"), by_image)}',
            ),
        ),
        (6,),
    ),
]
