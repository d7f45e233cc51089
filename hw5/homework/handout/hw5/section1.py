"""Section 1: autoencoders (sheet 000, I)."""


def run(out="figures/section1", k=(2, 5, 10, 50, 100), epochs=10, train_size=None, batch_size=100):
    """Train autoencoders of MNIST, scaled to [0, 1]; 90 % of the training images train, the rest validates.

    Draw, with the linear autoencoder (1.4): training and validation images beside their reconstructions; interpolations
    in 10 steps between codes of a training and a validation image; 10 decoded codes from N(0, I). What is optional:
    PCA (1.5), a non-linear autoencoder (1.6), and a stacked one, trained at once and layer by layer (1.7).

    Args:
        out: folder for the figures and for metrics.json, a file with the results.
        k: the dimensions of the codes.
        train_size: use only the first so many training images.

    Returns:
        {"results": {"mse": {"linear": {k: error of the validation images}}}}; optional: in "mse" the same for
        "nonlinear", "stacked" and "pretrained", and "pca_mse": {k: error}.
    """
    # TODO start
    raise NotImplementedError
    # TODO end
