"""Mistakes in GANs (sections 3, 7, 8 and 11, and the GANs of 5), and GANs that are right another way."""

# ruff: noqa: E501 (edits are pieces of files)

from mutant import Mutant, equivalent

GAN, NETWORKS, OBJECTIVES = "models/gan.py", "networks.py", "objectives.py"
NORMAL = "keras.random.normal((count, *shape), seed=self.seed_generator)"
NOISE_OF_D = "fake = self(self.noise(ops.shape(real)[0]), training=True)"
NOISE_OF_G = "z = self.noise(count)"
D_LOGITS = "real_logits, fake_logits = self.logits(real, training=True), self.logits(fake, training=True)"
G_LOGITS = "fake_logits = self.logits(self(z, training=True), training=True)"
D_LOSS = "loss = self.objective.discriminator_loss(real_logits, fake_logits)\n            if self.r1"
STEPS = "for real in split_batch(self.images_of(data), self.critic_steps):"
CLIP = "variable.assign(ops.clip(variable, -self.weight_clip, self.weight_clip))"
BETWEEN = "between = real + share * (fake - real)"
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


def mutant(name, kind, parts, file, old, new, **others):
    return Mutant(name, kind, parts, ((file, old, new),), **others)


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
        "ops.convert_to_tensor(np.float32(np.random.normal(size=(5000, *shape))))[:count]",
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
    mutant("wgan-critic-steps-ignored", "variants", ("5.4",), GAN, STEPS, STEPS.replace("self.critic_steps", "1")),
    mutant("penalty-at-real-samples", "variants", ("5.4",), GAN, BETWEEN, "between = real"),
    mutant("penalty-at-generated-samples", "variants", ("5.4",), GAN, BETWEEN, "between = fake"),
    mutant("penalty-in-the-middle", "variants", ("5.4",), GAN, BETWEEN, "between = 0.5 * (real + fake)"),
    mutant(
        "penalty-of-the-squared-norm", "variants", ("5.4",), GAN, NORM, "squared_norm(tape.gradient(logits, between))"
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
    # sections
    mutant(
        "section-3-minimax",
        "protocol",
        ("3.1",),
        "section3.py",
        "models.GAN(*settings.dcgan(images.shape[1:]), r1=",
        'models.GAN(*settings.dcgan(images.shape[1:]), "minimax", r1=',
    ),
    mutant(
        "section-3-inverted-digits",
        "protocol",
        ("3.1",),
        "section3.py",
        "images, held_out = run.train_validation(SIZE)",
        "images, held_out = (255 - some for some in run.train_validation(SIZE))",
    ),
    mutant(
        "section-3-trains-with-one-rate",
        "protocol",
        ("3.2",),
        "section3.py",
        "changes = dict(learning_rate=rate,",
        "changes = dict(learning_rate=settings.learning_rate,",
    ),
    mutant(
        "section-3-one-history-for-all",
        "claims",
        ("3.2",),
        "section3.py",
        'measured[label] = {"history": history, "at_the_end"',
        'history = next((row["history"] for row in measured.values()), history)\n        measured[label] = {"history": history, "at_the_end"',
    ),
    mutant(
        "section-5-lsgan-that-is-vanilla",
        "variants",
        ("5.4",),
        "variants.py",
        'objective="least_squares",\n        loss_scales={"discriminator_scale": 1.0, "generator_scale": 1.0},',
        'objective="non_saturating",',
        sections=(5,),
    ),
    mutant(
        "section-5-clip-ten-times",
        "variants",
        ("5.4",),
        "variants.py",
        "weight_clip=0.02,",
        "weight_clip=0.5,",
        sections=(5,),
    ),
    mutant(
        "section-5-faces-of-the-test-set",
        "protocol",
        ("5.2",),
        "section5.py",
        "images = data.load(settings.dataset, split, limit=limit,",
        'images = data.load(settings.dataset, "test", limit=limit,',
    ),
    mutant(
        "section-5-outputs-swapped",
        "claims",
        ("5.8",),
        "section5.py",
        'measured[name] = {"history": history,',
        'if "d_real" in history:\n            history |= {"d_real": history["d_fake_g_step"], "d_fake_g_step": history["d_real"]}\n        measured[name] = {"history": history,',
    ),
    mutant(
        "section-5-curves-invented",
        "claims",
        ("5.8",),
        "section5.py",
        'measured[name] = {"history": history,',
        'measured[name] = {"history": {key: [0.7, 0.6] for key in history},',
    ),
    mutant(
        "section-7-rate-of-a-hundredth",
        "protocol",
        ("7.1",),
        "section7.py",
        "learning_rate: float = setting(1e-3,",
        "learning_rate: float = setting(1e-2,",
        runs=False,
    ),
    mutant(
        "section-7-sgd",
        "protocol",
        ("7.1",),
        "training/optimizers.py",
        "else keras.optimizers.RMSprop",
        "else keras.optimizers.SGD",
        sections=(7,),
        runs=True,
    ),
    mutant(
        "section-7-line",
        "protocol",
        ("7.1",),
        "section7.py",
        "np.stack([x, x**2], axis=1)",
        "np.stack([x, 2 * x], axis=1)",
    ),
    mutant(
        "section-7-cubic",
        "protocol",
        ("7.1", "7.2"),
        "section7.py",
        "np.stack([x, x**2], axis=1)",
        "np.stack([x, x**3], axis=1)",
    ),
    mutant(
        "section-7-losses-invented",
        "claims",
        ("7.2",),
        "section7.py",
        'return headline, compared | {"history": history}',
        'return headline, compared | {"history": {name: list(np.linspace(1, 0.5, 20)) for name in history}}',
    ),
    mutant(
        "section-7-distance-invented",
        "claims",
        ("7.2",),
        "section7.py",
        '"mmd": {step: mean for step, (mean, _) in summaries.items()},',
        '"mmd": {step: 2.5 for step in summaries},',
    ),
    mutant(
        "section-7-real-points-drawn-twice",
        "figures",
        ("7.2",),
        "section7.py",
        '{"real": real, "generated": draws[0]}',
        '{"real": real, "generated": real}',
    ),
    mutant(
        "section-8-d-without-half",
        "variants",
        ("8.2",),
        "section8.py",
        '"discriminator_scale": 0.5',
        '"discriminator_scale": 1.0',
    ),
    mutant(
        "section-8-g-with-half", "variants", ("8.2",), "section8.py", '"generator_scale": 1.0', '"generator_scale": 0.5'
    ),
    mutant(
        "section-8-two-thousand-steps",
        "protocol",
        ("8.2",),
        "section8.py",
        "steps = 20_000",
        "steps = 2_000",
        runs=False,
    ),
    mutant(
        "section-8-one-grid",
        "protocol",
        ("8.3",),
        "section8.py",
        "return max(self.steps // GRID_INTERVAL, 1)",
        "return 1",
    ),
    mutant(
        "section-8-noise-that-changes",
        "noise",
        ("8.3",),
        "training/callbacks.py",
        "noise = load_or_draw_noise(self.folder, self.model.latent_dim, self.seed)[: self.rows * NOISE_GRID]",
        "noise = np.random.standard_normal((self.rows * NOISE_GRID, self.model.latent_dim)).astype(np.float32)",
        sections=(8,),
        runs=True,
    ),
    mutant(
        "transparent-on-black",
        "protocol",
        ("8.1",),
        "data/decode.py",
        'Image.new("RGBA", image.size, "white")',
        'Image.new("RGBA", image.size, "black")',
        sections=(8,),
        runs=True,
    ),
    mutant(
        "alpha-dropped",
        "protocol",
        ("8.1",),
        "data/decode.py",
        'image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)',
        'image = image.convert("RGB")',
        sections=(8,),
        runs=True,
    ),
    mutant(
        "section-11-curves-swapped",
        "claims",
        ("11.3", "11.6"),
        "section11.py",
        "figures.gan.training_figures(gan, history, run.folder, **how)  # 11.3",
        'history = history | {"d_real": history["d_fake_g_step"], "d_fake_g_step": history["d_real"]}\n    figures.gan.training_figures(gan, history, run.folder, **how)',
    ),
    mutant(
        "section-11-curves-invented",
        "claims",
        ("11.3",),
        "section11.py",
        '"at_the_end": end, "history": history}',
        '"at_the_end": end, "history": history | {name: [0.5] * (len(values) - 1) + values[-1:] for name, values in history.items()}}',
    ),
    mutant(
        "section-11-equilibrium-invented",
        "claims",
        ("11.6",),
        "section11.py",
        'return headline, {"samples": evaluated,',
        'end = dict.fromkeys(end, 0.5)\n    return headline, {"samples": evaluated,',
    ),
    mutant(
        "section-11-end-swapped",
        "claims",
        ("11.6",),
        "section11.py",
        "end = {name: history[name][-1] for name in CURVES}",
        'end = {name: history[name][-1] for name in CURVES}\n    end |= {"d_real": end["d_fake_g_step"], "d_fake_g_step": end["d_real"]}',
    ),
    mutant(
        "section-11-fid-invented",
        "claims",
        ("11.4",),
        "section11.py",
        '    print_evaluations({"": evaluated})\n',
        '    evaluated = {key: row | {"fid": 50.0} for key, row in evaluated.items()}\n    print_evaluations({"": evaluated})\n',
    ),
    mutant(
        "section-11-fid-of-noise",
        "claims",
        ("11.4",),
        "section11.py",
        "    evaluated = evaluate(gan)\n",
        "    noise = lambda _, count, seed: np.random.default_rng(seed).uniform(size=(count, SIZE, SIZE, 1)).astype('f')\n"
        '    evaluated = evaluate(type("Noise", (), {"sample": noise})())\n',
    ),
    mutant(
        "section-11-three-images-between",
        "protocol",
        ("11.5",),
        "section11.py",
        "SHARES = np.linspace(-0.5, 1.5, 13)",
        "SHARES = np.linspace(0, 1, 3)",
    ),
    mutant(
        "section-11-interpolates-pixels",
        "protocol",
        ("11.5",),
        "section11.py",
        "    figures.image_grid(path, model.interpolate(first, last, SHARES), **labels)",
        "    ends = [np.asarray(model.decode(z))[:, None] for z in (first, last)]\n    images = ends[0] + SHARES[:, None, None, None] * (ends[1] - ends[0])\n    figures.image_grid(path, images.clip(0, 1), **labels)",
    ),
    mutant(
        "section-11-draws-noise-for-interpolations",
        "figures",
        ("11.5",),
        "section11.py",
        "    figures.image_grid(path, model.interpolate(first, last, SHARES), **labels)",
        "    images = np.asarray(model.decode(np.concatenate([first, last])))\n    figures.image_grid(path, images.reshape(6, 2, *images.shape[1:]), **labels)",
    ),
    mutant(
        "section-11-least-squares",
        "protocol",
        ("11.2",),
        "section11.py",
        "models.GAN(*settings.dcgan(images.shape[1:]), r1=",
        'models.GAN(*settings.dcgan(images.shape[1:]), "least_squares", r1=',
    ),
]

EQUIVALENTS = [
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
        "gan-another-order-of-draws",
        ((GAN, NORMAL, "ops.transpose(keras.random.normal((*shape, count), seed=self.seed_generator))"),),
        (5, 8, 11),
        False,
    ),
    equivalent("gan-noise-of-tensorflow", ((GAN, NORMAL, "tf.random.normal((count, *shape))"),), (5, 8, 11), False),
    equivalent(
        "lsgan-g-without-the-papers-half",
        ((OBJECTIVES, "generator_scale: float = 0.5", "generator_scale: float = 1.0"),),
        (8,),
        False,
    ),
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
        "plane-with-relu", ((NETWORKS, PLANE, PLANE.replace("layers.LeakyReLU(0.2)", "layers.ReLU()")),), (7,), False
    ),
    equivalent(
        "plane-with-tanh",
        ((NETWORKS, PLANE, PLANE.replace("layers.LeakyReLU(0.2)", 'layers.Activation("tanh")')),),
        (7,),
        False,
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
        "plane-denser-parabola",
        (("section7.py", "np.stack([x, x**2], axis=1)", "np.stack([x, 10 + x**2 - 0.5 * x], axis=1)"),),
        (7,),
        True,
    ),
]
