"""Layers that Keras lacks."""

import keras
import tensorflow as tf
from keras import ops

from hw5 import replicas


class SavesRandomState:
    """Mixin for a layer or model that has `SeedGenerator`s as attributes, and no weights of its own.

    It saves the states of these generators with the weights, which Keras does not: a loaded model continues
    with the noise that the saved one would have drawn.
    """

    def save_own_variables(self, store):
        for name, generator in self._seed_generators_by_name().items():
            store[f"{name}_state"] = generator.state.numpy()

    def load_own_variables(self, store):
        for name, generator in self._seed_generators_by_name().items():
            generator.state.assign(store[f"{name}_state"])

    def _seed_generators_by_name(self):
        return {name: value for name, value in vars(self).items() if isinstance(value, keras.random.SeedGenerator)}


class RandomLayer(SavesRandomState, keras.layers.Layer):
    """A layer that draws random numbers.

    Args:
        seed: integer seed; None takes one from Keras' global seed.
    """

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)  # images keep their digits under every policy
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def draw(self, random, shape, **arguments):
        """Draw random numbers of a shape [batch, …] with a function of `keras.random`."""
        batch, *rest = shape
        return replicas.draw(lambda count: random((count, *rest), seed=self.seed_generator, **arguments), batch)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("hw5")
class Dropout(keras.layers.Dropout):
    """Keras' dropout (Srivastava et al. 2014), which on several replicas drops what one device would drop."""

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        batch, *rest = ops.shape(inputs)
        noise = replicas.draw(
            lambda count: keras.random.uniform((count, *rest), dtype=inputs.dtype, seed=self.seed_generator), batch
        )
        return ops.where(noise >= self.rate, inputs / (1.0 - self.rate), 0.0)


@keras.saving.register_keras_serializable("hw5")
class PatchNoise(RandomLayer):
    """Gaussian noise inside one square patch, at a random place of every image (sheet 003, 1.2).

    The patch lies completely within the image. The result is clipped to [0, 1], the range of images.

    Args:
        size: side of the patch, in pixels.
        stddev: standard deviation of the noise, in the units of the images.
    """

    def __init__(self, size: int = 8, stddev: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.stddev = stddev

    def call(self, images):
        """Add noise to images, float [batch, h, w, c] in [0, 1].

        Returns:
            (noisy images, mask); the mask [batch, h, w, 1] is 1 inside the patch and 0 outside.
        """
        batch, (height, width, channels) = ops.shape(images)[0], images.shape[1:]
        rows = self._placement(batch, height)  # [batch, h, size]
        columns = self._placement(batch, width)
        shape = (batch, self.size, self.size, channels)
        noise = self.draw(keras.random.normal, shape, stddev=self.stddev)
        placed = ops.einsum("bhi,bwj,bijc->bhwc", rows, columns, noise)
        mask = ops.einsum("bhi,bwj->bhw", rows, columns)[..., None]
        return ops.clip(images + placed, 0.0, 1.0), mask

    def _placement(self, batch, length):
        """Draw where the patch lies: [batch, length, size], 1 if a pixel of the patch falls on that of the image."""
        start = self.draw(keras.random.randint, (batch, 1), minval=0, maxval=length - self.size + 1)
        return ops.one_hot(start + ops.arange(self.size), length, axis=1)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "stddev": self.stddev}


@keras.saving.register_keras_serializable("hw5")
class DifferentiableAugmentation(RandomLayer):
    """Random translation, cutout and colour of images (DiffAugment, Zhao et al. 2020, section 3).

    A GAN's discriminator sees real and generated images through it, in both networks' steps. So it cannot learn a
    small dataset by heart, and the generator does not learn the changes. Its gradient passes to the images.

    Args:
        translation: largest shift along each axis, in shares of the image; the authors have 1/8. The pixels of the
            edge fill the gap, which continues a plain background in its own colour.
        cutout: side of a square of grey, in shares of the image; the authors have ½. It may lie partly outside.
        color: whether brightness, saturation and contrast change, as by the authors; hues are kept.
    """

    def __init__(self, translation: float = 0.125, cutout: float = 0.0, color: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.translation = translation
        self.cutout = cutout
        self.color = color

    def call(self, images):
        """Change images, float [batch, h, w, c] in [−1, 1], each in its own way. Returns images of that shape."""
        batch, (height, width, _) = ops.shape(images)[0], images.shape[1:]
        if self.color:
            images = self._recolored(images, batch)
        if self.translation:
            images = ops.einsum("bij,bjwc->biwc", self._shift(batch, height), images)
            images = ops.einsum("bij,bhjc->bhic", self._shift(batch, width), images)
        if self.cutout:
            outside = 1.0 - self._window(batch, height)[:, :, None] * self._window(batch, width)[:, None]
            images = images * outside[..., None]
        return images

    def _recolored(self, images, batch):
        brightness, saturation, contrast = ops.split(self.draw(keras.random.uniform, (batch, 3)), 3, axis=-1)
        images = images + (brightness - 0.5)[:, :, None, None]
        grey = ops.mean(images, axis=-1, keepdims=True)
        images = grey + 2.0 * saturation[:, :, None, None] * (images - grey)
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return mean + (contrast + 0.5)[:, :, None, None] * (images - mean)

    def _shift(self, batch, length):
        """Draw shifts along an axis: [batch, length, length], 1 where a new pixel takes an old one."""
        largest = round(self.translation * length)
        shift = self.draw(keras.random.randint, (batch, 1), minval=-largest, maxval=largest + 1)
        return ops.one_hot(ops.clip(ops.arange(length) + shift, 0, length - 1), length)

    def _window(self, batch, length):
        """Draw where the square lies along an axis: [batch, length], 1 inside."""
        size = round(self.cutout * length)
        centre = self.draw(keras.random.randint, (batch, 1), minval=0, maxval=length + 1 - size % 2)
        distance = ops.arange(length) - centre + size // 2
        return ops.cast((distance >= 0) & (distance < size), "float32")

    def get_config(self):
        own = {"translation": self.translation, "cutout": self.cutout, "color": self.color}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("hw5")
class Dequantization(RandomLayer):
    """Uniform noise that spreads each of the 256 levels over its cell: (255 x + u) / 256 with u ~ U[0, 1).

    A density of such images bounds the probability of the 8-bit images (Theis et al. 2016, section 3.1).
    Without the noise, the density could grow without bound. `hw5.metrics.dequantize` is the same in NumPy.
    """

    def call(self, images):
        """Dequantise images, float [batch, h, w, c], k/255 for level k. Returns float of that shape, in [0, 1)."""
        return (255.0 * images + self.draw(keras.random.uniform, ops.shape(images))) / 256.0


@keras.saving.register_keras_serializable("hw5")
class Binarization(RandomLayer):
    """Random pixels 0 and 1, where the grey value is the probability of 1 (Burda et al. 2016, section 5).

    Each call draws again.
    """

    def call(self, images):
        """Binarise images, float [batch, h, w, c] in [0, 1]. Returns 0 and 1, float of that shape."""
        noise = self.draw(keras.random.uniform, ops.shape(images))
        return ops.cast(noise < images, images.dtype)


@keras.saving.register_keras_serializable("hw5")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation over [batch, h, w, channels] in TensorFlow's fused kernel.

    Keras composes it of a dozen operations, and each of them reads and writes all images. The defaults are
    those of PyTorch and of the DCGANs written in it: ε = 1e-5, and moving statistics in which each new batch
    has a weight of 0.1. The moving variance has the divisor n − 1.

    On several replicas the statistics are those of the whole batch, as on one device.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=False, mask=None):
        training = bool(training and self.trainable)
        if training and replicas.count() > 1:
            images = tf.cast(inputs, tf.float32)
            mean, variance, count = replicas.moments(images, [0, 1, 2])
            beta, gamma = tf.cast(self.beta, tf.float32), tf.cast(self.gamma, tf.float32)
            outputs = tf.nn.batch_normalization(images, mean, variance, beta, gamma, self.epsilon)
            self._move(mean, variance * (count / (count - 1.0)))
            return tf.cast(outputs, inputs.dtype)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=tf.constant([], tf.float32) if training else self.moving_mean,
            variance=tf.constant([], tf.float32) if training else self.moving_variance,
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            self._move(mean, variance)
        return outputs

    def _move(self, mean, variance):
        """Move the moving statistics towards those of a batch."""
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * batch)


@keras.saving.register_keras_serializable("hw5")
class SelfModulatedBatchNormalization(BatchNormalization):
    """Batch normalisation whose scale and shift depend on z (Chen et al. 2019, section 2).

    The normalised images, with the layer's own γ and β, are multiplied by 1 + A z and shifted by B z. This is
    linear in z, as in Brock et al. 2019 (section 3); Chen et al. use a small network. So z reaches every layer
    directly. It acts in the same way on every pixel, as a colour does.
    """

    def build(self, input_shape):
        images, z = input_shape
        super().build(images)
        self.input_spec = None  # Keras expects a single input
        initializer = keras.initializers.RandomNormal(0, 0.02)
        self.modulation = self.add_weight(shape=(z[-1], 2 * images[-1]), initializer=initializer, name="modulation")

    def call(self, inputs, training=False, mask=None):
        """Normalise images. The inputs are float [batch, h, w, c] and z [batch, latent_dim]."""
        images, z = inputs
        scale, shift = ops.split(ops.matmul(z, self.modulation)[:, None, None, :], 2, axis=-1)
        return (1.0 + scale) * super().call(images, training) + shift

    def compute_output_shape(self, input_shape):
        return input_shape[0]


@keras.saving.register_keras_serializable("hw5")
class NearestConv2D(keras.layers.Conv2D):
    """Nearest-neighbour upsampling by 2 and a convolution of kernel 3 (Odena et al. 2016), in one operation.

    Upsampling makes each input pixel a square of 2×2 equal pixels. A convolution of kernel 3 over such squares
    is a transposed convolution of kernel 4 and stride 2. Its kernel is the sum of four shifted copies of the
    flipped kernel. So each output pixel takes 4 multiplications instead of 9. Weights and results are those of
    `UpSampling2D(2)` followed by `Conv2D(filters, 3, padding="same")`.
    """

    def __init__(self, filters: int, kernel_size: int = 3, padding: str = "same", **kwargs):
        super().__init__(filters, kernel_size, padding=padding, **kwargs)

    def call(self, inputs):
        """Upsample and convolve images, float [batch, h, w, c]. Returns [batch, 2h, 2w, filters]."""
        kernel = ops.transpose(ops.flip(self.kernel, axis=(0, 1)), (0, 1, 3, 2))
        for axis in (0, 1):
            before, after = ([(0, 0)] * axis + [pad] + [(0, 0)] * (3 - axis) for pad in ((0, 1), (1, 0)))
            kernel = ops.pad(kernel, before) + ops.pad(kernel, after)
        batch, height, width, _ = ops.shape(inputs)
        shape = (batch, 2 * height, 2 * width, self.filters)
        outputs = tf.nn.conv2d_transpose(inputs, kernel, shape, strides=2, padding="SAME")
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, 2 * height, 2 * width, self.filters)
