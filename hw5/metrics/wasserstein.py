"""Wasserstein distance of two sets of points, exact or sliced."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from hw5.errors import InputError

MAX_EXACT_POINTS = 5000  # an exact distance takes time ∝ n³ and 8n² bytes
BLOCK_PROJECTIONS = 50  # projections computed at once


def wasserstein_distance(
    x: np.ndarray,
    y: np.ndarray,
    *,
    order: float = 1,
    method: str = "exact",
    projections: int = 1000,
    seed: int = 0,
) -> float:
    """Compute W_p of two empirical distributions, p = `order`, with the Euclidean distance of their points.

    "exact": (min_π (1/n) Σ ‖xᵢ − y_π(i)‖ᵖ)^(1/p) over permutations π. As an estimate of the distance of the
    distributions that the points are drawn from, it is biased upwards and converges as slowly as n^(−1/d)
    (Dudley 1969): compare only values of equal counts.

    "sliced": (E_θ W_p(θ·x, θ·y)ᵖ)^(1/p) over random unit directions θ (Rabin et al. 2012; Bonneel et al.
    2015), where sorting solves each one-dimensional problem. It is at most the exact distance, and
    another quantity: do not compare the two. It is biased upwards, too, but its rate in n does not depend on d.

    Args:
        x, y: [m, d] and [n, d]; for "exact" m = n ≤ 5,000.
        order: p ≥ 1.
        method: "exact" or "sliced".
        projections, seed: number and seed of the random directions, for "sliced".

    Raises:
        InputError: shapes that do not fit, NaN or infinity, an order below 1, an unknown method; unequal
            or too many points for "exact".
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not x.size or not y.size:
        raise InputError(f"points must be [m, d] and [n, d], not {list(x.shape)} and {list(y.shape)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("points hold NaN or infinity")
    if not order >= 1:
        raise InputError(f"order={order}: must be at least 1")
    if method == "exact":
        mean = _exact(x, y, order)
    elif method == "sliced":
        mean = _sliced(x, y, order, projections, np.random.default_rng(seed))
    else:
        raise InputError(f"method={method}: must be exact or sliced")
    return float(mean ** (1 / order))


def _exact(x, y, order):
    if len(x) != len(y):
        raise InputError(f"{len(x)} and {len(y)} points: an exact distance takes equal counts, a sliced one any")
    if len(x) > MAX_EXACT_POINTS:
        raise InputError(
            f"{len(x):,} points: an exact distance takes at most {MAX_EXACT_POINTS:,}, a sliced one any number"
        )
    cost = cdist(x, y) ** order
    return cost[linear_sum_assignment(cost)].mean()


def _sliced(x, y, order, projections, rng):
    if projections < 1:
        raise InputError(f"projections={projections}: must be at least 1")
    m, n = len(x), len(y)
    # Between two of these levels, in units of 1/(mn), both quantile functions are constant.
    levels = np.union1d(n * np.arange(1, m + 1), m * np.arange(1, n + 1))
    weights = np.diff(levels, prepend=0) / (m * n)
    total = 0.0
    for start in range(0, projections, BLOCK_PROJECTIONS):
        directions = rng.normal(size=(min(BLOCK_PROJECTIONS, projections - start), x.shape[1]))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        quantiles_x = np.sort(directions @ x.T, axis=1)[:, (levels - 1) // n]
        quantiles_y = np.sort(directions @ y.T, axis=1)[:, (levels - 1) // m]
        total += np.sum(np.abs(quantiles_x - quantiles_y) ** order @ weights)
    return total / projections
