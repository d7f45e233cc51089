"""The Fréchet distance against closed forms and SciPy's matrix square root; FID∞ of Gaussians of known distance."""

import warnings

import numpy as np
import pytest
import scipy.linalg

from hw5.errors import InputError
from hw5.metrics import frechet
from hw5.metrics.frechet import BLOCK_ROWS, Gaussian, frechet_distance, frechet_infinity

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(60, 5)) @ RNG.normal(size=(5, 5))


def rotated(spectrum):
    basis, _ = np.linalg.qr(RNG.normal(size=(len(spectrum), len(spectrum))))
    return (basis * spectrum) @ basis.T


def test_of_equal_covariances_is_the_squared_distance_of_the_means():
    mu1, mu2, sigma = RNG.normal(size=40), RNG.normal(size=40), rotated(np.linspace(0.1, 3, 40))
    np.testing.assert_allclose(frechet_distance(mu1, sigma, mu2, sigma), np.sum((mu1 - mu2) ** 2))


def test_of_commuting_covariances_compares_standard_deviations():
    basis, _ = np.linalg.qr(RNG.normal(size=(6, 6)))
    deviations1, deviations2 = RNG.random(6), RNG.random(6)
    sigma1, sigma2 = ((basis * deviations**2) @ basis.T for deviations in (deviations1, deviations2))
    expected = np.sum((deviations1 - deviations2) ** 2)
    np.testing.assert_allclose(frechet_distance(np.zeros(6), sigma1, np.zeros(6), sigma2), expected)


def test_against_the_matrix_square_root():
    mu1, mu2 = RNG.normal(size=32), RNG.normal(size=32)
    sigma1, sigma2 = np.cov(RNG.normal(size=(32, 80))), np.cov(RNG.normal(size=(32, 50)) * 3)
    root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
    expected = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1 + sigma2 - 2 * root)
    np.testing.assert_allclose(frechet_distance(mu1, sigma1, mu2, sigma2), expected, rtol=1e-9)
    np.testing.assert_allclose(frechet_distance(mu2, sigma2, mu1, sigma1), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("sigma1", "sigma2", "expected"),
    [
        # uuᵀ and vvᵀ have tr √(uuᵀ vvᵀ) = |u·v|:  u = (1, 2, 2), v = (2, 0, 0):  9 + 4 − 2·2
        (np.outer([1, 2, 2], [1, 2, 2]), np.diag([4, 0, 0]), 9),
        # uuᵀ and 4 I have tr = 2 ‖u‖:  9 + 12 − 2·2·3
        (np.outer([1, 2, 2], [1, 2, 2]), 4 * np.eye(3), 9),
        (np.diag([1, 4, 0]), np.diag([0, 9, 1]), 1 + 1 + 1),
        (np.diag([1, 0, 0]), np.diag([0, 0, 5]), 6),
        (np.zeros((3, 3)), np.diag([1, 2, 3]), 6),
        (np.zeros((3, 3)), np.zeros((3, 3)), 0),
    ],
)
def test_singular_covariances_worked_by_hand(sigma1, sigma2, expected, capfd):
    zero = np.zeros(3)
    np.testing.assert_allclose(frechet_distance(zero, sigma1, zero, sigma2), expected, atol=1e-12)
    np.testing.assert_allclose(frechet_distance(zero, sigma2, zero, sigma1), expected, atol=1e-12)
    assert capfd.readouterr() == ("", "")  # BLAS complains of empty matrices


@pytest.mark.parametrize("scale", [1, 100])
@pytest.mark.parametrize(
    "sigma",
    [
        np.cov(RNG.normal(size=(200, 50))),
        np.cov(RNG.normal(size=(200, 700))),
        rotated(np.logspace(0, -8, 200)),
        rotated(np.logspace(0, -14, 200)),
        np.full((200, 200), 0.1),
    ],
    ids=["fewer samples", "more samples", "graded", "singular", "rank one"],
)
def test_of_equal_gaussians_is_zero(sigma, scale):
    mean = RNG.normal(size=200) * scale
    assert 0 <= frechet_distance(mean, sigma * scale**2, mean, sigma * scale**2) < 1e-6


@pytest.mark.parametrize(("count1", "count2"), [(30, 20), (30, 400), (400, 500)])
def test_is_symmetric_and_scales_with_the_square_of_the_features(count1, count2):
    one, other = RNG.normal(size=(count1, 100)), RNG.normal(size=(count2, 100)) + 0.1
    there, back, scaled = (
        frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
        for a, b in (
            (Gaussian.of(one), Gaussian.of(other)),
            (Gaussian.of(other), Gaussian.of(one)),
            (Gaussian.of(100 * one), Gaussian.of(100 * other)),
        )
    )
    np.testing.assert_allclose([back, scaled / 1e4], there, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 7, 59, 60])
def test_statistics_do_not_depend_on_the_batches(size):
    features = np.float32(FEATURES + 1e4)
    gaussian = Gaussian.of(features[start : start + size] for start in range(0, 60, size))
    np.testing.assert_allclose(gaussian.mean, features.mean(axis=0, dtype=np.float64), rtol=1e-14)
    np.testing.assert_allclose(gaussian.covariance, np.cov(features, rowvar=False, dtype=np.float64), rtol=1e-9)
    assert gaussian.count == 60


def test_statistics_of_a_large_array():
    features = np.sort(RNG.normal(size=(2 * BLOCK_ROWS + 1, 3)), axis=0)  # the blocks have very different means
    gaussian = Gaussian.of(features)
    np.testing.assert_allclose(gaussian.mean, features.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(gaussian.covariance, np.cov(features, rowvar=False), rtol=1e-12)


def test_parts_merge_by_hand():
    # 0, 2, 3 and 7 have the mean 3, and the squares 9 + 1 + 0 + 16 of their deviations, divided by 3.
    none = Gaussian.of([], is_part=True)
    parts = [none, *(Gaussian.of(np.reshape(part, (-1, 1)), is_part=True) for part in ([0, 2], [3], [7])), none]
    for some in (parts, parts[::-1], [parts[2], parts[1], parts[3]]):
        merged = Gaussian.merge(some)
        np.testing.assert_allclose((merged.mean, merged.covariance[0]), ([3], [26 / 3]), rtol=1e-15)
        assert merged.count == 4
    with pytest.raises(InputError, match="at least 2 samples, not 1"):
        Gaussian.merge([parts[2], none])
    np.testing.assert_array_equal(Gaussian.merge([parts[3], parts[2]]).covariance, [[8]])  # 3 and 7


@pytest.mark.parametrize("count", range(2, 18))
def test_any_number_of_parts_merges_to_the_whole(count):
    merged = Gaussian.merge(Gaussian.of(part, is_part=True) for part in np.array_split(FEATURES, count))
    np.testing.assert_allclose(merged.mean, FEATURES.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(merged.covariance, np.cov(FEATURES, rowvar=False), rtol=1e-12)
    assert merged.count == 60


def test_the_fewest_samples_that_statistics_and_infinity_take():
    np.testing.assert_array_equal(Gaussian.of(np.array([[0.0, 1.0], [2.0, 5.0]])).covariance, [[2, 4], [4, 8]])
    four = FEATURES[:4]
    assert frechet_infinity(four, FEATURES, points=5) == frechet_infinity(four, FEATURES, points=6)  # pairs of halves
    assert frechet_infinity(four, FEATURES) == frechet_infinity(four, FEATURES, points=15, seed=0)


def test_distance_warns_of_few_images():
    few, enough, unknown = (Gaussian(np.zeros(1), np.eye(1), count) for count in (2047, 2048, None))
    with pytest.warns(UserWarning, match="only 2,047 images .* biased upwards; frechet_infinity"):
        enough.distance(few)
    with pytest.warns(UserWarning, match="only 2,047 images"):
        few.distance(enough)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert enough.distance(unknown) == 0


def test_distance_ranks_noise_behind_other_samples():
    real, same, noise = (RNG.normal(size=(2048, 8)) * scale for scale in (1, 1, 2))
    real, same, noise = map(Gaussian.of, (real, same, noise))
    assert real.distance(same) < 0.1 < 5 < real.distance(noise)


def plain(real, fake):
    return frechet_distance(real.mean, real.covariance, fake.mean, fake.covariance)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("size", "count", "left"), [(64, 1000, 0.15), (128, 400, 0.2), (128, 100, 0.5)])
def test_infinity_leaves_little_of_the_bias(both, size, count, left):
    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=(count, size)), rng.normal(size=(count - 1, size)) * 1.2
    real, known = (real, Gaussian.of(real)) if both else 2 * (Gaussian(np.zeros(size), np.eye(size)),)
    truth = 0.04 * size
    value, error = frechet_infinity(real, fake)
    assert abs(value - truth) < left * (plain(known, Gaussian.of(fake)) - truth)
    assert 0 < error < truth
    if count > 10 * size:
        assert abs(value - truth) < 4 * error


def test_infinity_has_no_bias_and_knows_its_error():
    rng = np.random.default_rng(1)
    trials = []
    for _ in range(20):
        real, fake = rng.normal(size=(900, 16)), rng.normal(size=(600, 16))
        trials.append([plain(Gaussian.of(real), Gaussian.of(fake)), *frechet_infinity(real, fake)])
    fids, values, errors = np.transpose(trials)
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(20)  # the distance is 0
    assert abs(values.mean()) < 0.1 * fids.mean()
    assert np.any(values < 0)
    assert 0.7 < np.sqrt(np.mean(errors**2)) / values.std() < 2


def test_infinity_by_hand(monkeypatch):
    # 10 of all images; 12 and 14, then 13 and 11 of halves: 20 − 13 and 20 − 12. Halves have the variance 2, the
    # estimates 1/2: the mean of the two has (2/2 + 1/4).
    values = iter([10.0, 12.0, 14.0, 13.0, 11.0])
    monkeypatch.setattr(frechet, "frechet_distance", lambda *_: next(values))
    np.testing.assert_allclose(frechet_infinity(FEATURES, FEATURES, points=5), (7.5, np.sqrt(1.25)), rtol=1e-15)
    assert next(values, None) is None  # five distances


def test_infinity_repeats_with_its_seed():
    real, fake = FEATURES[:30], FEATURES[31:]  # 30 and 29
    assert frechet_infinity(real, fake, seed=3) == frechet_infinity(real, fake, seed=3)
    assert frechet_infinity(real, fake, seed=3) != frechet_infinity(real, fake, seed=4)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (FEATURES[:1], "at least 2 samples, not 1"),
        ([], "at least 2 samples, not 0"),
        (FEATURES[0], r"must be \[n, d\], not \[5\]"),
        ([FEATURES, FEATURES[:, :3]], "features of 3 dimensions follow features of 5"),
        (np.where(np.arange(60)[:, None] < 7, np.nan, FEATURES), "7 of 60 rows of features are not finite"),
        ([FEATURES, np.full((4, 5), np.inf)], "4 of 4 rows of features are not finite"),
    ],
)
def test_statistics_refuse(batches, message):
    with pytest.raises(InputError, match=message):
        Gaussian.of(batches)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros(3), np.eye(3), np.zeros(4), np.eye(4)), r"not \[3\], \[3, 3\], \[4\], \[4, 4\]"),
        ((np.zeros(3), np.eye(4), np.zeros(3), np.eye(3)), r"not \[3\], \[4, 4\], "),
        ((np.eye(3), np.zeros(3), np.zeros(3), np.eye(3)), r"not \[3, 3\], \[3\], "),
        ((np.full(3, np.nan), np.eye(3), np.zeros(3), np.eye(3)), "must be finite"),
        ((np.zeros(3), np.eye(3), np.zeros(3), np.full((3, 3), np.inf)), "must be finite"),
    ],
)
def test_distance_refuses(arrays, message):
    with pytest.raises(InputError, match=message):
        frechet_distance(*arrays)


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (FEATURES, FEATURES[:3], {}, "at least 4 samples per side, not 3"),
        (FEATURES[:3], FEATURES, {}, "at least 4 samples per side, not 3"),
        (FEATURES, FEATURES, {"points": 4}, "points=4"),
        (FEATURES, FEATURES * np.nan, {}, "60 of 60 rows"),
        (Gaussian.of(FEATURES), FEATURES[:, :3], {}, "one d"),
    ],
)
def test_infinity_refuses(real, fake, options, message):
    with pytest.raises(InputError, match=message):
        frechet_infinity(real, fake, **options)
