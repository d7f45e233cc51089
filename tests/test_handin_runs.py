"""Archives of this checkout, unpacked in an empty folder: their sections run there, without a network."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hw5.homework import contents, handin
from hw5.homework.sheets import SHEETS

ROOT = Path(__file__).parents[1]
RUN = """
import runpy, socket, sys

def no_network(*_):
    raise OSError("there is no network")

socket.socket.connect = socket.getaddrinfo = no_network
import hw5
print("package", hw5.__file__)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
RUN_ALONE = """
import runpy, sys

sys.modules["hw5"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PARTS = [
    pytest.param(sheet.number, folder, section, marks=pytest.mark.slow)
    for sheet in SHEETS.values()
    for folder, sections in sheet.codes.items()
    for section in sections
    if not sheet.is_whole or section in (1, 8)
]


def run_in(folder, *words, code=RUN):
    """Run a module of an archive with the packages of this environment, and with its own `hw5` alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HW5", "TFDS"))}
    environment |= {"PYTHONPATH": str(folder), "HOME": str(folder), "MPLBACKEND": "agg"}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def unpack(archive, folder):
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """This checkout without its `runs`; linked, as nothing is written into it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("hw5", "report", "figures", "notebooks", "docs", "tests", "benchmarks", *contents.ROOT_FILES):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def unpacked(checkout, tmp_path_factory):
    """A function of a sheet that returns the folder in which its archive was unpacked."""
    made = {}

    def folder_of(sheet):
        if sheet not in made:
            out = tmp_path_factory.mktemp(f"sheet{sheet}")
            made[sheet] = unpack(handin.run(source=checkout, out=out, name="ada", sheet=sheet), out / "unpacked")
        return made[sheet]

    return folder_of


def check_run(folder, section):
    done = run_in(folder, f"hw5.section{section}", "--preset=smoke")
    assert done.returncode == 0, done.stderr
    assert f"package {folder}/hw5/__init__.py" in done.stdout
    assert (folder / f"runs/smoke/figures/section{section}/metrics.json").is_file()


def test_an_archive_with_few_digits_runs(checkout, tmp_path, monkeypatch, digits):
    """The fast one: few digits in place of MNIST, the figures of one section, and no report."""
    source = tmp_path / "checkout"
    shutil.copytree(ROOT / "hw5", source / "hw5", ignore=shutil.ignore_patterns("*.tfrecord*", "1.0.0", "__pycache__"))
    (source / "figures").mkdir()
    for name in ("report", "figures/section6", *contents.ROOT_FILES):
        (source / name).symlink_to(ROOT / name)
    labels = np.arange(600, dtype=np.uint8) % 10
    images = {"train_images": digits[:600, ..., 0], "test_images": digits[600:1200, ..., 0]}
    arrays = source / "hw5/data/store/mnist/mnist.npz"
    np.savez_compressed(arrays, **images, train_labels=labels, test_labels=labels)

    def report(*, out, **_):
        (out / "report.html").write_text("page")
        (out / "latex").mkdir()
        (out / "latex" / "report.tex").write_text("text")
        return [out / "report.html"]

    monkeypatch.setattr(contents.report, "run", report)
    archive = handin.run(source=source, out=tmp_path, name="ada", sheet="003")
    check_run(unpack(archive, tmp_path / "unpacked") / "codes", 6)


@pytest.mark.slow
@pytest.mark.parametrize(("sheet", "folder", "section"), PARTS)
def test_a_section_of_an_archive_runs(unpacked, sheet, folder, section):
    check_run(unpacked(sheet) / folder, section)


@pytest.mark.slow
def test_the_single_file_of_sheet_001_runs(unpacked):
    folder = unpacked("001")
    done = run_in(folder, "homework7.ada.py", "--steps=40", "--train_size=512", code=RUN_ALONE)
    assert done.returncode == 0, done.stderr
    assert "codes/hw5/data/store/mnist/mnist.npz: 512 images" in done.stdout
    assert (folder / "homework7.png").is_file()


@pytest.mark.slow
def test_the_command_of_the_readme_adds_the_faces(unpacked):
    folder = unpacked("all")
    (command,) = re.findall(r"^    (cp -r PACKAGE/.*)$", (folder / "README.md").read_text(), re.MULTILINE)
    subprocess.run(shlex.split(command.replace("PACKAGE", str(ROOT))), cwd=folder, check=True)
    check_run(folder / "codes", 5)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("latexmk"), reason="no LaTeX")
def test_the_latex_source_of_sheet_003_compiles_where_it_is_unpacked(unpacked):
    words = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "Report.tex"]
    done = subprocess.run(words, cwd=unpacked("003"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("sheet", [number for number, sheet in SHEETS.items() if not sheet.is_whole])
def test_the_report_of_a_sheet_refers_to_nothing_outside_of_it(sheet):
    text = SHEETS[sheet].part_of((ROOT / "report" / "report.tex").read_text())
    labels = set(re.findall(r"\\label\{([^}]*)\}", text))
    labels |= {files.split(",")[0].strip() for files in re.findall(r"\\plots(?:\[\d\])?\{([^}]*)\}", text)}
    assert set(re.findall(r"\\ref\{([^}]*)\}", text)) <= labels
    assert text.count(r"\section{Sheet") == 1
    assert text.count(r"\begin{ifpresent}") == text.count(r"\end{ifpresent}")
