"""Models that Keras' `compile`, `fit` and `evaluate` train and measure.

They are given batches of images alone, in [0, 1]; GANs in [−1, 1]. Classes may have more arguments with defaults.
"""

import keras


class Autoencoder(keras.Model):
    """1.1, 1.4: An encoder and a decoder.

    Args:
        loss: "mse", the mean of squared errors over pixels and batch; or, optional (1.6), "cross_entropy" of logits,
            summed over pixels and averaged over the batch. Then `decode` gives probabilities.
    """

    def __init__(self, encoder, decoder, loss="mse"):
        super().__init__()
        # TODO start
        raise NotImplementedError
        # TODO end

    def encode(self, images):
        """Return the codes of images."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def decode(self, codes):
        """Return the images of codes."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def reconstruct(self, images):
        """Return the images of the codes of images."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def sample(self, count):
        """Return the images of so many codes from N(0, I)."""
        # TODO start
        raise NotImplementedError
        # TODO end


class VAE(keras.Model):
    """2.1, 2.2, 4.2, 10.7: A VAE with Bernoulli pixels.

    `evaluate` gives as `loss` the cross-entropy, summed over pixels, and kl_weight · KL(q(z|x) ‖ N(0, I)), both
    averaged over the images.

    Args:
        encoder: images → [μ, log σ²].
        decoder: z → logits.
    """

    def __init__(self, encoder, decoder, kl_weight=1.0):
        super().__init__()
        # TODO start
        raise NotImplementedError
        # TODO end

    def encode(self, images):
        """2.4: Return the mode μ of the codes of images."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def decode(self, codes):
        """2.4: Return the probabilities of the pixels."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def reconstruct(self, images):
        """Return the images of the modes of images."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def sample(self, count):
        """Return the images of so many codes from the prior."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def log_weights(self, images, epsilon):
        """5.4 (the way IWAE), 5.6 (bits per pixel): Return log p(x, z) − log q(z|x) at z = μ + σ ε, [samples, n].

        Args:
            epsilon: draws from N(0, I), [samples, n, latent_dim].
        """
        # TODO start
        raise NotImplementedError
        # TODO end


class ImportanceWeightedVAE(VAE):
    """5.4, the way IWAE: A VAE whose loss is −log of the mean of its importance weights, as a stable log-sum-exp."""

    def __init__(self, encoder, decoder, importance_samples=5):
        # TODO start
        raise NotImplementedError
        # TODO end


class FlowVAE(VAE):
    """5.4, the way flow: A VAE whose q(z|x) is a Gaussian that a normalising flow transforms."""

    def __init__(self, encoder, decoder):
        # TODO start
        raise NotImplementedError
        # TODO end


class GAN(keras.Model):
    """3.1, 5.4, 7.1, 8.2, 11.2: A generator and a discriminator that `fit` trains in turn.

    A step updates D once, by real and generated samples, and then G once, by fresh noise and the new D.

    Args:
        objective: a name of `objectives.get`.
        activation: "tanh" if G gives images in [−1, 1], "linear" for other samples.
        weight_clip: the largest absolute weight of D, which is clipped after its update; None for no limit.
    """

    def __init__(self, generator, discriminator, objective="non_saturating", activation="tanh", weight_clip=None):
        super().__init__()
        # TODO start
        raise NotImplementedError
        # TODO end

    def compile(self, discriminator_optimizer, generator_optimizer):
        """Keep an optimizer for each player."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def decode(self, codes):
        """Return the samples of codes, images in [0, 1]."""
        # TODO start
        raise NotImplementedError
        # TODO end

    def generate(self, count):
        """Generate so many samples, images in [0, 1]."""
        # TODO start
        raise NotImplementedError
        # TODO end
