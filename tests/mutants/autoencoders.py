"""Mistakes in autoencoders and in the data that they are trained on (section 1)."""

# ruff: noqa: E501 (edits are pieces of files)

from measures import DATA, PREPARED
from mutant import Mutant, mutant

SQUARED_ERROR = "return ops.mean(ops.square(targets - outputs), axis=range(1, len(targets.shape)))"
TO_IMAGES = 'return ops.sigmoid(outputs) if self.loss_name == "cross_entropy" else outputs'
SPLIT = 'images = load(name, "train[:90%]", limit=train_size)'
REST = 'return images, load(name, "train[90%:]")'
SHARES = "shares = np.linspace(0, 1, 10, dtype=np.float32)"
PRETRAINED = '                run.pretrain(f"{name}_k{dim}", model, images, schedule, **alone)\n'
STEPS = "steps = model.interpolate(model.encode(training), model.encode(validation), shares)"

MUTANTS = [
    # 1.1: the linear autoencoder and its loss
    Mutant(
        "linear-code-with-relu",
        "networks",
        ("1.1",),
        (
            (
                "networks.py",
                '_encoder("linear_encoder", image_shape, [layers.Dense(code_dim, name="code")])',
                '_encoder("linear_encoder", image_shape, [layers.Dense(code_dim, activation="relu", name="code")])',
            ),
        ),
    ),
    Mutant(
        "linear-decoder-with-a-hidden-layer",
        "networks",
        ("1.1",),
        (
            (
                "networks.py",
                '_decoder("linear_decoder", image_shape, code_dim, [])',
                '_decoder("linear_decoder", image_shape, code_dim, [layers.Dense(64, activation="tanh")])',
            ),
        ),
    ),
    mutant(
        "linear-images-cut-off",
        "networks",
        ("1.1",),
        "models/autoencoder.py",
        TO_IMAGES,
        TO_IMAGES.replace("else outputs", "else ops.clip(outputs, 0.0, 1.0)"),
    ),
    Mutant(
        "squared-error-summed-over-pixels",
        "losses",
        ("1.1",),
        (("objectives.py", SQUARED_ERROR, SQUARED_ERROR.replace("ops.mean", "ops.sum")),),
    ),
    Mutant(
        "half-the-squared-error",
        "losses",
        ("1.1",),
        (("objectives.py", SQUARED_ERROR, SQUARED_ERROR.replace("ops.mean", "0.5 * ops.mean")),),
    ),
    Mutant(
        "root-of-the-squared-error",
        "losses",
        ("1.1",),
        (
            (
                "models/autoencoder.py",
                "errors = squared_error(images, self.to_images(outputs))",
                "errors = ops.sqrt(squared_error(images, self.to_images(outputs)))",
            ),
        ),
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
    # 1.2: the training data
    Mutant(
        "trains-on-all-60000",
        "protocol",
        ("1.2",),
        (("data/__init__.py", SPLIT, SPLIT.replace("train[:90%]", "train")),),
    ),
    Mutant(
        "split-in-halves",
        "protocol",
        ("1.2",),
        (
            ("data/__init__.py", SPLIT, SPLIT.replace("90%", "50%")),
            ("data/__init__.py", REST, REST.replace("90%", "50%")),
        ),
    ),
    Mutant(
        "validation-split-overlaps",
        "protocol",
        ("1.2",),
        (("data/__init__.py", REST, REST.replace("90%", "80%")),),
    ),
    Mutant(
        "validates-with-the-test-images",
        "protocol",
        ("1.2",),
        (("data/__init__.py", REST, REST.replace("train[90%:]", "test")),),
    ),
    Mutant(
        "pixels-divided-by-256",
        "protocol",
        ("1.2",),
        (("data/__init__.py", "* ((high - low) / 255)", "* ((high - low) / 256)"),),
        runs=False,
    ),
    Mutant(
        "pixels-from-minus-one-to-one",
        "protocol",
        ("1.2",),
        (
            (
                "data/__init__.py",
                "return low + tf.cast(images, tf.float32)",
                "return -1 + 2 * tf.cast(images, tf.float32)",
            ),
        ),
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
    # 1.4: what is drawn
    Mutant(
        "reconstructs-its-input",
        "claims",
        ("1.4",),
        (("models/base.py", "        return self.decode(self.encode(images))", "        return images"),),
    ),
    Mutant(
        "codes-from-the-uniform-distribution",
        "noise",
        ("1.4",),
        (
            (
                "models/base.py",
                "return keras.random.normal((count, self.latent_dim), seed",
                "return keras.random.uniform((count, self.latent_dim), seed",
            ),
        ),
    ),
    Mutant(
        "always-the-same-codes",
        "noise",
        ("1.4",),
        (
            (
                "models/base.py",
                "(count, self.latent_dim), seed=self.seed_generator if",
                "(count, self.latent_dim), seed=1 if",
            ),
        ),
    ),
    Mutant(
        "interpolates-pixels",
        "figures",
        ("1.4", "2.4"),
        (
            (
                "figures/latent.py",
                STEPS,
                "first, last = (np.asarray(model.reconstruct(images)) for images in (training, validation))\n"
                "    steps = np.stack([first + share * (last - first) for share in shares], axis=1)",
            ),
        ),
    ),
    Mutant(
        "interpolates-in-six-steps",
        "figures",
        ("1.4", "2.4"),
        (("figures/latent.py", SHARES, SHARES.replace("10", "6")),),
    ),
    mutant(
        "interpolates-in-uneven-steps",
        "figures",
        ("1.4", "2.4"),
        "figures/latent.py",
        SHARES,
        f"{SHARES} ** 2",
    ),
    Mutant(
        "interpolates-between-validation-images",
        "figures",
        ("1.4", "2.4"),
        (("figures/latent.py", STEPS, STEPS.replace("(training)", "(validation[::-1])")),),
    ),
    # 1.5: principal component analysis
    Mutant(
        "pca-without-the-mean",
        "metrics",
        ("1.5",),
        (("metrics/pca.py", "mean = pixels.mean(axis=0)", "mean = 0 * pixels.mean(axis=0)"),),
        runs=True,
    ),
    Mutant(
        "pca-of-the-validation-images",
        "protocol",
        ("1.5",),
        (("section1.py", "pca.principal_components(images, k[-1])", "pca.principal_components(validation, k[-1])"),),
    ),
    Mutant(
        "pca-of-the-smallest-variances",
        "metrics",
        ("1.5",),
        (("metrics/pca.py", "subset_by_index=[size - count, size - 1]", "subset_by_index=[0, count - 1]"),),
        runs=True,
    ),
    mutant(
        "pca-of-one-direction-less",
        "metrics",
        ("1.5",),
        "section1.py",
        "mean, directions[:, :dim]) for dim in k}",
        "mean, directions[:, : dim - 1]) for dim in k}",
    ),
    Mutant(
        "reports-errors-of-training-images",
        "claims",
        ("1.2", "1.5", "1.6", "1.7"),
        (
            (
                "section1.py",
                'training.evaluate(trained[name, dim], validation)["mse"]',
                'training.evaluate(trained[name, dim], images)["mse"]',
            ),
        ),
    ),
    # 1.6: the non-linear autoencoder
    Mutant(
        "nonlinear-code-without-relu",
        "networks",
        ("1.6",),
        (
            (
                "networks.py",
                '_encoder("nonlinear_encoder", image_shape, [layers.Dense(code_dim, activation="relu", name="code")])',
                '_encoder("nonlinear_encoder", image_shape, [layers.Dense(code_dim, name="code")])',
            ),
        ),
    ),
    Mutant(
        "images-without-the-sigmoid",
        "networks",
        ("1.6",),
        (("models/autoencoder.py", TO_IMAGES, "return outputs"),),
    ),
    Mutant(
        "cross-entropy-averaged-over-pixels",
        "losses",
        ("1.6",),
        (
            (
                "models/autoencoder.py",
                "losses = bernoulli_loss(images, outputs) if",
                "losses = bernoulli_loss(images, outputs) / np.prod(images.shape[1:]) if",
            ),
            ("models/autoencoder.py", "import keras\n", "import keras\nimport numpy as np\n"),
        ),
    ),
    Mutant(
        "nonlinear-with-the-squared-error",
        "variants",
        ("1.6",),
        (
            (
                "section1.py",
                'networks.nonlinear_autoencoder(dim, image_shape), loss="cross_entropy")',
                "networks.nonlinear_autoencoder(dim, image_shape))",
            ),
        ),
    ),
    # 1.7: the stacked autoencoder
    Mutant(
        "stacked-without-nonlinearities",
        "networks",
        ("1.7",),
        (
            (
                "networks.py",
                'down = [layers.Dense(units, activation=activation, name=f"down_{i}")',
                'down = [layers.Dense(units, name=f"down_{i}")',
            ),
            (
                "networks.py",
                'up = [layers.Dense(units, activation=activation, name=f"up_{i}")',
                'up = [layers.Dense(units, name=f"up_{i}")',
            ),
        ),
    ),
    Mutant(
        "stacked-decoder-not-mirrored",
        "networks",
        ("1.7",),
        (
            (
                "networks.py",
                'activation=activation, name=f"up_{i}") for i, units in reversed([*enumerate(hidden, 1)])]',
                'activation=activation, name=f"up_{i}") for i, units in enumerate(hidden, 1)]',
            ),
        ),
    ),
    Mutant(
        "no-pre-training",
        "variants",
        ("1.7",),
        (("section1.py", 'if name == "pretrained":\n                schedule', "if False:\n                schedule"),),
    ),
    mutant(
        "pre-trained-weights-are-forgotten",
        "protocol",
        ("1.7",),
        "section1.py",
        PRETRAINED,
        PRETRAINED + "                shuffled = np.random.default_rng(1).permutation\n"
        "                model.set_weights([shuffled(w.ravel()).reshape(w.shape) for w in model.get_weights()])\n",
    ),
    Mutant(
        "reports-another-pre-trained-error",
        "claims",
        ("1.7",),
        (
            (
                "section1.py",
                'linear = k if "linear" in variants else []',
                'mse |= {name: {dim: 0.9 * value for dim, value in mse["stacked"].items()} for name in pretrained}\n'
                '    linear = k if "linear" in variants else []',
            ),
        ),
    ),
    mutant(
        "autoencoder-encoder-gets-no-gradient",
        "losses",
        ("1.1", "1.6"),
        "models/autoencoder.py",
        "outputs = self.decode_outputs(self.encoder(images, training=training), training)\n        errors",
        "outputs = self.decode_outputs(ops.stop_gradient(self.encoder(images, training=training)), training)\n        errors",
    ),
    mutant(
        "autoencoder-minimises-absolute-errors",
        "losses",
        ("1.1", "1.6"),
        "models/autoencoder.py",
        "return ops.mean(losses)",
        "return ops.mean(ops.abs(images - self.to_images(outputs))) if training else ops.mean(losses)",
    ),
    Mutant(
        "stacked-with-one-activation",
        "networks",
        ("1.7",),
        (
            (
                "networks.py",
                'down = [layers.Dense(units, activation=activation, name=f"down_{i}")',
                'down = [layers.Dense(units, activation=activation if i == 1 else None, name=f"down_{i}")',
            ),
            (
                "networks.py",
                'up = [layers.Dense(units, activation=activation, name=f"up_{i}")',
                'up = [layers.Dense(units, activation=activation if i == 1 else None, name=f"up_{i}")',
            ),
        ),
    ),
    mutant(
        "digits-transposed",
        "protocol",
        ("1.2", "4.4"),
        DATA,
        PREPARED,
        'found = prepared.load(dataset, split, feature, limit)\n    return found.swapaxes(1, 2) if name == "mnist" and feature == "image" else found',
    ),
    mutant(
        "random-codes-are-codes-of-images",
        "figures",
        ("1.4",),
        "figures/latent.py",
        "model.sample(count, seed=0)",
        "model.reconstruct(validation[::-1])",
    ),
    mutant(
        "interpolation-decoded-and-pixels-drawn",
        "figures",
        ("1.4", "2.4"),
        "figures/latent.py",
        STEPS,
        STEPS
        + "\n    mixed = shares[:, None, None, None]\n    steps = (1 - mixed) * training[:, None] + mixed * validation[:, None]",
    ),
    mutant(
        "random-codes-of-the-unit-cube",
        "noise",
        ("1.4",),
        "figures/latent.py",
        "model.sample(count, seed=0)",
        'model.decode(np.random.default_rng(0).uniform(size=(count, model.latent_dim)).astype("float32"))',
    ),
    mutant(
        "one-pair-is-drawn-ten-times",
        "figures",
        ("1.4", "2.4"),
        "figures/latent.py",
        STEPS,
        STEPS + "\n    steps = np.repeat(steps[:1], len(steps), axis=0)",
    ),
    mutant(
        "pre-trained-encoder-is-not-trained-further",
        "protocol",
        ("1.7",),
        "section1.py",
        PRETRAINED,
        PRETRAINED + "                model.encoder.trainable = False\n",
    ),
]
