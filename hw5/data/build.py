"""Make a TensorFlow Datasets folder from images: `python -m hw5.data.build --source=PATH --name=NAME`.

The source is a folder or a zip file of images of any size and kind, or arrays or IDX files as `hw5.data.local`
takes them. The result is an ordinary TFDS dataset: `hw5.data.load("NAME")` and `tfds.load("NAME")` read it. The same
command built the datasets of this package (`hw5/data/store/README.md`).

Images are stored losslessly as PNG, in the order of their names. If there is a folder per class, they are shuffled,
always in the same way, so that every slice of the dataset has images of every class. The dataset gets its final
name after every image has been read, so an unreadable file leaves no incomplete dataset.
"""

import contextlib
import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from hw5 import command_line
from hw5.data import STORE, resize
from hw5.data.decode import readable_suffixes
from hw5.data.image_files import ImageFiles, note, printable
from hw5.data.layout import class_folders, split_folders
from hw5.data.local import Part, find_images, note_of_left_out, parts_of_arrays
from hw5.data.names import catalogue, embedded_datasets
from hw5.errors import InputError
from hw5.files import output_folder
from hw5.settings import REQUIRED, Settings, program, setting

CLASS_COLUMNS = ("label", "group")  # of the CSV file: an image's class and the name of the class, no attributes
# Headers of columns that certainly are names, so that it is a mistake if they are not those of the images; numbers may
# count the rows.
FILE_COLUMNS = {"file", "filename", "file_name", "filepath", "file_path", "path"}
FILE_COLUMNS |= {f"{image}_{what}" for image in ("image", "img") for what in ("file", "name", "path")}
FILE_COLUMNS_UNLESS_NUMBERS = {"image", "image_id", "img", "img_id"}
# Headers of columns in which the names of the images may be written without their suffix.
NAME_COLUMNS = FILE_COLUMNS | FILE_COLUMNS_UNLESS_NUMBERS | {"name", "id"}
BINARY = ({"0", "1"}, {"-1", "1"}, {"false", "true"})  # what a column holds that becomes booleans, in lower case
SIZE = 64  # pixels, height and width of images from a folder or zip file
VERSION = "1.0.0"


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


def read_attributes(path: Path, names: Sequence[str]) -> list[dict]:
    """Read a CSV file with a header and one row per image; return the rows in the order of the images.

    If a column holds the names of the images, each row belongs to the image that it names; rows of other images
    are left out. If not, the rows are those of the images in the order of their names ("10" before "2").
    Columns that contain only 0 and 1, -1 and 1, or true and false become booleans, all others stay text; so do
    "label" and "group". A first column without a name, as of pandas' row numbers, is no attribute. Fields are separated
    by commas, semicolons or tabs.
    """
    try:
        if not path.is_file():
            raise ValueError("not a file" if path.exists() else "no such file")
        with open(path, newline="", encoding="utf-8-sig") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True)
            rows, columns = list(reader), reader.fieldnames or []
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8; save it as CSV in UTF-8") from error
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV file ({error})") from error
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InputError(f"{path}: line {number} does not have as many fields as the header")
    if not rows:
        raise InputError(f"{path}: 0 rows for {len(names)} images")
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise InputError(f"{path}: several columns are called {twice[0]!r}")
    if {_path(column).name for column in columns} & {_path(name).name for name in names}:
        raise InputError(f"{path}: its first line names an image; a header with the names of the columns is missing")
    if unusable := [column for column in columns if "/" in column or (not column and columns[0])]:
        raise InputError(f"{path}: a column is called {unusable[0]!r}; every column needs a name without /")
    rows = _in_order_of(names, rows, path)
    if not columns[0]:
        note(f"{path}: skipped the first column, which has no name")
        rows = [{key: row[key] for key in columns[1:]} for row in rows]
    values = {key: {row[key].lower() for row in rows} for key in rows[0] if key not in CLASS_COLUMNS}
    binary = [key for key, found in values.items() if any(found <= pair for pair in BINARY)]
    return [row | {key: row[key].lower() in ("1", "true") for key in binary} for row in rows]


def _path(name):
    return PurePosixPath(name.replace("\\", "/"))  # tables of Windows have these


def _number(file):
    """Return the number that is the name of a file, or the name: 7 for 007.png."""
    return str(int(file.stem)) if file.stem.isdecimal() else file.name


def _in_order_of(names, rows, path):
    """Sort the rows of a CSV file by the names of the images, if they have them."""
    forms = [str, lambda file: file.name, lambda file: file.name.lower()]
    forms_of_names = [*forms, lambda file: file.stem, _number]
    disordered = None  # a column of numbers
    for column in rows[0]:
        header = column.strip().lower()
        for form in forms_of_names if header in NAME_COLUMNS else forms:
            wanted, known = [form(_path(name)) for name in names], [form(_path(row[column])) for row in rows]
            if not set(wanted) & set(known) or (form is _number and not set(wanted) <= set(known)):
                continue
            for values, what in ((wanted, "images are called"), (known, "rows are of")):
                if len(set(values)) < len(values):
                    twice = next(value for value in values if values.count(value) > 1)
                    raise InputError(f"{path}: several {what} {printable(twice)!r}")
            row_of = dict(zip(known, rows, strict=True))
            if missing := [name for name in wanted if name not in row_of]:
                raise InputError(
                    f"{path}: no row for {len(missing)} of {len(names)} images, such as {printable(missing[0])}"
                )
            if others := len(rows) - len(names):
                note(f"{path}: {others} rows are of other images")
            return [row_of[name] for name in wanted]
        are_numbers = all(row[column].isdecimal() for row in rows)
        are_files = header in FILE_COLUMNS or (header in FILE_COLUMNS_UNLESS_NUMBERS and not are_numbers)
        if are_files or all(_path(row[column]).suffix.lower() in readable_suffixes() for row in rows):
            raise InputError(f"{path}: column {column!r} names none of the images, such as {printable(names[0])}")
        if header in NAME_COLUMNS and are_numbers and sorted(rows, key=lambda row: int(row[column])) != rows:
            disordered = column
    if len(rows) != len(names):
        raise InputError(f"{path}: {len(rows)} rows for {len(names)} images, and no column with their names")
    if disordered:
        raise InputError(f"{path}: the numbers of column {disordered!r} are neither those of the images nor in order")
    note(f"{path}: no column with the names of the images; the rows are taken in the order of the names")
    return rows


def _number_classes(rows):
    """Replace labels that are names by their numbers, as text, and return the names, sorted; [] if they are numbers."""
    names = sorted({row["label"] for row in rows if "label" in row})
    if not names or any(not name or re.search("[0-9]", name) for name in names):
        return []
    for row in rows:
        row["label"] = str(names.index(row["label"]))
    return names


def _pop_class(row, path):
    """Remove the class of an image from its row of the CSV file: {"label": int, "group": text}, what there is."""
    found = {column: row.pop(column) for column in CLASS_COLUMNS if column in row}
    if "label" in found:
        if not re.fullmatch("[0-9]{1,6}", found["label"]):
            raise InputError(f"{path}: label {found['label']!r} must be the number of a class, from 0")
        found["label"] = int(found["label"])
    return found


def parse_splits(text: str | None, count: int) -> dict[str, range]:
    """Convert "train:0.8,test:0.2" to consecutive ranges of 0 … count − 1, one per split; None is "train:1"."""
    text = text or "train:1"
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
    tfds.disable_progress_bar()  # tqdm's progress bar knows the total
    try:
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
    except RuntimeError as error:  # what TFDS makes of a full disk
        raise InputError(f"{data_dir / name}: cannot be written ({' '.join(str(error).split())[-200:]})") from error
    finally:
        with contextlib.suppress(OSError):
            (data_dir / name).rmdir()  # if it is empty, after an error
    return Path(builder.data_dir)


def build_from_images(
    files: ImageFiles,
    name: str,
    data_dir: Path,
    *,
    size: int = SIZE,
    channels: int = 3,
    splits: str | None = None,
    attributes: Path | None = None,
) -> Path:
    """Build the dataset `name` from the images of a folder or zip file, and return its folder.

    Args:
        size: height and width of the stored images, in pixels.
        channels: 3 for RGB, 1 for greyscale.
        splits: shares of consecutive images, e.g. "train:0.8,validation:0.1,test:0.1"; by default the folders
            train, validation and test, or all images in train.
        attributes: CSV file with one row per image, stored with the images (see `read_attributes`). The columns
            "label" (the class, from 0, or its name) and "group" (a name) become features of their own, the others
            "attributes/…". Without a column "label", folders of classes become the feature "label".
    """
    features = {"image": tfds.features.Image(shape=(size, size, channels), encoding_format="png")}
    examples = {image: {} for image in files.names}
    rows = read_attributes(attributes, files.names) if attributes else []
    label_names = _number_classes(rows)
    classes = [_pop_class(row, attributes) for row in rows]
    for example, found, row in zip(examples.values(), classes, rows, strict=bool(rows)):
        example |= found | ({"attributes": row} if row else {})
    if classes and "label" in classes[0]:
        num_classes = 1 + max(example["label"] for example in classes)
        how = dict(names=label_names) if label_names else dict(num_classes=num_classes)
        features["label"] = tfds.features.ClassLabel(**how)
    if classes and "group" in classes[0]:
        features["group"] = tfds.features.Text()
    if rows and rows[0]:
        features["attributes"] = {
            key: np.bool_ if isinstance(value, bool) else tfds.features.Text() for key, value in rows[0].items()
        }
    folders = split_folders(files.names)
    class_names, class_of = class_folders(folders)
    if class_names and "label" not in features:
        features["label"] = tfds.features.ClassLabel(names=[printable(folder) for folder in class_names])
        for image, number in class_of.items():
            examples[image]["label"] = number
    note_of_left_out(files, folders)
    if splits or None in folders:
        folders = {None: sum(folders.values(), [])}
    if class_names:
        folders = {split: _shuffled(names) for split, names in folders.items()}
        note(f"{printable(files.source)}: {len(class_names)} folders are the classes; the images are shuffled")
    if None in folders:
        (names,) = folders.values()
        folders = {split: names[part.start : part.stop] for split, part in parse_splits(splits, len(names)).items()}

    def encoded(names, progress):
        for index, image in enumerate(names):
            yield index, {"image": to_png(files.read(image, size, channels))} | examples[image]
            progress.update()

    files.report()
    total = sum(map(len, folders.values()))
    with tqdm(total=total, desc=name, unit=" images") as progress:
        parts = {split: encoded(names, progress) for split, names in folders.items()}
        return _write(name, data_dir, features, parts, f"{total} images from {printable(files.source.name)}.")


def build_from_arrays(
    parts: dict[str | None, Part], name: str, data_dir: Path, size: int | None = None, splits: str | None = None
) -> Path:
    """Build the dataset `name` from arrays or IDX files (`hw5.data.local.parts_of_arrays`); return its folder."""
    if splits and len(parts) > 1:
        raise InputError(f"splits={splits}: the files have splits of their own, {', '.join(parts)}")
    if len(parts) == 1:
        (part,) = parts.values()
        indices = {split: (part, range_) for split, range_ in parse_splits(splits, part.count).items()}
    else:
        indices = {split: (part, range(part.count)) for split, part in parts.items()}
    shape = part_shape = next(iter(parts.values())).read(np.arange(1)).shape[1:]
    if size:
        shape = (size, size, part_shape[-1])
    features = {"image": tfds.features.Image(shape=shape, encoding_format="png")}
    labels = [part.labels for part in parts.values()]
    if has_labels := all(part is not None for part in labels):
        if min(part.min() for part in labels) < 0:
            raise InputError(f"name={name}: labels must be numbers of classes, from 0")
        features["label"] = tfds.features.ClassLabel(num_classes=int(max(part.max() for part in labels)) + 1)

    def encoded(part, selected, progress):
        for index in selected:
            (image,) = part.read(np.array([index])) if not size else resize(part.read(np.array([index])), size)
            yield index, {"image": to_png(image)} | ({"label": int(part.labels[index])} if has_labels else {})
            progress.update()

    total = sum(part.count for part in parts.values())
    with tqdm(total=total, desc=name, unit=" images") as progress:
        examples = {split: encoded(part, selected, progress) for split, (part, selected) in indices.items()}
        return _write(name, data_dir, features, examples, f"{total} images from arrays.")


def _shuffled(names):
    return [names[index] for index in np.random.default_rng(0).permutation(len(names))]


class Arguments(Settings):
    """One dataset to build."""

    source: Path = setting(REQUIRED, "Folder or zip file of images, array (.npy, .npz), or IDX files.")
    name: str = setting(REQUIRED, "Name of the dataset to make.")
    data_dir: Path | None = setting(
        None, "Folder of TFDS' datasets (default: $TFDS_DATA_DIR or ~/tensorflow_datasets)."
    )
    size: int | None = setting(
        None,
        f"Height and width of the stored images, in pixels (default: {SIZE}; of arrays, their own).",
        at_least=1,
        at_most=8192,
    )
    channels: int = setting(3, "1: greyscale, 3: RGB; arrays keep their own.", choices=(1, 3))
    splits: str | None = setting(
        None,
        "Shares of the splits, such as train:0.8,validation:0.1,test:0.1 (default: those of the source, or train:1).",
    )
    attributes: Path | None = setting(
        None,
        "CSV file with one row per image: attributes, or label (number of the class) and group (name of the class).",
    )


def main(arguments: Arguments) -> Path:
    """Build one dataset, and print and return its folder."""
    source, name, attributes = arguments.source, arguments.name, arguments.attributes
    data_dir = Path(os.path.expanduser(arguments.data_dir or tfds.core.constants.DATA_DIR))
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"name={name}: use lower-case letters, digits and underscores")
    if data_dir.resolve() != STORE.resolve():
        if name in catalogue():
            raise InputError(f"name={name}: is the name of a public dataset; choose another")
        if name in embedded_datasets():
            raise InputError(f"name={name}: is the name of a dataset of this package; choose another")
    if any((data_dir / name).glob("*/dataset_info.json")):
        raise InputError(f"{data_dir / name}: exists already; remove it first, or choose another name")
    files = find_images(source)
    if files is None and attributes:
        raise InputError(f"attributes={attributes}: are for image files; the source holds arrays")
    parts = None if files else parts_of_arrays(source)
    output_folder(data_dir, "data_dir")
    try:
        os.fspath(data_dir).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"data_dir={printable(data_dir)}: is not in UTF-8, as TensorFlow needs its paths") from error
    if files:
        how = dict(size=arguments.size or SIZE, channels=arguments.channels)
        folder = build_from_images(files, name, data_dir, splits=arguments.splits, attributes=attributes, **how)
    else:
        folder = build_from_arrays(parts, name, data_dir, arguments.size, arguments.splits)
    print(folder)
    return folder


run = program(Arguments, main)

if __name__ == "__main__":
    command_line.launch(run)
