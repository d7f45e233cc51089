"""What the models minimise, as pure functions of tensors, one value an image (nats)."""

from keras import ops


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
