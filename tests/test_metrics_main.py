"""The program `python -m hw5.metrics`: two sides, a table or JSON, one line on a mistake."""

import ctypes
import errno
import itertools
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from processes import python_m

from hw5 import metrics
from hw5.errors import InputError
from hw5.metrics import __main__ as main
from hw5.metrics.__main__ import OF_FAKES_ALONE, run
from hw5.metrics.evaluate import METRICS
from hw5.metrics.extractor import Extractor
from hw5.metrics.mnist_classifier import MnistClassifier
from hw5.metrics.statistics import Statistics


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def classifier():
    return MnistClassifier()


@pytest.fixture(autouse=True)
def one_classifier(classifier, monkeypatch):
    """One network for all calls of `run` in this process; to build it takes longer than its features."""
    monkeypatch.setattr(main, "MnistClassifier", lambda: classifier)


@pytest.fixture
def sides(digits, tmp_path):
    """A folder of PNGs, a zip file of them, and arrays, all of the same 120 digits."""
    folder = tmp_path / "png"
    folder.mkdir()
    for number, image in enumerate(digits[:120]):
        Image.fromarray(image[..., 0]).save(folder / f"{number:03}.png")
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    np.save(tmp_path / "bytes.npy", digits[:120])
    np.save(tmp_path / "grey.npy", digits[:120, ..., 0])
    np.save(tmp_path / "floats.npy", np.float32(digits[:120]) / 255)
    np.savez(tmp_path / "bytes.npz", digits[:120])
    (tmp_path / "array.npz").write_bytes((tmp_path / "bytes.npy").read_bytes())
    (tmp_path / "archive.npy").write_bytes((tmp_path / "bytes.npz").read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", ["png", "digits.zip", "bytes.npy", "grey.npy", "floats.npy", "bytes.npz", "mnist",
                                  "array.npz", "archive.npy"])  # fmt: skip
def test_all_kinds_of_sides_give_the_same(sides, name):
    fake = name if name == "mnist" else str(sides / name)
    expected = run("mnist:test", str(sides / "bytes.npy"), weights="mnist", samples=120)
    results = run("mnist:test", fake, weights="mnist", samples=120)
    assert results["num_real_images"] == results["num_samples"] == 120
    assert results["fid"] == pytest.approx(expected["fid"], rel=1e-6)


def test_identical_sides(sides):
    folder = str(sides / "png")
    results = run(folder, folder, metric=tuple(METRICS), weights="mnist")
    assert results["fid"] == pytest.approx(0, abs=1e-6)
    assert results["precision"] == results["recall"] == 1
    assert results["wasserstein"] == pytest.approx(0, abs=1e-4)
    assert 5 < results["is"] < 10
    assert results["class_proportions"].sum() == pytest.approx(1)


def test_saved_statistics_replace_images(sides):
    real, fake, saved = "mnist:test", str(sides / "png"), str(sides / "real.npz")
    run(real, weights="mnist", samples=150, save_stats=saved)
    expected = run(real, fake, weights="mnist", samples=150)
    assert run(saved, fake, weights="mnist")["fid"] == pytest.approx(expected["fid"], rel=1e-9)
    assert run(fake, saved, weights="mnist")["fid"] == pytest.approx(expected["fid"], rel=1e-9)
    assert run(saved, fake, weights="mnist").keys() == expected.keys() - {"real_vs_real_fid", "real_vs_real_samples"}
    with pytest.raises(InputError, match="without features"):
        run(saved, fake, weights="mnist", metric="kid")


def test_images_of_several_sizes_are_resized_with_a_note(sides, capsys):
    Image.new("L", (40, 30)).save(sides / "png" / "other.png")
    run("mnist", str(sides / "png"), weights="mnist", samples=121)
    assert "differ in size" in capsys.readouterr().err


def damaged(folder, digits):
    """Write damaged sides; return the name of each → a part of the error message."""
    for name in ("empty", "one", "cut"):
        (folder / name).mkdir()
    Image.fromarray(digits[0, ..., 0]).save(folder / "one" / "a.png")
    Image.fromarray(digits[0, ..., 0]).save(folder / "cut" / "a.png")
    whole = (folder / "cut" / "a.png").read_bytes()
    (folder / "cut" / "b.png").write_bytes(whole[: len(whole) // 2])
    floats = np.float32(digits[:5]) / 255
    floats[1, 3, 3] = np.nan
    np.save(folder / "nan.npy", floats)
    np.save(folder / "range.npy", np.float32(digits[:5]) / 127.5 - 1)
    np.save(folder / "flat.npy", digits[:5].reshape(5, 784)[:, :700])
    np.save(folder / "ints.npy", digits[:5].astype(np.int64))
    np.savez(folder / "two.npz", a=digits[:5], b=digits[:5])
    (folder / "cut.npy").write_bytes((folder / "flat.npy").read_bytes()[:300])
    (folder / "text.txt").write_text("hello")
    np.savez_compressed(folder / "bits.npz", digits[:20])
    whole = bytearray((folder / "bits.npz").read_bytes())
    whole[200:900:50] = bytes(14)
    (folder / "bits.npz").write_bytes(whole)
    np.savez(folder / "count.npz", mean=np.zeros(64), covariance=np.eye(64), count=np.arange(2))
    return {
        "bits.npz": "bits.npz: ",
        "count.npz": "count.npz: holds no readable statistics",
        "empty": "holds no images",
        "one": "holds one image",
        "cut": "b.png: cannot be read as an image",
        "nan.npy": "hold NaN",
        "range.npy": "from -1 to 1, outside",
        "flat.npy": r"must be \[n, h, w, 1 or 3\]",
        "ints.npy": "int64",
        "two.npz": "2 of its arrays can be images",
        "cut.npy": "cut.npy: ",
        "text.txt": "text.txt: is not a folder",
        "none": "no such file",
        "none.npy": "none.npy: no such file",
        "none/": "no such file",
    }


def test_mistakes_are_named(tmp_path, digits):
    for name, message in damaged(tmp_path, digits).items():
        with pytest.raises(InputError, match=message) as error:
            run("mnist", f"{tmp_path}/{name}", weights="mnist", samples=20)
        assert "\n" not in str(error.value)
        assert name.rstrip("/") in str(error.value)
        assert str(error.value).count(str(tmp_path)) == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (dict(real="mnist"), "name two sides"),
    (dict(real="minst", fake="mnist"), "minst"),
    (dict(real="mnist:tset", fake="mnist"), "no split 'tset'"),
    (dict(real="mnist", fake="mnist", metric=["fdi"]), "^metric=fdi: must be one of fid,"),
    (dict(real="mnist", fake="mnist", samples=1), "^samples=1: must be at least 2"),
    (dict(real="mnist", fake="mnist", weights="alexnet"), "^weights=alexnet: must be one of fid, imagenet, mnist"),
])  # fmt: skip
def test_mistakes_in_the_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        run(**{"weights": "mnist", "samples": 20, **arguments})


def program(*arguments):
    return python_m("hw5.metrics", *arguments)


def test_the_program_prints_json_alone_and_progress_elsewhere(sides):
    done = program("mnist:test", f"{sides}/png", "--weights=mnist", "--metric=fid,precision_recall", "--json",
                   "--samples=120")  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    expected = {"real", "fake", "num_real_images", "num_fake_images", "extractor", "fid", "precision", "recall"}
    assert expected <= set(results)
    assert done.stderr.count("warning: FID from only 120 images") == 1


def test_the_program_prints_a_table_and_ends_with_one_line_on_a_mistake(sides):
    done = program("mnist:test", f"{sides}/png", "--weights=mnist", "--samples=120")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "real",
        "num_real_images",
        "fake",
        "num_fake_images",
        "extractor",
        "seed",
        "fid",
        "real_vs_real_fid",
    ]
    for arguments, message in (
        (["mnist:test", f"{sides}/nowhere", "--weights=mnist"], "nowhere: no such file or folder"),
        (["mnist", "mnist", "--metric=fdi"], "--metric=fdi: must be one of fid,"),
        (["mnist"], "REAL and --save_stats=FILE"),
        (["mnist", "mnist", "--inception_weights=none.pt"], "--inception_weights=none.pt: no such file"),
    ):
        done = program(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert message in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


# Images of a side, of another one, metrics → those that cannot be computed, and a part of the reason.
FEW = [
    (50, 60, "fid,kid,precision_recall,is", {}),
    (2, 2, "fid,kid", {}),
    (3, 60, "fid,fid_infinity,precision_recall,wasserstein,sliced_wasserstein,mmd", {
        "fid_infinity": "at least 4 images on a side, not 3",
        "precision_recall": "at least 4 images on a side, not 3",
        "wasserstein": "equally many images on both sides, at most 5,000, not 3 and 60",
    }),
    (60, 3, "is, fid, mode_score", {"is": "at least 20 images on a side, not 3"}),
    (60, 4, ("precision_recall", "fid_infinity", "class_proportions"), {}),
]  # fmt: skip


@pytest.mark.parametrize(("num_real", "num_fake", "metric", "reasons"), FEW)
def test_a_metric_that_cannot_be_computed_does_not_end_the_others(
    digits, tmp_path, num_real, num_fake, metric, reasons, capsys
):
    np.save(tmp_path / "real.npy", digits[:num_real])
    np.save(tmp_path / "fake.npy", digits[100 : 100 + num_fake])
    results = run(f"{tmp_path}/real.npy", f"{tmp_path}/fake.npy", metric=metric, weights="mnist", json=True)
    captured = capsys.readouterr()
    printed = json.loads(captured.out)
    assert printed.get("missing", {}).keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in printed["missing"][name]
        assert captured.err.count(f"warning: no {name}: ") == 1
        for key in {"precision_recall": ("precision", "recall")}.get(name, (name,)):
            assert printed[key] is results[key] is None
            assert key not in printed["num_images"]
    names = metric if isinstance(metric, tuple) else metric.replace(" ", "").split(",")
    keys = [{"precision_recall": "precision"}.get(name, name) for name in names if name not in reasons]
    assert all(results[key] is not None for key in keys)
    assert all(printed["num_images"][key] == [num_real, num_fake][key in OF_FAKES_ALONE :] for key in keys)


def test_the_command_fails_if_nothing_can_be_computed(digits, tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", digits[:3])
    monkeypatch.setattr(MnistClassifier, "activations", None)  # it is known before the features
    with pytest.raises(InputError, match=r"^metric=is: needs at least 20 .*; metric=fid_infinity: needs at least 4 "):
        run(f"{tmp_path}/a.npy", f"{tmp_path}/a.npy", metric="is,fid_infinity", weights="mnist")


def test_every_number_has_its_sample_sizes(digits, tmp_path, capsys):
    np.save(tmp_path / "real.npy", digits[:51])
    np.save(tmp_path / "fake.npy", digits[100:140])
    sides = f"{tmp_path}/real.npy", f"{tmp_path}/fake.npy"
    results = run(*sides, metric=tuple(METRICS), weights="mnist")
    assert (results["num_real_images"], results["num_fake_images"]) == (51, 40)
    assert results["num_images"]["fid"] == results["num_images"]["kid"] == results["num_images"]["recall"] == [51, 40]
    assert results["num_images"]["real_vs_real_fid"] == [26, 25]
    assert results["num_images"]["is"] == results["num_images"]["confidence"] == [40]
    assert results["kid_subset_size"] == 40
    numbers = {name for name, value in results.items() if isinstance(value, float | np.ndarray)}
    assert numbers <= results["num_images"].keys()
    assert results["num_images"]["real_vs_real_kid"] == [26, 25]
    table = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert table["fid"].endswith(" of 51 and 40 images")
    assert table["real_vs_real_fid"].endswith(" of 26 and 25 images")
    assert table["is_std"].endswith(" of 40 images")
    assert "not computed: needs equally many images" in table["wasserstein"]
    assert table.keys() == results.keys() - {"num_images", "missing", "num_samples", "real_vs_real_samples"}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float32(np.nan)])
def test_json_is_valid_whatever_a_metric_returns(sides, monkeypatch, capfd, value):
    def native(inputs):
        ctypes.CDLL(None).printf(b" ** On entry to DLASCL parameter number  4 had an illegal value\n")
        os.write(1, b"written by a library\n")
        print("printed by a library")
        return {"mmd": value, "mmd_error": 1.0}

    monkeypatch.setitem(METRICS, "mmd", native)
    folder = str(sides / "png")
    run(folder, folder, metric="mmd, class_proportions", weights="mnist", json=True)
    captured = capfd.readouterr()  # also what is written past Python
    results = json.loads(captured.out, parse_constant=pytest.fail)
    assert results["mmd"] is None
    assert results["missing"] == {"mmd": "mmd came out as NaN or infinity"}
    assert sum(results["class_proportions"]) == pytest.approx(1)
    for text in ("DLASCL", "written by", "printed by"):
        assert text in captured.err


@pytest.mark.parametrize("value", [0, 128])
def test_equal_images_have_a_distance(tmp_path, digits, value):
    np.save(tmp_path / "same.npy", np.full((30, 28, 28, 1), value, np.uint8))
    np.save(tmp_path / "digits.npy", digits[:30])
    same, others = f"{tmp_path}/same.npy", f"{tmp_path}/digits.npy"
    assert run(same, same, weights="mnist")["fid"] == pytest.approx(0, abs=1e-9)
    results = [run(*pair, weights="mnist", metric="fid,kid,mmd") for pair in ((same, others), (others, same))]
    assert results[0]["fid"] == pytest.approx(results[1]["fid"], rel=1e-9)
    gaussian = Statistics.of(digits[:30], MnistClassifier()).gaussian
    (feature,) = MnistClassifier().features(np.full((1, 28, 28, 1), value, np.uint8))
    expected = np.sum((gaussian.mean - feature) ** 2) + np.trace(gaussian.covariance)
    assert results[0]["fid"] == pytest.approx(expected, rel=1e-5)
    done = program(same, same, "--weights=mnist", "--metric=fid,mmd,precision_recall", "--json")
    assert json.loads(done.stdout, parse_constant=pytest.fail)["fid"] == pytest.approx(0, abs=1e-9)


def test_broken_features_are_named(sides, monkeypatch):
    whole = MnistClassifier.forward
    monkeypatch.setattr(MnistClassifier, "forward", lambda self, inputs: (whole(self, inputs)[0] * np.nan, None))
    for metric in ("fid", "kid"):
        with pytest.raises(InputError, match="png: 120 of 120 rows of features are not finite") as error:
            run(f"{sides}/png", f"{sides}/png", metric=metric, weights="mnist")
        assert "\n" not in str(error.value)


def statistics_file(path, dimensions=64, **changes):
    arrays = dict(mean=np.zeros(dimensions), covariance=np.eye(dimensions), count=9, extractor="mnist-classifier")
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    return str(path)


def test_statistics_of_another_network_are_refused(sides, monkeypatch):
    monkeypatch.setattr(MnistClassifier, "activations", None)  # before the features
    other = statistics_file(sides / "other.npz", extractor="inception-fid_float32")
    unknown = statistics_file(sides / "unknown.npz", extractor=None)
    foreign = sides / "foreign.npz"
    np.savez(foreign, mu=np.zeros(64), sigma=np.eye(64))
    for pair in itertools.permutations([other, f"{sides}/png"]):
        with pytest.raises(InputError, match="by inception-fid_float32 and by mnist-classifier cannot be compared"):
            run(*pair, weights="mnist")
    with pytest.raises(InputError, match="by inception-fid_float32 and by mnist-classifier cannot be compared"):
        run(other, other, weights="mnist")
    for path in (unknown, str(foreign)):
        with pytest.raises(InputError, match="does not say by which network it is"):
            run(path, f"{sides}/png", weights="mnist")


def test_statistics_of_other_dimensions_are_refused_before_the_features(sides):
    small = statistics_file(sides / "small.npz", 63)
    cache = sides / "cache"
    for pair in ((small, f"{sides}/png"), (small, statistics_file(sides / "large.npz"))):
        with pytest.raises(InputError, match="features of different dimensions cannot be compared: .*small.npz has 63"):
            run(*pair, weights="mnist")
    assert not cache.exists()


def test_statistics_of_another_layer_of_inception_are_refused(sides):
    for name, mean in (("a", 0.0), ("b", 1.0)):  # as pytorch-fid --dims 64 writes them
        np.savez(sides / f"{name}64.npz", mu=np.full(64, mean), sigma=np.eye(64))
    with pytest.raises(InputError, match=r"a64.npz: statistics of 64 features are of another layer .* has 2,048"):
        run(f"{sides}/a64.npz", f"{sides}/b64.npz")


def test_statistics_of_other_programs_are_taken_for_those_of_inception(sides, monkeypatch, capsys):
    monkeypatch.setattr(main, "Inception", lambda *_, **__: Coloured())
    monkeypatch.setattr(main, "NUM_FEATURES", 3)
    np.savez(sides / "foreign.npz", mu=np.zeros(3), sigma=np.eye(3))
    np.savez(sides / "another.npz", mu=np.ones(3), sigma=np.eye(3))
    results = run(f"{sides}/foreign.npz", f"{sides}/another.npz")
    assert results["fid"] == pytest.approx(3)
    assert results["num_images"]["fid"] == [None, None]
    assert capsys.readouterr().err.count("does not say by which network it is; make sure that it is inception") == 2
    with pytest.raises(InputError, match="metric=kid: needs features; statistics without features are enough for fid"):
        run(f"{sides}/foreign.npz", f"{sides}/bytes.npy", metric="kid")
    assert run(f"{sides}/foreign.npz", f"{sides}/bytes.npy", metric="kid, fid")["fid"] > 0


class Coloured(Extractor):
    """Three numbers of an image, in the place of InceptionV3."""

    key = "inception"
    name = "inception-fid_float32"
    channels = 3

    def preprocess(self, images):
        return np.float32(images)

    def forward(self, inputs):
        return inputs[:, 10:20].mean(axis=(1, 2)) * [1, 2, 3], None


def test_inception_gets_the_head_of_the_real_dataset_and_may_be_downloaded(sides, monkeypatch):
    asked = []
    monkeypatch.setattr(main, "Inception", lambda *args, **how: asked.append((args, how)) or Coloured())
    cases = ("mnist:test[:20]", "fid", 10), ("mnist:test[:20]", "imagenet", None), (f"{sides}/png", "fid", None)
    for real, weights, num_classes in cases:
        run(real, f"{sides}/bytes.npy", weights=weights)
        args, how = asked.pop()
        assert args == (weights, None, "float32")
        assert how["download"]
        assert (how["head"] and len(how["head"].classes)) == num_classes


def test_what_was_computed_is_kept(sides, monkeypatch):
    """A side whose features are computed is not computed again after the other side failed or was interrupted."""
    computed = []
    whole = MnistClassifier.activations

    def activations(self, images, **kwargs):
        computed.append(len(images))
        if len(images) == 100:
            raise KeyboardInterrupt
        return whole(self, images, **kwargs)

    monkeypatch.setattr(MnistClassifier, "activations", activations)
    with pytest.raises(KeyboardInterrupt):
        run(f"{sides}/png", "mnist:test[:100]", weights="mnist")
    monkeypatch.setattr(MnistClassifier, "activations", whole)
    computed.clear()
    run("mnist:train[:120]", "mnist:test[:100]", weights="mnist")  # the same images in another form
    assert not computed
    run("mnist:train[:120]", "mnist:test[:100]", weights="mnist", metric="kid")


def test_colours_that_the_network_does_not_take_are_refused_before_the_features(sides, monkeypatch):
    monkeypatch.setattr(MnistClassifier, "activations", None)
    np.save(sides / "rgb.npy", np.zeros((5, 9, 8, 3), np.uint8))
    for fake in ("emojione", str(sides / "rgb.npy")):
        with pytest.raises(InputError, match=f"^{fake}: mnist-classifier takes images of 1 channels, not 3"):
            run("mnist:test", fake, weights="mnist", samples=20)


def test_a_damaged_file_is_found_before_the_features_of_the_other_side(sides, monkeypatch):
    (sides / "png" / "119.png").write_bytes(b"damaged")
    monkeypatch.setattr(MnistClassifier, "activations", None)
    with pytest.raises(InputError, match=r"119\.png: cannot be read"):
        run("mnist:test[:100]", f"{sides}/png", weights="mnist")


# A place for statistics → where they are written, or a part of the refusal.
PLACES = {
    "name": "name.npz",
    "name.npz": "name.npz",
    "name.v1": "name.v1.npz",
    "new/folder/name": "new/folder/name.npz",
    "NAME.NPZ": "NAME.NPZ",
    "folder": "save_stats=.*folder: is a folder; name a file",
    "suffixed": "save_stats=.*suffixed.npz: is no file",
    "text/name.npz": "save_stats=.*text: is, or lies under, a file",
    "/proc/self/name.npz": "save_stats=/proc/self: ",
    "/proc/new/name.npz": "save_stats=/proc/new: ",
    "pipe.npz": "save_stats=.*pipe.npz: is no file",
    "bytes.npz": "save_stats=.*bytes.npz: is one of the sides",
    "bytes": "save_stats=.*bytes.npz: is one of the sides",
    "x" * 300: r"save_stats=.*xxx: cannot be the path of a file or folder \(File name too long\)",
    "x" * 253: r"save_stats=.*xxx\.npz: cannot be written to \(File name too long\)",
}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[:20])
def test_the_place_of_saved_statistics_is_checked_first(sides, monkeypatch, place, capsys):
    for folder in ("folder", "suffixed.npz"):
        (sides / folder).mkdir()
    (sides / "text").touch()
    os.mkfifo(sides / "pipe.npz")
    before = (sides / "bytes.npz").read_bytes()
    expected = PLACES[place]
    if expected.startswith("save_stats"):
        monkeypatch.setattr(MnistClassifier, "activations", None)
        with pytest.raises(InputError, match=f"^{expected}"):
            run(f"{sides}/bytes.npz", weights="mnist", save_stats=sides / place)
        assert (sides / "bytes.npz").read_bytes() == before
        return
    run(f"{sides}/bytes.npz", weights="mnist", save_stats=sides / place)
    assert Statistics.load(sides / expected).gaussian.count == 120
    assert Statistics.load(sides / expected).features is None
    assert (f"note: the statistics go to {sides / expected}" in capsys.readouterr().err) == (place != expected)


def test_a_full_disk_does_not_cost_the_metrics(sides, monkeypatch, capsys):
    def savez(file, **arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    folder = str(sides / "png")
    with pytest.raises(OSError, match="No space left on device") as error:
        run(folder, folder, weights="mnist", save_stats=sides / "full.npz", json=True)
    assert error.value.filename == str(sides / "full.npz")
    assert json.loads(capsys.readouterr().out)["fid"] == pytest.approx(0, abs=1e-6)
    assert not (sides / "full.npz").exists()


@pytest.mark.parametrize("text", ["0", "0,1,2", "1,0", "1,1", "nan,1", "0,inf", "a,b", ""])
def test_ranges_that_are_none(text):
    with pytest.raises(InputError, match="^value_range="):
        run("mnist", "mnist", value_range=text, weights="mnist", samples=20)


def test_a_range_is_for_the_arrays_of_both_sides(sides, digits):
    np.save(sides / "signed.npy", np.float32(digits[:120] / 127.5 - 1).transpose(0, 3, 1, 2))
    expected = run("mnist:test", str(sides / "bytes.npy"), weights="mnist", samples=120)
    for real in ("mnist:test", "mnist:test[:120]"):
        results = run(real, str(sides / "signed.npy"), weights="mnist", samples=120, value_range="-1,1")
        assert results["fid"] == pytest.approx(expected["fid"], rel=1e-9)


@pytest.mark.skipif(not sys.prefix.isascii(), reason="TensorFlow in such a folder does not load on an ASCII console")
def test_names_of_any_letters(digits, tmp_path):
    """A console of ASCII letters, no home, a cache whose name has other letters, and line breaks in names."""
    side = tmp_path / "zwei\nZeilen β.npy"
    np.save(side, digits[:30])
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "LANG", "PYTHONUTF8")}
    environment |= dict(LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    environment |= dict(XDG_CACHE_HOME=str(tmp_path / "größe"), PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, "-m", "hw5.metrics", str(side), "--weights=mnist"]
    done = subprocess.run([*command, str(side), "--json"], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fid"] == pytest.approx(0, abs=1e-6)
    assert len(list((tmp_path / "größe" / "hw5").iterdir())) == 1


def test_line_breaks_in_names_do_not_break_lines(digits, tmp_path, capsys):
    side, missing = tmp_path / "zwei\nZeilen.npy", tmp_path / "kein\nbild"
    np.save(side, digits[:30])
    run(str(side), str(side), weights="mnist")
    assert "zwei\\nZeilen.npy" in capsys.readouterr().out.splitlines()[0]
    missing.mkdir()
    (missing / "a\nb.png").write_bytes(b"damaged")
    for name in (str(missing), f"{missing}/nothing", f"{missing}.npy"):
        with pytest.raises(InputError, match=r"kein\\nbild") as error:
            run(str(side), name, weights="mnist")
        assert "\n" not in str(error.value)


def test_pure_functions_do_not_import_tensorflow():
    code = "import sys, hw5.metrics as m; m.frechet_distance, m.class_proportions, m.bits_per_dimension, m.pca"
    code += "; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert metrics.MnistClassifier
    assert {"tensorflow", "keras"} <= set(sys.modules)  # so they are called


def test_every_name_of_the_package_is_there():
    for name in metrics.__all__:
        assert callable(getattr(metrics, name)) or name == "pca"
    assert set(metrics.__all__) <= set(dir(metrics))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        metrics.nothing  # noqa: B018
