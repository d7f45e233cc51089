"""Section 3: a DCGAN of MNIST (sheet 000, III; very optional)."""

import keras

from hw5 import models, networks
from hw5.common import curves, fit, mnist, picture, save


def run(out="figures/section3", study=(1e-4, 2e-4, 1e-3), steps=2000, train_size=None, batch_size=64):
    """Train a DCGAN of MNIST with the non-saturating objective, at several learning rates (3.2).

    Draw the losses, D(x), D(G(z)) and samples over the training (3.1). Images are scaled to [−1, 1].

    Args:
        study: the learning rates.

    Returns:
        {"results": {a name of the setting: {"history": {"d_loss": list of numbers over the training}}}}
    """
    # TODO start
    images = 2 * mnist(train_size)[0] - 1
    results = {}
    for rate in study:
        gan = models.GAN(*networks.dcgan(100, 16, (28, 28, 1)))
        gan.compile(*(keras.optimizers.Adam(rate, beta_1=0.5) for _ in range(2)))
        fixed, moments, history = keras.random.normal((10, 100)), [], {}
        rounds = min(5, steps)
        for _ in range(rounds):
            for name, values in fit(gan, images, batch_size, steps=steps // rounds, records=1).items():
                history.setdefault(name, []).extend(values)
            moments.append(gan.decode(fixed))
        results[f"rate={rate}"] = {"history": history}
        curves(f"{out}/rate{rate}_losses.png", {name: history[name] for name in ("d_loss", "g_loss")})
        curves(f"{out}/rate{rate}_outputs.png", {name: history[name] for name in ("d_real", "d_fake_g_step")})
        picture(f"{out}/rate{rate}_samples.png", moments)
    return save(out, results)
    # TODO end
