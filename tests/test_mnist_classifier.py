"""The classifier of digits, and what is counted with it."""

import numpy as np
import pytest

from hw5 import data
from hw5.errors import InputError
from hw5.metrics import MnistClassifier, class_shares
from hw5.metrics.mnist_classifier import WEIGHTS


def test_accuracy_on_the_test_set():
    logits = MnistClassifier().logits(data.load("mnist", "test"))
    accuracy = (logits.argmax(axis=1) == data.load("mnist", "test", feature="label")).mean()
    assert accuracy >= 0.992


def test_the_weights_are_small():
    assert WEIGHTS.stat().st_size < 1_000_000


def test_floats_and_bytes_and_any_number_of_images_agree(digits):
    classifier = MnistClassifier()
    some = digits[:601]
    logits = classifier.logits(some)
    np.testing.assert_allclose(classifier.logits(np.float32(some) / 255), logits, atol=1e-4)
    np.testing.assert_allclose(classifier.logits(some[:7]), logits[:7], atol=1e-3)


def test_shares_of_real_digits_and_of_one_digit(digits):
    logits = MnistClassifier().logits(digits)
    shares, confidence = class_shares(logits)
    assert shares.sum() == pytest.approx(1)
    assert shares.min() > 0.08
    assert confidence > 0.97
    only, _ = class_shares(logits[logits.argmax(axis=1) == 3])
    np.testing.assert_array_equal(only, np.eye(10)[3])


def test_noise_does_not_pass_for_ten_classes():
    noise = np.random.default_rng(0).random((200, 28, 28, 1))
    shares, _ = class_shares(MnistClassifier().logits(noise))
    assert (shares >= 0.03).sum() <= 3


def test_class_shares_by_hand():
    logits = np.log([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]])
    shares, confidence = class_shares(logits)
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25])
    assert confidence == pytest.approx((0.7 + 0.6 + 0.8 + 0.5) / 4)


def test_damaged_or_missing_weights(tmp_path):
    for path in (tmp_path / "none.weights.h5", tmp_path / "cut.weights.h5"):
        if path.stem.startswith("cut"):
            path.write_bytes(WEIGHTS.read_bytes()[:1000])
        with pytest.raises(InputError, match="holds no weights of the MNIST classifier"):
            MnistClassifier(path)
