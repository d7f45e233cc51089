"""The archives to hand in: what is in them, how they stay small, and that they run where they are unpacked."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import python_m

from hw5.errors import InputError
from hw5.homework import contents, handin, shrink
from hw5.homework.readme import readme
from hw5.homework.sheets import SHEETS
from hw5.homework.summary import code_check, summarise

ROOT = Path(__file__).parents[1]
TEX = "\\documentclass{article}\n\\begin{document}\n" + "".join(
    f"\\section{{{title}}}\n{text}\n"
    for title, text in {
        "About this report": "about",
        "Sheet 000: autoencoders": r"\plots{section1/error}{The error.}",
        "Sheet 003: GANs": r"\plots{section8/samples}{Samples.}",
        "Sheet 004: digits": "four",
        "References": "end",
    }.items()
)
FILES = {
    "README.md": "read me\n",
    "LICENSE": "Apache\n",
    "docs/development.md": "the house\n",
    "run_all.sh": "#!/bin/sh\n",
    "hw5/section1.py": "a = 1\n# Reference: https://example.org/vae\nb = 2\n",
    "hw5/section8.py": "a = 8\n",
    "hw5/section10.py": "a = 10\n",
    "hw5/section11.py": "a = 11\n",
    "hw5/homework7.py": '"""One file."""\n\nprint("trained")\n',
    "hw5/empty.py": "",
    "hw5/homework/handout/hw5/section1.py": "# TODO start\n# TODO end\n",
    "hw5/data/store/README.md": "licences\n",
    "hw5/data/store/emojione/NOTICE.txt": "emojis\n",
    "hw5/data/store/mnist/NOTICE.txt": "digits\n",
    "report/report.tex": TEX + "\\end{document}\n",
    "report/style.css": "p {}\n",
    "tests/test_section1.py": "pass\n",
}
RESULTS = {
    "figures/section1/metrics.json": json.dumps({"headline": {}, "results": {}}),
    "figures/section8/metrics.json": json.dumps({"headline": {}, "results": {}}),
    "figures/section10/metrics.json": json.dumps({"headline": {}, "results": {}}),
}
DATA = {  # the arrays stand for MNIST where it is packed already
    "hw5/data/store/mnist/mnist.npz": "arrays",
    "hw5/data/store/emojione/1.0.0/emojione-train.tfrecord-00000-of-00001": "images",
    "hw5/metrics/mnist_classifier.weights.h5": "weights",
    "hw5/metrics/mnist.head.npz": "head",
}
LEFT_OUT = [
    "hw5/data/store/cartoon_faces/1.0.0/cartoon_faces-test.tfrecord-00000-of-00001",
    "hw5/__pycache__/section1.cpython-311.pyc",
    "hw5/.partial.section1.py",
    "figures/section1/.partial.error.png",
    "runs/section1/model.weights.h5",
    ".venv/lib/package.py",
    ".git/config",
    "notes.txt",
    "report/report.html",
]
FIGURES = ["figures/section1/error.png", "figures/section8/samples.png", "figures/section8/fixed_noise.gif"]
REPORT = ["Report.html", "Report.pdf", "summary.txt", "README.md"]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A checkout, with a report that is made at once instead of by pandoc and LaTeX."""
    for name, text in {**FILES, **RESULTS, **DATA, **dict.fromkeys(LEFT_OUT, "x")}.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for name in FIGURES:
        frames = [grey.point(lambda value, by=by: value + by) for by in (50, 100)]
        grey.save(tmp_path / "checkout" / name, save_all=name.endswith("gif"), append_images=frames)

    def report(*, source, figures, out, build, author, embed):
        build.mkdir(parents=True, exist_ok=True)
        text = contents.report.expand(source.read_text(), figures, author)
        (build / "report.tex").write_text(text)
        pictures = "".join(f'<img src="{name}">' for name in contents.SHOWN.findall(text))
        (out / "report.html").write_text(f"report of {author}, embed {embed} {pictures}")
        (out / "report.pdf").write_bytes(
            b"".join((figures / name).read_bytes() for name in contents.SHOWN.findall(text))
        )
        return [out / "report.html", out / "report.pdf"]

    monkeypatch.setattr(contents.report, "run", report)
    return tmp_path / "checkout"


def noise(path, side, count=1):
    """Write figures of 2,000 colours, of which no compression without loss makes less than 11 bits per pixel."""
    for index in range(count):
        generator = np.random.default_rng(index)
        palette, pixels = generator.integers(0, 256, (2000, 3), np.uint8), generator.integers(0, 2000, (side, side))
        Image.fromarray(palette[pixels]).save(path.with_stem(f"{path.stem}{index}"), compress_level=0)


def names_and_texts(archive):
    with zipfile.ZipFile(archive) as file:
        assert archive.stat().st_size <= handin.MAX_BYTES
        return set(file.namelist()), {name: file.read(name).decode(errors="replace") for name in file.namelist()}


def test_everything(tree, tmp_path, capsys):
    archive = handin.run(source=tree, out=tmp_path, name="2023012345", author="Ada")
    assert archive == tmp_path / "2023012345.zip"
    names, texts = names_and_texts(archive)
    made = "figures/section8/fixed_noise_all.png"
    assert names == {*REPORT} | {f"codes/{name}" for name in [*FILES, *RESULTS, *DATA, *FIGURES, made]}
    assert "report of Ada" in texts["Report.html"]
    assert 'src="codes/figures/section1/error.png"' in texts["Report.html"]
    assert texts["codes/hw5/section1.py"] == FILES["hw5/section1.py"]
    assert texts["codes/README.md"] == "read me\n"
    assert "No reference was given" in texts["summary.txt"]
    listed = texts["summary.txt"].partition("# Left Out or Reduced")[2]
    assert "# hw5/data/store/cartoon_faces: 21 MB; to add them: cp -r PACKAGE/" in listed
    assert "# figures/section2: not run; ./run_all.sh 2 makes them" in listed
    assert "# codes/figures/section8/fixed_noise_all.png: made of the 3 grids of fixed_noise.gif" in listed
    assert listed in capsys.readouterr().out


COMMON = {name for name in FILES if name.startswith("hw5/") and not re.search("section|handout|emojione", name)}
COMMON |= {"LICENSE", "README.md", "run_all.sh"}
MNIST = {name for name in DATA if "emojione" not in name}
EXPECTED = {
    "000": {*REPORT}
    | {f"codes/{name}" for name in {*COMMON, *MNIST, "hw5/section1.py"}}
    | {f"codes/figures/section1/{name}" for name in ("error.png", "metrics.json")},
    "003": {*REPORT, "Report.tex"}
    | {f"codes/{name}" for name in {*COMMON, *DATA, "hw5/section8.py", "hw5/data/store/emojione/NOTICE.txt"}}
    | {f"codes/figures/section8/{name}" for name in ("samples.png", "metrics.json", "fixed_noise.gif")}
    | {"codes/figures/section8/fixed_noise_all.png"},
    "004": {*REPORT, "codes/VAE/figures/section10/metrics.json"}
    | {f"codes/VAE/{name}" for name in {*COMMON, *MNIST, "hw5/section10.py"}}
    | {f"codes/GAN/{name}" for name in {*COMMON, *MNIST, "hw5/section11.py"}},
}


@pytest.mark.parametrize("sheet", EXPECTED)
def test_a_sheet_has_its_sections_data_and_part_of_the_report(tree, tmp_path, sheet):
    archive = handin.run(source=tree, out=tmp_path, sheet=sheet, name="ada")
    assert archive == tmp_path / f"sheet{sheet}" / "ada.zip"
    names, texts = names_and_texts(archive)
    assert names == EXPECTED[sheet]
    for section in SHEETS[sheet].sections:
        command = f"python -m hw5.section{section} "
        assert any(command in text for name, text in texts.items() if name.endswith("README.md"))
    if sheet == "003":
        assert "\\includegraphics[width=0.006\\linewidth]{codes/figures/section8/samples.png}" in texts["Report.tex"]
        assert "Sheet 000" not in texts["Report.tex"]
        assert "References" in texts["Report.tex"]
        assert "sheet003.ipynb: is missing" in texts["summary.txt"]
        assert "sheet003.ipynb" not in texts["README.md"]


def test_the_notebook_and_the_grids_of_the_run(tree, tmp_path):
    (tree / "notebooks").mkdir()
    links = "[all](../figures), [docs/results.md](../docs/results.md), [report](../report/report.tex) [x](https://x)"
    (tree / "notebooks" / "sheet003.ipynb").write_text(json.dumps([links]))
    for step in range(3):
        path = tree / "runs" / "section8" / "samples" / f"{200 * step:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (256, 128), (80 * step, 0, 0)).save(path)
    names, texts = names_and_texts(handin.run(source=tree, out=tmp_path, sheet="003"))
    links = "[all](codes/figures), docs/results.md, [report](Report.tex) [x](https://x)"
    assert json.loads(texts["sheet003.ipynb"]) == [links]
    assert "Report.tex" in names
    assert "`sheet003.ipynb`" in texts["README.md"]
    assert "made of the 3 grids of the run" in texts["summary.txt"]
    sheet = np.asarray(
        Image.open(tree / "runs" / "handin" / "003" / "figures/section8/fixed_noise_all.png").convert("RGB")
    )
    assert sheet.shape == (64, 10 * 132 - 4, 3)
    assert [sheet[10, 132 * index + 10].tolist() for index in range(4)] == [[0] * 3, [80, 0, 0], [160, 0, 0], [255] * 3]


@pytest.mark.parametrize("count", [1, pytest.param(4, marks=pytest.mark.slow)], ids=["a quarter", "25 MB"])
def test_figures_of_25_mb_are_reduced_until_the_archive_fits(tree, tmp_path, monkeypatch, count):
    share = count / 4  # of a full run; the fast test has a quarter of everything
    monkeypatch.setattr(handin, "MAX_BYTES", int(share * handin.MAX_BYTES))
    monkeypatch.setattr(handin.shutil, "which", lambda _: "latex")  # the PDF has the figures again
    noise(tree / "figures" / "section1" / "face.png", 1450, count)
    noise(tree / "figures" / "section1" / "small.png", 100)
    (tree / "hw5" / "data" / "store" / "mnist" / "mnist.npz").write_bytes(os.urandom(int(share * 30_000_000)))
    before = {path: path.read_bytes() for path in (tree / "figures").rglob("*.png")}
    assert sum(map(len, before.values())) > share * 25_000_000
    _, texts = names_and_texts(handin.run(source=tree, out=tmp_path, sheet="000"))
    assert (
        "# codes/figures/section1/face0.png: 1450×1450 → 1450×1450 pixels, 256 colours at most" in texts["summary.txt"]
    )
    assert "small0" not in texts["summary.txt"]
    assert before == {path: path.read_bytes() for path in (tree / "figures").rglob("*.png")}


def test_when_reducing_is_not_enough_figures_are_left_out(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(shrink, "LEVELS", shrink.LEVELS[-1:])
    monkeypatch.setattr(handin, "LEVELS", shrink.LEVELS)
    monkeypatch.setattr(handin, "MAX_BYTES", 60_000)
    noise(tree / "figures" / "section1" / "face.png", 199, 4)
    _, texts = names_and_texts(handin.run(source=tree, out=tmp_path, sheet="000"))
    assert "codes/figures/section1/face0.png: left out" in texts["summary.txt"]
    assert "codes/figures/section1/error.png" in texts


def test_too_much_code_is_refused_and_the_older_archive_stays(tree, tmp_path, monkeypatch):
    assert handin.MAX_BYTES == 50_000_000
    monkeypatch.setattr(handin, "MAX_BYTES", 1_000_000)
    (tmp_path / "hw5.zip").write_text("older")
    (tree / "docs" / "huge.txt").write_bytes(os.urandom(handin.MAX_BYTES))
    with pytest.raises(InputError, match=r"hw5.zip: 1.0 MB, above the 1 MB allowed; largest: codes/docs/huge"):
        handin.run(source=tree, out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkout", "hw5.zip"]
    assert (tmp_path / "hw5.zip").read_text() == "older"


@pytest.mark.parametrize(("figures", "packed"), [("all", 2), ("report", 1), ("none", 0)])
def test_fewer_figures(tree, tmp_path, figures, packed):
    shutil.copy(tree / "figures/section1/error.png", tree / "figures/section1/unused.png")
    names, texts = names_and_texts(handin.run(source=tree, out=tmp_path, sheet="000", figures=figures))
    assert sum(name.endswith(".png") for name in names) == packed
    assert f"embed {figures == 'none'}" in texts["Report.html"]
    assert 'src="codes/figures' in texts["Report.html"] or figures == "none"
    assert texts["summary.txt"].count("left out") == 2 - packed


def test_without_latex_the_page_is_there_and_the_summary_says_so(tree, tmp_path, monkeypatch, capsys):
    made = contents.report.run
    monkeypatch.setattr(contents.report, "run", lambda **how: made(**how)[:1])
    names, texts = names_and_texts(handin.run(source=tree, out=tmp_path, sheet="000"))
    assert "Report.html" in names
    assert "Report.pdf" not in names
    line = r"# Report.pdf: is missing: no LaTeX is installed \(Debian: apt install texlive-.*\); install it and run"
    assert re.search(line, texts["summary.txt"])
    assert re.search(line, capsys.readouterr().out)
    assert "Report.pdf" not in texts["README.md"]


def test_a_damaged_figure_is_named(tree, tmp_path):
    (tree / "figures/section1/error.png").write_text("no image")
    with pytest.raises(InputError, match=r"section1/error.png: is no image \(.*\); run its section again"):
        handin.run(source=tree, out=tmp_path)
    assert not list(tmp_path.glob("*.zip"))


def test_no_results(tree, tmp_path):
    message = "checkout/figures: holds no results to hand in; ./run_all.sh 6 7 8 9 makes them"
    shutil.rmtree(tree / "figures" / "section8")
    with pytest.raises(InputError, match=message):
        handin.run(source=tree, out=tmp_path, sheet="003")
    shutil.rmtree(tree / "figures")
    with pytest.raises(InputError, match="holds no results to hand in"):
        handin.run(source=tree, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


# The figures


@pytest.mark.parametrize("mode", ["RGB", "L", "few colours"])
def test_without_loss_every_pixel_stays(tmp_path, mode):
    shape = (60, 70, 3) if mode != "L" else (60, 70)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if mode == "few colours":
        pixels = np.random.default_rng(0).integers(0, 256, (200, 3), np.uint8)[pixels[..., 0] % 200]
    Image.fromarray(pixels).save(tmp_path / "a.png", compress_level=0)
    assert shrink.reduce_figure(tmp_path / "a.png", tmp_path / "b.png", shrink.LEVELS[0]) == ""
    with Image.open(tmp_path / "b.png") as image:
        assert np.array_equal(np.asarray(image.convert("L" if mode == "L" else "RGB")), pixels)
    sizes = [(tmp_path / name).stat().st_size for name in ("b.png", "a.png")]
    assert sizes[0] < 0.5 * sizes[1] if mode == "few colours" else sizes[0] <= sizes[1]


def test_a_reduced_figure_is_shown_at_its_old_size(tmp_path):
    Image.effect_noise((1000, 800), 50).save(tmp_path / "a.png")
    lost = shrink.reduce_figure(tmp_path / "a.png", tmp_path / "b.png", shrink.Level(500, 32))
    assert lost == "1000×800 → 500×400 pixels, 32 colours at most"
    widths = []
    for name in ("a", "b"):
        folder = tmp_path / name / "section1"
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / f"{name}.png", folder / "x.png")
        (folder / "metrics.json").write_text('{"results": {}}')
        text = contents.report.expand(r"\plots{section1/x}{A figure.}", folder.parent)
        widths.append(float(re.search(r"width=([\d.]+)", text)[1]))
    assert widths == pytest.approx([5 / 6.3] * 2, abs=2e-3)


def test_mnist_as_arrays_is_the_same_dataset(tmp_path, monkeypatch, digits):
    from hw5 import data
    from hw5.data import names
    from hw5.data.build import build_from_arrays
    from hw5.data.local import parts_of_arrays

    np.savez(tmp_path / "a.npz", train_images=digits[:30, ..., 0], train_labels=np.arange(30) % 10)
    folder = build_from_arrays(
        parts_of_arrays(tmp_path / "a.npz"), "mnist", tmp_path / "made", splits="train:0.8,test:0.2"
    )
    store = tmp_path / "store"
    packed = shrink.mnist_as_arrays(folder.parent, store / "mnist" / "mnist.npz")
    assert packed.stat().st_mtime_ns == shrink.mnist_as_arrays(folder.parent, packed).stat().st_mtime_ns
    monkeypatch.setattr(names, "STORE", store)
    assert data.load("mnist").shape == (24, 28, 28, 1)
    assert np.array_equal(data.load("mnist"), digits[:24])
    assert np.array_equal(data.load("mnist", "test", feature="label"), np.arange(24, 30) % 10)
    assert data.load("mnist", "test", feature="label").dtype == np.int64
    assert np.array_equal(data.load("mnist", "train[50%:]"), digits[12:24])
    assert data.has_feature("mnist", "label")


# The summary


def reference_of(tmp_path):
    reference = tmp_path / "reference"
    (reference / "hw5").mkdir(parents=True)
    (reference / "README.md").write_text(FILES["README.md"])
    (reference / "hw5" / "section1.py").write_text("a = 1\nb = 3\nc = 4\n")
    (reference / "hw5" / "old.py").write_text("gone\n")
    return reference


def test_summary_against_a_reference(tree, tmp_path):
    summary = summarise(tree, handin.Contents(tree, SHEETS["all"], "x").code(), reference_of(tmp_path))
    lines = summary.splitlines()
    assert "modified      +2     -2  hw5/section1.py" in lines
    assert "removed       +0     -1  hw5/old.py" in lines
    assert "added         +0     -0  hw5/empty.py" in lines
    assert "added         +1     -0  run_all.sh" in lines
    assert "1 files are unchanged." in lines
    assert "hw5/section1.py: https://example.org/vae" in lines
    assert {"-b = 3", "-c = 4", "+b = 2"} <= set(lines)
    assert str(tmp_path) not in summary


def test_files_of_other_sheets_count_as_neither_added_nor_removed(tree, tmp_path):
    reference = reference_of(tmp_path)
    (reference / "hw5" / "section8.py").write_text("another text\n")
    summary = summarise(tree, handin.Contents(tree, SHEETS["000"], "x").code(), reference)
    assert "section8" not in summary
    assert "removed       +0     -1  hw5/old.py" in summary


FILLED = """import torch
class VAE:
    def forward(self, input):
        # TODO START
        # Reference: https://github.com/xxxxx
        # Reference: Name: Xiao Ming Student ID: 2018xxxxxx
        return input
        # TODO END
    saved = None # add some thing
"""
ORIGINAL = """import torch
class VAE:
    def forward(self, input):
        # TODO START
        pass
        # TODO END
    saved = None
"""


def test_the_three_blocks_of_sheet_004(tree, tmp_path):
    (tree / "hw5" / "empty.py").write_text(FILLED)
    reference = reference_of(tmp_path)
    (reference / "hw5" / "empty.py").write_text(ORIGINAL)
    text = code_check(tree, ["hw5/empty.py", "hw5/section10.py"], reference)
    rule = "#" * 24
    assert text.splitlines() == [
        rule,
        "# Filled Code",
        rule,
        "# ../codes/hw5/empty.py:1",
        "        # Reference: https://github.com/xxxxx",
        "        # Reference: Name: Xiao Ming Student ID: 2018xxxxxx",
        "        return input",
        rule,
        "# References",
        rule,
        "# https://github.com/xxxxx",
        "# Name: Xiao Ming Student ID: 2018xxxxxx",
        rule,
        "# Other Modifications",
        rule,
        "# _codes/hw5/empty.py -> ../codes/hw5/empty.py",
        "# 7 -     saved = None",
        "# 9 +     saved = None # add some thing",
        "# _codes/hw5/old.py: removed",
        "# ../codes/hw5/section10.py: added, 1 lines",
    ]


def test_sheet_004_takes_the_original_hand_out_as_reference(tree, tmp_path):
    handout = tmp_path / "handout"
    (handout / "VAE").mkdir(parents=True)
    (handout / "VAE" / "VAE.py").write_text(ORIGINAL)
    _, texts = names_and_texts(handin.run(str(handout), source=tree, out=tmp_path, sheet="004"))
    assert "# _codes/VAE/VAE.py: removed" in texts["summary.txt"]
    assert "# ../codes/hw5/section10.py: added, 1 lines" in texts["summary.txt"]
    assert "section1.py" not in texts["summary.txt"]


# Bad input


@pytest.mark.parametrize("sheet", ["all", "004"])
@pytest.mark.parametrize("reference", ["nowhere", "unrelated"])
def test_a_reference_that_is_none(tree, tmp_path, reference, sheet):
    (tmp_path / "unrelated").mkdir()
    with pytest.raises(InputError, match=f"{reference}: (no such folder|holds none of the files)"):
        handin.run(str(tmp_path / reference), source=tree, out=tmp_path, sheet=sheet)


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", ".."])
def test_names_that_are_none(tree, name):
    with pytest.raises(InputError, match="name="):
        handin.run(source=tree, name=name)


def test_a_source_that_is_no_checkout_is_named_as_it_was_given(tmp_path):
    with pytest.raises(InputError, match=f"^source={tmp_path}: holds no report/report.tex; name a checkout"):
        handin.run(source=tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "error: nowhere: no such folder to compare with\n"),
        (["--sheet=005"], "error: --sheet=005: must be one of 000, 001, 002, 003, 004, all\n"),
        (["--sheet=002"], "error: figures: holds no results to hand in; ./run_all.sh 5 makes them\n"),
    ],
)
def test_mistakes_are_one_line(tree, words, message):
    done = python_m("hw5.handin", *words, cwd=tree)
    assert done.returncode == 1
    assert done.stderr == message


@pytest.mark.parametrize("command", ["report", "handin", "grade"])
def test_the_commands_start_without_tensorflow(command):
    line = [sys.executable, "-X", "importtime", "-m", f"hw5.{command}", "--help"]
    imported = subprocess.run(line, capture_output=True, text=True, check=False).stderr
    assert f"hw5.homework.{command}" in imported
    assert not re.search(r"\b(tensorflow|keras|matplotlib|scipy)\b", imported)


def test_commands_of_the_readme_are_quoted_where_the_name_has_spaces():
    text = readme(SHEETS["001"], "Ada Lovelace")
    assert "    cd '/mnt/c/Users/YOU/Downloads/Ada Lovelace/codes'\n" in text
    assert "    python 'homework7.Ada Lovelace.py' " in text
    assert "    cd /mnt/c/Users/YOU/Downloads/ada/codes\n" in readme(SHEETS["001"], "ada")
