"""The variational autoencoder of Kingma & Welling 2014."""

import keras
import tensorflow as tf
from keras import ops

from hw5.layers import Sampling
from hw5.models.base import LatentModel
from hw5.objectives import bernoulli_loss, gaussian_kl


@keras.saving.register_keras_serializable("hw5")
class VAE(LatentModel):
    """A VAE with a diagonal Gaussian posterior, a standard normal prior and a Bernoulli decoder.

    It minimises  E_q[−log p(x|z)] + kl_weight · KL(q(z|x) ‖ p(z)),  estimated with one z an image: at
    kl_weight 1 the negative ELBO, equation (10) of the paper with L = 1. Both terms are sums over
    pixels or latent dimensions and means over the batch, in nats an image.

    Args:
        encoder: images [batch, h, w, c] → (μ, log σ²), each [batch, latent_dim].
        decoder: z [batch, latent_dim] → logits [batch, h, w, c].
        kl_weight: weight of the KL divergence; 0 leaves the reconstruction alone.

    Metrics: `loss`, what is minimised; `reconstruction` and `kl`, its terms, the KL unweighted.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, kl_weight: float = 1.0, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.kl_weight = kl_weight
        self.sampling = Sampling(name="sampling")
        self.loss_tracker = keras.metrics.Mean("loss")
        self.reconstruction_tracker = keras.metrics.Mean("reconstruction")
        self.kl_tracker = keras.metrics.Mean("kl")

    @property
    def metrics(self):
        return [self.loss_tracker, self.reconstruction_tracker, self.kl_tracker]

    def encode(self, images):
        """The mode μ of q(z|x), [batch, latent_dim] (sheet 000, II.4)."""
        return self.posterior(images)[0]

    def posterior(self, images, training=False):
        """(μ, log σ²) of q(z|x), each [batch, latent_dim]."""
        return self.encoder(images, training=training)

    def call(self, images, training=False):
        """Images decoded from one z ~ q(z|x) each; adds both terms of the loss (`self.losses`)."""
        mean, log_var = self.posterior(images, training=training)
        logits = self.decoder(self.sampling(mean, log_var), training=training)
        reconstruction, kl = bernoulli_loss(images, logits), gaussian_kl(mean, log_var)
        self.add_loss(ops.mean(reconstruction))
        self.add_loss(self.kl_weight * ops.mean(kl))
        self.reconstruction_tracker.update_state(reconstruction)
        self.kl_tracker.update_state(kl)
        return self.to_images(logits)

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
        return {**super().get_config(), "kl_weight": self.kl_weight}
