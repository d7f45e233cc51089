"""Statistics of sets of images: computed batch by batch, saved, cached."""

import numpy as np
import pytest
import tensorflow as tf

from hw5.errors import InputError
from hw5.metrics import MnistClassifier, statistics
from hw5.metrics.statistics import Statistics, cached_statistics


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def same(first, second):
    np.testing.assert_array_equal(first.gaussian.mean, second.gaussian.mean)
    np.testing.assert_array_equal(first.gaussian.covariance, second.gaussian.covariance)
    assert (first.gaussian.count, first.extractor) == (second.gaussian.count, second.extractor)


@pytest.mark.parametrize("keep", [True, False])
def test_statistics_are_those_of_all_features_and_survive_saving(digits, tmp_path, keep):
    classifier = MnistClassifier()
    measured = Statistics.of(digits[:700], classifier, keep=keep)  # two batches
    features = np.float64(classifier.features(digits[:700]))
    np.testing.assert_allclose(measured.gaussian.mean, features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(measured.gaussian.covariance, np.cov(features, rowvar=False), atol=1e-3)
    measured.save(tmp_path / "s.npz")
    again = Statistics.load(tmp_path / "s.npz")
    same(measured, again)
    assert (again.features is not None, again.logits is not None) == (keep, keep)
    if keep:
        np.testing.assert_array_equal(again.logits, measured.logits)


def test_files_of_other_programs_are_read(tmp_path):
    covariance = np.diag([1.0, 4.0])
    np.savez(tmp_path / "pytorch_fid.npz", mu=np.array([1.0, 2.0]), sigma=covariance)
    read = Statistics.load(tmp_path / "pytorch_fid.npz")
    np.testing.assert_array_equal(read.gaussian.covariance, covariance)
    assert read.extractor is read.gaussian.count is read.features is None


def test_damaged_files_are_refused(tmp_path):
    good = tmp_path / "good.npz"
    np.savez(good, mean=np.zeros(3), covariance=np.eye(3))
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:200])
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    np.savez(tmp_path / "nan.npz", mean=np.zeros(3), covariance=np.full((3, 3), np.nan))
    np.savez(tmp_path / "shapes.npz", mean=np.zeros(3), covariance=np.eye(4))
    np.save(tmp_path / "pickle.npz", np.array([{}], object), allow_pickle=True)
    for name in ("cut", "other", "nan", "shapes", "pickle", "missing"):
        with pytest.raises(InputError, match=f"{name}.npz: holds no"):
            Statistics.load(tmp_path / f"{name}.npz")


def test_statistics_are_computed_once(digits, monkeypatch):
    classifier = MnistClassifier()
    first = cached_statistics(digits[:100], classifier)
    (path,) = statistics.cache_folder().iterdir()
    assert path.name.startswith("mnist-classifier_100x28x28x1_")
    monkeypatch.setattr(Statistics, "of", None)  # calling it would fail
    same(first, cached_statistics(digits[:100], classifier))
    with pytest.raises(TypeError):
        cached_statistics(digits[1:101], classifier)  # other images of the same shape


def test_features_that_were_not_kept_are_computed_when_they_are_needed(digits):
    classifier = MnistClassifier()
    assert cached_statistics(digits[:100], classifier, keep=False).features is None
    assert cached_statistics(digits[:100], classifier).features.shape == (100, 64)
    assert cached_statistics(digits[:100], classifier, keep=False).features is not None  # they do no harm


def test_a_damaged_cache_is_replaced(digits, capsys):
    classifier = MnistClassifier()
    first = cached_statistics(digits[:100], classifier)
    (path,) = statistics.cache_folder().iterdir()
    path.write_bytes(path.read_bytes()[:500])
    same(first, cached_statistics(digits[:100], classifier))
    assert "computed again" in capsys.readouterr().err
    same(first, Statistics.load(path))


def test_a_tensor_has_the_cache_of_its_array(digits, monkeypatch):
    classifier = MnistClassifier()
    first = cached_statistics(digits[:100], classifier)
    monkeypatch.setattr(Statistics, "of", None)
    same(first, cached_statistics(tf.constant(digits[:100]), classifier))


def test_a_cache_that_cannot_be_written_is_a_warning(digits, tmp_path, capsys):
    classifier = MnistClassifier()
    (tmp_path / "cache").write_text("no folder")
    computed = cached_statistics(digits[:50], classifier)
    same(computed, Statistics.of(digits[:50], classifier))
    assert capsys.readouterr().err.startswith(f"warning: {tmp_path / 'cache'}")
