"""summary.txt: what is handed in, what was changed against the original code, whose code it refers to."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

import hw5
from hw5.errors import InputError
from hw5.homework.changes import code_files, compare, count, read, references

# Sheet 004: code belongs between these two lines.
START, END = (re.compile(rf"^\s*#\s*TODO:?\s+{word}\b", re.IGNORECASE) for word in ("start", "end"))
RULE = "#" * 24


def summarise(source: Path, code: list[str], reference: Path | None = None) -> str:
    """Summarise the changes against the reference file by file, and the references in the code."""
    lines = [f"hw5 {hw5.__version__}: {len(code)} files of code", ""]
    diffs = []
    if reference is None:
        lines += ["No reference was given to compare with.", ""]
    else:
        before = original(source, code, reference)
        if not set(before) & set(code):
            raise InputError(
                f"{reference}: holds none of the files that are handed in; name a checkout of this homework"
            )
        changes = compare(source, code, reference, before)
        lines += ["Changed against the reference, in lines", ""]
        for path, (kind, diff) in changes.items():
            added, removed = count(diff)
            lines.append(f"{kind:<9}{f'+{added}':>7}{f'-{removed}':>7}  {path}")
            diffs += [*diff, ""] if kind == "modified" else []
        lines += ["", f"{len(code) - sum(kind != 'removed' for kind, _ in changes.values())} files are unchanged.", ""]
    lines += ["References in the code", "", *(references(source, code) or ["none"])]
    if diffs:
        lines += ["", "Modified lines", "", *diffs]
    return "\n".join(lines) + "\n"


def code_check(source: Path, code: list[str], reference: Path | None = None) -> str:
    """Summarise in the three blocks of sheet 004's code checking: filled code, references, other modifications.

    Filled code is what stands between `# TODO start` and `# TODO end`. Everything else that differs from the reference
    is another modification; a line has its number in its file, and - or +.
    """
    filled = []
    for path in code:
        for number, lines in enumerate(regions(read(source / path).splitlines()), 1):
            filled += [f"# ../codes/{path}:{number}", *lines]
    named = dict.fromkeys(line.partition(": ")[2] for line in references(source, code))
    if reference is None:
        others = ["# no reference folder was given to compare with: ./run_all.sh handin FOLDER --sheet=004"]
    else:
        others = list(modifications(source, code, reference))
    blocks = {
        "Filled Code": filled or ["# no file has the marks `# TODO start` and `# TODO end`"],
        "References": [f"# {line}" for line in named] or ["# none"],
        "Other Modifications": others or ["# none"],
    }
    return "".join("\n".join([RULE, f"# {title}", RULE, *lines, ""]) for title, lines in blocks.items())


def regions(lines: Iterable[str]) -> list[list[str]]:
    """List the lines between each pair of marks."""
    found, inside = [], False
    for line in lines:
        if START.match(line):
            inside = True
            found.append([])
        elif END.match(line):
            inside = False
        elif inside:
            found[-1].append(line)
    return found


def modifications(source: Path, code: list[str], reference: Path) -> Iterable[str]:
    """List the files that were added or removed, and the lines outside of the marks that were changed."""
    before = original(source, code, reference)
    for path in sorted({*before, *code}):
        if path not in before:
            yield f"# ../codes/{path}: added, {len(read(source / path).splitlines())} lines"
        elif path not in code:
            yield f"# _codes/{path}: removed"
        else:
            changed = list(changed_lines(*(_outside(read(root / path)) for root in (reference, source))))
            yield from [f"# _codes/{path} -> ../codes/{path}", *changed] if changed else []


def changed_lines(old: list[tuple[int, str]], new: list[tuple[int, str]]) -> Iterable[str]:
    """List the lines of two numbered texts that differ."""
    texts = [[text for _, text in lines] for lines in (old, new)]
    for kind, first, last, start, end in difflib.SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if kind != "equal":
            yield from (f"# {number} - {text}" for number, text in old[first:last])
            yield from (f"# {number} + {text}" for number, text in new[start:end])


def _outside(text):
    """Number the lines outside of the marks; these belong to them."""
    kept, inside = [], False
    for number, line in enumerate(text.splitlines(), 1):
        inside = inside and not END.match(line)
        if not inside:
            kept.append((number, line))
        inside = inside or bool(START.match(line))
    return kept


def original(source: Path, code: list[str], reference: Path) -> list[str]:
    """List the code of the reference: of a checkout its own, of another folder all Python files.

    Files that the checkout has as well, and that are not handed in, are left out.

    Raises:
        InputError: there is no such folder, or no code in it.
    """
    if not reference.is_dir():
        raise InputError(f"{reference}: no such folder to compare with")
    found = code_files(reference)
    if not any(path.endswith(".py") for path in found):
        paths = (path.relative_to(reference) for path in reference.rglob("*.py"))
        found = sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
    if not found:
        raise InputError(f"{reference}: holds none of the files that are handed in; name a checkout of this homework")
    not_handed_in = set(code_files(source)) - set(code)
    return [path for path in found if path not in not_handed_in]
