"""What an archive holds: code and data of a sheet, its figures, its documents, and the list of what is not in it."""

import re
import shutil
import zipfile
from pathlib import Path

from hw5.errors import InputError
from hw5.files import output_folder
from hw5.homework import report, shrink
from hw5.homework.changes import ROOT_FILES, code_files
from hw5.homework.readme import FACES, readme
from hw5.homework.sheets import Sheet
from hw5.homework.single_file import single_file
from hw5.homework.summary import RULE

STORE = "hw5/data/store"
FIGURE_SUFFIXES = {".png", ".gif", ".json"}
PACKED = {".npz", ".h5", ".png", ".gif", ".pdf"}  # suffixes of files that zip makes no smaller
TEXT_SHARE = 0.3  # of its size, roughly, that a text has in a zip file
ALL_GRIDS = "fixed_noise_all.png"  # section 8's contact sheet
IMAGE = re.compile(r"(\\includegraphics\[[^]]*\]\{|src=\")(section(\d+)\w*/)")
LINK_OUT = re.compile(r"\[([^]\n]*)\]\(\.\./[^)]*\)")  # in Markdown
SHOWN = re.compile(r"\\includegraphics\[[^]]*\]\{([^}]*)\}")
NO_PDF = "no LaTeX is installed (Debian: apt install {packages}); install it and run this again, or print the HTML page"


class Contents:
    """The files of an archive, by their names in it.

    Attributes:
        files, figures, documents: name → file on the disk.
        texts: name → text.
        notes: what was left out or reduced: name → why.
        build: folder for what is made for this archive alone.
    """

    def __init__(self, source: Path, sheet: Sheet, name: str):
        self.source, self.sheet, self.name = source, sheet, name
        self.build = output_folder(source / "runs" / "handin" / sheet.number, "source")
        self.files, self.figures, self.documents, self.texts = {}, {}, {}, {}
        self.notes, self.reduced = {}, {}

    def code(self) -> list[str]:
        """List the code of the sheet, as paths from the checkout."""
        paths = code_files(self.source)
        if self.sheet.is_whole:
            return paths
        return [path for path in paths if self._is_wanted(path)]

    def _is_wanted(self, path):
        if path.startswith(f"{STORE}/") and path.count("/") > STORE.count("/") + 1:
            return path.split("/")[STORE.count("/") + 1] in self.sheet.datasets
        found = re.fullmatch(r"hw5/section(\d+)\.py", path)
        if found and int(found[1]) not in self.sheet.sections:
            return False
        if "/handout/" in path:  # a starter for students, whose code is not this one
            return False
        return path.startswith("hw5/") or (path in ROOT_FILES and path != "README.md")

    def check_results(self) -> None:
        """Check that a section of the sheet was run; note those that were not.

        Raises:
            InputError: none was.
        """
        missing = [n for n in self.sheet.sections if not (self._results(n) / "metrics.json").is_file()]
        words = " ".join(map(str, missing))
        if len(missing) == len(self.sheet.sections):
            raise InputError(f"{self.source / 'figures'}: holds no results to hand in; ./run_all.sh {words} makes them")
        for section in missing:
            self.notes[f"figures/section{section}"] = f"not run; ./run_all.sh {section} makes them"

    def _results(self, section):
        return self.source / "figures" / f"section{section}"

    def add_code(self, code: list[str]) -> None:
        """Add the code, the data and the weights, a README for each folder, and the sheet's single file or notebook."""
        sheet, source = self.sheet, self.source
        for folder, sections in sheet.codes.items():
            other = {f"hw5/section{n}.py" for n in {*sheet.sections} - {*sections}}
            self.files |= {f"{folder}/{path}": source / path for path in code if path not in other}
            self.files |= {f"{folder}/{path}": file for path, file in self._data(sections).items()}
            if not sheet.is_whole:
                self.texts[f"{folder}/README.md"] = readme(sheet, self.name, folder)
        if sheet.single_file:
            self.texts[sheet.single_file.format(name=self.name)] = single_file(source / "hw5" / "homework7.py", source)
        if sheet.is_whole:
            self.files |= {f"codes/notebooks/{p.name}": p for p in sorted(source.glob("notebooks/[!.]*.ipynb"))}
            if (source / STORE / "cartoon_faces").is_dir():
                self.notes[f"{STORE}/cartoon_faces"] = f"21 MB; to add them: {FACES}"
        else:
            self.notes["tests, benchmarks, docs, sections of other sheets"] = "not of this sheet"
        if sheet.notebook:
            path = source / "notebooks" / f"sheet{sheet.number}.ipynb"
            if path.is_file():
                self.texts[path.name] = self._with_links_of_the_archive(path.read_text(encoding="utf-8"))
            else:
                self.notes[path.name] = "is missing: the checkout has no notebooks/" + path.name

    def _with_links_of_the_archive(self, notebook):
        """Let the links of a notebook lead to the archive's figures and report; what it lacks is named without one."""
        folder, document = self.sheet.folder_of(self.sheet.sections[0]), self.sheet.document.format(name=self.name)
        notebook = notebook.replace("](../figures", f"]({folder}/figures")
        notebook = notebook.replace("](../report/report.tex)", f"]({document}.tex)")
        return LINK_OUT.sub(r"\1", notebook)

    def _data(self, sections) -> dict[str, Path]:
        """List data and weights that sections need, as paths from a folder of code → file."""
        found = {}
        for name in self.sheet.datasets:
            folder, arrays = self.source / STORE / name, f"{STORE}/{name}/{name}.npz"
            paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            if name == "mnist" and not (self.source / arrays).is_file():
                paths = [path for path in paths if path.parent == folder]  # without the TFDS folder of one version
                found[arrays] = shrink.mnist_as_arrays(folder, self.build.parent / "mnist.npz")
            found |= {path.relative_to(self.source).as_posix(): path for path in paths}
            weights = [f"hw5/metrics/{name}.head.npz", f"hw5/metrics/{name}_classifier.weights.h5"]
            found |= {path: self.source / path for path in weights if (self.source / path).is_file()}
        for section in sections:  # the models that models.load takes by their name
            for path in (self.source / f"hw5/models/store/section{section}").rglob("[!.]*.*"):
                found[path.relative_to(self.source).as_posix()] = path
        return found

    def size(self) -> float:
        """Estimate the size of code and data in a zip file, in bytes."""
        sizes = [
            path.stat().st_size * (1 if path.suffix in PACKED or "tfrecord" in path.name else TEXT_SHARE)
            for path in self.files.values()
        ]
        return sum(sizes) + TEXT_SHARE * sum(map(len, self.texts.values()))

    def add_figures(self, level: shrink.Level, which: str = "all") -> int:
        """Add the figures and numbers, reduced to `level`, in place of those added before.

        Args:
            which: "all", those that the "report" shows, or "none"; numbers are always added.

        Returns:
            Bytes of all figures, as reduced.
        """
        staged = shrink.clear(self.build / "figures")
        for path in self.source.glob("figures/section*/metrics.json"):  # also of other sheets, for the report's tables
            (staged / path.parent.name).mkdir()
            shutil.copy(path, staged / path.parent.name)
        self.figures, self.reduced, size = {}, {}, 0
        for section in self.sheet.sections:
            folder = f"{self.sheet.folder_of(section)}/figures"
            every = [self._results(section), *sorted(self.source.glob(f"figures/section{section}_*"))]
            for path in [path for results in every for path in sorted(results.glob("[!.]*"))]:
                if path.suffix not in FIGURE_SUFFIXES:
                    continue
                own = f"{path.parent.name}/{path.name}"
                if path.suffix == ".png":
                    if lost := shrink.reduce_figure(path, staged / own, level):
                        self.reduced[f"{folder}/{own}"] = lost
                elif path.suffix == ".gif":
                    shutil.copy(path, staged / own)
                size += (staged / own).stat().st_size
                self.figures[f"{folder}/{own}"] = staged / own
        self._add_contact_sheet(staged)
        self._leave_out(which, staged)
        return size

    def _add_contact_sheet(self, staged):
        """Add all grids of section 8's fixed noise in one figure, if its run did not draw that."""
        if 8 not in self.sheet.sections or (staged / "section8" / ALL_GRIDS).is_file():
            return
        frames = sorted((self.source / "runs" / "section8" / "samples").glob("[0-9]*.png"))
        frames = frames or sorted((staged / "section8").glob("fixed_noise.gif"))
        if frames:
            path = staged / "section8" / ALL_GRIDS
            count = shrink.contact_sheet(frames, path)
            name = f"{self.sheet.folder_of(8)}/figures/section8/{ALL_GRIDS}"
            self.figures[name] = path
            self.reduced[name] = f"made of the {count} grids of {frames[0].name if len(frames) == 1 else 'the run'}"

    def _leave_out(self, which, staged):
        shown = self._shown(staged) if which == "report" else set()
        for name, path in list(self.figures.items()):
            if which != "all" and path.suffix != ".json" and path.relative_to(staged).as_posix() not in shown:
                del self.figures[name]
                self.reduced[name] = "left out" + (", the report shows it" if which == "none" else "")

    def _part(self):
        return self.sheet.part_of((self.source / "report" / "report.tex").read_text(encoding="utf-8"))

    def _shown(self, staged):
        return set(SHOWN.findall(report.expand(self._part(), staged)))

    def add_documents(self, author: str, *, embed: bool) -> None:
        """Build the sheet's part of the report with the figures that were added, and add it as HTML and PDF."""
        source = self.build / "source.tex"
        source.write_text(self._part(), encoding="utf-8")
        shutil.copy(self.source / "report" / "style.css", self.build)
        how = dict(figures=self.build / "figures", out=self.build, build=self.build / "latex", author=author)
        name, self.documents = self.sheet.document.format(name=self.name), {}
        for path in report.run(source=source, embed=embed, **how):
            self.documents[name + path.suffix] = path
            if path.suffix == ".html" and not embed:
                path.write_text(self._linked(path.read_text(encoding="utf-8")), encoding="utf-8")
        self.notes.pop(f"{name}.pdf", None)
        if f"{name}.pdf" not in self.documents:
            self.notes[f"{name}.pdf"] = "is missing: " + NO_PDF.format(packages=report.DEBIAN)
        if self.sheet.latex:
            self.texts[f"{name}.tex"] = self._linked((self.build / "latex" / "report.tex").read_text(encoding="utf-8"))

    def _linked(self, text):
        """Name the figures in HTML or LaTeX by their places in the archive."""
        return IMAGE.sub(lambda found: f"{found[1]}{self.sheet.folder_of(int(found[3]))}/figures/{found[2]}", text)

    def listing(self) -> str:
        """List what was left out or reduced."""
        notes = self.notes | self.reduced
        lines = [f"# {name}: {why}" for name, why in notes.items()] or ["# nothing"]
        return "\n".join([RULE, "# Left Out or Reduced", RULE, *lines, ""])

    def write(self, path: Path, summary: str) -> dict[str, int]:
        """Write the zip file, with README.md and with summary.txt. Returns name → bytes in it."""
        self.texts["summary.txt"] = f"{summary}\n{self.listing()}"
        inside = self.files | self.documents | self.texts
        self.texts["README.md"] = readme(self.sheet, self.name, inside=inside)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as file:
            for name, text in sorted(self.texts.items()):
                file.writestr(name, text)
            for name, found in sorted((self.files | self.figures | self.documents).items()):
                file.write(found, name)
            return {info.filename: info.compress_size for info in file.infolist()}
