"""The report: the written answers with the figures and numbers of the sections, as a web page and a PDF.

`report/report.tex` is the one source of the text. Pandoc converts it to a single HTML file, which a browser shows
without a network. LaTeX, if it is installed, converts it to a PDF. These commands are replaced first:

    \\metric{section2/results/validation/kl_weight=1/k=2/kl}{.1f}   a number of section 2's metrics.json, in
                                    Python's format; a position selects an element of a list
    \\cells{section1/results/mse/linear/{2,5,10}}{.4f}   the cells of a table's row
    \\metric[--]{…}{…}, \\cells[--]{…}{…}                the text if there is no such number
    \\below{…}{40}{it is}{it is not}                     the first text if the number is below 40, else the second
    \\headline{section5}                                 table rows with the numbers that the section printed last
    \\plots[2]{section1/error, section1/pretraining}{caption}   a figure of PNG files, at most two side by side
    \\allplots{section5}                                 all PNG files of a folder, one figure per file
    \\student                                            the author
    \\begin{ifpresent}{section3} … \\otherwise … \\end{ifpresent}   text for a section that was run, or for a
                                    number that exists

A missing number or file is an error that names it, except within an `ifpresent`.
"""

import functools
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from hw5.errors import InputError
from hw5.files import atomic_write, output_folder
from hw5.settings import Settings, program, setting

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
DEBIAN = "texlive-latex-recommended texlive-fonts-recommended texlive-latex-extra"
SPECIAL = str.maketrans({char: "\\" + char for char in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}"})


class Arguments(Settings):
    author: str = setting("", "Name and number for the title.")
    source: Path = setting("report/report.tex", "The text; `style.css` for the page lies next to it.")
    figures: Path = setting("figures", "Folder of the sections' figures and numbers.")
    out: Path = setting("report", "Folder for report.html and report.pdf.")
    build: Path = setting("runs/report", "Folder for the files that LaTeX reads and writes.")


def main(arguments: Arguments) -> list[Path]:
    """Write report.html, and report.pdf where a LaTeX engine is installed.

    Returns:
        The paths that were written.

    Raises:
        InputError: a number, a figure or pandoc is missing, or LaTeX fails.
    """
    source, figures = arguments.source, arguments.figures
    if not source.is_file():
        raise InputError(f"source={source}: no such file; call this in the folder that README.md lies in")
    if not figures.is_dir():
        raise InputError(f"figures={figures}: no such folder")
    folder, build = output_folder(arguments.out), output_folder(arguments.build, "build").resolve()
    try:
        text = source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"source={source}: is not a text in UTF-8 ({error})") from error
    text = expand(text, figures, arguments.author)
    expanded = build / "report.tex"
    with atomic_write(expanded) as partial:
        partial.write_text(text, encoding="utf-8")

    written = [folder / "report.html"]
    write_html(expanded, figures, source.with_name("style.css"), written[0])
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


def write_html(expanded: Path, figures: Path, style: Path, path: Path) -> None:
    """Write one HTML file, with formulas as MathML, and with the figures and the style inside."""
    try:
        import pypandoc

        pandoc = pypandoc.get_pandoc_path()
    except (ImportError, OSError) as error:  # OSError: pypandoc is there, but not pandoc
        raise InputError("report.html is made by pandoc: pip install -e '.[report]' installs it") from error
    with atomic_write(path) as partial:
        words = [pandoc, expanded, "--from=latex", "--to=html5", f"--output={partial.resolve()}"]
        words += ["--standalone", "--embed-resources", "--mathml", "--toc", "--toc-depth=2", "--metadata=lang:en"]
        words += [f"--resource-path={figures}", f"--css={style}", "--fail-if-warnings"]
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


def expand(text: str, figures: Path, author: str = "") -> str:
    """Replace in the text everything that the module's docstring lists; pandoc and LaTeX can read the result."""
    return Expansion(figures, author)(text)


class Expansion:
    """Function that replaces commands in a text by the numbers and the figures of the folder `figures`."""

    def __init__(self, figures: Path, author: str):
        self.figures = figures
        self.author = author
        self.load = functools.cache(self._load)
        # Command → its function and the number of its arguments.
        self.commands: dict[str, tuple[Callable, int]] = {
            "metric": (self.metric, 2),
            "cells": (self.cells, 2),
            "below": (self.below, 4),
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
        section = path.partition("/")[0]
        ran = (self.figures / section / "metrics.json").is_file()
        if ran and (path == section or self.find(path) is not None):
            return text
        if otherwise or path != section:
            return otherwise.lstrip(" ")
        number = section.removeprefix("section")
        return f"\n\\emph{{Section {number} was not run: \\texttt{{./run\\_all.sh {number}}} makes its figures.}}\n"

    def metric(self, missing, path, form):
        value = self.find(path)
        if value is None:
            if missing is not None:
                return missing
            section, _, key = path.partition("/")
            raise InputError(f"{self.figures / section / 'metrics.json'} has no {key}, which the report shows")
        return formatted(value, form)

    def cells(self, missing, paths, form):
        before, names, after = re.fullmatch(r"(.*)\{(.*)\}(.*)", paths).groups()
        return " & ".join(self.metric(missing, before + name.strip() + after, form) for name in names.split(","))

    def below(self, _, path, bound, yes, no):
        return yes if float(self.metric(None, path, "").strip("$")) < float(bound) else no

    def headline(self, _, section):
        rows = self.load(section)["headline"].items()
        return "\n".join(f"{name.translate(SPECIAL)} & {formatted(value, '.4g')} \\\\" for name, value in rows)

    def plots(self, columns, files, caption):
        """Show PNG files at the size at which they were drawn, or at the width of a column if that is smaller."""
        from hw5.figures import STYLE, WIDTH  # here, so that `--help` need not wait for matplotlib

        files = [name.strip() for name in files.split(",")]
        share, lines = 0.98 / int(columns) if columns else 1, []
        for name in files:
            path = self.figures / f"{name}.png"
            if not path.is_file():
                section = name.partition("/")[0]
                raise InputError(f"{path}: no such file; ./run_all.sh {section.removeprefix('section')} draws it")
            with Image.open(path) as image:
                width = image.width / STYLE["savefig.dpi"] / WIDTH
            lines.append(f"\\includegraphics[width={min(width, share):.3f}\\linewidth]{{{name}.png}}")
        body = "\n".join(lines) if columns else "\\\\[1ex]\n".join(lines)
        caption = f"\\caption{{{caption}}}\\label{{{files[0]}}}"
        return f"\\begin{{figure}}[!htbp]\n\\centering\n{body}\n{caption}\n\\end{{figure}}"

    def all_plots(self, _, section):
        names = sorted(path.stem for path in (self.figures / section).glob("[!.]*.png"))
        words = {name: name.replace("_", " ").translate(SPECIAL) for name in names}
        figures = (f"\\plots{{{section}/{name}}}{{{words[name].capitalize()}.}}" for name in names)
        return "\n\\FloatBarrier\n".join(figures)  # LaTeX can postpone only a few dozen figures

    def find(self, path):
        """Return the value at a path like section1/results/mse/linear/2, or None."""
        section, _, key = path.partition("/")
        return look_up(self.load(section), key.split("/"))

    def _load(self, section):
        path = self.figures / section / "metrics.json"
        if not path.is_file():
            raise InputError(f"{path}: no such file; ./run_all.sh {section.removeprefix('section')} writes it")
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: is not JSON ({error}); run its section again") from error


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


def formatted(value, form: str) -> str:
    """Format a value of metrics.json as LaTeX outside of formulas: −0.5 as $-0.5$, 1e-7 as $1 \\times 10^{-7}$."""
    if isinstance(value, list | dict):
        raise InputError(f"{value}: is no single value, so the report cannot show it")
    try:
        text = format(value, form)
    except (TypeError, ValueError) as error:
        raise InputError(f"{value} cannot be shown as {form!r}: {error}") from error
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
