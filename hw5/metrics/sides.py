"""The sides of a comparison: images or statistics that a name stands for, opened and checked, but not yet computed.

Images stay where they are. A side is a sequence that reads, decodes and converts a slice when it is used, so memory
does not grow with the number of images.
"""

import contextlib
import math
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hw5 import data
from hw5.data import prepared
from hw5.data.idx import read_idx
from hw5.data.image_files import FILE_MENDS, ImageFiles, note, open_zip, printable
from hw5.data.layout import parse_name
from hw5.data.local import LocalDataset, find_images, parts_of_arrays, starts_as_idx
from hw5.data.names import find_dataset
from hw5.errors import InputError, reason_of
from hw5.metrics.extractor import Extractor, to_bytes
from hw5.metrics.statistics import (
    STATISTICS_NAMES,
    UNREADABLE,
    Statistics,
    holds_statistics,
    load_shards,
)

KNOWN = "a folder or zip file of images, a .npy, .npz or IDX file, or a dataset"
NAME_AND_SPLIT = re.compile(r"([^:]*(?::\d+\.[\d*]+\.[\d*]+)?)(?::(.*))?", re.DOTALL)  # mnist, mnist:3.0.1:test
FLAT_SIZES = (28, 32, 48, 64, 96, 128, 256)  # heights of square grey images that are stored as rows of numbers
MAX_ASPECT = 16  # of grey images without a channel axis; a longer side is more likely another axis
USUAL_RANGES = ("0,1", "-0.5,0.5", "-1,1", "0,255", "-128,127", "0,1023", "0,4095", "0,65535")
SCAN_BYTES = 2**24  # of an array that are checked at once


def open_side(
    side: str, extractor: Extractor, value_range: tuple[float, float] | None = None, limit: int | None = None
) -> Sequence | Statistics:
    """Open the images or statistics that REAL or FAKE names.

    The name of a dataset is never taken for a folder of that name here, which is written `./mnist`.

    Args:
        value_range: (black, white) of arrays, if the user gave it (see `numbers_range`).
        limit: use only the first n images.

    Returns:
        Statistics, or a sequence of images whose slices are uint8 images [h, w, 1 or 3].

    Raises:
        InputError: it does not exist, or cannot be read; an array is damaged, has values outside its range, or it is
            not clear where its images or their colours are.
    """
    if not side:
        raise InputError("the name of a side is empty; name a folder, a file or a dataset")
    if "://" in side:
        raise InputError(f"{side}: is an address; download it, and name the file")
    name, split = (side, None) if os.path.lexists(side) else NAME_AND_SPLIT.fullmatch(side).groups()
    try:
        path = data.find_path(name)
        mode = path and path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise InputError(f"{side}: {reason_of(error)}") from error
    if path is None:
        return data.load(name, split or "train", limit=limit)
    if mode is not None and not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise InputError(f"{side}: is a pipe, a socket or a device, not {KNOWN}")
    if mode is None or split:
        return _open_dataset(path, split, value_range, limit)
    if stat.S_ISDIR(mode):
        return load_shards(path) or _open_folder(path, extractor, value_range, limit)
    if path.suffix.lower() in (".npy", ".npz"):
        return _open_array(path, value_range, limit)
    if zipfile.is_zipfile(path):
        return _open_folder(path, extractor, value_range, limit)
    if starts_as_idx(path):
        return read_idx(path, 3)[:limit, ..., None]
    raise InputError(f"{side}: is not {KNOWN}{FILE_MENDS.get(path.suffix.lower(), '')}")


def _open_folder(path, extractor, value_range, limit):
    """Open all images of a folder or zip file; or the dataset that it is, with its training split."""
    if not _is_prepared(path) and (files := find_images(path)):
        return Folder(files, extractor.channels, limit)
    return _open_dataset(path, None, value_range, limit)


def _open_dataset(path, split, value_range, limit):
    """Read a dataset of a path, as `hw5.data.load` does; by default all of a single set of images, or train.

    Arrays in it have the range of the user.
    """
    if value_range is None or _is_prepared(path) or find_images(path):
        dataset = find_dataset(path)
    else:

        def ends(extremes, dtype):
            return numbers_range(dtype, extremes.smallest, extremes.largest, value_range)

        dataset = LocalDataset(path, parts_of_arrays(path, ends))
    if isinstance(dataset, LocalDataset):
        is_single = len({id(part) for part, _ in dataset.splits.values()}) == 1
        return dataset.load(split or ("all" if is_single else "train"), limit=limit)
    return prepared.load(dataset, split or "train", limit=limit)


def _is_prepared(path):
    """Check for a folder of TFDS."""
    return any(path.glob("dataset_info.json")) or any(path.glob("*/dataset_info.json"))


class Folder:
    """The images of a folder or zip file, as a sequence that reads each slice when it is used."""

    def __init__(self, files: ImageFiles, channels: int, limit: int | None):
        self.files = files
        self.names = files.names[:limit]
        self.channels = channels

    def __len__(self):
        return len(self.names)

    def __getitem__(self, part: slice) -> list[np.ndarray]:
        return [self.files.read(name, None, self.channels) for name in self.names[part]]


class StoredArray:
    """An array in an open `.npy` file or in a member of an `.npz` file, read row by row, never unpickled.

    Args:
        file: the open file or member.
        size: its bytes, to notice one that is cut off, or says in its header that it is smaller.

    Attributes:
        shape, dtype: of the array.
        row_bytes: bytes of one row, the values that share the first index.

    Raises:
        One of `UNREADABLE`: it is damaged, encrypted or no array.
    """

    def __init__(self, file: BinaryIO, size: int):
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(np.lib.format.read_magic(file))
        if read_header is None:  # what version 3.0 is for
            raise ValueError("an array of named fields")
        self.shape, self._is_fortran, self.dtype = read_header(file)
        self.row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        self._file, self._start, self._whole = file, file.tell(), None
        expected = math.prod(self.shape) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or (not self.dtype.hasobject and size != self._start + expected):
            raise ValueError(f"cut off or not what it says: {size - self._start:,} of {expected:,} bytes")

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read the rows from `start` to `stop` of the first axis."""
        stop = min(stop, self.shape[0])
        if self._is_fortran:  # its rows are spread over the whole file
            if self._whole is None:
                self._file.seek(self._start)
                values = np.frombuffer(self._file.read(), self.dtype, math.prod(self.shape))
                self._whole = values.reshape(self.shape, order="F")
            return self._whole[start:stop]
        self._file.seek(self._start + start * self.row_bytes)
        content = self._file.read((stop - start) * self.row_bytes)
        if len(content) != (stop - start) * self.row_bytes:
            raise ValueError("cut off")
        return np.frombuffer(content, self.dtype).reshape(stop - start, *self.shape[1:])


class ArrayImages:
    """The images of a stored array, as a sequence that reads and converts each slice when it is used.

    Args:
        path: names the array in messages.
        array: numbers in one of the layouts of `find_layout`.
        value_range, limit: as in `open_side`.

    Raises:
        InputError: as `find_layout` and `numbers_range`; NaN or infinity.
        One of `UNREADABLE`: the file is damaged.
    """

    def __init__(self, path: Path, array: StoredArray, value_range: tuple[float, float] | None, limit: int | None):
        self.path = path
        self.array = array
        self.layout = find_layout(array.shape, array.dtype)
        self.count = min(array.shape[0], limit or array.shape[0])
        self.range = self._checked_range(value_range)
        if self.layout == "rows":
            size = math.isqrt(array.shape[1])
            note(f"{printable(path)}: each row is read as a grey image of {size}×{size} pixels")

    def __len__(self):
        return self.count

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(self.count)
        with _named(self.path):
            values = self.array.read(start, stop)
            if self.range != (0, 255) or values.dtype != np.uint8:
                numbers = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
                values = to_bytes(numbers.reshape(len(values), -1, 1, 1), self.range).reshape(values.shape)
        if self.layout == "NCHW":
            return np.moveaxis(values, 1, 3)
        size = math.isqrt(self.array.shape[1])
        shapes = {"rows": (len(values), size, size, 1), "NHW": (*values.shape, 1)}
        return values.reshape(shapes.get(self.layout, values.shape))

    def _checked_range(self, value_range):
        """Read the numbers once, and find out which of them are black and white."""
        smallest, largest = math.inf, -math.inf
        rows = max(1, SCAN_BYTES // max(1, self.array.shape[0] and self.array.row_bytes))
        for start in range(0, self.count, rows):
            part = self.array.read(start, min(start + rows, self.count))
            smallest, largest = min(smallest, part.min()), max(largest, part.max())
            if not np.isfinite(part.min()) or not np.isfinite(part.max()):
                raise InputError("images hold NaN or infinity")
        return numbers_range(self.array.dtype, float(smallest), float(largest), value_range)


@contextlib.contextmanager
def _named(path) -> Iterator[None]:
    """Name the file in every error."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read ({reason_of(error)})") from error


def find_layout(shape: Sequence[int], dtype: np.dtype) -> str:
    """Find out how an array holds images, from its shape alone.

    Returns:
        "NHWC" [n, h, w, 1 or 3]; "NCHW" [n, 1 or 3, h, w]; "NHW" [n, h, w], grey; or "rows" [n, h·h], grey, for the
        usual sizes (`FLAT_SIZES`).

    Raises:
        InputError: no numbers, no images, or more than one layout is possible; the message says how to store them.
    """
    if dtype.hasobject:
        raise InputError("holds Python objects (a pickle), which are never loaded; save an array of numbers")
    if dtype.kind not in "buif":
        raise InputError(f"holds values of type {dtype}, not numbers; images are uint8 or float")
    shape = list(shape)
    mend = "store images as [n, h, w, 1 or 3]"
    if len(shape) in (2, 3, 4) and not math.prod(shape):
        raise InputError(f"no images to extract features from: {shape}")
    if len(shape) == 4:
        last, first = shape[3] in (1, 3), shape[1] in (1, 3)
        if last and first:
            raise InputError(f"{shape} may be [n, h, w, c] or [n, c, h, w]; {mend}, with more than 3 pixels a side")
        if last or first:
            return "NHWC" if last else "NCHW"
        if 4 in (shape[1], shape[3]):
            raise InputError(f"images have 4 channels: {shape}; leave out the transparency, and {mend}")
        hint = " (a.transpose(3, 0, 1, 2) moves the last axis to the front)" if shape[2] in (1, 3) else ""
        raise InputError(f"images must be [n, h, w, 1 or 3], not {shape}{hint}")
    if len(shape) == 3:
        n, height, width = shape
        if width in (1, 3, 4) or n in (1, 3):
            raise InputError(f"{shape} may be one image or {n} grey ones of {height}×{width}; {mend}")
        if n == height != width or max(height, width) > MAX_ASPECT * min(height, width):
            raise InputError(f"{shape} are hardly {n} grey images of {height}×{width}; {mend}")
        return "NHW"
    if len(shape) == 2:
        n, columns = shape
        if math.isqrt(columns) in FLAT_SIZES and math.isqrt(columns) ** 2 == columns and n != columns:
            return "rows"
    raise InputError(f"images must be [n, h, w, 1 or 3], not {shape}; a.reshape(n, h, w, c) gives rows that shape")


def numbers_range(
    dtype: np.dtype, smallest: float, largest: float, value_range: tuple[float, float] | None
) -> tuple[float, float]:
    """Find out which numbers of an array are black and white.

    bool: False and True. uint8: 0 and 255; or `value_range`, if it lies in these, begins at 0 and holds all values.
    An array of only 0 and 1 needs one. Float: `value_range`, by default 0 and 1. Other integers need a `value_range`.

    Args:
        smallest, largest: numbers in the array.
        value_range: the range that the user gave, if any.

    Returns:
        (black, white): the numbers that become 0 and 255.

    Raises:
        InputError: numbers outside the range, or in [0, 1] although the range is another one.
    """
    found = f"from {smallest:g} to {largest:g}"
    if dtype.kind == "b":
        return 0, 1
    if dtype == np.uint8:
        if value_range and value_range[0] == 0 and largest <= value_range[1] <= 255:
            return value_range
        if largest == 1:
            raise InputError(
                "uint8 images of only 0 and 1: value_range=0,1 makes 1 white, value_range=0,255 leaves it nearly black"
            )
        return 0, 255

    def fits(low, high):
        slack = 1e-3 * (high - low) if dtype.kind == "f" else 0  # the precision of float16 at 1
        return low - slack <= smallest and largest <= high + slack

    ranges = {text: tuple(map(float, text.split(","))) for text in USUAL_RANGES}
    usual = (text for text, ends in ranges.items() if fits(*ends) and 4 * max(-smallest, largest) >= ends[1])
    mend = f"value_range={next(usual, 'LOW,HIGH')}, or what it is, says which are black and white"
    if value_range is None and dtype.kind in "iu":
        raise InputError(f"{dtype} images have values {found}: {mend}; or save uint8")
    low, high = value_range or (0.0, 1.0)
    if not fits(low, high):
        raise InputError(f"images have values {found}, outside [{low:g}, {high:g}]; {mend}")
    # The range is for both sides. Numbers in [0, 1], or in a 16th of it, would lose half of their contrast or be black.
    is_small = 0 <= smallest < largest <= 1 or 16 * max(-smallest, largest) <= high
    if value_range and (low, high) != (0, 1) and smallest < largest and is_small:
        raise InputError(
            f"images have values {found}, so value_range={low:g},{high:g} is hardly theirs; save this side as uint8"
        )
    return low, high


def _open_array(path: Path, value_range, limit) -> ArrayImages | Statistics:
    """Open the images or statistics of a `.npy` or `.npz` file; its content says which format it is."""
    with _named(path):
        file = path.open("rb")
        is_array = file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX
        file.seek(0)
        if is_array:
            return ArrayImages(path, StoredArray(file, path.stat().st_size), value_range, limit)
        if not zipfile.is_zipfile(file):
            raise ValueError("neither an array nor an archive of arrays; pickles are never loaded")
        archive = open_zip(file)
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if not holds_statistics(members):
            arrays = {name: StoredArray(archive.open(info), info.file_size) for name, info in members.items()}
            return ArrayImages(path, _images_among(path, arrays), value_range, limit)
    if others := members.keys() - STATISTICS_NAMES:
        note(f"{printable(path)}: the statistics are used, not {', '.join(sorted(others))}")
    statistics = Statistics.load(path)
    if statistics.shard is not None:
        number, count, _ = statistics.shard
        raise InputError(f"{path}: is shard {number} of {count}; name the folder that has all of them, and them alone")
    return statistics


def _images_among(path, arrays):
    """Choose the only array, or the only one that can hold images."""
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    layouts = {}
    for name, array in arrays.items():
        with contextlib.suppress(InputError):
            layouts[name] = find_layout(array.shape, array.dtype)
    # Rows of numbers can be anything. They are images only where nothing else is.
    names = [name for name, layout in layouts.items() if layout != "rows"] or list(layouts)
    listed = ", ".join(f"{name} ({array.dtype} {list(array.shape)})" for name, array in arrays.items())
    if len(names) != 1:
        splits = filter(None, (parse_name(name).split for name in names))
        mend = next((f"name a split, as {path.name}:{split}" for split in splits), "save one alone")
        raise InputError(f"{len(names)} of its arrays can be images; {mend}: {listed}")
    note(f"{printable(path)}: the images are {names[0]} of {listed}")
    return arrays[names[0]]
