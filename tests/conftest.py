"""Fixtures that several test files share: a few real digits."""

import inspect
import os

import pytest

from hw5 import data

if "MUTANT_UNDER_TEST" in os.environ:  # Keras reads the arguments of `__init__`, which mutmut wraps, from the wrapper
    getfullargspec = inspect.getfullargspec
    inspect.getfullargspec = lambda function: getfullargspec(inspect.unwrap(function))


@pytest.fixture(scope="session")
def digits():
    """The first 2,000 MNIST training images, uint8 [2000, 28, 28, 1]."""
    return data.load("mnist", limit=2000)
