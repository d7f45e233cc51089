"""What was handed in: folders, zip files and notebooks; the package in them, and the files that hand-ins leave out."""

import configparser
import filecmp
import glob
import hashlib
import os
import shutil
import stat
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hw5.errors import InputError
from hw5.homework import notebook

CHECKOUT = Path(__file__).parents[2]
PACKAGE = "hw5"
MAX_BYTES = 1_000_000_000
MAX_FILES = 20_000
MAX_DEPTH = 5  # of the package
MAX_LEVELS = 100  # of the folders in it and around it
NOT_HANDED_IN = {"__MACOSX", "__pycache__", "site-packages", "node_modules", "venv"}


@dataclass
class Prepared:
    """A submission that can be graded.

    Attributes:
        folder: holds a copy of the package and nothing else.
        digest: of the package's files, without those that the grader supplied.
        notes: what could not be taken, in words.
    """

    folder: Path
    digest: str = ""
    notes: list[str] = field(default_factory=list)


def find(pattern: str) -> dict[str, Path]:
    """List what a pattern of paths names: folders, zip files and notebooks, by names that differ.

    A name is that of the file or folder; of several with the same, the path below the folder that all have in common.

    Raises:
        InputError: there is none.
    """
    paths = [Path(name) for name in sorted(glob.glob(os.path.expanduser(pattern)))]
    paths = [path for path in paths if path.is_dir() or path.suffix.lower() in (".zip", ".ipynb")]
    if not paths:
        raise InputError(f"{pattern}: names no folder, zip file or notebook")
    stems = [path.name if path.is_dir() else path.stem for path in paths]
    counts, common = Counter(map(str.lower, stems)), os.path.commonpath([path.parent.absolute() for path in paths])
    names = {}
    for stem, path in zip(stems, paths, strict=True):
        if counts[stem.lower()] > 1:
            stem = path.absolute().relative_to(common).as_posix().replace("/", "_")
        while stem.lower() in map(str.lower, names):
            stem += "_"
        names[stem] = path
    return names


def prepare(path: Path, folder: Path, supplied: Path, tests: Path) -> Prepared:
    """Copy the package of a submission into `folder`, which is new, and link what it left out.

    Args:
        path: a folder, a zip file or a notebook.
        supplied: folder of the files that a hand-in leaves out, as `supply_folder` makes it.
        tests: the grading tests, which say which names a notebook should define.

    Raises:
        InputError: there is no package, or more than one.
    """
    folder.mkdir(parents=True)
    prepared = Prepared(folder)
    source = path
    if path.suffix.lower() == ".zip" and path.is_file():
        source = folder.with_name(f"{folder.name}.unpacked")
        unpack(path, source)
    found = _packages(source) if source.is_dir() else []
    archives = sorted(_files(source, ".zip")) if source.is_dir() and not found else []
    if len(archives) == 1 and source == path:  # as learning platforms pack them: a folder per person
        return prepare(archives[0], folder / "inner", supplied, tests)
    notebooks = [path] if path.suffix.lower() == ".ipynb" else sorted(_files(source, ".ipynb"))
    if len(found) > 1:
        places = ", ".join(str(place.relative_to(source)) for place in found)
        raise InputError(f"{path}: holds several packages hw5: {places}; keep one")
    if found:
        place = found[0].resolve()
        if not place.is_relative_to(source.resolve()):
            raise InputError(f"{path}: its hw5 lies elsewhere, in {place}; refusing to grade that")
        prepared.notes += _copy(place, folder / PACKAGE)
    elif notebooks:
        try:
            prepared.notes += notebook.make_package(notebooks, folder, notebook.interface(tests))
        except (ValueError, RecursionError, MemoryError) as error:  # the last two: too deep for Python
            raise InputError(f"{path}: {str(error) or type(error).__name__}") from error
    elif not path.exists():
        raise InputError(f"{path}: no such folder")
    else:
        raise InputError(f"{path}: holds no package hw5; name the folder in which hw5/ lies")
    prepared.digest = digest(folder)
    _supply(folder / PACKAGE, supplied)
    return prepared


def _packages(source):
    """List the folders hw5 with Python files that lie least deep, those in a folder codes/ before others."""
    level = [source]
    for _ in range(MAX_DEPTH):
        found = [place / PACKAGE for place in level if _is_package(place / PACKAGE)]
        if found:
            return [place for place in found if place.parent.name == "codes"] or found
        level = [inner for place in level for inner in _folders(place)]
    return []


def _is_package(place):
    return place.is_dir() and any(place.rglob("*.py"))


def _folders(place):
    entries = sorted(place.iterdir()) if os.access(place, os.R_OK) else []
    return [entry for entry in entries if entry.is_dir() and not entry.is_symlink() and _is_handed_in(entry.name)]


def _is_handed_in(name):
    return not name.startswith(".") and name not in NOT_HANDED_IN


def _files(source, suffix):
    level = [source]
    for _ in range(MAX_DEPTH):
        yield from (path for place in level for path in sorted(place.glob(f"[!.]*{suffix}")) if path.is_file())
        level = [inner for place in level for inner in _folders(place)]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file, also one that names folders as Windows does; links in it are left out.

    Raises:
        InputError: it is broken, encrypted, too large, or names a path outside.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise InputError(f"{archive}: has more than {MAX_FILES} files or {MAX_BYTES / 1e9:g} GB")
            for entry in entries:
                inside = PurePosixPath(entry.filename.replace("\\", "/"))
                if inside.is_absolute() or ".." in inside.parts or ":" in "".join(inside.parts[:1]):
                    raise InputError(f"{archive}: holds {entry.filename!r}, which lies outside of it")
                if len(inside.parts) > MAX_LEVELS:
                    raise InputError(f"{archive}: has more than {MAX_LEVELS} folders within each other")
                is_folder = entry.is_dir() or entry.filename.endswith("\\")
                if is_folder or stat.S_ISLNK(entry.external_attr >> 16) or not all(map(_is_handed_in, inside.parts)):
                    continue
                target = folder / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(entry) as packed, open(target, "wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            folder.mkdir(parents=True, exist_ok=True)
    except InputError:
        raise
    except Exception as error:  # zipfile raises errors of many types
        raise InputError(f"{archive}: cannot be unpacked ({error})") from error


def _copy(source, target):
    """Copy a package without caches and hidden files; return what was left out."""
    notes, size, count = [], 0, 0
    for place, names, files in os.walk(source):
        names[:] = sorted(filter(_is_handed_in, names))
        inside = target / Path(place).relative_to(source)
        if len(inside.relative_to(target).parts) > MAX_LEVELS:
            raise InputError(f"{source}: has more than {MAX_LEVELS} folders within each other")
        inside.mkdir()
        for name in filter(_is_handed_in, sorted(files)):
            path = Path(place, name)
            if not path.is_file() or not path.resolve().is_relative_to(source):
                notes.append(f"{path.relative_to(source.parent)} leads elsewhere and was left out")
                continue
            size, count = size + path.stat().st_size, count + 1
            if size > MAX_BYTES or count > MAX_FILES:
                raise InputError(f"{source}: has more than {MAX_FILES} files or {MAX_BYTES / 1e9:g} GB")
            shutil.copyfile(path, inside / name)
    return notes


def supply_folder(folder: Path) -> Path:
    """Copy the data and weights of the grader's own package, which a hand-in leaves out, into a new folder."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    for module in ("hw5.data", "hw5.metrics"):
        patterns = setup["options.package_data"][module]
        package = Path(*module.split("."))
        for path in (path for pattern in patterns.split() for path in (CHECKOUT / package).glob(pattern)):
            if path.is_file():
                target = folder / path.relative_to(CHECKOUT / PACKAGE)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                target.chmod(0o444)
    return folder


def _supply(package, supplied):
    """Link the supplied files that a package lacks, or has as they are."""
    for path in supplied.rglob("*"):
        target = package / path.relative_to(supplied)
        if path.is_file() and (not target.exists() or (target.is_file() and filecmp.cmp(path, target, shallow=False))):
            if any(parent.is_file() for parent in target.parents):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.symlink_to(path)


def digest(folder: Path) -> str:
    """Compute a checksum of the names and contents of all files in a folder, without Python's caches."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return total.hexdigest()
