"""Checkpoints: reading returns the values that were written."""

import os

import keras
import numpy as np
import pytest

from hw5.errors import InputError
from hw5.training import checkpoints

STATE = {"step": 12, "history": {"loss": [0.1, 1 / 3]}, "settings": {"seed": 0, "folder": "Größe"}}


def variables(fill=None):
    """Make variables like a matrix, an optimizer's counter, a seed generator's state and a learning rate."""
    rng = np.random.default_rng(0)
    values = [
        rng.standard_normal((3, 4), np.float32),
        np.array(2**40 + 1, np.int64),
        rng.integers(0, 2**32, 2, np.uint32),
        np.array(0.1, np.float32),
    ]
    return [keras.Variable(value if fill is None else np.full_like(value, fill), dtype=value.dtype) for value in values]


@pytest.fixture
def saved(tmp_path):
    """A folder with the checkpoint of step 12."""
    checkpoints.save(tmp_path, 12, variables(), STATE)
    return tmp_path


def test_reading_returns_the_written_values(saved):
    arrays, state = checkpoints.latest(saved)
    assert state == STATE
    restored = variables(fill=1)
    checkpoints.assign(restored, arrays)
    for variable, array, expected in zip(restored, arrays, variables(), strict=True):
        assert array.dtype == variable.dtype == expected.dtype
        assert array.shape == expected.shape
        np.testing.assert_array_equal(array, expected)
        np.testing.assert_array_equal(variable, expected)


def test_infinities_and_bits_of_nan_survive(tmp_path):
    bits = np.array([0x7F800000, 0xFF800000, 0x7FC00001, 0x80000000, 0x00000001], np.uint32)  # ±∞, NaN, −0, tiny
    checkpoints.save(tmp_path, 1, [keras.Variable(bits.view(np.float32))], {})
    (array,), _ = checkpoints.latest(tmp_path)
    np.testing.assert_array_equal(array.view(np.uint32), bits)


def test_more_variables_than_ten_keep_their_order(tmp_path):
    checkpoints.save(tmp_path, 1, [keras.Variable(float(i)) for i in range(25)], {})
    assert [float(array) for array in checkpoints.latest(tmp_path)[0]] == list(range(25))


def test_only_the_latest_are_kept(tmp_path):
    for step in (5, 90, 100, 1_000_000):
        checkpoints.save(tmp_path, step, variables(), {"step": step})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["000000100.npz", "001000000.npz"]
    assert len(names) == checkpoints.CHECKPOINTS_KEPT
    assert checkpoints.latest(tmp_path)[1] == {"step": 1_000_000}


def test_no_checkpoint(tmp_path):
    assert checkpoints.latest(tmp_path) is None
    assert checkpoints.latest(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "others",
    [
        lambda: variables()[:-1],
        lambda: [*variables(), keras.Variable(0.0)],
        lambda: [keras.Variable(np.zeros((4, 3), np.float32)), *variables()[1:]],
        lambda: [*variables()[:-1], keras.Variable([0.1])],
    ],
    ids=["fewer", "more", "another shape", "a vector for a number"],
)
def test_other_variables_are_refused_and_stay_as_they_were(others, saved):
    others = others()
    before = [variable.numpy() for variable in others]
    with pytest.raises(ValueError, match="the checkpoint is of another model"):
        checkpoints.assign(others, checkpoints.latest(saved)[0])
    for variable, value in zip(others, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_half_written_file_of_a_killed_process_is_no_checkpoint(saved, capsys):
    half = saved / ".partial.0badcafe-1-0.000000013.npz"
    half.write_bytes((saved / "000000012.npz").read_bytes()[:100])
    os.utime(half, (0, 0))
    assert checkpoints.latest(saved)[1] == STATE
    assert not capsys.readouterr().err
    checkpoints.save(saved, 13, variables(), {"step": 13})
    assert sorted(path.name for path in saved.iterdir()) == ["000000012.npz", "000000013.npz"]
    assert checkpoints.latest(saved)[1] == {"step": 13}


def test_a_half_written_file_alone_is_no_checkpoint(tmp_path):
    (tmp_path / ".partial.0badcafe-1-0.000000013.npz").write_bytes(b"half")
    assert checkpoints.latest(tmp_path) is None


def test_a_damaged_one_is_named_once_with_the_reason(saved, capsys):
    path = saved / "000000012.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="no checkpoint is readable"):
        checkpoints.latest(saved)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: checkpoint {path} is damaged (cannot be read as")
    assert line.count(str(path)) == 1
