"""Mixtures of Gaussians with full covariances, fitted by expectation maximisation."""

from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.linalg import solve_triangular
from scipy.special import logsumexp


class GaussianMixture(NamedTuple):
    """The density Σ_k π_k N(m_k, L_k L_kᵀ).

    Attributes:
        weights: π, [K], positive, with sum 1.
        means: m, [K, d].
        choleskys: L, lower triangular, [K, d, d].
    """

    weights: np.ndarray
    means: np.ndarray
    choleskys: np.ndarray

    def log_joint(self, x: np.ndarray) -> np.ndarray:
        """Compute log (π_k N(x; m_k, L_k L_kᵀ)) of points [n, d]. Returns [n, K], in nats."""
        columns = []
        for weight, mean, cholesky in zip(self.weights, self.means, self.choleskys, strict=True):
            whitened = solve_triangular(cholesky, (x - mean).T, lower=True)
            log_det = np.log(np.diagonal(cholesky)).sum() + 0.5 * len(mean) * np.log(2 * np.pi)
            columns.append(np.log(weight) - log_det - 0.5 * np.square(whitened).sum(axis=0))
        return np.stack(columns, axis=1)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Compute the log-density of points [n, d]. Returns [n], in nats."""
        return logsumexp(self.log_joint(x), axis=1)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the mean [d] and the covariance [d, d] of the mixture."""
        mean = self.weights @ self.means
        roots = np.concatenate([self.choleskys, (self.means - mean)[..., None]], axis=2)  # [K, d, d + 1]
        return mean, np.einsum("k,kij,klj->il", self.weights, roots, roots)


def fit_gaussian_mixture(
    x: np.ndarray,
    components: int,
    *,
    prior_count: float | None = None,
    max_iterations: int = 100,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> tuple[GaussianMixture, list[float]]:
    """Fit a mixture by EM (Dempster et al. 1977), from the clusters of k-means++ (Arthur & Vassilvitskii 2007).

    The covariance of a component is that of its points and, as if it had been seen `prior_count` times, that of all
    points: Σ_k = (N_k S_k + ν S) / (N_k + ν), the mode under an inverse Wishart prior (Fraley & Raftery 2007, up to
    their constants). Without it, a component of few points would shrink onto them, with a density that grows without
    limit. Every iteration raises the log-likelihood plus −½ Σ_k ν (log |Σ_k| + tr Σ_k⁻¹ S), the logarithm of the prior.

    Args:
        x: points [n, d] with a covariance of full rank.
        components: K.
        prior_count: ν ≥ 0 (default: d); with 0 EM is that of the maximum likelihood.
        max_iterations: of EM.
        tolerance: EM ends when an iteration gains less than this, in nats per point.
        seed: of the first clusters.

    Returns:
        (mixture, objective): the second is what is maximised, in nats per point, before the first iteration and
        after each.
    """
    x = np.asarray(x, np.float64)
    count, size = x.shape
    nu = size if prior_count is None else prior_count
    covariance = np.cov(x, rowvar=False, bias=True).reshape(size, size)
    _, labels = kmeans2(x, components, minit="++", seed=seed, missing="warn")
    mixture = _maximize(x, np.eye(components)[labels], nu, covariance)
    objective = []
    for _ in range(max_iterations + 1):
        log_joint = mixture.log_joint(x)
        log_prob = logsumexp(log_joint, axis=1, keepdims=True)
        objective.append(float(log_prob.mean()) + _log_prior(mixture, nu, covariance) / count)
        if len(objective) > 1 and objective[-1] - objective[-2] < tolerance:
            break
        shares = np.exp(log_joint - log_prob)  # the expectation step
        mixture = _maximize(x, shares, nu, covariance)
    return mixture, objective


def _maximize(x, shares, nu, covariance):
    """Return the best mixture for points [n, d] that belong to its components in these shares [n, K]."""
    counts = shares.sum(axis=0)
    means, choleskys = [], []
    for share, count in zip(shares.T, counts, strict=True):
        mean = share @ x / max(count, 1e-12)
        scatter = (x - mean).T * share @ (x - mean)
        means.append(mean)
        choleskys.append(np.linalg.cholesky((scatter + nu * covariance) / (count + nu)))
    weights = np.maximum(counts, 1e-12)
    return GaussianMixture(weights / weights.sum(), np.array(means), np.array(choleskys))


def _log_prior(mixture, nu, covariance):
    """Compute −½ Σ_k ν (log |Σ_k| + tr Σ_k⁻¹ S)."""
    total = 0.0
    for cholesky in mixture.choleskys:
        trace = np.trace(np.linalg.solve(cholesky @ cholesky.T, covariance))
        total -= 0.5 * nu * (2 * np.log(np.diagonal(cholesky)).sum() + trace)
    return total
