"""Likelihoods of images in nats and in bits: the bound from importance weights, bits per dimension, dequantisation."""

import io
from collections.abc import Sequence
from math import log, prod

import numpy as np
from PIL import Image

from hw5.errors import InputError


def iwae_bound(log_weights: np.ndarray) -> np.ndarray:
    """Compute log (1/K) Σ exp(log w_k) over the first axis, in nats (Burda et al. 2016, equation 8).

    Args:
        log_weights: [K, batch].

    Returns:
        float64 [batch].
    """
    log_weights = np.asarray(log_weights, np.float64)
    return np.logaddexp.reduce(log_weights, axis=0) - log(len(log_weights))


def merge_bounds(bounds: np.ndarray, num_samples: Sequence[int]) -> np.ndarray:
    """Merge bounds from parts of the importance samples into that of all: log Σ Kᵢ exp(boundᵢ) − log Σ Kᵢ.

    Args:
        bounds: [parts, batch], in nats; that of part i is `iwae_bound` of its Kᵢ log-weights.
        num_samples: the Kᵢ, each at least 1.

    Returns:
        float64 [batch].
    """
    counts = np.asarray(num_samples, np.float64)
    weighted = np.asarray(bounds, np.float64) + np.log(counts)[:, None]
    return np.logaddexp.reduce(weighted, axis=0) - log(counts.sum())


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Compute the mean of independent values, [n] with n ≥ 2, and its standard error.

    To compare two models, take the differences of their values image by image: images differ much more than models,
    and the error of the mean difference is much smaller than those of the two means.
    """
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def bits_per_dimension(
    log_likelihood: np.ndarray | float,
    image_shape: Sequence[int],
    *,
    value_range: tuple[float, float] | None = None,
    levels: int = 256,
) -> np.ndarray:
    """Compute the code length of images in bits per dimension (h·w·c): 8 if all levels are equally probable.

    −log P(x) / (D ln 2). For a density, P(x) is the mass that it puts on the cell of volume
    ((high − low)/levels)^D around the image. This bounds the bits if the density is a model of images that are
    dequantised with uniform noise (Theis et al. 2016, section 3.1; Dinh et al. 2017).

    Args:
        log_likelihood: in nats per image, of any shape.
        image_shape: (h, w, c).
        value_range: None for a log-probability of 8-bit images; for a log-density the (low, high)
            of the dequantised images, as in `dequantize`.
        levels: number of values that each number of the image can take.

    Returns:
        float64, of the shape of `log_likelihood`. For colour images, bits per pixel are three times as many.
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
    """Compute the code length of images in bits per pixel (h·w); otherwise as `bits_per_dimension`."""
    return image_shape[-1] * bits_per_dimension(log_likelihood, image_shape, value_range=value_range, levels=levels)


def png_bits_per_dimension(images: np.ndarray) -> np.ndarray:
    """Compute the size of each image as a PNG file, in bits per dimension: a code that needs no training images.

    Each image is a file of its own, because a VAE as well codes an image by itself. The file is what Pillow writes with
    `optimize`. About 60 of its bytes are no pixels: 0.04 bits per dimension at 64×64×3.

    Args:
        images: uint8 [n, h, w, 1 or 3].

    Returns:
        float64 [n].
    """

    def size(image):
        file = io.BytesIO()
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, "PNG", optimize=True)
        return file.tell()

    return np.array([8 * size(image) / image.size for image in images], np.float64)


def dequantize(images: np.ndarray, seed: int = 0, value_range: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Spread each 8-bit level x evenly over its cell: low + (high − low)(x + u)/256 with u ~ U[0, 1).

    The likelihood of such continuous images bounds the probability of the 8-bit ones (Theis et al. 2016,
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
