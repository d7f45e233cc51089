"""Section 7: a GAN on a quadratic (sheet 003, 2.2)."""

import keras
import matplotlib.pyplot as plt
import numpy as np

from hw5 import models, networks
from hw5.common import curves, fit, save


def run(out="figures/section7", steps=10_000, learning_rate=1e-3, optimizer="rmsprop"):
    """Train a GAN on points (x, y) with random x and a quadratic function y of x (7.1).

    Draw the losses, real and generated points over the training, and the features of the discriminator (7.2).

    Args:
        learning_rate, optimizer: choose the sheet's as the defaults; the optimizer is "rmsprop" or "adam".

    Returns:
        {"results": {"history": {"d_loss": at least 5 numbers over the training, "g_loss": …}}}
    """
    # TODO start
    rng = np.random.default_rng(0)

    def parabola(count):
        x = rng.uniform(-1, 1, count)
        return np.float32(np.stack([x, 2 * x**2 - 0.5], axis=1))

    gan = models.GAN(*networks.plane_gan(), activation="linear")
    kind = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}[optimizer]
    gan.compile(kind(learning_rate), kind(learning_rate))
    train, history = parabola(10_000), {}
    rounds = max(1, steps // 1000)
    figure, panels = plt.subplots(1, rounds + 1, squeeze=False)
    for index in range(rounds):
        for name, values in fit(gan, train, 256, steps=steps // rounds, records=10).items():
            history.setdefault(name, []).extend(values)
        generated, real = np.asarray(gan.generate(500)), parabola(500)
        for points in (real, generated):
            panels[0, index].scatter(*points.T, s=2)
    features = keras.Model(gan.discriminator.input, gan.discriminator.layers[-2].output)
    for points in (real, generated):
        panels[0, -1].scatter(*np.asarray(features(points)).T, s=2)
    curves(f"{out}/losses.png", {name: history[name] for name in ("d_loss", "g_loss")})
    figure.savefig(f"{out}/points_and_features.png")
    plt.close(figure)
    return save(out, {"history": history})
    # TODO end
