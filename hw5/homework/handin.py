"""The archive to hand in: the report, the code, the figures, and a summary of what was changed.

The layout is that of sheet 004: `Report.pdf` (and `Report.html`), `summary.txt`, and `codes/` with its README.
`codes/` also holds the `figures/sectionN/` that sheet 000 asks for. Weights, data, caches and checkpoints are left
out.
"""

import zipfile
from pathlib import Path

import hw5
from hw5.errors import InputError
from hw5.files import atomic_write
from hw5.homework import report
from hw5.homework.changes import code_files, compare, count, references
from hw5.settings import Settings, program, setting

MAX_BYTES = 50_000_000  # sheet 004, Submission Guideline
FIGURE_SUFFIXES = {".png", ".gif", ".json"}
LEFT_OUT_NOTE = (
    "Left out of codes/: the datasets of hw5/data/store, which python -m hw5.data.build makes from images, and the",
    "weights in hw5/metrics, which python -m hw5.metrics.mnist_classifier trains.",
)


class Arguments(Settings):
    reference: Path | None = setting(None, "Folder of the original code; the summary lists the changes to it.")
    name: str = setting("hw5", "Name of the archive, for example your student number.")
    author: str = setting("", "Name and number for the report's title.")
    source: Path = setting(".", "Folder of the checkout.")
    out: Path = setting(".", "Folder for the archive.")


def main(arguments: Arguments) -> Path:
    """Build the report and pack it with the code and the figures.

    Returns:
        The path of the archive.

    Raises:
        InputError: the report cannot be built, `reference` is no checkout, or the archive is above 50 MB.
    """
    name, source = arguments.name, arguments.source
    if not name or name.startswith(".") or Path(name).name != name:
        raise InputError(f"name={name}: must be the name of a file, without folders")
    if not (source / "report" / "report.tex").is_file():
        raise InputError(f"source={source}: holds no report/report.tex; name a checkout of this homework")
    code = code_files(source)
    summary = summarise(source, code, arguments.reference)
    documents = report.run(
        source=source / "report" / "report.tex",
        figures=source / "figures",
        out=source / "report",
        build=source / "runs" / "report",
        author=arguments.author,
    )
    contents = {f"Report{path.suffix}": path for path in documents}
    contents |= {f"codes/{path}": source / path for path in [*code, *figure_files(source)]}

    archive = arguments.out / f"{name}.zip"
    with atomic_write(archive) as partial:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as file:
            file.writestr("summary.txt", summary)
            for inside, path in sorted(contents.items()):
                file.write(path, inside)
            sizes = {info.filename: info.compress_size for info in file.infolist()}
        size = partial.stat().st_size
        if size > MAX_BYTES:
            largest = ", ".join(sorted(sizes, key=sizes.get, reverse=True)[:3])
            raise InputError(
                f"{archive}: {size / 1e6:.1f} MB, above the {MAX_BYTES / 1e6:.0f} MB allowed; largest: {largest}"
            )
    print(f"{archive}: {len(contents) + 1} files, {size / 1e6:.1f} MB")
    return archive


run = program(Arguments, main, positional=("reference",))


def figure_files(source: Path) -> list[str]:
    """List the figures and numbers of every section, as paths from `source`."""
    paths = (source / "figures").glob("section*/[!.]*")
    return [path.relative_to(source).as_posix() for path in paths if path.suffix in FIGURE_SUFFIXES]


def summarise(source: Path, code: list[str], reference: Path | None = None) -> str:
    """Summarise the changes against the reference file by file, the references in the code, and what is left out."""
    lines = [f"hw5 {hw5.__version__}: {len(code)} files of code", ""]
    diffs = []
    if reference is None:
        lines += ["No reference was given to compare with.", ""]
    else:
        if not reference.is_dir():
            raise InputError(f"{reference}: no such folder to compare with")
        before = code_files(reference)
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
    lines += ["", *LEFT_OUT_NOTE]
    if diffs:
        lines += ["", "Modified lines", "", *diffs]
    return "\n".join(lines) + "\n"
