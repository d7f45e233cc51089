"""Checkpoints: the complete state of a training, to resume it after a kill.

A checkpoint is one `.npz` file: the variables, and as JSON where the training stood. It is written under
a temporary name and renamed. Zip files carry checksums, so a damaged file is noticed.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from hw5.data.arrays import read_arrays
from hw5.errors import InputError
from hw5.files import atomic_write

CHECKPOINTS_KEPT = 2  # if the latest is damaged, the one before it is used
STATE = "state"


def save(folder: Path, step: int, variables: Sequence[keras.Variable], state: dict) -> None:
    """Write `STEP.npz` and remove all but the latest two.

    Args:
        state: the rest of the state, as JSON.
    """
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    with atomic_write(folder / f"{step:09}.npz") as partial:
        np.savez(partial, **{STATE: text}, **{str(i): np.asarray(value) for i, value in enumerate(variables)})
    for path in _paths(folder)[:-CHECKPOINTS_KEPT]:
        path.unlink()


def latest(folder: Path) -> tuple[list[np.ndarray], dict] | None:
    """Return (arrays, state) of the latest readable checkpoint, or None if there is none.

    A damaged one is named on stderr.

    Raises:
        InputError: there are checkpoints, and all are damaged.
    """
    paths = _paths(folder)
    for path in reversed(paths):
        try:
            arrays = read_arrays(path)
            state = json.loads(arrays.pop(STATE).tobytes())
            return [arrays[str(i)] for i in range(len(arrays))], state
        except (InputError, ValueError, KeyError) as error:
            reason = " ".join(str(error).removeprefix(f"{path}: ").split())[:100]
            print(f"warning: checkpoint {path} is damaged ({reason})", file=sys.stderr)
    if paths:
        raise InputError(f"{folder}: no checkpoint is readable; restart=True starts over")
    return None


def assign(variables: Sequence[keras.Variable], arrays: Sequence[np.ndarray]) -> None:
    """Assign the values of a checkpoint to the variables.

    Raises:
        ValueError: they are not those that were saved.
    """
    if [tuple(v.shape) for v in variables] != [array.shape for array in arrays]:
        raise ValueError("the checkpoint is of another model")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _paths(folder):
    return sorted(folder.glob("[0-9]*.npz"))
