"""The networks of the sheets, one builder per layer table.

Every encoder takes images [batch, h, w, c], every decoder returns such images: logits where the
model's likelihood is Bernoulli, pixel values where its loss is the squared error. A builder returns
the pair (encoder, decoder) as Keras models.
"""

from collections.abc import Sequence
from math import prod

import keras
from keras import layers

MNIST_SHAPE = (28, 28, 1)
ACTIVATIONS = ("elu", "gelu", "leaky_relu", "relu", "sigmoid", "softplus", "tanh")


def linear_autoencoder(code_dim: int, image_shape: Sequence[int] = MNIST_SHAPE):
    """Sheet 000, I.1: Flatten, Dense(k) and back, Dense(784), without a non-linearity."""
    return (
        _encoder("linear_encoder", image_shape, [layers.Dense(code_dim, name="code")]),
        _decoder("linear_decoder", image_shape, code_dim, []),
    )


def nonlinear_autoencoder(code_dim: int, image_shape: Sequence[int] = MNIST_SHAPE):
    """Sheet 000, I.6: as the linear one with a ReLU after the code; the decoder returns logits."""
    return (
        _encoder("nonlinear_encoder", image_shape, [layers.Dense(code_dim, activation="relu", name="code")]),
        _decoder("nonlinear_decoder", image_shape, code_dim, []),
    )


def stacked_autoencoder(
    code_dim: int,
    hidden: Sequence[int] = (256, 128),
    activation: str = "relu",
    image_shape: Sequence[int] = MNIST_SHAPE,
):
    """Sheet 000, I.7: hidden layers of falling width, a linear code, and the mirror image; logits out.

    Widths and a linear code as in Hinton & Salakhutdinov 2006; `hidden` names the encoder's layers.
    """
    down = [layers.Dense(units, activation=activation, name=f"down_{i}") for i, units in enumerate(hidden, 1)]
    up = [layers.Dense(units, activation=activation, name=f"up_{i}") for i, units in reversed([*enumerate(hidden, 1)])]
    return (
        _encoder("stacked_encoder", image_shape, [*down, layers.Dense(code_dim, name="code")]),
        _decoder("stacked_decoder", image_shape, code_dim, up),
    )


def dense_vae(
    latent_dim: int,
    hidden: int = 512,
    activation: str = "softplus",
    image_shape: Sequence[int] = MNIST_SHAPE,
):
    """Sheet 000, II.1: 784 → 512 → (μ, s = log σ²) and z → 512 (sigmoid) → 784 logits.

    The encoder returns the pair [μ, s], each [batch, latent_dim], without a non-linearity.
    """
    images = keras.Input(image_shape, name="images")
    features = layers.Dense(hidden, activation=activation, name="hidden")(layers.Flatten(name="flatten")(images))
    mean = layers.Dense(latent_dim, name="mean")(features)
    log_var = layers.Dense(latent_dim, name="log_var")(features)
    encoder = keras.Model(images, [mean, log_var], name="vae_encoder")
    # With Keras' default (Glorot, gain 1) the inputs of these sigmoids deviate by 0.2 from zero, and all
    # start out as the constant ½. Fan-in scaling with the sigmoid's gain of 4 lets them start apart.
    wide = keras.initializers.VarianceScaling(16.0, mode="fan_in", distribution="uniform")
    up = [layers.Dense(hidden, activation="sigmoid", kernel_initializer=wide, name="hidden")]
    return encoder, _decoder("vae_decoder", image_shape, latent_dim, up)


def _encoder(name, image_shape, stack):
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(name="flatten"), *stack], name=name)


def _decoder(name, image_shape, code_dim, stack):
    output = [layers.Dense(prod(image_shape), name="pixels"), layers.Reshape(image_shape, name="image")]
    return keras.Sequential([keras.Input((code_dim,)), *stack, *output], name=name)
