"""Fréchet distance of two sets of features (FID), and FID∞, which corrects its bias.

Gaussian.of(real_batches).distance(Gaussian.of(fake_batches))
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpstrf

from hw5.errors import InputError

BLOCK_ROWS = 1000  # rows converted to float64 at once
MIN_FID_IMAGES = 2048  # fewer images give a singular covariance of Inception's 2,048 features


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The Gaussian that FID fits to a set of features.

    Attributes:
        mean: [d], float64.
        covariance: [d, d], float64; the unbiased estimate, with divisor count − 1.
        count: number of samples; None if it is unknown. Parts of a set may have one sample, with a covariance
            of zeros, or none, with d = 0; they are only for `merge`.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int | None = None

    @classmethod
    def of(cls, batches: np.ndarray | Iterable[np.ndarray], *, is_part: bool = False) -> "Gaussian":
        """Fit mean and covariance in one pass, in memory that does not grow with the number of features.

        Means and scatter matrices are merged (Chan, Golub & LeVeque 1983), so a large mean costs no precision.

        Args:
            batches: features [n, d], or an iterable of such arrays, whose lengths may differ.
            is_part: they are a part of a set, which may have fewer than 2 samples.

        Raises:
            InputError: fewer than 2 samples, if they are no part; batches that are not [n, d] of one d; NaN or
                infinite rows.
        """
        count, mean, scatter = 0, np.zeros(0), None
        for batch in [batches] if hasattr(batches, "shape") else batches:
            batch = _checked(batch)
            if scatter is None:
                mean, scatter = np.zeros(batch.shape[1]), np.zeros((batch.shape[1],) * 2, order="F")
            if batch.shape[1] != len(scatter):
                raise InputError(f"features of {batch.shape[1]} dimensions follow features of {len(scatter)}")
            for start in range(0, len(batch), BLOCK_ROWS):
                rows = batch[start : start + BLOCK_ROWS].astype(np.float64)
                centre = rows.mean(axis=0)
                gap, share = centre - mean, len(rows) / (count + len(rows))
                centered = np.vstack([rows - centre, gap * np.sqrt(count * share)])
                # In place and in one triangle: for batches of 50, `scatter += …ᵀ @ …` takes ten times as long.
                scatter = dsyrk(1.0, centered.T, 1.0, scatter, lower=True, overwrite_c=True)
                mean = mean + gap * share
                count += len(rows)
        if count < 2 and not is_part:
            raise InputError(f"a covariance takes at least 2 samples, not {count}")
        if scatter is None:
            scatter = np.zeros((0, 0))
        scatter[np.diag_indices_from(scatter)] /= 2  # the other triangle is zero, and the sum has the diagonal twice
        return cls(mean, (scatter + scatter.T) / max(count - 1, 1), count)

    @classmethod
    def merge(cls, parts: Iterable["Gaussian"]) -> "Gaussian":
        """Merge the Gaussians of the parts of a set into that of the set, which is the same to rounding.

        Counts, means and scatter matrices are merged in pairs (Chan, Golub & LeVeque 1983): neighbours first, then
        their results. So rounding errors grow with the logarithm of the number of parts, as the memory does.

        Raises:
            InputError: a part without a count, parts of different d, fewer than 2 samples in all.
        """
        merged = []  # each of at least twice as many parts as the next one
        for number, part in enumerate(parts):
            if part.count is None:
                raise InputError("a Gaussian without its number of samples cannot be merged")
            merged.append(part)
            while number % 2:
                merged[-2:] = [_merge_pair(*merged[-2:])]
                number //= 2
        while len(merged) > 1:
            merged[-2:] = [_merge_pair(*merged[-2:])]
        if not merged or merged[0].count < 2:
            raise InputError(f"a covariance takes at least 2 samples, not {merged[0].count if merged else 0}")
        return merged[0]

    def distance(self, other: "Gaussian") -> float:
        """Compute the FID: the squared Fréchet distance to another Gaussian of the same features, ≥ 0.

        It is biased upwards for finitely many samples, by c/n to first order, where c depends on the
        features. Compare only values of equal counts. Warns (UserWarning) of counts below 2,048.
        """
        smaller = min(self.count or MIN_FID_IMAGES, other.count or MIN_FID_IMAGES)
        if smaller < MIN_FID_IMAGES:
            warnings.warn(
                f"FID from only {smaller:,} images (fewer than {MIN_FID_IMAGES:,}) is biased upwards; "
                "frechet_infinity corrects it",
                stacklevel=2,
            )
        return frechet_distance(self.mean, self.covariance, other.mean, other.covariance)


def _merge_pair(a, b):
    if not a.count or not b.count:
        return a if a.count else b
    if a.mean.shape != b.mean.shape:
        raise InputError(f"Gaussians of {len(a.mean)} and of {len(b.mean)} dimensions cannot be merged")
    count, gap = a.count + b.count, b.mean - a.mean
    scatter = (a.count - 1) * a.covariance + (b.count - 1) * b.covariance
    scatter += a.count * (b.count / count) * np.outer(gap, gap)
    return Gaussian(a.mean + gap * (b.count / count), scatter / (count - 1), count)


def frechet_distance(mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray) -> float:
    """Compute ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 √(Σ₁Σ₂)), the squared Fréchet distance of two Gaussians.

    Dowson & Landau 1982; Heusel et al. 2017, eq. 6. With Σᵢ = Lᵢ Lᵢᵀ the eigenvalues of Σ₁Σ₂ are those of
    M Mᵀ, M = L₁ᵀ L₂, which is symmetric: no complex numbers, and no matrix square root.

    Args:
        mu1, mu2: means [d].
        sigma1, sigma2: covariances [d, d], symmetric; may be singular (fewer samples than dimensions).

    Returns:
        The distance, ≥ 0; for equal Gaussians 0 up to rounding (about 1e-13 of the variance).

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
    product = _pivoted_cholesky(sigma1).T @ _pivoted_cholesky(sigma2)
    if len(product) > product.shape[1]:  # the smaller Gram matrix lacks the zeros; their roots are rounding errors
        product = product.T
    if not product.size:  # equal features on one side, which BLAS does not take
        product = np.zeros((1, 1))
    gram = dsyrk(1.0, product.T, trans=True, lower=True)  # M Mᵀ, the triangle that eigvalsh reads
    eigenvalues = np.linalg.eigvalsh(gram).clip(min=0)
    squared = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.sum(np.sqrt(eigenvalues))
    return max(float(squared), 0.0)


def frechet_infinity(
    real: np.ndarray | Gaussian, fake: np.ndarray, *, points: int = 15, seed: int = 0
) -> tuple[float, float]:
    """Compute FID∞: the FID extrapolated to infinitely many images.

    FID from n images is FID∞ + c/n to first order (Chong & Forsyth 2020, section 3). This is a line in 1/n,
    and FID∞ is its value at 1/n = 0. The paper fits the line to 15 random subsets; here it goes through the FID of
    all images and the mean FID of random halves. For smaller subsets the line bends. Two halves contain every
    image once, so most of the sampling noise is the same at both points and does not tilt the line.

    Args:
        real: features [m, d]; then both sides are halved, and the bias of both is corrected. Or a Gaussian;
            then only `fake` is halved, as in the paper, and the bias due to the number of real images stays.
        fake: features [n, d].
        points: number of distances to compute: one of all images, the others of halves, two per split.
        seed: of the splits.

    Returns:
        (FID∞, its standard error). FID∞ may be slightly negative. The standard error covers the choice of
        the images and of the splits, and has itself an error of about a quarter. It does not cover the bias that
        remains: up to a tenth of the FID's bias below 10 images per dimension, up to a half below one.

    Raises:
        InputError: features that are not [n, d], not finite, or fewer than 4; points below 5.
    """
    if points < 5:
        raise InputError(f"points={points}: must be at least 5, one for all images and two for each of two splits")
    sides = [side if isinstance(side, Gaussian) else _checked(side) for side in (real, fake)]
    for side in sides:
        if not isinstance(side, Gaussian) and len(side) < 4:
            raise InputError(f"FID∞ takes at least 4 samples per side, not {len(side)}")
    rng = np.random.default_rng(seed)

    def distances(num_parts):
        pairs = zip(*(random_parts(side, num_parts, rng) for side in sides), strict=True)
        return [frechet_distance(a.mean, a.covariance, b.mean, b.covariance) for a, b in pairs]

    (of_all,) = distances(1)
    of_halves = np.array([distances(2) for _ in range((points - 1) // 2)])
    estimates = 2 * of_all - of_halves.mean(axis=1)
    # To first order FID is a mean over images: its variance is half that of a half of the images.
    variance = np.mean(of_halves.var(axis=1, ddof=1)) / 2 + estimates.var(ddof=1) / len(estimates)
    return float(estimates.mean()), float(np.sqrt(variance))


def random_parts(features: np.ndarray | Gaussian, num_parts: int, rng: np.random.Generator) -> list[Gaussian]:
    """Divide features [n, d] at random into equal parts and fit a Gaussian to each; repeat a given Gaussian."""
    if isinstance(features, Gaussian):
        return [features] * num_parts
    return [Gaussian.of(features[rows]) for rows in np.array_split(rng.permutation(len(features)), num_parts)]


def _pivoted_cholesky(covariance):
    """Compute L [d, rank] with L Lᵀ = Σ.

    The pivots stop the factorisation at the rank, and sort the columns by size. eigvalsh, which works from the
    top left, keeps that order, and so the precision of the small eigenvalues.
    """
    cholesky, pivots, rank, _ = dpstrf(covariance.T, lower=True)  # symmetric; .T is in Fortran's order
    return np.tril(cholesky[:, :rank])[np.argsort(pivots)]


def _checked(features):
    """Convert features to an array [n, d] of any numeric type, and check that all are finite."""
    features = np.asarray(features)
    if features.ndim != 2 or not features.shape[1]:
        raise InputError(f"features must be [n, d], not {list(features.shape)}")
    if num_broken := np.count_nonzero(~np.isfinite(features).all(axis=1)):
        raise InputError(f"{num_broken} of {len(features)} rows of features are not finite")
    return features
