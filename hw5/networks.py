"""The networks of the sheets, one builder per layer table.

Every encoder takes images [batch, h, w, c]. Every decoder returns such images: logits for a model with a
Bernoulli likelihood, pixel values for a model with the squared error. A builder returns the pair
(encoder, decoder) as Keras models.
"""

import contextlib
from collections.abc import Sequence
from math import prod

import keras
import tensorflow as tf
from keras import layers, ops

from hw5.errors import InputError
from hw5.layers import BatchNormalization, Dropout, NearestConv2D, SelfModulatedBatchNormalization

MNIST_SHAPE = (28, 28, 1)
ACTIVATIONS = ("elu", "gelu", "leaky_relu", "relu", "sigmoid", "softplus", "tanh")


def linear_autoencoder(code_dim: int, image_shape: Sequence[int] = MNIST_SHAPE):
    """Build sheet 000, I.1: Flatten, Dense(k) and back, Dense(784), without a non-linearity."""
    return (
        _encoder("linear_encoder", image_shape, [layers.Dense(code_dim, name="code")]),
        _decoder("linear_decoder", image_shape, code_dim, []),
    )


def nonlinear_autoencoder(code_dim: int, image_shape: Sequence[int] = MNIST_SHAPE):
    """Build sheet 000, I.6: as the linear one with a ReLU after the code; the decoder returns logits."""
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
    """Build sheet 000, I.7: hidden layers of falling width, a linear code, and the mirror image.

    Falling widths and a linear code as in Hinton & Salakhutdinov 2006. The decoder returns logits.

    Args:
        code_dim: dimensions of the code.
        hidden: widths of the encoder's hidden layers.
        activation: of the hidden layers.
        image_shape: (h, w, c).
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
    """Build sheet 003, 1.2: a multilayer perceptron, wide enough to preserve everything except the noise.

    The decoder mirrors the encoder and returns logits.

    Args:
        hidden: widths of the encoder's layers; the last one is that of the code.
        image_shape: (h, w, c).
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
    """Build sheet 000, II.1: 784 → 512 → (μ, s = log σ²) and z → 512 (sigmoid) → 784 logits.

    The encoder returns the pair [μ, s], each [batch, latent_dim], without a non-linearity.
    """
    images = keras.Input(image_shape, name="images")
    features = layers.Dense(hidden, activation=activation, name="hidden")(layers.Flatten(name="flatten")(images))
    encoder = keras.Model(images, _posterior_outputs(features, latent_dim), name="vae_encoder")
    # With Keras' default (Glorot, gain 1) the inputs of these sigmoids have a standard deviation of 0.2, and all
    # outputs start near ½. Fan-in scaling with the sigmoid's gain of 4 lets them start with different values.
    initializer = keras.initializers.VarianceScaling(16.0, mode="fan_in", distribution="uniform")
    up = [layers.Dense(hidden, activation="sigmoid", kernel_initializer=initializer, name="hidden")]
    return encoder, _decoder("vae_decoder", image_shape, latent_dim, up)


def tanh_vae(
    latent_dim: int = 32,
    hidden: int = 200,
    dropout: float = 0.1,
    image_shape: Sequence[int] = MNIST_SHAPE,
):
    """Build sheet 001: 784 → 200 (tanh, dropout) → (μ, log σ²) and the reverse without dropout, to 784 logits.

    The exponential of the encoder's second output is the positive variance of the sheet.
    """
    images = keras.Input(image_shape, name="images")
    features = layers.Dense(hidden, activation="tanh", name="hidden")(layers.Flatten(name="flatten")(images))
    features = Dropout(dropout, name="dropout")(features)
    encoder = keras.Model(images, _posterior_outputs(features, latent_dim), name="tanh_encoder")
    up = [layers.Dense(hidden, activation="tanh", name="hidden")]
    return encoder, _decoder("tanh_decoder", image_shape, latent_dim, up)


def deep_tanh_vae(
    latent_dim: int = 50,
    hidden: Sequence[int] = (200, 200),
    context: int = 0,
    image_shape: Sequence[int] = MNIST_SHAPE,
):
    """Build Burda et al. 2016, section 5.1: 784 → 200 → 200 (tanh) → (μ, log σ²) of 50, and the reverse, to logits.

    Args:
        latent_dim: dimensions of z.
        hidden: widths of the encoder's hidden layers.
        context: width of a third output of the encoder, for a flow; 0 for none.
        image_shape: (h, w, c).
    """
    images = keras.Input(image_shape, name="images")
    features = layers.Flatten(name="flatten")(images)
    for number, units in enumerate(hidden, 1):
        features = layers.Dense(units, activation="tanh", name=f"down_{number}")(features)
    encoder = keras.Model(images, _posterior_outputs(features, latent_dim, context), name="deep_tanh_encoder")
    up = [
        layers.Dense(units, activation="tanh", name=f"up_{number}")
        for number, units in reversed([*enumerate(hidden, 1)])
    ]
    return encoder, _decoder("deep_tanh_decoder", image_shape, latent_dim, up)


def convolutional_vae(latent_dim: int, image_shape: Sequence[int] = (32, 32, 1)):
    """Build sheet 004, the table of the VAE: four convolutions and two dense layers, and their mirror image.

    The second half of Enc-6 is log σ, as in the sheet; the encoder returns [μ, 2 log σ = log σ²]. Dec-6 returns
    logits; their sigmoid is in the loss.

    Raises:
        InputError: the height or the width is not a multiple of 4.
    """
    height, width, channels = _halved_twice(image_shape)
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(16, 3, 1, "same", activation="relu", name="enc_1")(images)
    x = layers.Conv2D(32, 3, 2, "same", activation="relu", name="enc_2")(x)
    x = layers.Conv2D(32, 3, 1, "same", activation="relu", name="enc_3")(x)
    x = layers.Conv2D(16, 3, 2, "same", activation="relu", name="enc_4")(x)
    x = layers.Flatten(name="flatten")(x)
    # With few latents, a ReLU that starts at 0 may stay there; a bias of 1 makes all of them start above 0.
    x = layers.Dense(2 * latent_dim, activation="relu", bias_initializer="ones", name="enc_5")(x)
    encoder = keras.Model(images, _mean_and_log_var(x, latent_dim, "enc_6"), name="convolutional_encoder")
    volume = (height, width, 16)
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
    """Build sheet 004, bonus ("using less layers"): two convolutions, a dense layer, and their mirror image.

    Raises:
        InputError: the height or the width is not a multiple of 4.
    """
    height, width, channels = _halved_twice(image_shape)
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(16, 4, 2, "same", activation="relu", name="enc_1")(images)
    x = layers.Conv2D(32, 4, 2, "same", activation="relu", name="enc_2")(x)
    outputs = _mean_and_log_var(layers.Flatten(name="flatten")(x), latent_dim, "enc_3")
    volume = (height, width, 32)
    decoder = [
        layers.Dense(prod(volume), activation="relu", name="dec_1"),
        layers.Reshape(volume, name="volume"),
        layers.Conv2DTranspose(16, 4, 2, "same", activation="relu", name="dec_2"),
        layers.Conv2DTranspose(channels, 4, 2, "same", name="dec_3", dtype="float32"),
    ]
    encoder = keras.Model(images, outputs, name="shallow_encoder")
    return encoder, keras.Sequential([keras.Input((latent_dim,)), *decoder], name="shallow_decoder")


def _halved_twice(image_shape):
    """Return a quarter of the height and of the width, and the channels."""
    height, width, channels = image_shape
    if height % 4 or width % 4:
        raise InputError(
            f"images of {height}×{width} pixels do not fit this network: height and width must be multiples of 4"
        )
    return height // 4, width // 4, channels


def half_precision() -> tuple[str, bool]:
    """Return Keras' policy of 16 bits for this machine, and whether a GPU here is made for it.

    NVIDIA's GPUs have matrix units for float16 from compute capability 7.0 (Volta) and for bfloat16 from 8.0 (Ampere).
    """
    gpus = tf.config.list_physical_devices("GPU")
    known = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    least = min(known, default=None)
    if least is None or least >= (8, 0):
        return "mixed_bfloat16", least is not None
    return "mixed_float16", least >= (7, 0)


@contextlib.contextmanager
def precision(mixed: bool = True):
    """Let the networks built in this context compute in 16 bits (`half_precision`), or if not `mixed`, in float32.

    Weights, normalisation statistics and outputs stay in float32.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(half_precision()[0] if mixed else before)
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
    """Build the generator and the discriminator of Radford et al. 2016, in the size of the sheets.

    The generator of sheet 004 for 32×32: z → 4×4 with 4·hidden channels → 8×8, 2·hidden → 16×16, hidden
    → 32×32, by transposed convolutions of kernel 4 and stride 2, with batch normalisation and ReLU. Other
    sizes start from 4 to 7 pixels per side and are doubled as often as necessary (28×28 starts at 7×7). The
    discriminator is the mirror image with LeakyReLU(0.2); its first layer is not normalised.

    The generator's first layer is a transposed convolution of a single pixel, and the discriminator's last
    layer a convolution to a single pixel. Both are built as dense layers: the same function with the same
    number of weights, up to twice as fast.

    Args:
        latent_dim: dimensions of z.
        hidden: channels at half the image's size.
        image_shape: (h, w, c), h = w.
        upsampling: how the generator doubles the size (sheet 002, 3): "deconv", as above; "nearest" or
            "bilinear", interpolation and then a convolution of kernel 3, with 9/16 of the weights.
        normalization: of the discriminator: "batch"; or, with a penalty of D's gradient, which is defined for
            single images (Gulrajani et al. 2017, section 4), "layer" or "none". With "none" the convolutions
            have biases, and the initial weights of He et al. 2015 keep the size of the signal.
        self_modulation: use the generator of Chen et al. 2019 for the network of Miyato et al. (2018, table 3).
            It differs in two ways. First, z modulates every normalisation; otherwise z has to spread from 4×4
            pixels, and an area that should have one colour gets several. Second, the last doubling keeps `hidden`
            channels, and one more convolution of kernel 3 makes the image; otherwise contours are dotted.

    Returns:
        (generator, discriminator): z [batch, latent_dim] → images before their tanh [batch, h, w, c];
        images in [−1, 1] → logits [batch, 1].

    Raises:
        InputError: images that are not square, or that halving does not bring to 4 to 7 pixels per side.
    """
    volume, doublings = _dcgan_size(image_shape, hidden)
    build_generator = _self_modulated_generator if self_modulation else _dcgan_generator
    generator = build_generator("dcgan_generator", latent_dim, volume, doublings, image_shape[-1], upsampling)
    down = [*_dcgan_down(hidden, doublings, normalization), layers.Dense(1, **_dcgan_normal(), dtype="float32")]
    return generator, keras.Sequential([keras.Input(image_shape), *down], name="dcgan_discriminator")


def dcgan_vae(
    latent_dim: int = 100,
    hidden: int = 32,
    image_shape: Sequence[int] = (64, 64, 3),
    upsampling: str = "deconv",
    *,
    output_channels: int | None = None,
    context: int = 0,
):
    """Build a VAE with the networks of `dcgan` (sheet 002, 3).

    The decoder is the generator. The encoder is the discriminator up to its last volume, and dense layers.

    The decoder's first layer has a bias for each unit of the volume. Without the biases z = 0, the centre of the
    prior, decodes to the same pattern everywhere, and the codes of images with a fixed layout must avoid it.

    Args:
        latent_dim, hidden, image_shape, upsampling: as in `dcgan`.
        output_channels: channels of the decoder's output (default: those of the images; `hw5.distributions`).
        context: width of a third output of the encoder, for a flow; 0 for none.

    Returns:
        (encoder, decoder): images [batch, h, w, c] → [μ, log σ²] and the context; z → logits
        [batch, h, w, output_channels].
    """
    volume, doublings = _dcgan_size(image_shape, hidden)
    images = keras.Input(image_shape, name="images")
    features = keras.Sequential(_dcgan_down(hidden, doublings, "batch"), name="convolutions")(images)
    encoder = keras.Model(images, _posterior_outputs(features, latent_dim, context), name="dcgan_encoder")
    channels = output_channels or image_shape[-1]
    decoder = _dcgan_generator("dcgan_decoder", latent_dim, volume, doublings, channels, upsampling, use_bias=True)
    return encoder, decoder


def _dcgan_size(image_shape, hidden):
    """Compute the smallest volume (side, side, channels) and the number of its doublings."""
    height, width, _ = image_shape
    side, doublings = height, 0
    while side > 7 and side % 2 == 0:
        side, doublings = side // 2, doublings + 1
    if height != width or side > 7 or not doublings:
        raise InputError(
            f"images of {height}×{width} pixels do not fit a DCGAN: they must be square, "
            "with a side of 4, 5, 6 or 7 times a power of 2, such as 28, 32, 48 or 64"
        )
    return (side, side, hidden * 2 ** (doublings - 1)), doublings


def _dcgan_normal():
    """Return the arguments of a layer that starts as in section 4 of the paper.

    Every layer gets an initializer of its own, because one initializer draws the same numbers each time.
    """
    return dict(kernel_initializer=keras.initializers.RandomNormal(0, 0.02), use_bias=False)


def _dcgan_normalization():
    return BatchNormalization(gamma_initializer=keras.initializers.RandomNormal(1, 0.02))


def _dcgan_doubling(width, upsampling, **dtype):
    """Build the layers that double the size."""
    if upsampling not in UPSAMPLINGS:
        raise InputError(f"upsampling={upsampling}: must be one of {', '.join(UPSAMPLINGS)}")
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
    """Build all layers of the discriminator except the last one; they end with a flat volume."""
    if normalization not in NORMALIZATIONS:
        raise InputError(f"normalization={normalization}: must be one of {', '.join(NORMALIZATIONS)}")
    down = []
    for number in range(doublings):
        weights = {"kernel_initializer": keras.initializers.HeNormal()} if normalization == "none" else _dcgan_normal()
        down.append(layers.Conv2D(hidden * 2**number, 4, 2, "same", **weights))
        if number and normalization == "batch":
            down.append(_dcgan_normalization())
        if number and normalization == "layer":
            down.append(layers.LayerNormalization(axis=(1, 2, 3)))
        down.append(layers.LeakyReLU(0.2))
    return [*down, layers.Flatten()]


def plane_gan(
    latent_dim: int = 2, generator_hidden: Sequence[int] = (64, 64), discriminator_hidden: Sequence[int] = (64, 64)
):
    """Build sheet 003, 2.2: a generator of points in the plane, and a discriminator with a hidden layer of two units.

    Args:
        latent_dim: dimensions of z.
        generator_hidden, discriminator_hidden: widths of G's hidden layers, and of D's first two.

    Returns:
        (generator, discriminator): z [batch, latent_dim] → [batch, 2]; [batch, 2] → logits [batch, 1],
        through the layer "features" of 2 units.
    """

    def hidden(widths):
        return [layer for units in widths for layer in (layers.Dense(units), layers.LeakyReLU(0.2))]

    up = [*hidden(generator_hidden), layers.Dense(2)]
    down = [*hidden(discriminator_hidden), layers.Dense(2), layers.LeakyReLU(0.2, name="features"), layers.Dense(1)]
    generator = keras.Sequential([keras.Input((latent_dim,)), *up], name="plane_generator")
    return generator, keras.Sequential([keras.Input((2,)), *down], name="plane_discriminator")


def _posterior_outputs(features, latent_dim, context=0):
    """Build the outputs μ and log σ², and with `context` a third one of that many units, as dense layers."""
    outputs = [layers.Dense(latent_dim, name=name, dtype="float32")(features) for name in ("mean", "log_var")]
    if context:
        outputs.append(layers.Dense(context, name="context", dtype="float32")(features))
    return outputs


def _mean_and_log_var(features, latent_dim, name):
    """Build a dense layer with the halves (μ, log σ), and return [μ, log σ²]."""
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
