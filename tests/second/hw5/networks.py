"""The networks of the sheets.

Encoders of VAEs have two outputs, μ and log σ², [batch, latent_dim] each. Decoders of VAEs and of autoencoders that are
trained with the cross-entropy give logits, without the last sigmoid. Images of MNIST are [28, 28, 1].
"""

import keras
from keras import layers


def linear_autoencoder(code_dim):
    """1.1: Build (encoder, decoder): one dense layer each, without activation."""
    # TODO start
    return _encoder((28, 28, 1), [], [code_dim]), _decoder(code_dim, [], (28, 28, 1))
    # TODO end


def nonlinear_autoencoder(code_dim):
    """1.6, optional: The same with a ReLU after the encoder; the decoder gives logits."""
    # TODO start
    encoder = _encoder((28, 28, 1), [], [code_dim], "relu")
    return encoder, _decoder(code_dim, [], (28, 28, 1))
    # TODO end


def stacked_autoencoder(code_dim, hidden=(512, 128)):
    """1.7, optional: Several dense layers of these widths in the encoder, and in the decoder the other way round."""
    # TODO start
    encoder = _encoder((28, 28, 1), [(width, "relu") for width in hidden], [code_dim])
    return encoder, _decoder(code_dim, [(width, "relu") for width in reversed(hidden)], (28, 28, 1))
    # TODO end


def dense_vae(latent_dim, *, image_shape=(28, 28, 1)):
    """2.1: 784 → 512 → μ and log σ²; z → 512 with a sigmoid → 784 logits.

    10.6, optional, uses it as another architecture, with image_shape=(32, 32, 1).
    """
    # TODO start
    encoder = _encoder(image_shape, [(512, "relu")], [latent_dim, latent_dim])
    return encoder, _decoder(latent_dim, [(512, "sigmoid")], image_shape)
    # TODO end


def tanh_vae(latent_dim=32, dropout=0.1):
    """4.1: 784 → 200 with tanh and dropout → μ and log σ²; z → 200 with tanh → 784 logits, without dropout."""
    # TODO start
    encoder = _encoder((28, 28, 1), [(200, "tanh")], [latent_dim, latent_dim], dropout=dropout)
    return encoder, _decoder(latent_dim, [(200, "tanh")], (28, 28, 1))
    # TODO end


def dcgan_vae(latent_dim=100, hidden=32, image_shape=(64, 64, 3), upsampling="deconv"):
    """5.2, 5.3, the way VAE: A decoder like the generator of a DCGAN, and an encoder that mirrors it.

    Args:
        hidden: the width of the narrowest convolution.
        upsampling: how the decoder doubles a feature map: "deconv", a transposed convolution with stride 2; "nearest"
            or "bilinear", upsampling and then a convolution.
    """
    # TODO start
    images = keras.Input(image_shape)
    x = layers.Flatten()(_halve(images, hidden, image_shape[0], True))
    encoder = keras.Model(images, [layers.Dense(latent_dim)(x), layers.Dense(latent_dim)(x)])
    return encoder, _doubling_network(latent_dim, hidden, image_shape, upsampling, None)
    # TODO end


def denoising_autoencoder(hidden=(512, 256)):
    """6.1: A multilayer perceptron of these widths; the last of them is the code's. The decoder mirrors it."""
    # TODO start
    encoder = _encoder((28, 28, 1), [(width, "relu") for width in hidden[:-1]], [hidden[-1]], "relu")
    return encoder, _decoder(hidden[-1], [(width, "relu") for width in hidden[-2::-1]], (28, 28, 1))
    # TODO end


def plane_gan(latent_dim=2, generator_hidden=(16, 16), discriminator_hidden=(16, 16)):
    """7.1: Build (generator, discriminator) of points in the plane, of dense layers.

    The generator has two hidden layers. The discriminator has three, the third of them with 2 units, and one logit.
    """
    # TODO start
    slope = dict(negative_slope=0.2)
    z, x = keras.Input((latent_dim,)), keras.Input((2,))
    y = z
    for width in generator_hidden:
        y = layers.LeakyReLU(**slope)(layers.Dense(width)(y))
    generator = keras.Model(z, layers.Dense(2)(y))
    y = x
    for width in (*discriminator_hidden, 2):
        y = layers.LeakyReLU(**slope)(layers.Dense(width)(y))
    return generator, keras.Model(x, layers.Dense(1)(y))
    # TODO end


def convolutional_vae(latent_dim):
    """10.1: The table of sheet 004, for images [32, 32, 1].

    Its last encoder layer gives μ and log σ; the encoder's outputs are μ and log σ², as those of all VAEs here.
    """
    # TODO start
    images = keras.Input((32, 32, 1))
    x = images
    for filters, strides in ((16, 1), (32, 2), (32, 1), (16, 2)):  # padding of 1 on all sides, as PyTorch has it
        x = layers.Conv2D(filters, 3, strides, activation="relu")(layers.ZeroPadding2D(1)(x))
    x = layers.Dense(2 * latent_dim, activation="relu")(layers.Flatten()(x))
    x = layers.Dense(2 * latent_dim)(x)
    mean, log_var = x[:, :latent_dim], 2 * x[:, latent_dim:]
    z = keras.Input((latent_dim,))
    y = layers.Dense(latent_dim, activation="relu")(z)
    y = layers.Reshape((8, 8, 16))(layers.Dense(8 * 8 * 16)(y))
    for filters, strides in ((32, 2), (32, 1), (16, 2)):
        y = layers.Conv2DTranspose(filters, 3, strides, padding="same", activation="relu")(y)
    y = layers.Conv2DTranspose(1, 3, padding="same")(y)
    return keras.Model(images, [mean, log_var]), keras.Model(z, y)
    # TODO end


def shallow_vae(latent_dim, *, image_shape=(32, 32, 1)):
    """10.6, optional: Another architecture with fewer convolutions."""
    # TODO start
    images, z = keras.Input(image_shape), keras.Input((latent_dim,))
    x = layers.Flatten()(layers.Conv2D(8, 4, 4, activation="relu")(images))
    y = layers.Reshape((8, 8, 8))(layers.Dense(8 * 8 * 8, activation="relu")(z))
    y = layers.Conv2DTranspose(image_shape[-1], 4, 4)(y)
    encoder = keras.Model(images, [layers.Dense(latent_dim)(x), layers.Dense(latent_dim)(x)])
    return encoder, keras.Model(z, y)
    # TODO end


def dcgan(latent_dim=100, hidden=16, image_shape=(32, 32, 1), upsampling="deconv"):
    """5.2, 5.3 (the way GAN), 8.2 and, optional, 3.1 and 11.1: Build (generator, discriminator).

    The generator is that of sheet 004's table, with one layer more for 64×64: z → a volume of 4×4 → doubled until it
    has the image's size → tanh; between them batch normalisation and ReLU. The discriminator has strided convolutions
    and gives one logit, [batch, 1]. All kernels are drawn from N(0, 0.02²).

    Args:
        hidden: the width of the generator's last hidden volume.
        upsampling: as in `dcgan_vae`.
    """
    # TODO start
    images = keras.Input(image_shape)
    x = layers.Flatten()(_halve(images, hidden, image_shape[0], False))
    discriminator = keras.Model(images, layers.Dense(1, kernel_initializer=_normal())(x))
    return _doubling_network(latent_dim, hidden, image_shape, upsampling, "tanh"), discriminator
    # TODO end


def _normal():
    return keras.initializers.RandomNormal(0.0, 0.02)


def _encoder(image_shape, hidden, outputs, activation=None, dropout=0.0):
    images = keras.Input(image_shape)
    x = layers.Flatten()(images)
    for width, function in hidden:
        x = layers.Activation(function)(layers.Dense(width)(x))
        x = layers.Dropout(dropout)(x) if dropout else x
    found = [layers.Dense(width, activation=activation)(x) for width in outputs]
    return keras.Model(images, found if len(found) > 1 else found[0])


def _decoder(code_dim, hidden, image_shape):
    x = codes = keras.Input((code_dim,))
    for width, function in hidden:
        x = layers.Dense(width, activation=function)(x)
    pixels = image_shape[0] * image_shape[1] * image_shape[2]
    return keras.Model(codes, layers.Reshape(image_shape)(layers.Dense(pixels)(x)))


def _halve(x, hidden, size, normalised):
    """Halve the image until it is 4×4; the first convolution is not normalised."""
    width, first = hidden, True
    while size > 4:
        x = layers.Conv2D(width, 4, 2, padding="same", kernel_initializer=_normal())(x)
        x = layers.BatchNormalization()(x) if normalised or not first else x
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        width, size, first = 2 * width, size // 2, False
    return x


def _doubling_network(latent_dim, hidden, image_shape, upsampling, activation):
    if upsampling not in ("deconv", "nearest", "bilinear"):
        raise ValueError(f"upsampling={upsampling}: must be deconv, nearest or bilinear")
    size, channels = image_shape[0], image_shape[-1]
    width, start = hidden, size
    while start % 2 == 0 and start > 7:
        width, start = 2 * width, start // 2
    width //= 2

    def double(x, filters):
        if upsampling == "deconv":
            return layers.Conv2DTranspose(filters, 4, 2, padding="same", kernel_initializer=_normal())(x)
        x = layers.UpSampling2D(2, interpolation=upsampling)(x)
        return layers.Conv2D(filters, 3, padding="same", kernel_initializer=_normal())(x)

    def normalise(x):
        return layers.ReLU()(layers.BatchNormalization()(x))

    z = keras.Input((latent_dim,))
    x = layers.Dense(start * start * width, use_bias=False, kernel_initializer=_normal())(z)
    x = normalise(layers.Reshape((start, start, width))(x))
    while 2 * start < size:
        width, start = width // 2, 2 * start
        x = normalise(double(x, width))
    return keras.Model(z, layers.Activation(activation)(double(x, channels)))
