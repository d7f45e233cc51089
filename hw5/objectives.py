"""What the models minimise, as pure functions of tensors.

Losses of autoencoders are one value an image; the objectives of GANs are scalars, means over the batch.
"""

import dataclasses
from collections.abc import Callable

from keras import ops

from hw5.errors import InputError


def bernoulli_loss(images, logits):
    """−log p(x|z) of independent Bernoulli pixels: the cross-entropy, summed over pixels.

    −x log σ(l) − (1 − x) log(1 − σ(l)) = softplus(l) − x·l, which neither overflows nor needs an ε.

    Args:
        images: [batch, h, w, c] in [0, 1]; grey values count as probabilities, as the sheets have it.
        logits: of the same shape, the decoder's output before the sigmoid.

    Returns:
        [batch], in nats an image.
    """
    return ops.sum(ops.softplus(logits) - images * logits, axis=range(1, len(images.shape)))


def squared_error(targets, outputs):
    """(1/d) Σ (x − y)², the mean over everything but the batch (sheet 000, I.3). Returns [batch]."""
    return ops.mean(ops.square(targets - outputs), axis=range(1, len(targets.shape)))


def gaussian_kl(mean, log_var):
    """KL(N(μ, diag σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² − log σ² − 1), summed over latent dimensions.

    Kingma & Welling 2014, appendix B. Sheet 000, II.2 drops the constant −k/2; the gradient is the same.

    Args:
        mean, log_var: [batch, latent_dim], μ and s = log σ².

    Returns:
        [batch], in nats, never negative.
    """
    return 0.5 * ops.sum(ops.square(mean) + ops.exp(log_var) - log_var - 1.0, axis=-1)


@dataclasses.dataclass(frozen=True)
class GanObjective:
    """What the two players of a GAN minimise.

    Attributes:
        discriminator_loss: (real logits, fake logits), each [batch, …] → scalar.
        generator_loss: fake logits → scalar.
        has_probabilities: whether σ(logit) is the probability that a sample is real.

    The logits are D's output before any sigmoid; no labels are smoothed.
    """

    discriminator_loss: Callable
    generator_loss: Callable
    has_probabilities: bool = True

    def output(self, logits):
        """What D says of samples: a probability, or where it has none the logit itself."""
        return ops.sigmoid(logits) if self.has_probabilities else logits


def _cross_entropy(real_logits, fake_logits):
    """−E log D(x) − E log(1 − D(G(z))), with D = σ(logits): Goodfellow et al. 2014, equation (1)."""
    return ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))


def minimax() -> GanObjective:
    """The game of Goodfellow et al. 2014, equation (1): G minimises E log(1 − D(G(z))), which saturates."""
    return GanObjective(_cross_entropy, lambda fake_logits: -ops.mean(ops.softplus(fake_logits)))


def non_saturating() -> GanObjective:
    """As `minimax`, but G maximises E log D(G(z)) (Goodfellow et al. 2014, section 3; the sheets' log-D trick)."""
    return GanObjective(_cross_entropy, lambda fake_logits: ops.mean(ops.softplus(-fake_logits)))


def least_squares(discriminator_scale: float = 0.5, generator_scale: float = 0.5) -> GanObjective:
    """Mao et al. 2017, equation (9): D minimises ½E(D(x) − 1)² + ½E D(G(z))², G ½E(D(G(z)) − 1)².

    Args:
        discriminator_scale, generator_scale: the factors ½. Sheet 003 has ½ and 1, sheet 002 1 and 1.
    """

    def discriminator_loss(real_logits, fake_logits):
        return discriminator_scale * (ops.mean(ops.square(real_logits - 1.0)) + ops.mean(ops.square(fake_logits)))

    def generator_loss(fake_logits):
        return generator_scale * ops.mean(ops.square(fake_logits - 1.0))

    return GanObjective(discriminator_loss, generator_loss, has_probabilities=False)


def wasserstein() -> GanObjective:
    """Arjovsky et al. 2017, equation (2): the critic minimises E D(G(z)) − E D(x), G minimises −E D(G(z)).

    It means a distance only for a critic that is kept Lipschitz, by clipping or by a gradient penalty.
    """
    return GanObjective(
        lambda real_logits, fake_logits: ops.mean(fake_logits) - ops.mean(real_logits),
        lambda fake_logits: -ops.mean(fake_logits),
        has_probabilities=False,
    )


GAN_OBJECTIVES = {
    "minimax": minimax,
    "non_saturating": non_saturating,
    "least_squares": least_squares,
    "wasserstein": wasserstein,
}


def get(name: str, **scales: float) -> GanObjective:
    """A GAN objective by name: minimax, non_saturating, least_squares or wasserstein.

    Args:
        scales: of `least_squares`.

    Raises:
        InputError (a ValueError): unknown name.
    """
    if name not in GAN_OBJECTIVES:
        raise InputError(f"objective {name!r} is unknown; there are {', '.join(GAN_OBJECTIVES)}")
    return GAN_OBJECTIVES[name](**scales)
