"""Maximum mean discrepancy of two sets of features, and KID, its mean over subsets."""

import functools

import numpy as np
from scipy.spatial.distance import pdist

from hw5.errors import InputError

BLOCK = 1000  # rows of a kernel matrix at once
MEDIAN_OF = 1000  # points whose median distance is the bandwidth


def maximum_mean_discrepancy(
    x: np.ndarray, y: np.ndarray, kernel: str = "polynomial", *, bandwidth: float | None = None
) -> float:
    """Unbiased estimate of MMD² (Gretton et al. 2012, eq. 3); negative now and then where x and y are alike.

    Args:
        x: [m, d], m ≥ 2.
        y: [n, d], n ≥ 2.
        kernel: "polynomial", (x·y/d + 1)³ (Bińkowski et al. 2018), which sees the first three moments; or
            "rbf", exp(−‖x − y‖²/(2σ²)), which sees everything.
        bandwidth: σ of "rbf"; by default the median distance in the pooled sample, or in 1,000 points of it.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, fewer than 2 samples; an unknown kernel; a
            bandwidth that is not positive.
    """
    x, y = _pair(x, y)
    if min(len(x), len(y)) < 2:
        raise InputError(f"MMD takes at least 2 samples a side, not {len(x)} and {len(y)}")
    if kernel == "polynomial":
        values = _polynomial
    elif kernel == "rbf":
        centre = x.mean(axis=0)  # distances stay, and lose fewer digits
        x, y = x - centre, y - centre
        bandwidth = _median_distance(np.concatenate([x, y])) if bandwidth is None else bandwidth
        if not bandwidth > 0:
            raise InputError(f"bandwidth={bandwidth}: must be above 0")
        values = functools.partial(_rbf, bandwidth=bandwidth)
    else:
        raise InputError(f"unknown kernel {kernel!r}; there are polynomial and rbf")
    across = sum(values(rows, y).sum() for _, rows in _blocks(x)) / (len(x) * len(y))
    return float(_mean_of_others(values, x) + _mean_of_others(values, y) - 2 * across)


def kernel_inception_distance(
    x: np.ndarray, y: np.ndarray, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """KID: the mean MMD², with the polynomial kernel, of random subsets (Bińkowski et al. 2018).

    Unbiased, so values of unlike counts compare.

    Args:
        x, y: [m, d] and [n, d].
        subsets: how many.
        subset_size: samples of each side in a subset, drawn without replacement.
        seed: of the subsets.

    Returns:
        (mean, standard deviation) over the subsets. The latter shrinks with their size, not their number.

    Raises:
        InputError: as `maximum_mean_discrepancy`; subset_size above the count of a side.
    """
    x, y = _pair(x, y)
    fewest = min(len(x), len(y))
    if not 2 <= subset_size <= fewest:
        raise InputError(f"subset_size={subset_size}: must be between 2 and the samples of a side, {fewest}")
    if subsets < 1:
        raise InputError(f"subsets={subsets}: must be at least 1")
    rng = np.random.default_rng(seed)
    values = [
        maximum_mean_discrepancy(*(side[rng.choice(len(side), subset_size, replace=False)] for side in (x, y)))
        for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def _mean_of_others(values, x):
    """Mean kernel value of two different samples."""
    total = 0.0
    for start, rows in _blocks(x):
        block = values(rows, x)
        total += block.sum() - np.trace(block, offset=start)
    return total / (len(x) * (len(x) - 1))


def _polynomial(a, b):
    base = a @ b.T / a.shape[1] + 1
    return base * base * base  # ** 3 takes ten times as long


def _rbf(a, b, bandwidth):
    squared = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1) - 2 * a @ b.T
    return np.exp(squared / (-2 * bandwidth**2))


def _median_distance(pooled):
    median = np.median(pdist(pooled[np.random.default_rng(0).permutation(len(pooled))[:MEDIAN_OF]]))
    if not median:
        raise InputError("the median distance is 0, most samples being equal; give a bandwidth")
    return median


def _blocks(x):
    return ((start, x[start : start + BLOCK]) for start in range(0, len(x), BLOCK))


def _pair(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not x.shape[1]:
        raise InputError(f"features must be [m, d] and [n, d], not {list(x.shape)} and {list(y.shape)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("features hold NaN or infinity")
    return x, y
