"""What autoencoders and VAEs have in common: codes."""

import keras
import numpy as np
from keras import ops

from hw5.layers import SavedNoise

DECODED = 500  # images decoded at once


def decode_in_parts(model: keras.Model, codes):
    """`model.decode` for any number of codes: a convolutional network takes megabytes for every image under way."""
    return ops.concatenate([model.decode(codes[start : start + DECODED]) for start in range(0, len(codes), DECODED)])


class LatentModel(SavedNoise, keras.Model):
    """A Keras model around an encoder and a decoder; its images are floats in [0, 1].

    A subclass says what it minimises (`train_step`, `test_step`, `metrics`) and what a code is
    (`encode`); `to_images` turns the decoder's output into images.
    """

    value_range = (0.0, 1.0)  # of images

    def __init__(self, encoder: keras.Model, decoder: keras.Model, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.seed_generator = keras.random.SeedGenerator()
        # Both networks are built already. A subclassed model whose `call` was never used would stay
        # unbuilt, and refuse to save or load weights.
        self.built = True

    @property
    def latent_dim(self) -> int:
        return self.decoder.input_shape[-1]

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        return [self.optimizer]

    def compile(self, optimizer="rmsprop", **kwargs):
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.trainable_variables)  # or loading its state would silently do nothing

    def to_images(self, outputs):
        """The decoder's output as images; by default a sigmoid of logits."""
        return ops.sigmoid(outputs)

    def encode(self, images):
        """Codes z [batch, latent_dim] of images [batch, h, w, c]."""
        return self.encoder(images)

    def decode(self, z):
        """Images [batch, h, w, c] of codes."""
        return self.to_images(self.decoder(z))

    def reconstruct(self, images):
        """decode(encode(images))."""
        return self.decode(self.encode(images))

    def sample(self, count: int, seed: int | None = None):
        """Decode `count` codes drawn from N(0, I): new ones each call, or for a seed always the same."""
        noise = keras.random.normal((count, self.latent_dim), seed=self.seed_generator if seed is None else seed)
        return decode_in_parts(self, noise)

    def interpolate(self, first, last, steps: int) -> np.ndarray:
        """Decode `steps` evenly spaced codes from those of `first` to those of `last`, both included.

        Args:
            first, last: images [n, h, w, c], paired.

        Returns:
            [n, steps, h, w, c], one row a pair.
        """
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None, None]
        codes = (1 - share) * self.encode(first) + share * self.encode(last)  # [steps, n, latent_dim]
        return np.stack([ops.convert_to_numpy(self.decode(z)) for z in codes], axis=1)

    def snapshot(self, images, noise) -> dict:
        """What is logged during training, by name: images in [0, 1], what becomes of them, and samples.

        Args:
            images: [n, h, w, c].
            noise: codes [m, latent_dim] drawn from N(0, I).
        """
        return {"images": images, "reconstructions": self.reconstruct(images), "samples": self.decode(noise)}

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
        }

    @classmethod
    def from_config(cls, config):
        networks = {key: keras.saving.deserialize_keras_object(config[key]) for key in ("encoder", "decoder")}
        return cls(**{**config, **networks})
