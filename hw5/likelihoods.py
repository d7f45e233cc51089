"""Decoder likelihoods: p(x|z), given what the decoder returns for z."""

from math import expm1, log, pi, sqrt

import keras
from keras import ops

from hw5.objectives import bernoulli_loss

SHARING = ("shared", "per_pixel", "per_image")
# An eighth of a grey level; below it a density grows without bound on pixels that never change. PixelCNN++
# has the same bound, log s ≥ −7 for images in [−1, 1].
MINIMUM = 5e-4


class Likelihood(keras.layers.Layer):
    """p(x|z) with independent pixels, whose location is the sigmoid of the decoder's output.

    Attributes:
        extra_channels: channels of the decoder's output beyond those of the images.
        learns_sigma: whether there is a `sigma`.
        is_density: whether `log_prob` is a log-density of continuous images, not a log-probability.
    """

    extra_channels = 0
    learns_sigma = False
    is_density = False

    def sigma(self, outputs):
        """Standard deviation of a pixel, in the units of the images, of a shape that broadcasts to theirs."""
        raise NotImplementedError

    def log_prob(self, images, outputs):
        """log p(x|z), summed over pixels: a probability for discrete images, a density for continuous ones.

        Args:
            images: [batch, h, w, c] in [0, 1].
            outputs: [batch, h, w, c + extra_channels], what the decoder returns.

        Returns:
            [batch], in nats.
        """
        raise NotImplementedError

    def mean(self, outputs):
        """Images [batch, h, w, c] in [0, 1]: the mean of p(x|z), of a discretised one before its tails are cut."""
        return ops.sigmoid(outputs)


@keras.saving.register_keras_serializable("hw5")
class Bernoulli(Likelihood):
    """Pixels that are 0 or 1; the outputs are logits.

    Grey values count as probabilities (`objectives.bernoulli_loss`). That trains well, but what comes
    out is then neither the probability nor the density of an image: no bits per pixel follow from it.
    """

    def log_prob(self, images, outputs):
        return -bernoulli_loss(images, outputs)


class LocationScale(Likelihood):
    """A likelihood with a learned scale, kept positive as MINIMUM + softplus(variable).

    Args:
        sharing: "shared", one scale for all; "per_pixel", one for each h, w, c; or "per_image", a function
            of z: the decoder returns one channel more, whose mean over the pixels moves the variable.
        initial: the scale before training (where the extra channel is 0), in the units of the images.
    """

    learns_sigma = True

    def __init__(self, sharing: str, initial: float, **kwargs):
        super().__init__(**kwargs)
        if sharing not in SHARING:
            raise ValueError(f"{sharing!r}: must be one of {', '.join(SHARING)}")
        if initial <= MINIMUM:
            raise ValueError(f"initial={initial}: must be above {MINIMUM}")
        self.sharing = sharing
        self.initial = initial
        self.extra_channels = int(sharing == "per_image")

    def build(self, output_shape):
        shape = output_shape[1:] if self.sharing == "per_pixel" else ()
        initializer = keras.initializers.Constant(log(expm1(self.initial - MINIMUM)))
        self.raw_scale = self.add_weight(shape, initializer, name="raw_scale")

    def scale(self, outputs):
        """Of a shape that broadcasts to that of the images."""
        moved = ops.mean(outputs[..., -1:], axis=(1, 2, 3), keepdims=True) if self.extra_channels else 0.0
        return MINIMUM + ops.softplus(self.raw_scale + moved)

    def mean(self, outputs):
        return super().mean(outputs[..., :-1] if self.extra_channels else outputs)


@keras.saving.register_keras_serializable("hw5")
class Gaussian(LocationScale):
    """Continuous pixels x ~ N(μ, σ²) with a learned σ, as in the σ-VAE (Rybkin et al. 2021).

    Args:
        sigma: "shared", "per_pixel" or "per_image".
        initial: σ before training.
    """

    is_density = True

    def __init__(self, sigma: str = "shared", initial: float = 0.2, **kwargs):
        super().__init__(sigma, initial, **kwargs)

    def sigma(self, outputs):
        return self.scale(outputs)

    def log_prob(self, images, outputs):
        sigma = self.sigma(outputs)
        deviation = (images - self.mean(outputs)) / sigma
        log_density = -0.5 * ops.square(deviation) - ops.log(sigma) - 0.5 * log(2 * pi)
        return ops.sum(log_density, axis=(1, 2, 3))

    def get_config(self):
        return {**super().get_config(), "sigma": self.sharing, "initial": self.initial}


@keras.saving.register_keras_serializable("hw5")
class DiscretizedLogistic(LocationScale):
    """8-bit pixels k/255: the mass that a logistic distribution has within half a level of them.

    Levels 0 and 255 take the tails as well, so the 256 probabilities sum to 1 (Kingma et al. 2016;
    Salimans et al. 2017, equation 2, with one component).

    Args:
        scale: "shared", "per_pixel" or "per_image"; the standard deviation is π/√3 times the scale.
        initial: the scale before training.
    """

    def __init__(self, scale: str = "shared", initial: float = 0.1, **kwargs):
        super().__init__(scale, initial, **kwargs)

    def sigma(self, outputs):
        return self.scale(outputs) * (pi / sqrt(3))

    def log_prob(self, images, outputs):
        # With S the sigmoid and a < b the ends of a bin,  S(b) − S(a) = S(b) · S(−a) · (1 − exp(a − b)):
        # no difference of nearly equal numbers. The open end of a tail turns two of the factors into 1.
        scale = self.scale(outputs)
        centre = (images - self.mean(outputs)) / scale
        half = 0.5 / 255 / scale
        first, last = images < 0.5 / 255, images > 254.5 / 255
        log_upper = ops.where(last, 0.0, ops.log_sigmoid(centre + half))
        log_lower = ops.where(first, 0.0, ops.log_sigmoid(half - centre))
        log_width = ops.where(first | last, 0.0, ops.log(-ops.expm1(-2.0 * half)))
        return ops.sum(log_upper + log_lower + log_width, axis=(1, 2, 3))

    def get_config(self):
        return {**super().get_config(), "scale": self.sharing, "initial": self.initial}
