"""Principal component analysis, a lower bound for the error of the linear autoencoder (sheet 000, I.5)."""

import numpy as np
import scipy.linalg


def principal_components(images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and the principal directions of images from the eigenvectors of their covariance.

    Args:
        images: uint8 [n, h, w, c], read as [0, 1].
        count: number of directions.

    Returns:
        (mean [d], directions [d, count]) in float64, d = h·w·c. The directions are orthonormal columns in
        the order of decreasing variance, so the best k-dimensional subspace is `directions[:, :k]`.
    """
    pixels = _flatten(images)
    mean = pixels.mean(axis=0)
    pixels -= mean
    size = len(mean)
    _, directions = scipy.linalg.eigh(pixels.T @ pixels, subset_by_index=[size - count, size - 1])
    return mean, directions[:, ::-1]


def reconstruction_error(images: np.ndarray, mean: np.ndarray, directions: np.ndarray) -> float:
    """Compute the mean squared error, over pixels and images, of projecting onto mean + span(directions [d, k]).

    On the images that the components are computed from, no affine map to k dimensions and back has a smaller
    error (Eckart & Young 1936; Baldi & Hornik 1989 for the linear autoencoder).
    """
    pixels = _flatten(images) - mean
    return float(np.mean((pixels - (pixels @ directions) @ directions.T) ** 2))


def _flatten(images):
    return images.reshape(len(images), -1) / 255.0
