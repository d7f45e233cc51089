"""The variational autoencoder of Kingma & Welling 2014."""

import keras
import tensorflow as tf
from keras import ops

from hw5.layers import Sampling
from hw5.likelihoods import Bernoulli, Likelihood
from hw5.models.base import LatentModel
from hw5.objectives import gaussian_kl


@keras.saving.register_keras_serializable("hw5")
class VAE(LatentModel):
    """A VAE with a diagonal Gaussian posterior and a standard normal prior.

    It minimises  E_q[−log p(x|z)] + kl_weight · KL(q(z|x) ‖ p(z)),  estimated with one z an image: at
    kl_weight 1 the negative ELBO, equation (10) of the paper with L = 1. Both terms are sums over
    pixels or latent dimensions and means over the batch, in nats an image.

    Args:
        encoder: images [batch, h, w, c] → (μ, log σ²), each [batch, latent_dim].
        decoder: z [batch, latent_dim] → [batch, h, w, c], the logits of images.
        kl_weight: weight of the KL divergence; 0 leaves the reconstruction alone.
        likelihood: p(x|z), one of `hw5.likelihoods`; by default Bernoulli.

    Metrics: `loss`, what is minimised; `reconstruction` and `kl`, its terms, the KL unweighted; with a
    likelihood that learns it, `sigma`, the standard deviation of a pixel given z, the mean over pixels.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        kl_weight: float = 1.0,
        likelihood: Likelihood | None = None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, **kwargs)
        self.kl_weight = kl_weight
        self.likelihood = Bernoulli() if likelihood is None else likelihood
        if not self.likelihood.built:  # that of a loaded model is
            self.likelihood.build(decoder.output_shape)
        self.sampling = Sampling(name="sampling")
        self.loss_tracker = keras.metrics.Mean("loss")
        self.reconstruction_tracker = keras.metrics.Mean("reconstruction")
        self.kl_tracker = keras.metrics.Mean("kl")
        self.sigma_tracker = None if self.likelihood.sigma is None else keras.metrics.Mean("sigma")

    @property
    def metrics(self):
        trackers = [self.loss_tracker, self.reconstruction_tracker, self.kl_tracker, self.sigma_tracker]
        return [tracker for tracker in trackers if tracker is not None]

    def to_images(self, outputs):
        """The mean of p(x|z)."""
        return self.likelihood.mean(outputs)

    def encode(self, images):
        """The mode μ of q(z|x), [batch, latent_dim] (sheet 000, II.4)."""
        return self.posterior(images)[0]

    def posterior(self, images, training=False):
        """(μ, log σ²) of q(z|x), each [batch, latent_dim]."""
        return self.encoder(images, training=training)

    def call(self, images, training=False):
        """Images decoded from one z ~ q(z|x) each; adds both terms of the loss (`self.losses`)."""
        mean, log_var = self.posterior(images, training=training)
        outputs = self.decoder(self.sampling(mean, log_var), training=training)
        reconstruction, kl = -self.likelihood.log_prob(images, outputs), gaussian_kl(mean, log_var)
        self.add_loss(ops.mean(reconstruction))
        self.add_loss(self.kl_weight * ops.mean(kl))
        self.reconstruction_tracker.update_state(reconstruction)
        self.kl_tracker.update_state(kl)
        if self.sigma_tracker is not None:
            self.sigma_tracker.update_state(self.likelihood.sigma)
        return self.to_images(outputs)

    def log_weights(self, images, epsilon):
        """log w = log p(x|z) + log p(z) − log q(z|x) for z = μ + σ·ε: exp(log w) is p(x) on average.

        The mean of log w over ε ~ N(0, I) is the ELBO, the log of the mean of w is log p(x)
        (`hw5.metrics.log_likelihood`; Burda et al. 2016, equation 8).

        Args:
            images: [batch, h, w, c].
            epsilon: [count, batch, latent_dim].

        Returns:
            [count, batch], in nats; count · batch codes are decoded at once.
        """
        mean, log_var = self.posterior(images)
        z = mean + ops.exp(0.5 * log_var) * epsilon
        outputs = self.decoder(ops.reshape(z, (-1, self.latent_dim)))
        repeated = ops.tile(images, (ops.shape(epsilon)[0], 1, 1, 1))
        log_likelihood = ops.reshape(self.likelihood.log_prob(repeated, outputs), ops.shape(epsilon)[:2])
        # log p(z) − log q(z|x), in which the constants cancel
        log_ratio = 0.5 * ops.sum(ops.square(epsilon) + log_var - ops.square(z), axis=-1)
        return log_likelihood + log_ratio

    def train_step(self, images):
        with tf.GradientTape() as tape:
            self(images, training=True)
            loss = ops.sum(self.losses)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return self._track(images, loss)

    def test_step(self, images):
        self(images)
        return self._track(images, ops.sum(self.losses))

    def _track(self, images, loss):
        # Weighted by the batch size, so that a smaller last batch does not distort the mean.
        self.loss_tracker.update_state(loss, sample_weight=ops.shape(images)[0])
        return self.get_metrics_result()

    def get_config(self):
        likelihood = keras.saving.serialize_keras_object(self.likelihood)
        return {**super().get_config(), "kl_weight": self.kl_weight, "likelihood": likelihood}

    @classmethod
    def from_config(cls, config):
        likelihood = keras.saving.deserialize_keras_object(config.get("likelihood"))
        return super().from_config({**config, "likelihood": likelihood})
