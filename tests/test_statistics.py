"""Statistics of sets of images: computed batch by batch, saved, cached."""

import errno
import os
import time
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from hw5.errors import InputError, reason_of
from hw5.metrics import MnistClassifier, statistics
from hw5.metrics.frechet import Gaussian
from hw5.metrics.statistics import Statistics, cached_statistics, holds_statistics, image_checksum


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


FEATURES = np.random.default_rng(0).normal(size=(9, 3))
MEAN, COVARIANCE = FEATURES.mean(axis=0), np.cov(FEATURES, rowvar=False)
GOOD = dict(mean=MEAN, covariance=COVARIANCE, count=9, extractor="a", features=FEATURES, logits=FEATURES[:, :2])
ASYMMETRIC = COVARIANCE + np.triu(np.full((3, 3), 0.1), 1)
BROKEN = {
    "no arrays": (dict.fromkeys(GOOD), "no mean and covariance"),
    "no covariance": (dict(covariance=None), "no mean and covariance"),
    "NaN in the mean": (dict(mean=MEAN * [1, np.nan, 1]), "mean holds NaN"),
    "NaN in the covariance": (dict(covariance=np.full((3, 3), np.nan)), "covariance holds NaN"),
    "infinity": (dict(covariance=COVARIANCE * np.inf), "covariance holds NaN or infinity"),
    "complex": (dict(covariance=COVARIANCE + 0j), "covariance is of type complex128"),
    "complex mean": (dict(mean=MEAN + 0j), "mean is of type complex128"),
    "text": (dict(mean=np.array(list("abc"))), "mean is of type"),
    "bool": (dict(covariance=np.eye(3, dtype=bool)), "covariance is of type bool"),
    "objects": (dict(mean=MEAN.astype(object)), "Object arrays cannot be loaded"),
    "another size": (dict(covariance=np.eye(4)), r"shapes \[3\] and \[4, 4\]"),
    "not square": (dict(covariance=np.ones((3, 4))), r"shapes \[3\] and \[3, 4\]"),
    "standard deviations": (dict(covariance=np.ones(3)), r"shapes \[3\] and \[3\]"),
    "a mean of one more axis": (dict(mean=MEAN[None]), r"shapes \[1, 3\] and"),
    "a number": (dict(mean=1.0, covariance=1.0, features=None), r"shapes \[\] and \[\]"),
    "no dimension": (dict(mean=np.zeros(0), covariance=np.zeros((0, 0)), features=None), r"shapes \[0\]"),
    "asymmetric": (dict(covariance=ASYMMETRIC), "not symmetric"),
    "a tenth asymmetric": (dict(covariance=[[3, 1, 0], [1.1, 3, 0], [0, 0, 3]]), "not symmetric"),
    "negative": (dict(covariance=-COVARIANCE), "negative variances"),
    "one negative variance": (dict(covariance=np.diag([1.0, 1.0, -1e-6])), "negative variances"),
    "a correlation of 2": (dict(covariance=np.eye(3) + np.diag([2.0], 2) + np.diag([2.0], -2)), "negative eigenvalues"),
    "no image": (dict(count=0), "the count of images is 0,"),
    "one image": (dict(count=1), "the count of images is 1,"),
    "fewer than no images": (dict(count=-9), "the count of images is -9,"),
    "half an image": (dict(count=8.5), "the count of images is 8.5,"),
    "a count of NaN": (dict(count=np.nan), "the count of images is nan,"),
    "an infinite count": (dict(count=np.inf), "the count of images is inf,"),
    "a vector for a count": (dict(count=np.arange(2)), r"the count of images is \[0 1\],"),
    "a vector of one count": (dict(count=np.array([9])), r"the count of images is \[9\],"),
    "a text for a count": (dict(count="9"), "the count of images is 9,"),
    "a number for the extractor": (dict(extractor=3), "extractor is no text"),
    "features of fewer images": (dict(features=FEATURES[:8]), r"features \[8, 3\] of 9 images"),
    "features of other dimensions": (dict(features=FEATURES[:, :2]), r"features \[9, 2\] of a mean \[3\]"),
    "features of an unknown number of images": (dict(count=None), r"features \[9, 3\] of None images"),
    "the mean of other features": (dict(mean=MEAN + 1), "the mean is not that of the features"),
    "the covariance of other features": (dict(covariance=2 * COVARIANCE), "the covariance is not that of the features"),
    "two means": (dict(mu=MEAN, sigma=2 * COVARIANCE), "both mu and mean"),
    "NaN in the features": (dict(features=FEATURES * np.nan), "features holds NaN"),
    "logits of fewer images": (dict(logits=FEATURES[:8]), r"logits \[8, 3\] of 9 images"),
    "NaN in the logits": (dict(logits=FEATURES * np.nan), "logits holds NaN"),
    "two numbers for a shard": (dict(shard=(1, 2)), "shard is"),
}


def test_archives_of_statistics_are_known_by_the_names_of_both_arrays():
    for names in ({"mu", "sigma"}, {"mean", "covariance"}, ["mean", "covariance", "count"], ("sigma", "x", "mu")):
        assert holds_statistics(names)
    for names in ((), {"mu"}, {"sigma"}, {"mean"}, {"covariance"}, {"mu", "covariance"}, {"mean", "sigma"}):
        assert not holds_statistics(names)


def test_the_reason_of_an_error_is_one_line_of_at_most_100_characters():
    assert reason_of(ValueError("two\nlines   of text")) == "two lines of text"
    assert reason_of(ValueError("x" * 101)) == "x" * 100
    assert reason_of(OSError(errno.ENOSPC, "No space left", "file")) == "No space left"
    assert reason_of(KeyError()) == "KeyError"


def test_statistics_of_two_images_and_of_an_empty_shard_survive_saving(tmp_path):
    Statistics(Gaussian.of(FEATURES[:2]), "a").save(tmp_path / "two.npz")
    assert Statistics.load(tmp_path / "two.npz").gaussian.count == 2
    Statistics(Gaussian.of([], is_part=True), "a", shard=(3, 3, 9)).save(tmp_path / "empty.npz")
    empty = Statistics.load(tmp_path / "empty.npz")
    assert (empty.gaussian.count, empty.shard) == (0, (3, 3, 9))


def test_a_whole_set_is_no_part_and_the_message_says_so():
    whole = Statistics(Gaussian.of(FEATURES), "a")
    part = Statistics(Gaussian.of(FEATURES[:4], is_part=True), "a", shard=(1, 2, 9))
    with pytest.raises(InputError, match="a part is a whole set, not shard 2 of 2 of 9 images"):
        Statistics.merge([part, whole])


@pytest.mark.parametrize("kind", BROKEN)
def test_statistics_that_are_none_are_refused(tmp_path, kind):
    changes, message = BROKEN[kind]
    path = tmp_path / "s.npz"
    np.savez(path, **{name: value for name, value in (GOOD | changes).items() if value is not None})
    with pytest.raises(InputError, match=f"s.npz: holds no readable statistics of images .*{message}") as error:
        Statistics.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("covariance", [
    COVARIANCE,
    np.zeros((3, 3)),
    np.outer(MEAN, MEAN),  # of rank 1, with eigenvalues of -1e-17
    np.float32(np.cov(FEATURES[:2], rowvar=False)),
    np.int64(np.eye(3)),
    np.asfortranarray(COVARIANCE).astype(">f8"),
    COVARIANCE * 1e30,
    COVARIANCE * 1e-30,
], ids=["full", "zero", "rank 1", "float32 of two", "integers", "big-endian", "large", "small"])  # fmt: skip
def test_every_covariance_is_accepted(tmp_path, covariance):
    np.savez(tmp_path / "s.npz", mu=MEAN, sigma=covariance)
    np.testing.assert_array_equal(Statistics.load(tmp_path / "s.npz").gaussian.covariance, covariance)


def test_covariances_of_few_images_and_many_dimensions_are_accepted(tmp_path):
    few = np.random.default_rng(1).normal(size=(10, 500))
    np.savez(tmp_path / "s.npz", mu=few.mean(axis=0), sigma=np.cov(few, rowvar=False).astype(np.float32))
    assert Statistics.load(tmp_path / "s.npz").gaussian.covariance.shape == (500, 500)


@pytest.mark.parametrize("grey", [0, 77, 255])
def test_statistics_of_equal_images_survive_saving(tmp_path, grey):
    measured = Statistics.of(np.full((40, 28, 28, 1), grey, np.uint8), MnistClassifier())
    measured.save(tmp_path / "s.npz")
    same(measured, Statistics.load(tmp_path / "s.npz"))


def test_files_of_guided_diffusion_are_read(tmp_path):
    spatial = dict(mu_s=np.zeros(7), sigma_s=np.eye(7))
    np.savez(tmp_path / "reference.npz", mu=MEAN, sigma=COVARIANCE, **spatial)
    np.testing.assert_array_equal(Statistics.load(tmp_path / "reference.npz").gaussian.mean, MEAN)


def test_damaged_files_are_refused(tmp_path):
    good = tmp_path / "good.npz"
    np.savez(good, **GOOD)
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:200])
    (tmp_path / "text.npz").write_text("hello")
    for name, array in (("pickle", np.array([{}], object)), ("array", MEAN)):
        with open(tmp_path / f"{name}.npz", "wb") as file:
            np.save(file, array)
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        for name in ("mean", "covariance"):
            archive.writestr(name, "no array")
    for name in ("cut", "text", "pickle", "array", "other", "missing"):
        with pytest.raises(InputError, match=f"{name}.npz: holds no readable statistics") as error:
            Statistics.load(tmp_path / f"{name}.npz")
        assert "\n" not in str(error.value)


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


@pytest.mark.parametrize("cache", ["file", "file/below", "/proc/self", "/dev/full", "n" * 300])
def test_a_cache_that_cannot_be_written_is_a_warning(digits, tmp_path, monkeypatch, capsys, cache):
    classifier = MnistClassifier()
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
    computed = cached_statistics(digits[:50], classifier)
    same(computed, Statistics.of(digits[:50], classifier))
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f"warning: {tmp_path / cache}")
    assert last.endswith("; the statistics are not kept")


def test_a_full_disk_leaves_nothing_in_the_cache(digits, monkeypatch, capsys):
    def savez(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    assert cached_statistics(digits[:50], MnistClassifier()).gaussian.count == 50
    assert "No space left on device; the statistics are not kept" in capsys.readouterr().err
    assert not list(statistics.cache_folder().iterdir())


def test_the_cache_keeps_what_was_used_last(digits, monkeypatch):
    classifier = MnistClassifier()
    first, second, third = (digits[start : start + 10] for start in (0, 10, 20))
    cached_statistics(first, classifier)
    (oldest,) = statistics.cache_folder().iterdir()
    monkeypatch.setattr(statistics, "CACHE_BYTES", 2.5 * oldest.stat().st_size)
    cached_statistics(second, classifier)
    for path in statistics.cache_folder().iterdir():
        os.utime(path, 2 * (time.time() - (20 if path == oldest else 10),))
    cached_statistics(first, classifier)  # used again
    cached_statistics(third, classifier)
    names = {path.name for path in statistics.cache_folder().iterdir()}
    assert names == {f"mnist-classifier_{image_checksum(images)}.npz" for images in (first, third)}


def test_the_newest_file_stays_in_a_cache_that_is_too_small_for_it(digits, monkeypatch):
    monkeypatch.setattr(statistics, "CACHE_BYTES", 0)
    for images in (digits[:10], digits[10:20]):
        cached_statistics(images, MnistClassifier())
        assert [path.name for path in statistics.cache_folder().iterdir()] == [
            f"mnist-classifier_{image_checksum(images)}.npz"
        ]


def test_statistics_of_other_images_in_the_cache_are_computed_again(digits, capsys):
    classifier = MnistClassifier()
    path = statistics.cache_folder() / f"mnist-classifier_{image_checksum(digits[:10])}.npz"
    Statistics.of(digits[:20], classifier).save(path)
    assert cached_statistics(digits[:10], classifier).gaussian.count == 10
    assert "holds statistics of other images; computed again" in capsys.readouterr().err
    assert Statistics.load(path).gaussian.count == 10


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_an_interrupted_computation_goes_on(digits, monkeypatch, capsys, keep, error):
    monkeypatch.setattr(statistics, "PART_IMAGES", 300)
    monkeypatch.setattr(MnistClassifier, "batch_size", 100)
    classifier, images = MnistClassifier(), digits[:1000]
    forward, batches = MnistClassifier.forward, []

    def interrupted(self, inputs):
        batches.append(len(inputs))
        if len(batches) == 7:
            raise error
        return forward(self, inputs)

    monkeypatch.setattr(MnistClassifier, "forward", interrupted)
    with pytest.raises(error):
        cached_statistics(images, classifier, keep=keep)
    stem = f"mnist-classifier_{image_checksum(images)}_{'features' if keep else 'gaussian'}"
    parts = {path.name for path in (statistics.cache_folder() / "parts").iterdir()}
    assert parts == {f"{stem}_1-4.npz", f"{stem}_2-4.npz"}  # of 200 and 300 images
    found = cached_statistics(images, classifier, keep=keep)
    assert batches[7:] == [100] * 5
    expected = Statistics.of(images, classifier)
    np.testing.assert_allclose(found.gaussian.covariance, expected.gaussian.covariance, rtol=1e-9, atol=1e-9)
    assert found.gaussian.count == 1000
    assert (found.features is not None) == (found.logits is not None) == keep
    if keep:
        np.testing.assert_array_equal(found.features, expected.features)
    assert [path.name for path in statistics.cache_folder().iterdir() if path.is_file()] == [
        f"mnist-classifier_{image_checksum(images)}.npz"
    ]
    assert not list((statistics.cache_folder() / "parts").iterdir())
    assert "warning" not in capsys.readouterr().err


def test_parts_are_not_needed_to_be_kept(digits, tmp_path, monkeypatch, capsys):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setattr(statistics, "PART_IMAGES", 300)
    assert cached_statistics(digits[:1000], MnistClassifier()).gaussian.count == 1000
    assert capsys.readouterr().err.count("warning") == 1
