"""PCA against SciPy's singular value decomposition."""

import numpy as np
import scipy.linalg

from hw5.metrics import pca


def test_four_images_of_two_pixels_by_hand():
    # 0.4 ± 0.4 on the diagonal, and 0.4 ± 0.2 across it: two of four images are (0.2² + 0.2²)/2 away from the diagonal.
    images = np.uint8([[204, 204], [0, 0], [153, 51], [51, 153]]).reshape(4, 1, 2, 1)
    mean, directions = pca.principal_components(images, 2)
    np.testing.assert_allclose(mean, [0.4, 0.4], rtol=1e-15)
    np.testing.assert_allclose(np.abs(directions.T @ [[1, 1], [1, -1]]), np.sqrt(2) * np.eye(2), atol=1e-15)
    _, first = pca.principal_components(images, 1)
    np.testing.assert_allclose(np.abs(first), [[np.sqrt(0.5)], [np.sqrt(0.5)]], rtol=1e-15)
    errors = [pca.reconstruction_error(images, mean, directions[:, :k]) for k in range(3)]
    np.testing.assert_allclose(errors, [(2 * 0.4**2 + 2 * 0.2**2) / 4, 2 * 0.2**2 / 4, 0], atol=1e-15)


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
