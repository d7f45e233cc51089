"""Images on their way to the features: kinds, ranges, sizes."""

import numpy as np
import pytest

from hw5.errors import InputError
from hw5.metrics.extractor import Extractor, check_images, to_bytes


class Pixels(Extractor):
    """Features are the mean and the corner of an image; "logits" are their negatives."""

    name = "pixels"
    channels = 3
    batch_size = 4

    def scale(self, images):
        return np.stack([images.mean(axis=(1, 2, 3)), images[:, 0, 0, 0]], axis=-1).astype(np.float32)

    def network(self, scaled):
        return scaled, -scaled


IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 3), np.uint8)


def test_all_batches_in_order_with_the_last_one_smaller():
    batches = list(Pixels().activations(IMAGES))
    assert [len(features) for features, _ in batches] == [4, 4, 2]
    np.testing.assert_allclose(Pixels().features(IMAGES)[:, 0], IMAGES.mean(axis=(1, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(Pixels().logits(IMAGES), -Pixels().features(IMAGES))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255)])
def test_floats_count_as_the_bytes_they_would_be_saved_as(low, high):
    floats = low + np.float32(IMAGES) / 255 * (high - low)
    np.testing.assert_array_equal(to_bytes(floats, (low, high)), IMAGES)
    np.testing.assert_array_equal(Pixels().features(floats, value_range=(low, high)), Pixels().features(IMAGES))


@pytest.mark.parametrize(("images", "message"), [
    (np.float32(IMAGES) / 127.5 - 1, r"from -1 to 1, outside \[0, 1\]"),
    (np.float32(IMAGES), r"outside \[0, 1\]"),
    (np.where(IMAGES > 250, np.nan, IMAGES / 255), "NaN"),
    (IMAGES.astype(np.int32), "int32"),
    (IMAGES[0], r"not \[6, 5, 3\]"),
    (np.zeros((3, 4, 4, 4), np.uint8), r"not \[3, 4, 4, 4\]"),
    (IMAGES[:0], "no images"),
])  # fmt: skip
def test_what_is_no_images_in_their_range_is_refused_before_work_starts(images, message):
    with pytest.raises(InputError, match=message):
        next(Pixels().activations(images))


def test_grey_values_are_repeated_and_colours_never_dropped():
    grey = Pixels().features(IMAGES[..., :1])
    np.testing.assert_array_equal(grey, Pixels().features(np.repeat(IMAGES[..., :1], 3, axis=-1)))
    single = Pixels()
    single.channels = 1
    with pytest.raises(InputError, match="takes images of 1 channels, these have 3"):
        single.features(IMAGES)


def test_a_sequence_of_sizes_is_scaled_one_by_one_and_said_so(capsys):
    images = [IMAGES[i, : 3 + i % 3] for i in range(9)]
    expected = [[image.mean(), image[0, 0, 0]] for image in images]
    np.testing.assert_allclose(Pixels().features(images), expected, rtol=1e-6)
    assert capsys.readouterr().err.count("differ in size") == 1


def test_bytes_pass_the_check_and_so_do_rounding_errors_of_floats():
    check_images(IMAGES)
    check_images(np.float32([1 + 1e-6, -1e-6]).reshape(2, 1, 1, 1))
