"""Section 7: a GAN on a quadratic (sheet 003, 2.2)."""


def run(out="figures/section7", steps=10_000, learning_rate=None, optimizer=None):
    """Train a GAN on points (x, y) with random x and a quadratic function y of x (7.1).

    Draw the losses, real and generated points over the training, and the features of the discriminator (7.2).

    Args:
        learning_rate, optimizer: choose the sheet's as the defaults; the optimizer is "rmsprop" or "adam".

    Returns:
        {"results": {"history": {"d_loss": at least 5 numbers over the training, "g_loss": …}}}
    """
    # TODO start
    raise NotImplementedError
    # TODO end
