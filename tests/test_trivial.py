"""The losses of trivial predictors, against numbers worked out by hand."""

from math import log

import numpy as np
import pytest

from hw5.metrics import trivial_losses


def test_losses_by_hand():
    """Check two training images of two pixels, (0, 1) and (0, 0), on the images (0, 1) and (1, 1).

    The mean image is (0, 1/2), and its probabilities are 1/4 and 2/4. The grey value is 1/4, of probability 2/6.
    """
    training = np.array([[0, 255], [0, 0]], np.uint8).reshape(2, 1, 2, 1)
    images = np.array([[0, 255], [255, 255]], np.uint8).reshape(2, 1, 2, 1)
    losses = trivial_losses(training, images)
    # the first pixel is 0 and 1, the second 1 and 1
    assert losses["mean image"]["negative_elbo"] == pytest.approx(-(log(3 / 4) + log(1 / 4)) / 2 - log(1 / 2))
    assert losses["mean image"]["mse"] == pytest.approx((0 + 1 + 1 / 4 + 1 / 4) / 4)
    assert losses["constant pixel"]["negative_elbo"] == pytest.approx(-(log(2 / 3) + 3 * log(1 / 3)) / 2)
    assert losses["constant pixel"]["mse"] == pytest.approx((1 / 16 + 3 * 9 / 16) / 4)


def test_grey_values_are_probabilities():
    """Check images that are all 51 = 1/5: the entropy of 1/5 per pixel, and no squared error."""
    images = np.full((1000, 3, 4, 1), 51, np.uint8)
    for losses in trivial_losses(images, images[:7]).values():
        entropy = -(log(1 / 5) / 5 + log(4 / 5) * 4 / 5)
        # the rule of succession moves the probability by at most 1/1000, of no effect in the first order
        assert losses["negative_elbo"] == pytest.approx(12 * entropy, rel=1e-5)
        assert losses["mse"] == pytest.approx(0, abs=1e-15)


def test_the_mean_image_is_the_better_predictor(digits):
    losses = trivial_losses(digits[:300], digits[300:])
    for loss in ("negative_elbo", "mse"):
        assert 0 < losses["mean image"][loss] < losses["constant pixel"][loss]
