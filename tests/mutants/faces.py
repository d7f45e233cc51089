"""Mistakes with the faces: their data, networks, variants and figures (section 5)."""

# ruff: noqa: E501 (edits are pieces of files)

from gans import NETWORKS
from measures import DATA, PREPARED
from mutant import Mutant, mutant
from vaes import LOG_MEAN

LAYERS = "layers.py"
DEQUANTIZED = "return (255.0 * images + self.draw(keras.random.uniform, ops.shape(images))) / 256.0"

MUTANTS = [
    mutant(
        "faces-transposed",
        "protocol",
        ("5.1",),
        DATA,
        PREPARED,
        'found = prepared.load(dataset, split, feature, limit)\n    return found.swapaxes(1, 2) if name == "cartoon_faces" and feature == "image" else found',
        runs=False,
    ),
    mutant(
        "encoder-of-faces-without-activations",
        "networks",
        ("5.2",),
        NETWORKS,
        'keras.Sequential(_dcgan_down(hidden, doublings, "batch"), name="convolutions")',
        'keras.Sequential([layer for layer in _dcgan_down(hidden, doublings, "batch") if not isinstance(layer, layers.LeakyReLU)], name="convolutions")',
        runs=True,
    ),
    mutant(
        "log-variance-of-faces-with-relu",
        "networks",
        ("5.2",),
        NETWORKS,
        'encoder = keras.Model(images, _posterior_outputs(features, latent_dim, context), name="dcgan_encoder")',
        'mean, log_var, *rest = _posterior_outputs(features, latent_dim, context)\n    encoder = keras.Model(images, [mean, ops.relu(log_var), *rest], name="dcgan_encoder")',
        runs=True,
    ),
    mutant(
        "vae-decoder-in-inference-mode",
        "networks",
        ("5.2", "5.4"),
        "models/vae.py",
        "outputs = self.decode_outputs(ops.reshape(z, (-1, self.latent_dim)), training)",
        "outputs = self.decode_outputs(ops.reshape(z, (-1, self.latent_dim)))",
        runs=True,
    ),
    Mutant(
        "critic-of-faces-ends-in-a-sigmoid",
        "variants",
        ("5.4",),
        (
            (
                NETWORKS,
                '    normalization: str = "batch",\n    self_modulation: bool = False,\n):',
                '    normalization: str = "batch",\n    self_modulation: bool = False,\n    squash: bool = False,\n):',
            ),
            (
                NETWORKS,
                'layers.Dense(1, **_dcgan_normal(), dtype="float32")]',
                'layers.Dense(1, activation="sigmoid" if squash else None, **_dcgan_normal(), dtype="float32")]',
            ),
            (
                "variants.py",
                'normalization=row.pop("normalization"))',
                'normalization=row.pop("normalization"), squash=variant.name == "wgan")',
            ),
        ),
        (5,),
        True,
    ),
    mutant(
        "section-5-flow-of-no-steps",
        "variants",
        ("5.4",),
        "variants.py",
        "FLOW_STEPS = 2",
        "FLOW_STEPS = 0",
        sections=(5,),
    ),
    Mutant(
        "iwae-trains-the-elbo",
        "variants",
        ("5.4",),
        (
            (
                "models/vae.py",
                "terms, reconstruction, kl = self.bound(posterior, *log_terms)",
                "self.training_now = training\n        terms, reconstruction, kl = self.bound(posterior, *log_terms)",
            ),
            (
                "models/vae.py",
                LOG_MEAN,
                LOG_MEAN
                + "\n        if self.training_now:\n            log_mean = ops.mean(log_likelihood + log_prior - log_posterior, axis=0)",
            ),
        ),
    ),
    mutant(
        "samples-of-faces-are-one-face",
        "figures",
        ("5.5",),
        "section5.py",
        "samples = model.sample(len(noise), seed=run.settings.seed)",
        "samples = model.decode(noise[:1].repeat(len(noise), axis=0))",
    ),
    mutant(
        "traversal-named-in-another-order",
        "figures",
        ("5.5",),
        "figures/latent.py",
        'labels = [f"$z_{{{dimension + 1}}}$" for dimension in dimensions]',
        'labels = [f"$z_{{{row + 1}}}$" for row in range(len(dimensions))]',
    ),
    mutant(
        "bits-of-the-section-are-per-pixel",
        "claims",
        ("5.6",),
        "metrics/bits.py",
        '"bits_per_dimension": mean,',
        '"bits_per_dimension": mean * channels,',
        runs=True,
    ),
    mutant(
        "bits-of-the-section-are-nats",
        "claims",
        ("5.6",),
        "metrics/bits.py",
        '"bits_per_pixel": mean * channels}',
        '"bits_per_pixel": mean * channels * np.log(2)}',
        runs=True,
    ),
    mutant(
        "bits-of-the-section-of-a-density-without-its-cell",
        "claims",
        ("5.6",),
        "metrics/bits.py",
        "value_range = (0.0, 1.0) if vae.likelihood.is_continuous else None",
        "value_range = None",
        runs=True,
    ),
    mutant(
        "faces-are-not-dequantised",
        "metrics",
        ("5.6",),
        "variants.py",
        "if likelihood.is_continuous:",
        "if False:",
    ),
    mutant(
        "faces-are-dequantised-alike",
        "noise",
        ("5.6",),
        LAYERS,
        DEQUANTIZED,
        DEQUANTIZED.replace(
            "self.draw(keras.random.uniform, ops.shape(images))",
            "keras.random.uniform(ops.shape(images)[1:], seed=self.seed_generator)",
        ),
        sections=(5,),
        runs=True,
    ),
    mutant(
        "density-without-its-constant",
        "metrics",
        ("5.6",),
        "distributions.py",
        "- ops.log(sigma) - 0.5 * LOG_2_PI",
        "- ops.log(sigma)",
        runs=True,
    ),
    mutant(
        "faces-decoded-with-batch-statistics",
        "networks",
        ("5.5",),
        "models/vae.py",
        "return self.likelihood.mean(self.decode_outputs(self.prior.color(z)))",
        "return self.likelihood.mean(self.decode_outputs(self.prior.color(z), True))",
        runs=True,
    ),
    mutant(
        "iwae-over-the-batch",
        "variants",
        ("5.4",),
        "models/vae.py",
        LOG_MEAN,
        LOG_MEAN.replace("axis=0", "axis=1"),
    ),
    mutant(
        "log-determinant-averaged-over-dimensions",
        "variants",
        ("5.4",),
        "distributions.py",
        "log_det = log_det + ops.sum(",
        "log_det = log_det + ops.mean(",
    ),
    Mutant(
        "samples-of-faces-of-the-unit-cube",
        "noise",
        ("5.5",),
        (
            (
                "section5.py",
                "samples = model.sample(len(noise), seed=run.settings.seed)",
                'samples = model.decode(np.random.default_rng(0).uniform(size=noise.shape).astype("float32"))',
            ),
            ("section5.py", "import dataclasses\n", "import dataclasses\nimport numpy as np\n"),
        ),
    ),
    mutant(
        "codes-are-pixels-again",
        "figures",
        ("5.5",),
        "figures/latent.py",
        '[("codes", images), ("pixels", mixed)]',
        '[("codes", mixed), ("pixels", mixed)]',
    ),
    mutant(
        "pixels-run-the-other-way",
        "figures",
        ("5.5",),
        "figures/latent.py",
        '("pixels", mixed)]',
        '("pixels", mixed[::-1])]',
    ),
    mutant(
        "traversal-decoded-and-one-face-drawn",
        "figures",
        ("5.5",),
        "figures/latent.py",
        "images = _moved(model, codes[:1], dimensions, columns)[:, 0]",
        "images = _moved(model, codes[:1], dimensions, columns)[:, 0]\n    images = np.repeat(images[:, :1], columns, axis=1)",
    ),
]
