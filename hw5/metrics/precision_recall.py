"""Precision and recall: the shares of generated images that are realistic, and of real images that are covered."""

import numpy as np

from hw5.errors import InputError

BLOCK_ROWS = 1000  # rows of a distance matrix computed at once


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Compute the share of fakes on the manifold of the real samples, and the reverse (Kynkäänniemi et al. 2019).

    Equations 1 and 2. The manifold of a set is the union of balls around its members; the radius of a ball is
    the distance from the member to its k-th nearest neighbour. One outlier, whose ball is large, may cover
    many samples. Both shares grow with the counts and with k: compare only values with equal counts and k.

    Args:
        real: features [m, d], m > k.
        fake: features [n, d], n > k.
        k: which neighbour gives the radius, ≥ 1.

    Returns:
        (precision, recall), each in [0, 1].

    Raises:
        InputError: shapes that do not fit, NaN or infinity, fewer than k + 1 samples, k below 1.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or not real.shape[1]:
        raise InputError(f"features must be [m, d] and [n, d], not {list(real.shape)} and {list(fake.shape)}")
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise InputError("features hold NaN or infinity")
    if k < 1:
        raise InputError(f"k={k}: must be at least 1")
    if min(len(real), len(fake)) <= k:
        raise InputError(
            f"the {k} nearest neighbours take at least {k + 1} samples per side, not {len(real)} and {len(fake)}"
        )
    centre = real.mean(axis=0)  # does not change the distances, and improves their precision
    real, fake = real - centre, fake - centre
    return _share_on_manifold(fake, real, k), _share_on_manifold(real, fake, k)


def _share_on_manifold(points, members, k):
    # Each member is its own nearest neighbour, so index k is the k-th other one.
    radii = np.concatenate([np.partition(block, k, axis=1)[:, k] for block in _squared_distances(members, members)])
    # Copies of one image have radius 0. They must lie in each other's balls even if their sums round differently.
    radii += 1e-12 * max(np.sum(points**2, axis=1).max(), np.sum(members**2, axis=1).max())
    covered = sum(np.count_nonzero(np.any(block <= radii, axis=1)) for block in _squared_distances(points, members))
    return float(covered / len(points))


def _squared_distances(a, b):
    squares = np.sum(b * b, axis=1)
    for start in range(0, len(a), BLOCK_ROWS):
        rows = a[start : start + BLOCK_ROWS]
        yield np.sum(rows * rows, axis=1)[:, None] + squares - 2 * rows @ b.T
