"""Arrays of images in the layouts that people have, and the `.npy` and `.npz` files that hold them."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from hw5.data.image_files import note, open_zip, printable
from hw5.errors import InputError

STATISTICS = {"mu", "sigma", "mean", "covariance"}  # arrays in a file of features' statistics
MAX_DIGITS = 18  # of labels that are numbers as text: int64 has all numbers of so many digits


def read_arrays(path: Path, encoded: bytes | None = None) -> dict[str, np.ndarray]:
    """Read a `.npy` file (its array is called "") or all arrays of a `.npz` file, without unpickling.

    A `.npy` file on the disk is mapped into memory. It has no checksum. Those of a `.npz` file are checked.

    Args:
        path: of the file; for messages alone if `encoded`, its contents, are given.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        if encoded is None and not path.is_file():
            raise ValueError("not a file" if path.exists() else "no such file")
        file = path if encoded is None else io.BytesIO(encoded)
        if zipfile.is_zipfile(file):
            with open_zip(file) as archive:
                return _decode_all(path, {name: archive.read(name) for name in archive.namelist()})
        if encoded is not None:
            return {"": _decode(encoded)}
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.offset + array.nbytes != path.stat().st_size:
            raise ValueError("its size is not that of its array")
        return {"": array}
    except Exception as error:  # NumPy and zipfile raise errors of many types, tokenize.TokenError among them
        reason = printable(" ".join(str(error).split())[:200] or type(error).__name__)
        raise InputError(f"{printable(path)}: cannot be read as an array ({reason})") from error


def _decode_all(path, members):
    """Decode the members of an archive; pickles beside arrays are left out."""
    arrays, pickles = {}, []
    for name, encoded in members.items():
        try:
            arrays[name.removesuffix(".npy")] = _decode(encoded)
        except ValueError as error:
            if "Object arrays" not in str(error):
                raise
            pickles.append(name)
    if not arrays:
        raise ValueError("pickles of Python objects, which are never loaded" if pickles else "no arrays")
    if pickles:
        note(f"{printable(path)}: skipped {', '.join(map(printable, pickles))}, pickles of Python objects")
    return arrays


def _decode(encoded):
    file = io.BytesIO(encoded)
    array = np.lib.format.read_array(file, allow_pickle=False)
    if file.read(1):
        raise ValueError("it is longer than its array")
    return array


def to_nhwc(array: np.ndarray) -> np.ndarray:
    """Return images as [n, h, w, 1 or 3], a view of any layout that can only mean one thing.

        [n, h, w, 1 or 3]   as it is, if h is neither 1 nor 3
        [n, 1 or 3, h, w]   channels first, if w is neither 1 nor 3
        [n, h, w]           grey, if neither n nor w could be the channels of a single image, and n not be the width
        [n, s²]             grey squares, as 784 = 28², if n is another number: a single image may be [s², s²]

    Raises:
        InputError: other layouts.
    """
    shape, few = array.shape, (1, 3, 4)
    if len(shape) == 2 and (side := math.isqrt(shape[1])) ** 2 == shape[1] != shape[0] and side > 1:
        return array.reshape(len(array), side, side, 1)
    if len(shape) == 3 and shape[2] not in few and shape[0] != 3 and not shape[0] == shape[1] != shape[2]:
        return array[..., None]
    if len(shape) == 4:
        first, last = shape[1] in (1, 3), shape[3] in (1, 3)
        if (last and not first) or shape[1:] == (1, 1, 1):
            return array
        if first and not last:
            return np.moveaxis(array, 1, -1)
    raise InputError(
        f"an array {list(shape)} is not clearly images; write them as [n, h, w, 1 or 3], [n, h, w] or [n, 1 or 3, h, w]"
    )


def numbered(labels: dict[str | None, np.ndarray]) -> tuple[dict[str | None, np.ndarray], list[str]]:
    """Replace labels that are names of classes by their numbers, in the order of the names.

    Args:
        labels: split → labels.

    Returns:
        (split → labels, names of the classes). There are no names if the labels are numbers, also as text.
    """
    if not labels or not {array.dtype.kind for array in labels.values()} <= {"U", "S"}:
        return labels, []
    texts = {
        split: np.char.decode(array, errors="replace") if array.dtype.kind == "S" else array
        for split, array in labels.items()
    }
    names = np.unique(np.concatenate([array.ravel() for array in texts.values()]))
    if np.char.isdecimal(names).all() and np.char.str_len(names).max() <= MAX_DIGITS:
        return {split: array.astype(np.int64) for split, array in texts.items()}, []
    return {split: np.searchsorted(names, array) for split, array in texts.items()}, names.tolist()


def to_labels(array: np.ndarray, count: int) -> np.ndarray:
    """Return labels as int64 [count]: from [count], [count, 1], or one-hot rows [count, classes].

    Raises:
        InputError: another shape, or numbers that are no labels.
    """
    labels = np.asarray(array)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2 and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all():
        labels = labels.argmax(axis=1)
    if labels.shape != (count,):
        raise InputError(f"labels {list(np.shape(array))} for {count} images")
    is_whole = labels.dtype.kind in "buif" and (labels == np.floor(labels)).all()
    if not is_whole or (np.abs(np.float64(labels)) >= 2**63).any():  # larger ones and infinity would become others
        raise InputError("labels must be whole numbers, of up to 63 bits")
    return labels.astype(np.int64)
