"""The report: the numbers and figures in its text, and the two documents that are made."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import python_m

from hw5 import networks, variants
from hw5.errors import InputError
from hw5.homework import captions, report

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "report" / "report.tex"
TINY = r"""\documentclass{article}
\usepackage{graphicx}
\title{Numbers of \student}
\begin{document}
\maketitle
\begin{ifpresent}{section1}
The error is \metric{section1/results/mse}{.2f}, $\min_x \frac12 x$.
\plots{section1/error}{A grey image.}
\end{ifpresent}
\begin{ifpresent}{section2}
Never to be seen: \metric{section2/results/nothing}{.2f}.
\end{ifpresent}
\end{document}
"""

needs_pandoc = pytest.mark.skipif(not importlib.util.find_spec("pypandoc"), reason="no pandoc (the extra `report`)")
needs_latex = pytest.mark.skipif(
    not any(map(shutil.which, report.ENGINES)), reason=f"no LaTeX engine: none of {', '.join(report.ENGINES)}"
)


@pytest.fixture
def figures(tmp_path):
    """A folder of figures; only section 1 was run."""
    folder = tmp_path / "figures" / "section1"
    folder.mkdir(parents=True)
    results = {"mse": 0.1234, "list": [1, -2.5], "linear/PCA at worst": 1.5, "by k": {"2": 1e-7, "10": 20000}}
    results |= {"samples": {"inception": {"fid": 39.96}}, "name": "a_b"}
    (folder / "metrics.json").write_text(json.dumps({"headline": {"a & b": 2.0}, "results": results}))
    Image.fromarray(np.full((60, 630), 128, np.uint8)).save(folder / "error.png")
    return folder.parent


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "report.tex"
    path.write_text(TINY)
    shutil.copy(SOURCE.with_name("style.css"), tmp_path)
    return path


def build(source, figures, **arguments):
    return report.run(source=source, figures=figures, out=source.parent, build=source.parent / "build", **arguments)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        (r"\metric{section1/results/mse}{.1%}", r"12.3\%"),
        (r"\metric{section1/results/list/-1}{.1f}", "$-2.5$"),
        (r"\metric{section1/results/linear/PCA at worst}{g}", "1.5"),
        (r"\metric{section1/results/by k/2}{.0e}", r"$1 \times 10^{-7}$"),
        (r"\metric{section1/results/samples/inception/fid}{.1f}", "40.0"),
        (r"\metric{section1/results/name}{}", r"a\_b"),
        (r"\metric{section1/results/nothing}{.1f}", "--"),
        (r"\metric[none]{section1/results/nothing}{.1f}", "none"),
        (r"\cells{section1/results/by k/{2,5,10}}{,.0f}", "0 & -- & 20,000"),
        (r"\rows{A: 2; B & b: 10}{#1, \metric{section1/results/by k/#2}{.0f};}", "A, 0;\nB & b, 20000;"),
        (r"\below{section1/results/nothing}{40}{yes}{no}", "--"),
        (r"\below{section1/results/mse}{section1/results/samples/inception/fid}{less}{more}", "less"),
        (r"\below{section1/results/mse}{section1/results/nothing}{less}{more}", "--"),
        (r"\change{section1/results/mse}{section1/results/nothing}{lower}{higher}{chance}", "--"),
        (r"\change{section1/results/mse}{section1/results/mse}{lower}{higher}{chance}", "chance"),
        (r"\change{section1/results/samples/inception/fid}{section1/results/mse}{lower}{higher}{chance}", "higher"),
        (r"\change{section1/results/list/1}{section1/results/mse}{lower}{higher}{chance}", "lower"),
        (r"\lowest{section1/results/{mse,nothing,samples/inception/fid}}{A, B, C}", "A"),
        (r"\lowest{section1/results/{by k/10,by k/2}}{A, B}", "B"),
        (r"\lowest{section1/results/{nothing}}{A}", "--"),
        (r"\headline{section1}", r"a \& b & 2 \\"),
        (r"\below{section1/results/samples/inception/fid}{40}{yes, \student}{no}", "yes, me"),
        (r"\begin{ifpresent}{section2}a\otherwise b\end{ifpresent}", "b"),
        (r"\begin{ifpresent}{section1/results/nothing}a\end{ifpresent}", ""),
        (
            r"\begin{ifpresent}{section1}a\begin{ifpresent}{section2}b\otherwise c\end{ifpresent}\end{ifpresent}",
            "ac",
        ),
        ("% \\metric{in a comment}\nx", "x"),
    ],
)
def test_commands(figures, text, expanded):
    assert report.expand(text, figures, author="me") == expanded


def test_plots_are_as_wide_as_they_were_drawn(figures):
    text = report.expand(r"\plots{section1/error}{Half: \metric{section1/results/mse}{.1f}.}", figures)
    assert r"\includegraphics[width=0.500\linewidth]{section1/error.png}" in text
    assert r"\caption{Half: 0.1.}\label{section1/error}" in text
    assert "width=0.327" in report.expand(r"\plots[3]{section1/error, section1/error}{Small.}", figures)
    assert r"\caption{\texttt{error}: Error.}" in report.expand(r"\allplots{section1}", figures)


@pytest.mark.parametrize("path", sorted((ROOT / "figures").glob("*/metrics.json")), ids=lambda path: path.parent.name)
def test_committed_results_name_their_section_and_their_figures(path):
    """`--results` takes any of them, and shows no figure that is of another run."""
    metrics = json.loads(path.read_text())
    assert metrics["section"] == path.parent.name.removesuffix("_long")
    assert bool(metrics["changed"]) == path.parent.name.endswith("_long")
    assert {file.name for file in path.parent.glob("*.[pg][ni][gf]")} <= {*metrics["figures"]}


def test_figures_are_no_taller_than_a_page():
    """Else LaTeX cuts them off at its end."""
    inches = 9.6 - 0.7  # the height of the text, without a caption of four lines
    text = report.expand(SOURCE.read_text(), ROOT / "figures")
    for figure in re.findall(r"\\begin\{figure\}.*?\\end\{figure\}", text, re.DOTALL):
        rows = [[]]
        for part in figure.split(r"\\[1ex]"):
            rows.append([])
            for share, name in re.findall(r"\\includegraphics\[width=([\d.]+)\\linewidth\]\{(.*?)\}", part):
                with Image.open(ROOT / "figures" / name) as image:
                    height = float(share) * 6.3 * image.height / image.width
                if sum(width for width, _ in rows[-1]) + float(share) > 1:
                    rows.append([])
                rows[-1].append((float(share), height))
        assert sum(max((height for _, height in row), default=0) for row in rows) < inches, figure


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("samples_gan_wgan_gp_nearest", "Each image is a sample of WGAN-GP (nearest-neighbour upsampling)."),
        ("upsampling_vae", "Each row decodes the same codes with another upsampling, by the VAE."),
        (
            "curves_vae_flow_deconv_gaussian_per_pixel",
            "The curves of the VAE with a flow (transposed convolutions; Gaussian pixels, a $\\sigma$ per pixel) "
            "over the training.",
        ),
        ("curves_gan_my_own_bilinear", r"The curves of the GAN (my own bilinear) over the training."),
        ("fixed_noise", "Fixed noise."),
        ("curves", "The curves of the model over the training."),
    ],
)
def test_captions_are_sentences(name, sentence):
    assert captions.caption(name) == sentence


def test_every_variant_of_section_5_has_words():
    known = captions.WORDS.keys()
    assert {f"gan_{name}" for name in variants.GANS} | {f"vae_{name}" for name in variants.VAES} <= known
    assert {*variants.LIKELIHOODS, *networks.UPSAMPLINGS} <= known


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r"\metric{section1/results/list}{.1f}", "no single value"),
        (r"\metric{section1/results/name}{.1f}", "section1/results/name: a_b cannot be shown as '.1f'"),
        (r"\below{section1/results/name}{1}{a}{b}", "section1/results/name: 'a_b' is no number"),
        (r"\lowest{section1/results/{name,mse}}{a, b}", "section1/results/name: 'a_b' is no number"),
        (r"\metric{section2/results/mse}{.1f}", r"section2/metrics.json: no such file; ./run_all.sh 2 writes it"),
        (r"\plots{section2/error}{Caption}", r"section2/metrics.json: no such file; ./run_all.sh 2 writes it"),
        (r"\metric{section1/results/mse}", "braces do not match"),
    ],
)
def test_a_mistake_in_the_text_is_named(figures, text, message):
    with pytest.raises(InputError, match=message):
        report.expand(text, figures)


@pytest.fixture
def other(tmp_path):
    """The folder of a run of section 1 with another setting."""
    folder = tmp_path / "results" / "section1" / "k_max5"
    folder.mkdir(parents=True)
    for name in ("error", "old"):
        Image.fromarray(np.zeros((60, 315), np.uint8)).save(folder / f"{name}.png")
    content = {"section": "section1", "changed": {"preset": "smoke", "k_max": "5"}, "figures": ["error.png"]}
    (folder / "metrics.json").write_text(json.dumps(content | {"headline": {}, "results": {"mse": 7.0}}))
    return folder


def test_another_run_takes_the_place_of_its_section(figures, other):
    text = r"""\begin{ifpresent}{section1}\metric{section1/results/mse}{.0f}, \metric{section1/results/list/0}{.0f}
\plots{section1/error}{One.}\plots{section1/old}{Two.}\plots{section1/never}{Three.}\allplots{section1}
\end{ifpresent}\begin{ifpresent}{section1}again\end{ifpresent}"""
    expansion = report.Expansion(figures, "", [other])
    expanded = expansion(text)
    assert expanded.count("a run with") == 1
    assert r"\texttt{-{}-preset=smoke} \texttt{-{}-k\_max=5}. A dash stands for" in expanded
    assert "7, --" in expanded
    assert r"width=0.250\linewidth]{../results/section1/k_max5/error.png}" in expanded
    assert r"\emph{section1/old: this run did not draw it.}" in expanded  # it is older than the numbers
    assert r"\caption{Two.}\label{section1/old}" in expanded  # what refers to it still finds it
    assert r"\caption{\texttt{error}: Error.}" in expanded
    assert r"\caption{Old.}" not in expanded
    assert expansion.missing == ["section1/results/list/0", "section1/old", "section1/never"]
    assert "a run with" not in report.expand(text, figures)


def test_a_changed_setting_is_shown_as_it_was_typed(figures, other):
    content = {"section": "section1", "changed": {"dataset": "my_100%/#1&2"}}
    (other / "metrics.json").write_text(json.dumps(content))
    expanded = report.expand(r"\begin{ifpresent}{section1}\end{ifpresent}", figures, results=[other])
    assert r"\texttt{-{}-dataset=my\_100\%/\#1\&2}." in expanded


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "metrics.json: no such file; name the folder of a run"),
        ("[1]", "is no JSON object"),
        ("{}", "names no section"),
        ('{"section": 1}', "section is no text"),
        ('{"changed": "k=5"}', "changed is no object"),
        ('{"figures": "error.png"}', "figures is no list"),
        ('{"headline": {"mse": null}}', "mse in headline is no number"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(figures, other, content, message):
    path = other / "metrics.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(InputError, match=message):
        report.expand("", figures, results=[other])


@needs_pandoc
def test_the_page_of_another_run(source, figures, other, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    page = build(source, figures, results=other)[0].read_text()
    assert "The error is 7.00," in page
    assert page.count("data:image/png;base64,") == 1
    assert "<code>--k_max=5</code>" in page


def test_a_broken_file_is_named(figures):
    (figures / "section1" / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"section1/metrics.json: is not JSON .* run its section again"):
        report.expand(r"\metric{section1/results/mse}{.1f}", figures)


def test_the_numbers_of_the_text_are_those_of_metrics_json(tmp_path):
    figures = tmp_path / "figures"
    shutil.copytree(ROOT / "figures", figures)
    expansion = report.Expansion(figures, "")
    text = expansion(SOURCE.read_text())
    # The first VAE has no difference from itself; a classifier may not be installed. All else is a misspelt path.
    optional = {"bits_difference", "bits_difference_error", "is", "mode_score", "real_is", "real_mode_score"}
    optional |= {f"real_vs_real_{name}" for name in ("mmd", "precision", "recall", "wasserstein")}
    assert {path.rpartition("/")[2] for path in expansion.missing} <= optional
    assert not re.search(r"\\(metric|cells|rows|plots|allplots|below|headline)\b|\{ifpresent\}", text)
    path = figures / "section2" / "metrics.json"
    content = json.loads(path.read_text())
    content["results"]["validation"]["kl_weight=1"]["k=5"]["kl"] = 4321.0
    path.write_text(json.dumps(content))
    changed = report.expand(SOURCE.read_text(), figures)
    different = [new for old, new in zip(text.splitlines(), changed.splitlines(), strict=True) if old != new]
    assert len(different) == 1
    assert "& 4321.0 &" in different[0]

    shutil.rmtree(figures / "section2")
    without = report.expand(SOURCE.read_text(), figures)
    assert r"\emph{Section 2 was not run: \texttt{./run\_all.sh 2} makes its figures.}" in without
    assert "{section2/" not in without


@pytest.mark.parametrize("number", range(1, 12))
def test_a_section_that_was_not_run_is_not_referred_to(tmp_path, number):
    for folder in (ROOT / "figures").iterdir():
        if folder.name != f"section{number}":
            (tmp_path / folder.name).symlink_to(folder)
    text = report.expand(SOURCE.read_text(), tmp_path)
    assert f"Section {number} was not run" in text
    assert {*re.findall(r"\\ref\{([^}]*)\}", text)} <= {*re.findall(r"\\label\{([^}]*)\}", text)}


class AllWords(report.Expansion):
    """All words of the text, with every alternative, and without what metrics.json gives."""

    def __init__(self):
        super().__init__(ROOT / "figures", "")
        alternatives = {"below": 2, "change": 2, "lowest": 1, "plots": 1}
        for name, (_, count) in self.commands.items():
            first = alternatives.get(name, count)  # of the arguments that are words
            self.commands[name] = (lambda _, *arguments, first=first: " ".join(arguments[first:]), count)

    def if_present(self, path, text):
        return text.replace("\\otherwise", "")


# The numbers of three digits, or with decimals, that are written by hand: of the sheets, of papers, of the data, or
# worked out in the text. A number that a run measured is none of these: metrics.json has it.
BY_HAND = {
    "the sheets'": "100 150 200 1,000 2000 3,000 20,000 0.05 3.02 0.0027 7.6 2.2.7 7.0",
    "items of the sheets": "1.1 1.2 2.1 2.2 2.3 3.1 4.1 5.3 5.4 5.5 5.6 5.7",
    "numbers of images": "6,000 10,000 54,000",
    "of 64×64 colour images of 256 values": "4,096 12,288 255 256",
    "the equilibrium's": "1.386 1.39 0.693",
    "the norm's, in 100 dimensions": "250",
    "weights of the sweep of section 4, which name its columns": "0.1 0.3 0.5 1.5",
    "ImageNet's": "1,000 50,000",
    "the bound of an active latent": "0.01",
}


def numbers_by_hand(text):
    """List the numbers of a text without years, and without the names of the sheets."""
    text = AllWords()(text[text.index("\\begin{document}") :])
    text = re.sub(r"\\begin\{tabular\}.*|\\(ref|label)\{[^}]*\}|[Ss]heets? 00\d", "", text).replace("{,}", ",")
    numbers = re.findall(r"\d+(?:,\d{3})*(?:\.\d+)*", text)
    return {number for number in numbers if not re.fullmatch(r"\d\d?|(19|20)\d\d", number)} | ({"2000"} & {*numbers})


def test_no_number_of_a_run_is_written_by_hand():
    known = {number for numbers in BY_HAND.values() for number in numbers.split()}
    text = SOURCE.read_text()
    assert numbers_by_hand(text) == known
    assert "88.7" in numbers_by_hand(text.replace("}{not below}", "}{88.7}"))  # wherever it stands


def test_every_citation_is_in_the_references():
    text, references = SOURCE.read_text().split("\\section{References}")
    works = [" ".join(work.split()) for work in references.split("\n\n") if ": " in work]
    listed = {(work.split()[0].strip(",:"), work.rstrip(".")[-4:]) for work in works}
    plain = re.sub(r"\\?\s+", " ", text)
    name = r"([A-Z][^\s(),.;]+)"
    cited = re.findall(rf"{name}(?: et al\.| and {name})? \(?((?:19|20)\d\d)\b", plain)
    assert {(first, year) for first, _, year in cited} == listed


@needs_pandoc
def test_a_page_that_links_its_figures(source, figures, monkeypatch):
    monkeypatch.setattr(report.shutil, "which", lambda _: None)
    build(source, figures, embed=False)
    page = (source.parent / "report.html").read_text()
    assert re.findall(r'src="([^"]*)"', page) == ["section1/error.png"]
    assert "data:" not in page
    assert "".join(SOURCE.with_name("style.css").read_text().split()) in "".join(page.split())


@needs_pandoc
def test_the_page_needs_nothing_but_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)  # no PDF
    paths = report.run(source=SOURCE, figures=ROOT / "figures", out=tmp_path, build=tmp_path / "build", author="A & B")
    page = (tmp_path / "report.html").read_text()
    assert paths == [tmp_path / "report.html"]
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert not re.search(r"<(link|script|iframe)\b|@import|url\((?!data:)", page)
    sources = re.findall(r"<img[^>]* src=\"([^\"]{0,22})", page)
    assert len(sources) == (tmp_path / "build" / "report.tex").read_text().count(r"\includegraphics") > 20
    assert set(sources) == {"data:image/png;base64,"}
    assert page.count("<math") > 100
    assert 'name="viewport"' in page
    assert "A &amp; B" in page
    assert not re.search(r'data-reference-type="ref"[^>]*>\[', page)  # a reference without a target


@needs_pandoc
def test_without_latex_there_is_a_page_and_no_old_pdf(source, figures, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    old = source.with_name("report.pdf")
    old.touch()
    (path,) = build(source, figures)
    page = path.read_text()
    assert "The error is 0.12," in page
    assert '<mo form="prefix" lspace="0.167em" rspace="0.167em">min</mo>' in page
    assert "Section 2 was not run" in page
    assert "Never to be seen" not in page
    assert not old.exists()
    assert "no PDF: none of latexmk, pdflatex, xelatex, tectonic is installed" in capsys.readouterr().out


@needs_pandoc
@needs_latex
def test_the_pdf(source, figures, capsys):
    page, pdf = build(source, figures, author="Ada_1")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert re.search(r"report.pdf: by \w+", capsys.readouterr().out)
    assert page.exists()


@needs_latex
def test_the_error_of_latex_is_passed_on(tmp_path, figures):
    broken = tmp_path / "broken.tex"
    broken.write_text(r"\documentclass{article}\usepackage{nosuchpackage}\begin{document}\end{document}")
    engine = next(filter(shutil.which, report.ENGINES))
    with pytest.raises(InputError, match=r"nosuchpackage.sty' not found.*broken.log.*texlive"):
        report.write_pdf(engine, broken, figures, tmp_path / "broken.pdf")
    assert not (tmp_path / "broken.pdf").exists()


@pytest.mark.parametrize(
    ("arguments", "without", "message"),
    [
        (["--source=nowhere.tex"], (), "--source=nowhere.tex: no such file"),
        (["--figures=nowhere"], (), "--figures=nowhere: no such folder"),
        (["--figures=empty"], (), "--figures=empty: holds no results; ./run_all.sh makes them"),
        (["--source=latin1.tex"], (), "--source=latin1.tex: is not a text in UTF-8"),
        ([], ("pypandoc",), "report.html is made by pandoc: pip install -e '.[report]' installs it"),
    ],
)
def test_mistakes_are_one_line(source, figures, arguments, without, message):
    (source.parent / "latin1.tex").write_bytes("ü".encode("latin1"))
    (source.parent / "empty").mkdir()
    done = python_m("hw5.report", "--source=report.tex", *arguments, cwd=source.parent, without=without)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
