"""Precision and recall against their definition, and on sets with obvious values."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hw5.errors import InputError
from hw5.metrics.precision_recall import precision_recall

RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(size=(41, 3)), RNG.normal(size=(30, 3)) * 1.3 + 0.5


def definition(points, members, k):
    covered = 0
    for point in points:
        for member in members:
            radius = np.sort(cdist([member], members)[0])[k]  # index 0 is the member itself
            if np.linalg.norm(point - member) <= radius:
                covered += 1
                break
    return covered / len(points)


@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize("k", [1, 3, 29])
def test_against_the_definition(k, block, monkeypatch):
    monkeypatch.setitem(precision_recall.__globals__, "BLOCK_ROWS", block)  # the module has the function's name
    expected = definition(FAKE, REAL, k), definition(REAL, FAKE, k)
    assert precision_recall(REAL, FAKE, k) == expected
    assert precision_recall(FAKE, REAL, k) == expected[::-1]


@pytest.mark.parametrize("shift", [0, 1e6])
def test_identical_sets_cover_each_other(shift):
    features = RNG.normal(size=(1500, 20)) + shift
    assert precision_recall(features, RNG.permutation(features)) == (1, 1)


@pytest.mark.parametrize("count", [7, 9, 41, 50])
def test_copies_of_an_image_cover_it_in_spite_of_rounding(count):
    features = np.random.default_rng(0).normal(size=(50, 100))
    precision, _ = precision_recall(np.repeat(features, 4, axis=0), features[:count])  # balls of radius 0
    assert precision == 1


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_only_what_rounding_explains_is_a_copy(scale):
    # Balls of radius 0 around 500 images in 0 and 500 in 1 reach 10⁻⁶ of the largest distance to their mean, 5e-7.
    real = scale * np.repeat([0.0, 1.0], 500)[:, None]
    inside, outside = (scale * (np.repeat([0, 1], 100)[:, None] + gap) for gap in (1e-7, 4e-6))
    assert precision_recall(real, inside)[0] == 1
    assert precision_recall(real, outside)[0] == 0


def test_does_not_depend_on_the_origin():
    origin = np.array([2.0**20, 0, -(2.0**20)])
    assert precision_recall(REAL + origin, FAKE + origin) == precision_recall(REAL, FAKE)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_features_of_every_type_count_as_float64(dtype):
    real, fake = (100 + 20 * REAL).astype(dtype), (100 + 20 * FAKE).astype(dtype)  # their squares overflow 16 bits
    expected = definition(np.float64(fake), np.float64(real), 3), definition(np.float64(real), np.float64(fake), 3)
    assert precision_recall(real, fake) == expected
    # 0 and 0.1 are one number in 16 bits as soon as the mean, about 450, is subtracted.
    apart = np.array([[0], [0.1], [900], [900.5]]).astype(np.float16)
    assert precision_recall(apart, np.array([[0.15], [0.05]]), 1) == (1, 0.5)


def test_disjoint_sets_do_not():
    assert precision_recall(REAL, FAKE + 100) == (0, 0)


def test_the_default_is_the_third_neighbour_as_in_the_paper():
    # The third neighbours of 0, 1, 2 and 9 are 9, 8, 7 and 9 away: their balls cover −9 … 18.
    real, fake = np.array([[0], [1], [2], [9]]), np.array([[10.5], [18.5], [-9.5], [-7]])
    assert precision_recall(real, fake) == precision_recall(real, fake, 3) == (0.5, 1)


def test_half_the_modes_cost_half_the_recall():
    modes = 20 * np.eye(4)
    real = np.concatenate([RNG.uniform(size=(200, 4)) + mode for mode in modes])
    fake = np.concatenate([RNG.uniform(size=(200, 4)) + mode for mode in modes[:2]])
    precision, recall = precision_recall(real, fake)
    assert precision > 0.85
    assert 0.42 < recall <= 0.5


def test_collapse_costs_recall_and_noise_precision():
    real = RNG.normal(size=(300, 4))
    precision, recall = precision_recall(real, np.float32(1e-3 * RNG.normal(size=(300, 4))))
    assert precision == 1
    assert recall < 0.02
    precision, recall = precision_recall(real, RNG.uniform(-20, 20, size=(300, 4)))
    assert precision < 0.05
    good = precision_recall(real, RNG.normal(size=(300, 4)))
    assert min(good) > 0.7


@pytest.mark.parametrize(
    ("real", "fake", "k", "message"),
    [
        (REAL[0], FAKE, 3, r"not \[3\] and \[30, 3\]"),
        (REAL, FAKE[:, :2], 3, r"not \[41, 3\] and \[30, 2\]"),
        (REAL * np.nan, FAKE, 3, "NaN or infinity"),
        (REAL, FAKE + np.inf, 3, "NaN or infinity"),
        (REAL, FAKE, 0, "k=0"),
        (REAL, FAKE[:3], 3, "at least 4 samples per side, not 41 and 3"),
        (REAL[:5], FAKE, 5, "at least 6 samples per side, not 5 and 30"),
    ],
)
def test_refuses(real, fake, k, message):
    with pytest.raises(InputError, match=message):
        precision_recall(real, fake, k)
