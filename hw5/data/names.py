"""What the name of a dataset means: an embedded dataset, one in a TFDS folder, one of TFDS' catalogue, or a path.

A name of a dataset is never taken for a file or folder of that name in the current directory: write `./mnist` for
those. Other paths need no `./`.
"""

import functools
import os
import re
from pathlib import Path

import tensorflow_datasets as tfds

from hw5.data import celeb_a, prepared
from hw5.data.image_files import note, printable
from hw5.data.local import LocalDataset, open_dataset
from hw5.errors import InputError, reason_of

STORE = Path(__file__).parent / "store"
# mnist, mnist:3.0.1, emnist/balanced, emnist/balanced:3.*.*; also mnist/3.0.1, as TFDS' folders are called
DATASET = re.compile(r"([A-Za-z]\w*)(?:/([^/:]+))?(?::(\d+\.(?:\d+|\*)\.(?:\d+|\*)))?")


def find_path(name: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> Path | None:
    """Return the path that `name` means, which may not exist, or None if it is the name of a dataset.

    The name of a dataset comes first, with a note on stderr if there is also a file or folder of that name. A Path is
    never the name of a dataset: `Path("./mnist")` has lost its `./`.
    """
    text = os.fspath(name)
    path = Path(os.path.expanduser(text))
    looks_like_one = text.startswith(("/", "./", "../", "~")) or text.endswith("/") or text in (".", "..")
    if isinstance(name, os.PathLike) or looks_like_one:
        return path
    if _is_dataset(text, data_dir):
        if os.path.lexists(path):
            note(f"{text} is the dataset; write ./{text} for the {'folder' if path.is_dir() else 'file'}")
        return None
    return path if text and (os.path.lexists(path) or "/" in text or path.suffix) else None


def find_dataset(
    name: str | os.PathLike, data_dir: str | os.PathLike | None = None
) -> tfds.core.DatasetBuilder | LocalDataset:
    """Open the dataset that `name` means; arguments and errors as of `hw5.data.load`.

    A dataset in `data_dir` comes before an embedded one of the same name. One in the usual TFDS folder does not.
    """
    try:
        path = find_path(name, data_dir)
        if path is not None:
            folder = _version_folder(path)
            if not path.parent.exists():
                _check_configuration(name)
            return prepared.open_folder(folder) if folder else open_dataset(path)
    except OSError as error:
        raise InputError(f"{printable(name)}: {reason_of(error)}") from error
    base, config, version = _parse(name)
    if base == celeb_a.NAME:
        return celeb_a.builder(data_dir)
    if data_dir is not None and not _folder(data_dir).is_dir():
        raise InputError(f"data_dir={data_dir}: no such folder")
    embedded = embedded_datasets()
    folder = embedded.get(base) if config is None and version in (None, "1.0.0", "1.*.*") else None
    if folder is not None:
        root = _folder(data_dir)
        own = (root / base).is_dir() and root.resolve() != STORE.resolve()
        if not (own and data_dir):
            if own and base not in catalogue():
                note(f"{base}: the embedded dataset, not the one in {root}; {root / base} as its name reads that")
            elif data_dir and root.resolve() != STORE.resolve():
                note(f"{base}: the embedded dataset; {root} holds none of that name")
            return prepared.open_folder(folder) if folder.is_dir() else open_dataset(folder)
        note(f"{base}: the one in {root}, not the embedded dataset")
    try:
        full_name = base + (f"/{config}" if config else "") + (f":{version}" if version else "")
        return prepared.open_catalogued(full_name, data_dir)
    except LookupError as error:
        raise InputError(
            f"unknown dataset {name!r}; embedded are {', '.join(embedded)}; others: a name from the TensorFlow "
            "Datasets catalogue, your own (python -m hw5.data.build), or the path of your files"
        ) from error
    except InputError as error:
        raise InputError(f"{error}; the embedded one is called {base}" if base in embedded else str(error)) from error


def _check_configuration(name):
    """Refuse a configuration that a dataset of the catalogue does not have, as in emnist/nonsense."""
    base, config, _ = _parse(os.fspath(name))
    if config and base in catalogue() and (configs := tfds.builder_cls(base).builder_configs):
        raise InputError(f"dataset {base!r} has no configuration {config!r}; it has {', '.join(configs)}")


def embedded_datasets() -> dict[str, Path]:
    """Return the datasets of this package: name → folder of its version, or its arrays (`NAME/NAME.npz`).

    An archive to hand in has MNIST as arrays, at half the size.
    """
    arrays = {path.stem: path for path in sorted(STORE.glob("*/*.npz")) if path.stem == path.parent.name}
    return arrays | {path.parts[-3]: path.parent for path in sorted(STORE.glob("*/*/dataset_info.json"))}


@functools.cache
def catalogue() -> frozenset[str]:
    """Return the names of TFDS' catalogue, without those of communities."""
    return frozenset(tfds.list_builders(with_community_datasets=False))


def _folder(data_dir):
    return Path(os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR))  # Path.expanduser needs a home


def _parse(name):
    """Divide "emnist/balanced:3.1.0" into its three parts; what is not there is None."""
    found = DATASET.fullmatch(name)
    if not found:
        return name, None, None
    base, config, version = found.groups()
    if not os.path.lexists(name) and base.lower() in embedded_datasets().keys() | catalogue():
        base = base.lower()  # MNIST
    if config and tfds.core.Version.is_valid(config):
        config, version = None, config
    return base, config, version


def _is_dataset(text, data_dir):
    if not DATASET.fullmatch(text):
        return False
    base, config, _ = _parse(text)
    if base in embedded_datasets() and config is None:
        return True
    folder = _folder(data_dir) / base / (config or "")
    if any(folder.glob("*/dataset_info.json")) or any(folder.glob("*/*/dataset_info.json")):
        return True
    if base not in catalogue() and base != celeb_a.NAME:
        return False
    return config is None or config in tfds.builder_cls(base).builder_configs


def _version_folder(path):
    """Return the folder of the newest version of a TFDS dataset, if a path is that dataset."""
    if (path / "dataset_info.json").is_file():
        return path
    versions = [
        file.parent for file in path.glob("*/dataset_info.json") if tfds.core.Version.is_valid(file.parent.name)
    ]
    return max(versions, key=lambda folder: tfds.core.Version(folder.name), default=None)
