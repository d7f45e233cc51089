"""Section 5: faces (sheet 002)."""


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
    raise NotImplementedError
    # TODO end
