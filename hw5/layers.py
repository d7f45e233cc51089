"""Layers that Keras lacks."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from hw5.errors import InputError


class SavedNoise:
    """Mixin for a layer or model without weights of its own, but with a `seed_generator`.

    It saves the generator's state with the weights, which Keras leaves out: a loaded model goes on with
    the noise that the saved one would have drawn.
    """

    def save_own_variables(self, store):
        store["seed_generator_state"] = self.seed_generator.state.numpy()

    def load_own_variables(self, store):
        self.seed_generator.state.assign(store["seed_generator_state"])


class Noise(SavedNoise, keras.layers.Layer):
    """A layer that draws random numbers.

    Args:
        seed: integer seed; None takes one from Keras' global seed.
    """

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("hw5")
class Sampling(Noise):
    """Draw z = μ + exp(s/2)·ε with ε ~ N(0, I), differentiably in μ and s.

    The reparametrisation trick of Kingma & Welling 2014, section 2.4; s = log σ² (sheet 000, II.1).
    """

    def call(self, mean, log_var):
        """Both arguments and the result: float [batch, latent_dim]."""
        epsilon = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * epsilon


@keras.saving.register_keras_serializable("hw5")
class PatchNoise(Noise):
    """Add Gaussian noise inside one square patch, at a random place of every image (sheet 003, 1.2).

    The patch lies wholly within the image; the result is clipped to [0, 1], as an image is.

    Args:
        size: of the patch, in pixels.
        stddev: of the noise, in the units of the images.
    """

    def __init__(self, size: int = 8, stddev: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.stddev = stddev

    def call(self, images):
        """Images float [batch, h, w, c] in [0, 1]. Returns (noisy images, mask), the mask [batch, h, w, 1]
        1 inside the patch and 0 outside."""
        batch, (height, width, channels) = ops.shape(images)[0], images.shape[1:]
        rows = self._placement(batch, height)  # [batch, h, size]
        columns = self._placement(batch, width)
        shape = (batch, self.size, self.size, channels)
        noise = keras.random.normal(shape, stddev=self.stddev, seed=self.seed_generator)
        placed = ops.einsum("bhi,bwj,bijc->bhwc", rows, columns, noise)
        mask = ops.einsum("bhi,bwj->bhw", rows, columns)[..., None]
        return ops.clip(images + placed, 0.0, 1.0), mask

    def _placement(self, batch, length):
        """[batch, length, size], 1 where a pixel of the patch falls on one of the image."""
        start = keras.random.randint((batch, 1), 0, length - self.size + 1, seed=self.seed_generator)
        return ops.one_hot(start + ops.arange(self.size), length, axis=1)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "stddev": self.stddev}


@keras.saving.register_keras_serializable("hw5")
class Dequantization(Noise):
    """Spread each of the 256 levels evenly over its cell: (255 x + u) / 256 with u ~ U[0, 1).

    A density of such images bounds the probability of the 8-bit ones (Theis et al. 2016, section 3.1);
    without the noise, it could grow without bound. `hw5.metrics.dequantize` is the same in NumPy.
    """

    def call(self, images):
        """Images float [batch, h, w, c], k/255 for levels k. Returns float of that shape, in [0, 1)."""
        return (255.0 * images + keras.random.uniform(ops.shape(images), seed=self.seed_generator)) / 256.0


@keras.saving.register_keras_serializable("hw5")
class Binarization(Noise):
    """Draw each pixel as 1 with its grey value as the probability, anew every time (Burda et al. 2016, section 5)."""

    def call(self, images):
        """Images float [batch, h, w, c] in [0, 1]. Returns 0 and 1, float of that shape."""
        noise = keras.random.uniform(ops.shape(images), seed=self.seed_generator)
        return ops.cast(noise < images, images.dtype)


@keras.saving.register_keras_serializable("hw5")
class GaussianPrior(keras.layers.Layer):
    """A VAE's prior N(m, L Lᵀ) over latents: N(0, I) until it is fitted to those of images.

    Of all Gaussians, that with the mean and the covariance of z ~ q(z|x), x from the training images, has the
    largest ELBO. A VAE that was trained with N(0, I) gets it afterwards: where its latents are but roughly
    N(0, I), many samples of that are no latents of images (Ghosh et al. 2020, section 4).
    """

    def build(self, shape):
        """Shape (…, latent_dim), of latents."""
        size = shape[-1]
        self.mean = self.add_weight(shape=(size,), initializer="zeros", trainable=False, name="mean")
        self.factor = self.add_weight(shape=(size, size), initializer="identity", trainable=False, name="factor")

    def fit(self, z):
        """Take mean and covariance from latents [n, latent_dim].

        Raises:
            InputError: too few of them.
        """
        count, size = np.shape(z)
        if count <= size:
            raise InputError(f"a prior of {size} latents cannot be fitted to {count} images: it takes more")
        z = np.asarray(z, np.float64)
        self.mean.assign(z.mean(axis=0))
        self.factor.assign(np.linalg.cholesky(np.cov(z, rowvar=False)))

    def call(self, epsilon):
        """z = m + L ε: what N(0, I) becomes; [..., latent_dim] both."""
        return self.mean + ops.matmul(epsilon, ops.transpose(self.factor))

    def standardize(self, z):
        """ε = L⁻¹ (z − m): what becomes N(0, I); [..., latent_dim] both."""
        inverse = ops.linalg.inv(self.factor)
        return ops.matmul(z - self.mean, ops.transpose(inverse))

    def log_ratio(self, z):
        """log N(z; m, L Lᵀ) − log N(z; 0, I) of z [..., latent_dim]. Returns [...]."""
        log_det = ops.sum(ops.log(ops.diagonal(self.factor)))
        return 0.5 * ops.sum(ops.square(z) - ops.square(self.standardize(z)), axis=-1) - log_det


@keras.saving.register_keras_serializable("hw5")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation over [batch, h, w, channels] in TensorFlow's fused kernel.

    Keras composes it of a dozen operations, each a trip through memory as large as the images. The
    defaults are those of PyTorch and the DCGANs written in it: ε = 1e-5, and moving statistics that take
    in a tenth of each batch, the variance with divisor n − 1.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=False, mask=None):
        training = bool(training and self.trainable)
        moments = (self.moving_mean, self.moving_variance)
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
            for moving, batch in zip(moments, (mean, variance), strict=True):
                moving.assign(self.momentum * moving + (1 - self.momentum) * batch)
        return outputs


@keras.saving.register_keras_serializable("hw5")
class SelfModulatedBatchNormalization(BatchNormalization):
    """Batch normalisation whose scale and shift the latent variables have a say in (Chen et al. 2019, section 2).

    They are the layer's own γ and β, times 1 + A z, plus B z: linear in z, as in Brock et al. 2019 (section 3),
    where Chen et al. have a small network. So z reaches every layer as a whole, and what it says, such as a
    colour, is the same at every pixel.
    """

    def build(self, input_shape):
        images, z = input_shape
        super().build(images)
        self.input_spec = None  # Keras' would have one input
        initializer = keras.initializers.RandomNormal(0, 0.02)
        self.modulation = self.add_weight(shape=(z[-1], 2 * images[-1]), initializer=initializer, name="modulation")

    def call(self, inputs, training=False, mask=None):
        """The pair of float [batch, h, w, c] and z [batch, latent_dim]. Returns float [batch, h, w, c]."""
        images, z = inputs
        scale, shift = ops.split(ops.matmul(z, self.modulation)[:, None, None, :], 2, axis=-1)
        return (1.0 + scale) * super().call(images, training) + shift

    def compute_output_shape(self, input_shape):
        return input_shape[0]


@keras.saving.register_keras_serializable("hw5")
class NearestConv2D(keras.layers.Conv2D):
    """Nearest neighbour's upsampling by 2 and a convolution of kernel 3 (Odena et al. 2016), in one operation.

    Each input pixel is seen by a kernel of 3 through a square of 2 pixels, which makes it a transposed
    convolution of kernel 4 and stride 2, whose kernel is the flipped one spread over that square. So a pixel
    of the result takes 4 multiplications instead of 9. Weights and results are those of `UpSampling2D(2)` and
    `Conv2D(filters, 3, padding="same")`.
    """

    def __init__(self, filters: int, kernel_size: int = 3, padding: str = "same", **kwargs):
        super().__init__(filters, kernel_size, padding=padding, **kwargs)

    def call(self, inputs):
        """Float [batch, h, w, c]. Returns [batch, 2h, 2w, filters]."""
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
