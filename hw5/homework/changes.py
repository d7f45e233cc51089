"""What of the code was changed, against a folder with the original, and whose code is named in it."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

ROOT_FILES = ("README.md", "LICENSE", "run_all.sh", "setup.cfg", "pyproject.toml", "constraints.txt")
FOLDERS = ("hw5", "tests", "benchmarks", "docs", "report")
CODE_SUFFIXES = {".svg", ".py", ".sh", ".cfg", ".toml", ".txt", ".md", ".tex", ".css"}
# Sheet 004: a comment line names the source of code that was copied, or the person it was discussed with.
REFERENCE = re.compile(r"^\s*# Reference: *(.+)$", re.MULTILINE)


def code_files(source: Path, folders: Iterable[str] = FOLDERS) -> list[str]:
    """List the code and its documentation, as sorted paths from `source`; no data, weights, caches or hidden files."""
    files = [source / name for name in ROOT_FILES]
    files += [path for folder in folders for path in (source / folder).rglob("*") if path.suffix in CODE_SUFFIXES]
    paths = [path.relative_to(source) for path in files if path.is_file()]
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def compare(source: Path, code: list[str], reference: Path, before: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Compare files of code with those of another folder.

    Args:
        code, before: the files, as paths from `source` and from `reference`.

    Returns:
        Path → ("added", "modified" or "removed", its unified diff), for the files that differ.
    """
    changes = {}
    for path in sorted({*before, *code}):
        old, new = (
            read(root / path).splitlines() if path in files else []
            for root, files in ((reference, before), (source, code))
        )
        kind = "added" if path not in before else "removed" if path not in code else "modified"
        diff = list(difflib.unified_diff(old, new, path, path, lineterm=""))
        if diff or kind != "modified":
            changes[path] = (kind, diff)
    return changes


def count(diff: list[str]) -> tuple[int, int]:
    """Count the lines that a unified diff adds and removes."""
    return tuple(sum(line.startswith(sign) for line in diff[2:]) for sign in "+-")


def references(source: Path, code: list[str]) -> list[str]:
    """List the references that comments of Python files name, each with its file."""
    found = {path: REFERENCE.findall(read(source / path)) for path in code if path.endswith(".py")}
    return [f"{path}: {line.strip()}" for path, named in found.items() for line in named]


def read(path: Path) -> str:
    """Read a text file; bytes that are not UTF-8 are replaced."""
    return path.read_text(encoding="utf-8", errors="replace")
