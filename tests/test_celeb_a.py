"""CelebA from JPEGs and from TFDS: its crop, its splits, the memory-mapped file, and batches of it."""

import io
import os
import re
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as original

from hw5 import data, files
from hw5.data import celeb_a, prepared
from hw5.errors import InputError
from hw5.training.identity import checksum

SHAPE = (218, 178, 3)  # of an aligned image
COUNTS = {"train": 8, "validation": 1, "test": 1}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A cache for this test alone, an empty TFDS folder and no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("tried the network"))


def jpeg(number: int) -> bytes:
    """Encode a plain image; its grey value shows its number."""
    buffer = io.BytesIO()
    Image.fromarray(np.full(SHAPE, 10 * number, np.uint8)).save(buffer, "jpeg")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """`make(numbers)` writes these images to img_align_celeba/ and returns the folder that holds it."""

    def make(numbers=range(1, 11)):
        images = tmp_path / "celeba" / "img_align_celeba"
        images.mkdir(parents=True)
        for i, number in enumerate(numbers, 1):
            (images / f"{number:06}.jpg").write_bytes(jpeg(i))
        return images.parent

    return make


def shown(images) -> list[int]:
    """Return the numbers of images of the fixture."""
    assert images.dtype == np.uint8
    assert images.shape[1:] == (64, 64, 3)
    means = images.mean(axis=(1, 2, 3)) / 10
    np.testing.assert_allclose(means, means.round(), atol=0.11)
    return means.round().astype(int).tolist()


def cached_files():
    folder = files.cache_folder()
    return sorted(folder.iterdir()) if folder.exists() else []


def encoded(pixels, form):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, quality=100, subsampling=0)
    buffer.seek(0)
    return buffer


# The centre 148×148 of 218×178: rows 35 to 182 (35 above, 35 below), columns 15 to 162 (15 on either side).


@pytest.mark.parametrize(
    ("rows", "columns", "whole"),
    [
        ((35, 183), (15, 163), True),
        ((36, 183), (15, 163), False),
        ((35, 182), (15, 163), False),
        ((35, 183), (16, 163), False),
        ((35, 183), (15, 162), False),
    ],
)
def test_the_crop_is_rows_35_to_182_and_columns_15_to_162(rows, columns, whole):
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[slice(*rows), slice(*columns)] = 255
    face = celeb_a.crop(encoded(pixels, "png"))
    assert face.shape == (64, 64, 3)
    assert (face == 255).all() == whole


def test_resizing_keeps_places_of_the_crop(tmp_path):
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[..., 0] = np.arange(218)[:, None]
    pixels[..., 1] = np.arange(178)
    (tmp_path / "000001.jpg").write_bytes(encoded(pixels, "jpeg").getvalue())
    face = celeb_a.load("train[:1]", data_dir=make_enough(tmp_path))[0].astype(float)
    middles = (np.arange(64) + 0.5) * 148 / 64 - 0.5  # of the 64 pixels, in pixels of the crop
    inner = slice(2, -2)  # at the rim the filter is cut off
    np.testing.assert_allclose(face[:, 10:50, 0].mean(axis=1)[inner], 35 + middles[inner], atol=0.5)
    np.testing.assert_allclose(face[10:50, :, 1].mean(axis=0)[inner], 15 + middles[inner], atol=0.5)


def make_enough(folder):
    for number in range(2, 11):
        (folder / f"{number:06}.jpg").write_bytes(jpeg(number))
    return folder


def test_resizing_is_antialiased():
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[:, ::2] = 254  # finer than the 64 pixels can show
    face = celeb_a.crop(encoded(pixels, "png"))
    assert np.abs(face[:, 2:-2].astype(int) - 127).max() < 20


def test_without_a_partition_the_official_numbers_divide(folder):
    place = folder([1, 162_770, 162_771, 182_637, 182_638, 202_599])
    for data_dir in (place, place / "img_align_celeba", str(place)):
        assert shown(data.load("celeb_a", data_dir=data_dir)) == [1, 2]
        assert shown(data.load("celeb_a", "validation", data_dir=data_dir)) == [3, 4]
        assert shown(data.load("celeb_a", "test", data_dir=data_dir)) == [5, 6]


@pytest.mark.parametrize("where", [".", "img_align_celeba"])
def test_the_partition_next_to_the_images_divides(folder, where, capsys):
    place = folder(range(1, 7))
    lines = [f"{number:06}.jpg {part}" for number, part in zip(range(1, 8), (2, 0, 1, 0, 0, 1, 2), strict=True)]
    (place / where / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    for data_dir in (place, place / "img_align_celeba"):
        assert [shown(data.load("celeb_a", split, data_dir=data_dir)) for split in COUNTS] == [[2, 4, 5], [3, 6], [1]]
    assert "note" not in capsys.readouterr().err


def test_few_images_are_divided_80_10_10_with_a_note(folder, capsys):
    place = folder()
    assert [len(data.load("celeb_a", split, data_dir=place)) for split in COUNTS] == list(COUNTS.values())
    assert "10 images, divided 80/10/10 in the order of their names" in capsys.readouterr().err
    assert shown(data.load("celeb_a", "test", data_dir=place)) == [10]


def test_slices_and_limit(folder):
    place = folder()
    assert shown(data.load("celeb_a", "train[:75%]", data_dir=place)) == [1, 2, 3, 4, 5, 6]
    assert shown(data.load("celeb_a", "train[6:]", data_dir=place)) == [7, 8]
    assert shown(data.load("celeb_a", "train[2:]", data_dir=place, limit=3)) == [3, 4, 5]
    assert shown(data.load("celeb_a", limit=100, data_dir=place)) == list(range(1, 9))


def test_a_limit_reads_no_more_and_needs_no_cache(folder):
    place = folder()
    (place / "img_align_celeba" / "000004.jpg").write_bytes(b"damaged")
    images = data.load("celeb_a", limit=3, data_dir=place)
    assert shown(images) == [1, 2, 3]
    assert not isinstance(images, np.memmap)
    assert not cached_files()


def test_a_large_limit_is_mapped_as_well(folder, monkeypatch):
    monkeypatch.setattr(celeb_a, "MAX_UNCACHED_IMAGES", 2)
    images = data.load("celeb_a", limit=3, data_dir=folder())
    assert shown(images) == [1, 2, 3]
    assert isinstance(images, np.memmap)


def test_a_split_is_mapped_from_a_file_that_is_made_once(folder, monkeypatch, capsys):
    place = folder()
    images = data.load("celeb_a", data_dir=place)
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable
    assert "8/8" in capsys.readouterr().err
    (path,) = cached_files()
    assert path.name.startswith("celeb_a_train_8x64x64x3_")
    monkeypatch.setattr(celeb_a, "crop", lambda *_: pytest.fail("read again"))
    np.testing.assert_array_equal(data.load("celeb_a", data_dir=place / "img_align_celeba"), images)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("change", ["content", "time", "name"])
def test_a_changed_source_is_converted_again(folder, change):
    place = folder()
    data.load("celeb_a", data_dir=place)
    path = place / "img_align_celeba" / "000003.jpg"
    if change == "content":
        status = path.stat()
        path.write_bytes(jpeg(9) + bytes(100))  # bytes after the image are not read
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(path, (0, 0))
    else:
        path.rename(path.with_name("000000.jpg"))
    images = data.load("celeb_a", data_dir=place)
    assert shown(images) == {"content": [1, 2, 9], "time": [1, 2, 3], "name": [3, 1, 2]}[change] + [4, 5, 6, 7, 8]
    assert len(cached_files()) == 2


def test_a_damaged_cache_is_made_again(folder):
    place = folder()
    data.load("celeb_a", data_dir=place)
    (path,) = cached_files()
    for half in (path.read_bytes()[:1000], b""):
        path.write_bytes(half)
        assert shown(data.load("celeb_a", data_dir=place)) == list(range(1, 9))


def write_with_tfds(folder, version="2.1.0"):
    """Write ten images as TFDS' own builder would prepare them."""
    features = {
        "image": tfds.features.Image(shape=SHAPE, encoding_format="jpeg"),
        "landmarks": dict.fromkeys(original.LANDMARK_HEADINGS, np.int64),
        "attributes": dict.fromkeys(original.ATTR_HEADINGS, np.bool_),
        "identity": dict.fromkeys(original.IDENTITY_HEADINGS, np.int64),
    }
    others = {
        "landmarks": dict.fromkeys(original.LANDMARK_HEADINGS, 100),
        "identity": dict.fromkeys(original.IDENTITY_HEADINGS, 1),
    }
    numbers = iter(range(1, 11))
    examples = {
        split: [
            (
                i,
                {"image": jpeg(number), "attributes": dict.fromkeys(original.ATTR_HEADINGS, number % 2 == 0)} | others,
            )
            for i, number in zip(range(count), numbers, strict=False)
        ]
        for split, count in COUNTS.items()
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name="celeb_a",
        version=version,
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: iter(part) for split, part in examples.items()},
        data_dir=folder,
        disable_shuffling=True,
    )


def test_the_features_are_those_of_tfds():
    """Check that `write_with_tfds` makes the dataset that TFDS itself would prepare."""
    assert original.Builder.VERSION == "2.1.0"
    assert len(original.ATTR_HEADINGS) == 40


def test_a_folder_prepared_by_tfds_gives_the_same_images_as_the_jpegs(folder, tmp_path):
    write_with_tfds(tmp_path / "tfds")
    place = folder()
    for split in ("train", "validation", "test", "train[3:5]"):
        prepared = data.load("celeb_a", split)
        assert isinstance(prepared, np.memmap)
        np.testing.assert_array_equal(prepared, data.load("celeb_a", split, data_dir=place))
    np.testing.assert_array_equal(data.load("celeb_a", data_dir=tmp_path / "tfds"), data.load("celeb_a"))
    assert shown(data.load("celeb_a", "train", limit=2)) == [1, 2]
    males = data.load("celeb_a", feature="attributes/Male")
    assert males.tolist() == [False, True] * 4
    assert not data.has_feature("celeb_a", "label")
    train, validation = data.train_validation("celeb_a")
    assert (shown(train), shown(validation)) == ([1, 2, 3, 4, 5, 6, 7], [8])


def test_the_newest_version_that_is_whole_is_read(tmp_path):
    write_with_tfds(tmp_path / "tfds", "2.0.1")
    newest = tmp_path / "tfds" / "celeb_a" / "2.10.0"
    newest.with_name("2.9.0").mkdir()
    write_with_tfds(tmp_path / "tfds", "2.10.0")
    (tmp_path / "tfds" / "celeb_a" / "9.0.0.incomplete1").mkdir()
    (tmp_path / "tfds" / "celeb_a" / "9.0.0.incomplete1" / "dataset_info.json").write_text("{}")
    assert celeb_a.find().folder == newest


def test_a_damaged_tfds_folder_is_named(tmp_path):
    write_with_tfds(tmp_path / "tfds")
    (shard,) = (tmp_path / "tfds").glob("celeb_a/2.1.0/*train.tfrecord*")
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"celeb_a/2.1.0: cannot be read \(.*truncated"):
        data.load("celeb_a")
    shard.unlink()
    with pytest.raises(InputError, match=r"celeb_a/2.1.0"):
        data.load("celeb_a", limit=2)
    assert not cached_files()


def test_without_data_the_message_says_at_once_where_to_get_it(monkeypatch):
    monkeypatch.setattr(tfds, "builder", lambda *_, **__: pytest.fail("asked TFDS"))
    monkeypatch.setattr(prepared.requests, "head", lambda *_, **__: pytest.fail("tried the network"))
    started = time.perf_counter()
    for access in (
        lambda: data.load("celeb_a"),
        lambda: data.load("celeb_a", feature="attributes/Male"),
        lambda: data.has_feature("celeb_a", "label"),
        lambda: data.train_validation("celeb_a"),
    ):
        with pytest.raises(ValueError, match=r"is not in .*tfds: get img_align_celeba.zip .*data_dir=FOLDER") as caught:
            access()
        assert "\n" not in str(caught.value)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("dev", "no split 'dev'; it has train, validation, test"),
        ("train+test", r"no split 'train\+test'"),
        ("train[a:b]", r"no split 'train\[a:b\]'"),
        ("", "no split ''"),
        (None, "no split None"),
        ("test[:999999]", r"test\[:999999\] goes beyond the end; train has"),
        ("train[8:]", r"train\[8:\] selects no images"),
    ],
)
@pytest.mark.parametrize("prepared", [False, True])
def test_unknown_and_empty_splits(folder, tmp_path, split, message, prepared):
    place = folder()
    if prepared:
        write_with_tfds(place)
    with pytest.raises(InputError, match=message):
        data.load("celeb_a", split, data_dir=place)


def test_too_few_images_for_a_split(folder):
    place = folder(range(1, 4))
    assert shown(data.load("celeb_a", data_dir=place)) == [1, 2]
    with pytest.raises(InputError, match="validation selects no images of .*img_align_celeba"):
        data.load("celeb_a", "validation", data_dir=place)


def small():
    return encoded(np.zeros((147, 178, 3), np.uint8), "jpeg").getvalue()


def gigantic():
    """Encode a JPEG whose damaged header claims 65,535×65,535 pixels."""
    content = bytearray(jpeg(1))
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = b"\xff" * 4
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: jpeg(1)[: len(jpeg(1)) // 2], "truncated"),
        (lambda: b"no image", "not an image"),
        (lambda: b"", "not an image"),
        (small, "178×147 pixels; the crop takes 148×148"),
        (gigantic, "exceeds limit"),
    ],
)
@pytest.mark.parametrize("limit", [None, 5])
def test_an_image_that_cannot_be_used_is_named_and_leaves_nothing(folder, content, reason, limit):
    place = folder()
    (place / "img_align_celeba" / "000002.jpg").write_bytes(content())
    with pytest.raises(InputError, match=rf"img_align_celeba/000002.jpg: cannot be read as .* \(.*{reason}"):
        data.load("celeb_a", data_dir=place, limit=limit)
    assert not cached_files()


def test_folders_that_hold_no_images(tmp_path):
    with pytest.raises(InputError, match=r"data_dir=nowhere: no such folder"):
        data.load("celeb_a", data_dir="nowhere")
    (tmp_path / "img_align_celeba.zip").write_bytes(b"zip")
    with pytest.raises(InputError, match=r"img_align_celeba.zip: no such folder; .* unpack it"):
        data.load("celeb_a", data_dir=tmp_path / "img_align_celeba.zip")
    (tmp_path / "img_align_celeba").mkdir()
    (tmp_path / "img_align_celeba" / "._000001.jpg").write_bytes(b"what macOS adds to zip files")
    with pytest.raises(InputError, match=r"img_align_celeba: holds no JPEGs"):
        data.load("celeb_a", data_dir=tmp_path)


def test_jpegs_have_no_other_features(folder):
    place = folder()
    with pytest.raises(InputError, match="holds images only"):
        data.load("celeb_a", feature="attributes/Male", data_dir=place)


@pytest.mark.parametrize("line", ["000001.jpg", "000001.jpg 3", "000001.jpg 0 0", "\x00"])
def test_an_unreadable_partition_is_named(folder, line):
    place = folder()
    (place / "list_eval_partition.txt").write_text(f"000002.jpg 0\n{line}\n")
    with pytest.raises(InputError, match=r"celeba/list_eval_partition.txt: cannot be read; each line"):
        data.load("celeb_a", data_dir=place)


@pytest.fixture(params=["uint8", "float32"])
def both(request, tmp_path):
    """The same random values as an array and as a memory map."""
    rng = np.random.default_rng(0)
    if request.param == "uint8":
        array = rng.integers(0, 256, (10, 5, 4, 3), np.uint8)
    else:
        array = rng.normal(size=(10, 3)).astype(np.float32)
    np.save(tmp_path / "array.npy", array)
    return array, np.load(tmp_path / "array.npy", mmap_mode="r")


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("epochs", "start"), [(1, 0), (3, 2), (3, 8), (None, 0), (None, 5)])
def test_a_map_gives_the_batches_of_its_array(both, shuffle, epochs, start):
    arguments = dict(batch_size=4, value_range=(-1, 1), shuffle=shuffle, seed=3, epochs=epochs, start=start)
    of_array, of_map = (data.pipeline(images, **arguments) for images in both)
    assert of_map.element_spec == of_array.element_spec
    assert of_map.cardinality() == of_array.cardinality()
    for expected, batch in zip(of_array.take(9), of_map.take(9), strict=True):
        np.testing.assert_array_equal(batch, expected)


def test_a_part_of_a_map_gives_its_own_batches(both):
    array, mapped = (images[3:9] for images in both)
    for expected, batch in zip(data.pipeline(array, 4), data.pipeline(mapped, 4), strict=True):
        np.testing.assert_array_equal(batch, expected)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory from Linux' /proc")
def test_no_copy_of_a_map_is_held_in_memory(tmp_path):
    def own_memory():
        """Return the memory of this process that belongs to no file, in kB."""
        return int(re.search(r"RssAnon:\s*(\d+)", Path("/proc/self/status").read_text())[1])

    shape = (20_000, 64, 64, 3)  # 246 MB; none of it is on the disk
    np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, shape)
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    before = own_memory()
    batches = iter(data.pipeline(images, 10, shuffle=True))
    next(batches)
    checksum(images)
    assert own_memory() - before < 100_000


def test_the_checksum_of_a_map_is_that_of_its_array(both):
    array, mapped = both
    assert checksum(mapped) == checksum(array)


def test_pngs_of_the_same_numbers_and_what_is_no_image(folder, capsys):
    place = folder(range(1, 5))
    for path in list((place / "img_align_celeba").iterdir()):
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()
    os.mkfifo(place / "img_align_celeba" / "000008.jpg")
    (place / "img_align_celeba" / "000009.jpg").symlink_to("nothing.jpg")
    lines = [f"{number:06}.jpg {number % 3}" for number in range(1, 4)]  # of 4, one is left out
    (place / "list_eval_partition.txt").write_text("\n".join(lines))
    assert [shown(data.load("celeb_a", split, data_dir=place)) for split in ("validation", "test", "train")] == [
        [1],
        [2],
        [3],
    ]
    said = capsys.readouterr().err
    assert "2 images are pipes, folders or dangling links; skipped" in said
    assert "1 of 4 images are not in CelebA's partition; left out" in said
