"""Atomic writes, and the folders for results and for the cache."""

import contextlib
import fcntl
import functools
import itertools
import os
import re
import socket
import stat
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from hw5.errors import InputError, reason_of

NUMBERS = itertools.count()  # of this process' temporary files
PARTIAL_NAME = re.compile(r"\.partial\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-\d+\.")
ABANDONED_SECONDS = 24 * 3600


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename it to `path` at the end.

    A reader never sees half a file. An exception removes the temporary file and leaves an older `path` as
    it was. Several processes and threads may write one file at once: each has a temporary file of its own, and the
    last rename stays. A killed process leaves at most a hidden `.partial.…` file, which the next write into the
    folder removes. The temporary name ends like `path`, because some writers choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    # The end of a long name is enough: with all of it, the temporary name might be longer than a name may be.
    partial = path.with_name(f".partial.{_machine()}-{os.getpid()}-{next(NUMBERS)}.{path.name[-40:]}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:  # a full disk, for example: some writers do not name the file
        if error.filename and str(error.filename) != str(partial):
            raise
        reason = error.strerror or f"{error}; is the disk full?"
        raise OSError(error.errno, reason, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of `atomic_write` whose process was killed.

    A process of another machine or container cannot be asked for. Its files are left for a day.
    """
    for path in folder.glob(".partial.*"):
        owner = PARTIAL_NAME.match(path.name)
        with contextlib.suppress(OSError):  # another process removed it first, or it must not be removed
            if owner and owner["machine"] == _machine():
                abandoned = not _is_alive(int(owner["process"]))
            else:
                abandoned = time.time() - path.stat().st_mtime > ABANDONED_SECONDS
            if abandoned:
                path.unlink()


def _is_alive(process):
    try:
        os.kill(process, 0)  # signal 0 does nothing
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    return True


@functools.cache
def _machine():
    """Return eight digits for the set of processes that share their numbers: this machine, or this container."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        numbers = ""
    return f"{zlib.crc32(f'{socket.gethostname()} {numbers}'.encode()):08x}"


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
        with tempfile.TemporaryFile(dir=folder):  # the rights alone do not tell: a disk may be read-only
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{argument}={path}: is, or lies under, a file; name a folder") from error
    except PermissionError as error:
        raise InputError(f"{argument}={path}: no permission to write there") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        raise InputError(f"{argument}={path}: cannot be written to ({reason_of(error)})") from error
    return folder


def output_file(path: str | os.PathLike, argument: str = "out") -> Path:
    """Create the folder of a file of results, and check that the file can be written, before a run spends time on it.

    Raises:
        InputError: it is a folder or a device; its name is too long; it, or its folder, must not be written to.
    """
    path = Path(path)
    output_folder(path.parent, argument)
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return path
    except (OSError, ValueError) as error:
        raise InputError(f"{argument}={path}: cannot be written to ({reason_of(error)})") from error
    if not is_file:
        raise InputError(f"{argument}={path}: is no file, but a folder or a device; name a file")
    if not os.access(path, os.W_OK):  # a renamed file would take its place all the same
        raise InputError(f"{argument}={path}: is write-protected; name another file")
    return path


@contextlib.contextmanager
def locked(folder: str | os.PathLike, argument: str = "run_dir") -> Iterator[None]:
    """Keep other processes out of a folder. The lock ends with the process, however that ends.

    Args:
        argument: name of the argument that `folder` came from. A folder has one lock for each, so that a run may have
            its figures and its trainings in one folder.

    Raises:
        InputError: another process holds the lock.
    """
    with open(Path(folder) / f".{argument}.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{argument}={folder}: another process writes there; wait for it, or name another folder"
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
