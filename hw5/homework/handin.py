"""The archive to hand in: for each sheet what it asks for, or everything.

    Report.pdf, Report.html     the sheet's part of the report (001: homework7.NAME.pdf); the page links the figures
    README.md                   how to set up and run it, what is inside, where the data come from
    summary.txt                 changes, references, what was left out or reduced
    codes/                      the package with the sections and the data of the sheet; runs without a network
    codes/figures/sectionN/     figures and numbers (sheet 000)
    homework7.NAME.py           001: the VAE in one file
    sheet003.ipynb, Report.tex  003: the notebook, and the LaTeX source of the report
    codes/VAE/, codes/GAN/      004: in place of codes/

An archive is at most 50 MB. Until it is, figures are reduced (`hw5.homework.shrink`).
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from hw5.errors import InputError
from hw5.files import atomic_write
from hw5.homework.contents import Contents
from hw5.homework.report import ENGINES
from hw5.homework.sheets import SHEETS
from hw5.homework.shrink import LEVELS, Level
from hw5.homework.summary import code_check, summarise
from hw5.settings import Settings, program, setting

MAX_BYTES = 50_000_000  # sheet 004, Submission Guideline


class Arguments(Settings):
    reference: Path | None = setting(None, "Folder of the original code; the summary lists the changes to it.")
    sheet: str = setting("all", "What to hand in.", choices=tuple(SHEETS))
    name: str = setting("hw5", "Name of the archive, for example your student number.")
    author: str = setting("", "Name and number for the report's title.")
    figures: str = setting(
        "all", "Figures in the archive: all, those that the report shows, or none.", choices=("all", "report", "none")
    )
    source: Path = setting(".", "Folder of the checkout.")
    out: Path = setting(".", "Folder for the archive; that of a single sheet lies in its folder sheetNNN.")


def main(arguments: Arguments) -> Path:
    """Build the report and pack it with the code, the data and the figures.

    Returns:
        The path of the archive.

    Raises:
        InputError: no section of the sheet was run, the report cannot be built, `reference` is no folder with code, or
            the archive is above 50 MB even with the smallest figures.
    """
    name, source, sheet = arguments.name, arguments.source, SHEETS[arguments.sheet]
    if not name or name.startswith(".") or Path(name).name != name:
        raise InputError(f"name={name}: must be the name of a file, without folders")
    if not (source / "report" / "report.tex").is_file():
        raise InputError(f"source={source}: holds no report/report.tex; name a checkout of this homework")
    contents = Contents(source, sheet, name)
    code = contents.code()
    summary = (code_check if sheet.number == "004" else summarise)(source, code, arguments.reference)
    contents.check_results()
    contents.add_code(code)
    copies = 1 + any(map(shutil.which, ENGINES))  # of the figures: the PDF has its own
    archive = arguments.out / ("" if sheet.is_whole else f"sheet{sheet.number}") / f"{name}.zip"
    with atomic_write(archive) as partial:
        for level, figures in attempts(arguments.figures):
            taken = contents.add_figures(level, figures)
            if level != LEVELS[-1] and contents.size() + copies * taken > MAX_BYTES:
                continue
            contents.add_documents(arguments.author, embed=figures == "none")
            sizes = contents.write(partial, summary)
            size = partial.stat().st_size
            others = sum(bytes for name, bytes in sizes.items() if name not in contents.figures | contents.documents)
            if size <= MAX_BYTES or others > MAX_BYTES:  # then no figure is to blame
                break
        if size > MAX_BYTES:
            largest = ", ".join(sorted(sizes, key=sizes.get, reverse=True)[:3])
            raise InputError(
                f"{archive}: {size / 1e6:.1f} MB, above the {MAX_BYTES / 1e6:.0f} MB allowed; largest: {largest}"
            )
    print(contents.listing(), end="")
    print(f"{archive}: {len(sizes)} files, {size / 1e6:.1f} MB")
    return archive


def attempts(figures: str) -> Iterator[tuple[Level, str]]:
    """Yield how far figures are reduced, and which are packed, until the archive is small enough."""
    choices = ("all", "report", "none")
    yield from ((level, figures) for level in LEVELS)
    yield from ((LEVELS[-1], fewer) for fewer in choices[choices.index(figures) + 1 :])


run = program(Arguments, main, positional=("reference",))
