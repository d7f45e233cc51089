"""Writing files so that a reader never sees half of one, and where those go that can be made again."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary name to write to, and rename it to `path` once everything is written.

    An exception removes what was written and leaves an older file as it was; a killed process leaves at
    most a hidden `.partial.…` beside it. The temporary name keeps the suffix, which some writers go by.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:  # a full disk, say: some writers do not tell which file
        if error.filename:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where what took long to compute is kept: `$XDG_CACHE_HOME/hw5`, by default `~/.cache/hw5`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hw5"
