"""The archive to hand in: its contents, the files that are left out, and its summary."""

import os
import re
import subprocess
import sys
import zipfile

import pytest
from processes import python_m

from hw5.errors import InputError
from hw5.homework import handin

FILES = {
    "README.md": "read me\n",
    "LICENSE": "Apache\n",
    "docs/development.md": "the house\n",
    "run_all.sh": "#!/bin/sh\n",
    "hw5/section1.py": "a = 1\n# Reference: https://example.org/vae\nb = 2\n",
    "hw5/empty.py": "",
    "hw5/data/store/README.md": "licences\n",
    "report/report.tex": "text\n",
    "tests/test_section1.py": "pass\n",
    "figures/section1/metrics.json": "{}",
    "figures/section1/error.png": "image",
    "figures/section8/fixed_noise.gif": "animation",
}
LEFT_OUT = [
    "hw5/metrics/mnist_classifier.weights.h5",
    "hw5/data/store/mnist/1.0.0/mnist-test.tfrecord-00000-of-00001",
    "hw5/__pycache__/section1.cpython-311.pyc",
    "hw5/.partial.section1.py",
    "figures/section1/.partial.error.png",
    "runs/section1/model.weights.h5",
    ".venv/lib/package.py",
    ".git/config",
    "notes.txt",
    "report/report.html",
]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A checkout, with a report that is made at once instead of by pandoc and LaTeX."""
    for name, text in {**FILES, **dict.fromkeys(LEFT_OUT, "x")}.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def report(*, out, author, **_):
        (out / "report.html").write_text(f"report of {author}")
        return [out / "report.html"]

    monkeypatch.setattr(handin.report, "run", report)
    return tmp_path / "checkout"


def test_contents(tree, tmp_path):
    archive = handin.run(source=tree, out=tmp_path, name="2023012345", author="Ada")
    assert archive == tmp_path / "2023012345.zip"
    with zipfile.ZipFile(archive) as file:
        assert set(file.namelist()) == {"Report.html", "summary.txt"} | {f"codes/{name}" for name in FILES}
        assert file.read("Report.html") == b"report of Ada"
        assert file.read("codes/hw5/section1.py").decode() == FILES["hw5/section1.py"]
        assert "No reference was given" in file.read("summary.txt").decode()


def test_above_50_mb_is_refused(tree, tmp_path):
    assert handin.MAX_BYTES == 50_000_000
    (tree / "figures" / "section1" / "huge.png").write_bytes(os.urandom(handin.MAX_BYTES))
    with pytest.raises(
        InputError, match=r"hw5.zip: 50.0 MB, above the 50 MB allowed; largest: codes/figures/section1/hu"
    ):
        handin.run(source=tree, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_summary_against_a_reference(tree, tmp_path):
    reference = tmp_path / "reference"
    (reference / "hw5").mkdir(parents=True)
    (reference / "README.md").write_text(FILES["README.md"])
    (reference / "hw5" / "section1.py").write_text("a = 1\nb = 3\nc = 4\n")
    (reference / "hw5" / "old.py").write_text("gone\n")
    code = handin.code_files(tree)
    summary = handin.summarise(tree, code, reference)
    lines = summary.splitlines()
    assert "modified      +2     -2  hw5/section1.py" in lines
    assert "removed       +0     -1  hw5/old.py" in lines
    assert "added         +0     -0  hw5/empty.py" in lines
    assert "added         +1     -0  run_all.sh" in lines
    assert "1 files are unchanged." in lines
    assert "hw5/section1.py: https://example.org/vae" in lines
    assert {"-b = 3", "-c = 4", "+b = 2"} <= set(lines)
    assert str(tmp_path) not in summary


@pytest.mark.parametrize("reference", ["nowhere", "unrelated"])
def test_a_reference_that_is_none(tree, tmp_path, reference):
    (tmp_path / "unrelated").mkdir()
    with pytest.raises(InputError, match=f"{reference}: (no such folder|holds none of the files)"):
        handin.run(str(tmp_path / reference), source=tree, out=tmp_path)


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", ".."])
def test_names_that_are_none(tree, name):
    with pytest.raises(InputError, match="name="):
        handin.run(source=tree, name=name)


def test_a_source_that_is_no_checkout_is_named_as_it_was_given(tmp_path):
    with pytest.raises(InputError, match=f"^source={tmp_path}: holds no report/report.tex; name a checkout"):
        handin.run(source=tmp_path)


def test_mistakes_are_one_line(tree):
    done = python_m("hw5.handin", "nowhere", cwd=tree)
    assert done.returncode == 1
    assert done.stderr == "error: nowhere: no such folder to compare with\n"


@pytest.mark.parametrize("command", ["report", "handin", "grade"])
def test_the_commands_start_without_tensorflow(command):
    line = [sys.executable, "-X", "importtime", "-m", f"hw5.{command}", "--help"]
    imported = subprocess.run(line, capture_output=True, text=True, check=False).stderr
    assert f"hw5.homework.{command}" in imported
    assert not re.search(r"\b(tensorflow|keras|matplotlib|scipy)\b", imported)
