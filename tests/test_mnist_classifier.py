"""The classifier of digits, and the class proportions that it finds."""

import numpy as np
import pytest

from hw5 import data
from hw5.errors import InputError
from hw5.metrics import MnistClassifier, class_proportions, mnist_classifier
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


def test_proportions_of_real_digits(digits):
    proportions, confidence = class_proportions(MnistClassifier().logits(digits))
    assert proportions.sum() == pytest.approx(1)
    assert proportions.min() > 0.08
    assert confidence > 0.97


def test_noise_is_not_classified_as_ten_classes():
    noise = np.random.default_rng(0).random((200, 28, 28, 1))
    proportions, _ = class_proportions(MnistClassifier().logits(noise))
    assert (proportions >= 0.03).sum() <= 3


def test_the_program_trains_saves_and_prints_the_accuracy(tmp_path, monkeypatch, capsys, digits):
    labels = data.load("mnist", feature="label", limit=2000)
    monkeypatch.setattr(data, "load", lambda name, split, feature="image": labels if feature == "label" else digits)
    accuracy = mnist_classifier.run(weights=tmp_path / "w.weights.h5", epochs=1)
    assert f"w.weights.h5: test accuracy {accuracy:.4f}" in capsys.readouterr().out
    logits = MnistClassifier(tmp_path / "w.weights.h5").logits(digits)
    assert (logits.argmax(axis=1) == labels).mean() == pytest.approx(accuracy, abs=1e-3)


def test_a_file_that_could_not_be_written_at_the_end_is_refused_at_the_beginning(tmp_path):
    (tmp_path / "a.weights.h5").mkdir()
    with pytest.raises(InputError, match="^weights=.*: is no file, but a folder"):
        mnist_classifier.run(weights=tmp_path / "a.weights.h5")
    with pytest.raises(InputError, match="^weights=w.h5: must end in .weights.h5"):
        mnist_classifier.run(weights="w.h5")
    with pytest.raises(InputError, match="^batch_size=60001: must be at most 60000"):
        mnist_classifier.run(batch_size=60_001)


def test_damaged_or_missing_weights(tmp_path):
    for path in (tmp_path / "none.weights.h5", tmp_path / "cut.weights.h5"):
        if path.stem.startswith("cut"):
            path.write_bytes(WEIGHTS.read_bytes()[:1000])
        with pytest.raises(InputError, match="holds no weights of the MNIST classifier"):
            MnistClassifier(path)
