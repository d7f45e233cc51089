"""Section 11: a DCGAN of MNIST (sheet 004; optional)."""

import keras
import numpy as np

from hw5 import metrics, models, networks
from hw5.common import blend, classifier, curves, fit, gaussian, mnist, picture, save


def run(out="figures/section11", steps=5000, train_size=None, batch_size=64, hidden=16):
    """Train the DCGAN at 32×32, and draw its curves, samples (11.3) and interpolations (11.5).

    The names of files with interpolations contain "interpolation".

    Returns:
        {"results": {"history": {"d_loss", "g_loss", "d_real", "d_fake_d_step", "d_fake_g_step": numbers over the
        training; the last two are D(G(z)) before and after D is updated}, "samples": {the name of the network that
        gives the features: {"fid": …}}, "at_the_end": {"d_real": …, "d_fake_g_step": …}}}
    """
    # TODO start
    images = 2 * mnist(train_size, 32)[0] - 1
    gan = models.GAN(*networks.dcgan(100, hidden, (32, 32, 1)))
    gan.compile(*(keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)))
    rng = np.random.default_rng(0)
    fixed, moments, history = rng.standard_normal((10, 100)).astype(np.float32), [], {}
    rounds = min(5, steps)
    for _ in range(rounds):
        for name, values in fit(gan, images, batch_size, steps=steps // rounds, records=1).items():
            history.setdefault(name, []).extend(values)
        moments.append(gan.decode(fixed))
    curves(f"{out}/curves.png", history)
    picture(f"{out}/fixed_noise.png", moments)
    weights = np.linspace(-0.25, 1.25, 13)
    codes = [blend(*rng.standard_normal((2, 100)), weights).astype(np.float32) for _ in range(5)]
    picture(f"{out}/interpolation.png", [gan.decode(row) for row in codes])
    digits = mnist(1000, 32)[0]
    fake, real = (gaussian(np.asarray(classifier(32, out)(part)[0])) for part in (gan.generate(1000), digits))
    fid = metrics.frechet_distance(*fake, *real)
    end = {name: history[name][-1] for name in ("d_real", "d_fake_g_step")}
    return save(out, {"history": history, "samples": {"own_classifier": {"fid": fid}}, "at_the_end": end})
    # TODO end
