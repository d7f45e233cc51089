"""GANs that are right another way (sections 3, 5, 7, 8 and 11)."""

# ruff: noqa: E501 (edits are pieces of files)

from gans import (
    CLIPPING,
    CROSS_ENTROPY,
    D_LOGITS,
    DOUBLING,
    GAN,
    INTERPOLATION,
    NEAREST,
    NETWORKS,
    NON_SATURATING,
    NORMAL,
    NORMAL_INITIALIZER,
    OBJECTIVES,
    PLANE,
)
from mutant import equivalent
from vaes import KERAS

EMOJIS = "return settings.gan(images.shape[1:], name, loss_scales=loss_scales)"

EQUIVALENTS = [
    # noise
    equivalent(
        "gan-another-order-of-draws",
        ((GAN, NORMAL, "ops.transpose(keras.random.normal((*shape, count), seed=self.seed_generator))"),),
        (5, 8, 11),
        False,
    ),
    equivalent("gan-noise-of-tensorflow", ((GAN, NORMAL, "tf.random.normal((count, *shape))"),), (5, 8, 11), False),
    # the training step and its variants
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
    # objectives
    equivalent(
        "wgan-with-the-sheets-signs",
        (
            (
                OBJECTIVES,
                "lambda real_logits, fake_logits: ops.mean(fake_logits) - ops.mean(real_logits)",
                "lambda real_logits, fake_logits: ops.mean(real_logits) - ops.mean(fake_logits)",
            ),
            (
                OBJECTIVES,
                "ops.mean(real_logits) - ops.mean(fake_logits),\n        _critic_loss,",
                "ops.mean(real_logits) - ops.mean(fake_logits),\n        lambda fake_logits: ops.mean(fake_logits),",
            ),
        ),
        (5,),
        False,
    ),
    equivalent(
        "lsgan-g-without-the-papers-half",
        ((OBJECTIVES, "generator_scale: float = 0.5", "generator_scale: float = 1.0"),),
        (8,),
        False,
    ),
    equivalent(
        "losses-of-clipped-probabilities",
        (
            (
                OBJECTIVES,
                CROSS_ENTROPY,
                "real, fake = (ops.clip(ops.sigmoid(some), 1e-7, 1 - 1e-7) for some in (real_logits, fake_logits))\n    return -ops.mean(ops.log(real)) - ops.mean(ops.log(1.0 - fake))",
            ),
            (
                OBJECTIVES,
                NON_SATURATING,
                "lambda fake_logits: -ops.mean(ops.log(ops.clip(ops.sigmoid(fake_logits), 1e-7, 1 - 1e-7)))",
            ),
        ),
        (3, 5, 11),
        False,
    ),
    equivalent(
        "d-that-ends-in-a-sigmoid",
        (
            (
                OBJECTIVES,
                CROSS_ENTROPY,
                "real, fake = (ops.clip(some, 1e-7, 1 - 1e-7) for some in (real_logits, fake_logits))\n    return -ops.mean(ops.log(real)) - ops.mean(ops.log(1.0 - fake))",
            ),
            (
                OBJECTIVES,
                NON_SATURATING,
                "lambda fake_logits: -ops.mean(ops.log(ops.clip(fake_logits, 1e-7, 1 - 1e-7)))",
            ),
            (
                OBJECTIVES,
                "lambda fake_logits: -ops.mean(ops.softplus(fake_logits))",
                "lambda fake_logits: ops.mean(ops.log(1.0 - ops.clip(fake_logits, 1e-7, 1 - 1e-7)))",
            ),
            (OBJECTIVES, "return ops.sigmoid(logits) if self.outputs_probability else logits", "return logits"),
            (
                NETWORKS,
                'layers.Dense(1, **_dcgan_normal(), dtype="float32")]',
                'layers.Dense(1, **_dcgan_normal(), dtype="float32", activation="sigmoid")]',
            ),
        ),
        (3, 5, 11),
        False,
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
    # networks
    equivalent(
        "dcgan-with-biases",
        (
            (NETWORKS, NORMAL_INITIALIZER, NORMAL_INITIALIZER.replace("False", "True")),
            (NETWORKS, '**_dcgan_normal() | {"use_bias": use_bias}', "**_dcgan_normal()"),
        ),
        (3, 5, 11),
        False,
    ),
    equivalent(
        "dcgan-truncated-normal",
        (
            (
                NETWORKS,
                "kernel_initializer=keras.initializers.RandomNormal(0, 0.02), use_bias",
                "kernel_initializer=keras.initializers.TruncatedNormal(0, 0.02), use_bias",
            ),
        ),
        (11,),
        False,
    ),
    equivalent(
        "dcgan-keras-normalisation",
        (
            (
                NETWORKS,
                "return BatchNormalization(gamma_initializer",
                "return layers.BatchNormalization(gamma_initializer",
            ),
        ),
        (3, 5, 11),
        False,
    ),
    equivalent(
        "dcgan-literal-first-layer",
        (
            (
                NETWORKS,
                'up = [layers.Dense(prod(volume), **_dcgan_normal() | {"use_bias": use_bias}), layers.Reshape(volume)]',
                'up = [layers.Reshape((1, 1, latent_dim)), layers.Conv2DTranspose(volume[-1], volume[0], 1, **_dcgan_normal() | {"use_bias": use_bias})]',
            ),
        ),
        (3, 5, 11),
        False,
    ),
    equivalent(
        "dcgan-functional",
        (
            (
                NETWORKS,
                "    return keras.Sequential([keras.Input((latent_dim,)), *up], name=name)\n\n\ndef _self",
                "    x = z = keras.Input((latent_dim,))\n    for layer in up:\n        x = layer(x)\n    return keras.Model(z, x, name=name)\n\n\ndef _self",
            ),
        ),
        (3, 5, 11),
        False,
    ),
    equivalent(
        "dcgan-pytorch-padding",
        (
            (
                NETWORKS,
                'down.append(layers.Conv2D(hidden * 2**number, 4, 2, "same", **weights))',
                "down += [layers.ZeroPadding2D(1), layers.Conv2D(hidden * 2**number, 4, 2, **weights)]",
            ),
        ),
        (3, 5, 11),
        False,
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
        "nearest-of-two-layers",
        (
            (
                NETWORKS,
                NEAREST,
                'return [layers.UpSampling2D(2), layers.Conv2D(width, 3, 1, "same", **_dcgan_normal(), **dtype)]',
            ),
        ),
        (5,),
        False,
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
        "plane-with-relu", ((NETWORKS, PLANE, PLANE.replace("layers.LeakyReLU(0.2)", "layers.ReLU()")),), (7,), False
    ),
    equivalent(
        "plane-with-tanh",
        ((NETWORKS, PLANE, PLANE.replace("layers.LeakyReLU(0.2)", 'layers.Activation("tanh")')),),
        (7,),
        False,
    ),
    equivalent(
        "spectral-normalisation",
        (
            (
                NETWORKS,
                'down.append(layers.Conv2D(hidden * 2**number, 4, 2, "same", **weights))',
                'down.append(layers.SpectralNormalization(layers.Conv2D(hidden * 2**number, 4, 2, "same", **weights)))',
            ),
            (
                NETWORKS,
                'layers.Dense(1, **_dcgan_normal(), dtype="float32")]',
                'layers.SpectralNormalization(layers.Dense(1, **_dcgan_normal(), dtype="float32"))]',
            ),
        ),
        (3,),
        True,
    ),
    # sections
    equivalent(
        "emojis-augmented",
        (
            ("section8.py", "import numpy as np\n", "import numpy as np\nfrom hw5 import layers\n"),
            (
                "section8.py",
                EMOJIS,
                "augmentation = layers.DifferentiableAugmentation(0.125, cutout=0.5, color=True)\n"
                "        return settings.gan(images.shape[1:], name, loss_scales=loss_scales, augmentation=augmentation)",
            ),
        ),
        (8,),
    ),
    equivalent(
        "emojis-shifted-by-a-layer-of-keras",
        (
            ("section8.py", "import numpy as np\n", "import keras\nimport numpy as np\nfrom hw5 import models\n"),
            (
                "section8.py",
                EMOJIS,
                "generator, plain = settings.dcgan(images.shape[1:])\n"
                '        shift = keras.layers.RandomTranslation(0.125, 0.125, fill_mode="constant")\n'
                "        pair = generator, keras.Sequential([keras.Input(images.shape[1:]), shift, plain])\n"
                "        how = dict(r1=settings.r1, ema_decay=settings.ema_decay, loss_scales=loss_scales)\n"
                "        return models.GAN(*pair, name, **how)",
            ),
        ),
        (8,),
    ),
    equivalent(
        "averaged-generator",
        (("section8.py", EMOJIS, EMOJIS.replace("settings", "settings.replace(ema_decay=0.9)")),),
        (8,),
    ),
    equivalent(
        "one-fixed-noise-by-savefig",
        (
            ("training/callbacks.py", "self.seed)[: self.rows * NOISE_GRID]", "self.seed)[:1]"),
            (
                "training/callbacks.py",
                "figures.save_grid(path, images.reshape(self.rows, NOISE_GRID, *images.shape[1:]))",
                "figures.image_grid(path, images[None])",
            ),
        ),
        (8,),
        True,
    ),
    equivalent(
        "faces-mirrored-and-interpolated-in-columns",
        (
            ("variants.py", "from hw5 import distributions", "import numpy as np\n\nfrom hw5 import distributions"),
            (
                "variants.py",
                "return run.fit(name, lambda: build_gan(variant, settings, shape), images, callbacks",
                "images = np.concatenate([images, images[:, :, ::-1]])\n"
                "        return run.fit(name, lambda: build_gan(variant, settings, shape), images, callbacks",
            ),
            (
                "figures/latent.py",
                "plots.image_rows(path, rows, title=title, columns=labels)",
                "plots.image_grid(path, np.stack([row for _, row in rows]).swapaxes(0, 1))",
            ),
        ),
        (5,),
        True,
    ),
    equivalent(
        "plane-losses-at-an-interval",
        (
            (
                "section7.py",
                "generated = points.by_step()",
                "history = {name: values[3::4] for name, values in history.items()}\n    generated = points.by_step()",
            ),
        ),
        (7,),
    ),
    equivalent(
        "plane-compiled-by-xla",
        (
            (
                "section7.py",
                "return training.gan_optimizers(self.learning_rate, name=self.optimizer)",
                "chosen = training.gan_optimizers(self.learning_rate, name=self.optimizer)\n"
                '        return lambda steps: chosen(steps) | {"jit_compile": True}',
            ),
        ),
        (7,),
    ),
    equivalent(
        "decoded-in-small-batches",
        (
            ("models/base.py", "DECODE_BATCH = 500", "DECODE_BATCH = 32"),
            (
                "models/base.py",
                "images = np.asarray(self.decode_in_batches(codes.reshape(-1, self.latent_dim)))",
                "images = np.concatenate([np.asarray(self.decode(code[None])) for code in codes.reshape(-1, self.latent_dim)])",
            ),
        ),
        (7, 11),
        True,
    ),
    equivalent(
        "section-3-another-order-of-images",
        (
            (
                "section3.py",
                "images, held_out = run.train_validation(SIZE)",
                "images, held_out = (some[::-1] for some in run.train_validation(SIZE))",
            ),
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
        "plane-denser-parabola",
        (("section7.py", "np.stack([x, x**2], axis=1)", "np.stack([x, 10 + x**2 - 0.5 * x], axis=1)"),),
        (7,),
        True,
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
        "dcgan-d-with-dropout",
        (
            (
                NETWORKS,
                "        down.append(layers.LeakyReLU(0.2))\n",
                "        down += [layers.LeakyReLU(0.2), layers.Dropout(0.3)]\n",
            ),
        ),
        (3, 5, 11),
        True,
    ),
    equivalent(
        "dcgan-d-kernels-of-5",
        (
            (
                NETWORKS,
                'down.append(layers.Conv2D(hidden * 2**number, 4, 2, "same", **weights))',
                'down.append(layers.Conv2D(hidden * 2**number, 5, 2, "same", **weights))',
            ),
        ),
        (3, 5, 11),
        False,
    ),
    equivalent(
        "dcgan-d-gets-noise-on-its-images",
        (
            (
                NETWORKS,
                "    down = []\n    for number in range(doublings):",
                "    down = [layers.GaussianNoise(0.1)]\n    for number in range(doublings):",
            ),
        ),
        (11,),
        True,
    ),
    equivalent(
        "nearest-by-repeat",
        (
            (
                NETWORKS,
                NEAREST,
                "twice = layers.Lambda(lambda x: ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2), **dtype)\n"
                '        return [twice, layers.Conv2D(width, 3, 1, "same", **_dcgan_normal(), **dtype)]',
            ),
        ),
        (5,),
        False,
    ),
    equivalent(
        "penalty-in-inference-mode",
        (
            (
                GAN,
                "logits = self.logits(between, training=True)\n        return",
                "logits = self.logits(between)\n        return",
            ),
        ),
        (5,),
        False,
    ),
    equivalent(
        "plane-points-from-iteration-0",
        (
            (
                "training/callbacks.py",
                "        if not (epoch + 1) % self.interval:\n",
                "        if not (epoch + 1) % self.interval and epoch + 1 < self.params['epochs']:\n",
            ),
            (
                "section7.py",
                '"mmd": {step: mean for step, (mean, _) in summaries.items()},\n',
                '"mmd": {step: mean for step, (mean, _) in summaries.items()} or {0: distances(generated[0], rng).mean()},\n',
            ),
            (
                "section7.py",
                '"mmd_error": {step: error for step, (_, error) in summaries.items()},\n',
                '"mmd_error": {step: error for step, (_, error) in summaries.items()} or {0: 0.0},\n',
            ),
        ),
        (7,),
        True,
    ),
    equivalent(
        "plane-with-other-names",
        (
            (
                "section7.py",
                'zip("DG", first, histories, strict=True)',
                'zip(("discriminator", "generator"), first, histories, strict=True)',
            ),
            (
                "section7.py",
                '{"real": real, "generated": draws[0]}',
                '{"training data": real, "G(z), fake": draws[0]}',
            ),
        ),
        (7,),
    ),
    equivalent(
        "emojis-also-before-the-training",
        (
            (
                "section8.py",
                "return max(self.steps // GRID_INTERVAL, 1)",
                "return max(2 * self.steps // GRID_INTERVAL, 1)",
            ),
            (
                "training/callbacks.py",
                "    def on_epoch_end(self, epoch, logs=None):\n        noise =",
                "    def on_train_begin(self, logs=None):\n        self.on_epoch_end(0)\n\n    def on_epoch_end(self, epoch, logs=None):\n        noise =",
            ),
        ),
        (8,),
        True,
    ),
]
