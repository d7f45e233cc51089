"""The networks of the sheets, one builder per layer table.

Every encoder takes images [batch, h, w, c], every decoder returns such images: logits where the
model's likelihood is Bernoulli, pixel values where its loss is the squared error. A builder returns
the pair (encoder, decoder) as Keras models.
"""

from collections.abc import Sequence
from math import prod

import keras
from keras import layers, ops

from hw5.layers import BatchNormalization

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


def denoising_autoencoder(
    hidden: Sequence[int] = (1024, 512),
    image_shape: Sequence[int] = MNIST_SHAPE,
):
    """Sheet 003, 1.2: a multilayer perceptron, wide enough to hand on what is not noise; logits out.

    `hidden` names the encoder's widths, the last of them the code's; the decoder mirrors them.
    """
    *widths, code_dim = hidden
    down = [layers.Dense(units, activation="relu", name=f"down_{i}") for i, units in enumerate(widths, 1)]
    up = [layers.Dense(units, activation="relu", name=f"up_{i}") for i, units in reversed([*enumerate(widths, 1)])]
    code = layers.Dense(code_dim, activation="relu", name="code")
    return (
        _encoder("denoising_encoder", image_shape, [*down, code]),
        _decoder("denoising_decoder", image_shape, code_dim, up),
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


def tanh_vae(
    latent_dim: int = 32,
    hidden: int = 200,
    dropout: float = 0.1,
    image_shape: Sequence[int] = MNIST_SHAPE,
):
    """Sheet 001: 784 → 200 (tanh, dropout) → (μ, log σ²) and the reverse without dropout, to 784 logits.

    Exponentiating the second half of the encoder's output makes it the positive variance of the sheet.
    """
    images = keras.Input(image_shape, name="images")
    features = layers.Dense(hidden, activation="tanh", name="hidden")(layers.Flatten(name="flatten")(images))
    features = layers.Dropout(dropout, name="dropout")(features)
    mean = layers.Dense(latent_dim, name="mean")(features)
    log_var = layers.Dense(latent_dim, name="log_var")(features)
    encoder = keras.Model(images, [mean, log_var], name="tanh_encoder")
    up = [layers.Dense(hidden, activation="tanh", name="hidden")]
    return encoder, _decoder("tanh_decoder", image_shape, latent_dim, up)


def convolutional_vae(latent_dim: int, image_shape: Sequence[int] = (32, 32, 1)):
    """Sheet 004, the table of the VAE: four convolutions and two dense layers, and their mirror image.

    The second half of Enc-6 is log σ, as the sheet has it; the encoder returns [μ, 2 log σ = log σ²].
    Dec-6 returns logits in place of their sigmoid.
    """
    *size, channels = image_shape
    if any(side % 4 for side in size):
        raise ValueError(f"image_shape={tuple(image_shape)}: height and width must be multiples of 4")
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(16, 3, 1, "same", activation="relu", name="enc_1")(images)
    x = layers.Conv2D(32, 3, 2, "same", activation="relu", name="enc_2")(x)
    x = layers.Conv2D(32, 3, 1, "same", activation="relu", name="enc_3")(x)
    x = layers.Conv2D(16, 3, 2, "same", activation="relu", name="enc_4")(x)
    x = layers.Flatten(name="flatten")(x)
    # With few latents, a ReLU that is closed at first may never open; a bias of 1 lets all start open.
    x = layers.Dense(2 * latent_dim, activation="relu", bias_initializer="ones", name="enc_5")(x)
    encoder = keras.Model(images, _mean_and_log_var(x, latent_dim, "enc_6"), name="convolutional_encoder")
    volume = (size[0] // 4, size[1] // 4, 16)
    decoder = [
        layers.Dense(latent_dim, activation="relu", bias_initializer="ones", name="dec_1"),
        layers.Dense(prod(volume), name="dec_2"),
        layers.Reshape(volume, name="volume"),
        layers.Conv2DTranspose(32, 3, 2, "same", activation="relu", name="dec_3"),
        layers.Conv2DTranspose(32, 3, 1, "same", activation="relu", name="dec_4"),
        layers.Conv2DTranspose(16, 3, 2, "same", activation="relu", name="dec_5"),
        layers.Conv2DTranspose(channels, 3, 1, "same", name="dec_6"),
    ]
    return encoder, keras.Sequential([keras.Input((latent_dim,)), *decoder], name="convolutional_decoder")


def shallow_vae(latent_dim: int, image_shape: Sequence[int] = (32, 32, 1)):
    """Sheet 004, bonus ("using less layers"): two convolutions, straight to the latents, and back."""
    *size, channels = image_shape
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(16, 4, 2, "same", activation="relu", name="enc_1")(images)
    x = layers.Conv2D(32, 4, 2, "same", activation="relu", name="enc_2")(x)
    outputs = _mean_and_log_var(layers.Flatten(name="flatten")(x), latent_dim, "enc_3")
    volume = (size[0] // 4, size[1] // 4, 32)
    decoder = [
        layers.Dense(prod(volume), activation="relu", name="dec_1"),
        layers.Reshape(volume, name="volume"),
        layers.Conv2DTranspose(16, 4, 2, "same", activation="relu", name="dec_2"),
        layers.Conv2DTranspose(channels, 4, 2, "same", name="dec_3"),
    ]
    encoder = keras.Model(images, outputs, name="shallow_encoder")
    return encoder, keras.Sequential([keras.Input((latent_dim,)), *decoder], name="shallow_decoder")


def dcgan(latent_dim: int = 100, hidden: int = 16, image_shape: Sequence[int] = (32, 32, 1)):
    """Generator and discriminator of Radford et al. 2016, as small as the sheets have them.

    The generator of sheet 004 for 32×32: z → 4×4 with 4·hidden channels → 8×8, 2·hidden → 16×16, hidden
    → 32×32, by transposed convolutions of kernel 4 and stride 2, with batch normalisation and ReLU. Other
    sizes have as many doublings as it takes from 4 to 7 pixels a side (28×28 starts at 7×7). The
    discriminator is the mirror image with LeakyReLU(0.2); its first layer is not normalised.

    The first layer of the one, a transposed convolution of a single pixel, and the last of the other, a
    convolution to a single pixel, are dense layers: the same function of as many weights, up to twice as fast.

    Args:
        latent_dim: dimensions of z.
        hidden: channels at half the image's size.
        image_shape: (h, w, c), h = w.

    Returns:
        (generator, discriminator): z [batch, latent_dim] → images before their tanh [batch, h, w, c];
        images in [−1, 1] → logits [batch, 1].
    """
    side, doublings = image_shape[0], 0
    while side > 7 and side % 2 == 0:
        side, doublings = side // 2, doublings + 1
    if image_shape[0] != image_shape[1] or side > 7 or not doublings:
        raise ValueError(f"image_shape={tuple(image_shape)}: must be square, 4 to 7 times a power of 2 a side")
    widths = [hidden * 2**i for i in range(doublings)]

    def normal():  # section 4. An initializer of its own for every layer: one draws the same numbers each time.
        return dict(kernel_initializer=keras.initializers.RandomNormal(0, 0.02), use_bias=False)

    def normalized(layer, activation):
        return [layer, BatchNormalization(gamma_initializer=keras.initializers.RandomNormal(1, 0.02)), activation]

    volume = (side, side, widths[-1])
    up = [layers.Dense(prod(volume), **normal()), *normalized(layers.Reshape(volume), layers.ReLU())]
    down = [layers.Conv2D(widths[0], 4, 2, "same", **normal()), layers.LeakyReLU(0.2)]
    for width in widths[1:]:
        up[4:4] = normalized(layers.Conv2DTranspose(width // 2, 4, 2, "same", **normal()), layers.ReLU())
        down += normalized(layers.Conv2D(width, 4, 2, "same", **normal()), layers.LeakyReLU(0.2))
    up += [layers.Conv2DTranspose(image_shape[-1], 4, 2, "same", **normal())]
    down += [layers.Flatten(), layers.Dense(1, **normal())]
    generator = keras.Sequential([keras.Input((latent_dim,)), *up], name="dcgan_generator")
    return generator, keras.Sequential([keras.Input(image_shape), *down], name="dcgan_discriminator")


def plane_gan(
    latent_dim: int = 2, generator_hidden: Sequence[int] = (64, 64), discriminator_hidden: Sequence[int] = (64, 64)
):
    """Sheet 003, 2.2: a generator of points in the plane, and a discriminator whose third hidden layer is a plane.

    Args:
        generator_hidden, discriminator_hidden: widths of G's hidden layers, and of D's first two.

    Returns:
        (generator, discriminator): z [batch, latent_dim] → [batch, 2]; [batch, 2] → logits [batch, 1],
        by way of the layer "features" of 2 units.
    """

    def hidden(widths):
        return [layer for units in widths for layer in (layers.Dense(units), layers.LeakyReLU(0.2))]

    up = [*hidden(generator_hidden), layers.Dense(2)]
    down = [*hidden(discriminator_hidden), layers.Dense(2), layers.LeakyReLU(0.2, name="features"), layers.Dense(1)]
    generator = keras.Sequential([keras.Input((latent_dim,)), *up], name="plane_generator")
    return generator, keras.Sequential([keras.Input((2,)), *down], name="plane_discriminator")


def _mean_and_log_var(features, latent_dim, name):
    """A dense layer with the halves (μ, log σ), returned as [μ, log σ²]."""
    mean, log_sigma = ops.split(layers.Dense(2 * latent_dim, name=name)(features), 2, axis=-1)
    return [mean, 2.0 * log_sigma]


def _encoder(name, image_shape, stack):
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(name="flatten"), *stack], name=name)


def _decoder(name, image_shape, code_dim, stack):
    output = [layers.Dense(prod(image_shape), name="pixels"), layers.Reshape(image_shape, name="image")]
    return keras.Sequential([keras.Input((code_dim,)), *stack, *output], name=name)
