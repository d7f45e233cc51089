"""The classifier of digits, and the class proportions that it finds."""

import keras
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


def test_larger_images_are_resized_by_averages_not_by_neighbours():
    stripes = np.zeros((1, 112, 112, 1), np.uint8)
    stripes[:, :, 1::4] = stripes[:, :, 2::4] = 255  # the two columns next to the middle of every four
    resized = MnistClassifier().preprocess(stripes).numpy()
    assert resized.shape == (1, 28, 28, 1)
    np.testing.assert_allclose(resized[:, :, 1:-1], 0.5, atol=1e-6)


def test_proportions_of_real_digits(digits):
    proportions, confidence = class_proportions(MnistClassifier().logits(digits))
    assert proportions.sum() == pytest.approx(1)
    assert proportions.min() > 0.08
    assert confidence > 0.97


def test_noise_is_not_classified_as_ten_classes():
    noise = np.random.default_rng(0).random((200, 28, 28, 1))
    proportions, _ = class_proportions(MnistClassifier().logits(noise))
    assert (proportions >= 0.03).sum() <= 3


def few_data(monkeypatch, images, labels, test_images, test_labels):
    """Replace the images and labels of MNIST."""
    arrays = dict(train_image=images, train_label=labels, test_image=test_images, test_label=test_labels)
    few = {("mnist", *key.split("_")): array for key, array in arrays.items()}
    monkeypatch.setattr(data, "load", lambda name, split, feature="image": few[name, split, feature])


def test_the_program_trains_saves_and_prints_the_accuracy(tmp_path, monkeypatch, capsys, digits):
    labels = data.load("mnist", feature="label", limit=2000)
    few_data(monkeypatch, digits[:1500], labels[:1500], digits[1500:], labels[1500:])
    accuracy = mnist_classifier.run(weights=tmp_path / "w.weights.h5", epochs=1)
    assert f"w.weights.h5: test accuracy {accuracy:.4f}" in capsys.readouterr().out
    logits = MnistClassifier(tmp_path / "w.weights.h5").logits(digits[1500:])
    assert (logits.argmax(axis=1) == labels[1500:]).mean() == pytest.approx(accuracy, abs=1e-3)


def test_the_program_trains_on_whole_batches_shifted_by_up_to_two_pixels(tmp_path, monkeypatch):
    images = np.zeros((603, 28, 28, 1), np.uint8)
    images[:, 14, 14] = 255
    seen = []
    few_data(monkeypatch, images, np.arange(603) % 10, images[:10], np.arange(10))
    monkeypatch.setattr(keras.Sequential, "fit", lambda self, batches, **how: seen.extend((self, *x) for x in batches))
    mnist_classifier.run(weights=tmp_path / "w.weights.h5", epochs=1, batch_size=8)
    assert {batch.shape for _, batch, _ in seen} == {(8, 28, 28, 1)}
    places = np.stack([np.argwhere(batch.numpy() == 1)[:, 1:3] - 14 for _, batch, _ in seen])
    assert (places == places[:, :1]).all()  # of all images of a batch
    assert [sorted(set(axis)) for axis in places[:, 0].T.tolist()] == [[-2, -1, 0, 1, 2]] * 2
    assert len({tuple(places) for places in places[:, 0].tolist()}) > 10
    assert seen[0][0].loss.from_logits


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


def test_features_are_those_of_a_relu(digits):
    features = MnistClassifier().features(digits[:200])
    assert features.min() == 0
    assert features.max() > 1
