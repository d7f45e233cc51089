"""Inception Score, mode score and class proportions compared with numbers worked out by hand."""

import warnings

import numpy as np
import pytest

from hw5.errors import InputError
from hw5.metrics.class_scores import class_proportions, inception_score, mode_score

RNG = np.random.default_rng(0)
# Two images with the class probabilities (¾, ¼) and (¼, ¾); their mean is (½, ½).
TWO = np.log([[3.0, 1.0], [1.0, 3.0]])
TWO_CERTAIN = [[100, -100], [-100, 100]]
TWO_SCORE = np.exp(0.75 * np.log(1.5) + 0.25 * np.log(0.5))


def one_hot(classes, confidence=1000.0):
    return np.float32(confidence * np.eye(10)[classes])


def test_two_images_by_hand():
    np.testing.assert_allclose(inception_score(TWO, splits=1), (TWO_SCORE, 0))
    np.testing.assert_allclose(inception_score(TWO + [[5], [-700]], splits=1), (TWO_SCORE, 0))  # a softmax shifts


def test_reaches_its_bounds():
    np.testing.assert_allclose(inception_score(np.zeros((50, 7))), (1, 0))
    np.testing.assert_allclose(inception_score(one_hot(np.zeros(50, int))), (1, 0))
    np.testing.assert_allclose(inception_score(one_hot(np.arange(50) % 10), splits=1), (10, 0))


def test_splits_differ_by_one_image_and_are_shuffled():
    # Nine splits of ten unlike images: a pair scores 2, and eight single images 1.
    np.testing.assert_allclose(inception_score(one_hot(np.arange(10)), splits=9), (10 / 9, np.sqrt(8) / 9))
    np.testing.assert_allclose(inception_score(one_hot(np.arange(10)), splits=10), (1, 0))
    # Sorted by class, unshuffled splits would see one class each, and score 1.
    mean, _ = inception_score(one_hot(np.repeat(np.arange(10), 100)))
    assert 8 < mean < 10  # biased downwards


def test_repeats_with_its_seed():
    logits = RNG.normal(size=(100, 5))
    assert inception_score(logits) == inception_score(logits, splits=10, seed=0)
    assert inception_score(logits, seed=1) == inception_score(logits, seed=1)
    assert inception_score(logits, seed=1) != inception_score(logits, seed=2)


def test_logits_of_every_type_count_as_float64():
    for logits in (np.float32(RNG.normal(size=(30, 4))), np.float16(RNG.normal(size=(30, 4))), np.int8(TWO_CERTAIN)):
        exact, frequencies = np.float64(logits), np.full(logits.shape[1], 1 / logits.shape[1])
        assert inception_score(logits, splits=2) == inception_score(exact, splits=2)
        assert mode_score(logits, list(frequencies)) == mode_score(exact, frequencies)
        assert class_proportions(logits)[1] == class_proportions(exact)[1]


def test_the_order_of_the_images_does_not_matter():
    logits = RNG.normal(size=(1000, 10)) * 3
    for other in (logits[::-1], RNG.permutation(logits)):
        np.testing.assert_allclose(inception_score(other), inception_score(logits), rtol=1e-9)
        np.testing.assert_allclose(mode_score(other, np.full(10, 0.1)), mode_score(logits, np.full(10, 0.1)))


def test_mode_score_by_hand():
    # p_fake = (½, ½) against (¼, ¾):  KL = ½ ln 2 + ½ ln ⅔ = ½ ln (4/3)
    np.testing.assert_allclose(mode_score(TWO, [0.25, 0.75]), TWO_SCORE / np.sqrt(4 / 3))


def test_mode_score_is_the_inception_score_where_classes_are_as_frequent():
    logits = RNG.normal(size=(40, 6)) * 3
    exponentials = np.exp(logits)
    frequencies = np.mean(exponentials / exponentials.sum(axis=1, keepdims=True), axis=0)
    np.testing.assert_allclose(mode_score(logits, frequencies), inception_score(logits, splits=1)[0])


def test_mode_score_ranks_a_collapse_last():
    real = np.full(10, 0.1)
    every, half, one = (one_hot(np.arange(100) % classes) for classes in (10, 5, 1))
    np.testing.assert_allclose([mode_score(logits, real) for logits in (every, half, one)], [10, 2.5, 0.1])


def test_mode_score_of_a_class_that_is_not_there():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mode_score(TWO, [1, 0]) == 0
        np.testing.assert_allclose(mode_score(one_hot([0, 1]), [0.5, 0.5] + [0] * 8), 2)


def test_class_proportions_by_hand():
    logits = np.log([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]])
    proportions, confidence = class_proportions(logits)
    np.testing.assert_allclose(proportions, [0.5, 0.25, 0.25])
    assert confidence == pytest.approx((0.7 + 0.6 + 0.8 + 0.5) / 4)


def test_class_proportions_count_classes_that_no_image_shows():
    proportions, confidence = class_proportions(one_hot(np.full(7, 3)))
    np.testing.assert_array_equal(proportions, np.eye(10)[3])
    assert confidence == 1


SCORES = [inception_score, lambda logits: mode_score(logits, np.full(3, 1 / 3)), class_proportions]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros(12), r"must be \[n, classes\], not \[12\]"),
        (np.zeros((0, 3)), r"must be \[n, classes\], not \[0, 3\]"),
        (np.where(np.arange(12)[:, None] < 5, np.nan, np.zeros((12, 3))), "5 of 12 rows of logits are not finite"),
        (np.full((12, 3), np.inf), "12 of 12 rows"),
    ],
)
def test_refuse_invalid_logits(score, logits, message):
    with pytest.raises(InputError, match=message):
        score(logits)


@pytest.mark.parametrize("splits", [0, 10])
def test_inception_score_refuses_fewer_images_than_splits(splits):
    with pytest.raises(InputError, match=f"splits={splits}: must be between 1 and .* 9"):
        inception_score(np.zeros((9, 3)), splits=splits)


@pytest.mark.parametrize(
    ("frequencies", "message"),
    [
        ([0.5, 0.5, 0], r"must be \[2\], not \[3\]"),
        ([0.5, 0.6], "must sum to 1"),
        ([1.5, -0.5], "must not be negative"),
        ([np.nan, 1], "must sum to 1"),
    ],
)
def test_mode_score_refuses_invalid_probabilities(frequencies, message):
    with pytest.raises(InputError, match=message):
        mode_score(TWO, frequencies)
