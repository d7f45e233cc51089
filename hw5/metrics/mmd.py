"""Maximum mean discrepancy of two sets of features, and KID, its mean over random subsets."""

import functools

import numpy as np
from scipy.spatial.distance import pdist

from hw5.errors import InputError

BLOCK_ROWS = 1000  # rows of a kernel matrix computed at once
MEDIAN_POINTS = 1000  # points whose median distance is the default bandwidth


def maximum_mean_discrepancy(
    x: np.ndarray, y: np.ndarray, kernel: str = "polynomial", *, bandwidth: float | None = None
) -> float:
    """Estimate MMD² without bias (Gretton et al. 2012, eq. 3); it may be negative if x and y are alike.

    Args:
        x: [m, d], m ≥ 2.
        y: [n, d], n ≥ 2.
        kernel: "polynomial", (x·y/d + 1)³ (Bińkowski et al. 2018), which compares the first three moments;
            or "rbf", exp(−‖x − y‖²/(2σ²)), which compares all of them.
        bandwidth: σ of "rbf"; by default the median distance in the pooled sample, or in 1,000 points of it.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, fewer than 2 samples; an unknown kernel; a
            bandwidth that is not positive.
    """
    x, y = _checked_pair(x, y)
    if min(len(x), len(y)) < 2:
        raise InputError(f"MMD takes at least 2 samples per side, not {len(x)} and {len(y)}")
    if kernel == "polynomial":
        kernel_matrix = _polynomial
    elif kernel == "rbf":
        centre = x.mean(axis=0)  # does not change the distances, and improves their precision
        x, y = x - centre, y - centre
        bandwidth = _median_distance(np.concatenate([x, y])) if bandwidth is None else bandwidth
        if not bandwidth > 0:
            raise InputError(f"bandwidth={bandwidth}: must be above 0")
        kernel_matrix = functools.partial(_rbf, bandwidth=bandwidth)
    else:
        raise InputError(f"kernel={kernel}: must be polynomial or rbf")
    across = sum(kernel_matrix(rows, y).sum() for _, rows in _blocks(x)) / (len(x) * len(y))
    return float(_mean_of_pairs(kernel_matrix, x) + _mean_of_pairs(kernel_matrix, y) - 2 * across)


def kernel_inception_distance(
    x: np.ndarray, y: np.ndarray, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Compute KID: the mean MMD², with the polynomial kernel, of random subsets (Bińkowski et al. 2018).

    It is unbiased: values of different counts can be compared.

    Args:
        x, y: [m, d] and [n, d].
        subsets: number of subsets.
        subset_size: samples of each side in a subset, drawn without replacement.
        seed: of the subsets.

    Returns:
        (mean, standard deviation) over the subsets. The latter decreases with their size, not their number.

    Raises:
        InputError: as `maximum_mean_discrepancy`; subset_size above the count of a side.
    """
    x, y = _checked_pair(x, y)
    smaller = min(len(x), len(y))
    if not 2 <= subset_size <= smaller:
        raise InputError(f"subset_size={subset_size}: must be between 2 and the samples of a side, {smaller}")
    if subsets < 1:
        raise InputError(f"subsets={subsets}: must be at least 1")
    if subset_size == len(x) == len(y):
        subsets = 1  # each holds all samples
    rng = np.random.default_rng(seed)
    values = [
        maximum_mean_discrepancy(*(side[rng.choice(len(side), subset_size, replace=False)] for side in (x, y)))
        for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def _mean_of_pairs(kernel_matrix, x):
    """Compute the mean kernel value of two different samples of x."""
    total = 0.0
    for start, rows in _blocks(x):
        block = kernel_matrix(rows, x)
        total += block.sum() - np.trace(block, offset=start)
    return total / (len(x) * (len(x) - 1))


def _polynomial(a, b):
    base = a @ b.T / a.shape[1] + 1
    return base * base * base  # ** 3 takes ten times as long


def _rbf(a, b, bandwidth):
    squared = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1) - 2 * a @ b.T
    return np.exp(squared / (-2 * bandwidth**2))


def _median_distance(pooled):
    median = np.median(pdist(pooled[np.random.default_rng(0).permutation(len(pooled))[:MEDIAN_POINTS]]))
    if not median:
        raise InputError("most samples are equal, so their median distance, the default bandwidth, is 0")
    return median


def _blocks(x):
    return ((start, x[start : start + BLOCK_ROWS]) for start in range(0, len(x), BLOCK_ROWS))


def _checked_pair(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not x.shape[1]:
        raise InputError(f"features must be [m, d] and [n, d], not {list(x.shape)} and {list(y.shape)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("features hold NaN or infinity")
    return x, y
