"""Section 5: faces (sheet 002)."""

import keras
import numpy as np

from hw5 import data, models, networks
from hw5.common import blend, curves, fit, picture, save


def run(
    out="figures/section5",
    model="vae",
    variant="vanilla",
    upsampling="deconv",
    steps=2000,
    train_size=None,
    batch_size=16,
):
    """Train one model of the faces "cartoon_faces", plain or a variant.

    Draw samples, traversals of single latent dimensions, and interpolations in latent space and in pixels (5.5).

    Args:
        model: "vae" or "gan". One of them is enough, and then the argument is not needed.
        variant: "vanilla", or "iwae" or "flow" of a VAE, "wgan" or "lsgan" of a GAN.

    Returns:
        {"results": {a name of the training: {"history": …}}}. The history has what was monitored, as lists of numbers
        over the training (5.8): "reconstruction" and "kl" of a VAE, "d_loss", "d_real", D(x), and
        "d_fake_g_step", D(G(z)), of a GAN.
    """
    # TODO start
    faces = data.load("cartoon_faces", limit=train_size) / np.float32(255)
    name = f"{model}_{variant}"
    if model == "gan":
        objective = {"vanilla": "non_saturating", "wgan": "wasserstein", "lsgan": "least_squares"}[variant]
        clip = 0.05 if variant == "wgan" else None
        trained = models.GAN(*networks.dcgan(100, 16, faces.shape[1:], upsampling), objective, weight_clip=clip)
        trained.compile(*(keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)))
        faces = 2 * faces - 1
    else:
        kind = {"vanilla": models.VAE, "iwae": models.ImportanceWeightedVAE, "flow": models.FlowVAE}[variant]
        trained = kind(*networks.dcgan_vae(100, 16, faces.shape[1:], upsampling))
    history = fit(trained, faces, batch_size, steps=steps)

    def decode(codes):
        return trained.decode(np.asarray(codes, np.float32))

    curves(f"{out}/{name}/curves.png", history)
    z = np.random.default_rng(0).standard_normal((10, 100))
    picture(f"{out}/{name}/samples.png", [decode(z)])
    moved = [z[0] + step * np.eye(100)[dim] for dim in range(5) for step in np.linspace(-3, 3, 7)]
    picture(f"{out}/{name}/traversal.png", np.reshape(decode(moved), (5, 7, 64, 64, 3)))
    weights = np.linspace(0, 1, 11)
    ends = decode(z[:2])
    picture(f"{out}/{name}/interpolation.png", [decode(blend(*z[:2], weights)), blend(*ends, weights)])
    return save(out, {name: {"history": history}})
    # TODO end
