"""Make a TensorFlow Datasets folder from images: `python -m hw5.data.build --source=FOLDER --name=NAME`.

The source is a folder or a zip file of images (any size, greyscale, palette, alpha, PNG or JPEG …), or
a folder with MNIST's four IDX files. The result is an ordinary TFDS dataset: `hw5.data.load("NAME")`
and `tfds.load("NAME")` read it. The same command built the datasets of this package
(`hw5/data/store/README.md`).

Images are stored in the order of their names, losslessly as PNG. The dataset gets its final name after
every image has been read, so an unreadable file leaves no incomplete dataset.
"""

import contextlib
import csv
import gzip
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image, ImageOps
from tqdm import tqdm

from hw5 import command_line
from hw5.data import STORE
from hw5.errors import InputError
from hw5.settings import REQUIRED, Settings, program, setting

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
IDX_PREFIXES = {"train": "train", "test": "t10k"}
CLASS_COLUMNS = ("label", "group")  # of the CSV file: an image's class and the name of the class, no attributes
VERSION = "1.0.0"
# Exceptions of Pillow and zipfile for a file that is damaged, encrypted or not an image.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
)


def to_array(file, size: int | None, channels: int) -> np.ndarray:
    """Decode one image file to uint8 [size, size, channels]; without a size it keeps its height and width.

    Transparent pixels are composited on white. An image of another size is resized to cover the square
    (Lanczos) and cropped to its centre. 16-bit greyscale is converted to 8 bits.

    Raises:
        OSError, SyntaxError or ValueError (Pillow's own): the file is damaged or not an image.
    """
    image = ImageOps.exif_transpose(Image.open(file))
    if image.mode.startswith("I"):  # 16-bit greyscale; Pillow's own conversion would clip it
        image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    image = image.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if size:
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(*image.size[::-1], channels)


def to_png(image: np.ndarray) -> bytes:
    """Encode uint8 [h, w, 1 or 3] as PNG, with a palette where 256 colours suffice (a third of the size)."""
    if image.shape[-1] == 1:
        encoded = Image.fromarray(image[..., 0])
    else:
        colours, indices = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
        if len(colours) <= 256:
            encoded = Image.fromarray(indices.reshape(image.shape[:2]).astype(np.uint8), mode="P")
            encoded.putpalette(colours.tobytes())
        else:
            encoded = Image.fromarray(image)
    buffer = io.BytesIO()
    encoded.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes (the format of MNIST), gzipped or not: uint8 of the shape in its header.

    Raises:
        InputError: it is damaged, has another number of dimensions, or no elements.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            data = file.read()
        zeros, kind = data[:2], data[2]
        shape = np.frombuffer(data, ">i4", data[3], offset=4)
        if zeros != b"\0\0" or kind != 8:
            raise ValueError("not an IDX file of bytes")
        if len(shape) != dimensions or not all(shape):
            raise ValueError(f"its shape is {shape.tolist()}")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as an IDX file ({error})") from error


class ImageFiles:
    """The image files of a folder (searched recursively) or of a zip file, in the order of their names."""

    def __init__(self, source: Path):
        self.source = source
        if source.is_dir():
            names = (p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file())
        elif zipfile.is_zipfile(source):
            self.archive = zipfile.ZipFile(source)
            names = self.archive.namelist()
        else:
            raise InputError(f"{source}: neither a folder nor a zip file")
        self.names = sorted(name for name in names if _is_image(Path(name)))
        if not self.names:
            raise InputError(f"{source}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")

    def __len__(self):
        return len(self.names)

    def read(self, name: str, size: int | None, channels: int) -> np.ndarray:
        """Decode one of the files by `to_array`; InputError names an unreadable file."""
        try:
            file = self.source / name if self.source.is_dir() else io.BytesIO(self.archive.read(name))
            return to_array(file, size, channels)
        except UNREADABLE as error:
            path = self.source / name if self.source.is_dir() else f"{self.source}:{name}"
            raise InputError(f"{path}: cannot be read as an image ({error})") from error


def _is_image(path: Path) -> bool:
    """Check whether a path is that of an image, and not a hidden file or a file that macOS adds to zip files."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden


def read_attributes(path: Path, count: int) -> list[dict]:
    """Read a CSV file with a header and one row per image, in the order of the images' names ("10" before "2").

    Columns that contain only 0 and 1 become booleans, all others stay text; so do "label" and "group".
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV file ({error})") from error
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InputError(f"{path}: line {number} does not have as many fields as the header")
    if len(rows) != count:
        raise InputError(f"{path}: {len(rows)} rows for {count} images")
    binary = [key for key in rows[0] if key not in CLASS_COLUMNS and {row[key] for row in rows} <= {"0", "1"}]
    return [row | {key: row[key] == "1" for key in binary} for row in rows]


def _pop_class(row, path):
    """Remove the class of an image from its row of the CSV file: {"label": int, "group": text}, what there is."""
    found = {column: row.pop(column) for column in CLASS_COLUMNS if column in row}
    if "label" in found:
        if not re.fullmatch("[0-9]{1,6}", found["label"]):
            raise InputError(f"{path}: label {found['label']!r} must be the number of a class, from 0")
        found["label"] = int(found["label"])
    return found


def parse_splits(text: str, count: int) -> dict[str, range]:
    """Convert "train:0.8,test:0.2" to consecutive ranges of 0 … count − 1, one per split."""
    try:
        shares = {name: float(share) for name, share in (part.split(":") for part in text.split(","))}
    except ValueError:
        raise InputError(f"splits={text}: write it as train:0.8,validation:0.1,test:0.1") from None
    if not all(re.fullmatch(r"[a-z]+", name) and name != "all" for name in shares):
        raise InputError(f"splits={text}: name the splits in lower-case letters, not 'all'")
    if min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise InputError(f"splits={text}: the shares must be positive and sum to 1")
    ends = np.round(np.cumsum(list(shares.values())) * count).astype(int)
    splits = {name: range(start, end) for name, start, end in zip(shares, [0, *ends], ends, strict=False)}
    if empty := [name for name, part in splits.items() if not part]:
        raise InputError(f"splits={text}: {count} images leave none for {', '.join(empty)}")
    return splits


def _write(name: str, data_dir: Path, features: dict, splits: dict[str, Iterator], description: str) -> Path:
    """Write the examples by TFDS, in their order, and return the dataset's folder."""
    if any((data_dir / name).glob("*/dataset_info.json")):
        raise InputError(f"{data_dir / name}: exists already; remove it first, or choose another name")
    tfds.disable_progress_bar()  # tqdm's progress bar below knows the total
    with contextlib.redirect_stdout(None):  # TFDS prints that it downloads
        builder = tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version=VERSION,
            features=tfds.features.FeaturesDict(features),
            split_datasets=splits,
            data_dir=data_dir,
            description=description,
            disable_shuffling=True,
        )
    return Path(builder.data_dir)


def build_from_images(
    source: Path,
    name: str,
    data_dir: Path,
    *,
    size: int,
    channels: int,
    splits: str,
    attributes: Path | None = None,
) -> Path:
    """Build the dataset `name` from the images of a folder or zip file, and return its folder.

    Args:
        size: height and width of the stored images, in pixels.
        channels: 3 for RGB, 1 for greyscale.
        splits: shares of consecutive images, e.g. "train:0.8,validation:0.1,test:0.1".
        attributes: CSV file with one row per image, stored with the images (see `read_attributes`). The columns
            "label" (the class, from 0) and "group" (its name) become features of their own, the others
            "attributes/…".
    """
    files = ImageFiles(source)
    rows = read_attributes(attributes, len(files)) if attributes else []
    features = {"image": tfds.features.Image(shape=(size, size, channels), encoding_format="png")}
    classes = [_pop_class(row, attributes) for row in rows]
    if classes and "label" in classes[0]:
        num_classes = 1 + max(example["label"] for example in classes)
        features["label"] = tfds.features.ClassLabel(num_classes=num_classes)
    if classes and "group" in classes[0]:
        features["group"] = tfds.features.Text()
    if rows and rows[0]:
        features["attributes"] = {
            key: np.bool_ if isinstance(value, bool) else tfds.features.Text() for key, value in rows[0].items()
        }

    def examples(indices, progress):
        for index in indices:
            example = {"image": to_png(files.read(files.names[index], size, channels))}
            if rows:
                example |= classes[index]
            if "attributes" in features:
                example["attributes"] = rows[index]
            progress.update()
            yield index, example

    with tqdm(total=len(files), desc=name, unit=" images") as progress:
        parts = {split: examples(part, progress) for split, part in parse_splits(splits, len(files)).items()}
        return _write(name, data_dir, features, parts, f"{len(files)} images from {source.name}.")


def build_from_idx(source: Path, name: str, data_dir: Path) -> Path:
    """Build the dataset `name` from a folder with IDX files (train-images-idx3-ubyte[.gz], …); return its folder."""

    def find(pattern, dimensions):
        paths = sorted(source.glob(pattern))
        if not paths:
            raise InputError(f"{source / pattern}: no such file")
        return read_idx(paths[0], dimensions)

    images = {split: find(f"{prefix}-images-idx3-ubyte*", 3) for split, prefix in IDX_PREFIXES.items()}
    labels = {split: find(f"{prefix}-labels-idx1-ubyte*", 1) for split, prefix in IDX_PREFIXES.items()}
    features = {
        "image": tfds.features.Image(shape=(*images["train"].shape[1:], 1), encoding_format="png"),
        "label": tfds.features.ClassLabel(num_classes=int(max(values.max() for values in labels.values())) + 1),
    }
    for split, prefix in IDX_PREFIXES.items():
        if len(images[split]) != len(labels[split]):
            raise InputError(f"{source}: {len(images[split])} {prefix} images have {len(labels[split])} labels")

    def examples(split, progress):
        for index, (image, label) in enumerate(zip(images[split], labels[split], strict=True)):
            progress.update()
            yield index, {"image": to_png(image[..., None]), "label": int(label)}

    total = sum(map(len, images.values()))
    with tqdm(total=total, desc=name, unit=" images") as progress:
        parts = {split: examples(split, progress) for split in IDX_PREFIXES}
        return _write(name, data_dir, features, parts, f"{total} images from IDX files.")


class Arguments(Settings):
    """One dataset to build."""

    source: Path = setting(REQUIRED, "Folder or zip file of images, or folder with IDX files.")
    name: str = setting(REQUIRED, "Name of the dataset to make.")
    data_dir: Path | None = setting(
        None, "Folder of TFDS' datasets (default: $TFDS_DATA_DIR or ~/tensorflow_datasets)."
    )
    size: int = setting(64, "Height and width of the stored images, in pixels.", at_least=1)
    channels: int = setting(3, "1: greyscale, 3: RGB.", choices=(1, 3))
    splits: str = setting("train:1", "Shares of the splits, such as train:0.8,validation:0.1,test:0.1.")
    attributes: Path | None = setting(
        None,
        "CSV file with one row per image: attributes, or label (number of the class) and group (name of the class).",
    )


def main(arguments: Arguments) -> Path:
    """Build one dataset, and print and return its folder."""
    source, name = arguments.source, arguments.name
    data_dir = Path(arguments.data_dir or tfds.core.constants.DATA_DIR).expanduser()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"name={name}: use lower-case letters, digits and underscores")
    if name in tfds.list_builders(with_community_datasets=False) and data_dir.resolve() != STORE:
        raise InputError(f"name={name}: is the name of a public dataset; choose another")
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if source.is_dir() and any(source.glob("*-idx3-ubyte*")):
        folder = build_from_idx(source, name, data_dir)
    else:
        folder = build_from_images(
            source,
            name,
            data_dir,
            size=arguments.size,
            channels=arguments.channels,
            splits=arguments.splits,
            attributes=arguments.attributes,
        )
    print(folder)
    return folder


run = program(Arguments, main)

if __name__ == "__main__":
    command_line.launch(run)
