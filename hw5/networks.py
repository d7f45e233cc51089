"""The networks of the sheets, one builder per layer table.

Every encoder takes images [batch, h, w, c], every decoder returns such images: logits where the
model's likelihood is Bernoulli, pixel values where its loss is the squared error. A builder returns
the pair (encoder, decoder) as Keras models.
"""

import contextlib
from collections.abc import Sequence
from math import prod

import keras
from keras import layers, ops

from hw5.layers import BatchNormalization, NearestConv2D, SelfModulatedBatchNormalization

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
    encoder = keras.Model(images, _posterior(features, latent_dim), name="vae_encoder")
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
    encoder = keras.Model(images, _posterior(features, latent_dim), name="tanh_encoder")
    up = [layers.Dense(hidden, activation="tanh", name="hidden")]
    return encoder, _decoder("tanh_decoder", image_shape, latent_dim, up)


def deep_tanh_vae(
    latent_dim: int = 50,
    hidden: Sequence[int] = (200, 200),
    context: int = 0,
    image_shape: Sequence[int] = MNIST_SHAPE,
):
    """Burda et al. 2016, section 5.1: 784 → 200 → 200 (tanh) → (μ, log σ²) of 50, and the reverse, to logits.

    Args:
        context: width of a third output of the encoder, for a flow; 0 for none.
    """
    images = keras.Input(image_shape, name="images")
    features = layers.Flatten(name="flatten")(images)
    for number, units in enumerate(hidden, 1):
        features = layers.Dense(units, activation="tanh", name=f"down_{number}")(features)
    encoder = keras.Model(images, _posterior(features, latent_dim, context), name="deep_tanh_encoder")
    up = [
        layers.Dense(units, activation="tanh", name=f"up_{number}")
        for number, units in reversed([*enumerate(hidden, 1)])
    ]
    return encoder, _decoder("deep_tanh_decoder", image_shape, latent_dim, up)


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
        layers.Conv2DTranspose(channels, 3, 1, "same", name="dec_6", dtype="float32"),
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
        layers.Conv2DTranspose(channels, 4, 2, "same", name="dec_3", dtype="float32"),
    ]
    encoder = keras.Model(images, outputs, name="shallow_encoder")
    return encoder, keras.Sequential([keras.Input((latent_dim,)), *decoder], name="shallow_decoder")


@contextlib.contextmanager
def precision(mixed: bool = True):
    """Context in which networks are built to compute in bfloat16, with weights, normalisation statistics and
    outputs in float32; if not `mixed`, all in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if mixed else before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


UPSAMPLINGS = ("deconv", "nearest", "bilinear")
NORMALIZATIONS = ("batch", "layer", "none")


def dcgan(
    latent_dim: int = 100,
    hidden: int = 16,
    image_shape: Sequence[int] = (32, 32, 1),
    upsampling: str = "deconv",
    normalization: str = "batch",
    self_modulation: bool = False,
):
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
        upsampling: how the generator doubles the size (sheet 002, 3): "deconv", as above; "nearest" or
            "bilinear", interpolation and then a convolution of kernel 3, with 9/16 of the weights.
        normalization: the discriminator's: "batch"; or for a penalty of D's gradient, which is that of single images
            (Gulrajani et al. 2017, section 4), "layer" or "none". Without, its convolutions have biases, and
            the initial weights of He et al. 2015, which keep the signal as large as normalisation would.
        self_modulation: the generator is that of Chen et al. 2019 for Miyato et al.'s network (2018, table 3). z
            modulates every normalisation; without, it has to spread from 4×4 pixels, and what should be one
            colour comes out as several. And the last doubling keeps `hidden` channels, of which one more convolution
            of kernel 3 makes the image; without, each pixel is drawn from half the image's size at once, and
            contours come out dotted.

    Returns:
        (generator, discriminator): z [batch, latent_dim] → images before their tanh [batch, h, w, c];
        images in [−1, 1] → logits [batch, 1].
    """
    volume, doublings = _dcgan_size(image_shape, hidden)
    make = _self_modulated_generator if self_modulation else _dcgan_generator
    generator = make("dcgan_generator", latent_dim, volume, doublings, image_shape[-1], upsampling)
    down = [*_dcgan_down(hidden, doublings, normalization), layers.Dense(1, **_dcgan_normal(), dtype="float32")]
    return generator, keras.Sequential([keras.Input(image_shape), *down], name="dcgan_discriminator")


def dcgan_vae(
    latent_dim: int = 100,
    hidden: int = 32,
    image_shape: Sequence[int] = (64, 64, 3),
    upsampling: str = "deconv",
    *,
    extra_channels: int = 0,
    context: int = 0,
):
    """The generator of `dcgan` as decoder and its discriminator, down to the last volume, as encoder (sheet 002, 3).

    The decoder's first layer has biases, one a unit of the volume. Without them z = 0, the middle of the prior,
    decodes to the same pattern everywhere, and the codes of images with a fixed layout have to stay away from it.

    Args:
        latent_dim, hidden, image_shape, upsampling: as of `dcgan`.
        extra_channels: of the decoder's output, beyond those of the images (`hw5.likelihoods`).
        context: width of a third output of the encoder, for a flow; 0 for none.

    Returns:
        (encoder, decoder): images [batch, h, w, c] → [μ, log σ²] and the context; z → logits
        [batch, h, w, c + extra_channels].
    """
    volume, doublings = _dcgan_size(image_shape, hidden)
    images = keras.Input(image_shape, name="images")
    features = keras.Sequential(_dcgan_down(hidden, doublings, "batch"), name="convolutions")(images)
    encoder = keras.Model(images, _posterior(features, latent_dim, context), name="dcgan_encoder")
    channels = image_shape[-1] + extra_channels
    decoder = _dcgan_generator("dcgan_decoder", latent_dim, volume, doublings, channels, upsampling, use_bias=True)
    return encoder, decoder


def _dcgan_size(image_shape, hidden):
    """The smallest volume (side, side, channels), and how often it is doubled."""
    side, doublings = image_shape[0], 0
    while side > 7 and side % 2 == 0:
        side, doublings = side // 2, doublings + 1
    if image_shape[0] != image_shape[1] or side > 7 or not doublings:
        raise ValueError(f"image_shape={tuple(image_shape)}: must be square, 4 to 7 times a power of 2 a side")
    return (side, side, hidden * 2 ** (doublings - 1)), doublings


def _dcgan_normal():
    """Section 4 of the paper. An initializer of its own for every layer: one draws the same numbers each time."""
    return dict(kernel_initializer=keras.initializers.RandomNormal(0, 0.02), use_bias=False)


def _dcgan_normalization():
    return BatchNormalization(gamma_initializer=keras.initializers.RandomNormal(1, 0.02))


def _dcgan_doubling(width, upsampling, **dtype):
    """The layers that double the size."""
    if upsampling not in UPSAMPLINGS:
        raise ValueError(f"upsampling={upsampling!r}: must be one of {', '.join(UPSAMPLINGS)}")
    if upsampling == "deconv":
        return [layers.Conv2DTranspose(width, 4, 2, "same", **_dcgan_normal(), **dtype)]
    if upsampling == "nearest":
        return [NearestConv2D(width, **_dcgan_normal(), **dtype)]
    interpolation = layers.UpSampling2D(2, interpolation=upsampling)
    return [interpolation, layers.Conv2D(width, 3, 1, "same", **_dcgan_normal(), **dtype)]


def _dcgan_generator(name, latent_dim, volume, doublings, channels, upsampling, *, use_bias=False):
    up = [layers.Dense(prod(volume), **_dcgan_normal() | {"use_bias": use_bias}), layers.Reshape(volume)]
    for number in range(1, doublings):
        up += [_dcgan_normalization(), layers.ReLU(), *_dcgan_doubling(volume[-1] // 2**number, upsampling)]
    up += [_dcgan_normalization(), layers.ReLU(), *_dcgan_doubling(channels, upsampling, dtype="float32")]
    return keras.Sequential([keras.Input((latent_dim,)), *up], name=name)


def _self_modulated_generator(name, latent_dim, volume, doublings, channels, upsampling):
    z = keras.Input((latent_dim,), name="z")
    widths = [volume[-1] // 2 ** min(number, doublings - 1) for number in range(1, doublings + 1)]
    x = layers.Reshape(volume)(layers.Dense(prod(volume), **_dcgan_normal())(z))
    for width in widths:
        x = layers.ReLU()(SelfModulatedBatchNormalization()([x, z]))
        for layer in _dcgan_doubling(width, upsampling):
            x = layer(x)
    x = layers.ReLU()(SelfModulatedBatchNormalization()([x, z]))
    return keras.Model(z, layers.Conv2D(channels, 3, 1, "same", **_dcgan_normal(), dtype="float32")(x), name=name)


def _dcgan_down(hidden, doublings, normalization):
    """The discriminator's layers but the last: a volume, flattened."""
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization={normalization!r}: must be one of {', '.join(NORMALIZATIONS)}")
    down = []
    for number in range(doublings):
        initial = {"kernel_initializer": keras.initializers.HeNormal()} if normalization == "none" else _dcgan_normal()
        down.append(layers.Conv2D(hidden * 2**number, 4, 2, "same", **initial))
        if number and normalization == "batch":
            down.append(_dcgan_normalization())
        if number and normalization == "layer":
            down.append(layers.LayerNormalization(axis=(1, 2, 3)))
        down.append(layers.LeakyReLU(0.2))
    return [*down, layers.Flatten()]


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


def _posterior(features, latent_dim, context=0):
    """Dense layers for μ and log σ², and where it is wanted a third of `context` units."""
    outputs = [layers.Dense(latent_dim, name=name, dtype="float32")(features) for name in ("mean", "log_var")]
    if context:
        outputs.append(layers.Dense(context, name="context", dtype="float32")(features))
    return outputs


def _mean_and_log_var(features, latent_dim, name):
    """A dense layer with the halves (μ, log σ), returned as [μ, log σ²]."""
    mean, log_sigma = ops.split(layers.Dense(2 * latent_dim, name=name, dtype="float32")(features), 2, axis=-1)
    return [mean, 2.0 * log_sigma]


def _encoder(name, image_shape, stack):
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(name="flatten"), *stack], name=name)


def _decoder(name, image_shape, code_dim, stack):
    output = [
        layers.Dense(prod(image_shape), name="pixels", dtype="float32"),
        layers.Reshape(image_shape, name="image", dtype="float32"),
    ]
    return keras.Sequential([keras.Input((code_dim,)), *stack, *output], name=name)
