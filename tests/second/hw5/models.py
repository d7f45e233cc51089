"""Models that Keras' `compile`, `fit` and `evaluate` train and measure.

They are given batches of images alone, in [0, 1]; GANs in [−1, 1]. Classes may have more arguments with defaults.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from hw5 import objectives

GAN_METRICS = ("d_loss", "g_loss", "d_real", "d_fake_d_step", "d_fake_g_step")


def _normal(shape):
    return keras.random.normal(shape)


def _entropy(images, logits):
    """Cross-entropy with logits, summed over the pixels."""
    return ops.sum(ops.relu(logits) - images * logits + ops.log1p(ops.exp(-ops.abs(logits))), axis=(-3, -2, -1))


def _log_normal(z, mean=0.0, log_var=0.0):
    return -0.5 * ops.sum((z - mean) ** 2 * ops.exp(-log_var) + log_var + np.log(2 * np.pi), axis=-1)


class Autoencoder(keras.Model):
    """1.1, 1.4: An encoder and a decoder.

    Args:
        loss: "mse", the mean of squared errors over pixels and batch; or, optional (1.6), "cross_entropy" of logits,
            summed over pixels and averaged over the batch. Then `decode` gives probabilities.
    """

    def __init__(self, encoder, decoder, loss="mse"):
        super().__init__()
        # TODO start
        if loss not in ("mse", "cross_entropy"):
            raise ValueError(f"loss={loss}: must be mse or cross_entropy")
        self.encoder, self.decoder, self.loss_name = encoder, decoder, loss
        # TODO end

    def encode(self, images):
        """Return the codes of images."""
        # TODO start
        return self.encoder(images)
        # TODO end

    def decode(self, codes):
        """Return the images of codes."""
        # TODO start
        decoded = self.decoder(codes)
        return decoded if self.loss_name == "mse" else ops.sigmoid(decoded)
        # TODO end

    def reconstruct(self, images):
        """Return the images of the codes of images."""
        # TODO start
        return self.decode(self.encode(images))
        # TODO end

    def sample(self, count):
        """Return the images of so many codes from N(0, I)."""
        # TODO start
        return self.decode(_normal((count, self.decoder.input_shape[-1])))
        # TODO end

    def call(self, images, training=None):
        return self.decoder(self.encoder(images, training=training), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if self.loss_name == "mse":
            return ops.mean(ops.square(x - y_pred))
        return ops.mean(_entropy(x, y_pred))


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
        self.encoder, self.decoder, self.kl_weight = encoder, decoder, kl_weight
        self.reconstruction = keras.metrics.Mean("reconstruction")
        self.kl = keras.metrics.Mean("kl")
        self.noise = keras.random.SeedGenerator()
        # TODO end

    def encode(self, images):
        """2.4: Return the mode μ of the codes of images."""
        # TODO start
        return self.encoder(images)[0]
        # TODO end

    def decode(self, codes):
        """2.4: Return the probabilities of the pixels."""
        # TODO start
        return ops.sigmoid(self.decoder(codes))
        # TODO end

    def reconstruct(self, images):
        """Return the images of the modes of images."""
        # TODO start
        return self.decode(self.encode(images))
        # TODO end

    def sample(self, count):
        """Return the images of so many codes from the prior."""
        # TODO start
        return self.decode(_normal((count, self.decoder.input_shape[-1])))
        # TODO end

    def log_weights(self, images, epsilon):
        """5.4 (the way IWAE), 5.6 (bits per pixel): Return log p(x, z) − log q(z|x) at z = μ + σ ε, [samples, n].

        Args:
            epsilon: draws from N(0, I), [samples, n, latent_dim].
        """
        # TODO start
        mean, log_var = self.encoder(ops.convert_to_tensor(images))
        return self.weights_at(ops.convert_to_tensor(images), mean, log_var, ops.convert_to_tensor(epsilon))[0]
        # TODO end

    @property
    def latent_dim(self):
        return self.decoder.input_shape[-1]

    def transform(self, z):
        """Return a transformed z, and the logarithm of the determinant; a flow does more."""
        return z, 0.0

    def weights_at(self, images, mean, log_var, epsilon):
        """Return log p(x, z) − log q(z|x), and the logits, at draws of z, [samples, n, …]."""
        start = mean + ops.exp(log_var / 2) * epsilon
        z, log_determinant = self.transform(start)
        count = ops.shape(z)[0]
        logits = self.decoder(ops.reshape(z, (-1, self.latent_dim)))
        logits = ops.reshape(logits, (count, -1, *logits.shape[1:]))
        log_q = _log_normal(start, mean, log_var) - log_determinant
        return _log_normal(z) - _entropy(images, logits) - log_q, logits

    def draw(self, images, samples=1, training=None):
        mean, log_var = self.encoder(images, training=training)
        epsilon = keras.random.normal((samples, ops.shape(mean)[0], self.latent_dim), seed=self.noise)
        return mean, log_var, epsilon

    def call(self, images, training=None):
        mean, log_var, epsilon = self.draw(images, training=training)
        return self.decoder(mean + ops.exp(log_var / 2) * epsilon[0], training=training), mean, log_var

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits, mean, log_var = y_pred
        reconstruction = ops.mean(_entropy(x, logits))
        kl = ops.mean(ops.sum(mean**2 + ops.exp(log_var) - log_var - 1, axis=-1)) / 2
        self.monitor(x, reconstruction, kl)
        return reconstruction + self.kl_weight * kl

    def monitor(self, images, reconstruction, kl):
        count = ops.shape(images)[0]
        self.reconstruction.update_state(reconstruction, sample_weight=count)
        self.kl.update_state(kl, sample_weight=count)


class ImportanceWeightedVAE(VAE):
    """5.4, the way IWAE: A VAE whose loss is −log of the mean of its importance weights, as a stable log-sum-exp."""

    def __init__(self, encoder, decoder, importance_samples=5):
        # TODO start
        super().__init__(encoder, decoder)
        self.importance_samples = importance_samples
        # TODO end

    def call(self, images, training=None):
        mean, log_var, epsilon = self.draw(images, self.importance_samples, training)
        return self.weights_at(images, mean, log_var, epsilon)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        log_weights, logits = y_pred
        reconstruction = ops.mean(_entropy(x, logits))
        self.monitor(x, reconstruction, -ops.mean(log_weights) - reconstruction)
        return np.log(self.importance_samples) - ops.mean(ops.logsumexp(log_weights, axis=0))


class FlowVAE(VAE):
    """5.4, the way flow: A VAE whose q(z|x) is a Gaussian that a normalising flow transforms."""

    def __init__(self, encoder, decoder):
        # TODO start
        super().__init__(encoder, decoder)
        self.shifts = [keras.layers.Dense(2 * mask.shape[0]) for mask in self.masks()]
        for shift in self.shifts:
            shift.build((None, self.latent_dim))
        # TODO end

    def masks(self):
        """Each of the two coupling layers changes every other dimension."""
        odd = (np.arange(self.latent_dim) % 2).astype(np.float32)
        return odd, 1 - odd

    def transform(self, z):
        total = 0.0
        for mask, layer in zip(self.masks(), self.shifts, strict=True):
            shift, log_scale = ops.split(layer(z * (1 - mask)), 2, axis=-1)
            log_scale = mask * ops.tanh(log_scale)
            z = z * ops.exp(log_scale) + mask * shift
            total = total + ops.sum(log_scale, axis=-1)
        return z, total

    def call(self, images, training=None):
        return self.weights_at(images, *self.draw(images, training=training))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        log_weights, logits = y_pred
        reconstruction = ops.mean(_entropy(x, logits))
        kl = -ops.mean(log_weights) - reconstruction
        self.monitor(x, reconstruction, kl)
        return reconstruction + self.kl_weight * kl


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
        self.generator, self.discriminator = generator, discriminator
        self.objective, self.is_entropy = objectives.get(objective), objective == "non_saturating"
        self.is_image, self.weight_clip = activation == "tanh", weight_clip
        self.noise = keras.random.SeedGenerator()
        self.averages = {name: keras.metrics.Mean(name) for name in GAN_METRICS}
        # TODO end

    def compile(self, discriminator_optimizer, generator_optimizer):
        """Keep an optimizer for each player."""
        # TODO start
        super().compile(optimizer=None, jit_compile=False)
        self.d_optimizer, self.g_optimizer = discriminator_optimizer, generator_optimizer
        self.d_optimizer.build(self.discriminator.trainable_variables)
        self.g_optimizer.build(self.generator.trainable_variables)
        # TODO end

    def decode(self, codes):
        """Return the samples of codes, images in [0, 1]."""
        # TODO start
        samples = self.generator(codes, training=False)
        return (samples + 1) / 2 if self.is_image else samples
        # TODO end

    def generate(self, count):
        """Generate so many samples, images in [0, 1]."""
        # TODO start
        return self.decode(_normal((count, self.latent_dim)))
        # TODO end

    @property
    def latent_dim(self):
        return self.generator.input_shape[-1]

    @property
    def metrics(self):
        return list(self.averages.values())

    def probability(self, outputs):
        return ops.mean(ops.sigmoid(outputs) if self.is_entropy else outputs)

    def fakes(self, count):
        return self.generator(keras.random.normal((count, self.latent_dim), seed=self.noise), training=True)

    def train_step(self, real):
        count = tf.shape(real)[0]
        fake = self.fakes(count)
        with tf.GradientTape() as tape:
            on_real, on_fake = self.discriminator(real, training=True), self.discriminator(fake, training=True)
            d_loss = self.objective.discriminator_loss(on_real, on_fake)
        variables = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(d_loss, variables), variables)
        if self.weight_clip:
            for variable in variables:
                variable.assign(ops.clip(variable, -self.weight_clip, self.weight_clip))
        with tf.GradientTape() as tape:
            again = self.discriminator(self.fakes(count), training=True)
            g_loss = self.objective.generator_loss(again)
        variables = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(g_loss, variables), variables)
        values = d_loss, g_loss, *(self.probability(outputs) for outputs in (on_real, on_fake, again))
        for average, value in zip(self.metrics, values, strict=True):
            average.update_state(value)
        return {average.name: average.result() for average in self.metrics}
