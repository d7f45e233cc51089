"""Mistakes in the denoising autoencoder (section 6), and some that are right another way."""

# ruff: noqa: E501 (edits are pieces of files)

from mutant import Mutant, equivalent

LAYERS, MODEL, SECTION, NETWORKS = "layers.py", "models/denoising.py", "section6.py", "networks.py"
START = "start = self.draw(keras.random.randint, (batch, 1), minval=0, maxval=length - self.size + 1)"
NOISE = "noise = self.draw(keras.random.normal, shape, stddev=self.stddev)"
LOGITS = "logits = self.decode_outputs(self.encoder(noisy, training=training), training)"
LOSS = "bernoulli_loss(images, logits))"
DECIBEL = 'decibel = {"patch_psnr": -10 * np.log10(patch_mse), "psnr": -10 * np.log10(mse)}'
DENOISED = '"denoised": model.predict(noisy, batch_size=1000, verbose=0),'
DOWN = 'down = [layers.Dense(units, activation="relu", name=f"down_{i}") for i, units in enumerate(widths, 1)]'
UP = 'up = [layers.Dense(units, activation="relu", name=f"up_{i}") for i, units in reversed([*enumerate(widths, 1)])]'
SHOWN = 'shown = [(label, row[:NUM_SHOWN]) for label, row in {"clean": test, **rows}.items()]'
TEST_NOISE = "noisy, mask = map(np.asarray, layers.PatchNoise(*noise.values(), seed=settings.seed)(test))"
MEAN = "mse, patch_mse = errors.mean(), np.average(errors, weights=np.broadcast_to(mask, errors.shape))"


def mutant(name, kind, parts, file, old, new, runs=True):
    return Mutant(name, kind, parts, ((file, old, new),), (6,), runs)


MUTANTS = [
    mutant(
        "patch-at-one-place-for-the-batch",
        "protocol",
        ("6.1",),
        LAYERS,
        START,
        "start = ops.repeat(self.draw(keras.random.randint, (1, 1), minval=0, maxval=length - self.size + 1), batch, axis=0)",
    ),
    mutant(
        "patch-always-at-one-place",
        "protocol",
        ("6.1",),
        LAYERS,
        START,
        'start = ops.full((batch, 1), 10, dtype="int32")',
    ),
    mutant(
        "patch-partly-outside", "protocol", ("6.1",), LAYERS, START, START.replace("length - self.size + 1", "length")
    ),
    mutant(
        "patch-never-at-the-edge",
        "protocol",
        ("6.1",),
        LAYERS,
        START,
        START.replace("minval=0, maxval=length - self.size + 1", "minval=4, maxval=length - self.size - 3"),
    ),
    mutant(
        "patch-on-the-diagonal",
        "protocol",
        ("6.1",),
        LAYERS,
        "columns = self._placement(batch, width)",
        "columns = rows",
    ),
    mutant("patch-of-one-grey", "noise", ("6.1",), LAYERS, NOISE, "noise = 0.5 * ops.ones(shape)"),
    Mutant(
        "patch-of-a-random-grey",
        "noise",
        ("6.1", "6.3"),
        (
            (
                LAYERS,
                NOISE,
                "noise = self.draw(keras.random.normal, (batch, 1, 1, 1), stddev=self.stddev) * tf.ones(shape)",
            ),
        ),
        runs=True,
    ),
    Mutant(
        "patch-noise-of-one-seed",
        "noise",
        ("6.1",),
        ((LAYERS, NOISE, "noise = keras.random.normal(shape, stddev=self.stddev, seed=3)"),),
        runs=True,
    ),
    Mutant(
        "patch-noise-alike-in-the-batch",
        "noise",
        ("6.1",),
        (
            (
                LAYERS,
                NOISE,
                "noise = keras.random.normal((1, *shape[1:]), stddev=self.stddev, seed=self.seed_generator) * tf.ones(shape)",
            ),
        ),
        runs=True,
    ),
    mutant(
        "denoiser-trained-on-clean-images", "protocol", ("6.1", "6.2"), MODEL, LOGITS, LOGITS.replace("noisy", "images")
    ),
    mutant("denoiser-trained-towards-noisy-images", "protocol", ("6.2",), MODEL, LOSS, LOSS.replace("images", "noisy")),
    mutant("denoiser-returns-its-input", "claims", ("6.2", "6.3"), SECTION, DENOISED, '"denoised": noisy,'),
    mutant(
        "denoiser-returns-the-clean-images", "claims", ("6.2", "6.3"), SECTION, DENOISED, '"denoised": 0.99 * test,'
    ),
    mutant(
        "denoised-on-training-images",
        "protocol",
        ("6.2", "6.3"),
        SECTION,
        'data.load(settings.dataset, "test")',
        'data.load(settings.dataset, "train", limit=2000)',
    ),
    mutant(
        "denoised-from-clean-images", "protocol", ("6.2", "6.3"), SECTION, DENOISED, DENOISED.replace("noisy", "test")
    ),
    Mutant(
        "median-filter-of-clean-images",
        "claims",
        ("6.3",),
        ((SECTION, "median_filter(noisy,", "median_filter(test,"),),
    ),
    mutant(
        "psnr-of-peak-255", "metrics", ("6.3",), SECTION, DECIBEL, DECIBEL.replace("-10 *", "20 * np.log10(255) - 10 *")
    ),
    mutant("psnr-of-natural-logarithms", "metrics", ("6.3",), SECTION, DECIBEL, DECIBEL.replace("log10", "log")),
    mutant("psnr-with-20", "metrics", ("6.3",), SECTION, DECIBEL, DECIBEL.replace("-10 *", "-20 *")),
    mutant(
        "mse-of-absolute-errors",
        "metrics",
        ("6.3",),
        SECTION,
        "errors = np.square(np.asarray(images, np.float64) - clean)",
        "errors = np.abs(np.asarray(images, np.float64) - clean)",
    ),
    mutant(
        "mse-of-patch-and-image-swapped",
        "metrics",
        ("6.3",),
        SECTION,
        MEAN,
        MEAN.replace("mse, patch_mse =", "patch_mse, mse ="),
    ),
    mutant("mse-invented", "claims", ("6.3",), SECTION, MEAN, "mse, patch_mse = 0.001, 0.012"),
    mutant(
        "figure-without-noisy-row",
        "figures",
        ("6.2",),
        SECTION,
        SHOWN,
        'shown = [("clean", test[:NUM_SHOWN]), ("denoised", rows["denoised"][:NUM_SHOWN])]',
    ),
    mutant(
        "figure-of-clean-images-alone",
        "figures",
        ("6.2",),
        SECTION,
        SHOWN,
        'shown = [(label, test[:NUM_SHOWN]) for label in ("clean", *rows)]',
    ),
    Mutant(
        "denoiser-encoder-without-activation",
        "networks",
        ("6.1",),
        ((NETWORKS, DOWN, DOWN.replace(', activation="relu"', "")),),
        (6,),
        False,
    ),
    Mutant(
        "denoiser-decoder-without-activation",
        "networks",
        ("6.1",),
        ((NETWORKS, UP, UP.replace(', activation="relu"', "")),),
        (6,),
        False,
    ),
    mutant(
        "patch-replaced-by-noise",
        "protocol",
        ("6.1",),
        LAYERS,
        "return ops.clip(images + placed, 0.0, 1.0), mask",
        "return ops.clip(images * (1.0 - mask) + placed, 0.0, 1.0), mask",
    ),
    mutant(
        "denoiser-trained-towards-a-hole",
        "protocol",
        ("6.2",),
        MODEL,
        LOSS,
        LOSS.replace("images", "images * (1.0 - mask)"),
    ),
    mutant(
        "denoiser-loss-outside-the-patch",
        "losses",
        ("6.2",),
        MODEL,
        "bernoulli_loss(images, logits))",
        "bernoulli_loss(images * (1.0 - mask), ops.where(mask > 0, -40.0, logits)))",
        runs=True,
    ),
    mutant(
        "patch-mse-of-all-errors",
        "metrics",
        ("6.3",),
        SECTION,
        MEAN,
        "mse, patch_mse = errors.mean(), errors.sum() / mask.sum()",
    ),
    mutant(
        "patch-of-10",
        "protocol",
        ("6.1",),
        SECTION,
        "patch: int = setting(8,",
        "patch: int = setting(10,",
    ),
    mutant(
        "patch-of-6",
        "protocol",
        ("6.1",),
        SECTION,
        "patch: int = setting(8,",
        "patch: int = setting(6,",
    ),
    mutant(
        "two-patches",
        "protocol",
        ("6.1",),
        MODEL,
        "noisy, mask = self.corrupt(images)",
        "noisy, mask = self.corrupt(self.corrupt(images)[0])",
    ),
    mutant(
        "test-patches-at-one-place",
        "protocol",
        ("6.3",),
        SECTION,
        TEST_NOISE,
        "mask = np.zeros_like(test)\n    mask[:, 10:18, 10:18] = 1\n"
        "    random = np.random.default_rng(settings.seed).normal(0, settings.noise_std, test.shape)\n"
        "    noisy = np.float32(np.clip(np.asarray(test) + mask * random, 0, 1))",
    ),
    mutant(
        "denoiser-evaluated-untrained",
        "protocol",
        ("6.2", "6.3"),
        SECTION,
        'figures.training_curves(run.figure("curves"), history)',
        'figures.training_curves(run.figure("curves"), history)\n    model = build()',
    ),
    mutant(
        "denoised-and-filtered-named-in-reverse",
        "claims",
        ("6.3",),
        SECTION,
        "measured = {label: quality(test, row, mask) for label, row in rows.items()}",
        'others = {"median filter": "denoised", "denoised": "median filter"}\n'
        "    measured = {others.get(label, label): quality(test, row, mask) for label, row in rows.items()}",
    ),
    mutant(
        "figure-of-other-noise",
        "figures",
        ("6.2",),
        SECTION,
        SHOWN,
        SHOWN
        + '\n    shown[1] = ("noisy", np.asarray(layers.PatchNoise(*noise.values(), seed=7)(test[:NUM_SHOWN])[0]))',
    ),
]

EQUIVALENTS = [
    equivalent(
        "denoiser-with-tanh",
        ((NETWORKS, DOWN, DOWN.replace("relu", "tanh")), (NETWORKS, UP, UP.replace("relu", "tanh"))),
        (6,),
        False,
    ),
    equivalent(
        "denoiser-of-squared-errors",
        ((MODEL, LOSS, "ops.mean(ops.square(images - ops.sigmoid(logits)), axis=(1, 2, 3)))"),),
        (6,),
        True,
    ),
    equivalent(
        "patch-noise-not-clipped",
        ((LAYERS, "return ops.clip(images + placed, 0.0, 1.0), mask", "return images + placed, mask"),),
        (6,),
        True,
    ),
    equivalent(
        "patch-of-salt-and-pepper",
        (
            (
                LAYERS,
                "noise = self.draw(keras.random.normal, shape, stddev=self.stddev)",
                "noise = self.draw(keras.random.uniform, shape)\n"
                '        noise = ops.cast(noise > 0.75, "float32") - ops.cast(noise < 0.25, "float32")',
            ),
        ),
        (6,),
        True,
    ),
    equivalent(
        "denoiser-ends-in-a-sigmoid",
        (
            (
                NETWORKS,
                '_decoder("denoising_decoder", image_shape, code_dim, up),',
                '(lambda inner: keras.Model(inner.inputs, layers.Activation("sigmoid")(inner.outputs[0])))'
                '(_decoder("denoising_decoder", image_shape, code_dim, up)),',
            ),
            (
                MODEL,
                "from hw5.objectives import bernoulli_loss",
                "bernoulli_loss = lambda images, p: -ops.sum(images * ops.log(p + 1e-7) + (1 - images) * ops.log(1 - p + 1e-7), axis=(1, 2, 3))",
            ),
            (MODEL, "return ops.sigmoid(self.decode_outputs(z))", "return self.decode_outputs(z)"),
            (
                MODEL,
                "return ops.sigmoid(self.decode_outputs(self.encoder(images, training=training), training))",
                "return self.decode_outputs(self.encoder(images, training=training), training)",
            ),
            (MODEL, "errors = ops.square(images - ops.sigmoid(logits))", "errors = ops.square(images - logits)"),
        ),
        (6,),
        True,
    ),
    equivalent(
        "denoiser-of-pairs",
        (
            (
                MODEL,
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
            (MODEL, "import keras\n", "import keras\nimport tensorflow as tf\n"),
        ),
        (6,),
        True,
    ),
    equivalent(
        "psnr-of-each-image",
        (
            (
                SECTION,
                DECIBEL,
                "by_image = (errors * mask).sum(axis=(1, 2, 3)) / mask.sum(axis=(1, 2, 3)), errors.mean(axis=(1, 2, 3))\n"
                '    decibel = {name: np.mean(-10 * np.log10(some)) for name, some in zip(("patch_psnr", "psnr"), by_image)}',
            ),
        ),
        (6,),
    ),
    equivalent(
        "denoiser-with-dropout",
        (
            (NETWORKS, DOWN, DOWN + "\n    down = [part for layer in down for part in (layer, layers.Dropout(0.2))]"),
            (NETWORKS, UP, UP + "\n    up = [part for layer in up for part in (layer, layers.Dropout(0.2))]"),
        ),
        (6,),
        True,
    ),
    equivalent(
        "noise-of-its-own-for-each-row",
        (
            (
                SECTION,
                "measured = {label: quality(test, row, mask) for label, row in rows.items()}",
                "again, other = map(np.asarray, layers.PatchNoise(*noise.values(), seed=settings.seed + 1)(test))\n"
                '    measured = {label: quality(test, row, mask) for label, row in rows.items() if label != "denoised"}\n'
                '    measured["denoised"] = quality(test, model.predict(again, batch_size=1000, verbose=0), other)',
            ),
        ),
        (6,),
    ),
]
