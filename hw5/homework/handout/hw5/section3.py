"""Section 3: a DCGAN of MNIST (sheet 000, III; very optional)."""


def run(out="figures/section3", study=(1e-4, 2e-4, 1e-3), steps=2000, train_size=None, batch_size=64):
    """Train a DCGAN of MNIST with the non-saturating objective, at several learning rates (3.2).

    Draw the losses, D(x), D(G(z)) and samples over the training (3.1). Images are scaled to [−1, 1].

    Args:
        study: the learning rates.

    Returns:
        {"results": {a name of the setting: {"history": {"d_loss": list of numbers over the training}}}}
    """
    # TODO start
    raise NotImplementedError
    # TODO end
