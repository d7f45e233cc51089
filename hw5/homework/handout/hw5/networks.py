"""The networks of the sheets.

Encoders of VAEs have two outputs, μ and log σ², [batch, latent_dim] each. Decoders of VAEs and of autoencoders that are
trained with the cross-entropy give logits, without the last sigmoid. Images of MNIST are [28, 28, 1].
"""


def linear_autoencoder(code_dim):
    """1.1: Build (encoder, decoder): one dense layer each, without activation."""
    # TODO start
    raise NotImplementedError
    # TODO end


def nonlinear_autoencoder(code_dim):
    """1.6, optional: The same with a ReLU after the encoder; the decoder gives logits."""
    # TODO start
    raise NotImplementedError
    # TODO end


def stacked_autoencoder(code_dim, hidden=(512, 128)):
    """1.7, optional: Several dense layers of these widths in the encoder, and in the decoder the other way round."""
    # TODO start
    raise NotImplementedError
    # TODO end


def dense_vae(latent_dim, *, image_shape=(28, 28, 1)):
    """2.1: 784 → 512 → μ and log σ²; z → 512 with a sigmoid → 784 logits.

    10.6, optional, uses it as another architecture, with image_shape=(32, 32, 1).
    """
    # TODO start
    raise NotImplementedError
    # TODO end


def tanh_vae(latent_dim=32, dropout=0.1):
    """4.1: 784 → 200 with tanh and dropout → μ and log σ²; z → 200 with tanh → 784 logits, without dropout."""
    # TODO start
    raise NotImplementedError
    # TODO end


def dcgan_vae(latent_dim=100, hidden=32, image_shape=(64, 64, 3), upsampling="deconv"):
    """5.2, 5.3, the way VAE: A decoder like the generator of a DCGAN, and an encoder that mirrors it.

    Args:
        hidden: the width of the narrowest convolution.
        upsampling: how the decoder doubles a feature map: "deconv", a transposed convolution with stride 2; "nearest"
            or "bilinear", upsampling and then a convolution.
    """
    # TODO start
    raise NotImplementedError
    # TODO end


def denoising_autoencoder(hidden=(512, 256)):
    """6.1: A multilayer perceptron of these widths; the last of them is the code's. The decoder mirrors it."""
    # TODO start
    raise NotImplementedError
    # TODO end


def plane_gan(latent_dim=2, generator_hidden=(16, 16), discriminator_hidden=(16, 16)):
    """7.1: Build (generator, discriminator) of points in the plane, of dense layers.

    The generator has two hidden layers. The discriminator has three, the third of them with 2 units, and one logit.
    """
    # TODO start
    raise NotImplementedError
    # TODO end


def convolutional_vae(latent_dim):
    """10.1: The table of sheet 004, for images [32, 32, 1].

    Its last encoder layer gives μ and log σ; the encoder's outputs are μ and log σ², as those of all VAEs here.
    """
    # TODO start
    raise NotImplementedError
    # TODO end


def shallow_vae(latent_dim, *, image_shape=(32, 32, 1)):
    """10.6, optional: Another architecture with fewer convolutions."""
    # TODO start
    raise NotImplementedError
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
    raise NotImplementedError
    # TODO end
