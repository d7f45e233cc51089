"""Fixtures that several test files share: a few real digits."""

import pytest

from hw5 import data


@pytest.fixture(scope="session")
def digits():
    """The first 2,000 MNIST training images, uint8 [2000, 28, 28, 1]."""
    return data.load("mnist", limit=2000)
