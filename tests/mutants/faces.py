"""Mistakes with the faces: their data, networks, variants and figures (section 5)."""

# ruff: noqa: E501 (edits are pieces of files)

from gans import NETWORKS
from measures import DATA, PREPARED
from mutant import Mutant, mutant
from vaes import LOG_MEAN

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
]
