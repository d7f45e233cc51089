"""Mistakes in the models, losses and networks of GANs (sections 3, 5, 7, 8 and 11)."""

# ruff: noqa: E501 (edits are pieces of files)

from mutant import Mutant, mutant
from vaes import FORGET

GAN, NETWORKS, OBJECTIVES = "models/gan.py", "networks.py", "objectives.py"
NORMAL = "keras.random.normal((count, *shape), seed=self.seed_generator)"
NOISE_OF_D = "fake = self(self.noise(ops.shape(real)[0]), training=True)"
NOISE_OF_G = "z = self.noise(count)"
D_LOGITS = "real_logits, fake_logits = self.logits(real, training=True), self.logits(fake, training=True)"
G_LOGITS = "fake_logits = self.logits(self(z, training=True), training=True)"
D_LOSS = "loss = self.objective.discriminator_loss(real_logits, fake_logits)\n            if self.r1"
STEPS = "for real in split_batch(self.images_of(data), self.critic_steps):"
CLIP = "variable.assign(ops.clip(variable, -self.weight_clip, self.weight_clip))"
CLIPPING = f"        if self.weight_clip:\n            for variable in variables:\n                {CLIP}\n"
UPDATE = "        # Some gradients do not depend on their weight"
BETWEEN = "between = real + share * (fake - real)"
SHARE = "keras.random.uniform((count, *ones), seed=self.seed_generator)"
NORM = "ops.sqrt(squared_norm(tape.gradient(logits, between)) + 1e-12)"
CROSS_ENTROPY = "return ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))"
NON_SATURATING = "lambda fake_logits: ops.mean(ops.softplus(-fake_logits))"
SQUARES = "(ops.mean(ops.square(real_logits - 1.0)) + ops.mean(ops.square(fake_logits)))"
FIRST = "up += [_dcgan_normalization(), layers.ReLU(), *_dcgan_doubling(volume[-1] // 2**number, upsampling)]"
LAST = 'up += [_dcgan_normalization(), layers.ReLU(), *_dcgan_doubling(channels, upsampling, dtype="float32")]'
DOUBLING = 'return [layers.Conv2DTranspose(width, 4, 2, "same", **_dcgan_normal(), **dtype)]'
NEAREST = "return [NearestConv2D(width, **_dcgan_normal(), **dtype)]"
INTERPOLATION = "interpolation = layers.UpSampling2D(2, interpolation=upsampling)"
PLANE = "for layer in (layers.Dense(units), layers.LeakyReLU(0.2))]"
PLANE_D = 'layers.Dense(2), layers.LeakyReLU(0.2, name="features"), layers.Dense(1)]'
NORMAL_INITIALIZER = "kernel_initializer=keras.initializers.RandomNormal(0, 0.02), use_bias=False"
STEP = ("3.2", "5.4", "8.2", "11.2")  # parts that look at one training step

MUTANTS = [
    # noise
    mutant(
        "gan-noise-uniform",
        "noise",
        ("11.2",),
        GAN,
        NORMAL,
        NORMAL.replace("normal((count, *shape),", "uniform((count, *shape), -1.0, 1.0,"),
    ),
    mutant(
        "gan-noise-uniform-of-variance-1",
        "noise",
        ("11.2",),
        GAN,
        NORMAL,
        NORMAL.replace("normal((count, *shape),", "uniform((count, *shape), -1.7320508, 1.7320508,"),
    ),
    mutant("gan-noise-of-seed-0", "noise", ("8.2", "11.2"), GAN, NORMAL, NORMAL.replace("self.seed_generator", "0")),
    mutant(
        "gan-noise-drawn-when-traced",
        "noise",
        ("8.2", "11.2"),
        GAN,
        NORMAL,
        "ops.convert_to_tensor(__import__('numpy').random.normal(size=(5000, *shape)).astype('float32'))[:count]",
    ),
    mutant("gan-noise-of-ones", "noise", ("8.2", "11.2"), GAN, NORMAL, "ops.ones((count, *shape))"),
    mutant("gan-noise-too-small", "noise", ("11.2",), GAN, NORMAL, f"0.5 * {NORMAL}"),
    mutant(
        "gan-noise-alike-in-the-batch",
        "noise",
        ("8.2", "11.2"),
        GAN,
        NORMAL,
        f"ops.repeat({NORMAL.replace('count, *shape', '1, *shape')}, count, axis=0)",
    ),
    Mutant(
        "gan-noise-of-d-used-again",
        "noise",
        ("8.2",),
        (
            (GAN, NOISE_OF_D, NOISE_OF_D.replace("self.noise(ops.shape(real)[0])", "self.kept(ops.shape(real)[0])")),
            (GAN, NOISE_OF_G, "z = self.last_noise"),
            (
                GAN,
                "    def to_samples(self",
                "    def kept(self, count):\n        self.last_noise = self.noise(count)\n        return self.last_noise\n\n    def to_samples(self",
            ),
        ),
    ),
    # the training step
    mutant(
        "gan-labels-swapped",
        "losses",
        STEP,
        GAN,
        D_LOSS,
        D_LOSS.replace("(real_logits, fake_logits)", "(fake_logits, real_logits)"),
    ),
    mutant(
        "gan-d-sees-real-samples-alone",
        "losses",
        STEP,
        GAN,
        D_LOGITS,
        D_LOGITS.replace("self.logits(fake,", "self.logits(real,"),
    ),
    Mutant(
        "gan-g-before-d",
        "protocol",
        STEP,
        (
            (GAN, f"        {STEPS}\n", f"        self.generator_step(self.images_of(data))\n        {STEPS}\n"),
            (
                GAN,
                "            self.discriminator_step(real)\n        self.generator_step(real)\n",
                "            self.discriminator_step(real)\n",
            ),
        ),
    ),
    mutant(
        "gan-two-steps-of-g",
        "protocol",
        ("5.4", "8.2", "11.2"),
        GAN,
        "        self.generator_step(real)\n",
        "        self.generator_step(real)\n        self.generator_step(real)\n",
    ),
    mutant(
        "gan-two-steps-of-d",
        "protocol",
        STEP,
        GAN,
        "            self.discriminator_step(real)\n",
        "            self.discriminator_step(real)\n            self.discriminator_step(real)\n",
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
    mutant(
        "gan-generator-normalises-as-in-inference",
        "networks",
        ("11.2",),
        GAN,
        NOISE_OF_D,
        NOISE_OF_D.replace("True", "False"),
    ),
    Mutant(
        "gan-g-without-batch-statistics",
        "networks",
        ("11.2",),
        (
            (GAN, NOISE_OF_D, NOISE_OF_D.replace("True", "False")),
            (GAN, G_LOGITS, G_LOGITS.replace("(z, training=True)", "(z, training=False)")),
        ),
    ),
    Mutant(
        "gan-d-without-batch-statistics",
        "networks",
        ("11.2",),
        (
            (GAN, D_LOGITS, D_LOGITS.replace("True", "False")),
            (GAN, G_LOGITS, G_LOGITS.replace("), training=True)", "), training=False)")),
        ),
    ),
    # variants that are not
    mutant("wgan-clip-forgotten", "variants", ("5.4",), GAN, "        if self.weight_clip:\n", "        if False:\n"),
    mutant(
        "wgan-clip-ten-times",
        "variants",
        ("5.4",),
        GAN,
        CLIP,
        CLIP.replace("self.weight_clip", "10 * self.weight_clip"),
    ),
    mutant("wgan-clip-above-alone", "variants", ("5.4",), GAN, CLIP, CLIP.replace("-self.weight_clip", "-1e9")),
    mutant(
        "wgan-clip-of-g",
        "variants",
        ("5.4",),
        GAN,
        "            for variable in variables:\n",
        "            for variable in self.generator.trainable_variables:\n",
    ),
    mutant(
        "wgan-clip-of-biases-forgotten",
        "variants",
        ("5.4",),
        GAN,
        "            for variable in variables:\n",
        "            for variable in variables[:1]:\n",
    ),
    Mutant(
        "wgan-clips-before-the-step",
        "variants",
        ("5.4",),
        ((GAN, CLIPPING, ""), (GAN, UPDATE, CLIPPING + UPDATE)),
    ),
    mutant("wgan-critic-steps-ignored", "variants", ("5.4",), GAN, STEPS, STEPS.replace("self.critic_steps", "1")),
    mutant("penalty-at-real-samples", "variants", ("5.4",), GAN, BETWEEN, "between = real"),
    mutant("penalty-at-generated-samples", "variants", ("5.4",), GAN, BETWEEN, "between = fake"),
    mutant("penalty-in-the-middle", "variants", ("5.4",), GAN, BETWEEN, "between = 0.5 * (real + fake)"),
    mutant(
        "penalty-of-the-squared-norm", "variants", ("5.4",), GAN, NORM, "squared_norm(tape.gradient(logits, between))"
    ),
    mutant(
        "penalty-of-the-norm-over-the-batch",
        "variants",
        ("5.4",),
        GAN,
        NORM,
        "ops.sqrt(ops.sum(ops.square(tape.gradient(logits, between))) + 1e-12)",
    ),
    mutant("penalty-to-zero", "variants", ("5.4",), GAN, f"{NORM} - 1.0", NORM),
    mutant(
        "penalty-without-its-weight",
        "variants",
        ("5.4",),
        GAN,
        "loss + self.gradient_penalty * self.gradient_penalty_loss",
        "loss + self.gradient_penalty_loss",
    ),
    mutant(
        "penalty-subtracted",
        "variants",
        ("5.4",),
        GAN,
        "loss + self.gradient_penalty * self.gradient_penalty_loss",
        "loss - self.gradient_penalty * self.gradient_penalty_loss",
    ),
    # objectives
    mutant(
        "log-d-trick-left-out",
        "losses",
        ("3.1", "11.2"),
        OBJECTIVES,
        NON_SATURATING,
        "lambda fake_logits: -ops.mean(ops.softplus(fake_logits))",
    ),
    mutant(
        "labels-of-g-swapped",
        "losses",
        ("3.1", "11.2"),
        OBJECTIVES,
        NON_SATURATING,
        "lambda fake_logits: ops.mean(ops.softplus(fake_logits))",
    ),
    mutant(
        "labels-smoothed",
        "losses",
        ("3.1", "3.2", "11.2"),
        OBJECTIVES,
        CROSS_ENTROPY,
        CROSS_ENTROPY.replace(
            "ops.mean(ops.softplus(-real_logits))", "ops.mean(ops.softplus(-real_logits) + 0.1 * real_logits)"
        ),
    ),
    mutant(
        "d-loss-of-real-samples-alone",
        "losses",
        ("3.1", "3.2", "11.2"),
        OBJECTIVES,
        CROSS_ENTROPY,
        "return ops.mean(ops.softplus(-real_logits))",
    ),
    mutant(
        "d-loss-as-a-sum",
        "losses",
        ("3.1", "3.2", "11.2"),
        OBJECTIVES,
        CROSS_ENTROPY,
        CROSS_ENTROPY.replace("ops.mean", "ops.sum"),
    ),
    mutant(
        "lsgan-target-minus-1",
        "losses",
        ("5.4", "8.2"),
        OBJECTIVES,
        SQUARES,
        SQUARES.replace("ops.square(fake_logits)", "ops.square(fake_logits + 1.0)"),
        runs=True,
        sections=(5, 8),
    ),
    mutant(
        "lsgan-g-towards-0",
        "losses",
        ("5.4", "8.2"),
        OBJECTIVES,
        "generator_scale * ops.mean(ops.square(fake_logits - 1.0))",
        "generator_scale * ops.mean(ops.square(fake_logits))",
        runs=True,
        sections=(5, 8),
    ),
    mutant(
        "lsgan-of-probabilities",
        "losses",
        ("5.4", "8.2"),
        OBJECTIVES,
        SQUARES,
        SQUARES.replace("(real_logits -", "(ops.sigmoid(real_logits) -").replace(
            "(fake_logits)", "(ops.sigmoid(fake_logits))"
        ),
        runs=True,
        sections=(5, 8),
    ),
    mutant(
        "wgan-of-wrong-signs",
        "losses",
        ("5.4",),
        OBJECTIVES,
        "lambda real_logits, fake_logits: ops.mean(fake_logits) - ops.mean(real_logits)",
        "lambda real_logits, fake_logits: ops.mean(real_logits) - ops.mean(fake_logits)",
    ),
    mutant(
        "wgan-with-a-sigmoid",
        "losses",
        ("5.4",),
        OBJECTIVES,
        "lambda real_logits, fake_logits: ops.mean(fake_logits) - ops.mean(real_logits)",
        "lambda real_logits, fake_logits: ops.mean(ops.sigmoid(fake_logits)) - ops.mean(ops.sigmoid(real_logits))",
    ),
    mutant(
        "wgan-that-is-hinge", "variants", ("5.4",), OBJECTIVES, '"wasserstein": wasserstein,', '"wasserstein": hinge,'
    ),
    mutant(
        "wgan-that-is-vanilla",
        "variants",
        ("5.4",),
        OBJECTIVES,
        '"wasserstein": wasserstein,',
        '"wasserstein": non_saturating,',
    ),
    # networks
    mutant(
        "dcgan-activation-left-out-in-the-middle",
        "networks",
        ("3.1", "5.2", "11.1"),
        NETWORKS,
        FIRST,
        FIRST.replace("layers.ReLU(), ", ""),
    ),
    mutant(
        "dcgan-activation-left-out-at-the-end",
        "networks",
        ("3.1", "5.2", "11.1"),
        NETWORKS,
        LAST,
        LAST.replace("layers.ReLU(), ", ""),
    ),
    mutant(
        "dcgan-d-without-activations",
        "networks",
        ("5.2", "11.1"),
        NETWORKS,
        "        down.append(layers.LeakyReLU(0.2))\n",
        "",
    ),
    mutant(
        "dcgan-last-activation-of-d-left-out",
        "networks",
        ("5.2", "11.1"),
        NETWORKS,
        "        down.append(layers.LeakyReLU(0.2))\n",
        "        down += [layers.LeakyReLU(0.2)] if number < doublings - 1 else []\n",
    ),
    mutant("dcgan-kernels-of-5", "networks", ("11.1",), NETWORKS, DOUBLING, DOUBLING.replace("width, 4,", "width, 5,")),
    mutant("dcgan-kernels-of-2", "networks", ("11.1",), NETWORKS, DOUBLING, DOUBLING.replace("width, 4,", "width, 2,")),
    mutant(
        "dcgan-g-without-batch-normalisation",
        "networks",
        ("11.1",),
        NETWORKS,
        FIRST,
        FIRST.replace("_dcgan_normalization(), ", ""),
    ),
    mutant(
        "dcgan-g-normalises-its-images", "networks", ("11.1",), NETWORKS, LAST, f"{LAST[:-1]}, _dcgan_normalization()]"
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
        "dcgan-initial-weights-of-0.2",
        "networks",
        ("11.1",),
        NETWORKS,
        NORMAL_INITIALIZER,
        NORMAL_INITIALIZER.replace("0.02", "0.2"),
    ),
    mutant("dcgan-initial-weights-by-glorot", "networks", ("11.1",), NETWORKS, NORMAL_INITIALIZER, "use_bias=False"),
    mutant(
        "dcgan-initial-weights-of-0.03",
        "networks",
        ("11.1",),
        NETWORKS,
        NORMAL_INITIALIZER,
        NORMAL_INITIALIZER.replace("0.02", "0.03"),
    ),
    mutant(
        "dcgan-initial-weights-all-alike",
        "networks",
        ("11.1",),
        NETWORKS,
        NORMAL_INITIALIZER,
        NORMAL_INITIALIZER.replace("0.02)", "0.02, seed=1)"),
    ),
    mutant(
        "gan-clip-for-tanh",
        "networks",
        ("11.1",),
        GAN,
        "return ops.tanh(outputs) if",
        "return ops.clip(outputs, -1.0, 1.0) if",
    ),
    mutant(
        "nearest-that-is-bilinear",
        "networks",
        ("5.3",),
        NETWORKS,
        NEAREST,
        'return [layers.UpSampling2D(2, interpolation="bilinear"), layers.Conv2D(width, 3, 1, "same", **_dcgan_normal(), **dtype)]',
    ),
    mutant("nearest-that-is-transposed", "networks", ("5.3",), NETWORKS, NEAREST, DOUBLING),
    mutant(
        "bilinear-that-is-nearest",
        "networks",
        ("5.3",),
        NETWORKS,
        INTERPOLATION,
        INTERPOLATION.replace("=upsampling", '="nearest"'),
    ),
    mutant(
        "bilinear-that-is-bicubic",
        "networks",
        ("5.3",),
        NETWORKS,
        INTERPOLATION,
        INTERPOLATION.replace("=upsampling", '="bicubic"'),
    ),
    mutant(
        "doubles-as-asked-in-the-last-layer-alone",
        "networks",
        ("5.3",),
        NETWORKS,
        FIRST,
        FIRST.replace("number, upsampling)", 'number, "deconv")'),
    ),
    mutant(
        "plane-without-activations",
        "networks",
        ("7.1",),
        NETWORKS,
        PLANE,
        PLANE.replace("(layers.Dense(units), layers.LeakyReLU(0.2))", "(layers.Dense(units),)"),
    ),
    mutant(
        "plane-features-without-activation",
        "networks",
        ("7.1",),
        NETWORKS,
        PLANE_D,
        PLANE_D.replace("LeakyReLU(0.2,", 'Activation("linear",'),
    ),
    mutant(
        "plane-features-of-eight-units",
        "networks",
        ("7.1",),
        NETWORKS,
        PLANE_D,
        PLANE_D.replace("Dense(2)", "Dense(8)"),
    ),
    mutant(
        "gan-real-images-from-0-to-1",
        "protocol",
        ("3.1", "5.2", "8.1", "11.2"),
        GAN,
        'return (-1.0, 1.0) if self.activation == "tanh" else None',
        'return (0.0, 1.0) if self.activation == "tanh" else None',
        runs=True,
    ),
    mutant(
        "dcgan-d-without-batch-normalisation",
        "networks",
        ("11.1",),
        NETWORKS,
        'if number and normalization == "batch":',
        "if False:",
    ),
    mutant(
        "dcgan-d-with-relu",
        "networks",
        ("11.1",),
        NETWORKS,
        "        down.append(layers.LeakyReLU(0.2))\n",
        "        down.append(layers.ReLU())\n",
    ),
    Mutant(
        "dcgan-g-with-leaky-relu",
        "networks",
        ("11.1",),
        tuple((NETWORKS, line, line.replace("layers.ReLU()", "layers.LeakyReLU(0.2)")) for line in (FIRST, LAST)),
    ),
    mutant(
        "plane-generator-ends-in-relu",
        "networks",
        ("7.1",),
        NETWORKS,
        "up = [*hidden(generator_hidden), layers.Dense(2)]",
        'up = [*hidden(generator_hidden), layers.Dense(2, activation="relu")]',
        runs=True,
    ),
    mutant(
        "gan-generates-from-the-unit-cube",
        "noise",
        ("11.4",),
        GAN,
        "    generate = LatentModel.sample\n",
        "    def draw_codes(self, count, seed=None):\n        return keras.random.uniform((count, self.latent_dim), seed=self.seed_generator if seed is None else seed)\n\n    generate = LatentModel.sample\n",
        runs=True,
        sections=(5, 8),
    ),
    mutant(
        "gan-noise-alike-in-all-dimensions",
        "noise",
        ("11.2",),
        GAN,
        NORMAL,
        f"ops.repeat({NORMAL.replace('*shape', '1')}, self.latent_dim, axis=1)",
    ),
    mutant("gan-noise-truncated", "noise", ("11.2",), GAN, NORMAL, NORMAL.replace("normal", "truncated_normal")),
    Mutant(
        "gan-g-step-moves-d",
        "protocol",
        STEP,
        (
            (
                GAN,
                "variables = self.generator.trainable_variables",
                "variables = self.generator.trainable_variables + self.discriminator.trainable_variables",
            ),
            (
                GAN,
                "self.generator_optimizer.apply(tape.gradient(scaled, variables), variables)",
                "gradients, count_g = tape.gradient(scaled, variables), len(self.generator.trainable_variables)\n"
                "            self.generator_optimizer.apply(gradients[:count_g], variables[:count_g])\n"
                "            self.discriminator_optimizer.apply(gradients[count_g:], variables[count_g:])",
            ),
        ),
    ),
    mutant(
        "penalty-at-one-share-for-the-batch",
        "variants",
        ("5.4",),
        GAN,
        SHARE,
        f"{SHARE.replace('count', '1')} * ops.ones((count, *ones))",
    ),
    mutant(
        "penalty-with-a-share-for-each-pixel", "variants", ("5.4",), GAN, SHARE, SHARE.replace("ones", "real.shape[1:]")
    ),
    mutant(
        "nearest-after-the-convolution",
        "networks",
        ("5.3",),
        NETWORKS,
        NEAREST,
        'return [layers.Conv2D(width, 3, 1, "same", **_dcgan_normal(), **dtype), layers.UpSampling2D(2, **dtype)]',
    ),
    mutant(
        "bilinear-after-the-convolution",
        "networks",
        ("5.3",),
        NETWORKS,
        'return [interpolation, layers.Conv2D(width, 3, 1, "same", **_dcgan_normal(), **dtype)]',
        'return [layers.Conv2D(width, 3, 1, "same", **_dcgan_normal(), **dtype), interpolation]',
    ),
]
