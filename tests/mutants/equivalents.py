"""Autoencoders and VAEs that are right another way (sections 1, 2, 4, 5, 9 and 10), and the package as it is."""

# ruff: noqa: E501 (edits are pieces of files)

from autoencoders import SQUARED_ERROR, TO_IMAGES
from mutant import equivalent
from vaes import BERNOULLI, DRAWN_KL, DROPOUT, KERAS, KL, LOG_MEAN, NOISE, PRIOR

CLIPPED = """p = ops.clip(PROBABILITIES, 1e-7, 1 - 1e-7)
    losses = -images * ops.log(p) - (1 - images) * ops.log(1 - p)
    return ops.sum(losses, axis=range(1, len(images.shape)))"""
SPLIT = """images = load(name, "train[:90%]", limit=train_size)
    if train_size and len(images) < train_size:
        raise InputError(f"train_size={train_size}: {name} has only {len(images)} training images")
    return images, load(name, "train[90%:]")"""
HEADS = """outputs = [layers.Dense(latent_dim, name=name, dtype="float32")(features) for name in ("mean", "log_var")]"""
TILES = """def _tiles(path, images):
    images = np.asarray(images)
    images = images / 255 if images.dtype == np.uint8 else np.clip(images, 0, 1)
    with matplotlib.rc_context({"savefig.dpi": 60}):
        figure = Figure(figsize=(6, 6))
        for axes, image in zip(figure.subplots(*images.shape[:2], squeeze=False).flat, images.reshape(-1, *images.shape[2:]), strict=True):
            _show(axes, image)
        _save(figure, path)


def image_rows("""

STACK = '''@keras.saving.register_keras_serializable("hw5")
class Stack(keras.Model):
    def __init__(self, shape, stack, halves=False, **kwargs):
        super().__init__(**kwargs)
        self.sides, self.stack, self.halves = tuple(shape), stack, halves
        self(ops.zeros((1, *shape)))

    input_shape = property(lambda self: (None, *self.sides))
    output_shape = property(lambda self: np.shape(self(ops.zeros((1, *self.sides)))))

    def call(self, x, training=False):
        for layer in self.stack:
            x = layer(x, training=training) if "Normalization" in type(layer).__name__ else layer(x)
        if not self.halves:
            return x
        mean, log_sigma = ops.split(x, 2, axis=-1)
        return [mean, 2.0 * log_sigma]

    def get_config(self):
        stack = [keras.saving.serialize_keras_object(layer) for layer in self.stack]
        return {**super().get_config(), "shape": self.sides, "stack": stack, "halves": self.halves}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"stack": [keras.saving.deserialize_keras_object(layer) for layer in config["stack"]]})


ACTIVATIONS = ("elu"'''

EQUIVALENTS = [
    *(equivalent(f"unchanged-section-{number}", (), (number,), runs=True) for number in (1, 2, 4, 5, 9, 10)),
    # losses
    equivalent(
        "decoders-end-in-a-sigmoid",
        (
            ("objectives.py", BERNOULLI, CLIPPED.replace("PROBABILITIES", "logits")),
            ("models/autoencoder.py", TO_IMAGES, "return outputs"),
            (
                "distributions.py",
                "        return -bernoulli_loss(images, outputs)",
                "        return -bernoulli_loss(images, outputs)\n\n"
                "    def mean(self, outputs):\n        return outputs",
            ),
            (
                "networks.py",
                'layers.Dense(prod(image_shape), name="pixels", dtype="float32")',
                'layers.Dense(prod(image_shape), activation=None if name == "linear_decoder" else "sigmoid")',
            ),
            (
                "networks.py",
                'layers.Conv2DTranspose(channels, 3, 1, "same", name="dec_6", dtype="float32")',
                'layers.Conv2DTranspose(channels, 3, 1, "same", activation="sigmoid", name="dec_6")',
            ),
            (
                "networks.py",
                'layers.Conv2DTranspose(channels, 4, 2, "same", name="dec_3", dtype="float32")',
                'layers.Conv2DTranspose(channels, 4, 2, "same", activation="sigmoid", name="dec_3")',
            ),
        ),
        (1, 2, 4, 5, 10),
        runs=False,
    ),
    equivalent(
        "probabilities-clipped-as-keras-does",
        (("objectives.py", BERNOULLI, CLIPPED.replace("PROBABILITIES", "ops.sigmoid(logits)")),),
        (1, 2, 4, 10),
    ),
    equivalent(
        "cross-entropy-of-keras",
        (
            KERAS,
            (
                "objectives.py",
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
                "objectives.py",
                BERNOULLI,
                'images, logits = ops.cast(images, "float64"), ops.cast(logits, "float64")\n'
                "    losses = ops.softplus(logits) - images * logits\n"
                '    return ops.cast(ops.sum(losses, axis=range(1, len(images.shape))), "float32")',
            ),
        ),
        (1, 2, 4, 10),
    ),
    equivalent("kl-of-the-sheet", (("objectives.py", KL, KL.replace(" - 1.0", "")),), (2, 4, 5, 10)),
    equivalent("kl-of-one-z", DRAWN_KL, (4, 10)),
    equivalent(
        "kl-by-the-deviation",
        (
            (
                "objectives.py",
                KL,
                "sigma = ops.exp(0.5 * log_var)\n"
                "    return ops.sum(-ops.log(sigma) + (sigma**2 + mean**2) / 2 - 0.5, axis=-1)",
            ),
        ),
        (2, 4, 10),
    ),
    equivalent(
        "kl-in-float64",
        (
            (
                "objectives.py",
                KL,
                'mean, log_var = ops.cast(mean, "float64"), ops.cast(log_var, "float64")\n'
                "    kl = -0.5 * ops.sum(1.0 + log_var - ops.square(mean) - ops.exp(log_var), axis=-1)\n"
                '    return ops.cast(kl, "float32")',
            ),
        ),
        (2, 4, 10),
    ),
    equivalent(
        "kl-by-entropies",
        (
            (
                "objectives.py",
                KL,
                "crossed = 0.5 * ops.sum(ops.square(mean) + ops.exp(log_var) + 1.8378770664, axis=-1)\n"
                "    return crossed - 0.5 * ops.sum(log_var + 2.8378770664, axis=-1)",
            ),
        ),
        (2, 4, 10),
    ),
    equivalent(
        "terms-by-add-loss",
        (
            (
                "models/vae.py",
                "        terms, _ = self.bound_and_outputs(images, training)\n"
                "        loss = sum(self.losses_of_parts(), ops.sum(terms))",
                "        self(images, training=training)\n        loss = sum(self.losses)",
            ),
        ),
        (2, 4, 10),
    ),
    equivalent(
        "squared-error-of-keras",
        (
            (
                "objectives.py",
                SQUARED_ERROR,
                "size = (ops.shape(targets)[0], -1)\n"
                "    return keras.losses.mean_squared_error(ops.reshape(targets, size), ops.reshape(outputs, size))",
            ),
            KERAS,
        ),
        (1,),
    ),
    equivalent(
        "log-mean-exp-by-hand",
        (
            (
                "models/vae.py",
                LOG_MEAN,
                "log_w = log_likelihood + log_prior - log_posterior\n"
                "        most = ops.stop_gradient(ops.max(log_w, axis=0))\n"
                "        log_mean = most + ops.log(ops.mean(ops.exp(log_w - most), axis=0) + 0 * log(1))",
            ),
        ),
        (5,),
    ),
    # noise
    equivalent("noise-of-the-other-sign", (("models/vae.py", NOISE, "-" + NOISE),), (2, 5, 10)),
    equivalent(
        "noise-of-tensorflow",
        (("models/vae.py", NOISE, "tf.random.normal((*axes, count, self.latent_dim))"),),
        (2, 5, 10),
    ),
    equivalent(
        "noise-without-state",
        (
            (
                "models/vae.py",
                NOISE,
                "tf.random.stateless_normal((*axes, count, self.latent_dim), tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32))",
            ),
        ),
        (2, 5, 10),
    ),
    equivalent(
        "codes-drawn-by-dimension",
        (
            (
                "distributions.py",
                PRIOR,
                "return ops.transpose(keras.random.normal((latent_dim, count), seed=seed))",
            ),
        ),
        (2, 5),
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
    # networks
    equivalent(
        "functional-decoders",
        (
            (
                "networks.py",
                "return keras.Sequential([keras.Input((code_dim,)), *stack, *output], name=name)",
                "codes = x = keras.Input((code_dim,))\n"
                "    for layer in (*stack, *output):\n"
                "        x = layer(x)\n"
                "    return keras.Model(codes, x, name=name)",
            ),
        ),
        (1, 2, 4),
    ),
    equivalent(
        "one-layer-for-mean-and-log-variance",
        (("networks.py", HEADS, "outputs = [*ops.split(layers.Dense(2 * latent_dim)(features), 2, axis=-1)]"),),
        (2, 4),
    ),
    equivalent(
        "linear-code-without-biases",
        (
            (
                "networks.py",
                '_encoder("linear_encoder", image_shape, [layers.Dense(code_dim, name="code")])',
                '_encoder("linear_encoder", image_shape, [layers.Dense(code_dim, use_bias=False, name="code")])',
            ),
        ),
        (1,),
    ),
    equivalent(
        "tanh-code",
        (
            (
                "networks.py",
                '_encoder("nonlinear_encoder", image_shape, [layers.Dense(code_dim, activation="relu", name="code")])',
                '_encoder("nonlinear_encoder", image_shape, [layers.Dense(code_dim, activation="tanh", name="code")])',
            ),
        ),
        (1,),
    ),
    equivalent(
        "hidden-layer-with-relu",
        (
            (
                "networks.py",
                'hidden: int = 512,\n    activation: str = "softplus"',
                'hidden: int = 512,\n    activation: str = "relu"',
            ),
        ),
        (2,),
    ),
    equivalent(
        "variance-by-softplus",
        (
            (
                "networks.py",
                'encoder = keras.Model(images, _posterior_outputs(features, latent_dim), name="tanh_encoder")',
                "mean, raw = _posterior_outputs(features, latent_dim)\n"
                '    encoder = keras.Model(images, [mean, ops.log(ops.softplus(raw) + 1e-6)], name="tanh_encoder")',
            ),
        ),
        (4,),
    ),
    equivalent("dropout-of-keras", (("networks.py", DROPOUT, "features = layers.Dropout(dropout)(features)"),), (4,)),
    equivalent(
        "padding-of-pytorch",
        (
            (
                "networks.py",
                'x = layers.Conv2D(32, 3, 2, "same", activation="relu", name="enc_2")(x)',
                'x = layers.Conv2D(32, 3, 2, activation="relu", name="enc_2")(layers.ZeroPadding2D(1)(x))',
            ),
            (
                "networks.py",
                'x = layers.Conv2D(16, 3, 2, "same", activation="relu", name="enc_4")(x)',
                'x = layers.Conv2D(16, 3, 2, activation="relu", name="enc_4")(layers.ZeroPadding2D(1)(x))',
            ),
        ),
        (10,),
    ),
    equivalent(
        "networks-of-a-subclass",
        (
            ("networks.py", 'ACTIVATIONS = ("elu"', STACK),
            ("networks.py", "import keras\n", "import keras\nimport numpy as np\n"),
            (
                "networks.py",
                'encoder = keras.Model(images, _mean_and_log_var(x, latent_dim, "enc_6"), name="convolutional_encoder")',
                "down = [type(layer).from_config(layer.get_config()) for layer in keras.Model(images, x).layers[1:]]\n"
                '    encoder = Stack(image_shape, [*down, layers.Dense(2 * latent_dim, dtype="float32")], halves=True)',
            ),
            (
                "networks.py",
                'keras.Sequential([keras.Input((latent_dim,)), *decoder], name="convolutional_decoder")',
                "Stack((latent_dim,), decoder)",
            ),
            (
                "networks.py",
                "return keras.Sequential([keras.Input((latent_dim,)), *up], name=name)",
                "return Stack((latent_dim,), up)",
            ),
            (
                "networks.py",
                'keras.Sequential([keras.Input(image_shape), *down], name="dcgan_discriminator")',
                "Stack(image_shape, down)",
            ),
            (
                "networks.py",
                "return keras.Sequential([keras.Input((code_dim,)), *stack, *output], name=name)",
                "return Stack((code_dim,), [*stack, *output])",
            ),
        ),
        (2, 10, 11),
        True,
    ),
    # protocol
    equivalent(
        "batches-are-dictionaries",
        (
            (
                "training/fitting.py",
                "return made.map(preprocess) if preprocess else made",
                'return made.map(preprocess) if preprocess else made.map(lambda images: {"image": images})',
            ),
            (
                "models/base.py",
                "return to_float(keras.utils.unpack_x_y_sample_weight(data)[0], self.value_range)",
                'data = data["image"] if isinstance(data, dict) else data\n'
                "        return to_float(keras.utils.unpack_x_y_sample_weight(data)[0], self.value_range)",
            ),
        ),
        (1,),
        True,
    ),
    equivalent(
        "compiled-by-xla",
        (
            (
                "models/base.py",
                "self.encoder, self.decoder), **kwargs)",
                "self.encoder, self.decoder), jit_compile=True, **kwargs)",
            ),
        ),
        (2,),
    ),
    equivalent(
        "validation-at-random",
        (
            (
                "data/__init__.py",
                SPLIT,
                'images = load(name, "train")\n'
                "    order = np.random.default_rng(1).permutation(len(images))\n"
                "    count = len(images) // 10\n"
                "    return images[order[count:]][:train_size], images[order[:count]]",
            ),
        ),
        (1, 2),
    ),
    equivalent(
        "ten-steps-are-eleven-images",
        (("figures/latent.py", "np.linspace(0, 1, 10, dtype=np.float32)", "np.linspace(0, 1, 11, dtype=np.float32)"),),
        (2,),
    ),
    equivalent(
        "other-pairs",
        (("section9.py", "np.random.default_rng(settings.seed))", "np.random.default_rng(settings.seed + 7))"),),
        (9,),
    ),
    # figures and results
    equivalent(
        "linear-images-clipped-for-display",
        (
            (
                "models/autoencoder.py",
                "        return self.to_images(self.decode_outputs(z))",
                "        return ops.clip(self.to_images(self.decode_outputs(z)), 0.0, 1.0)",
            ),
        ),
        (1,),
        True,
    ),
    equivalent(
        "figures-as-pdf",
        (
            (
                "figures/plots.py",
                "    buffer = io.BytesIO()\n",
                '    return figure.savefig(path.with_suffix(".pdf"))\n    buffer = io.BytesIO()\n',
            ),
        ),
        (2,),
        True,
    ),
    equivalent(
        "hand-in-of-two-rows-of-eight",
        (
            (
                "section4.py",
                'rows = [("reconstructed", reconstructed[run.settings.kl_weight]), ("new", new[run.settings.kl_weight])]\n'
                '    figures.image_rows(run.figure("hand_in"), [("existing", existing), *rows])',
                "groups = [existing, reconstructed[run.settings.kl_weight], new[run.settings.kl_weight]]\n"
                '    rows = [("", half) for group in groups for half in np.split(np.asarray(group), 2)]\n'
                '    figures.image_rows(run.figure("hand_in"), rows)',
            ),
            (
                "section4.py",
                'figures.image_rows(run.figure("sweep_images"), [("existing", existing), *rows], title=title)',
                'figures.image_rows(run.figure("sweep_images"), rows, title=title)',
            ),
        ),
        (4,),
    ),
    equivalent(
        "tensorboard-of-keras-in-out",
        (
            (
                "training/fitting.py",
                "        callbacks.append(own.TensorBoard(run_dir, checkpoint.arguments, schedule.num_epochs, *shown))\n",
                "",
            ),
            (
                "section.py",
                "training.fit(build, images, validation, callbacks=callbacks, ",
                'training.fit(build, images, validation, callbacks=[*callbacks, keras.callbacks.TensorBoard(self.folder / "logs")], ',
            ),
            ("section.py", "import numpy as np\n", "import keras\nimport numpy as np\n"),
        ),
        (10,),
        True,
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
        "digits-black-on-white",
        (
            (
                "figures/plots.py",
                "    rows, columns, height, width, channels = images.shape\n",
                "    rows, columns, height, width, channels = images.shape\n    images = 1 - images if channels == 1 else images\n",
            ),
        ),
        (1, 2, 4, 9, 10),
        True,
    ),
    equivalent(
        "traversal-named-from-zero",
        (
            (
                "figures/latent.py",
                'labels = [f"$z_{{{dimension + 1}}}$" for dimension in dimensions]',
                'labels = [f"dim {dimension}" for dimension in dimensions]',
            ),
        ),
        (5,),
        True,
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
        "faces-dequantised-before-the-training",
        (
            ("variants.py", "if likelihood.is_continuous:", "if False:"),
            (
                "variants.py",
                "    optimizers = training.adam(settings.vae_learning_rate)\n",
                "    optimizers = training.adam(settings.vae_learning_rate)\n"
                "    images, validation = metrics.dequantize(images), metrics.dequantize(validation)\n",
            ),
            (
                "variants.py",
                "from hw5 import distributions, layers, models",
                "from hw5 import distributions, metrics, models",
            ),
        ),
        (5,),
    ),
    equivalent(
        "iwae-doubly-reparameterised",
        (
            (
                "models/vae.py",
                "importance_samples: int = 5, **kwargs):\n        super().__init__(encoder, decoder, **kwargs)",
                'importance_samples: int = 5, **kwargs):\n        super().__init__(encoder, decoder, **{"gradient": "path"} | kwargs)',
            ),
        ),
        (5,),
        False,
    ),
    equivalent(
        "interpolations-in-columns",
        (
            (
                "figures/latent.py",
                'interpolation_{name}.png", steps, width',
                'interpolation_{name}.png", np.swapaxes(steps, 0, 1), width',
            ),
        ),
        (1, 2),
        True,
    ),
    equivalent(
        "no-checkpoint-after-ctrl-c",
        (("training/callbacks.py", "if self.finished or self.interrupted or due:", "if self.finished or due:"),),
        (10,),
        True,
    ),
    equivalent(
        "descends-without-moments",
        (
            (
                "section_settings.py",
                "return training.adam(self.learning_rate)\n\n\nclass OnImages",
                'return lambda steps: {"optimizer": keras.optimizers.SGD(1e-3)}\n\n\nclass OnImages',
            ),
            ("section_settings.py", "from hw5 import layers", "import keras\nfrom hw5 import layers"),
        ),
        (10,),
        True,
    ),
]
