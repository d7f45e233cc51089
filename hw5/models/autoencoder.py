"""Autoencoders: linear, non-linear and stacked, end to end or layer by layer."""

from collections.abc import Iterator

import keras
from keras import ops

from hw5.models.base import EncoderDecoder
from hw5.objectives import bernoulli_loss, squared_error

LOSSES = ("mean_squared_error", "cross_entropy")


@keras.saving.register_keras_serializable("hw5")
class Autoencoder(EncoderDecoder):
    """An encoder and a decoder trained to reproduce their input (sheet 000, part I).

    Args:
        encoder: images [batch, h, w, c] → codes [batch, k].
        decoder: codes → images (loss "mean_squared_error") or logits of images (loss "cross_entropy").
        loss: "mean_squared_error", the mean over pixels (I.3: (1/784) Σ (x − y)²), or "cross_entropy",
            Bernoulli, summed over pixels, in nats per image (I.6); both averaged over the batch.

    Metrics: `loss`, and `mse` for either loss, so that all models compare.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, loss: str = "mean_squared_error", **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        if loss not in LOSSES:
            raise ValueError(f"loss={loss!r}: must be one of {', '.join(LOSSES)}")
        self.loss_name = loss  # Keras uses the name `loss` itself
        self.loss_tracker = keras.metrics.Mean("loss")
        self.mse_tracker = keras.metrics.Mean("mse")

    @property
    def metrics(self):
        return [self.loss_tracker, self.mse_tracker]

    def to_images(self, outputs):
        """Map the decoder's outputs to images."""
        return ops.sigmoid(outputs) if self.loss_name == "cross_entropy" else outputs

    def decode(self, z):
        return self.to_images(self.decode_outputs(z))

    def call(self, images, training=False):
        """Reconstruct images."""
        return self.to_images(self.decode_outputs(self.encoder(images, training=training), training))

    def batch_loss(self, images, training=False):
        outputs = self.decode_outputs(self.encoder(images, training=training), training)
        errors = squared_error(images, self.to_images(outputs))
        losses = bernoulli_loss(images, outputs) if self.loss_name == "cross_entropy" else errors
        losses = sum(self.losses_of_parts(), losses)
        self.loss_tracker.update_state(losses)
        self.mse_tracker.update_state(errors)
        return ops.mean(losses)

    def get_config(self):
        return {**super().get_config(), "loss": self.loss_name}


def layer_pairs(autoencoder: Autoencoder) -> Iterator[tuple[keras.Model, Autoencoder]]:
    """Yield the stages of layer-wise pre-training, outermost first (Hinton & Salakhutdinov 2006).

    Every dense layer of the encoder and its mirror image in the decoder form a shallow autoencoder of the
    outputs of the layers before it. Trained one after the other, they initialise the whole stack. Shallow
    autoencoders are those of Bengio et al. 2007; the first paper uses Boltzmann machines.

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
        if decode is not up[-1]:
            shallow.value_range = None  # it trains on the outputs of layers, not on images
        yield below, shallow
        below = keras.Sequential([keras.Input(below.input_shape[1:]), *below.layers, encode])
