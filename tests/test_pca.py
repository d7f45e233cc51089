"""PCA against SciPy's singular value decomposition."""

import numpy as np
import scipy.linalg

from hw5.metrics import pca


def test_directions_are_the_right_singular_vectors(digits):
    mean, directions = pca.principal_components(digits, 784)
    pixels = digits.reshape(-1, 784) / 255
    _, _, vt = scipy.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(mean, pixels.mean(axis=0))
    np.testing.assert_allclose(np.abs(np.sum(vt[:20].T * directions[:, :20], axis=0)), 1, atol=1e-8)
    np.testing.assert_allclose(directions.T @ directions, np.eye(784), atol=1e-9)


def test_error_is_the_variance_left_out(digits):
    mean, directions = pca.principal_components(digits, 784)
    pixels = digits.reshape(-1, 784) / 255
    singular = scipy.linalg.svdvals(pixels - mean)
    for k in (1, 10, 783):
        left_out = np.sum(singular[k:] ** 2) / pixels.size
        np.testing.assert_allclose(pca.reconstruction_error(digits, mean, directions[:, :k]), left_out, atol=1e-12)


def test_fewer_directions_are_the_first_ones(digits):
    _, every = pca.principal_components(digits, 784)
    _, few = pca.principal_components(digits, 3)
    np.testing.assert_allclose(np.abs(np.sum(few * every[:, :3], axis=0)), 1, atol=1e-8)


def test_uint8_images_are_not_changed(digits):
    before = digits.copy()
    pca.principal_components(digits, 2)
    np.testing.assert_array_equal(digits, before)
