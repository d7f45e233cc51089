"""The sides of a comparison: which images an array, a folder or a file stands for, and what is refused."""

import gzip
import io
import multiprocessing
import os
import pickle
import resource
import shutil
import socket
import zipfile

import numpy as np
import pytest
from PIL import Image

from hw5 import data
from hw5.data.image_files import note
from hw5.errors import InputError
from hw5.metrics.extractor import Extractor
from hw5.metrics.sides import open_side
from hw5.metrics.statistics import Statistics, image_checksum

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 9, 8, 3), np.uint8)
GREY = RNG.integers(0, 256, (6, 9, 8, 1), np.uint8)
DIGITS = RNG.integers(0, 256, (6, 28, 28, 1), np.uint8)
BLACK_AND_WHITE = RNG.integers(0, 2, (6, 9, 8, 1), np.uint8)


class Colours(Extractor):
    """The mean colour of each image: features that need no network."""

    key = name = "colours"
    channels = 3

    def preprocess(self, images):
        return np.float32(images)

    def forward(self, inputs):
        return inputs.mean(axis=(1, 2)), None


def pixels(side, **kwargs):
    return np.stack(list(open_side(str(side), Colours(), **kwargs)[0:100]))


def refusal(side, **kwargs):
    """Return the message of a refused side: one line that names it."""
    with pytest.raises(InputError) as error:
        open_side(str(side), Colours(), **kwargs)
    assert str(side).rstrip("/") in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


# Arrays: name → (array, the images that it holds, value_range).
ARRAYS = {
    "uint8 NHWC": (RGB, RGB, None),
    "uint8 NHWC, grey": (GREY, GREY, None),
    "uint8 NCHW": (RGB.transpose(0, 3, 1, 2), RGB, None),
    "uint8 NCHW, grey": (GREY.transpose(0, 3, 1, 2), GREY, None),
    "uint8 NHW": (GREY[..., 0], GREY, None),
    "uint8 rows of 784": (DIGITS.reshape(6, 784), DIGITS, None),
    "uint8 rows of 1024": (RGB.reshape(-1)[:1024].reshape(1, -1).repeat(6, 0), None, None),
    "Fortran order": (np.asfortranarray(RGB), RGB, None),
    "not contiguous": (RGB.repeat(2, axis=2)[:, :, ::2], RGB, None),
    "float32 in 0…1": (np.float32(RGB / 255), RGB, None),
    "float64 in 0…1": (RGB / 255, RGB, None),
    "float16 in 0…1": (np.float16(RGB / 255), RGB, None),
    "big-endian float32": ((RGB / 255).astype(">f4"), RGB, None),
    "float32 NCHW in −1…1": (np.float32(RGB / 127.5 - 1).transpose(0, 3, 1, 2), RGB, (-1, 1)),
    "float32 in 0…255": (np.float32(RGB), RGB, (0, 255)),
    "float64 rows in −1…1": (DIGITS.reshape(6, 784) / 127.5 - 1, DIGITS, (-1, 1)),
    "bool": (BLACK_AND_WHITE == 1, BLACK_AND_WHITE * 255, None),
    "bool with a range": (BLACK_AND_WHITE == 1, BLACK_AND_WHITE * 255, (-1, 1)),
    "uint8 of 0 and 1 as black and white": (BLACK_AND_WHITE, BLACK_AND_WHITE * 255, (0, 1)),
    "uint8 of 0 and 1 as nearly black": (BLACK_AND_WHITE, BLACK_AND_WHITE, (0, 255)),
    "uint8 in 0…16": (GREY // 16, np.uint8(np.round((GREY // 16) * 15.9375)), (0, 16)),
    "uint8 beside floats in 0…1": (RGB, RGB, (0, 1)),
    "uint8 beside floats in −1…1": (RGB, RGB, (-1, 1)),
    "uint8 beside uint16": (RGB, RGB, (0, 65535)),
    "int64": (np.int64(RGB), RGB, (0, 255)),
    "int32 in −128…127": (np.int32(RGB) - 128, RGB, (-128, 127)),
    "int8": (np.int8(np.int16(RGB) - 128), RGB, (-128, 127)),
    "uint16": (np.uint16(RGB) * 257, RGB, (0, 65535)),
    "big-endian uint16": ((np.uint16(RGB) * 257).astype(">u2"), RGB, (0, 65535)),
    "black": (np.zeros_like(RGB), np.zeros_like(RGB), None),
}


@pytest.mark.parametrize("container", ["npy", "npz", "compressed"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array_is_read_as_its_images(tmp_path, kind, container):
    array, expected, value_range = ARRAYS[kind]
    path = tmp_path / ("a.npy" if container == "npy" else "a.npz")
    {"npy": np.save, "npz": np.savez, "compressed": np.savez_compressed}[container](path, array)
    found = pixels(path, value_range=value_range)
    expected = array.reshape(6, 32, 32, 1) if expected is None else expected
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    images = open_side(str(path), Colours(), value_range, limit=4)
    assert len(images) == 4
    for part in (slice(2, 4), slice(0, 2), slice(3, 9)):  # also backwards
        np.testing.assert_array_equal(images[part], expected[:4][part])


def array_of_size(*shape, dtype=np.uint8, high=256):
    return RNG.integers(0, high, shape).astype(dtype)


REFUSED = {
    "one RGB image, or grey ones": (array_of_size(48, 40, 3), "may be one image or 48 grey ones of 40×3"),
    "one RGBA image": (array_of_size(48, 40, 4), "may be one image or 48 grey ones"),
    "one CHW image": (array_of_size(3, 48, 40), "may be one image or 3 grey ones"),
    "one grey image": (array_of_size(48, 40, 1), "may be one image"),
    "images along the last axis": (array_of_size(28, 28, 500), "are hardly 28 grey images of 28×500"),
    "a table of three axes": (array_of_size(20, 300, 5), "are hardly 20 grey images"),
    "both layouts": (array_of_size(5, 3, 32, 3), r"may be [n, h, w, c] or [n, c, h, w]"),
    "3×3 pixels": (array_of_size(5, 3, 3, 3), r"may be [n, h, w, c] or [n, c, h, w]"),
    "RGBA": (array_of_size(5, 9, 8, 4), "4 channels"),
    "RGBA NCHW": (array_of_size(5, 4, 9, 8), "4 channels"),
    "two channels": (array_of_size(5, 9, 8, 2), "must be [n, h, w, 1 or 3]"),
    "HWCN, as MATLAB has it": (array_of_size(9, 8, 3, 50), "a.transpose(3, 0, 1, 2)"),
    "five axes": (array_of_size(2, 5, 9, 8, 3), "must be [n, h, w, 1 or 3]"),
    "one axis": (array_of_size(784), "must be [n, h, w, 1 or 3]"),
    "a number": (np.uint8(3), "must be [n, h, w, 1 or 3]"),
    "rows of colours": (array_of_size(5, 3072), "a.reshape(n, h, w, c)"),
    "rows that are no square": (array_of_size(5, 700), "a.reshape(n, h, w, c)"),
    "a square table": (array_of_size(784, 784), "a.reshape(n, h, w, c)"),
    "features": (RNG.random((50, 2048)), "a.reshape(n, h, w, c)"),
    "no image": (np.zeros((0, 9, 8, 3), np.uint8), "no images"),
    "no pixel": (np.zeros((5, 0, 8, 3), np.uint8), "no images"),
    "no channel": (np.zeros((5, 9, 8, 0), np.uint8), "no images"),
    "−1…1": (np.float32(RGB / 127.5 - 1), "outside [0, 1]; value_range=-1,1, or"),
    "0…255 in floats": (np.float32(RGB), "outside [0, 1]; value_range=0,255, or"),
    "normalised by mean and deviation": (RNG.normal(size=(5, 9, 8, 3)) * 3, "value_range=LOW,HIGH, or"),
    "0 and 1 in bytes": (BLACK_AND_WHITE, "value_range=0,1 makes 1 white"),
    "int64": (np.int64(RGB), "int64 images have values from 0 to 255: value_range=0,255"),
    "int32 of 0 and 1": (np.int32(BLACK_AND_WHITE), "int32 images have values from 0 to 1"),
    "uint16": (np.uint16(RGB) * 257, "uint16 images have values from 0 to 65535: value_range=0,65535"),
    "uint16 of 12 bits": (np.uint16(RGB) * 16, "uint16 images have values from 0 to 4080: value_range=0,4095"),
    "int8": (np.int8(RGB.astype(np.int16) - 128), "int8 images have values from -128 to 127: value_range=-128,127"),
    "−0.5…0.5": (np.float32(RGB / 255 - 0.5), "outside [0, 1]; value_range=-0.5,0.5, or"),
    "NaN": (np.where(RGB[4, 0, 0, 0] == RGB, np.nan, RGB / 255), "NaN or infinity"),
    "infinity": (np.where(RGB[4, 0, 0, 0] == RGB, np.inf, RGB / 255), "NaN or infinity"),
    "complex": (RGB + 0j, "complex128, not numbers"),
    "text": (np.full((5, 9, 8, 3), "a"), "not numbers"),
    "dates": (np.zeros((5, 9, 8, 3), "M8[D]"), "not numbers"),
    "objects": (RGB.astype(object), "Python objects"),
    "lists of several lengths": (np.array([[1], [1, 2]], object), "Python objects"),
    "fields": (np.zeros(5, [("r", "u1"), ("g", "u1")]), "not numbers"),
    "fields with names of other letters": (np.zeros(5, [("ø", "u1"), ("日", "u1")]), "named fields"),
}


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.parametrize("container", ["npy", "npz"])
@pytest.mark.parametrize("kind", REFUSED)
def test_an_array_that_is_not_clear_is_refused(tmp_path, kind, container):
    array, message = REFUSED[kind]
    path = tmp_path / f"a.{container}"
    (np.save if container == "npy" else np.savez)(path, array)
    assert message in refusal(path)


@pytest.mark.parametrize(("array", "value_range", "message"), [
    (np.float32(RGB / 255), (-1, 1), "value_range=-1,1 is hardly theirs"),  # half of the contrast
    (np.float32(RGB / 255), (0, 255), "value_range=0,255 is hardly theirs"),  # black
    (np.float32(RGB / 127.5 - 1), (0, 65535), "value_range=0,65535 is hardly theirs"),
    (np.float32(RGB), (0, 65535), "value_range=0,65535 is hardly theirs"),
    (np.int64(RGB), (0, 65535), "value_range=0,65535 is hardly theirs"),
    (np.int64(BLACK_AND_WHITE), (0, 255), "value_range=0,255 is hardly theirs"),
    (np.float32(RGB), (-1, 1), "outside [-1, 1]; value_range=0,255, or"),
    (np.uint16(RGB) * 257, (0, 255), "outside [0, 255]; value_range=0,65535, or"),
    (np.int16(RGB) - 1, (0, 255), "outside [0, 255]"),
    (BLACK_AND_WHITE, (-1, 1), "value_range=0,1 makes 1 white"),
])  # fmt: skip
def test_a_range_of_another_array_is_refused(tmp_path, array, value_range, message):
    np.save(tmp_path / "a.npy", array)
    assert message in refusal(tmp_path / "a.npy", value_range=value_range)


LABELS = np.arange(6)
# Arrays of an archive → the name of the images, or a part of the refusal.
ARCHIVES = {
    "guided diffusion": (dict(arr_0=RGB, arr_1=LABELS), "arr_0"),
    "any name": (dict(samples=RGB), "samples"),
    "one-hot labels": (dict(y=np.eye(10)[LABELS], x=RGB), "x"),
    "latents that could be rows": (dict(z=RNG.random((6, 1024)), x=RGB), "x"),
    "names": (dict(images=RGB, names=np.array(list("abcdef"))), "images"),
    "names that are pickled": (dict(images=RGB, names=np.array(list("abcdef"), object)), "images"),
    "rows and labels": (dict(x=DIGITS.reshape(6, 784), y=LABELS), "x"),
    "a mean, but of the pixels": (dict(x=RGB, mean=RGB.mean((0, 1, 2)), std=RGB.std((0, 1, 2))), "x"),
    "Keras' MNIST": (dict(x_train=GREY, y_train=LABELS, x_test=GREY, y_test=LABELS), "2 of its arrays can be images"),
    "real and fake": (dict(real=RGB, fake=RGB), "real (uint8 [6, 9, 8, 3]), fake (uint8 [6, 9, 8, 3])"),
    "labels alone": (dict(a=LABELS, b=LABELS), "0 of its arrays can be images"),
    "nothing": (dict(), "0 of its arrays can be images"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_the_images_among_several_arrays(tmp_path, kind, capsys):
    arrays, expected = ARCHIVES[kind]
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    if expected not in arrays:
        assert expected in refusal(path)
        return
    array = arrays[expected]
    np.testing.assert_array_equal(pixels(path), array if array.ndim == 4 else array.reshape(DIGITS.shape))
    assert len(arrays) == 1 or f"the images are {expected} of " in capsys.readouterr().err


def encrypted_zip(path, name, content):
    """Write a zip file whose only entry says that it is encrypted."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    whole = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        whole[whole.index(signature) + offset] |= 1
    path.write_bytes(whole)


def save(function, *args, **kwargs):
    buffer = io.BytesIO()
    function(buffer, *args, **kwargs)
    return buffer.getvalue()


PNG = save(Image.fromarray(RGB[0]).save, format="png")


def write_socket(path):
    before = os.getcwd()
    os.chdir(path.parent)  # addresses are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(before)


# Name of a side → (function that writes it, a part of the refusal).
FILES = {
    "missing": (lambda path: None, "no such file"),
    "missing.npy": (lambda path: None, "no such file"),
    "missing/": (lambda path: None, "no such file"),
    "dangling.npy": (lambda path: path.symlink_to("nowhere"), "no such file"),
    "loop.npy": (lambda path: path.symlink_to("loop.npy"), "loop.npy: "),
    "n" * 300 + ".npy": (lambda path: None, "name too long"),
    "pipe.npy": (os.mkfifo, "a pipe, a socket or a device"),
    "pipe.npz": (os.mkfifo, "a pipe, a socket or a device"),
    "pipe.zip": (os.mkfifo, "a pipe, a socket or a device"),
    "pipe": (os.mkfifo, "a pipe, a socket or a device"),
    "socket.npy": (write_socket, "a pipe, a socket or a device"),
    "folder.npy": (os.mkdir, "holds no images"),
    "folder": (os.mkdir, "holds no images"),
    "text.txt": (lambda path: path.write_text("hello"), "is not a folder"),
    "text.gz": (
        lambda path: path.write_bytes(gzip.compress(b"hello")),
        "or IDX file, or a dataset (to be unpacked first)",
    ),
    "text.npy": (lambda path: path.write_text("hello"), "neither an array nor an archive"),
    "empty.npy": (lambda path: path.touch(), "neither an array nor an archive"),
    "empty.npz": (lambda path: path.touch(), "neither an array nor an archive"),
    "empty.zip": (lambda path: path.touch(), "or a dataset (a zip file that is cut off or damaged)"),
    "pickle.npy": (lambda path: path.write_bytes(pickle.dumps(RGB)), "pickles are never loaded"),
    "cut.npy": (lambda path: path.write_bytes(save(np.save, RGB)[:-1]), "cut off"),
    "header.npy": (lambda path: path.write_bytes(save(np.save, RGB)[:40]), "header.npy: "),
    "cut.npz": (lambda path: path.write_bytes(save(np.savez, RGB)[:-30]), "cut.npz: "),
    "images.npz": (lambda path: zip_of(path, {"a.png": PNG}), "images.npz: "),
    "locked.npz": (lambda path: encrypted_zip(path, "a.npy", save(np.save, RGB)), "encrypted"),
    "nothing.zip": (lambda path: zip_of(path, {}), "holds no images"),
    "texts.zip": (lambda path: zip_of(path, {"a.txt": b"hello"}), "holds no images"),
}


def zip_of(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.timeout(60)
def test_what_is_no_side_is_refused_at_once(tmp_path, name):
    write, message = FILES[name]
    write(tmp_path / name)
    assert message.lower() in refusal(f"{tmp_path}/{name}").lower()


def test_an_address_is_no_side():
    assert "is an address; download it" in refusal("https://example.org/faces.zip")


@pytest.mark.parametrize(
    ("convert", "value_range"),
    [
        (lambda images: images.astype(np.uint16) * 64, (0, 255 * 64)),
        (lambda images: images / 255 * 2 - 1, (-1, 1)),
        (lambda images: (images.astype(np.int16) - 128).astype(np.int8), (-128, 127)),
        (lambda images: images / 2, (0, 127.5)),
    ],
)
def test_splits_of_arrays_have_the_range_of_the_user(tmp_path, convert, value_range):
    np.savez(tmp_path / "splits.npz", x_train=convert(GREY), x_test=convert(255 - GREY))
    np.save(tmp_path / "one.npy", convert(GREY))
    (tmp_path / "folder").mkdir()
    for split, images in (("train", GREY), ("test", 255 - GREY)):
        np.save(tmp_path / "folder" / f"{split}_images.npy", convert(images))
    for name in ("splits.npz", "folder"):
        for split, expected in (("train", GREY), ("test", 255 - GREY)):
            side = pixels(f"{tmp_path}/{name}:{split}", value_range=value_range)
            np.testing.assert_array_equal(side, expected)
    every = pixels(f"{tmp_path}/one.npy:all", value_range=value_range)
    np.testing.assert_array_equal(np.sort(every, axis=0), np.sort(GREY, axis=0))


def test_of_splits_in_one_file_one_is_named(tmp_path):
    np.savez(tmp_path / "medmnist.npz", train_images=GREY, val_images=GREY[:3], test_images=255 - GREY)
    message = refusal(tmp_path / "medmnist.npz")
    assert "name a split, as medmnist.npz:train" in message
    np.testing.assert_array_equal(pixels(f"{tmp_path}/medmnist.npz:test"), 255 - GREY)


@pytest.mark.parametrize(
    ("values", "said"), [(GREY > 99, True), (np.uint16(GREY) * 16, True), (GREY * 0, True), (GREY, False)]
)
def test_nearly_black_images_are_said(tmp_path, values, said, capsys):
    """Masks of 0 and 1, 12 bits in files of 16, and what was scaled twice and is black."""
    for number, image in enumerate(values[..., 0]):
        Image.fromarray(image.astype(np.uint8) if image.dtype == bool else image).save(tmp_path / f"{number}.png")
    image_checksum(open_side(str(tmp_path), Colours()), "masks/")
    assert ("note: masks/: no pixel is brighter than" in capsys.readouterr().err) == said
    data.load(tmp_path, "all")
    assert (f"note: {tmp_path}: no pixel is brighter than" in capsys.readouterr().err) == said


@pytest.mark.parametrize("side", ["/dev/null", "/dev/zero", "/dev/stdin"])
@pytest.mark.timeout(60)
def test_devices_are_refused_at_once(side):
    with pytest.raises(InputError, match=f"^{side}: "):
        open_side(side, Colours())


@pytest.mark.parametrize("side", ["", "a\0b"])
def test_what_is_no_name_is_refused(side):
    with pytest.raises(InputError):
        open_side(side, Colours())


def test_damage_is_found_before_the_features(tmp_path):
    whole = bytearray(save(np.savez, np.repeat(RGB, 50, axis=0)))
    whole[len(whole) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(whole)
    assert "a.npz: cannot be read (Bad CRC-32" in refusal(tmp_path / "a.npz")


def test_unreadable_files_are_found_before_the_features(tmp_path):
    zip_of(tmp_path / "a.zip", {"a.png": PNG, "b.png": PNG[:100]})
    encrypted_zip(tmp_path / "b.zip", "a.png", PNG)
    for name, message in (("a.zip", "b.png: cannot be read"), ("b.zip", "encrypted")):
        images = open_side(str(tmp_path / name), Colours())
        with pytest.raises(InputError, match=message):
            image_checksum(images)


def test_a_dataset_is_not_hidden_by_a_folder_of_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkdir("mnist")
    (tmp_path / "mnist" / "a.png").write_bytes(PNG)
    note.cache_clear()  # it is printed once
    for name in ("mnist", "mnist:train", "mnist:1.0.0:train[:50%]"):
        assert pixels(name, limit=2).shape == (2, 28, 28, 1)
    assert "note: mnist is the dataset; write ./mnist for the folder" in capsys.readouterr().err
    np.testing.assert_array_equal(pixels("./mnist"), RGB[:1])
    (tmp_path / "mnist" / "a.png").unlink()
    np.savez(tmp_path / "mnist" / "all.npz", x_train=RGB[:2], x_test=RGB[2:3])
    np.testing.assert_array_equal(pixels("./mnist"), RGB[:2])
    np.testing.assert_array_equal(pixels("./mnist:test"), RGB[2:3])
    os.mkdir("samples")
    (tmp_path / "samples" / "a.png").write_bytes(PNG)
    np.testing.assert_array_equal(pixels("samples"), RGB[:1])
    assert not capsys.readouterr().err


def test_images_of_a_folder_have_the_channels_of_the_network(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    Image.fromarray(GREY[0, ..., 0]).save(tmp_path / "b.png")
    for channels in (1, 3):
        network = Colours()
        network.channels = channels
        images = open_side(str(tmp_path), network)[0:2]
        assert [image.shape for image in images] == [(9, 8, channels)] * 2
        np.testing.assert_array_equal(images[1], np.repeat(GREY[0], channels, axis=-1))


def test_arrays_beside_statistics_are_left_out_with_a_note(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", mu=np.zeros(3), sigma=np.eye(3), notes=np.zeros(2), images=np.zeros((2, 4, 4, 3)))
    assert open_side(str(tmp_path / "a.npz"), Colours()).gaussian.mean.shape == (3,)
    assert f"{tmp_path}/a.npz: the statistics are used, not images, notes" in capsys.readouterr().err


def test_datasets_of_a_path(tmp_path):
    shutil.copytree(data.STORE / "emojione", tmp_path / "emojis")
    np.testing.assert_array_equal(pixels(tmp_path / "emojis", limit=3), data.load("emojione", limit=3))
    idx = {"train": DIGITS, "t10k": DIGITS[::-1]}
    (tmp_path / "idx").mkdir()
    for prefix, images in idx.items():
        content = bytes([0, 0, 8, 3]) + np.array([6, 28, 28], ">i4").tobytes() + images.tobytes()
        (tmp_path / "idx" / f"{prefix}-images-idx3-ubyte").write_bytes(content)
        (tmp_path / f"{prefix}.gz").write_bytes(gzip.compress(content))
        np.testing.assert_array_equal(pixels(tmp_path / f"{prefix}.gz"), images)
        np.testing.assert_array_equal(pixels(tmp_path / "idx" / f"{prefix}-images-idx3-ubyte", limit=4), images[:4])
    np.testing.assert_array_equal(pixels(tmp_path / "idx"), DIGITS)
    np.testing.assert_array_equal(pixels(f"{tmp_path}/idx:test"), DIGITS[::-1])
    np.savez(tmp_path / "mnist.npz", x_train=DIGITS, y_train=LABELS, x_test=DIGITS[::-1], y_test=LABELS)
    np.testing.assert_array_equal(pixels(f"{tmp_path}/mnist.npz:test"), DIGITS[::-1])
    (tmp_path / "single").mkdir()
    np.save(tmp_path / "single" / "images.npy", RGB)
    found = pixels(tmp_path / "single")  # all of them, not four fifths
    assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in RGB)
    with pytest.raises(InputError, match="idx' has no split 'tset'; it has train, test"):
        open_side(f"{tmp_path}/idx:tset", Colours())


def test_what_is_no_image_in_a_folder_is_left_out(tmp_path, capsys):
    zip_of(tmp_path / "a.zip", {"images.png/": b"", "images.png/a.png": PNG, "b/": b""})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    os.mkfifo(folder / "b.png")
    os.mkdir(folder / "c.png")
    for path in (tmp_path / "a.zip", folder):
        np.testing.assert_array_equal(pixels(path), RGB[:1])
    assert "skipped 1 pipes or devices" in capsys.readouterr().err


def test_equal_images_have_equal_checksums_in_every_form(tmp_path):
    images = data.load("mnist", limit=5)
    np.save(tmp_path / "bytes.npy", images)
    np.savez(tmp_path / "floats.npz", np.float64(images / 255))
    np.save(tmp_path / "signed.npy", images.transpose(0, 3, 1, 2) / 127.5 - 1)
    sides = [images, list(images), open_side(str(tmp_path / "bytes.npy"), Colours())]
    sides += [open_side(str(tmp_path / "floats.npz"), Colours())]
    sides += [open_side(str(tmp_path / "signed.npy"), Colours(), (-1, 1))]
    assert len({image_checksum(side) for side in sides}) == 1
    changed = images.copy()
    changed[4, 27, 27] ^= 1
    others = [images[::-1], images[:4], changed, images.reshape(5, 14, 56, 1), [*images, images[0, :14]]]
    assert len({image_checksum(side) for side in [images, *others]}) == 6


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    # In processes of their own: the peak of a process never falls.
    with multiprocessing.get_context("forkserver").Pool(1, maxtasksperchild=1) as pool:
        few, many = (pool.apply(read_array, (write_array(tmp_path / f"{n}.npy", n),)) for n in (1_000, 20_000))
    assert many - few < 60_000  # kB; the larger file has 246 MB


def write_array(path, count):
    with open(path, "wb") as file:
        header = {"shape": (count, 64, 64, 3), "fortran_order": False, "descr": "|u1"}
        np.lib.format.write_array_header_1_0(file, header)
        for number in range(count):
            file.write(bytes([number % 256, 7, 255]) * 4096)
    return path


def read_array(path):
    """Return the peak memory, in kB, of a process that computes the statistics of an array."""
    images = open_side(str(path), Colours())
    image_checksum(images)
    assert Statistics.of(images, Colours(), keep=False).gaussian.count == len(images)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
