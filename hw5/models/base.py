"""The base of all models: what turns codes z into images can be sampled, interpolated, saved and trained alike."""

from typing import ClassVar

import keras
import numpy as np
from keras import ops

from hw5.layers import SavesRandomState

DECODE_BATCH = 500  # images decoded at once; each takes megabytes in a convolutional network


class LatentModel(SavesRandomState, keras.Model):
    """A Keras model whose `decode` maps codes z [batch, latent_dim] to images, float [batch, h, w, c] in [0, 1].

    A subclass defines `decode`, `latent_dim`, `optimizers`, `snapshot` and what Keras asks of a model: `compile`,
    `call`, `train_step`, `test_step` and `metrics`. Its configuration is that of its constructor's arguments.

    Attributes:
        PARTS: arguments that are Keras objects, such as networks, kept as attributes of the same names.
        ARGUMENTS: plain arguments that are kept as attributes of the same names.
        value_range: (low, high) of the images that the model trains on; None for samples that are not images.
        batches_per_step: batches that one training step consumes.
        min_batch_size: the smallest batch on which the losses and metrics are defined.
    """

    PARTS: ClassVar[tuple[str, ...]] = ()
    ARGUMENTS: ClassVar[tuple[str, ...]] = ()
    value_range = (0.0, 1.0)
    batches_per_step = 1
    min_batch_size = 1

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()
        # The networks are built already. A subclassed model whose `call` was never used would stay unbuilt,
        # and refuse to save or load weights.
        self.built = True

    @property
    def latent_dim(self) -> int:
        raise NotImplementedError

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The optimizers; the iterations of the last one count the training steps."""
        raise NotImplementedError

    @property
    def steps_done(self) -> int:
        """Number of finished training steps."""
        return int(self.optimizers[-1].iterations.numpy())

    def decode(self, z):
        """Decode codes [batch, latent_dim]. Returns images [batch, h, w, c]."""
        raise NotImplementedError

    def decode_in_batches(self, z):
        """`decode` any number of codes, DECODE_BATCH at a time."""
        starts = range(0, len(z), DECODE_BATCH)
        return ops.concatenate([self.decode(z[start : start + DECODE_BATCH]) for start in starts])

    def sample(self, count: int, seed: int | None = None):
        """Decode `count` codes drawn from N(0, I): other ones in each call, or for a seed always the same."""
        z = keras.random.normal((count, self.latent_dim), seed=self.seed_generator if seed is None else seed)
        return self.decode_in_batches(z)

    def interpolate(self, first_codes, last_codes, shares) -> np.ndarray:
        """Decode first + share · (last − first) for each pair of codes and each share.

        Args:
            first_codes, last_codes: [n, latent_dim].
            shares: [m]; 0 is the first code, 1 the last, and other numbers extrapolate.

        Returns:
            [n, m, h, w, c], one row per pair.
        """
        first, last = (np.asarray(codes)[:, None] for codes in (first_codes, last_codes))
        codes = first + np.asarray(shares, np.float32)[:, None] * (last - first)  # [n, m, latent_dim]
        images = np.asarray(self.decode_in_batches(codes.reshape(-1, self.latent_dim)))
        return images.reshape(*codes.shape[:2], *images.shape[1:])

    def snapshot(self, images, noise) -> dict:
        """Return what is logged during training: images in [0, 1] by name.

        Args:
            images: [n, h, w, c] in [0, 1].
            noise: codes [m, latent_dim] drawn from N(0, I).
        """
        raise NotImplementedError

    def training_callbacks(self, history: dict[str, list[float]]) -> list[keras.callbacks.Callback]:
        """Return the callbacks that this model wants in its training.

        Args:
            history: metric → its values, one for each finished epoch; the training fills it.
        """
        return []

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.PARTS}
        return {**super().get_config(), **parts, **{name: getattr(self, name) for name in self.ARGUMENTS}}

    @classmethod
    def from_config(cls, config):
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in cls.PARTS}
        return cls(**{**config, **parts})


class EncoderDecoder(LatentModel):
    """A latent model that computes the codes of images.

    Args:
        encoder: images [batch, h, w, c] → what determines their codes.
        decoder: codes z [batch, latent_dim] → what determines the images.
    """

    PARTS = ("encoder", "decoder")

    def __init__(self, encoder: keras.Model, decoder: keras.Model, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder

    @property
    def latent_dim(self) -> int:
        return self.decoder.input_shape[-1]

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        return [self.optimizer]

    def compile(self, optimizer="rmsprop", **kwargs):
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.trainable_variables)  # or loading its state would silently do nothing

    def encode(self, images):
        """Encode images [batch, h, w, c]. Returns codes z [batch, latent_dim]."""
        return self.encoder(images)

    def reconstruct(self, images):
        """Decode the codes of images [batch, h, w, c]."""
        return self.decode(self.encode(images))

    def snapshot(self, images, noise) -> dict:
        return {"images": images, "reconstructions": self.reconstruct(images), "samples": self.decode(noise)}
