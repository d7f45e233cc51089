"""Datasets from files of the user: arrays, IDX files, folders of images, in the forms that people have."""

import gzip
import os
import shutil
import zipfile

import numpy as np
import pytest
from images import idx
from PIL import Image

from hw5 import data
from hw5.data.arrays import numbered, to_labels, to_nhwc
from hw5.data.image_files import note
from hw5.data.layout import class_folders, parse_name, split_folders
from hw5.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 28, 28), np.uint8)
LABELS = np.arange(50, dtype=np.uint8) // 5  # sorted, as they often are
TEST_IMAGES, TEST_LABELS = IMAGES[:12, ::-1].copy(), LABELS[:12][::-1].copy()
MNIST = {
    "train-images-idx3-ubyte": IMAGES,
    "train-labels-idx1-ubyte": LABELS,
    "t10k-images-idx3-ubyte": TEST_IMAGES,
    "t10k-labels-idx1-ubyte": TEST_LABELS,
}


def check_mnist(path):
    for split, images, labels in (("train", IMAGES, LABELS), ("test", TEST_IMAGES, TEST_LABELS)):
        np.testing.assert_array_equal(data.load(path, split), images[..., None])
        np.testing.assert_array_equal(data.load(path, split, feature="label"), labels)
    assert data.has_feature(path, "label")
    assert not data.has_feature(path, "attributes")


def check_divided(path, images, labels=None):
    """Check that the splits are disjoint, complete, the same each time, and that labels belong to their images."""
    splits = {split: data.load(path, split) for split in ("train", "validation", "test")}
    count = len(images)
    assert [len(part) for part in splits.values()] == [count - 2 * (count // 10), count // 10, count // 10]
    together = np.concatenate(list(splits.values()))
    number = {image.tobytes(): index for index, image in enumerate(images)}
    order = [number[image.tobytes()] for image in together]
    assert sorted(order) == list(range(count))
    assert order != list(range(count))
    np.testing.assert_array_equal(data.load(path, "all"), together)
    np.testing.assert_array_equal(data.load(path, "train[:50%]", limit=3), together[:3])
    np.testing.assert_array_equal(data.load(path, "validation"), splits["validation"])
    training, validation = data.train_validation(path)
    np.testing.assert_array_equal(np.concatenate([training, validation]), splits["train"])
    if labels is not None:
        found = [data.load(path, split, feature="label") for split in splits]
        np.testing.assert_array_equal(np.concatenate(found), np.asarray(labels)[order])
        assert found[0].dtype == np.int64


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name,
        lambda name: f"{name}.gz",
        lambda name: name.replace("-idx", ".idx"),  # Kaggle's
        lambda name: f"{name}/{name}",  # Kaggle's, in folders
        lambda name: f"MNIST/raw/{name}",  # torchvision's
        lambda name: f"emnist-digits-{name.replace('t10k', 'test')}.gz",
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_of_all_names(tmp_path, rename, zipped):
    folder = tmp_path / "files"
    for name, array in MNIST.items():
        path = folder / rename(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(idx(array)) if path.suffix == ".gz" else idx(array))
    check_mnist(shutil.make_archive(str(folder), "zip", folder) if zipped else folder)


def test_one_idx_file_takes_those_that_belong_to_it(tmp_path, capsys):
    for name, array in MNIST.items():
        (tmp_path / name).write_bytes(idx(array))
    (tmp_path / "notes.txt").write_text("text")
    check_mnist(tmp_path / "train-images-idx3-ubyte")
    assert "takes train-images-idx3-ubyte, t10k-images-idx3-ubyte" in capsys.readouterr().err
    with pytest.raises(InputError, match="train-labels-idx1-ubyte: holds labels"):
        data.load(tmp_path / "train-labels-idx1-ubyte")
    shutil.copy(tmp_path / "train-images-idx3-ubyte", tmp_path / "digits.bin")
    check_divided(tmp_path / "digits.bin", IMAGES[..., None])


def test_several_sets_in_one_folder_need_a_name(tmp_path):
    folder = tmp_path / "gzip"
    folder.mkdir()
    for name, array in MNIST.items():
        (folder / f"emnist-letters-{name}").write_bytes(idx(array))
        (folder / f"emnist-digits-{name}").write_bytes(idx(array // 2))
    with pytest.raises(InputError, match="holds several sets: emnist-digits, emnist-letters; name one as .*/SET"):
        data.load(folder)
    check_mnist(folder / "emnist-letters")
    check_mnist(folder / "emnist-letters-train-images-idx3-ubyte")
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", folder)
    check_mnist(f"{archive}/emnist-letters")
    shutil.copytree(folder, tmp_path / "data" / "EMNIST" / "raw")  # torchvision's
    check_mnist(tmp_path / "data" / "emnist-letters")


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_mistyped_path_does_not_search_a_whole_disk(tmp_path, monkeypatch, is_readable):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    searched, scandir = [], os.scandir

    def search(folder):
        searched.append(folder)
        if folder == tmp_path / "a" / "b" and not is_readable:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr("hw5.data.image_files.os.scandir", search)
    with pytest.raises(InputError, match=f"^{tmp_path}/faecs: no such file or folder"):
        data.load(tmp_path / "faecs")
    assert searched == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_two_different_files_for_the_same_are_refused(tmp_path):
    for folder, images in (("a", IMAGES), ("b", IMAGES)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train-images-idx3-ubyte").write_bytes(idx(images))
    check_divided(tmp_path, IMAGES[..., None])
    (tmp_path / "b" / "train-images-idx3-ubyte").write_bytes(idx(255 - IMAGES))
    with pytest.raises(InputError, match=r"a/train-images-idx3-ubyte and .*b/.*: both could be the images"):
        data.load(tmp_path)


RGB = RNG.integers(0, 256, (30, 9, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (IMAGES, IMAGES[..., None]),
        (IMAGES.reshape(50, 784), IMAGES[..., None]),
        (IMAGES[..., None], IMAGES[..., None]),
        (IMAGES[:, None], IMAGES[..., None]),
        (RGB, RGB),
        (np.moveaxis(RGB, -1, 1), RGB),
        (RGB / np.float32(255), RGB),
        (RGB / 255, RGB),
        (RGB / 255 * 1.0005 - 1e-6, RGB),
        (RGB // 16, RGB // 16),
        (RGB.astype(np.float32), RGB),
        (RGB.astype(np.int64), RGB),
        (RGB.astype(np.uint16), RGB),
        (RGB.astype(np.uint16) * 257, RGB),
        (IMAGES > 100, (IMAGES > 100)[..., None] * np.uint8(255)),
        ((IMAGES > 100).astype(np.uint8), (IMAGES > 100)[..., None] * np.uint8(255)),
        ((IMAGES > 100).astype(np.float32), (IMAGES > 100)[..., None] * np.uint8(255)),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_of_all_layouts_and_types(tmp_path, array, expected, suffix, capsys):
    path = tmp_path / f"some_images{suffix}"
    (np.save if suffix == ".npy" else np.savez_compressed)(path, array)
    note.cache_clear()  # it is printed once
    check_divided(path, expected)
    is_said = f"note: {path}: each row is read as a grey image of 28×28" in capsys.readouterr().err
    assert is_said == (array.ndim == 2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (RGB / 127.5 - 1, "values from -1 to 1; black must be 0: scale them to 0…1 or 0…255"),
        (RGB / 127.5, "values from 0 to 2, which are clearly neither of 0…1 or 0…255"),
        (RGB.astype(np.int16) - 9, "values from -9 to 246; black must be 0"),
        (RGB // 16 + RGB // 255 * 1.0, "values from 0 to 16, which are clearly neither"),
        (RGB.astype(np.int64) // 16, "values from 0 to 15, which are clearly neither"),
        (RGB.astype(np.uint16) * 4, "which are clearly neither of 0…255 or 0…65535"),
        (np.full((9, 8, 8), np.nan), "NaN or infinity"),
        (RGB * 1j, "complex128 instead of numbers"),
        (RGB[0], r"an array \[9, 8, 3\] is not clearly images"),
        (RGB[:3, ..., 0], r"an array \[3, 9, 8\] is not clearly images"),
        (RGB.reshape(30, -1), r"an array \[30, 216\] is not clearly images"),
        (IMAGES[0, :25, :25], r"an array \[25, 25\] is not clearly images"),  # one of 25×25, or 25 of 5×5
        (np.zeros((9, 8, 8, 4), np.uint8), r"an array \[9, 8, 8, 4\] is not clearly images"),
        (np.zeros((9, 3, 8, 3), np.uint8), r"an array \[9, 3, 8, 3\] is not clearly images"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no pixels"),
        (np.array(["a"]), "not clearly images"),
        (np.array([None]), "cannot be read as an array"),
        (np.array(3), "not clearly images"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_are_not_clear_are_refused(tmp_path, array, message, suffix):
    path = tmp_path / f"array{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, array, allow_pickle=True)
    with pytest.raises(InputError, match=message) as caught:
        data.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_array_s_unusual_range_is_said(tmp_path, capsys):
    np.save(tmp_path / "bits.npy", (IMAGES > 100).astype(np.uint8))
    data.load(tmp_path / "bits.npy")
    assert "bits.npy: uint8 from 0 to 1; 1 is white" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("trainImages", "trainLabels", "testImages", "testLabels"),
        ("xtrain", "ytrain", "xtest", "ytest"),
    ],
)
@pytest.mark.parametrize("separate", [False, True])
def test_arrays_with_splits_and_labels(tmp_path, names, separate):
    arrays = dict(zip(names, MNIST.values(), strict=True))
    if separate:
        for name, array in arrays.items():
            np.save(tmp_path / f"mnist_{name}.npy", array.reshape(len(array), -1).squeeze())
        check_mnist(tmp_path)
        check_mnist(tmp_path / f"mnist_{names[0]}.npy")
    else:
        np.savez(tmp_path / "mnist.npz", unknown=np.arange(3), **arrays)
        check_mnist(tmp_path / "mnist.npz")


def test_images_and_labels_without_names(tmp_path):
    np.savez(tmp_path / "samples.npz", RGB, np.arange(30) % 7)  # as guided-diffusion writes them
    check_divided(tmp_path / "samples.npz", RGB, np.arange(30) % 7)
    one_hot = np.eye(7)[np.arange(30) % 7]
    np.savez(tmp_path / "one_hot.npz", images=RGB, labels=one_hot)
    check_divided(tmp_path / "one_hot.npz", RGB, np.arange(30) % 7)


def test_one_file_may_be_called_after_both_of_its_arrays(tmp_path):
    for name, images, labels in (("X_y", "X", "y"), ("images_and_labels", "images", "labels")):
        np.savez(tmp_path / f"{name}.npz", **{images: RGB, labels: np.arange(30) % 7})
        check_divided(tmp_path / f"{name}.npz", RGB, np.arange(30) % 7)
    np.savez(tmp_path / "labels.npz", np.arange(30) % 7)
    with pytest.raises(InputError, match="labels.npz: holds labels, but no images"):
        data.load(tmp_path / "labels.npz")


@pytest.mark.parametrize("kind", [str, bytes])
def test_labels_that_are_names(tmp_path, kind, capsys):
    names = ["dog", "cat", "emu"]
    labels, test_labels = np.array(names * 10), np.array(["emu", "dog"])
    if kind is bytes:
        labels, test_labels = np.char.encode(labels), np.char.encode(test_labels)
    np.savez(tmp_path / "a.npz", x_train=RGB, y_train=labels, x_test=RGB[:2], y_test=test_labels)
    assert data.load(tmp_path / "a.npz", "train", feature="label").tolist() == [1, 0, 2] * 10
    assert data.load(tmp_path / "a.npz", "test", feature="label").tolist() == [2, 1]
    assert "a.npz: the labels 0 to 2 are cat, dog, emu" in capsys.readouterr().err
    np.savez(tmp_path / "numbers.npz", images=RGB, labels=np.array(["10", "9", "2"] * 10))
    assert sorted(set(data.load(tmp_path / "numbers.npz", "all", feature="label"))) == [2, 9, 10]


def test_pickles_beside_images_are_left_out_and_said(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", images=RGB, about=np.array({"version": 1}, object))
    check_divided(tmp_path / "a.npz", RGB)
    assert "a.npz: skipped about.npy, pickles of Python objects" in capsys.readouterr().err


@pytest.mark.parametrize("zipped", [False, True])
def test_arrays_in_folders_of_splits(tmp_path, zipped):
    arrays = {"train/x": IMAGES, "train/labels": LABELS, "Test/x": TEST_IMAGES, "Test/labels": TEST_LABELS}
    for name, array in arrays.items():
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "a" / f"{name}.npy", array)
    check_mnist(shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a") if zipped else tmp_path / "a")


def test_what_lies_beside_arrays_is_counted(tmp_path, capsys):
    for name, array in MNIST.items():
        (tmp_path / name).write_bytes(idx(array))
    for name in (".hidden", "qmnist-labels-idx2-int", "preview.png", "more.npy"):
        (tmp_path / name).write_text("not taken")
    check_mnist(tmp_path)
    assert f"{tmp_path}: skipped 4 other files" in capsys.readouterr().err


def test_files_of_one_array_each_as_of_kmnist(tmp_path):
    names = ("train-imgs", "train-labels", "test-imgs", "test-labels")
    for name, array in zip(names, MNIST.values(), strict=True):
        np.savez_compressed(tmp_path / f"kmnist-{name}.npz", array)
    check_mnist(tmp_path)
    check_mnist(tmp_path / "kmnist-train-imgs.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (dict(mu=np.zeros(3), sigma=np.eye(3)), "statistics of features, not images"),
        (dict(a=RGB, b=RGB), r"holds a \[30, 9, 8, 3\], b .*; call the images 'images'"),
        (dict(images=RGB, labels=np.zeros(29)), r"labels \[29\] for 30 images"),
        (dict(images=RGB, labels=np.full(30, 0.5)), "labels must be whole numbers"),
        (dict(images=RGB, labels=np.full(30, np.inf)), "labels must be whole numbers"),
        (dict(images=RGB, labels=np.full(30, 2**63, np.uint64)), "labels must be whole numbers"),
        (dict(x_train=RGB, x_test=RGB[:, :5]), "the splits differ in shape or type: train uint8"),
        (dict(x_train=RGB, x_test=RGB / 255), "the splits differ in shape or type: train uint8"),
        (dict(labels=np.zeros(3), y=np.zeros(3)), "call the images 'images'"),
    ],
)
def test_archives_that_are_not_clear_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "arrays.npz", **arrays)
    with pytest.raises(InputError, match=message):
        data.load(tmp_path / "arrays.npz")


@pytest.mark.parametrize("name", ["array.npy", "arrays.npz", "train-images-idx3-ubyte", "images-idx3-ubyte.gz"])
def test_damaged_files_are_named(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, IMAGES)
    elif name.endswith(".npz"):
        np.savez(path, IMAGES)
    else:
        path.write_bytes(gzip.compress(idx(IMAGES)) if name.endswith(".gz") else idx(IMAGES))
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:3], b"", whole + b"more"):
        path.write_bytes(damaged)
        if damaged == whole + b"more" and name.endswith("npz"):
            continue  # a zip file may have something behind it
        with pytest.raises(InputError, match=name):
            data.load(path)


def test_an_array_s_header_that_promises_less_than_the_file_has_is_found(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    changed = (tmp_path / "a.npy").read_bytes().replace(b"(50, 28, 28)", b"(40, 28, 28)")
    (tmp_path / "a.npy").write_bytes(changed)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("a.npy", changed)
    for name in ("a.npy", "b.npz"):
        with pytest.raises(InputError, match="cannot be read as an array"):
            data.load(tmp_path / name)


def save_images(folder, names, mode="L", size=(6, 5)):
    """Save images whose colour is their number; return them as an array."""
    for value, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, value if mode == "L" else (value, 0, 9)).save(path)
    colours = [[value] if mode == "L" else [value, 0, 9] for value in range(len(names))]
    return np.broadcast_to(np.uint8(colours)[:, None, None], (len(names), *size[::-1], len(colours[0])))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_of_images(tmp_path, mode, zipped, capsys):
    images = save_images(tmp_path / "some", [f"{number:02}.png" for number in range(30)], mode)
    path = shutil.make_archive(str(tmp_path / "some"), "zip", tmp_path / "some") if zipped else tmp_path / "some"
    check_divided(path, images)
    assert "30 images, shuffled and divided: train 24, validation 3, test 3" in capsys.readouterr().err
    assert not data.has_feature(path, "label")
    with pytest.raises(InputError, match="no split 'dev'; it has train, validation, test"):
        data.load(path, "dev")
    with pytest.raises(InputError, match=r"test\[:4\] goes beyond the end; train has 24 images, .*, test has 3 images"):
        data.load(path, "test[:4]")
    with pytest.raises(InputError, match="no image, number or text 'label'; it has image"):
        data.load(path, feature="label")


def test_a_folder_per_class(tmp_path):
    names = [f"{folder}/{number:02}.png" for folder in ("0", "1", "2", "10") for number in range(10)]
    images = save_images(tmp_path, names)
    check_divided(tmp_path, images, np.repeat([0, 1, 2, 3], 10))
    assert set(data.load(tmp_path, "train", feature="label", limit=20)) == {0, 1, 2, 3}


def test_folders_of_splits_with_classes(tmp_path):
    for split, count in {"train": 8, "val": 4, "Test": 3}.items():
        names = [f"digits/{split}/{folder}/{number}.png" for folder in ("cat", "dog") for number in range(count)]
        save_images(tmp_path, names)
    for split, count in {"train": 8, "validation": 4, "test": 3}.items():
        assert data.load(tmp_path, split).shape == (2 * count, 5, 6, 1)
        assert data.load(tmp_path, split, feature="label").tolist() == [0] * count + [1] * count


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("train_images", "test_images"), ("seg_train/seg_train", "seg_test/seg_test")]
    + [("train2017", "val2017"), ("Train", "Testing")],
)
def test_folders_of_splits_of_other_names(tmp_path, train, test, capsys):
    save_images(tmp_path, [f"{train}/{folder}/{number}.png" for folder in ("cat", "dog") for number in range(4)])
    save_images(tmp_path, [f"{test}/{folder}/{number}.png" for folder in ("cat", "dog") for number in range(2)])
    split = "validation" if test.startswith("val") else "test"
    assert data.splits(tmp_path) == ["train", split]
    assert data.load(tmp_path, "train")[:, 0, 0, 0].tolist() == list(range(8))
    assert data.load(tmp_path, "train", feature="label").tolist() == [0] * 4 + [1] * 4
    assert data.load(tmp_path, split, feature="label").tolist() == [0, 0, 1, 1]
    assert "the labels 0 to 1 are cat, dog" in capsys.readouterr().err


def test_images_beside_the_folders_of_splits_are_left_out_and_said(tmp_path, capsys):
    save_images(
        tmp_path, ["train/0/a.png", "train/1/b.png", "test/1/c.png", "test/0/d.png", "unlabeled/e.png", "f.png"]
    )
    assert data.load(tmp_path, "train")[:, 0, 0, 0].tolist() == [0, 1]
    assert data.load(tmp_path, "test", feature="label").tolist() == [0, 1]
    assert f"{tmp_path}: skipped 2 images outside of the folders test, train" in capsys.readouterr().err


def test_images_of_several_sizes_are_cropped_to_one(tmp_path, capsys):
    save_images(tmp_path, ["a.png", "b.png", "c.png", "d.png"])
    save_images(tmp_path, ["e.png"], size=(20, 90))
    assert data.load(tmp_path, "all").shape == (5, 64, 64, 1)
    assert "images of 2 sizes, scaled and cropped to 64×64" in capsys.readouterr().err


def test_images_that_need_too_much_memory_are_refused_at_once(tmp_path, monkeypatch):
    save_images(tmp_path, ["a.png", "b.png", "c.png", "d.png"])
    monkeypatch.setattr("hw5.data.local.MAX_BYTES", 30)
    with pytest.raises(InputError, match="hw5.data.build makes smaller ones"):
        data.load(tmp_path)


def test_what_is_neither_images_nor_arrays_is_refused(tmp_path):
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4")
    for name, message in {
        "text.txt": "neither a folder nor a zip file of images, nor an array",
        "empty": "holds no images",
        "cut.zip": r"nor an array .* \(a zip file that is cut off or damaged\)",
        "none/": "no such file or folder",
        "none.npy": "no such file or folder",
    }.items():
        with pytest.raises(InputError, match=message):
            data.load(f"{tmp_path}/{name}")


@pytest.mark.parametrize("name", ["samples.npy", "x_train.npz", "test", "_", "digits.npy", "digits_train.npy"])
def test_a_missing_file_is_not_another_one(tmp_path, name):
    for other in ("images.npy", "digits_test.npy"):
        np.save(tmp_path / other, IMAGES)
    with pytest.raises(InputError, match="no such file or folder"):
        data.load(tmp_path / name)
    assert len(data.load(tmp_path / "digits", "all")) == len(IMAGES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("emnist-balanced-train-images-idx3-ubyte.gz", (("emnist", "balanced"), "train", "image")),
        ("t10k-labels.idx1-ubyte", ((), "test", "label")),
        ("mnist_train_images.npy", (("mnist",), "train", "image")),
        ("kmnist-test-imgs.npz", (("kmnist",), "test", "image")),
        ("x_train", ((), "train", "image")),
        ("ytest", ((), "test", "label")),
        ("valLabels.npy", ((), "validation", "label")),
        ("samples_50000x64x64x3.npz", (("50000x64x64x3",), None, "image")),
        ("trained.npy", (("trained",), None, None)),
        ("valid/batch.npy", (("batch",), "validation", None)),
        ("train/x_test.npy", ((), "test", "image")),
        ("training_set_images.npy", ((), "train", "image")),
    ],
)
def test_names_of_arrays(name, expected):
    assert parse_name(name) == expected


def test_layout_of_folders():
    names = ["data/train/a/1.png", "data/train/b/2.png", "data/test/a/3.png"]
    splits = split_folders(names)
    assert splits == {"train": names[:2], "test": names[2:]}
    assert class_folders(splits) == (["a", "b"], dict(zip(names, [0, 1, 0], strict=True)))
    assert split_folders(["train/1.png", "bus/2.png"]).keys() == {None}  # classes
    assert split_folders(["trainA/1.png", "trainB/2.png", "testA/3.png", "testB/4.png"]).keys() == {None}
    assert split_folders(["train_images/1.png", "train_labels/2.png", "test_images/3.png"]) == {
        "train": ["train_images/1.png"],
        "test": ["test_images/3.png"],
    }
    assert split_folders(["train/1.png", "2.png"]) == {None: ["train/1.png", "2.png"]}
    assert class_folders({None: ["a/1.png", "b/2.png", "3.png"]}) == ([], {})
    assert class_folders({None: ["a/1.png", "a/2.png"]}) == ([], {})
    assert class_folders({None: ["s/10/1.png", "s/9/2.png"]})[0] == ["9", "10"]


def test_views_and_labels():
    assert np.shares_memory(to_nhwc(RGB), RGB)
    assert to_labels(np.array([[3], [4]]), 2).tolist() == [3, 4]
    assert to_labels(np.array([1.0, 2.0]), 2).dtype == np.int64
    assert to_labels(np.array([True, False]), 2).tolist() == [1, 0]
    assert numbered({None: np.array(["2", "9" * 30])})[1] == ["2", "9" * 30]  # no number has so many digits
