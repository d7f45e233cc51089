"""Section 8: a DCGAN of emojis (sheet 003, 2.3 and 4)."""


def run(out="figures/section8", data_dir=None, steps=None, fid_samples=None, batch_size=64, hidden=32):
    """Train a DCGAN with the least-squares objective, on images scaled to [−1, 1].

    Save what the generator makes of one fixed noise, before the training, every 200 iterations and at the end (8.3).
    Measure the FID of generated images against the training images (8.4).

    Args:
        data_dir: a folder of PNGs of 32×32; transparent pixels are laid on white (8.1). None for "emojione".
        steps, fid_samples: choose the sheet's numbers as the defaults (8.2, 8.4).

    Returns:
        {"results": {what you measured}}
    """
    # TODO start
    raise NotImplementedError
    # TODO end
