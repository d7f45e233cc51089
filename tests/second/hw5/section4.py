"""Section 4: a dense VAE with a tuned KL weight (sheet 001)."""

import numpy as np
from scipy.special import softmax

from hw5 import models, networks
from hw5.common import classifier, fit, mnist, picture, save


def run(out="figures/section4", steps=10_000, sweep=(0.0, 0.1, 1.0, 10.0), train_size=None, batch_size=100):
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
    train, validation = mnist(train_size)
    classify = classifier(28, out)
    results = {}
    for weight in sweep:
        vae = models.VAE(*networks.tanh_vae(), kl_weight=weight)
        fit(vae, train, batch_size, steps=steps)
        found = vae.evaluate(validation, batch_size=1000, verbose=0, return_dict=True)
        shown = validation[:20]
        picture(f"{out}/weight{weight}.png", [shown, vae.reconstruct(shown), vae.sample(20)])
        probabilities = softmax(np.asarray(classify(vae.sample(1000))[1]), axis=1)
        shares = np.bincount(probabilities.argmax(axis=1), minlength=10) / 1000
        digits = {"class_proportions": shares, "num_samples": 1000, "confidence": probabilities.max(axis=1).mean()}
        terms = {name: found[name] for name in ("reconstruction", "kl")}
        results[weight] = terms | {"samples": {"mnist_classifier": digits}}
    return save(out, results)
    # TODO end
