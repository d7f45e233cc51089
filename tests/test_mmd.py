"""MMD against its definition written out as a double loop, and against Gaussian integrals."""

import numpy as np
import pytest

from hw5.errors import InputError
from hw5.metrics import mmd
from hw5.metrics.mmd import kernel_inception_distance, maximum_mean_discrepancy

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(7, 3)), RNG.normal(size=(5, 3)) + 1
KERNELS = {
    "polynomial": lambda a, b: (a @ b / 3 + 1) ** 3,
    "rbf": lambda a, b: np.exp(-np.sum((a - b) ** 2) / (2 * 1.7**2)),
}
OPTIONS = {"polynomial": {}, "rbf": {"bandwidth": 1.7}}


def definition(x, y, kernel):
    def mean(pairs):
        return np.mean([kernel(a, b) for a, b in pairs])

    def others(z):
        return [(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]

    return mean(others(x)) + mean(others(y)) - 2 * mean([(a, b) for a in x for b in y])


@pytest.mark.parametrize("block", [1, 3, 1000])
@pytest.mark.parametrize("kernel", KERNELS)
def test_against_the_definition(kernel, block, monkeypatch):
    monkeypatch.setattr(mmd, "BLOCK_ROWS", block)
    for x, y in ((X, Y), (Y, X), (X, X)):
        expected = definition(x, y, KERNELS[kernel])
        np.testing.assert_allclose(maximum_mean_discrepancy(x, y, kernel, **OPTIONS[kernel]), expected, rtol=1e-12)


def test_two_points_by_hand():
    # d = 1: k(0, 2) = 1, k(1, 1) = 8, k(0, 1) = 1, k(2, 1) = 27:  1 + 8 − 2 (1 + 27)/2
    np.testing.assert_allclose(maximum_mean_discrepancy([[0], [2]], [[1], [1]]), -19)
    np.testing.assert_allclose(kernel_inception_distance([[0], [2]], [[1], [1]], subsets=1, subset_size=2), (-19, 0))


def test_rbf_of_two_points_by_hand():
    # σ = ½ and q = exp(−1/(2σ²)) = e⁻²:  q + q − 2 (2 + 2q)/4
    points = [[0], [1]]
    np.testing.assert_allclose(maximum_mean_discrepancy(points, points, "rbf", bandwidth=0.5), np.exp(-2) - 1)


def test_default_bandwidth_is_the_median_distance():
    pooled = np.concatenate([X, Y])
    median = np.median([np.linalg.norm(a - b) for i, a in enumerate(pooled) for b in pooled[:i]])
    expected = maximum_mean_discrepancy(X, Y, "rbf", bandwidth=median)
    np.testing.assert_allclose(maximum_mean_discrepancy(X, Y, "rbf"), expected)


def test_default_bandwidth_of_many_points_is_that_of_the_same_ones_in_each_call(monkeypatch):
    monkeypatch.setattr(mmd, "MEDIAN_POINTS", 5)
    first, second = (maximum_mean_discrepancy(X, Y, "rbf") for _ in range(2))
    assert first == second
    monkeypatch.setattr(mmd, "MEDIAN_POINTS", 12)
    assert maximum_mean_discrepancy(X, Y, "rbf") != first


@pytest.mark.parametrize("kernel", KERNELS)
def test_is_unbiased(kernel):
    rng = np.random.default_rng(1)
    values = [
        maximum_mean_discrepancy(rng.normal(size=(10, 4)), rng.normal(size=(6, 4)), kernel, **OPTIONS[kernel])
        for _ in range(1500)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(1500)
    assert np.min(values) < 0


def test_rbf_between_gaussians():
    # E exp(−‖a − b‖²/(2σ²)) = (σ²/(σ² + s²))^(d/2) exp(−m²/(2(σ² + s²))), a − b of mean m and variance s² per dimension
    def expected(variance, mean):
        return (4 / (4 + variance)) ** 2.5 * np.exp(-(mean**2) / (2 * (4 + variance)))

    exact = expected(2, 0) + expected(2 * 1.5**2, 0) - 2 * expected(1 + 1.5**2, 0.8)
    rng = np.random.default_rng(1)
    values = [
        maximum_mean_discrepancy(
            rng.normal(size=(200, 5)), rng.normal(size=(150, 5)) * 1.5 + 0.8 * np.eye(5)[0], "rbf", bandwidth=2
        )
        for _ in range(50)
    ]
    assert abs(np.mean(values) - exact) < 4 * np.std(values) / np.sqrt(50)
    assert np.std(values) < 0.2 * exact


def test_rbf_keeps_its_digits_far_from_the_origin():
    origin = np.array([2.0**20, 0, -(2.0**20)])
    near, far = (maximum_mean_discrepancy(X + shift, Y + shift, "rbf", bandwidth=1.7) for shift in (0, origin))
    np.testing.assert_allclose(far, near, rtol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_features_of_every_type_count_as_float64(kernel, dtype):
    x, y = (100 + 60 * features / np.abs(features).max() for features in (X, Y))  # their products overflow 16 bits
    x, y = x.astype(dtype), y.astype(dtype)
    exact = maximum_mean_discrepancy(np.float64(x), np.float64(y), kernel)
    assert maximum_mean_discrepancy(x, y, kernel) == exact
    both = (kernel_inception_distance(a, b, 2, 3) for a, b in ((x, y), (np.float64(x), np.float64(y))))
    assert next(both) == next(both)


@pytest.mark.parametrize("kernel", KERNELS)
def test_ranks_noise_behind_other_samples(kernel):
    real, same, noise = RNG.normal(size=(200, 8)), RNG.normal(size=(300, 8)), RNG.uniform(-3, 3, size=(300, 8))
    same, noise = (maximum_mean_discrepancy(real, np.float32(fake), kernel) for fake in (same, noise))
    assert same < 0.1 * noise


def test_kid_of_all_samples_is_mmd():
    mean, std = kernel_inception_distance(X[:5], Y, subsets=3, subset_size=5)
    np.testing.assert_allclose(mean, maximum_mean_discrepancy(X[:5], Y))
    assert std == 0


def test_kid_is_near_the_mmd_of_everything():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(500, 4)), rng.normal(size=(400, 4)) + 0.5
    mean, std = kernel_inception_distance(x, y, subset_size=50)
    assert abs(mean - maximum_mean_discrepancy(x, y)) < 4 * std / np.sqrt(100)
    assert kernel_inception_distance(x, y, subsets=100, subset_size=50, seed=0) == (mean, std)
    assert kernel_inception_distance(x, y, subset_size=50, seed=1) != (mean, std)


@pytest.mark.parametrize("metric", [maximum_mean_discrepancy, lambda x, y: kernel_inception_distance(x, y, 1, 2)])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[0], Y, r"not \[3\] and \[5, 3\]"),
        (X, Y[:, :2], r"not \[7, 3\] and \[5, 2\]"),
        (X, Y * np.nan, "NaN or infinity"),
        (X + np.inf, Y, "NaN or infinity"),
        (X, Y[:1], "2"),
    ],
)
def test_refuse_invalid_features(metric, x, y, message):
    with pytest.raises(InputError, match=message):
        metric(x, y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: maximum_mean_discrepancy(X, Y, "linear"), "kernel=linear: must be polynomial or rbf"),
        (lambda: maximum_mean_discrepancy(X, Y, "rbf", bandwidth=0), "bandwidth=0"),
        (lambda: maximum_mean_discrepancy(X * 0, Y * 0, "rbf"), "the default bandwidth, is 0"),
        (lambda: kernel_inception_distance(X, Y, subset_size=6), "subset_size=6: .* 5"),
        (lambda: kernel_inception_distance(X, Y), "subset_size=1000: .* 5"),
        (lambda: kernel_inception_distance(X, Y, subsets=0, subset_size=3), "subsets=0"),
    ],
)
def test_refuse_options(call, message):
    with pytest.raises(InputError, match=message):
        call()
