"""Sheet 003, 3.1: interpolation between codes."""

import numpy as np
import pytest
from claims import assert_terms_are_of_models
from drawings import pictures, row_in
from submission import hw5


@pytest.mark.runs
@pytest.mark.points(6, part="9.1")
def test_only_training_images_are_trained_on(section_run):
    """A whole pass over the images: all of them are training images, and none is a test image."""
    done = section_run(9)
    fed = {image.tobytes() for fit in done.fits if fit["images"] is not None for image in fit["images"]}
    train, test = ({image.tobytes() for image in hw5.data.load("mnist", split)} for split in ("train", "test"))
    assert len(fed) > 40_000
    assert not fed & test
    assert fed <= train
    assert all(fit["moved"] > 0.9 for fit in done.fits)
    if "test" in done.results:
        images = np.float32(hw5.data.load("mnist", "test")) / 255
        assert_terms_are_of_models(done.models, [done.results["test"]], images)


@pytest.mark.runs
@pytest.mark.points(2, part="9.2")
@pytest.mark.parametrize(("name", "same"), [("same_class", True), ("different_classes", False)])
def test_ten_pairs_of_test_images(section_run, name, same):
    """Ten rows: a test image, seven decoded images between the codes of both, and the other test image."""
    done = section_run(9)
    first, last = (np.asarray(positions) for positions in done.results[name])
    labels = hw5.data.load("mnist", "test", feature="label")
    assert len(set(first) | set(last)) == 20
    np.testing.assert_array_equal(labels[first] == labels[last], same)
    images = np.float32(hw5.data.load("mnist", "test")) / 255
    shares = np.arange(1, 8)[:, None] / 8
    drawn = pictures(done)

    def rows_of(model):
        codes = np.asarray(model.encode(images[first])), np.asarray(model.encode(images[last]))
        for one, other, start, end in zip(images[first], images[last], *codes, strict=True):
            between = np.asarray(model.decode(np.float32(start + shares * (end - start))))
            yield np.concatenate([one[None], between, other[None]])[..., 0]

    assert any(any(all(row_in(row, picture) for row in rows_of(model)) for picture in drawn) for model in done.models)
