"""Sheet 003, 3.1: interpolation between codes."""

import numpy as np
import pytest
from submission import hw5


@pytest.mark.runs
@pytest.mark.points(6, part="9.1")
def test_only_training_images_are_trained_on(section_run):
    fed = np.concatenate([batch for batch in section_run(9).fed if batch.ndim == 4])
    fed = {image.tobytes() for image in np.round(255 * fed).astype(np.uint8)}
    train, test = ({image.tobytes() for image in hw5.data.load("mnist", split)} for split in ("train", "test"))
    assert fed
    assert not fed & test
    assert fed <= train


@pytest.mark.runs
@pytest.mark.points(2, part="9.2")
@pytest.mark.parametrize(("name", "same"), [("same_class", True), ("different_classes", False)])
def test_ten_pairs_of_test_images(section_run, name, same):
    done = section_run(9)
    first, last = (np.asarray(positions) for positions in done.results[name])
    labels = hw5.data.load("mnist", "test", feature="label")
    assert len(set(first) | set(last)) == 20
    np.testing.assert_array_equal(labels[first] == labels[last], same)
    assert len(done.figures) >= 2
