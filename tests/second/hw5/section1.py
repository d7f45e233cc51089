"""Section 1: autoencoders (sheet 000, I)."""

import itertools

import keras
import numpy as np
from keras import layers

from hw5 import models, networks
from hw5.common import autoencoder_figures, fit, mnist, save


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
    train, validation = mnist(train_size)
    builders = {
        "linear": (networks.linear_autoencoder, "mse"),
        "nonlinear": (networks.nonlinear_autoencoder, "cross_entropy"),
        "stacked": (networks.stacked_autoencoder, "cross_entropy"),
    }
    mse = {name: {} for name in (*builders, "pretrained")}
    for name, (build, loss) in builders.items():
        for dim in k:
            model = models.Autoencoder(*build(dim), loss=loss)
            fit(model, train, batch_size, epochs=epochs)
            mse[name][dim] = error(model, validation)
            if name == "linear":
                autoencoder_figures(f"{out}/{name}/k{dim}", model, train, validation)
    for dim in k:
        mse["pretrained"][dim] = error(pretrained(dim, train, batch_size, epochs), validation)
    return save(out, {"mse": mse, "pca_mse": {dim: pca_error(train, validation, dim) for dim in k}})
    # TODO end


def error(model, images):
    return float(np.mean((np.asarray(model.reconstruct(images)) - images) ** 2))


def pca_error(train, validation, dim):
    flat, other = (images.reshape(len(images), -1).astype(np.float64) for images in (train, validation))
    mean = flat.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    directions = vectors[:, -dim:]
    rest = other - mean
    return float(np.mean((rest - rest @ directions @ directions.T) ** 2))


def pretrained(dim, train, batch_size, epochs):
    """Train pairs of layers from the outside to the inside, each as an autoencoder of the codes before, then all."""
    widths = (784, 512, 128, dim)
    inputs, encoders, decoders = train.reshape(len(train), -1), [], []
    for before, after in itertools.pairwise(widths):
        inner = None if after == dim else "relu"
        encoder = keras.Sequential([keras.Input((before,)), layers.Dense(after, activation=inner)])
        decoder = keras.Sequential([keras.Input((after,)), layers.Dense(before)])
        pair = keras.Sequential([encoder, decoder])
        pair.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse", jit_compile=False)
        pair.fit(inputs, inputs, batch_size=batch_size, epochs=epochs, verbose=0)
        inputs = np.asarray(encoder(inputs))
        encoders, decoders = encoders + [encoder], [decoder] + decoders
    encoder = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), *encoders])
    decoder = keras.Sequential([keras.Input((dim,)), *decoders, layers.Reshape((28, 28, 1))])
    model = models.Autoencoder(encoder, decoder)
    fit(model, train, batch_size, epochs=epochs)
    return model
