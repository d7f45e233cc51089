"""The likelihood of images under a model with latent variables: log p(x) in nats, and in bits."""

from collections.abc import Sequence
from math import log, prod

import keras
import numpy as np
import tensorflow as tf

from hw5.errors import InputError


def log_likelihood(
    model,
    images: np.ndarray,
    num_samples: int = 2000,
    *,
    seed: int = 0,
    decoded_at_once: int = 500,
    verbose: bool = False,
) -> np.ndarray:
    """log p(x) of images by importance sampling from the posterior q(z|x).

    log (1/K) Σ p(x|z_k) p(z_k) / q(z_k|x)  with z_k ~ q(z|x), in expectation a lower bound that rises to
    log p(x) with K (Rezende et al. 2014; Burda et al. 2016, equation 8 and theorem 1). K = 1 is the ELBO
    with one sample.

    The noise of image i comes from `np.random.default_rng([seed, i])`: no other argument changes it.

    Args:
        model: has `latent_dim`, and `log_weights(images, epsilon)` as `hw5.models.VAE` has it.
        images: float [n, h, w, c], in the range that the model was trained on.
        num_samples: K, importance samples an image.
        decoded_at_once: codes decoded in one step, which bounds the memory; it does not enter the result.
        verbose: show a progress bar.

    Returns:
        float64 [n], in nats an image: a log-probability where the model's likelihood is of discrete
        pixels, a log-density where it is of continuous ones.

    Raises:
        InputError: images that are no floats or hold NaN, or a number of samples below 1.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.floating):
        found = f"{images.dtype} {list(images.shape)}"
        raise InputError(f"images must be float [n, h, w, c], scaled as the model was trained, not {found}")
    if np.isnan(images).any():
        raise InputError("images hold NaN")
    for name, value in (("num_samples", num_samples), ("decoded_at_once", decoded_at_once)):
        if value < 1:
            raise InputError(f"{name}={value}: must be at least 1")
    log_weights = tf.function(model.log_weights)
    images_at_once = max(decoded_at_once // num_samples, 1)
    samples_at_once = min(decoded_at_once, num_samples)
    progress = keras.utils.Progbar(len(images), unit_name="image", verbose=int(verbose))
    bounds = [np.empty(0)]
    for start in range(0, len(images), images_at_once):
        batch = images[start : start + images_at_once].astype(np.float32)
        noise = [np.random.default_rng([seed, start + i]) for i in range(len(batch))]
        parts = []
        for done in range(0, num_samples, samples_at_once):
            shape = (min(samples_at_once, num_samples - done), model.latent_dim)
            epsilon = np.stack([generator.standard_normal(shape, np.float32) for generator in noise], axis=1)
            parts.append(log_weights(batch, epsilon))
        bounds.append(iwae_bound(np.concatenate(parts)))
        progress.update(start + len(batch))
    return np.concatenate(bounds)


def iwae_bound(log_weights: np.ndarray) -> np.ndarray:
    """log (1/K) Σ exp(log w_k) over the first axis, in nats (Burda et al. 2016, equation 8).

    Args:
        log_weights: [K, batch].

    Returns:
        float64 [batch].
    """
    log_weights = np.asarray(log_weights, np.float64)
    return np.logaddexp.reduce(log_weights, axis=0) - log(len(log_weights))


def bits_per_dimension(
    log_likelihood: np.ndarray | float,
    image_shape: Sequence[int],
    *,
    value_range: tuple[float, float] | None = None,
    levels: int = 256,
) -> np.ndarray:
    """The bits that coding an image takes for each of its h·w·c numbers: 8 if all levels are as likely.

    −log P(x) / (D ln 2). Of a density, P(x) is taken to be the mass that it puts on the cell of volume
    ((high − low)/levels)^D around the image, a bound on the bits if the density is of images dequantised
    with uniform noise (Theis et al. 2016, section 3.1; Dinh et al. 2017).

    Args:
        log_likelihood: in nats an image, of any shape.
        image_shape: (h, w, c).
        value_range: None for a log-probability of 8-bit images; for a log-density the (low, high)
            between which the dequantised images lie, as in `dequantize`.
        levels: how many values a number of the image can take.

    Returns:
        float64, of the shape of `log_likelihood`. Of colour images, bits per pixel are three times more.
    """
    dimensions = prod(image_shape)
    low, high = (0, levels) if value_range is None else value_range  # the cell of a probability has volume 1
    log_probability = np.asarray(log_likelihood, np.float64) + dimensions * log((high - low) / levels)
    return -log_probability / (dimensions * log(2))


def bits_per_pixel(
    log_likelihood: np.ndarray | float,
    image_shape: Sequence[int],
    *,
    value_range: tuple[float, float] | None = None,
    levels: int = 256,
) -> np.ndarray:
    """The bits that coding an image takes for each of its h·w pixels; otherwise as `bits_per_dimension`."""
    return image_shape[-1] * bits_per_dimension(log_likelihood, image_shape, value_range=value_range, levels=levels)


def dequantize(images: np.ndarray, seed: int = 0, value_range: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Spread each 8-bit level x evenly over its cell: low + (high − low)(x + u)/256 with u ~ U[0, 1).

    A model of such continuous images bounds the probability of the 8-bit ones (Theis et al. 2016,
    section 3.1). No value reaches the next level, or `high`.

    Args:
        images: uint8, of any shape.

    Returns:
        float32, of the same shape.

    Raises:
        InputError: images that are not uint8.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise InputError(f"images to dequantize must be uint8, not {images.dtype}")
    low, high = value_range
    # The 16 bits of u and the 8 of x fill the 24 of a float32: nothing is rounded up.
    sixteen_bits = np.random.default_rng(seed).integers(0, 2**16, images.shape, np.uint16)
    unit = (images + sixteen_bits / np.float32(2**16)) / np.float32(256)
    return np.float32(low) + np.float32(high - low) * unit
