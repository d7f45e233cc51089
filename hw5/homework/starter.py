"""The package that students fill in: `handout/`, with the images of the sheets."""

import shutil
from pathlib import Path

from hw5.errors import InputError

PACKAGE = Path(__file__).parents[1]
HANDOUT = Path(__file__).with_name("handout")


def make(folder: Path) -> None:
    """Write the package to fill in, its README and the images.

    Raises:
        InputError: the folder is there and not empty, or a file.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"starter={folder}: exists already; name a new or an empty folder")
    shutil.copytree(HANDOUT, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    shutil.copytree(PACKAGE / "data" / "store", folder / "hw5" / "data" / "store")
    print(f"{folder}: its README.md says how to begin")
