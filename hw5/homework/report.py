"""The report: the written answers with the figures and numbers of the sections, as a web page and a PDF.

`report/report.tex` is the one source of the text. Pandoc converts it to a single HTML file, which a browser shows
without a network. LaTeX, if it is installed, converts it to a PDF. These commands are replaced first:

    \\metric{section2/results/validation/kl_weight=1/k=2/kl}{.1f}   a number of section 2's metrics.json, in
                                    Python's format; a position selects an element of a list
    \\cells{section1/results/mse/linear/{2,5,10}}{.4f}   the cells of a table's row
    \\rows{A: a; B: b}{#1 & \\metric{…/#2}{.4f} \\\\     the text for A and a, and for B and b, in place of #1 and #2
    }
    \\metric[none]{…}{…}, \\cells[none]{…}{…}            the text if there is no such number; else it is a dash
    \\below{…}{40}{it is}{it is not}                     the first text if the number is below 40, else the second; in
                                    place of 40 a path to compare with
    \\change{…}{…/error}{lower}{higher}{neither}         a text by the sign of a difference, or the last one if it is
                                    within two standard errors
    \\lowest{section5/results/{a,b}/fid}{A, B}           that of the names whose number is the lowest
    \\headline{section5}                                 table rows with the numbers that the section printed last
    \\plots[2]{section1/error, section1/pretraining}{caption}   a figure of PNG files, at most two side by side
    \\allplots{section5}                                 all PNG files of section 5, one figure per file, its caption by
                                    `hw5.homework.captions` after its name
    \\student                                            the author
    \\begin{ifpresent}{section3} … \\otherwise … \\end{ifpresent}   text for a section that was run, or for a
                                    number that exists

A run with other settings than the defaults may lack numbers and figures. A number is a dash then, a figure a line that
says so, and the section begins with the settings that were changed. A figure that is older than the numbers beside it
counts as missing. A section that was not run, outside of an `ifpresent`, is an error.
"""

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from hw5.errors import InputError
from hw5.files import atomic_write, output_folder
from hw5.homework.captions import SPECIAL, caption
from hw5.settings import Settings, Several, program, setting

ENGINES = {  # by preference; each is called in the folder of the figures
    "latexmk": ["-g", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "-outdir={build}", "{source}"],
    "pdflatex": ["-interaction=nonstopmode", "-halt-on-error", "-output-directory={build}", "{source}"],
    "xelatex": ["-interaction=nonstopmode", "-halt-on-error", "-output-directory={build}", "{source}"],
    "tectonic": ["--outdir={build}", "{source}"],
}
RUNS = {"pdflatex": 3, "xelatex": 3}  # for the contents and the references; the others repeat by themselves
# log, ln, min and so on. Pandoc writes them as identifiers, and browsers give these none of TeX's thin spaces.
FUNCTION = re.compile(r'<mi mathvariant="normal">([a-z]{2,})</mi>(?:<mo>(?:\u2061|&#8289;)</mo>)?')
OPERATOR = r'<mo form="prefix" lspace="0.167em" rspace="0.167em">\1</mo>'
DEBIAN = "texlive-latex-recommended texlive-fonts-recommended texlive-latex-extra lmodern"
STANDARD_ERRORS = 2  # a smaller difference may be chance
PARTS = {"section": str, "changed": dict, "figures": list, "headline": dict, "settings": dict, "results": dict}
KINDS = {str: "text", dict: "object", list: "list"}  # as the parts of a metrics.json, which somebody may have edited


class Arguments(Settings):
    author: str = setting("", "Name and number for the title.")
    source: Path = setting("report/report.tex", "The text; `style.css` for the page lies next to it.")
    figures: Path = setting("figures", "Folder of the sections' figures and numbers.")
    results: Several[Path] = setting(
        (), "Folders of other runs, each in place of its section's in `figures`.", may_be_empty=True
    )
    out: Path = setting("report", "Folder for report.html and report.pdf.")
    build: Path = setting("runs/report", "Folder for the files that LaTeX reads and writes.")
    embed: bool = setting(True, "Put the figures into report.html; if not, it links them as sectionN/NAME.png.")


def main(arguments: Arguments) -> list[Path]:
    """Write report.html, and report.pdf where a LaTeX engine is installed.

    Returns:
        The paths that were written.

    Raises:
        InputError: a folder, a section's metrics.json or pandoc is missing, there are no results, or LaTeX fails.
    """
    source, figures = arguments.source, arguments.figures
    if not source.is_file():
        raise InputError(f"source={source}: no such file; call this in the folder that README.md lies in")
    if not figures.is_dir():
        raise InputError(f"figures={figures}: no such folder")
    if not arguments.results and not any(figures.glob("*/metrics.json")):  # an earlier report is worth more than none
        raise InputError(f"figures={figures}: holds no results; ./run_all.sh makes them")
    folder, build = output_folder(arguments.out), output_folder(arguments.build, "build").resolve()
    try:
        text = source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"source={source}: is not a text in UTF-8 ({error})") from error
    text = expand(text, figures, arguments.author, arguments.results)
    expanded = build / "report.tex"
    with atomic_write(expanded) as partial:
        partial.write_text(text, encoding="utf-8")

    written = [folder / "report.html"]
    write_html(expanded, figures, source.with_name("style.css"), written[0], embed=arguments.embed)
    print(f"{written[0]}: by pandoc")
    pdf = folder / "report.pdf"
    engine = next(filter(shutil.which, ENGINES), None)
    if engine:
        write_pdf(engine, expanded, figures, pdf)
        written.append(pdf)
        print(f"{pdf}: by {engine}")
    else:
        pdf.unlink(missing_ok=True)  # an older one would belong to another report
        print(f"no PDF: none of {', '.join(ENGINES)} is installed (Debian: apt install {DEBIAN}); browsers print one")
    return written


run = program(Arguments, main)


def write_html(expanded: Path, figures: Path, style: Path, path: Path, *, embed: bool = True) -> None:
    """Write one HTML file, with formulas as MathML, with the style and, unless it links them, the figures inside."""
    try:
        import pypandoc

        pandoc = pypandoc.get_pandoc_path()
    except (ImportError, OSError) as error:  # OSError: pypandoc is there, but not pandoc
        raise InputError("report.html is made by pandoc: pip install -e '.[report]' installs it") from error
    with atomic_write(path) as partial:
        words = [pandoc, expanded, "--from=latex", "--to=html5", f"--output={partial.resolve()}"]
        words += ["--standalone", "--mathml", "--toc", "--toc-depth=2", "--metadata=lang:en", "--fail-if-warnings"]
        if embed:
            words += ["--embed-resources", f"--resource-path={figures}", f"--css={style}"]
        else:
            header = expanded.with_suffix(".header.html")
            header.write_text(f"<style>\n{style.read_text(encoding='utf-8')}</style>\n", encoding="utf-8")
            words += [f"--include-in-header={header}", "--metadata=document-css=false"]  # not pandoc's style as well
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"pandoc: {' '.join(done.stderr.split())}")
        page = partial.read_text(encoding="utf-8")
        partial.write_text(FUNCTION.sub(OPERATOR, page), encoding="utf-8")


def write_pdf(engine: str, expanded: Path, figures: Path, path: Path) -> None:
    """Run a LaTeX engine until the references are right."""
    names = {"build": expanded.parent, "source": expanded}
    words = [engine, *(word.format(**names) for word in ENGINES[engine])]
    for _ in range(RUNS.get(engine, 1)):
        done = subprocess.run(
            words, cwd=figures, capture_output=True, stdin=subprocess.DEVNULL, text=True, errors="replace", check=False
        )
        if done.returncode:
            lines = (done.stdout + done.stderr).splitlines()
            why = next((line for line in lines if line.startswith(("! ", "error:"))), "failed").removeprefix("! ")
            log = expanded.with_suffix(".log")
            raise InputError(f"{engine}: {why} (log: {log}; packages on Debian: {DEBIAN})")
    with atomic_write(path) as partial:
        shutil.copy(expanded.with_suffix(".pdf"), partial)


def expand(text: str, figures: Path, author: str = "", results: Sequence[Path] = ()) -> str:
    """Replace in the text everything that the module's docstring lists; pandoc and LaTeX can read the result.

    Args:
        figures, results: as the settings of these names.
    """
    return Expansion(figures, author, results)(text)


class Expansion:
    """Function that replaces commands in a text by the numbers and the figures of the folder `figures`.

    Attributes:
        missing: the paths of numbers and figures that no run has.
    """

    def __init__(self, figures: Path, author: str, results: Sequence[Path] = ()):
        self.figures = figures
        self.author = author
        self.missing = []
        self.noted = set()
        self.load = functools.cache(self._load)
        self.folders = {}
        for folder in results:
            section = read_metrics(folder / "metrics.json").get("section")
            if not section:
                raise InputError(f"results={folder}: metrics.json names no section; run it again")
            self.folders[section] = folder
        # Command → its function and the number of its arguments.
        self.commands: dict[str, tuple[Callable, int]] = {
            "metric": (self.metric, 2),
            "cells": (self.cells, 2),
            "rows": (self.rows, 2),
            "below": (self.below, 4),
            "change": (self.change, 5),
            "lowest": (self.lowest, 2),
            "headline": (self.headline, 1),
            "plots": (self.plots, 2),
            "allplots": (self.all_plots, 1),
            "student": (lambda _: self.author.translate(SPECIAL), 0),
        }
        self.pattern = re.compile(rf"\\({'|'.join(self.commands)})(?![a-zA-Z])(?:\[([^]]*)\])?")

    def __call__(self, text: str) -> str:
        text = re.sub(r"^[ \t]*%.*\n", "", text, flags=re.MULTILINE)
        begin, end = r"\\begin\{ifpresent\}", r"\\end\{ifpresent\}"
        innermost = re.compile(rf"{begin}\{{([^}}]*)\}}((?:(?!{begin}).)*?){end}\n?", re.DOTALL)
        while found := innermost.search(text):
            text = text[: found.start()] + self.if_present(found[1], found[2]) + text[found.end() :]
        return self.replace_commands(text)

    def replace_commands(self, text):
        """Replace from left to right, the arguments of a command before the command."""
        done, position = [], 0
        while found := self.pattern.search(text, position):
            done.append(text[position : found.start()])
            function, count = self.commands[found[1]]
            position, arguments = found.end(), []
            for _ in range(count):
                end = closing_brace(text, position)
                arguments.append(text[position + 1 : end])
                position = end + 1
            done.append(self.replace_commands(function(found[2], *arguments)))
        return "".join(done) + text[position:]

    def if_present(self, path, text):
        """Choose between `text` and the text after its \\otherwise, by default a paragraph for a missing section."""
        text, _, otherwise = text.partition("\\otherwise")
        # A line break after the command is none of the text's: with the one before, LaTeX would begin a paragraph.
        text, otherwise = text.removeprefix("\n"), otherwise.lstrip(" ").removeprefix("\n")
        section = path.partition("/")[0]
        ran = (self.folder(section) / "metrics.json").is_file()
        if ran and path == section:
            return self.note(section) + text
        if ran and self.find(path) is not None:
            return text
        if otherwise or path != section:
            return otherwise
        number = section.removeprefix("section")
        return f"\n\\emph{{Section {number} was not run: \\texttt{{./run\\_all.sh {number}}} makes its figures.}}\n"

    def note(self, section):
        """Say which settings were changed, if this was not said before."""
        changed = {} if section in self.noted else self.load(section).get("changed", {})
        self.noted.add(section)
        if not changed:
            return ""
        words = (f"{name}={value}".translate(SPECIAL) for name, value in changed.items())
        flags = " ".join(f"\\texttt{{-{{}}-{word}}}" for word in words)
        return f"\n\\emph{{These results are of a run with {flags}. A dash stands for what it did not compute.}}\n\n"

    def metric(self, missing, path, form):
        value = self.find(path)
        if value is None:
            if missing is None:
                self.missing.append(path)
            return "--" if missing is None else missing
        return formatted(value, form, path)

    def cells(self, missing, paths, form):
        before, names, after = re.fullmatch(r"(.*)\{(.*)\}(.*)", paths).groups()
        return " & ".join(self.metric(missing, before + name.strip() + after, form) for name in names.split(","))

    def rows(self, _, pairs, text):
        parts = (map(str.strip, pair.split(":")) for pair in pairs.split(";"))
        return "\n".join(text.strip().replace("#1", label).replace("#2", key) for label, key in parts)

    def number(self, path):
        """Return a number of metrics.json, or None, which counts as missing."""
        value = self.find(path)
        if value is None:
            self.missing.append(path)
        return checked(value, path)

    def below(self, _, path, bound, yes, no):
        value = self.number(path)
        bound = self.number(bound) if "/" in bound else float(bound)
        return "--" if value is None or bound is None else yes if value < bound else no

    def change(self, _, path, error, lower, higher, neither):
        value, error = self.number(path), self.number(error)
        if value is None or error is None:
            return "--"
        return neither if abs(value) <= STANDARD_ERRORS * error else lower if value < 0 else higher

    def lowest(self, _, paths, names):
        before, parts, after = re.fullmatch(r"(.*?)\{(.*)\}(.*)", paths).groups()
        paths = [before + part.strip() + after for part in parts.split(",")]
        values = [checked(self.find(path), path) for path in paths]
        known = [
            (value, name.strip()) for value, name in zip(values, names.split(","), strict=True) if value is not None
        ]
        return min(known)[1] if known else "--"

    def headline(self, _, section):
        rows = self.load(section)["headline"].items()
        return "\n".join(f"{name.translate(SPECIAL)} & {formatted(value, '.4g', name)} \\\\" for name, value in rows)

    def plots(self, columns, files, caption):
        """Show PNG files at the size at which they were drawn, or at the width of a column if that is smaller."""
        from hw5.figures import STYLE, WIDTH  # here, so that `--help` need not wait for matplotlib

        files = [name.strip() for name in files.split(",")]
        share, lines = 0.98 / int(columns) if columns else 1, []
        for name in files:
            section, _, stem = name.partition("/")
            path = self.folder(section) / f"{stem}.png"
            if path.name not in self.load(section).get("figures", [path.name]) or not path.is_file():
                self.missing.append(name)
                lines.append(f"\\emph{{{name.translate(SPECIAL)}: this run did not draw it.}}")
                continue
            with Image.open(path) as image:
                dpi, _ = image.info.get("dpi", (STYLE["savefig.dpi"], None))  # of the file, which may be a reduced one
                width = image.width / dpi / WIDTH
            shown = os.path.relpath(path, self.figures)
            lines.append(f"\\includegraphics[width={min(width, share):.3f}\\linewidth]{{{shown}}}")
        body = "\n".join(lines) if columns else "\\\\[1ex]\n".join(lines)
        caption = f"\\caption{{{caption}}}\\label{{{files[0]}}}"
        return f"\\begin{{figure}}[!htbp]\n\\centering\n{body}\n{caption}\n\\end{{figure}}"

    def all_plots(self, _, section):
        drawn = self.load(section).get("figures")
        names = sorted(path.stem for path in self.folder(section).glob("[!.]*.png") if not drawn or path.name in drawn)
        # The file's name is what the text calls the figure.
        named = {name: f"\\texttt{{{name.translate(SPECIAL)}}}: {caption(name)}" for name in names}
        figures = (f"\\plots{{{section}/{name}}}{{{text}}}" for name, text in named.items())
        return "\n\\FloatBarrier\n".join(figures)  # LaTeX can postpone only a few dozen figures

    def find(self, path):
        """Return the value at a path like section1/results/mse/linear/2, or None."""
        section, _, key = path.partition("/")
        return look_up(self.load(section), key.split("/"))

    def folder(self, section):
        return self.folders.get(section, self.figures / section)

    def _load(self, section):
        return read_metrics(self.folder(section) / "metrics.json")


def read_metrics(path: Path) -> dict:
    """Read a metrics.json.

    Raises:
        InputError: there is none, or it is no JSON object with the parts that `hw5.results.save_metrics` writes. A part
            may be missing.
    """
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        number = path.parent.name.removeprefix("section")
        mend = f"./run_all.sh {number} writes it" if number.isdigit() else "name the folder of a run"
        raise InputError(f"{path}: no such file; {mend}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is not JSON ({error}); run its section again") from error
    if not isinstance(metrics, dict):
        raise InputError(f"{path}: is no JSON object; run its section again")
    for name, kind in PARTS.items():
        if not isinstance(metrics.get(name, kind()), kind):
            raise InputError(f"{path}: {name} is no {KINDS[kind]}; run its section again")
    for name, value in metrics.get("headline", {}).items():
        if not isinstance(value, int | float):
            raise InputError(f"{path}: {name} in headline is no number; run its section again")
    return metrics


def look_up(node, parts: list[str]):
    """Follow keys of dicts, which may contain a "/", and positions of lists. Return None if one is missing."""
    if not parts:
        return node
    if isinstance(node, list) and re.fullmatch(r"-?\d+", parts[0]) and -len(node) <= int(parts[0]) < len(node):
        return look_up(node[int(parts[0])], parts[1:])
    if isinstance(node, dict):
        for length in range(len(parts), 0, -1):
            name = "/".join(parts[:length])
            if name in node:
                return look_up(node[name], parts[length:])
    return None


def checked(value, path: str):
    """Return a number of metrics.json, or None, which counts as missing."""
    if value is not None and not isinstance(value, int | float):
        raise InputError(f"{path}: {value!r} is no number; run its section again")
    return value


def formatted(value, form: str, path: str) -> str:
    """Format a value of metrics.json as LaTeX outside of formulas: −0.5 as $-0.5$, 1e-7 as $1 \\times 10^{-7}$."""
    if isinstance(value, list | dict):
        raise InputError(f"{path}: {value} is no single value, so the report cannot show it")
    try:
        text = format(value, form)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {value} cannot be shown as {form!r}: {error}") from error
    if isinstance(value, str):
        return text.translate(SPECIAL)
    mantissa, exponential, exponent = text.partition("e")
    if exponential and exponent.lstrip("+-").isdigit():
        return f"${mantissa} \\times 10^{{{int(exponent)}}}$"
    return f"${text}$" if text.startswith("-") else text.translate(SPECIAL)


def closing_brace(text: str, start: int) -> int:
    """Find the position of the brace that closes the one at `start`."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0) * (text[position - 1] != "\\")
        if depth == 0:
            break
    if depth or text[start : start + 1] != "{":
        raise InputError(f"report: braces do not match in {text[max(start - 40, 0) : start + 20]!r}")
    return position
