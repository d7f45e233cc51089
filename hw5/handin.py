"""The archive to hand in: the report, the code, the figures, and a summary of what was changed.

    python -m hw5.handin                                          # hw5.zip
    python -m hw5.handin ../handout --name=2023012345             # with a summary of what differs from ../handout

As sheet 004 wants it: `Report.pdf` (and `Report.html`), `summary.txt`, and `codes/` with its README; in it, for
sheet 000, `figures/sectionN/`. Weights, data, caches and checkpoints stay out.
"""

import difflib
import re
import zipfile
from pathlib import Path

import hw5
from hw5 import flags, report
from hw5.errors import InputError
from hw5.files import replacing

LIMIT = 50_000_000  # bytes (sheet 004, Submission Guideline)
ROOT = ("README.md", "run_all.sh", "setup.cfg", "pyproject.toml", "constraints.txt")
FOLDERS = ("hw5", "tests", "benchmarks", "report")
CODE_SUFFIXES = {".py", ".sh", ".cfg", ".toml", ".txt", ".md", ".tex", ".css"}
FIGURE_SUFFIXES = {".png", ".gif", ".json"}
# Sheet 004: a comment line names what code was taken from or discussed with.
REFERENCE = re.compile(r"^\s*# Reference: *(.+)$", re.MULTILINE)
LEFT_OUT = (
    "Left out of codes/: the datasets of hw5/data/store, such as python -m hw5.data.build makes of images, and the",
    "weights in hw5/metrics, which python -m hw5.metrics.mnist_classifier trains.",
)


def run(reference=None, *, name="hw5", author="", source=".", out="."):
    """Build the report and pack it with the code and the figures.

    Args:
        reference: folder of the code that this was made from, for the summary; or None.
        name: of the archive, the student's number say.
        author: name and number for the report's title.
        source: the checkout.
        out: folder for the archive.

    Returns:
        The path of the archive.

    Raises:
        InputError: no report can be built, the reference is none, or the archive is above 50 MB.
    """
    source = Path(source)
    if not name or name.startswith(".") or Path(name).name != name:
        raise InputError(f"--name={name}: must be the name of a file, without folders")
    code = code_files(source)
    summary = summarise(source, code, reference)
    documents = report.run(
        source=source / "report" / "report.tex",
        figures=source / "figures",
        out=source / "report",
        build=source / "runs" / "report",
        author=author,
    )
    contents = {f"Report{path.suffix}": path for path in documents}
    contents |= {f"codes/{path}": source / path for path in [*code, *figure_files(source)]}

    archive = Path(out) / f"{name}.zip"
    with replacing(archive) as partial:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as file:
            file.writestr("summary.txt", summary)
            for inside, path in sorted(contents.items()):
                file.write(path, inside)
            sizes = {info.filename: info.compress_size for info in file.infolist()}
        size = partial.stat().st_size
        if size > LIMIT:
            largest = ", ".join(sorted(sizes, key=sizes.get, reverse=True)[:3])
            raise InputError(
                f"{archive}: {size / 1e6:.1f} MB, above the {LIMIT / 1e6:.0f} MB allowed; largest: {largest}"
            )
    print(f"{archive}: {len(contents) + 1} files, {size / 1e6:.1f} MB")
    return archive


def code_files(source: Path) -> list[str]:
    """The code and its documentation, as sorted paths from `source`; no data, weights, caches or hidden files."""
    files = [source / name for name in ROOT]
    files += [path for folder in FOLDERS for path in (source / folder).rglob("*") if path.suffix in CODE_SUFFIXES]
    paths = [path.relative_to(source) for path in files if path.is_file()]
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def figure_files(source: Path) -> list[str]:
    """The figures and numbers of every section, as paths from `source`."""
    paths = (source / "figures").glob("section*/[!.]*")
    return [path.relative_to(source).as_posix() for path in paths if path.suffix in FIGURE_SUFFIXES]


def summarise(source: Path, code: list[str], reference=None) -> str:
    """What was changed against the reference, file by file, what the code refers to, and what was left out."""
    lines = [f"hw5 {hw5.__version__}: {len(code)} files of code", ""]
    diffs = []
    if reference is None:
        lines += ["No reference was given to compare with.", ""]
    else:
        changes = compare(source, code, Path(reference))
        lines += ["Changed against the reference, in lines", ""]
        for path, (kind, diff) in changes.items():
            added, removed = (sum(line.startswith(sign) for line in diff[2:]) for sign in "+-")
            lines.append(f"{kind:<9}{f'+{added}':>7}{f'-{removed}':>7}  {path}")
            diffs += [*diff, ""] if kind == "modified" else []
        lines += ["", f"{len(code) - sum(kind != 'removed' for kind, _ in changes.values())} files are unchanged.", ""]
    found = {path: REFERENCE.findall(read(source / path)) for path in code if path.endswith(".py")}
    lines += ["References in the code", ""]
    lines += [f"{path}: {line.strip()}" for path, named in found.items() for line in named] or ["none"]
    lines += ["", *LEFT_OUT]
    if diffs:
        lines += ["", "Modified lines", "", *diffs]
    return "\n".join(lines) + "\n"


def compare(source: Path, code: list[str], reference: Path) -> dict[str, tuple[str, list[str]]]:
    """Path → ("added", "modified" or "removed", its unified diff), for the files that differ.

    Raises:
        InputError: the reference is no folder, or has none of the files.
    """
    if not reference.is_dir():
        raise InputError(f"{reference}: no such folder to compare with")
    before = code_files(reference)
    if not set(before) & set(code):
        raise InputError(f"{reference}: holds none of the files that are handed in; name a checkout of this homework")
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


def read(path: Path) -> str:
    """The text of a file, whatever bytes are in it."""
    return path.read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    flags.DEFINE_string("name", flags.default(run, "name"), "Name of the archive: your student number, say.")
    flags.DEFINE_string("author", flags.default(run, "author"), "Name and number for the report's title.")
    flags.DEFINE_string("source", flags.default(run, "source"), "The checkout.")
    flags.DEFINE_string("out", flags.default(run, "out"), "Folder for the archive.")
    flags.launch(run, positional=["reference"])
