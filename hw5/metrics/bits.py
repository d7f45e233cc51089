"""Bits per dimension of images under a VAE, and their differences from those of another model."""

from collections.abc import Mapping, Sequence

import numpy as np

from hw5 import data
from hw5.metrics.importance_sampling import log_likelihood
from hw5.metrics.likelihood import bits_per_dimension, dequantize, mean_and_error
from hw5.metrics.shards import Shards


def vae_bits_per_dimension(
    vae, images: np.ndarray, num_samples: int = 2000, *, seed: int = 0, shards: int = 1, verbose: bool = False
) -> np.ndarray:
    """Estimate the code length of 8-bit images under a VAE, in bits per dimension, by importance sampling.

    The noise depends on the seed alone, so that differences between models are not of their noise.

    Args:
        vae: a `hw5.models.VAE` of images in [0, 1]. If its likelihood is a density, the images are dequantised.
        images: uint8 [n, h, w, c].
        num_samples: importance samples per image.
        seed: of the dequantisation and of the importance samples.
        shards: processes that divide the images among them.
        verbose: show a progress bar.

    Returns:
        float64 [n]. Their expectations are upper bounds of the bits (`log_likelihood`, `bits_per_dimension`).

    Raises:
        InputError: images of a density that are not uint8; num_samples below 1.
    """
    scaled = dequantize(images, seed) if vae.likelihood.is_continuous else np.asarray(data.scale(images))
    with Shards(shards) as pool:
        nats = log_likelihood(vae, scaled, num_samples, seed=seed, shards=pool, verbose=verbose)
    return in_bits(nats, vae, images.shape[1:])


def in_bits(nats: np.ndarray | float, vae, image_shape: Sequence[int]) -> np.ndarray:
    """Convert log p(x) of a VAE, or a bound of it, to bits per dimension of 8-bit images.

    Args:
        nats: per image, of any shape. Of a likelihood that is a density, they are of dequantised images in [0, 1].
        vae: the model, whose likelihood says whether it is a density.
        image_shape: (h, w, c).

    Returns:
        float64, of the shape of `nats`.
    """
    value_range = (0.0, 1.0) if vae.likelihood.is_continuous else None
    return bits_per_dimension(nats, image_shape, value_range=value_range)


def summary_of_bits(bits_of_images: Mapping[str, np.ndarray], channels: int) -> dict:
    """Summarise the bits of the last model, and their differences, image by image, from those of the first one.

    Args:
        bits_of_images: name of a model → bits per dimension [n] of the same n ≥ 2 images, in the same order.
        channels: of the images.

    Returns:
        Means over the images and their standard errors: bits_per_dimension, bits_per_dimension_error, bits_per_pixel;
        num_images; and with two models or more bits_difference, bits_difference_error, and bits_difference_from, the
        name of the first one.
    """
    (first, reference), (*_, values) = next(iter(bits_of_images.items())), bits_of_images.values()
    mean, error = mean_and_error(values)
    row = {"bits_per_dimension": mean, "bits_per_dimension_error": error, "bits_per_pixel": mean * channels}
    if len(bits_of_images) > 1:
        mean, error = mean_and_error(values - reference)
        row |= {"bits_difference": mean, "bits_difference_error": error, "bits_difference_from": first}
    return row | {"num_images": len(values)}
