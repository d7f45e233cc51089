"""Section 2: variational autoencoders (sheet 000, II)."""

from hw5 import models, networks
from hw5.common import autoencoder_figures, fit, mnist, save


def run(out="figures/section2", k=(2, 5, 10, 50, 100), epochs=10, train_size=None, batch_size=100):
    """Train a VAE of MNIST for each k, and draw the figures of 1.4 with μ as the code (2.4).

    Optional (2.5): train another without the KL divergence.

    Args:
        k: the latent dimensions. Choose those of the sheet as the default (2.3).

    Returns:
        {"results": {"validation": {"kl_weight=1": {"k=2": {"reconstruction": …, "kl": …, "negative_elbo": …}, …}}}},
        in nats per validation image; optional: "kl_weight=0" as well.
    """
    # TODO start
    train, validation = mnist(train_size)
    measured = {}
    for weight in (1, 0):
        measured[f"kl_weight={weight}"] = by_dim = {}
        for dim in k:
            vae = models.VAE(*networks.dense_vae(dim), kl_weight=weight)
            fit(vae, train, batch_size, epochs=epochs)
            found = vae.evaluate(validation, batch_size=1000, verbose=0, return_dict=True)
            terms = {name: found[name] for name in ("reconstruction", "kl")}
            by_dim[f"k={dim}"] = terms | {"negative_elbo": sum(terms.values())}
            autoencoder_figures(f"{out}/{weight}/k{dim}", vae, train, validation)
    return save(out, {"validation": measured})
    # TODO end
