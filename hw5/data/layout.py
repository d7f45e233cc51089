"""What the names of files and folders say about images: their split, their class, and which file has their labels."""

import os
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

SPLIT_WORDS = {
    **dict.fromkeys(["train", "training"], "train"),
    **dict.fromkeys(["validation", "valid", "val", "dev"], "validation"),
    **dict.fromkeys(["test", "testing", "t10k"], "test"),
}
ROLE_WORDS = {
    **dict.fromkeys(["images", "image", "imgs", "img", "x", "data", "samples", "idx3"], "image"),
    **dict.fromkeys(["labels", "label", "y", "targets", "target", "classes", "idx1"], "label"),
}
JOINED = {x + split: (x, split) for x in "xy" for split in SPLIT_WORDS} | {
    split + x: (split, x) for x in "xy" for split in SPLIT_WORDS
}
FORMAT_WORDS = {"idx", "idx1", "idx3", "ubyte", "gz", "npy", "npz", "zip", "set"}


class Named(NamedTuple):
    """What the name of an array or its file says.

    Attributes:
        stem: the words that say nothing of this, such as ("emnist", "balanced"): files of one dataset share them.
        split: "train", "validation", "test" or None.
        role: "image", "label" or None.
    """

    stem: tuple[str, ...]
    split: str | None
    role: str | None


def parse_name(name: str) -> Named:
    """Read the name of an array or a file: "emnist-balanced-train-images-idx3-ubyte.gz", "x_test", "train/x.npy"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", PurePosixPath(name).name)
    folders = [SPLIT_WORDS.get(folder.lower()) for folder in PurePosixPath(name).parent.parts]
    words = [part for word in re.findall(r"[^\W_]+", spaced.lower()) for part in JOINED.get(word, (word,))]
    splits = [SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS]
    roles = [ROLE_WORDS[word] for word in words if word in ROLE_WORDS]
    known = SPLIT_WORDS.keys() | ROLE_WORDS.keys() | FORMAT_WORDS
    # Of "mnist_data_labels" the last word counts, but "labels-idx1" and "labels.npy" say the same twice.
    return Named(
        tuple(word for word in words if word not in known),
        next(filter(None, [*reversed(splits), *reversed(folders)]), None),
        roles[-1] if roles else None,
    )


def split_folders(names: Sequence[str]) -> dict[str | None, list[str]]:
    """Group image files by folders called train, test and the like.

    Folders that contain all files are ignored. The other words of the folders' names are the same: train_images and
    test_images, seg_train and seg_test, train2017 and val2017.

    Args:
        names: paths relative to one folder.

    Returns:
        Split → its names. If there are two splits or more, the files beside these folders are left out. {None: names}
        if not, and not every file lies in such a folder; a class may be called train.
    """
    depth = _common_depth(names)
    found = {}  # other words of the folders' names → split → names
    for name in names:
        folder, *within = PurePosixPath(name).parts[depth:]
        stem, split, role = parse_name(folder.rstrip("0123456789"))
        if within and split and role != "label":
            found.setdefault(stem, {}).setdefault(split, []).append(name)
    complete = [splits for splits in found.values() if len(splits) > 1 or sum(map(len, splits.values())) == len(names)]
    return complete[0] if len(complete) == 1 else {None: list(names)}


def class_folders(splits: dict[str | None, list[str]]) -> tuple[list[str], dict[str, int]]:
    """Find the classes of images in folders, one folder per class.

    Args:
        splits: as from `split_folders`.

    Returns:
        (names of the classes, name of each file → number of its class); both empty unless every image lies in a
        folder and there are at least two. Numbers are sorted by their value.
    """
    names = [name for part in splits.values() for name in part]
    depth = _common_depth(names) + (None not in splits)  # without the folder of the split
    folder_of = {}
    for name in names:
        parts = PurePosixPath(name).parts[depth:]
        if None not in splits and parts[0] == PurePosixPath(name).parts[depth - 1]:  # seg_train/seg_train/sea/1.jpg
            parts = parts[1:]
        folder_of[name] = parts[0] if len(parts) > 1 else None
    folders = set(folder_of.values())
    if None in folders or len(folders) < 2:
        return [], {}
    numeric = all(folder.isdecimal() for folder in folders)
    classes = sorted(folders, key=lambda folder: (int(folder) if numeric else 0, folder))
    number = {folder: index for index, folder in enumerate(classes)}
    return classes, {name: number[folder] for name, folder in folder_of.items()}


def _common_depth(names):
    """Count the folders at the start of the paths that contain all files."""
    return len(PurePosixPath(os.path.commonpath([PurePosixPath(name).parent for name in names])).parts)
