"""The files of a folder or a zip file, and the images among them."""

import collections
import functools
import math
import os
import re
import stat
import struct
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from PIL import Image

from hw5.data.decode import holds_several, open_image, readable_suffixes, to_array, unscaled_numbers
from hw5.data.values import Extremes, find_white
from hw5.errors import InputError

# The first bytes of the usual kinds of images, to recognise files without a suffix.
SIGNATURE = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|BM.{4}\0{4}|II\*\0|MM\0\*|RIFF.{4}WEBP|\0\0\0\x0cjP  |\xff\x4f\xff\x51"
    rb"|.{4}ftyp(avi[fs]|hei[cxms]|mif1)|P[1-7][\s]|qoif",
    re.DOTALL,
)
SIGNATURE_BYTES = 16
MAX_ZIP_END = 22 + 65535  # bytes of the last record of a zip file, with its comment
COUNT_IS_ELSEWHERE = 0xFFFF  # in zip files of more entries
MENDS = dict.fromkeys([".heic", ".heif"], " (pip install pillow-heif reads them)")
MENDS |= dict.fromkeys([".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"], " (to be unpacked first)")
FILE_MENDS = MENDS | {".zip": " (a zip file that is cut off or damaged)"}  # a whole one is read as it is
DARK = 16  # of 255: images without a brighter pixel probably have another white, as the 4095 of 12 bits
MAX_LISTED = 10  # names in a note


class Files:
    """The visible files of a folder (searched with its subfolders and linked folders) or of a zip file.

    Each folder is read once, also if links lead to it in several ways. Everything else is counted.

    Args:
        depth: levels of subfolders that are searched.

    Attributes:
        source: the folder or zip file.
        archive: the open zip file, or None.
        names: of the files, relative to the source, sorted.
        skipped: kind of file → number of files that are left out.
    """

    def __init__(self, source: str | os.PathLike, depth: float = math.inf):
        self.source, self.archive, self.depth = Path(source), None, depth
        self._entries = {}  # name → name as the zip file writes it
        self.skipped = collections.Counter()
        if self.source.is_dir():
            self.names = sorted(self._in_folder())
        elif self.source.is_file() and zipfile.is_zipfile(self.source):
            try:
                self.archive = open_zip(self.source)
            except Exception as error:  # zipfile raises errors of many types
                raise InputError(f"{printable(source)}: cannot be read as a zip file ({error})") from error
            self._entries = dict(self._in_archive())
            self.names = sorted(self._entries)
        else:
            raise InputError(f"{printable(source)}: neither a folder nor a zip file")

    def __len__(self):
        return len(self.names)

    def contents(self, name: str, size: int = -1) -> bytes:
        """Return the bytes of one of the files, or the first `size` of them; they raise errors of many types."""
        with self.archive.open(self._entries[name]) if self.archive else open(self.source / name, "rb") as file:
            return file.read(size)

    def path(self, name: str) -> str:
        """Return the place of one of the files for messages."""
        return printable(f"{self.source}:{name}" if self.archive else self.source / name)

    def _in_folder(self) -> Iterator[str]:
        folders, visited = [""], {_identity(self.source)}
        while folders:
            folder = folders.pop()
            try:
                entries = sorted(os.scandir(self.source / folder), key=lambda entry: (entry.is_symlink(), entry.name))
            except OSError as error:
                raise InputError(f"{self.path(folder)}: {error.strerror}") from error
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if _is_hidden(entry.name):
                    self.skipped["hidden"] += 1
                elif not os.path.exists(entry.path):
                    self.skipped["dangling links"] += 1
                elif entry.is_file():
                    yield name
                elif not entry.is_dir():
                    self.skipped["pipes or devices"] += 1
                elif name.count("/") >= self.depth:
                    self.skipped["folders"] += 1
                elif (identity := _identity(entry.path)) in visited:
                    self.skipped["links to a folder that is read already"] += 1
                else:
                    visited.add(identity)
                    folders.append(name)

    def _in_archive(self) -> Iterator[tuple[str, str]]:
        seen = set()
        for entry in self.archive.infolist():
            written = entry.filename.replace("\\", "/")  # some programs for Windows do not
            name = PurePosixPath(written)
            if written.endswith("/"):
                continue
            if ".." in name.parts or name.is_absolute():
                self.skipped["outside of the archive"] += 1
            elif any(map(_is_hidden, name.parts)):
                self.skipped["hidden"] += 1
            elif stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
                self.skipped["links or devices"] += 1
            elif written in seen:
                self.skipped["of the same name"] += 1
            else:
                seen.add(written)
                yield written, entry.filename


class ImageFiles(Files):
    """The image files of a folder or a zip file.

    These are files with a suffix of a format that Pillow reads, and files without a suffix that begin like an
    image. Everything else is counted, and reported on stderr with the first image that is read.
    """

    def __init__(self, source: str | os.PathLike):
        super().__init__(source)
        self._white, self._has_several = {}, False
        self.names = [name for name in self.names if self._is_image(name)]
        if not self.names:
            raise InputError(f"{printable(source)}: holds no images that can be read{self._listed(' (', ')')}")

    def read(self, name: str, size: int | None = None, channels: int | None = None) -> np.ndarray:
        """Decode one of the files by `hw5.data.decode.to_array`; InputError names an unreadable file."""
        self.report()

        def decode(encoded):
            image = to_array(encoded, size, channels, self._find_white)
            if not self._has_several and holds_several(encoded):
                self._has_several = True  # it is said once, and no other file is opened again for it
                note(f"{self.path(name)}: an animation or several pages, of which the first is taken; others likewise")
            return image

        return self._decoded(name, decode)

    def header(self, name: str) -> Image.Image:
        """Open one of the files without decoding its pixels; InputError names an unreadable file."""
        return self._decoded(name, open_image)

    def report(self) -> None:
        """Print once what was left out."""
        if self.skipped:
            note(f"{printable(self.source)}{self._listed(': ')}")

    def _listed(self, before, after=""):
        kinds = [f"{count} {kind}{MENDS.get(kind, '')}" for kind, count in self.skipped.most_common()]
        kinds = ", ".join(kinds[:MAX_LISTED] + ["…"] * (len(kinds) > MAX_LISTED))
        return f"{before}skipped {kinds}{after}" if kinds else ""

    def _is_image(self, name) -> bool:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in readable_suffixes():
            return True
        if not suffix[1:].isalnum() or suffix[1:].isdecimal():  # step1.0_img7, img.001
            suffix = ""
        try:
            if not suffix and SIGNATURE.match(self.contents(name, SIGNATURE_BYTES)):
                return True
        except Exception:  # encrypted or without permission: counted as the other files without a suffix
            pass
        self.skipped[printable(suffix) or "without a suffix"] += 1
        return False

    def _decoded(self, name, decode):
        try:
            return decode(self.contents(name))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # damaged files make Pillow and zipfile raise nearly anything
            reason = "not an image" if type(error).__name__ == "UnidentifiedImageError" else error
            reason = printable(" ".join(str(reason).split()) or type(error).__name__)
            raise InputError(f"{self.path(name)}: cannot be read as an image ({reason[:200]})") from error

    def _find_white(self, numbers):
        """Return the number that means white in all images of this type: they belong together."""
        if numbers.dtype not in self._white:
            extremes = functools.reduce(Extremes.__or__, self._extremes(numbers.dtype))
            try:
                self._white[numbers.dtype] = find_white(extremes, numbers.dtype)
            except InputError as error:
                raise InputError(f"{printable(self.source)}: {numbers.dtype} images: {error}") from error
        return self._white[numbers.dtype]

    def _extremes(self, dtype):
        for name in self.names:
            numbers = self._decoded(name, lambda encoded: unscaled_numbers(open_image(encoded)))
            if numbers is not None and numbers.dtype == dtype:
                try:
                    yield Extremes.of(numbers)
                except InputError as error:
                    raise InputError(f"{self.path(name)}: cannot be read as an image ({error})") from error


def open_zip(file: str | os.PathLike | BinaryIO) -> zipfile.ZipFile:
    """Open a zip file, and check that its directory has as many entries as it says, which zipfile does not.

    Raises:
        zipfile.BadZipFile and others of many types: it is damaged.
    """
    archive = zipfile.ZipFile(file)
    size = archive.fp.seek(0, os.SEEK_END)
    archive.fp.seek(max(0, size - MAX_ZIP_END))
    end = archive.fp.read()
    (count,) = struct.unpack_from("<H", end, end.rindex(b"PK\5\6") + 10)  # the number of entries in its last record
    if count not in (len(archive.infolist()), COUNT_IS_ELSEWHERE):
        raise zipfile.BadZipFile(f"{len(archive.infolist())} of {count} entries in its directory")
    return archive


@functools.cache
def note(text: str) -> None:
    """Print a note to the user on stderr, once in a process."""
    print(f"note: {text}", file=sys.stderr)


def note_of_classes(source: str | os.PathLike, classes: Sequence[str]) -> None:
    """Say which classes the labels 0, 1 … are."""
    listed = ", ".join(map(printable, classes[:MAX_LISTED])) + (" …" if len(classes) > MAX_LISTED else "")
    note(f"{printable(source)}: the labels 0 to {len(classes) - 1} are {listed}")


def note_if_dark(name: str | os.PathLike, brightest: int) -> None:
    """Say that images are nearly black, which is more often a mistake than meant."""
    if brightest <= DARK:
        note(f"{printable(name)}: no pixel is brighter than {brightest} of 255; make sure that 255 is their white")


def printable(path: str | os.PathLike) -> str:
    """Return a path in which line breaks and other characters that cannot be printed are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in os.fspath(path))


def _is_hidden(name):
    """Check for a hidden file or folder, or one that macOS adds to zip files."""
    return name.startswith(".") or name == "__MACOSX"


def _identity(path):
    status = os.stat(path)
    return status.st_dev, status.st_ino
