"""The denoising autoencoder of Vincent et al. 2008."""

import keras
from keras import ops

from hw5.errors import InputError
from hw5.layers import PatchNoise
from hw5.models.base import EncoderDecoder
from hw5.objectives import bernoulli_loss


@keras.saving.register_keras_serializable("hw5")
class DenoisingAutoencoder(EncoderDecoder):
    """An autoencoder that gets a corrupted image and is trained to return the clean one (sheet 003, 1.2).

    Minimises the Bernoulli cross-entropy between the clean image and the output, summed over pixels and
    averaged over the batch, in nats per image. Each step draws its own corruption.

    Args:
        encoder: images [batch, h, w, c] → codes.
        decoder: codes → logits of images.
        patch: side of the noisy patch, in pixels.
        noise_std: standard deviation of the noise in it, in the units of the images.

    Metrics: `loss`; `patch_mse` and `mse`, the squared error per pixel inside the patch and everywhere.
    """

    ARGUMENTS = ("patch", "noise_std")

    def __init__(self, encoder: keras.Model, decoder: keras.Model, patch: int = 8, noise_std: float = 0.5, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        height, width, _ = encoder.input_shape[1:]
        if patch > min(height, width):
            raise InputError(f"patch={patch}: must be at most {min(height, width)}, the smaller side of the images")
        self.patch = patch
        self.noise_std = noise_std
        self.noise = PatchNoise(patch, noise_std, name="noise")
        self.loss_tracker = keras.metrics.Mean("loss")
        self.patch_mse_tracker = keras.metrics.Mean("patch_mse")
        self.mse_tracker = keras.metrics.Mean("mse")

    @property
    def metrics(self):
        return [self.loss_tracker, self.patch_mse_tracker, self.mse_tracker]

    def decode(self, z):
        return ops.sigmoid(self.decode_outputs(z))

    def call(self, images, training=False):
        """Reconstruct images, noisy or not, without adding noise."""
        return ops.sigmoid(self.decode_outputs(self.encoder(images, training=training), training))

    def corrupt(self, images):
        """Add noise to images. Returns (noisy images, mask), see `PatchNoise`."""
        return self.noise(images)

    def batch_loss(self, images, training=False):
        noisy, mask = self.corrupt(images)
        logits = self.decode_outputs(self.encoder(noisy, training=training), training)
        losses = sum(self.losses_of_parts(), bernoulli_loss(images, logits))
        errors = ops.square(images - ops.sigmoid(logits))
        self.loss_tracker.update_state(losses)
        self.patch_mse_tracker.update_state(errors, sample_weight=ops.broadcast_to(mask, ops.shape(errors)))
        self.mse_tracker.update_state(errors)
        return ops.mean(losses)

    def snapshot(self, images, noise) -> dict:
        noisy, _ = PatchNoise(self.patch, self.noise_std, seed=0)(images)
        return {"images": images, "noisy": noisy, "denoised": self(noisy)}
