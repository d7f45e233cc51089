"""Atomic writes, and the folders for results and for the cache."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hw5.errors import InputError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename it to `path` at the end.

    A reader never sees half a file. An exception removes the temporary file and leaves an older `path` as
    it was. A killed process leaves at most a hidden `.partial.…` file. The temporary name keeps the suffix,
    because some writers choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:  # a full disk, for example: some writers do not name the file
        if error.filename and str(error.filename) != str(partial):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def output_folder(path: str | os.PathLike, argument: str = "out") -> Path:
    """Create a folder for results before a run spends time on them.

    Args:
        argument: name of the argument that `path` came from, for the error message.

    Raises:
        InputError: the path is a file, or must not be written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{argument}={path}: is, or lies under, a file; name a folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{argument}={path}: no permission to write there")
    return folder


@contextlib.contextmanager
def locked(folder: str | os.PathLike, argument: str = "run_dir") -> Iterator[None]:
    """Keep other processes out of a folder. The lock ends with the process, however that ends.

    Raises:
        InputError: another process holds the lock.
    """
    with open(Path(folder) / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{argument}={folder}: another process trains there; wait for it, or name another folder"
            raise InputError(message) from error
        yield


def cache_folder() -> Path:
    """Return the folder for results that can be computed again: `$XDG_CACHE_HOME/hw5`, or `~/.cache/hw5`.

    A user without a home gets a folder among the temporary files.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hw5"
    except RuntimeError:
        return Path(tempfile.gettempdir(), "hw5")
