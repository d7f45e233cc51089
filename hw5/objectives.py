"""Losses as pure functions of tensors.

The losses of autoencoders give one value per image. The losses of GANs are scalars, means over the batch.
"""

import dataclasses
from collections.abc import Callable

from keras import ops

from hw5.errors import InputError


def bernoulli_loss(images, logits):
    """Compute −log p(x|z) of independent Bernoulli pixels: the cross-entropy, summed over pixels.

    −x log σ(l) − (1 − x) log(1 − σ(l)) = softplus(l) − x·l, which neither overflows nor needs an ε.

    Args:
        images: [batch, h, w, c] in [0, 1]; grey values count as probabilities, as in the sheets.
        logits: of the same shape, the decoder's output before the sigmoid.

    Returns:
        [batch], in nats per image.
    """
    return ops.sum(ops.softplus(logits) - images * logits, axis=range(1, len(images.shape)))


def squared_error(targets, outputs):
    """Compute (1/d) Σ (x − y)², the mean over all axes but the batch (sheet 000, I.3). Returns [batch]."""
    return ops.mean(ops.square(targets - outputs), axis=range(1, len(targets.shape)))


def gaussian_kl(mean, log_var):
    """Compute KL(N(μ, diag σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² − log σ² − 1), summed over latent dimensions.

    Kingma & Welling 2014, appendix B. Sheet 000, II.2 drops the constant −k/2; the gradient is the same.

    Args:
        mean, log_var: [batch, latent_dim], μ and s = log σ².

    Returns:
        [batch], in nats, never negative.
    """
    return 0.5 * ops.sum(ops.square(mean) + ops.exp(log_var) - log_var - 1.0, axis=-1)


@dataclasses.dataclass(frozen=True)
class GanObjective:
    """The losses of the two networks of a GAN.

    The logits are D's output before any sigmoid. The labels are not smoothed.

    Attributes:
        discriminator_loss: (real logits, fake logits), each [batch, …] → scalar.
        generator_loss: fake logits → scalar; of a relativistic objective (fake logits, real logits) → scalar.
        outputs_probability: whether σ(logit) is the probability that a sample is real.
        is_relativistic: whether G's loss compares generated with real samples.
    """

    discriminator_loss: Callable
    generator_loss: Callable
    outputs_probability: bool = True
    is_relativistic: bool = False

    def output(self, logits):
        """Return D's output: the probability that a sample is real, or the logit if it is no log-odds."""
        return ops.sigmoid(logits) if self.outputs_probability else logits


def _cross_entropy(real_logits, fake_logits):
    """Compute −E log D(x) − E log(1 − D(G(z))), with D = σ(logits) (Goodfellow et al. 2014, equation 1)."""
    return ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))


def minimax() -> GanObjective:
    """Return the minimax losses: G minimises E log(1 − D(G(z))), which saturates (Goodfellow et al. 2014, eq. 1)."""
    return GanObjective(_cross_entropy, lambda fake_logits: -ops.mean(ops.softplus(fake_logits)))


def non_saturating() -> GanObjective:
    """Return the losses of `minimax`, except that G maximises E log D(G(z)), the sheets' log-D trick.

    Goodfellow et al. 2014, section 3.
    """
    return GanObjective(_cross_entropy, lambda fake_logits: ops.mean(ops.softplus(-fake_logits)))


def least_squares(discriminator_scale: float = 0.5, generator_scale: float = 0.5) -> GanObjective:
    """Return the least-squares losses of Mao et al. 2017, equation (9).

    D minimises ½E(D(x) − 1)² + ½E D(G(z))², G minimises ½E(D(G(z)) − 1)².

    Args:
        discriminator_scale, generator_scale: the factors ½. Sheet 003 has ½ and 1, sheet 002 has 1 and 1.
    """

    def discriminator_loss(real_logits, fake_logits):
        return discriminator_scale * (ops.mean(ops.square(real_logits - 1.0)) + ops.mean(ops.square(fake_logits)))

    def generator_loss(fake_logits):
        return generator_scale * ops.mean(ops.square(fake_logits - 1.0))

    return GanObjective(discriminator_loss, generator_loss, outputs_probability=False)


def _critic_loss(fake_logits):
    """Compute −E D(G(z))."""
    return -ops.mean(fake_logits)


def wasserstein() -> GanObjective:
    """Return the Wasserstein losses: the critic minimises E D(G(z)) − E D(x), G minimises −E D(G(z)).

    Arjovsky et al. 2017, equation (2). The value estimates a distance only if the critic is kept Lipschitz, by
    weight clipping or by a gradient penalty.
    """
    return GanObjective(
        lambda real_logits, fake_logits: ops.mean(fake_logits) - ops.mean(real_logits),
        _critic_loss,
        outputs_probability=False,
    )


def hinge() -> GanObjective:
    """Return the hinge losses: D minimises E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))), G minimises −E D(G(z)).

    Lim & Ye 2017; Miyato et al. 2018, equations (16) and (17).
    """
    return GanObjective(
        lambda real_logits, fake_logits: ops.mean(ops.relu(1.0 - real_logits)) + ops.mean(ops.relu(1.0 + fake_logits)),
        _critic_loss,
        outputs_probability=False,
    )


def relativistic() -> GanObjective:
    """Return the losses of pairs (x, G(z)): D maximises E log σ(D(x) − D(G(z))), G maximises E log σ(D(G(z)) − D(x)).

    Jolicoeur-Martineau 2019, equations (5) and (6); Huang et al. 2024 (R3GAN) with R1 and R2. Samples at the same
    place in the two batches are a pair. Only differences of logits have a meaning.
    """

    def relative_loss(better, worse):
        return ops.mean(ops.softplus(worse - better))

    return GanObjective(relative_loss, relative_loss, outputs_probability=False, is_relativistic=True)


GAN_OBJECTIVES = {
    "minimax": minimax,
    "non_saturating": non_saturating,
    "least_squares": least_squares,
    "wasserstein": wasserstein,
    "hinge": hinge,
    "relativistic": relativistic,
}


def get(name: str, **loss_scales: float) -> GanObjective:
    """Return a GAN objective by its name in `GAN_OBJECTIVES`.

    Args:
        loss_scales: discriminator_scale and generator_scale of `least_squares`.

    Raises:
        InputError (a ValueError): unknown name.
    """
    if name not in GAN_OBJECTIVES:
        raise InputError(f"objective={name}: must be one of {', '.join(GAN_OBJECTIVES)}")
    return GAN_OBJECTIVES[name](**loss_scales)
