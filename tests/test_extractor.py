"""Images on their way to the features: containers, ranges, sizes."""

import pickle

import numpy as np
import pytest
import tensorflow as tf

from hw5.errors import InputError
from hw5.metrics.extractor import Extractor, check_images, shard_bounds, to_bytes


class Pixels(Extractor):
    """An extractor whose features are the mean and the corner of an image, and whose "logits" are their negatives."""

    key = name = "pixels"
    channels = 3
    has_classes = True
    batch_size = 4

    def preprocess(self, images):
        return np.stack([images.mean(axis=(1, 2, 3)), images[:, 0, 0, 0]], axis=-1).astype(np.float32)

    def forward(self, inputs):
        return inputs, -inputs


IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 3), np.uint8)


def in_memory_map(images, folder):
    np.save(folder / "images.npy", images)
    return np.load(folder / "images.npy", mmap_mode="r")


# container → function that makes it from an array
CONTAINERS = {
    "array": lambda images, folder: images,
    "memory map": in_memory_map,
    "tensor": lambda images, folder: tf.constant(images),
    "list of arrays": lambda images, folder: list(images),
    "list of tensors": lambda images, folder: [tf.constant(image) for image in images],
}
every_container = pytest.mark.parametrize("container", CONTAINERS)


def test_all_batches_in_order_with_the_last_one_smaller():
    batches = list(Pixels().activations(IMAGES))
    assert [len(features) for features, _ in batches] == [4, 4, 2]
    np.testing.assert_allclose(Pixels().features(IMAGES)[:, 0], IMAGES.mean(axis=(1, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(Pixels().logits(IMAGES), -Pixels().features(IMAGES))


def test_parts_are_whole_batches_as_equal_as_they_can_be():
    for count, lengths in ((1, [[4, 4, 2]]), (2, [[4], [4, 2]]), (5, [[], [4], [], [4], [2]])):
        parts = [list(Pixels().activations(IMAGES, shard=(number, count))) for number in range(1, count + 1)]
        assert [[len(features) for features, _ in part] for part in parts] == lengths
        found = np.concatenate([features for part in parts for features, _ in part])
        np.testing.assert_array_equal(found, Pixels().features(IMAGES))
    assert [shard_bounds(10, (number, 3)) for number in (1, 2, 3)] == [(0, 3), (3, 6), (6, 10)]


def test_a_progress_bar_counts_the_images_of_a_part_if_it_is_asked_for(capsys):
    Pixels().features(IMAGES)
    assert capsys.readouterr() == ("", "")
    Pixels().features(IMAGES, shard=(2, 2), verbose=True)
    shown = capsys.readouterr().out
    assert "4/6" in shown
    assert "6/6" in shown
    assert shown.rstrip().endswith("/image")


class OfArguments(Pixels):
    """An extractor with arguments."""

    def __init__(self, channels, *, batch_size):
        self.channels, self.batch_size = channels, batch_size


def test_a_pickled_extractor_is_built_again_from_its_arguments_once():
    pickled = pickle.dumps(OfArguments(1, batch_size=7))
    again = pickle.loads(pickled)
    assert (type(again), again.channels, again.batch_size) == (OfArguments, 1, 7)
    assert pickle.loads(pickled) is again


@every_container
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_every_container_and_type_gives_the_same_features(container, dtype, tmp_path):
    images = IMAGES if dtype == np.uint8 else (IMAGES / 255).astype(dtype)
    features = Pixels().features(CONTAINERS[container](images, tmp_path))
    np.testing.assert_array_equal(features, Pixels().features(IMAGES))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255)])
def test_floats_are_rounded_to_the_bytes_of_a_file(low, high):
    floats = low + np.float32(IMAGES) / 255 * (high - low)
    found = to_bytes(floats, (low, high))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, IMAGES)
    np.testing.assert_array_equal(Pixels().features(floats, value_range=(low, high)), Pixels().features(IMAGES))
    np.testing.assert_array_equal(Pixels().logits(floats, value_range=(low, high)), Pixels().logits(IMAGES))


# Of each kind only the last image is wrong.
def wrong_range(dtype):
    return np.concatenate([IMAGES[:9] / 255, IMAGES[9:] / 127.5 - 1]).astype(dtype)


WRONG = {
    "[-1, 1]": (wrong_range(np.float32), r"from -.* outside \[0, 1\]"),
    "[-1, 1] in float16": (wrong_range(np.float16), r"outside \[0, 1\]"),
    "[-1, 1] in float64": (wrong_range(np.float64), r"outside \[0, 1\]"),
    "0…255": (np.concatenate([IMAGES[:9] / 255, IMAGES[9:]]).astype(np.float32), r"outside \[0, 1\]"),
    "infinity": (np.concatenate([IMAGES[:9] / 255, IMAGES[9:] + np.inf]), "to inf, outside"),
    "NaN": (np.concatenate([IMAGES[:9] / 255, IMAGES[9:] * np.nan]).astype(np.float32), "NaN"),
    "integers": (IMAGES.astype(np.int32), "uint8 or float, not int32"),
    "two channels": (IMAGES[..., :2], r"\[n, h, w, 1 or 3\], not \[\d+, 6, 5, 2\]"),
    "no channels": (IMAGES[..., 0], r"\[n, h, w, 1 or 3\], not \[\d+, 6, 5\]"),
    "no images": (IMAGES[:0], "no images"),
}


@every_container
@pytest.mark.parametrize("kind", WRONG)
def test_wrong_images_are_refused_in_every_container(container, kind, tmp_path):
    images, message = WRONG[kind]
    if container == "memory map" and not len(images):
        pytest.skip("an empty file cannot be mapped")
    with pytest.raises(InputError, match=message):
        list(Pixels().activations(CONTAINERS[container](images, tmp_path)))


@pytest.mark.parametrize("container", ["array", "memory map", "tensor"])
def test_an_array_is_refused_before_work_starts(container, tmp_path):
    images = CONTAINERS[container](WRONG["NaN"][0], tmp_path)
    with pytest.raises(InputError, match="NaN"):
        next(Pixels().activations(images))


def test_a_part_checks_its_own_images_alone():
    assert len(Pixels().features(WRONG["NaN"][0], shard=(1, 2))) == 4
    with pytest.raises(InputError, match="NaN"):
        next(Pixels().activations(WRONG["NaN"][0], shard=(2, 2)))


def test_grey_values_are_repeated_and_colours_never_dropped():
    grey = Pixels().features(IMAGES[..., :1])
    np.testing.assert_array_equal(grey, Pixels().features(np.repeat(IMAGES[..., :1], 3, axis=-1)))
    one_channel = Pixels()
    one_channel.channels = 1
    with pytest.raises(InputError, match="takes images of 1 channels, these have 3"):
        one_channel.features(IMAGES)


@pytest.mark.parametrize("heights", [[3, 4, 5] * 3, [3, 4] * 5, [3] * 4 + [4] * 6])  # the last: not within a batch
def test_images_of_several_sizes_are_resized_one_by_one_with_a_note(heights, capsys):
    images = [image[:height] for image, height in zip(IMAGES, heights, strict=False)]
    expected = [[image.mean(), image[0, 0, 0]] for image in images]
    np.testing.assert_allclose(Pixels().features(images), expected, rtol=1e-6)
    assert capsys.readouterr().err == "note: the images differ in size; each is resized by itself\n"


def test_grey_and_colour_images_may_be_mixed(capsys):
    images = [IMAGES[0], IMAGES[1, ..., :1], IMAGES[2]]
    expected = [image.mean() for image in images]
    np.testing.assert_allclose(Pixels().features(images)[:, 0], expected, rtol=1e-6)
    assert not capsys.readouterr().err


def test_an_extractor_without_classes_has_no_logits():
    without = Pixels()
    without.has_classes = False
    with pytest.raises(InputError, match="pixels has no class logits"):
        without.logits(IMAGES)


def test_bytes_pass_the_check_and_so_do_rounding_errors_of_floats():
    check_images(IMAGES)
    check_images(np.float32([1 + 1e-6, -1e-6]).reshape(2, 1, 1, 1))
    for low, high in ((-1, 1), (0, 255)):  # a thousandth of the range
        ends = np.array([low, high]).reshape(2, 1, 1, 1)
        check_images(ends + 0.9e-3 * (high - low), (low, high))
        check_images(ends - 0.9e-3 * (high - low), (low, high))
        for beyond in (-1.1e-3, 1.1e-3):
            with pytest.raises(InputError, match="outside"):
                check_images(ends + beyond * (high - low), (low, high))
