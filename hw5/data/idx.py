"""Files in the IDX format, in which MNIST and its relatives are distributed."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from hw5.errors import InputError

BYTES = 8  # code of the only type that images and labels have


def read_idx(path: Path, dimensions: int, encoded: bytes | None = None) -> np.ndarray:
    """Read an IDX file of bytes, gzipped or not: uint8 of the shape in its header.

    Args:
        path: of the file; for messages alone if `encoded`, its contents, are given.
        dimensions: 3 for images, 1 for labels.

    Raises:
        InputError: it is damaged, has another number of dimensions, or no elements.
    """
    try:
        if encoded is None:
            if not path.is_file():
                raise ValueError("not a file")
            encoded = path.read_bytes()
        if encoded.startswith(b"\x1f\x8b"):
            encoded = gzip.decompress(encoded)
        if not is_idx(encoded) or encoded[2] != BYTES:
            raise ValueError("not an IDX file of bytes")
        start = 4 + 4 * encoded[3]
        shape = np.frombuffer(encoded[:start], ">i4", encoded[3], offset=4)
        if len(shape) != dimensions or not all(shape > 0):
            wanted = {1: "labels", 3: "images"}[dimensions]
            raise ValueError(f"its shape is {shape.tolist()}; {wanted} have {dimensions} dimensions")
        return np.frombuffer(encoded, np.uint8, offset=start).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as an IDX file ({error})") from error


def is_idx(start: bytes) -> bool:
    """Check the first four bytes of a file (not gzipped) for those of IDX: zeros, a type, the dimensions."""
    return len(start) >= 4 and start[:2] == b"\0\0" and 8 <= start[2] <= 14 and 1 <= start[3] <= 4
