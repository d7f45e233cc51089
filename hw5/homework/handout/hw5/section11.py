"""Section 11: a DCGAN of MNIST (sheet 004; optional)."""


def run(out="figures/section11", steps=5000, train_size=None, batch_size=64, hidden=16):
    """Train the DCGAN at 32×32, and draw its curves, samples (11.3) and interpolations (11.5).

    The names of files with interpolations contain "interpolation".

    Returns:
        {"results": {"history": {"d_loss", "g_loss", "d_real", "d_fake_d_step", "d_fake_g_step": numbers over the
        training; the last two are D(G(z)) before and after D is updated}, "samples": {the name of the network that
        gives the features: {"fid": …}}, "at_the_end": {"d_real": …, "d_fake_g_step": …}}}
    """
    # TODO start
    raise NotImplementedError
    # TODO end
