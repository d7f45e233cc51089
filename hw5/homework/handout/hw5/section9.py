"""Section 9: interpolation with a VAE (sheet 003, 3.1)."""


def run(out="figures/section9", epochs=10, train_size=None, batch_size=100):
    """Train a VAE on images of the training set only (9.1), and draw interpolations between test images (9.2).

    Two figures have ten rows each, for pairs of the same digit and pairs of different digits: the first image, seven
    decoded interpolations of the codes, and the last image.

    Returns:
        {"results": {"same_class": (ten positions in the test set, ten others), "different_classes": the same}}
    """
    # TODO start
    raise NotImplementedError
    # TODO end
