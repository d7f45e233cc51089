"""Section 4: a dense VAE with a tuned KL weight (sheet 001)."""


def run(out="figures/section4", steps=10_000, sweep=(0.0, 0.1, 1.0, 10.0), train_size=None, batch_size=None):
    """Train the VAE `networks.tanh_vae` with each weight of the KL divergence.

    Draw (4.3) a row of at least 16 existing images, a row of their reconstructions, and a row of new images. Count the
    digits among 500 new images or more of `VAE.sample` (4.4) with a classifier of MNIST that you train.

    Args:
        sweep: the weights of the KL divergence, from 0 upwards (4.2).
        batch_size: choose that of the hints as the default (4.1).

    Returns:
        {"results": {weight: {"reconstruction": …, "kl": …, "samples": {"mnist_classifier": {"class_proportions": ten
        shares of the digits, "num_samples": their number, "confidence": mean probability of the likeliest digit}}}}}
    """
    # TODO start
    raise NotImplementedError
    # TODO end
