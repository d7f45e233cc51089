"""The objectives of GANs."""

from types import SimpleNamespace

import keras
from keras import ops


def get(name):
    """3.1 (optional), 5.4 (the ways WGAN and LSGAN), 8.2: Return an objective.

    Args:
        name: "non_saturating", with the cross-entropy, where the generator maximises log D(G(z)); "least_squares";
            "wasserstein", where the clipping is not part of the objective. You need those of your sheet.

    Returns:
        An object with two functions of D's outputs, [batch, 1], for real and generated samples:
        `discriminator_loss(real, fake)` and `generator_loss(fake)`, both averaged over the batch. Each player minimises
        its loss. The cross-entropies are of logits, and D's two terms are added, without ½. The least squares are
        those of sheet 003: ½ and ½ for D, 1 for G.
    """

    # TODO start
    def entropy(target, logits):
        logits = ops.convert_to_tensor(logits)
        return ops.mean(keras.losses.binary_crossentropy(target * ops.ones_like(logits), logits, from_logits=True))

    def square(target, values):
        return ops.mean((ops.convert_to_tensor(values) - target) ** 2)

    losses = {
        "non_saturating": (
            lambda real, fake: entropy(1.0, real) + entropy(0.0, fake),
            lambda fake: entropy(1.0, fake),
        ),
        "least_squares": (
            lambda real, fake: (square(1.0, real) + square(0.0, fake)) / 2,
            lambda fake: square(1.0, fake),
        ),
        "wasserstein": (
            lambda real, fake: ops.mean(fake) - ops.mean(real),
            lambda fake: -ops.mean(fake),
        ),
    }
    if name not in losses:
        raise ValueError(f"{name}: must be one of {', '.join(losses)}")
    return SimpleNamespace(discriminator_loss=losses[name][0], generator_loss=losses[name][1])
    # TODO end
