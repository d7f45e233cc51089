"""Datasets from files of the user, as they are: `--dataset=PATH` and `hw5.data.load("PATH")`.

PATH is one of:

- a TFDS folder of one dataset (`…/emojione` or `…/emojione/1.0.0`; `hw5.data.prepared` reads it);
- a folder or zip file of images, with a folder per class or not, and with folders train, test, validation or not;
- a `.npy` or `.npz` file of images, and of labels in the same file or beside it (`hw5.data.arrays` has the layouts);
- IDX files, gzipped or not: one of them, a folder or a zip file; `FOLDER/emnist-balanced` names one of several sets.

Files that belong together are found by their names (`hw5.data.layout`): mnist_train_images.npy with
mnist_train_labels.npy and mnist_test_images.npy. What is taken is said on stderr.

A dataset with a single set of images is shuffled, always in the same way, and divided: 80 % train, 10 % validation,
10 % test. So every split has images of every class, also if the files are sorted by class. Other datasets keep
their splits and the order of their files.
"""

import dataclasses
import functools
import gzip
import math
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from hw5.data.arrays import STATISTICS, numbered, read_arrays, to_labels, to_nhwc
from hw5.data.decode import is_grey
from hw5.data.idx import is_idx, read_idx
from hw5.data.image_files import FILE_MENDS, Files, ImageFiles, note, note_if_dark, note_of_classes, open_zip, printable
from hw5.data.layout import Named, class_folders, parse_name, split_folders
from hw5.data.prepared import NOT_A_SPLIT, no_split
from hw5.data.values import Extremes, find_white, to_bytes
from hw5.errors import InputError

SIZE = 64  # pixels, height and width of the images of a folder in which they differ, as of hw5.data.build
ORDER = ("train", "validation", "test")
IDX_NAME = re.compile(r"[-._]idx\d?([-._]?ubyte)?(\.gz)?$", re.IGNORECASE)
OF_NUMBERED_ARRAYS = {"arr_0": Named((), None, "image"), "arr_1": Named((), None, "label")}  # names of np.savez
ORIENTATION, FIRST_TURNED = 0x0112, 5  # tag of EXIF, and the first of its values that exchange height and width
MAX_BYTES = 16 << 30
SET_DEPTH = 2  # levels of folders that are searched for FOLDER/SET; a mistyped path is not to search a whole disk
PATIENCE = 3  # seconds before a progress bar is shown


@dataclasses.dataclass
class Part:
    """Images that lie together.

    Attributes:
        count: number of images.
        read: a function of indices that returns the images, uint8 [n, h, w, 1 or 3].
        labels: int64 [count], or None.
    """

    count: int
    read: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray | None = None


class LocalDataset:
    """Images, perhaps with labels, in splits.

    Attributes:
        name: the path.
        splits: split → (part, indices of its images in the part).
        features: "image", and "label" if there are labels.
    """

    def __init__(self, path: Path, parts: dict[str | None, Part]):
        self.name = printable(path)
        if len(parts) == 1:
            (part,) = parts.values()
            self.splits = {split: (part, indices) for split, indices in divide(part.count).items()}
            sizes = ", ".join(f"{split} {len(indices):,}" for split, (_, indices) in self.splits.items())
            note(f"{self.name}: {part.count:,} images, shuffled and divided: {sizes}")
        else:
            ordered = sorted(parts.items(), key=lambda item: ORDER.index(item[0]))
            self.splits = {split: (part, np.arange(part.count)) for split, part in ordered}
        has_labels = all(part.labels is not None for part in parts.values())
        self.features = ("image", "label") if has_labels else ("image",)

    def load(self, split: str, feature: str = "image", limit: int | None = None) -> np.ndarray:
        """Load one feature of a split or of slices of splits; arguments and errors as of `hw5.data.load`."""
        if feature not in self.features:
            known = ", ".join(self.features)
            raise InputError(f"dataset {self.name!r} has no image, number or text {feature!r}; it has {known}")
        loaded, left = [], limit
        for name, indices in self._selected(split):
            part, order = self.splits[name]
            indices = order[indices][:left]
            if len(indices):
                loaded.append(part.read(indices) if feature == "image" else part.labels[indices])
            left = None if left is None else left - len(indices)
        if not loaded:
            raise InputError(f"dataset {self.name!r}: {split} selects no images")
        values = np.concatenate(loaded) if len(loaded) > 1 else loaded[0]
        if feature == "image":
            note_if_dark(self.name, int(values.max()))
        return values

    def _selected(self, split):
        infos = [tfds.core.SplitInfo(name, [len(order)], 0) for name, (_, order) in self.splits.items()]
        try:
            instructions = tfds.core.ReadInstruction.from_spec(split).to_absolute(tfds.core.SplitDict(infos))
        except NOT_A_SPLIT as error:
            counts = {name: len(order) for name, (_, order) in self.splits.items()}
            raise no_split(self.name, split, counts, error) from error
        return [(one.splitname, slice(one.from_, one.to)) for one in instructions]


def divide(count: int) -> dict[str, np.ndarray]:
    """Divide 0 … count − 1, shuffled by a fixed seed, into 80 % train, 10 % validation and 10 % test."""
    order = np.random.default_rng(0).permutation(count)
    held_out = max(count // 10, 1) if count >= len(ORDER) else 0
    ends = [count - 2 * held_out, count - held_out]
    return {split: part for split, part in zip(ORDER, np.split(order, ends), strict=True) if len(part)}


def open_dataset(path: Path) -> LocalDataset:
    """Find out what a path holds, and open it as a dataset.

    Raises:
        InputError: there is nothing, no images, several sets of them, or labels that do not belong to them.
    """
    files = find_images(path)
    return LocalDataset(path, parts_of_images(files) if files else parts_of_arrays(path))


def find_images(path: Path) -> ImageFiles | None:
    """Open the images of a folder or a zip file; None if the path is, or holds, arrays or IDX files instead.

    Raises:
        InputError: there is nothing of all this.
    """
    if not path.is_dir() and not (path.is_file() and _is_archive_of_files(path)):
        return None
    arrays = [name for name in Files(path).names if _holds_arrays(name)]
    if any(IDX_NAME.search(name) for name in arrays):
        return None
    try:
        return ImageFiles(path)
    except InputError:
        if not arrays:
            raise
    return None


def parts_of_images(files: ImageFiles) -> dict[str | None, Part]:
    """Make the parts of a dataset from image files: split → part; the only split may be None."""
    grey, sizes = True, set()
    for name in files.names:
        header = files.header(name)
        grey = grey and is_grey(header)
        turned = "exif" in header.info and header.getexif().get(ORIENTATION, 1) >= FIRST_TURNED
        sizes.add(header.size if turned else header.size[::-1])
    if several := len(sizes) > 1:
        note(f"{printable(files.source)}: images of {len(sizes)} sizes, scaled and cropped to {SIZE}×{SIZE}")
    shape = (*((SIZE, SIZE) if several else sizes.pop()), 1 if grey else 3)
    splits = split_folders(files.names)
    note_of_left_out(files, splits)
    classes, class_of = class_folders(splits)
    if classes:
        note_of_classes(files.source, classes)

    def part(names):
        def read(indices):
            _check_memory(printable(files.source), len(indices), shape)
            images = []
            for index in tqdm(indices, files.source.name, delay=PATIENCE, unit=" images"):
                images.append(files.read(names[index], SIZE if several else None, shape[2]))
                if images[-1].shape != shape:
                    found = "×".join(map(str, images[-1].shape[:2]))
                    raise InputError(f"{files.path(names[index])}: has {found} pixels, other than its header says")
            return np.stack(images)

        return Part(len(names), read, np.array([class_of[name] for name in names]) if classes else None)

    return {split: part(names) for split, names in splits.items()}


def note_of_left_out(files: ImageFiles, splits: dict[str | None, list[str]]) -> None:
    """Say how many images lie beside the folders of splits."""
    if left_out := len(files) - sum(map(len, splits.values())):
        note(f"{printable(files.source)}: skipped {left_out:,} images outside of the folders {', '.join(splits)}")


def usual_ends(extremes: Extremes, dtype: np.dtype) -> tuple[float, float]:
    """Return which numbers are black and white by the rule of `hw5.data.values`; arguments and errors as there."""
    return 0, find_white(extremes, dtype)


def parts_of_arrays(path: Path, ends: Callable = usual_ends) -> dict[str | None, Part]:
    """Make the parts of a dataset from the arrays or IDX files that a path is, or holds, or begins the names of.

    Args:
        ends: a function like `usual_ends`, for arrays of another range.

    Raises:
        InputError: as `open_dataset`.
    """
    if path.is_dir() or (path.is_file() and _is_archive_of_files(path)):
        files = Files(path)
        names = [name for name in files.names if _holds_arrays(name)]
        chosen = [name for name in names if IDX_NAME.search(name)] or names
        if others := len(files) - len(chosen) + sum(files.skipped.values()):
            note(f"{printable(path)}: skipped {others:,} other files")
        return _parts(path, files, chosen, ends)
    if path.is_file() and (_holds_arrays(path.name) or starts_as_idx(path)):
        files = Files(path.parent, depth=0)
        return _parts(path, files, [path.name, *_beside(path.name, files.names)], ends)
    if not path.exists() and (path.parent.is_dir() or (path.parent.is_file() and zipfile.is_zipfile(path.parent))):
        stem, split, role = parse_name(path.name)
        # What looks like the name of a file is a missing file: images.npy is no substitute for samples.npy.
        if stem and not (split or role or path.suffix):
            try:
                files = Files(path.parent, SET_DEPTH)
            except InputError as error:  # a folder beside it, which must not be read
                raise InputError(f"{printable(path)}: no such file or folder") from error
            if names := [name for name in files.names if _holds_arrays(name) and parse_name(name).stem == stem]:
                return _parts(path, files, names, ends)
    what = "neither a folder nor a zip file of images, nor an array (.npy, .npz) or IDX files"
    what += FILE_MENDS.get(path.suffix.lower(), "")
    raise InputError(f"{printable(path)}: {what if path.exists() else 'no such file or folder'}")


def _parts(path, files, names, ends):
    """Make the parts of a dataset from files of arrays, which must belong together by their names."""
    found = {}  # stem → (split, role) → (place, array)
    for name in names:
        stem, split, role = parse_name(name)
        arrays = _read(files, name, role)
        several = len(arrays) > 1
        if several and STATISTICS & arrays.keys():
            raise InputError(f"{files.path(name)}: holds statistics of features, not images")
        for key, array in arrays.items():
            own = OF_NUMBERED_ARRAYS.get(key) or parse_name(key) if several else Named((), None, role or "image")
            if own.role is None:
                continue
            place = f"{files.path(name)}, {key}" if several else files.path(name)
            entry = found.setdefault(stem, {}).setdefault((own.split or split, own.role), (place, array))
            if entry[1] is not array and not np.array_equal(entry[1], array):
                raise InputError(f"{entry[0]} and {place}: both could be the {own.role}s; keep one, or name one")
        if several and not any(key[1] == "image" for key in found.get(stem, ())):
            listed = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items())
            raise InputError(f"{files.path(name)}: holds {listed}; call the images 'images' and the labels 'labels'")
    sets = {stem: arrays for stem, arrays in found.items() if any(role == "image" for _, role in arrays)}
    for place, _ in [array for stem in found.keys() - sets.keys() for array in found[stem].values()]:
        note(f"{place}: skipped, no images have this name")
    if not sets:
        raise InputError(f"{printable(path)}: holds labels, but no images")
    if len(sets) > 1:
        known = ", ".join("-".join(stem) or "(no name)" for stem in sets)
        raise InputError(f"{printable(path)}: holds several sets: {known}; name one as {printable(path)}/SET")
    (arrays,) = sets.values()
    if len(names) > 1:
        note(f"{printable(path)}: takes {', '.join(printable(name) for name in names)}")
    return _checked(arrays, printable(path), ends)


def _checked(arrays, name, ends):
    """Make the parts of a dataset from (split, role) → (place, array), and check that they fit together."""
    images, extremes = {}, {}
    for (split, role), (place, array) in arrays.items():
        if role == "image":
            try:
                images[split], extremes[split] = to_nhwc(array), Extremes.of(array)
                if array.ndim == 2:
                    note(f"{place}: each row is read as a grey image of {'×'.join(map(str, images[split].shape[1:3]))}")
            except InputError as error:
                raise InputError(f"{place}: {error}") from error
    if len({(array.shape[1:], array.dtype) for array in images.values()}) > 1:
        listed = ", ".join(f"{split} {array.dtype} {list(array.shape)}" for split, array in images.items())
        raise InputError(f"{name}: the splits differ in shape or type: {listed}")
    dtype, together = next(iter(images.values())).dtype, functools.reduce(Extremes.__or__, extremes.values())
    try:
        black, white = ends(together, dtype)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    if (black, white) != (0, 1 if dtype.kind in "fb" else 255):
        is_black = f"{black:g} is black and " if black else ""
        note(f"{name}: {dtype} from {together.smallest:g} to {together.largest:g}; {is_black}{white:g} is white")

    labels, classes = numbered({split: array for (split, role), (_, array) in arrays.items() if role == "label"})
    if classes:
        note_of_classes(name, classes)

    def part(split, array):
        try:
            own_labels = to_labels(labels[split], len(array)) if split in labels else None
        except InputError as error:
            raise InputError(f"{arrays[split, 'label'][0]}: {error}") from error

        def read(indices):
            _check_memory(name, len(indices), array.shape[1:])
            return np.ascontiguousarray(to_bytes(array[indices], white, black))

        return Part(len(array), read, own_labels)

    parts = {split: part(split, array) for split, array in images.items()}
    if None in parts and len(parts) > 1:  # x.npy and x_test.npy
        parts = {"train" if split is None else split: part for split, part in parts.items()}
    return parts


def _read(files, name, role):
    try:
        encoded = files.contents(name) if files.archive or IDX_NAME.search(name) or not _is_array(name) else None
    except Exception as error:  # zipfile raises errors of many types
        raise InputError(f"{files.path(name)}: cannot be read ({error})") from error
    place = Path(files.path(name))
    if _is_array(name):
        return read_arrays(files.source / name if encoded is None else place, encoded)
    if role == "label":
        return {"": read_idx(place, 1, encoded)}
    return {"": read_idx(place, 3, encoded)[..., None]}


def _beside(name, others):
    """Find the files that belong to an array's file: its labels, and other splits with theirs."""
    own = parse_name(name)
    if own.role == "label" and name.lower().endswith(".npz"):  # images_and_labels.npz, which may have both
        return
    if own.role == "label":
        raise InputError(f"{printable(name)}: holds labels, by its name; name the file of the images")
    for other in others:
        named = parse_name(other)
        if other != name and named.stem == own.stem and named.role and _holds_arrays(other):
            is_own_label = named == own._replace(role="label")
            if is_own_label or (own.split and named.split and named.split != own.split):
                yield other


def _holds_arrays(name):
    return _is_array(name) or bool(IDX_NAME.search(name))


def _is_array(name):
    return name.lower().endswith((".npy", ".npz"))


def _is_archive_of_files(path):
    """Check for a zip file that is not one of arrays alone, as NumPy writes them."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with open_zip(path) as archive:
            return not (_is_array(path.name) and all(name.endswith(".npy") for name in archive.namelist()))
    except Exception as error:  # zipfile raises errors of many types
        raise InputError(f"{printable(path)}: cannot be read as a zip file ({error})") from error


def starts_as_idx(path: Path) -> bool:
    """Check whether a file begins like IDX, gzipped or not."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(path) as file:
                start = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return is_idx(start)


def _check_memory(name, count, shape):
    size = count * math.prod(shape)
    if size > MAX_BYTES:
        raise InputError(
            f"{name}: its images need {size / 1e9:.0f} GB of memory; python -m hw5.data.build makes smaller ones"
        )
