"""Fixtures that several test files share: few of the real images."""

import inspect
import os

import numpy as np
import pytest

from hw5 import data
from hw5.data import names
from hw5.figures import plots
from hw5.files import atomic_write

if "MUTANT_UNDER_TEST" in os.environ:  # Keras reads the arguments of `__init__`, which mutmut wraps, from the wrapper
    getfullargspec = inspect.getfullargspec
    inspect.getfullargspec = lambda function: getfullargspec(inspect.unwrap(function))


@pytest.fixture(scope="session")
def digits():
    """The first 2,000 MNIST training images, uint8 [2000, 28, 28, 1]."""
    return data.load("mnist", limit=2000)


@pytest.fixture(scope="session")
def fid_network():
    """InceptionV3 of published FIDs; to build it takes seconds."""
    from hw5.metrics.inception import Inception

    return Inception("fid")


@pytest.fixture(scope="session")
def small_store(tmp_path_factory):
    """A folder of embedded datasets of which mnist and cartoon_faces have few images: validation takes no time."""
    folder = tmp_path_factory.mktemp("store")
    counts = {"mnist": dict(train=600, test=100), "cartoon_faces": dict(train=320, validation=30, test=30)}
    for name, split_counts in counts.items():
        arrays = {f"{split}_images": data.load(name, split, limit=n) for split, n in split_counts.items()}
        if name == "mnist":
            labels = {split: data.load(name, split, feature="label", limit=n) for split, n in split_counts.items()}
            arrays |= {f"{split}_labels": values for split, values in labels.items()}
        (folder / name).mkdir()
        np.savez(folder / name / f"{name}.npz", **arrays)
    (folder / "emojione").symlink_to(data.STORE / "emojione")
    return folder


@pytest.fixture
def undrawn(monkeypatch):
    """Empty files in place of figures of this process, which take longer than a tiny training."""

    def save(_, path):
        with atomic_write(path) as partial:
            partial.touch()

    monkeypatch.setattr(plots, "_save", save)


@pytest.fixture
def few_images(small_store, monkeypatch):
    """Let this process read the embedded datasets of `small_store`. Returns that folder."""
    monkeypatch.setattr(names, "STORE", small_store)
    return small_store


@pytest.fixture(scope="module")
def without_data():
    """Let the grading of this process copy no datasets for submissions, which take longer than tests of a few lines."""
    from hw5.homework import inbox

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "supply_folder", lambda folder: folder.mkdir() or folder)
        yield
