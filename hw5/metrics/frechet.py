"""Fréchet distance of two sets of features (FID), and FID∞, which corrects its bias.

Gaussian.of(real_batches).distance(Gaussian.of(fake_batches))
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpstrf

from hw5.errors import InputError

BLOCK = 1000  # rows in float64 at once
FEW = 2048  # images; fewer give a singular covariance of Inception's 2,048 features


@dataclass(frozen=True, eq=False)
class Gaussian:
    """What FID keeps of a set of features.

    Attributes:
        mean: [d], float64.
        covariance: [d, d], float64; the unbiased estimate, with divisor count − 1.
        count: how many samples it was made from; None if that is not known.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int | None = None

    @classmethod
    def of(cls, batches) -> "Gaussian":
        """Mean and covariance of features, in one pass and in memory that does not grow with their number.

        Means and scatter matrices are merged (Chan, Golub & LeVeque 1983), so a large mean costs no digits.

        Args:
            batches: features [n, d], or an iterable of such arrays, whose lengths may differ.

        Raises:
            InputError: fewer than 2 samples, batches that are not [n, d] of one d, NaN or infinite rows.
        """
        count, mean, scatter = 0, 0.0, None
        for batch in [batches] if hasattr(batches, "shape") else batches:
            batch = _checked(batch)
            if scatter is None:
                scatter = np.zeros((batch.shape[1],) * 2, order="F")
            if batch.shape[1] != len(scatter):
                raise InputError(f"features of {batch.shape[1]} dimensions follow features of {len(scatter)}")
            for start in range(0, len(batch), BLOCK):
                rows = batch[start : start + BLOCK].astype(np.float64)
                centre = rows.mean(axis=0)
                gap, share = centre - mean, len(rows) / (count + len(rows))
                deviations = np.vstack([rows - centre, gap * np.sqrt(count * share)])
                # In place, in one triangle: for batches of 50, `scatter += …ᵀ @ …` takes ten times as long.
                scatter = dsyrk(1.0, deviations.T, 1.0, scatter, lower=True, overwrite_c=True)
                mean = mean + gap * share
                count += len(rows)
        if count < 2:
            raise InputError(f"a covariance takes at least 2 samples, not {count}")
        return cls(mean, (np.tril(scatter) + np.tril(scatter, -1).T) / (count - 1), count)

    def distance(self, other: "Gaussian") -> float:
        """FID: the squared Fréchet distance to another Gaussian of the same features, ≥ 0.

        Biased upwards for finitely many samples, by c/n to first order, where c depends on the features:
        values of unlike counts do not compare. Warns (UserWarning) of counts below 2,048.
        """
        fewest = min(self.count or FEW, other.count or FEW)
        if fewest < FEW:
            warnings.warn(
                f"FID from only {fewest:,} images (fewer than {FEW:,}) is biased upwards; frechet_infinity corrects it",
                stacklevel=2,
            )
        return frechet_distance(self.mean, self.covariance, other.mean, other.covariance)


def frechet_distance(mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 √(Σ₁Σ₂)), the squared Fréchet distance of two Gaussians.

    Dowson & Landau 1982; Heusel et al. 2017, eq. 6. With Σᵢ = Lᵢ Lᵢᵀ the eigenvalues of Σ₁Σ₂ are those of
    M Mᵀ, M = L₁ᵀ L₂, which is symmetric: no complex numbers, and no matrix square root.

    Args:
        mu1, mu2: means [d].
        sigma1, sigma2: covariances [d, d], symmetric; may be singular (fewer samples than dimensions).

    Returns:
        The distance, ≥ 0; of equal Gaussians 0 up to rounding (some 1e-13 of the variance).

    Raises:
        InputError: shapes that do not fit, NaN or infinity.
    """
    mu1, sigma1, mu2, sigma2 = arrays = [np.asarray(array, np.float64) for array in (mu1, sigma1, mu2, sigma2)]
    size = mu1.size
    if not size or [array.shape for array in arrays] != 2 * [(size,), (size, size)]:
        shapes = ", ".join(str(list(array.shape)) for array in arrays)
        raise InputError(f"a distance takes two means [d] and covariances [d, d] of one d, not {shapes}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise InputError("means and covariances must be finite")
    product = _factor(sigma1).T @ _factor(sigma2)
    if len(product) > product.shape[1]:  # the smaller Gram matrix lacks the zeros, whose roots would be all rounding
        product = product.T
    gram = dsyrk(1.0, product.T, trans=True, lower=True)  # M Mᵀ, the triangle that eigvalsh reads
    eigenvalues = np.linalg.eigvalsh(gram).clip(min=0)
    squared = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.sum(np.sqrt(eigenvalues))
    return max(float(squared), 0.0)


def frechet_infinity(
    real: np.ndarray | Gaussian, fake: np.ndarray, *, points: int = 15, seed: int = 0
) -> tuple[float, float]:
    """FID∞: the FID extrapolated to infinitely many images.

    FID from n images is FID∞ + c/n to first order (Chong & Forsyth 2020, section 3), a line in 1/n, of which
    this is the value at 0. They fit it to 15 random subsets; here it goes through the FID of all images and
    the mean FID of random halves. Further down, the line bends; and two halves hold every image once, so that
    most of the sampling noise is the same at both points and does not tilt the line.

    Args:
        real: features [m, d]; then both sides are halved, and the bias of both goes. Or a Gaussian; then,
            as in the paper, only `fake` is, and the bias due to the count of the real images stays.
        fake: features [n, d].
        points: how many distances to compute: one of all images, the others of halves, two a split.
        seed: of the splits.

    Returns:
        (FID∞, its standard error). FID∞ may be slightly negative. The standard error covers the choice of
        the images and of the splits, and is itself known to about a quarter. It does not cover what is left
        of the bias: below 10 images a dimension up to a tenth of that of FID, below one up to a half.

    Raises:
        InputError: features that are not [n, d], not finite, or fewer than 4; points below 5.
    """
    if points < 5:
        raise InputError(f"points={points}: must be at least 5, one for all images and two for each of two splits")
    sides = [side if isinstance(side, Gaussian) else _checked(side) for side in (real, fake)]
    for side in sides:
        if not isinstance(side, Gaussian) and len(side) < 4:
            raise InputError(f"FID∞ takes at least 4 samples a side, not {len(side)}")
    rng = np.random.default_rng(seed)

    def distances(parts):
        pairs = zip(*(_split(side, parts, rng) for side in sides), strict=True)
        return [frechet_distance(a.mean, a.covariance, b.mean, b.covariance) for a, b in pairs]

    (whole,) = distances(1)
    halves = np.array([distances(2) for _ in range((points - 1) // 2)])
    estimates = 2 * whole - halves.mean(axis=1)
    # To first order FID is a mean over images: the variance of a whole is half that of a half.
    variance = np.mean(halves.var(axis=1, ddof=1)) / 2 + estimates.var(ddof=1) / len(estimates)
    return float(estimates.mean()), float(np.sqrt(variance))


def _split(side, parts, rng):
    if isinstance(side, Gaussian):
        return [side] * parts
    return [Gaussian.of(side[rows]) for rows in np.array_split(rng.permutation(len(side)), parts)]


def _factor(covariance):
    """L [d, rank] with L Lᵀ = Σ, from Cholesky with pivots.

    The pivots stop it at the rank, and sort the columns by size. eigvalsh, which works from the top left,
    keeps that order, and with it the digits of the small eigenvalues.
    """
    factor, pivots, rank, _ = dpstrf(covariance.T, lower=True)  # symmetric; .T is in Fortran's order
    return np.tril(factor)[np.argsort(pivots), :rank]


def _checked(features):
    """Features as an array [n, d] of any type of numbers, all finite."""
    features = np.asarray(features)
    if features.ndim != 2 or not features.shape[1]:
        raise InputError(f"features must be [n, d], not {list(features.shape)}")
    if broken := np.count_nonzero(~np.isfinite(features).all(axis=1)):
        raise InputError(f"{broken} of {len(features)} rows of features are not finite")
    return features
