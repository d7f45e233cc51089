"""The base of all models: sampling, interpolation, saving and training of models that decode codes z."""

from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from hw5 import replicas
from hw5.errors import InputError
from hw5.layers import SavesRandomState
from hw5.models.inputs import check_inputs, to_float

DECODE_BATCH = 500  # images decoded at once; each takes megabytes in a convolutional network


class LatentModel(SavesRandomState, keras.Model):
    """A Keras model whose `decode` maps codes z [batch, latent_dim] to images, float [batch, h, w, c] in [0, 1].

    A subclass defines `decode`, `latent_dim`, `image_shape`, `snapshot` and what Keras asks of a model: `compile`,
    `call`, `train_step`, `test_step`, `predict_step` and `metrics`. Its configuration is that of its constructor's
    arguments.

    `fit` and `evaluate` take images as any Keras model: uint8, or floats in `value_range`; arrays, or a
    `tf.data.Dataset` of images or of pairs (images, labels), whose labels are ignored.

    Attributes:
        PARTS: arguments that are Keras objects, such as networks, kept as attributes of the same names.
        ARGUMENTS: plain arguments that are kept as attributes of the same names.
        OPTIMIZERS: arguments of `compile` that are optimizers, kept as attributes of the same names.
        value_range: (low, high) of the images that the model trains on; None for samples that are not images.
        batches_per_step: batches that one training step consumes.
        min_batch_size: the smallest batch on which the losses and metrics are defined.
    """

    PARTS: ClassVar[tuple[str, ...]] = ()
    ARGUMENTS: ClassVar[tuple[str, ...]] = ()
    OPTIMIZERS: ClassVar[tuple[str, ...]] = ("optimizer",)
    value_range = (0.0, 1.0)
    batches_per_step = 1
    min_batch_size = 1

    def __init__(self, **kwargs):
        # Losses are float32 under every global policy; the networks may have another.
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.seed_generator = keras.random.SeedGenerator()
        # The networks are built already. A subclassed model whose `call` was never used would stay unbuilt,
        # and refuse to save or load weights.
        self.built = True

    @property
    def latent_dim(self) -> int:
        raise NotImplementedError

    @property
    def image_shape(self) -> tuple:
        """Shape of an image that the model trains on, without the batch."""
        raise NotImplementedError

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The optimizers; the iterations of the last one count the training steps."""
        return [getattr(self, name) for name in self.OPTIMIZERS]

    @property
    def steps_done(self) -> int:
        """Number of finished training steps."""
        return int(self.optimizers[-1].iterations.numpy())

    def decode(self, z):
        """Decode codes [batch, latent_dim]. Returns images [batch, h, w, c]."""
        raise NotImplementedError

    def decode_in_batches(self, z):
        """Decode any number of codes, DECODE_BATCH at a time."""
        starts = range(0, len(z), DECODE_BATCH)
        return ops.concatenate([self.decode(z[start : start + DECODE_BATCH]) for start in starts])

    def draw_codes(self, count: int, seed: int | None = None):
        """Draw codes of samples, [count, latent_dim]: new ones in each call, the same ones for the same seed."""
        return keras.random.normal((count, self.latent_dim), seed=self.seed_generator if seed is None else seed)

    def sample(self, count: int, seed: int | None = None):
        """Decode `count` codes drawn from N(0, I) or the model's prior (`draw_codes`). Returns [count, h, w, c]."""
        return self.decode_in_batches(self.draw_codes(count, seed))

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

    def fit(self, x=None, y=None, *args, validation_data=None, **kwargs):
        """Train as any Keras model.

        Raises:
            InputError: images outside `value_range`, of another shape or type, or NaN; weights of samples.
        """
        check_inputs(self, x, validation_data, **kwargs)
        return super().fit(x, y, *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Evaluate as any Keras model; errors as of `fit`."""
        check_inputs(self, x, **kwargs)
        return super().evaluate(x, y, *args, **kwargs)

    def _maybe_symbolic_build(self, *_args, **_kwargs):
        """Skip what Keras does under a strategy: the networks are built, and it fails for replicas of unequal parts."""

    def get_metrics_result(self):
        """Return the metrics by name, within a step on several machines of shape [1], as Keras averages over axis 0."""
        results = super().get_metrics_result()
        if isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy) and replicas.count() > 1:
            return {name: ops.reshape(value, (1,)) for name, value in results.items()}
        return results

    def images_of(self, data):
        """Return the images of a batch as Keras hands it to a step, float32 in `value_range`."""
        return to_float(keras.utils.unpack_x_y_sample_weight(data)[0], self.value_range)

    def losses_of_parts(self) -> list:
        """Return the losses of the parts, those of their layers' regularizers."""
        return [loss for name in self.PARTS for loss in getattr(getattr(self, name), "losses", ())]

    def get_compile_config(self):
        if not self.compiled:
            return {}
        return {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.OPTIMIZERS}

    def compile_from_config(self, config):
        self.compile(**{name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})

    def export(self, filepath, verbose: bool = False) -> None:
        """Write a SavedModel with `decode` as an endpoint, and `encode` and `reconstruct` if the model has them."""
        archive = keras.export.ExportArchive()
        archive.track(self)
        images = tf.TensorSpec((None, *self.image_shape), tf.float32)
        signatures = {"decode": tf.TensorSpec((None, self.latent_dim), tf.float32)}
        signatures |= {name: images for name in ("encode", "reconstruct") if hasattr(self, name)}
        for name, signature in signatures.items():
            archive.add_endpoint(name, getattr(self, name), input_signature=[signature])
        archive.write_out(filepath, verbose=verbose)

    def snapshot(self, images, noise) -> dict:
        """Return the images to log during training, in [0, 1], by name.

        Args:
            images: [n, h, w, c] in [0, 1].
            noise: codes [m, latent_dim] drawn from N(0, I).
        """
        raise NotImplementedError

    def training_callbacks(self, history: dict[str, list[float]]) -> list[keras.callbacks.Callback]:
        """Return the callbacks for the training of this model.

        Args:
            history: metric → its values, one for each finished epoch; the training fills it.
        """
        return []

    def start_training(self, images: np.ndarray) -> None:
        """Do what a new model needs to know about its training images, before its first step.

        Args:
            images: uint8 [n, h, w, c], or float32 in `value_range`.
        """

    def finish_training(self) -> None:
        """Do what a model that was trained, or restored from a checkpoint, needs before it is used and saved."""

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.PARTS}
        return {**super().get_config(), **parts, **{name: getattr(self, name) for name in self.ARGUMENTS}}

    @classmethod
    def from_config(cls, config):
        known = [name for name in cls.PARTS if name in config]  # a model that was saved earlier may lack some
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in known}
        return cls(**{**config, **parts})


def update_mean(tracker: keras.metrics.Mean, value, number) -> None:
    """Update a metric with the mean over a number of images: a smaller last batch counts less.

    On several replicas, one may have no image, and no mean.
    """
    tracker.update_state(ops.where(number > 0, value, 0.0), sample_weight=number)


def refuse_loss(loss=None, metrics=None, **_) -> None:
    """Refuse arguments of `compile` that a model with a loss of its own would ignore.

    Raises:
        InputError: a loss or metrics.
    """
    if loss is not None or metrics is not None:
        raise InputError("loss and metrics: this model has its own; compile it with an optimizer alone")


def prepared_optimizer(optimizer, *networks: keras.Model) -> keras.optimizers.Optimizer:
    """Return an optimizer that scales the loss where a network computes in float16; otherwise gradients vanish.

    Args:
        optimizer: an optimizer, its name or its configuration.

    Raises:
        InputError: it clips gradients, and there are several replicas.
    """
    optimizer = keras.optimizers.get(optimizer)
    clips = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(optimizer, name, None)]
    if clips and networks[0].distribute_strategy.num_replicas_in_sync > 1:
        reason = "Keras would clip the gradients of each replica before it adds them"
        raise InputError(f"{clips[0]}={getattr(optimizer, clips[0])}: {reason}; train on one device, or without it")
    dtypes = {layer.compute_dtype for network in networks for layer in network._flatten_layers()}
    if "float16" not in dtypes or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


class EncoderDecoder(LatentModel):
    """A latent model that computes the codes of images, and trains with one optimizer.

    A subclass defines `batch_loss`.

    Args:
        encoder: images [batch, h, w, c] → their codes or their posterior.
        decoder: codes z [batch, latent_dim] → images or their logits.
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
    def image_shape(self) -> tuple:
        return self.encoder.input_shape[1:]

    def compile(self, optimizer="rmsprop", **kwargs):
        """Compile with an optimizer or its name; the loss and the metrics are the model's own."""
        refuse_loss(**kwargs)
        super().compile(optimizer=prepared_optimizer(optimizer, self.encoder, self.decoder), **kwargs)
        self.optimizer.build(self.trainable_variables)  # otherwise loading its state would do nothing, without an error

    def batch_loss(self, images, training=False):
        """Compute what is minimised, a scalar, and update the metrics.

        Args:
            images: float32 [batch, h, w, c] in `value_range`.
        """
        raise NotImplementedError

    def train_step(self, data):
        images, variables = self.images_of(data), self.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.batch_loss(images, training=True) * replicas.share(ops.shape(images)[0])
            loss = self.optimizer.scale_loss(loss)
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return self.get_metrics_result()

    def test_step(self, data):
        self.batch_loss(self.images_of(data))
        return self.get_metrics_result()

    def predict_step(self, data):
        """Reconstruct a batch of images."""
        return self.reconstruct(self.images_of(data))

    def encode(self, images):
        """Encode images [batch, h, w, c]. Returns codes z [batch, latent_dim]."""
        return self.encoder(images)

    def decode_outputs(self, z, training=False):
        """Return the decoder's outputs, float32 under every policy."""
        return ops.cast(self.decoder(z, training=training), "float32")

    def reconstruct(self, images):
        """Decode the codes of images [batch, h, w, c]."""
        return self.decode(self.encode(images))

    def snapshot(self, images, noise) -> dict:
        return {"images": images, "reconstructions": self.reconstruct(images), "samples": self.decode(noise)}
