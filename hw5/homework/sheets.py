"""The five sheets: their sections and data, and the layout of the archive that each asks for."""

import dataclasses
import re

from hw5.errors import InputError


@dataclasses.dataclass(frozen=True)
class Sheet:
    """What belongs to a sheet.

    Attributes:
        number: as in `--sheet`.
        codes: folder of the archive → the sections whose code and figures lie there.
        datasets: embedded datasets that these sections load by default.
        document: name of the report in the archive, without suffix, with a {name} for that of the archive.
        notebook, latex: whether the sheet asks for a notebook, and for the LaTeX source of the report.
        single_file: name of the single Python file that it asks for, or None.
    """

    number: str
    codes: dict[str, tuple[int, ...]]
    datasets: tuple[str, ...]
    document: str = "Report"
    notebook: bool = False
    latex: bool = False
    single_file: str | None = None

    @property
    def sections(self) -> tuple[int, ...]:
        """The sections of all folders."""
        return sum(self.codes.values(), ())

    @property
    def is_whole(self) -> bool:
        """Whether this is the archive of all sheets, with everything of the checkout."""
        return self.number == "all"

    def folder_of(self, section: int) -> str:
        """Return the folder of the archive in which a section's code and figures lie."""
        return next(folder for folder, sections in self.codes.items() if section in sections)

    def part_of(self, text: str) -> str:
        """Return the part of report.tex for this sheet: without the sections called `Sheet` and another number."""
        if self.is_whole:
            return text
        start, *parts = re.split(r"(?m)^(?=\\section\{)", text)
        end = r"\end{document}"
        kept = [part for part in parts if not re.match(rf"\\section\{{Sheet (?!{self.number}\b)", part)]
        if not any(part.startswith(rf"\section{{Sheet {self.number}") for part in kept):
            raise InputError(f"report.tex: has no section called Sheet {self.number}")
        text = start + "".join(kept)
        return text if end in text else f"{text}{end}\n"


SHEETS = {
    sheet.number: sheet
    for sheet in (
        Sheet("000", {"codes": (1, 2, 3)}, ("mnist",)),
        Sheet("001", {"codes": (4,)}, ("mnist",), document="homework7.{name}", single_file="homework7.{name}.py"),
        Sheet("002", {"codes": (5,)}, ("cartoon_faces",)),
        Sheet("003", {"codes": (6, 7, 8, 9)}, ("mnist", "emojione"), notebook=True, latex=True),
        Sheet("004", {"codes/VAE": (10,), "codes/GAN": (11,)}, ("mnist",)),
        Sheet("all", {"codes": tuple(range(1, 12))}, ("mnist", "emojione")),
    )
}
