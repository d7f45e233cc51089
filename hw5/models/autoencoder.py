"""Autoencoders: linear, non-linear and stacked, end to end or layer by layer."""

from collections.abc import Iterator

import keras
import tensorflow as tf
from keras import ops

from hw5.models.base import LatentModel
from hw5.objectives import bernoulli_loss, squared_error

LOSSES = ("mean_squared_error", "cross_entropy")


@keras.saving.register_keras_serializable("hw5")
class Autoencoder(LatentModel):
    """An encoder and a decoder trained to reproduce their input (sheet 000, part I).

    Args:
        encoder: images [batch, h, w, c] → codes [batch, k].
        decoder: codes → images (loss "mean_squared_error") or logits of images (loss "cross_entropy").
        loss: "mean_squared_error", the mean over pixels (I.3: (1/784) Σ (x − y)²), or "cross_entropy",
            Bernoulli, summed over pixels, in nats an image (I.6); both averaged over the batch.

    Metrics: `loss`, and `mse` whatever the loss, so that models of either compare.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, loss: str = "mean_squared_error", **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        if loss not in LOSSES:
            raise ValueError(f"loss={loss!r}: must be one of {', '.join(LOSSES)}")
        self.loss_name = loss
        self.loss_tracker = keras.metrics.Mean("loss")
        self.mse_tracker = keras.metrics.Mean("mse")

    @property
    def metrics(self):
        return [self.loss_tracker, self.mse_tracker]

    def to_images(self, outputs):
        return ops.sigmoid(outputs) if self.loss_name == "cross_entropy" else outputs

    def call(self, images, training=False):
        return self.to_images(self.decoder(self.encoder(images, training=training), training=training))

    def losses_of(self, images, training=False):
        """(loss, squared error) of each image, both [batch]."""
        outputs = self.decoder(self.encoder(images, training=training), training=training)
        error = squared_error(images, self.to_images(outputs))
        return (bernoulli_loss(images, outputs) if self.loss_name == "cross_entropy" else error), error

    def train_step(self, images):
        with tf.GradientTape() as tape:
            losses, errors = self.losses_of(images, training=True)
            loss = ops.mean(losses)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return self._track(losses, errors)

    def test_step(self, images):
        return self._track(*self.losses_of(images))

    def _track(self, losses, errors):
        self.loss_tracker.update_state(losses)
        self.mse_tracker.update_state(errors)
        return self.get_metrics_result()

    def get_config(self):
        return {**super().get_config(), "loss": self.loss_name}


def layer_pairs(autoencoder: Autoencoder) -> Iterator[tuple[keras.Model, Autoencoder]]:
    """The stages of layer-wise pre-training, outermost first (Hinton & Salakhutdinov 2006).

    Every dense layer of the encoder forms, with its mirror image in the decoder, a shallow autoencoder
    of what the layers before it compute. Trained one after the other, they initialise the whole stack.
    The shallow ones are autoencoders as in Bengio et al. 2007, where the paper has Boltzmann machines.

    Yields:
        (below, shallow): the Keras model that turns images into the stage's input (at first the flat
        image), and the stage's autoencoder. Both share their weights with `autoencoder`.
    """
    flatten, *down = autoencoder.encoder.layers
    *up, _reshape = autoencoder.decoder.layers
    below = keras.Sequential([keras.Input(autoencoder.encoder.input_shape[1:]), flatten])
    for encode, decode in zip(down, reversed(up), strict=True):
        shallow = Autoencoder(
            keras.Sequential([keras.Input(below.output_shape[1:]), encode]),
            keras.Sequential([keras.Input((encode.units,)), decode]),
            loss=autoencoder.loss_name if decode is up[-1] else "mean_squared_error",
        )
        yield below, shallow
        below = keras.Sequential([keras.Input(below.input_shape[1:]), *below.layers, encode])
