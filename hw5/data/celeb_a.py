"""CelebA's aligned faces at 64×64, read from the user's own copy.

Liu et al. 2015, 202,599 photographs of 178×218 pixels. As is usual in the field, the centre 148×148
(rows 35 to 182, columns 15 to 162) is resized to 64×64. The authors do not allow others to distribute the
images, and Google Drive, where they are, blocks programs. So nothing here tries the network.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from hw5.data.decode import to_array
from hw5.data.image_files import note
from hw5.data.prepared import NOT_A_SPLIT, no_split
from hw5.errors import InputError
from hw5.files import atomic_write, cache_folder

NAME = "celeb_a"
CROP = 148  # pixels, height and width of the crop
SIZE = 64  # pixels, height and width of the images that `load` returns
SPLITS = {"train": range(1, 162_771), "validation": range(162_771, 182_638), "test": range(182_638, 202_600)}
MAX_UNCACHED_IMAGES = 10_000  # they take seconds to read and 120 MB of memory
IMAGES = "img_align_celeba"
PARTITION = "list_eval_partition.txt"
RECIPE = (
    f"get {IMAGES}.zip by hand (Google Drive, Align&Cropped Images of https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html)"
    ", unpack it for section 5 or hw5.data.load, which take it as data_dir=FOLDER; or set TFDS_DATA_DIR to a TFDS "
    "folder in which celeb_a is prepared"
)
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png")  # the authors have the images as PNG, too


def load(split: str = "train", *, limit: int | None = None, data_dir: str | os.PathLike | None = None) -> np.ndarray:
    """Load the faces of one split, in the order of their numbers.

    The first call converts the split, which takes a few minutes for the 162,770 training images: to a `.npy`
    file of 12 kB per image in `hw5.files.cache_folder`, whose name contains a hash of the source files'
    names, sizes and times. The file is mapped into memory: only the parts that are used are read.

    Args:
        split: "train", "validation", "test", or a slice of one of them, as in "train[:90%]".
        limit: only the first `limit` images; up to 10,000 of a larger split are read directly, without the file.
        data_dir: a TFDS folder (by default TFDS_DATA_DIR) in which celeb_a is prepared; or a folder with
            the aligned JPEGs, or with `img_align_celeba/` that contains them. JPEGs are divided by
            `list_eval_partition.txt` in their folder or its parent. If it is missing, their numbers divide
            them as CelebA's partition does: up to 162770 train, up to 182637 validation, the rest test.
            Images that are not in the partition are left out. If the partition leaves a split empty, as with
            a few images, all images are divided 80/10/10 in the order of their names, with a note on stderr.

    Returns:
        uint8 [n, 64, 64, 3], a read-only `np.memmap` unless they are few (see `limit`).

    Raises:
        InputError: no data (the message says where to get it), an unknown or empty split, an unreadable
            partition, or an image that is damaged or smaller than the crop (the message names it).
    """
    source = find(data_dir)
    try:
        instruction, *others = tfds.core.ReadInstruction.from_spec(split).to_absolute(source.splits)
    except NOT_A_SPLIT as error:
        counts = {name: part.num_examples for name, part in source.splits.items()}
        raise no_split(NAME, split, counts, error) from error
    if others:
        raise InputError(
            f"dataset {NAME!r} has no split {split!r}; it has {', '.join(source.splits)}, and slices of one"
        )
    name = instruction.splitname
    selected = range(source.splits[name].num_examples)[instruction.from_ : instruction.to]
    part = selected[:limit]
    if not part:
        raise InputError(f"dataset {NAME!r}: {split} selects no images of {source.folder}")
    if len(part) < len(selected) and len(part) <= MAX_UNCACHED_IMAGES:
        return np.stack(list(_faces(source, name, part)))

    content = hashlib.sha256(f"{name} {part}\n".encode())
    for file in source.files(name, part):
        status = os.stat(file)
        content.update(f"{os.path.basename(file)} {status.st_size} {status.st_mtime_ns}\n".encode())
    shape = (len(part), SIZE, SIZE, 3)
    stem = f"{NAME}_{name}_{'x'.join(map(str, shape))}_{content.hexdigest()[:16]}"
    path = cache_folder() / f"{stem}.npy"
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError):  # missing, or incomplete after a power cut
        pass
    own = path.with_name(f"{stem}.{os.getpid()}.npy")  # two trainings may convert the same split at once
    with atomic_write(own) as partial, partial.open("wb") as file:
        # Not written through a memory map: a full disk would then end the process without a message.
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for face in tqdm(_faces(source, name, part), f"{NAME} {name}", total=len(part), unit=" images"):
            file.write(face.tobytes())
    own.replace(path)
    return np.load(path, mmap_mode="r")


def crop(file) -> np.ndarray:
    """Decode one aligned image: its centre 148×148, resized (bilinear, antialiased), uint8 [64, 64, 3].

    Raises:
        Exception: damaged or not an image, as `hw5.data.decode.to_array`; ValueError: too small.
    """
    image = Image.fromarray(to_array(file, channels=3))
    left, top = (image.width - CROP) // 2, (image.height - CROP) // 2
    if min(left, top) < 0:
        raise ValueError(f"{image.width}×{image.height} pixels; the crop takes {CROP}×{CROP}")
    square = image.crop((left, top, left + CROP, top + CROP))
    return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def find(data_dir: str | os.PathLike | None = None) -> "TfdsFolder | JpegFolder":
    """Find the folder that `load` reads; arguments and errors as there."""
    root = Path(os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR))
    versions = [path.parent for path in root.glob(f"{NAME}/*/dataset_info.json")]
    if versions := [path for path in versions if tfds.core.Version.is_valid(path.name)]:
        return TfdsFolder(max(versions, key=lambda path: tfds.core.Version(path.name)))
    if not data_dir:
        raise InputError(f"dataset {NAME!r} is not in {root}: {RECIPE}")
    if not root.is_dir():
        raise InputError(f"data_dir={data_dir}: no such folder; for {NAME}, {RECIPE}")
    while (root / IMAGES).is_dir():
        root /= IMAGES
    return JpegFolder(root)


def builder(data_dir: str | os.PathLike | None = None) -> tfds.core.DatasetBuilder:
    """Return TFDS' builder of celeb_a, with its attributes; raise InputError if TFDS has not prepared it."""
    source = find(data_dir)
    if isinstance(source, JpegFolder):
        raise InputError(f"data_dir={data_dir}: holds images only; other features need a TFDS folder")
    return source.builder


class TfdsFolder:
    """The folder of one version of celeb_a that TFDS has prepared."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.builder = tfds.builder_from_directory(folder)
        self.splits = self.builder.info.splits

    def files(self, split: str, part: range) -> list[os.PathLike]:
        """Return the files that contain a part of the images of a split, and possibly others."""
        return self.splits[split].filepaths

    def jpegs(self, split: str, part: range) -> Iterator[tuple[str, io.BytesIO]]:
        """Yield names and contents of these images."""
        encoded = {"image": tfds.decode.SkipDecoding()}
        examples = self.builder.as_dataset(
            split=f"{split}[{part.start}:{part.stop}]",
            decoders=tfds.decode.PartialDecoding({"image": True}, decoders=encoded),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),  # in the stored order
        )
        try:
            for number, example in zip(part, examples.as_numpy_iterator(), strict=True):
                yield f"{self.folder}, {split}[{number}]", io.BytesIO(example["image"])
        except tf.errors.OpError as error:
            raise InputError(f"{self.folder}: cannot be read ({error.message.splitlines()[0][:200]})") from error


class JpegFolder:
    """A folder of aligned JPEGs, divided into CelebA's splits (see `load`)."""

    def __init__(self, folder: Path):
        self.folder = folder
        with os.scandir(folder) as entries:
            names, others = [], 0
            for entry in entries:
                is_image = entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".")  # ._000001.jpg
                if is_image and entry.is_file():  # neither a pipe nor a dangling link
                    names.append(entry.name)
                else:
                    others += is_image
        names.sort()
        if others:
            note(f"{folder}: {others} images are pipes, folders or dangling links; skipped")
        if not names:
            raise InputError(f"data_dir={folder}: holds no JPEGs; for {NAME}, {RECIPE}")
        split_of = _partition(folder)
        self.names = {split: [] for split in SPLITS}
        for name in names:
            if split := split_of(name):
                self.names[split].append(name)
        if not all(self.names.values()):
            note(f"{folder}: {len(names)} images, divided 80/10/10 in the order of their names")
            first, second = len(names) * 8 // 10, len(names) * 9 // 10
            self.names = dict(zip(SPLITS, (names[:first], names[first:second], names[second:]), strict=True))
        elif left_out := len(names) - sum(map(len, self.names.values())):
            note(f"{folder}: {left_out} of {len(names)} images are not in CelebA's partition; left out")
        sizes = {split: len(part) for split, part in self.names.items()}
        self.splits = tfds.core.SplitDict([tfds.core.SplitInfo(split, [size], 0) for split, size in sizes.items()])

    def files(self, split: str, part: range) -> list[str]:
        """Return the files of a part of the images of a split."""
        return [os.path.join(self.folder, name) for name in self.names[split][part.start : part.stop]]

    def jpegs(self, split: str, part: range) -> Iterator[tuple[str, str]]:
        """Yield names and files of these images."""
        return ((path, path) for path in self.files(split, part))


def _partition(folder):
    """Return a function that maps a file name to its split, or to None if it is in no split."""

    def by_number(name):
        stem = name.partition(".")[0]
        number = int(stem) if stem.isdecimal() else 0
        return next((split for split, numbers in SPLITS.items() if number in numbers), None)

    path = next((parent / PARTITION for parent in (folder, folder.parent) if (parent / PARTITION).is_file()), None)
    if path is None:
        return by_number
    split_of_code = dict(zip("012", SPLITS, strict=True))
    try:
        rows = (line.split() for line in path.read_text().splitlines() if line.strip())
        split_of = {name.partition(".")[0]: split_of_code[code] for name, code in rows}
        return lambda name: split_of.get(name.partition(".")[0])  # the images may be PNGs
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read; each line must be a file name and 0, 1 or 2") from error


def _faces(source, split, part):
    for name, file in source.jpegs(split, part):
        try:
            face = crop(file)
        except Exception as error:  # damaged files make Pillow raise nearly anything
            reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
            raise InputError(f"{name}: cannot be read as an aligned face ({reason})") from error
        yield face
