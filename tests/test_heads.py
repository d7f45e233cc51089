"""Linear heads: the fit, the files, the scores by their logits, and the command that makes them."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax, softmax

from hw5 import data
from hw5.data import build
from hw5.errors import InputError
from hw5.files import cache_folder
from hw5.metrics import evaluate_samples, extractors_for, heads, linear_head
from hw5.metrics.extractor import Extractor
from hw5.metrics.inception import Inception
from hw5.metrics.linear_head import LinearHead, find_head, fit_head

EMBEDDED = {"mnist": 10, "cartoon_faces": 8, "emojione": 10}  # dataset → classes of its head


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def clusters(n, distance=4.0, seed=0):
    """Draw n points of three Gaussians N(distance·eᵢ, I) in five dimensions, and their numbers."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return np.float32(distance * np.eye(5)[labels] + rng.standard_normal((n, 5))), labels


def test_logits_of_gaussians_are_their_log_densities():
    # log N(x; 2eᵢ, I) − log N(x; 2eⱼ, I) = 2xᵢ − 2xⱼ
    features, labels = clusters(30_000, distance=2)
    weights, bias, _ = fit_head(features, labels, 3, [1e-4])
    differences = weights - weights.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(differences[:3], 2 * (np.eye(3) - 1 / 3), atol=0.1)
    np.testing.assert_allclose(differences[3:], 0, atol=0.1)
    np.testing.assert_allclose(bias - bias.mean(), 0, atol=0.1)


def test_the_gradient_is_zero_at_the_solution():
    features, labels = clusters(300)
    weights, bias, strength = fit_head(features, labels, 3, [0.05])
    rest = (softmax(features @ weights + bias, axis=1) - np.eye(3)[labels]) / len(labels)
    np.testing.assert_allclose(rest.sum(axis=0), 0, atol=1e-4)  # classes are as probable as they are frequent
    std = features.std(axis=0)[:, None]
    standard = (features - features.mean(axis=0)) / std.T
    np.testing.assert_allclose(standard.T @ rest + strength * weights * std, 0, atol=1e-4)


def test_the_scale_of_the_features_does_not_enter():
    features, labels = clusters(200)
    scaled = features * [1, 100, 0.01, 1, 1] + [0, 5, 5, 100, 0]
    first, second = (x @ weights + bias for x in (features, scaled) for weights, bias, _ in [fit_head(x, labels, 3)])
    np.testing.assert_allclose(softmax(first, axis=1), softmax(second, axis=1), atol=0.01)


def test_every_fifth_image_chooses_the_strength():
    # One feature, of alternating classes. Where the fifth images agree with the others, the weakest penalty fits them
    # best; where they contradict, the strongest has the smallest loss; with 1e9, all logits are 0.
    labels = np.arange(100) % 2
    agreeing = np.float32(labels[:, None])
    contradicting = np.where(np.arange(100)[:, None] % 5 == 0, 1 - agreeing, agreeing)
    assert fit_head(agreeing, labels, 2, (1e-3, 1e9, 1.0))[2] == 1e-3
    weights, bias, strength = fit_head(contradicting, labels, 2, (1e-3, 1e9, 1.0))
    assert strength == 1e9
    np.testing.assert_allclose([*weights[0], *bias], 0, atol=1e-6)
    assert fit_head(agreeing, labels, 2)[2] == 1e-4


def test_ten_images_are_enough():
    features, labels = clusters(10)
    assert np.isfinite(fit_head(features, labels, 3)[0]).all()
    with pytest.raises(InputError, match="9 images are too few for a linear head; it needs 10"):
        fit_head(features[:9], labels[:9], 3)


def test_a_constant_feature_gets_no_weight():
    features, labels = clusters(100)
    features[:, 4] = 7
    weights, bias, _ = fit_head(features, labels, 3)
    assert np.isfinite(bias).all()
    assert (weights[4] == 0).all()


def test_the_strength_is_that_of_the_best_validation():
    noise = np.random.default_rng(1).standard_normal((600, 100))  # a weak penalty would fit it
    assert fit_head(noise, np.arange(600) % 3, 3)[2] >= 1
    features, labels = clusters(3000, distance=2)
    assert fit_head(features, labels, 3)[2] <= 0.01


def test_the_validation_knows_the_frequencies_of_the_classes():
    # Nine tenths are of one class. The bias alone knows that: by the weights alone, a penalty ten times as strong,
    # which makes the classes more equal, would seem the best one.
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(500) < 0.9, 0, 1)
    features = np.float32(rng.standard_normal((500, 30)) + 0.4 * labels[:, None])
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    strengths, losses, validated = (10.0, 1.0, 0.1, 0.01, 1e-3), [], np.arange(500) % 5 == 0
    for strength in strengths:
        weights, bias, _ = fit_head(standard[~validated], labels[~validated], 2, [strength])
        log_probabilities = log_softmax(standard[validated] @ weights + bias, axis=1)
        losses.append(-log_probabilities[np.arange(100), labels[validated]].mean())
    assert strengths[np.argmin(losses)] == 0.1
    assert fit_head(features, labels, 2, strengths)[2] == 0.1


class Blocks(Extractor):
    """A tiny network: the mean grey of each of 7×7 blocks of an image, and the head's logits."""

    key, name, channels, has_classes = "blocks", "blocks", 1, True

    def __init__(self, head, batch_size=50):
        self.head, self.batch_size = head, batch_size

    def preprocess(self, images):
        return np.float32(images).reshape(len(images), 7, 4, 7, 4, -1).mean(axis=(2, 4, 5)).reshape(len(images), 49)

    def forward(self, inputs):
        return inputs, self.head.logits(inputs)


def make_head(weights, bias=None, dataset="mnist", network="blocks"):
    weights = np.float32(weights)
    bias = np.zeros(weights.shape[1], np.float32) if bias is None else np.float32(bias)
    return LinearHead(weights, bias, tuple(map(str, range(len(bias)))), network, dataset)


@pytest.fixture(scope="module")
def digit_blocks(digits):
    """The tiny network with a head for digits, fitted to the first 1,000."""
    labels = data.load("mnist", feature="label", limit=1000)
    weights, bias, _ = fit_head(Blocks(make_head(np.zeros((49, 10)))).features(digits[:1000]), labels, 10)
    return Blocks(make_head(weights, bias))


def test_permuted_labels_are_learnt_by_chance(digits, digit_blocks):
    features, labels = digit_blocks.features(digits), data.load("mnist", feature="label", limit=2000)
    rng, chance = np.random.default_rng(0), []
    for _ in range(12):  # ones are alike, so each permutation is luck for all of them at once
        weights, bias, _ = fit_head(features[:1000], rng.permutation(labels[:1000]), 10)
        chance.append((np.argmax(features[1000:] @ weights + bias, axis=1) == labels[1000:]).mean())
    right = (digit_blocks.logits(digits[1000:]).argmax(axis=1) == labels[1000:]).mean()
    assert right > 0.8
    assert np.mean(chance) == pytest.approx(0.1, abs=0.04)


def row_of(fake, extractor, metrics=("is", "mode_score", "class_proportions"), **arguments):
    return evaluate_samples(fake, [extractor], metrics=metrics, verbose=False, **arguments)[extractor.key]


def test_equal_numbers_of_every_class_score_the_number_of_classes():
    images = np.zeros((700, 28, 28, 1), np.uint8)
    for number in range(700):  # one block of seven is white
        images[number, :4, 4 * (number % 7) : 4 * (number % 7) + 4] = 255
    row = row_of(images, Blocks(make_head(np.eye(49)[:, :7])), real_images=images)
    assert row["mode_score"] == row["real_mode_score"] == pytest.approx(7)
    assert row["is"] == row["real_is"] == pytest.approx(7, abs=0.4)  # splits of 70
    assert (row["classes_covered"], row["confidence"]) == (7, 1)


def test_noise_scores_one(digits, digit_blocks):
    noise = np.random.default_rng(0).integers(100, 156, digits[:500].shape, np.uint8)
    row = row_of(noise, digit_blocks, real_images=digits[1000:1500])
    assert row["is"] == pytest.approx(1, abs=0.1)
    assert row["mode_score"] < 1.1
    assert row["real_is"] > 4
    constant = Blocks(make_head(np.zeros((49, 10)), np.arange(10)))
    assert row_of(digits[:50], constant, "is")["is"] == pytest.approx(1)


def test_the_scores_of_real_images_are_those_of_held_out_ones(digits, digit_blocks):
    row = row_of(digits[:200], digit_blocks, real_images=digits[200:700], held_out_images=digits[700:900])
    alone = row_of(digits[700:900], digit_blocks, real_images=digits[200:700])
    assert row["real_is_samples"] == 200
    # In other batches, a BLAS may add up the logits in another order.
    assert (row["real_is"], row["real_mode_score"]) == pytest.approx((alone["is"], alone["mode_score"]), rel=1e-6)
    more = row_of(digits[:200], digit_blocks, real_images=digits[200:700], held_out_images=digits[700:1400])
    assert more["real_is_samples"] == 200
    fewer = row_of(digits[:200], digit_blocks, real_images=digits[200:300])
    assert fewer["real_is_samples"] == 100
    assert "real_is" not in row_of(digits[:200], digit_blocks, "is")


def test_batches_and_the_order_of_the_images_do_not_enter(digits, digit_blocks):
    row = row_of(digits[:300], digit_blocks, real_images=digits[300:600])
    in_sevens = Blocks(digit_blocks.head, batch_size=7)
    shuffled = row_of(digits[:300][::-1], in_sevens, real_images=np.random.default_rng(0).permutation(digits[300:600]))
    for name, value in row.items():
        if not isinstance(value, str):
            np.testing.assert_allclose(shuffled[name], value, rtol=1e-4, err_msg=name)


def test_saved_features_get_the_logits_of_the_extractors_head(digits, digit_blocks):
    other = Blocks(make_head(np.eye(49)[:, :3]))
    row_of(digits[:50], other, real_images=digits[50:100])  # now the cache has statistics of these images
    expected = row_of(digits[:50], digit_blocks, real_images=list(digits[50:100]))
    np.testing.assert_equal(row_of(digits[:50], digit_blocks, real_images=digits[50:100]), expected)
    assert expected["classifier"] == "linear head: 10 classes of mnist"


def test_a_head_survives_saving(tmp_path, digit_blocks):
    path = tmp_path / "some.head.npz"
    digit_blocks.head.save(path)
    again = LinearHead.load(path)
    np.testing.assert_array_equal(again.weights, digit_blocks.head.weights)
    assert (again.classes, again.network, again.label) == (tuple("0123456789"), "blocks", ("label",))
    known = dict(label=("a", "b"), accuracy=0.75, chance=0.25, l2=(0.1, 10.0), num_images=70, num_test_images=30)
    head = LinearHead(np.eye(3, 2), np.array([1.0, 2.0]), ("no", "yes"), "some network", "some dataset", **known)
    head.save(path)
    again = LinearHead.load(path)
    assert again.weights.dtype == again.bias.dtype == np.float32
    np.testing.assert_equal(dataclasses.asdict(again), dataclasses.asdict(head))
    assert again.name == "linear head: 2 classes of some dataset, test accuracy 0.750"
    logits = again.logits([[1.0, 0.0, 5.0], [0.0, 2.0, 5.0]])
    np.testing.assert_array_equal(logits, [[2, 2], [1, 4]])
    assert logits.dtype == np.float32


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays | {"weights": np.zeros((49, 9))},
        lambda arrays: arrays | {"weights": np.zeros(49)},
        lambda arrays: arrays | {"weights": np.full((49, 10), np.inf)},
        lambda arrays: arrays | {"bias": np.zeros(9)},
        lambda arrays: arrays | {"weights": np.zeros((49, 1)), "bias": np.zeros(1), "classes": ["one"]},
        lambda arrays: arrays | {"bias": np.full(10, np.nan)},
        lambda arrays: arrays | {"accuracy": "high"},
        lambda arrays: {"images": np.zeros((3, 4, 4, 1))},
    ],
)
def test_files_that_hold_no_head_are_refused_in_one_line(change, tmp_path, digit_blocks):
    path = tmp_path / "some.head.npz"
    digit_blocks.head.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **change(arrays))
    with pytest.raises(InputError, match=r"some.head.npz: holds no linear head \(.*\)$"):
        find_head("mnist", path)


def test_damaged_and_missing_files_are_refused_in_one_line(tmp_path, digit_blocks):
    path = tmp_path / "some.head.npz"
    digit_blocks.head.save(path)
    whole = path.read_bytes()
    for damaged in (whole[:100], whole[: len(whole) // 2], b"", b"text", whole.replace(b"PK", b"KP")):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"^\S*some.head.npz: holds no linear head \([^\n]*\)$"):
            find_head("mnist", path)
    with pytest.raises(InputError, match="none.head.npz: no such file; python -m hw5.metrics.heads makes one"):
        find_head("mnist", tmp_path / "none.head.npz")


def test_a_head_for_other_features_is_refused():
    for head in (make_head(np.zeros((49, 3)), network="inception-fid"), make_head(np.zeros((2048, 3)))):
        with pytest.raises(InputError, match=r"features of \S+ does not fit inception-fid, which has 2,048"):
            Inception("fid", head=head)


def test_a_head_is_found_by_the_name_of_its_dataset(digit_blocks):
    assert find_head("") is find_head("nothing") is find_head("../nothing") is None
    digit_blocks.head.save(cache_folder() / "heads" / "emnist_letters.head.npz")
    np.testing.assert_array_equal(find_head("emnist/letters").weights, digit_blocks.head.weights)
    digit_blocks.head.save(cache_folder() / "heads" / "mnist.head.npz")
    assert find_head("mnist").network == "inception-fid"  # the package's comes first
    make_head(np.eye(2)).save(cache_folder() / "heads" / "two.classes-1.head.npz")
    assert find_head("two.classes-1").classes == ("0", "1")


@pytest.mark.parametrize("dataset", EMBEDDED)
def test_the_heads_of_the_package(dataset):
    head = find_head(dataset)
    assert (head.dataset, head.network, head.weights.shape) == (dataset, "inception-fid", (2048, EMBEDDED[dataset]))
    assert head.accuracy > head.chance + 0.2
    assert head.num_images > head.num_test_images > 300
    assert f"{EMBEDDED[dataset]} classes of {dataset}, test accuracy 0." in head.name


def test_heads_are_small_and_need_no_tensorflow():
    code = "import sys; from hw5.metrics.linear_head import find_head; print(sum(find_head('mnist').weights.shape))"
    code += "; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2058\n"
    for dataset in EMBEDDED:
        assert (linear_head.PACKAGE / linear_head.file_name(dataset)).stat().st_size < 300_000


@pytest.fixture
def striped(tmp_path):
    """A dataset of 120 images with vertical or horizontal stripes, its splits and its classes."""
    rng = np.random.default_rng(0)
    (tmp_path / "stripes").mkdir()
    table = ["label,group,Vertical,Tinted,seed"]
    for number in range(120):
        vertical, tinted = number % 2, number // 2 % 2
        stripes = np.where(np.arange(28) // 4 % 2, 255, 0)
        image = np.broadcast_to(stripes if vertical else stripes[:, None], (28, 28)) // (1 + tinted)
        Image.fromarray(np.uint8(image * rng.uniform(0.9, 1))).save(tmp_path / "stripes" / f"{number:03}.png")
        table.append(f"{vertical},{'vertical' if vertical else 'horizontal'},{vertical},{tinted},{number + 7}")
    (tmp_path / "stripes.csv").write_text("\n".join(table) + "\n")
    return {"source": tmp_path / "stripes", "attributes": tmp_path / "stripes.csv", "size": 28, "channels": 1}


@pytest.fixture
def blocks_for_inception(monkeypatch):
    """Stand-ins of InceptionV3: the tiny network. Returns the arguments that they are made with."""
    asked = []
    blocks = Blocks(make_head(np.zeros((49, 2))))
    monkeypatch.setattr(heads, "Inception", lambda *arguments: asked.append(arguments) or blocks)
    return asked


@pytest.mark.parametrize("splits", ["train:0.75,test:0.25", "train:1"])
def test_the_command_fits_a_head_for_ones_own_dataset(splits, striped, tmp_path, blocks_for_inception, capsys):
    build.run(**striped, name="stripes", data_dir=tmp_path / "data", splits=splits)
    head = heads.run("stripes", data_dir=tmp_path / "data")
    assert head.classes == ("0", "1")
    assert head.accuracy == 1
    assert (head.num_images, head.num_test_images) == {"train:1": (96, 24)}.get(splits, (90, 30))
    assert 0.5 <= head.chance <= 0.7  # two classes of 60 images each
    assert (head.network, head.label) == ("inception-fid", ("label",))
    shown = capsys.readouterr().out
    assert f"stripes: fitting 2 classes to {head.num_images} images" in shown
    assert "test accuracy 1.000" in shown
    assert "90/90" in shown or "120/120" in shown  # the progress of InceptionV3
    np.testing.assert_array_equal(find_head("stripes").weights, head.weights)
    how = {"inception_weights": tmp_path / "my.pkl", "inception_dtype": "bfloat16"}
    assert heads.run("stripes", data_dir=tmp_path / "data", test_images=7, **how).num_test_images == 7
    assert blocks_for_inception == [("fid", None, "float32"), ("fid", tmp_path / "my.pkl", "bfloat16")]


def test_the_classes_of_cartoon_faces_are_of_three_attributes_if_none_are_asked_for(
    monkeypatch, tmp_path, digits, blocks_for_inception
):
    male, open_mouth, brown_hair = np.unravel_index(np.arange(60) % 8, (2, 2, 2))
    features = {
        "image": digits[:60],
        "attributes/Male": male == 1,
        "attributes/Mouth_Open": open_mouth == 1,
        "attributes/Black_Hair": np.zeros(60, bool),
        "attributes/Brown_Hair": brown_hair == 1,
    }
    monkeypatch.setattr(data, "load", lambda name, split, feature="image", limit=None, **how: features[feature][:limit])
    head = heads.run("cartoon_faces", out=tmp_path / "faces.head.npz")
    assert head.label == heads.LABELS["cartoon_faces"]
    assert (head.classes[0], len(head.classes)) == ("not Male, not Mouth_Open, not (Black_Hair or Brown_Hair)", 8)
    assert head.classes[-1] == "Male, Mouth_Open, Black_Hair or Brown_Hair"
    head = heads.run("cartoon_faces", label="attributes/Male", out=tmp_path / "faces.head.npz")
    assert head.classes == ("not Male", "Male")


def test_classes_are_combinations_of_features(striped, tmp_path, blocks_for_inception):
    build.run(**striped, name="stripes", data_dir=tmp_path / "data")
    how = {"data_dir": tmp_path / "data", "out": tmp_path / "my.head.npz"}
    head = heads.run("stripes", label="attributes/Vertical,attributes/Tinted", **how)
    assert head.classes == (
        "not Vertical, not Tinted",
        "not Vertical, Tinted",
        "Vertical, not Tinted",
        "Vertical, Tinted",
    )
    assert head.accuracy == 1
    assert len(head.l2) == 2
    few = heads.run("stripes", label="attributes/Vertical,attributes/Tinted", images=20, **how)
    assert (few.classes, few.num_images) == (head.classes, 16)  # five images of each class are enough
    assert heads.run("stripes", label="group", **how).classes == ("horizontal", "vertical")
    head = heads.run("stripes", label="attributes/Vertical|attributes/Tinted", **how)
    assert head.classes == ("not (Vertical or Tinted)", "Vertical or Tinted")
    for label, message in (
        ("attributes/seed", "120 images of stripes have 120 classes; a head needs two or more, and 5 images of each"),
        ("image", "must be a whole number, a boolean or a text"),
        ("label|attributes/Tinted", "joins booleans"),
        ("attributes/Absent", "has no image, number or text 'attributes/Absent'"),
    ):
        with pytest.raises(InputError, match=message):
            heads.run("stripes", label=label, **how)
    with pytest.raises(InputError, match="^out=.*my.npz: must end in .head.npz"):
        heads.run("stripes", data_dir=tmp_path / "data", out=tmp_path / "my.npz")


def test_values_are_whole_numbers_booleans_or_texts_of_the_split(monkeypatch):
    features = {
        "a": np.array([True, False, False]),
        "b": np.array([False, True, False]),
        "number": np.array([7, 8, 9]),
        "share": np.array([0.5, 0.25, 0.25]),
    }
    splits = {"train": {name: values[::-1] for name, values in features.items()}, "test": features}
    monkeypatch.setattr(data, "load", lambda name, split="train", *, feature: splits[split][feature])
    assert heads.read_values("some", "test", ("a|b", "number")) == [(True, 7), (True, 8), (False, 9)]
    assert heads.read_values("some", "train", ("a|b",)) == [(False,), (True,), (True,)]
    for wrong in ("share", "a|number"):
        with pytest.raises(InputError, match=r"must be a whole number, a boolean or a text; A\|B joins booleans"):
            heads.read_values("some", "test", ("number", wrong))


def test_a_class_is_named_by_its_values():
    assert heads.class_name(("label", "smiling"), (7, True)) == "7, smiling"
    assert heads.class_name(("attributes/Young", "eyes/Left|eyes/Right"), (False, True)) == "not Young, Left or Right"
    assert heads.class_name(("text", "text"), ("bœuf".encode(), b"b\xffuf")) == "bœuf, b\ufffduf"


def test_extractors_take_the_head_that_is_asked_for(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr("hw5.metrics.evaluate.Inception", lambda *a, head=None, **k: made.append(head) or Blocks(head))
    make_head(np.zeros((2048, 3)), dataset="mine").save(tmp_path / "mine.head.npz")
    extractors_for("cartoon_faces")
    extractors_for("cartoon_faces", head=tmp_path / "mine.head.npz")
    assert [head.dataset for head in made if head] == ["cartoon_faces", "mine"]
