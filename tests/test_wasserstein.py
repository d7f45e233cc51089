"""Wasserstein distances against closed forms, brute force and SciPy's one-dimensional one."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from hw5.errors import InputError
from hw5.metrics import wasserstein
from hw5.metrics.wasserstein import wasserstein_distance

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)) + 1


@pytest.mark.parametrize("order", [1, 1.5, 2])
def test_exact_against_every_permutation(order):
    costs = [
        np.mean(np.linalg.norm(X - Y[list(permutation)], axis=1) ** order)
        for permutation in itertools.permutations(range(5))
    ]
    np.testing.assert_allclose(wasserstein_distance(X, Y, order=order), min(costs) ** (1 / order))
    np.testing.assert_allclose(wasserstein_distance(Y, X, order=order), min(costs) ** (1 / order))


@pytest.mark.parametrize("order", [1, 2])
def test_exact_of_a_translation_is_its_length(order):
    x, shift = RNG.normal(size=(200, 6)), RNG.normal(size=6)
    moved = RNG.permutation(x) + shift
    np.testing.assert_allclose(wasserstein_distance(x, moved, order=order), np.linalg.norm(shift))
    assert wasserstein_distance(x, x[::-1], order=order) == 0


def test_exact_in_one_dimension():
    x, y = RNG.normal(size=(300, 1)), RNG.exponential(size=(300, 1))
    expected = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
    np.testing.assert_allclose(wasserstein_distance(np.float32(x), np.float32(y)), expected, rtol=1e-6)


@pytest.mark.parametrize(("m", "n"), [(300, 300), (300, 200), (7, 300), (1, 10)])
def test_sliced_in_one_dimension(m, n):
    x, y = RNG.normal(size=(m, 1)), RNG.exponential(size=(n, 1))
    expected = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
    np.testing.assert_allclose(wasserstein_distance(x, y, method="sliced", projections=3), expected)


def test_sliced_of_unequal_counts_is_that_of_repeated_points():
    x, y = RNG.normal(size=(4, 3)), RNG.normal(size=(6, 3))
    expected = wasserstein_distance(np.repeat(x, 3, axis=0), np.repeat(y, 2, axis=0), order=2, method="sliced")
    np.testing.assert_allclose(wasserstein_distance(x, y, order=2, method="sliced"), expected)


@pytest.mark.parametrize(("order", "size"), [(1, 3), (1, 16), (2, 3), (2, 16)])
def test_sliced_of_a_translation(order, size):
    # ‖v‖ (E|θ₁|ᵖ)^(1/p) with E|θ₁| = Γ(d/2)/(√π Γ((d+1)/2)) and E θ₁² = 1/d
    shift, x = RNG.normal(size=size), RNG.normal(size=(50, size))
    moment = math.gamma(size / 2) / (math.sqrt(math.pi) * math.gamma((size + 1) / 2)) if order == 1 else 1 / size
    distance = wasserstein_distance(x, x + shift, order=order, method="sliced", projections=10_000)
    np.testing.assert_allclose(distance, np.linalg.norm(shift) * moment ** (1 / order), rtol=0.04)


@pytest.mark.parametrize("order", [1, 2])
def test_sliced_is_at_most_exact(order):
    x, y = RNG.normal(size=(100, 4)), RNG.normal(size=(100, 4)) * 2
    assert 0 < wasserstein_distance(x, y, order=order, method="sliced") < wasserstein_distance(x, y, order=order)


def test_sliced_does_not_depend_on_the_blocks_but_on_the_seed(monkeypatch):
    distance = wasserstein_distance(X, Y, method="sliced")
    assert distance != wasserstein_distance(X, Y, method="sliced", seed=1)
    monkeypatch.setattr(wasserstein, "BLOCK_PROJECTIONS", 7)
    np.testing.assert_allclose(wasserstein_distance(X, Y, method="sliced"), distance)


@pytest.mark.parametrize("method", ["exact", "sliced"])
def test_ranks_noise_behind_other_samples(method):
    real, same, noise = RNG.normal(size=(200, 4)), RNG.normal(size=(200, 4)), RNG.uniform(-5, 5, size=(200, 4))
    same, noise = (wasserstein_distance(real, fake, method=method, projections=50) for fake in (same, noise))
    assert same < 0.5 * noise


@pytest.mark.parametrize("method", ["exact", "sliced"])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[0], Y, r"not \[3\] and \[5, 3\]"),
        (X, Y[:, :2], r"not \[5, 3\] and \[5, 2\]"),
        (X[:0], Y, r"not \[0, 3\] and \[5, 3\]"),
        (X, Y[:0], r"not \[5, 3\] and \[0, 3\]"),
        (X[:, :0], Y[:, :0], r"not \[5, 0\] and \[5, 0\]"),
        (X * np.nan, Y, "NaN or infinity"),
        (X, Y + np.inf, "NaN or infinity"),
    ],
)
def test_refuses_invalid_points(method, x, y, message):
    with pytest.raises(InputError, match=message):
        wasserstein_distance(x, y, method=method)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (X[:4], {}, "4 and 5 points: an exact distance takes equal counts"),
        (X, {"order": 0.5}, "order=0.5"),
        (X, {"method": "entropic"}, "method=entropic: must be exact or sliced"),
        (X, {"method": "sliced", "projections": 0}, "projections=0"),
    ],
)
def test_refuses_options(x, options, message):
    with pytest.raises(InputError, match=message):
        wasserstein_distance(x, Y, **options)


def test_the_defaults_are_a_thousand_projections_and_order_1():
    explicit = wasserstein_distance(X, Y, order=1, method="sliced", projections=1000, seed=0)
    assert wasserstein_distance(X, Y, method="sliced") == explicit
    assert wasserstein_distance(X, Y) == wasserstein_distance(X, Y, order=1, method="exact")


def test_one_projection_and_as_many_points_as_allowed(monkeypatch):
    x, y = np.array([[1.0], [2.0], [4.0]]), np.array([[2.0], [2.0], [1.0]])
    monkeypatch.setattr(wasserstein, "MAX_EXACT_POINTS", 3)
    for options in ({}, {"method": "sliced", "projections": 1}):
        assert wasserstein_distance(x, y, **options) == pytest.approx(2 / 3)  # 1, 2, 4 to 1, 2, 2


def test_exact_refuses_too_many_points():
    many = np.zeros((5001, 1))
    with pytest.raises(
        InputError, match="5,001 points: an exact distance takes at most 5,000, a sliced one any number"
    ):
        wasserstein_distance(many, many)
