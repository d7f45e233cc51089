"""Make a TensorFlow Datasets folder from images: `python -m hw5.data.build --source=FOLDER --name=NAME`.

The source is a folder or a zip file of images (any size, greyscale, palette, alpha, PNG or JPEG …), or
a folder with MNIST's four IDX files. The result is an ordinary TFDS dataset: `hw5.data.load("NAME")`
and `tfds.load("NAME")` read it. The datasets inside this package were built by the same command
(`hw5/data/store/README.md`).

Images keep the order of their names and are stored losslessly as PNG. Nothing is written under the
final name before every image has been read, so an unreadable file leaves no half-built dataset.
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

from hw5 import flags
from hw5.data import STORE
from hw5.errors import InputError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
IDX_PREFIXES = {"train": "train", "test": "t10k"}
VERSION = "1.0.0"
# What Pillow and zipfile raise for a file that is damaged, encrypted or no image at all.
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
    """Decode one image file to uint8 [size, size, channels], or without a size to its own height and width.

    Transparent pixels are composited on white; another size is scaled to cover the square (Lanczos)
    and cropped to its centre; 16-bit greyscale is scaled to 8 bits.

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
        picture = Image.fromarray(image[..., 0])
    else:
        colours, indices = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
        if len(colours) <= 256:
            picture = Image.fromarray(indices.reshape(image.shape[:2]).astype(np.uint8), mode="P")
            picture.putpalette(colours.tobytes())
        else:
            picture = Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of bytes, gzipped or not (the format of MNIST): uint8 of the shape in its header."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            data = file.read()
        zeros, kind, dimensions = data[:2], data[2], data[3]
        shape = np.frombuffer(data, ">i4", dimensions, offset=4)
        if zeros != b"\0\0" or kind != 8:
            raise ValueError("not an IDX file of bytes")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
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
        """Decode one of the files; see `to_array`. Raises InputError that names an unreadable file."""
        try:
            file = self.source / name if self.source.is_dir() else io.BytesIO(self.archive.read(name))
            return to_array(file, size, channels)
        except UNREADABLE as error:
            where = self.source / name if self.source.is_dir() else f"{self.source}:{name}"
            raise InputError(f"{where}: cannot be read as an image ({error})") from error


def _is_image(path: Path) -> bool:
    """Whether a name is an image's; hidden files and macOS' companions of files in zips are not."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden


def read_attributes(path: Path, count: int) -> list[dict]:
    """Read a CSV file with a header and one row an image, in the order of the images' names ("10" before "2").

    Columns that hold nothing but 0 and 1 become booleans, all others stay text.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV file ({error})") from error
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InputError(f"{path}: line {number} has not as many fields as the header")
    if len(rows) != count:
        raise InputError(f"{path}: {len(rows)} rows for {count} images")
    binary = [key for key in rows[0] if {row[key] for row in rows} <= {"0", "1"}]
    return [row | {key: row[key] == "1" for key in binary} for row in rows]


def parse_splits(text: str, count: int) -> dict[str, range]:
    """Turn "train:0.8,test:0.2" into consecutive ranges of 0 … count − 1, one a split."""
    try:
        shares = {name: float(share) for name, share in (part.split(":") for part in text.split(","))}
    except ValueError:
        raise InputError(f"--splits={text}: write it as train:0.8,validation:0.1,test:0.1") from None
    if not all(re.fullmatch(r"[a-z]+", name) and name != "all" for name in shares):
        raise InputError(f"--splits={text}: name the splits in lower-case letters, not 'all'")
    if min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise InputError(f"--splits={text}: the shares must be positive and sum to 1")
    ends = np.round(np.cumsum(list(shares.values())) * count).astype(int)
    splits = {name: range(start, end) for name, start, end in zip(shares, [0, *ends], ends, strict=False)}
    if empty := [name for name, part in splits.items() if not part]:
        raise InputError(f"--splits={text}: {count} images leave none for {', '.join(empty)}")
    return splits


def _write(name: str, data_dir: Path, features: dict, splits: dict[str, Iterator], description: str) -> Path:
    """Write the examples through TFDS, unshuffled, and return the dataset's folder."""
    if any((data_dir / name).glob("*/dataset_info.json")):
        raise InputError(f"{data_dir / name}: exists already; remove it first or choose another --name")
    tfds.disable_progress_bar()  # ours knows the total
    with contextlib.redirect_stdout(None):  # TFDS says that it downloads
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
    size: int = 64,
    channels: int = 3,
    splits: str = "train:1",
    attributes: Path | None = None,
) -> Path:
    """Build the dataset `name` from the images of a folder or zip file; return its folder.

    Args:
        size: height and width of the stored images, in pixels.
        channels: 3 for RGB, 1 for greyscale.
        splits: shares of consecutive images, e.g. "train:0.8,validation:0.1,test:0.1".
        attributes: CSV file with one row an image, stored beside the images (see `read_attributes`).
    """
    files = ImageFiles(source)
    rows = read_attributes(attributes, len(files)) if attributes else None
    features = {"image": tfds.features.Image(shape=(size, size, channels), encoding_format="png")}
    if rows:
        features["attributes"] = {
            key: np.bool_ if isinstance(value, bool) else tfds.features.Text() for key, value in rows[0].items()
        }

    def examples(indices, progress):
        for index in indices:
            example = {"image": to_png(files.read(files.names[index], size, channels))}
            if rows:
                example["attributes"] = rows[index]
            progress.update()
            yield index, example

    with tqdm(total=len(files), desc=name, unit=" images") as progress:
        parts = {split: examples(part, progress) for split, part in parse_splits(splits, len(files)).items()}
        return _write(name, data_dir, features, parts, f"{len(files)} images from {source.name}.")


def build_from_idx(source: Path, name: str, data_dir: Path) -> Path:
    """Build the dataset `name` from a folder with IDX files (train-images-idx3-ubyte[.gz], …); return its folder."""

    def find(pattern):
        found = sorted(source.glob(pattern))
        if not found:
            raise InputError(f"{source / pattern}: no such file")
        return read_idx(found[0])

    images = {split: find(f"{prefix}-images-idx3-ubyte*") for split, prefix in IDX_PREFIXES.items()}
    labels = {split: find(f"{prefix}-labels-idx1-ubyte*") for split, prefix in IDX_PREFIXES.items()}
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


def run(
    *,
    source: str,
    name: str,
    data_dir: str | None = None,
    size: int = 64,
    channels: str = "3",
    splits: str = "train:1",
    attributes: str | None = None,
) -> Path:
    """Build one dataset and say where it lies; the arguments are the flags of the command line."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"--name={name}: use lower-case letters, digits and underscores")
    path, store = Path(source), Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    if name in tfds.list_builders(with_community_datasets=False) and store.resolve() != STORE:
        raise InputError(f"--name={name}: is the name of a public dataset; choose another")
    if not path.exists():
        raise InputError(f"{source}: no such file or folder")
    if path.is_dir() and any(path.glob("*-idx3-ubyte*")):
        folder = build_from_idx(path, name, store)
    else:
        options = dict(size=size, channels=int(channels), splits=splits)
        folder = build_from_images(path, name, store, attributes=attributes and Path(attributes), **options)
    print(folder)
    return folder


if __name__ == "__main__":
    flags.DEFINE_string("source", None, "Folder or zip file of images, or folder with IDX files.", required=True)
    flags.DEFINE_string("name", None, "Name of the dataset to make.", required=True)
    flags.DEFINE_string(
        "data_dir", None, "Where TFDS keeps datasets (default: $TFDS_DATA_DIR or ~/tensorflow_datasets)."
    )
    flags.DEFINE_integer("size", flags.default(run, "size"), "Height and width of the stored images.", lower_bound=1)
    flags.DEFINE_enum("channels", flags.default(run, "channels"), ["1", "3"], "1: greyscale, 3: RGB.")
    flags.DEFINE_string("splits", flags.default(run, "splits"), "Shares, such as train:0.8,validation:0.1,test:0.1.")
    flags.DEFINE_string("attributes", None, "CSV file, one row an image, stored beside the images.")
    flags.launch(run)
