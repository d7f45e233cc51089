"""The denoising autoencoder of Vincent et al. 2008."""

import keras
import tensorflow as tf
from keras import ops

from hw5.layers import PatchNoise
from hw5.models.base import LatentModel
from hw5.objectives import bernoulli_loss


@keras.saving.register_keras_serializable("hw5")
class DenoisingAutoencoder(LatentModel):
    """An autoencoder that sees a corrupted image and is trained to return the clean one (sheet 003, 1.2).

    Minimises the Bernoulli cross-entropy between the clean image and the output, summed over pixels and
    averaged over the batch, in nats an image. Each step draws its own corruption.

    Args:
        encoder: images [batch, h, w, c] → codes.
        decoder: codes → logits of images.
        patch, stddev: size and strength of the noise, as in `PatchNoise`.

    Metrics: `loss`; `patch_mse` and `mse`, the squared error per pixel inside the patch and everywhere.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, patch: int = 8, stddev: float = 0.5, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.noise = PatchNoise(patch, stddev, name="noise")
        self.loss_tracker = keras.metrics.Mean("loss")
        self.patch_mse_tracker = keras.metrics.Mean("patch_mse")
        self.mse_tracker = keras.metrics.Mean("mse")

    @property
    def metrics(self):
        return [self.loss_tracker, self.patch_mse_tracker, self.mse_tracker]

    def call(self, images, training=False):
        """Reconstruct images, noisy or not, without adding noise."""
        return self.to_images(self.decoder(self.encoder(images, training=training), training=training))

    def corrupt(self, images):
        """(noisy images, mask): see `PatchNoise`."""
        return self.noise(images)

    def train_step(self, images):
        noisy, mask = self.corrupt(images)
        with tf.GradientTape() as tape:
            logits = self.decoder(self.encoder(noisy, training=True), training=True)
            losses = bernoulli_loss(images, logits)
            loss = ops.mean(losses)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return self._track(images, logits, mask, losses)

    def test_step(self, images):
        noisy, mask = self.corrupt(images)
        logits = self.decoder(self.encoder(noisy))
        return self._track(images, logits, mask, bernoulli_loss(images, logits))

    def _track(self, images, logits, mask, losses):
        errors = ops.square(images - self.to_images(logits))
        self.loss_tracker.update_state(losses)
        self.patch_mse_tracker.update_state(errors, sample_weight=ops.broadcast_to(mask, ops.shape(errors)))
        self.mse_tracker.update_state(errors)
        return self.get_metrics_result()

    def snapshot(self, images, noise) -> dict:
        noisy, _ = PatchNoise(self.noise.size, self.noise.stddev, seed=0)(images)
        return {"images": images, "noisy": noisy, "denoised": self(noisy)}

    def get_config(self):
        return {**super().get_config(), "patch": self.noise.size, "stddev": self.noise.stddev}
