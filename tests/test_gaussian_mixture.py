"""Expectation maximisation: a known mixture is found, every iteration gains, and a component of few points is held."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from hw5.gaussian_mixture import GaussianMixture, fit_gaussian_mixture

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.0, 0.0], [4.0, 1.0], [-1.0, 5.0]])
COVARIANCES = np.array([[[1.0, 0.5], [0.5, 1.0]], [[0.3, 0.0], [0.0, 1.5]], [[1.0, -0.6], [-0.6, 0.6]]])
KNOWN = GaussianMixture(WEIGHTS, MEANS, np.linalg.cholesky(COVARIANCES))


def draw(count, seed=0):
    rng = np.random.default_rng(seed)
    chosen = rng.choice(3, count, p=WEIGHTS)
    return MEANS[chosen] + np.einsum("nij,nj->ni", KNOWN.choleskys[chosen], rng.normal(size=(count, 2)))


def test_the_density_is_that_of_scipy():
    x = draw(50)
    expected = [
        np.log(w) + multivariate_normal(m, c).logpdf(x) for w, m, c in zip(WEIGHTS, MEANS, COVARIANCES, strict=True)
    ]
    np.testing.assert_allclose(KNOWN.log_prob(x), logsumexp(expected, axis=0), rtol=1e-10)


def test_the_moments_are_those_of_many_points():
    mean, covariance = KNOWN.moments()
    np.testing.assert_allclose(mean, [4 * 0.3 - 0.2, 0.3 + 5 * 0.2])
    second = sum(w * (c + np.outer(m, m)) for w, m, c in zip(WEIGHTS, MEANS, COVARIANCES, strict=True))
    np.testing.assert_allclose(covariance, second - np.outer(mean, mean), rtol=1e-12)


def test_a_known_mixture_is_found():
    """Check that the parameters are found to five standard errors, of 0.2 · 20,000 points or more in a component."""
    found, _ = fit_gaussian_mixture(draw(20_000), 3, tolerance=1e-6)
    order = [int(np.argmin(np.linalg.norm(found.means - mean, axis=1))) for mean in MEANS]
    assert sorted(order) == [0, 1, 2]
    covariances = found.choleskys @ found.choleskys.transpose(0, 2, 1)
    # √(π(1 − π)/n), √(Σ_ii/n_k) and √(2/n_k) Σ_ii, and as much again for points whose component is uncertain
    np.testing.assert_allclose(found.weights[order], WEIGHTS, atol=10 * np.sqrt(0.25 / 20_000))
    np.testing.assert_allclose(found.means[order], MEANS, atol=10 * np.sqrt(1.5 / 4000))
    np.testing.assert_allclose(covariances[order], COVARIANCES, atol=10 * np.sqrt(2 / 4000) * 1.5)
    held_out = draw(20_000, seed=1)
    gap = KNOWN.log_prob(held_out) - found.log_prob(held_out)
    assert abs(gap.mean()) < 5 * gap.std() / np.sqrt(20_000) + 17 / 20_000  # the second: half a nat for each parameter


@pytest.mark.parametrize("prior_count", [0.0, None, 50.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_iteration_loses(prior_count, seed):
    _, objective = fit_gaussian_mixture(draw(300, seed), 5, prior_count=prior_count, tolerance=-1.0, seed=seed)
    assert len(objective) == 101
    assert np.min(np.diff(objective)) > -1e-10
    assert objective[-1] > objective[0] + 1e-3


def test_without_a_prior_the_objective_is_the_log_likelihood():
    x = draw(300)
    mixture, objective = fit_gaussian_mixture(x, 2, prior_count=0.0)
    assert objective[-1] == pytest.approx(mixture.log_prob(x).mean(), abs=1e-3)  # of the iteration before


def test_one_component_is_the_gaussian_of_the_points():
    x = draw(200)
    mixture, objective = fit_gaussian_mixture(x, 1)
    np.testing.assert_allclose(mixture.means[0], x.mean(axis=0))
    np.testing.assert_allclose(mixture.choleskys[0] @ mixture.choleskys[0].T, np.cov(x.T, bias=True), rtol=1e-9)
    assert len(objective) == 2


def test_more_components_than_clusters_stay_finite():
    x = np.random.default_rng(0).normal(size=(30, 4))
    x[:3] *= 1e-6  # three points that are almost one
    mixture, _ = fit_gaussian_mixture(x, 10)
    assert np.isfinite(mixture.log_prob(x)).all()
    assert mixture.weights.sum() == pytest.approx(1)


def test_one_seed_gives_one_mixture():
    x = draw(500)
    one, two = (fit_gaussian_mixture(x, 4, seed=3)[0] for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)
