"""Section 2: variational autoencoders (sheet 000, II)."""


def run(out="figures/section2", k=(), epochs=10, train_size=None, batch_size=100):
    """Train a VAE of MNIST for each k, and draw the figures of 1.4 with μ as the code (2.4).

    Optional (2.5): train another without the KL divergence.

    Args:
        k: the latent dimensions. Choose those of the sheet as the default (2.3).

    Returns:
        {"results": {"validation": {"kl_weight=1": {"k=2": {"reconstruction": …, "kl": …, "negative_elbo": …}, …}}}},
        in nats per validation image; optional: "kl_weight=0" as well.
    """
    # TODO start
    raise NotImplementedError
    # TODO end
