"""Mistakes in the models, losses and networks of VAEs (sections 2, 4, 5, 9 and 10)."""

# ruff: noqa: E501 (edits are pieces of files)

from mutant import Mutant, mutant

NOISE = "keras.random.normal((*axes, count, self.latent_dim), seed=self.epsilon_generator)"
Z = "z = self.mean + ops.exp(0.5 * self.log_var) * epsilon"
TERMS = "[ops.mean(reconstruction), self.kl_weight * ops.mean(kl)]"
BERNOULLI = "return ops.sum(ops.softplus(logits) - images * logits, axis=range(1, len(images.shape)))"
KL = "return 0.5 * ops.sum(ops.square(mean) + ops.exp(log_var) - log_var - 1.0, axis=-1)"
PRIOR = "return keras.random.normal((count, latent_dim), seed=seed)"
HEAD = "layers.Dense(latent_dim, name=name, "
TANH = 'layers.Dense(hidden, activation="tanh", name="hidden")'
DROPOUT = 'features = Dropout(dropout, name="dropout")(features)'
APPLY = "self.optimizer.apply(tape.gradient(loss, variables), variables)"
FORGET = "for variable in self.{}.variables:\n            if len(variable.shape):\n                variable.assign(ops.zeros_like(variable))\n        "
LOG_MEAN = "log_mean = ops.logsumexp(log_likelihood + log_prior - log_posterior, axis=0) - log(self.importance_samples)"
FLOWED = "return z, log_prob - log_det"
KL_PARTS = ("2.2", "4.2", "10.7")
KERAS = ("objectives.py", "from keras import ops\n", "import keras\nfrom keras import ops\n")
DRAWN_KL = (
    (
        "objectives.py",
        KL,
        "z = mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean))\n"
        "    return 0.5 * ops.sum(ops.square(z) - ops.square(z - mean) / ops.exp(log_var) - log_var, axis=-1)",
    ),
    KERAS,
)

MUTANTS = [
    # noise of z
    Mutant(
        "the-same-noise-in-every-step",
        "noise",
        ("2.1", "4.5", "5.4"),
        (("models/vae.py", NOISE, NOISE.replace("self.epsilon_generator", "1")),),
    ),
    Mutant(
        "noise-drawn-when-traced",
        "noise",
        ("2.1", "4.5", "5.4"),
        (
            (
                "models/vae.py",
                NOISE,
                "ops.take(np.float32(np.random.normal(size=(*axes, 2000, self.latent_dim))), "
                "ops.arange(count) % 2000, -2)",
            ),
        ),
    ),
    Mutant(
        "uniform-noise",
        "noise",
        ("2.1", "5.4"),
        (
            (
                "models/vae.py",
                NOISE,
                "keras.random.uniform((*axes, count, self.latent_dim), -(3**0.5), 3**0.5, seed=self.epsilon_generator)",
            ),
        ),
    ),
    Mutant(
        "noise-of-the-unit-interval",
        "noise",
        ("2.1", "5.4"),
        (("models/vae.py", NOISE, NOISE.replace("normal", "uniform")),),
    ),
    Mutant(
        "one-noise-for-the-batch",
        "noise",
        ("2.1", "5.4"),
        (
            (
                "models/vae.py",
                NOISE,
                "ops.zeros((*axes, count, self.latent_dim)) + " + NOISE.replace("count", "1"),
            ),
        ),
    ),
    Mutant(
        "one-noise-for-all-dimensions",
        "noise",
        ("2.1", "5.4"),
        (
            (
                "models/vae.py",
                NOISE,
                "ops.zeros((*axes, count, self.latent_dim)) + " + NOISE.replace("self.latent_dim", "1"),
            ),
        ),
    ),
    Mutant("no-noise", "noise", ("2.1", "5.4"), (("models/vae.py", NOISE, "0.0 * " + NOISE),)),
    Mutant(
        "variance-taken-for-deviation",
        "noise",
        ("2.1", "5.4", "5.6"),
        (
            (
                "distributions.py",
                Z,
                "z = self.mean + ops.exp(self.log_var) * epsilon",
            ),
        ),
    ),
    mutant(
        "deviation-at-most-one",
        "noise",
        ("2.1", "5.4"),
        "distributions.py",
        Z,
        "z = self.mean + ops.exp(0.5 * ops.minimum(self.log_var, 0.0)) * epsilon",
    ),
    Mutant(
        "noise-at-least-one",
        "noise",
        ("2.1", "4.5", "5.4", "5.6"),
        (
            (
                "distributions.py",
                Z,
                "z = self.mean + ops.maximum(ops.exp(0.5 * self.log_var), 1.0) * epsilon",
            ),
        ),
    ),
    # what is drawn, encoded and decoded
    Mutant(
        "samples-of-the-unit-cube",
        "noise",
        ("2.4",),
        (("distributions.py", PRIOR, PRIOR.replace("normal", "uniform")),),
    ),
    Mutant(
        "samples-twice-as-wide",
        "noise",
        ("2.4",),
        (("distributions.py", PRIOR, PRIOR.replace("keras", "2.0 * keras")),),
    ),
    Mutant(
        "samples-near-the-mean",
        "noise",
        ("2.4",),
        (("distributions.py", PRIOR, PRIOR.replace("keras", "0.7 * keras")),),
    ),
    Mutant(
        "samples-through-two-sigmoids",
        "networks",
        ("2.4", "4.5"),
        (("distributions.py", "return ops.sigmoid(outputs)", "return ops.sigmoid(ops.sigmoid(outputs))"),),
    ),
    Mutant(
        "encodes-a-sample",
        "protocol",
        ("2.4",),
        (
            (
                "models/vae.py",
                "z, _ = self.posterior(images).sample(0.0)",
                "z, _ = self.posterior(images).sample(self.draw_epsilon(ops.shape(images)[0]))",
            ),
        ),
    ),
    Mutant(
        "decodes-logits",
        "protocol",
        ("2.4", "4.5"),
        (
            (
                "models/vae.py",
                "return self.likelihood.mean(self.decode_outputs(self.prior.color(z)))",
                "return self.decode_outputs(self.prior.color(z))",
            ),
        ),
        sections=(2,),
    ),
    # losses
    Mutant("kl-of-one-z-where-the-sheet-prints-it", "losses", ("2.2",), DRAWN_KL, sections=(4, 10)),
    Mutant("kl-without-half", "losses", KL_PARTS, (("objectives.py", KL, KL.replace("0.5 * ", "")),)),
    Mutant(
        "kl-with-another-sign",
        "losses",
        KL_PARTS,
        (("objectives.py", KL, KL.replace("- log_var - 1.0", "+ log_var - 1.0")),),
    ),
    Mutant(
        "kl-averaged-over-dimensions", "losses", KL_PARTS, (("objectives.py", KL, KL.replace("ops.sum", "ops.mean")),)
    ),
    Mutant(
        "log-deviation-taken-for-log-variance",
        "losses",
        KL_PARTS,
        (("objectives.py", KL, KL.replace("ops.exp(log_var) - log_var", "ops.exp(2 * log_var) - 2 * log_var")),),
    ),
    Mutant(
        "kl-without-the-mean",
        "losses",
        KL_PARTS,
        (("objectives.py", KL, KL.replace("ops.square(mean) + ", "")),),
    ),
    mutant(
        "kl-without-its-gradient",
        "losses",
        KL_PARTS,
        "objectives.py",
        KL,
        f"mean, log_var = ops.stop_gradient(mean), ops.stop_gradient(log_var)\n    {KL}",
    ),
    Mutant(
        "kl-summed-over-the-batch",
        "losses",
        (*KL_PARTS, "5.4"),
        (("models/vae.py", TERMS, TERMS.replace("ops.mean(kl)", "ops.sum(kl)")),),
    ),
    Mutant(
        "losses-summed-over-the-batch",
        "losses",
        ("2.1", "2.2", "2.5", "4.2", "5.4", "10.7"),
        (("models/vae.py", TERMS, TERMS.replace("ops.mean", "ops.sum")),),
    ),
    Mutant(
        "cross-entropy-averaged-over-784-pixels",
        "losses",
        ("2.1", "2.2", "2.5", "4.2", "5.4", "10.7"),
        (("models/vae.py", TERMS, TERMS.replace("ops.mean(reconstruction)", "ops.mean(reconstruction) / 784")),),
    ),
    Mutant(
        "cross-entropy-unstable",
        "losses",
        ("2.2",),
        (
            (
                "objectives.py",
                BERNOULLI,
                "p = ops.sigmoid(logits)\n"
                "    losses = -images * ops.log(p) - (1 - images) * ops.log(1 - p)\n"
                "    return ops.sum(losses, axis=range(1, len(images.shape)))",
            ),
        ),
    ),
    Mutant(
        "weight-on-the-reconstruction",
        "losses",
        ("2.1", "2.2", "2.5", "4.2", "4.5"),
        (("models/vae.py", TERMS, "[self.kl_weight * ops.mean(reconstruction), ops.mean(kl)]"),),
    ),
    Mutant(
        "weight-squared",
        "losses",
        ("4.2",),
        (("models/vae.py", TERMS, TERMS.replace("self.kl_weight", "self.kl_weight**2")),),
    ),
    Mutant(
        "weight-ignored",
        "losses",
        ("2.1", "2.2", "2.5", "4.2"),
        (("models/vae.py", TERMS, TERMS.replace("self.kl_weight * ", "")),),
    ),
    Mutant(
        "weight-on-both-terms",
        "losses",
        ("2.1", "2.2", "2.5", "4.2", "4.5"),
        (("models/vae.py", TERMS, TERMS.replace("[ops", "[self.kl_weight * ops")),),
    ),
    # the training step
    Mutant(
        "gradient-stops-at-z",
        "losses",
        ("2.1", "4.5"),
        (
            (
                "models/vae.py",
                "outputs = self.decode_outputs(ops.reshape(z, (-1, self.latent_dim)), training)",
                "outputs = self.decode_outputs(ops.stop_gradient(ops.reshape(z, (-1, self.latent_dim))), training)",
            ),
        ),
    ),
    mutant(
        "decoder-is-trained-alone",
        "protocol",
        (*KL_PARTS, "2.1", "4.5", "5.4"),
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
    Mutant(
        "smaller-batch-counts-as-much",
        "losses",
        ("10.7",),
        (("models/base.py", "ops.where(number > 0, value, 0.0), sample_weight=number)", "value)"),),
    ),
    # 2.1, 4.1 and 10.1: layer tables
    Mutant(
        "dense-decoder-with-relu",
        "networks",
        ("2.1",),
        (
            (
                "networks.py",
                'layers.Dense(hidden, activation="sigmoid", kernel_initializer=initializer, name="hidden")',
                'layers.Dense(hidden, activation="relu", kernel_initializer=initializer, name="hidden")',
            ),
        ),
    ),
    Mutant(
        "dense-encoder-without-nonlinearity",
        "networks",
        ("2.1",),
        (
            (
                "networks.py",
                'layers.Dense(hidden, activation=activation, name="hidden")(layers.Flatten',
                'layers.Dense(hidden, name="hidden")(layers.Flatten',
            ),
        ),
    ),
    Mutant(
        "dense-vae-of-256-units",
        "networks",
        ("2.1",),
        (
            (
                "networks.py",
                'hidden: int = 512,\n    activation: str = "softplus"',
                'hidden: int = 256,\n    activation: str = "softplus"',
            ),
        ),
    ),
    Mutant(
        "mean-and-log-variance-with-relu",
        "networks",
        ("2.1", "4.1", "10.6"),
        (("networks.py", HEAD, HEAD + 'activation="relu", '),),
        sections=(10,),
    ),
    Mutant(
        "mean-with-tanh",
        "networks",
        ("2.1", "4.1"),
        (("networks.py", HEAD, HEAD + 'activation="tanh" if name == "mean" else None, '),),
    ),
    Mutant(
        "tanh-encoder-with-relu",
        "networks",
        ("4.1",),
        (("networks.py", f"features = {TANH}", f"features = {TANH.replace('tanh', 'relu')}"),),
    ),
    Mutant(
        "tanh-decoder-without-activation",
        "networks",
        ("4.1",),
        (
            (
                "networks.py",
                f'up = [{TANH}]\n    return encoder, _decoder("tanh_decoder"',
                'up = [layers.Dense(hidden, name="hidden")]\n    return encoder, _decoder("tanh_decoder"',
            ),
        ),
    ),
    Mutant("dropout-never", "networks", ("4.1",), (("networks.py", DROPOUT, DROPOUT.replace("(dropout", "(0.0")),)),
    Mutant(
        "dropout-of-nine-tenths",
        "networks",
        ("4.1", "4.5"),
        (("networks.py", DROPOUT, DROPOUT.replace("(dropout", "(0.9")),),
    ),
    Mutant(
        "dropout-in-the-decoder",
        "networks",
        ("4.1",),
        (
            (
                "networks.py",
                f'up = [{TANH}]\n    return encoder, _decoder("tanh_decoder"',
                f'up = [{TANH}, Dropout(dropout)]\n    return encoder, _decoder("tanh_decoder"',
            ),
        ),
    ),
    Mutant(
        "dropout-without-scaling",
        "networks",
        ("4.1",),
        (("layers.py", "inputs / (1.0 - self.rate), 0.0)", "inputs, 0.0)"),),
    ),
    Mutant(
        "dropout-outside-of-training",
        "networks",
        ("4.1",),
        (("layers.py", "if not training or self.rate == 0:", "if self.rate == 0:"),),
    ),
    Mutant(
        "training-in-inference-mode",
        "networks",
        ("4.1",),
        (("models/vae.py", "posterior = self.posterior(images, training)", "posterior = self.posterior(images)"),),
    ),
    Mutant(
        "second-convolution-of-stride-1",
        "networks",
        ("10.1",),
        (("networks.py", 'layers.Conv2D(32, 3, 2, "same"', 'layers.Conv2D(32, 3, 1, "same"'),),
    ),
    Mutant(
        "third-convolution-without-relu",
        "networks",
        ("10.1",),
        (
            (
                "networks.py",
                'layers.Conv2D(32, 3, 1, "same", activation="relu", name="enc_3")',
                'layers.Conv2D(32, 3, 1, "same", name="enc_3")',
            ),
        ),
    ),
    Mutant(
        "first-decoder-layer-without-relu",
        "networks",
        ("10.1",),
        (
            (
                "networks.py",
                'layers.Dense(latent_dim, activation="relu", bias_initializer="ones", name="dec_1")',
                'layers.Dense(latent_dim, bias_initializer="ones", name="dec_1")',
            ),
        ),
    ),
    Mutant(
        "transposed-convolution-with-tanh",
        "networks",
        ("10.1",),
        (
            (
                "networks.py",
                'layers.Conv2DTranspose(16, 3, 2, "same", activation="relu", name="dec_5")',
                'layers.Conv2DTranspose(16, 3, 2, "same", activation="tanh", name="dec_5")',
            ),
        ),
    ),
    Mutant(
        "transposed-convolution-of-five",
        "networks",
        ("10.1",),
        (
            (
                "networks.py",
                'layers.Conv2DTranspose(32, 3, 1, "same", activation="relu", name="dec_4")',
                'layers.Conv2DTranspose(32, 5, 1, "same", activation="relu", name="dec_4")',
            ),
        ),
    ),
    Mutant(
        "sigmoid-twice",
        "networks",
        ("10.1",),
        (
            (
                "networks.py",
                'layers.Conv2DTranspose(channels, 3, 1, "same", name="dec_6", dtype="float32")',
                'layers.Conv2DTranspose(channels, 3, 1, "same", activation="sigmoid", name="dec_6", dtype="float32")',
            ),
        ),
    ),
    Mutant(
        "second-half-is-log-variance",
        "networks",
        ("10.1",),
        (("networks.py", "return [mean, 2.0 * log_sigma]", "return [mean, log_sigma]"),),
    ),
    Mutant(
        "halves-swapped",
        "networks",
        ("10.1",),
        (("networks.py", "mean, log_sigma = ops.split(", "log_sigma, mean = ops.split("),),
    ),
    # 10.6 and 5.2: other networks
    Mutant(
        "shallow-network-is-the-tables",
        "networks",
        ("10.6",),
        (
            (
                "networks.py",
                "    height, width, channels = _halved_twice(image_shape)\n"
                '    images = keras.Input(image_shape, name="images")\n'
                "    x = layers.Conv2D(16, 4, 2",
                "    return convolutional_vae(latent_dim, image_shape)\n"
                "    height, width, channels = _halved_twice(image_shape)\n"
                '    images = keras.Input(image_shape, name="images")\n'
                "    x = layers.Conv2D(16, 4, 2",
            ),
        ),
    ),
    Mutant(
        "dense-network-of-28",
        "networks",
        ("10.6",),
        (
            (
                "networks.py",
                'images = keras.Input(image_shape, name="images")\n'
                "    features = layers.Dense(hidden, activation=activation",
                'images = keras.Input(MNIST_SHAPE, name="images")\n'
                "    features = layers.Dense(hidden, activation=activation",
            ),
        ),
    ),
    Mutant(
        "encoder-of-faces-with-relu",
        "networks",
        ("5.2",),
        (
            (
                "networks.py",
                "encoder = keras.Model(images, _posterior_outputs(features, latent_dim, context), "
                'name="dcgan_encoder")',
                "outputs = [ops.relu(part) for part in _posterior_outputs(features, latent_dim, context)]\n"
                '    encoder = keras.Model(images, outputs, name="dcgan_encoder")',
            ),
        ),
        runs=True,
    ),
    # 5.4: importance weights and flows
    Mutant(
        "iwae-averages-logarithms",
        "variants",
        ("5.4",),
        (("models/vae.py", LOG_MEAN, "log_mean = ops.mean(log_likelihood + log_prior - log_posterior, axis=0)"),),
    ),
    Mutant(
        "iwae-without-one-over-k",
        "variants",
        ("5.4",),
        (("models/vae.py", LOG_MEAN, LOG_MEAN.removesuffix(" - log(self.importance_samples)")),),
    ),
    Mutant(
        "iwae-of-one-sample",
        "variants",
        ("5.4",),
        (
            ("models/vae.py", "self.importance_samples = importance_samples", "self.importance_samples = 1"),
            ("models/vae.py", "self.sample_axes = (importance_samples,)", "self.sample_axes = (1,)"),
        ),
    ),
    Mutant(
        "iwae-without-the-posterior",
        "variants",
        ("5.4",),
        (("models/vae.py", LOG_MEAN, LOG_MEAN.replace(" - log_posterior", "")),),
    ),
    mutant(
        "log-weights-without-the-prior",
        "metrics",
        ("5.4", "5.6"),
        "models/vae.py",
        "return log_likelihood + log_prior - log_posterior",
        "return log_likelihood - log_posterior",
    ),
    Mutant(
        "flow-is-the-identity",
        "variants",
        ("5.4",),
        (
            (
                "distributions.py",
                "z, log_det = self.flow(z, self.context)",
                "_, log_det = self.flow(z, self.context)[0], 0.0",
            ),
        ),
    ),
    Mutant(
        "flow-without-log-determinant",
        "variants",
        ("5.4",),
        (("distributions.py", FLOWED, "return z, log_prob"),),
    ),
    Mutant(
        "flow-with-the-sign-of-the-inverse",
        "variants",
        ("5.4",),
        (("distributions.py", FLOWED, "return z, log_prob + log_det"),),
    ),
    Mutant(
        "flow-with-the-kl-of-its-gaussian",
        "variants",
        ("5.4",),
        (
            ("models/vae.py", "and isinstance(posterior, DiagonalGaussian) and", "and"),
            (
                "models/vae.py",
                "self.prior.kl(posterior) if closed",
                'self.prior.kl(getattr(posterior, "gaussian", posterior)) if closed',
            ),
        ),
    ),
]
