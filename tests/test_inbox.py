"""What is handed in: folders, zip files and notebooks, in the ways in which people and learning platforms pack them."""

import csv
import json
import stat
import zipfile
from pathlib import Path

import pytest
from toy_grading import WORK, make_grader, make_submission

import hw5
from hw5.errors import InputError
from hw5.homework import changes, grade, inbox, notebook

CHECKOUT = Path(hw5.__file__).parents[1]
TEST = """
import pytest
from submission import hw5

@pytest.mark.points(1, part="1.1")
def test_answer():
    assert hw5.work.answer() == 42
"""


@pytest.fixture
def prepare(tmp_path):
    """A function (path) that prepares a submission, and returns its package's folder and the notes."""
    (tmp_path / "supplied").mkdir()
    grader = make_grader(tmp_path / "grader", {"test_toy.py": TEST})

    def call(path):
        prepared = inbox.prepare(path, tmp_path / f"prepared {path.name}", tmp_path / "supplied", grader)
        return prepared.folder / "hw5", prepared.notes

    return call


def make_zip(path, files):
    with zipfile.ZipFile(path, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    return path


def make_notebook(path, *cells):
    lines = [{"cell_type": "code", "source": text.splitlines(keepends=True)} for text in cells]
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "# Homework"}, *lines]}))
    return path


def names_in(package):
    return sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "inside", ["hw5", "codes/hw5", "my homework/hw5", "2023012345/codes/hw5", "my homework\\codes\\hw5"]
)
def test_a_zip_file_is_unpacked(tmp_path, prepare, inside):
    separator = "\\" if "\\" in inside else "/"
    files = {"__init__.py": "", "work.py": WORK.replace("\n", "\r\n"), f"metrics{separator}__init__.py": ""}
    files = {f"{inside}{separator}{name}": text for name, text in files.items()}
    files |= {"summary.txt": "", "__MACOSX/hw5/._work.py": "", ".git/hw5/x.py": "", f"{inside}/__pycache__/x.pyc": ""}
    files["./"] = ""  # the folder itself, as bsdtar packs it
    package, notes = prepare(make_zip(tmp_path / "my archive.zip", files))
    assert names_in(package) == ["__init__.py", "metrics/__init__.py", "work.py"]
    assert notes == []


def test_the_package_in_codes_is_taken_before_others(tmp_path, prepare):
    for place in ("codes", "handout"):
        make_submission(tmp_path / "alice" / place, f"# {place}\n")
    assert prepare(tmp_path / "alice")[0].joinpath("work.py").read_text() == "# codes\n"
    make_submission(tmp_path / "bob" / "old")
    make_submission(tmp_path / "bob" / "new")
    with pytest.raises(InputError, match="several packages hw5: new/hw5, old/hw5; keep one"):
        prepare(tmp_path / "bob")


def test_an_archive_in_the_folder_of_a_person_is_opened(tmp_path, prepare):
    folder = tmp_path / "Ada Lovelace_123_assignsubmission_file_"
    folder.mkdir()
    make_zip(folder / "hw5.ZIP".lower(), {"codes/hw5/work.py": WORK})
    assert names_in(prepare(folder)[0]) == ["work.py"]


@pytest.mark.parametrize("name", ["../hw5/work.py", "/tmp/hw5/work.py", "C:\\hw5\\work.py", "a/../../x.py"])
def test_paths_out_of_an_archive_are_refused(tmp_path, prepare, name):
    with pytest.raises(InputError, match="lies outside of it"):
        prepare(make_zip(tmp_path / "x.zip", {"hw5/work.py": WORK, name: ""}))


def test_archives_that_cannot_be_read_are_refused(tmp_path, prepare, monkeypatch):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(InputError, match="broken.zip: cannot be unpacked"):
        prepare(tmp_path / "broken.zip")
    with pytest.raises(InputError, match="holds no package hw5"):
        prepare(make_zip(tmp_path / "empty.zip", {}))
    monkeypatch.setattr(inbox, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="has more than"):
        prepare(make_zip(tmp_path / "large.zip", {"hw5/work.py": "x" * 2000}))


@pytest.mark.parametrize("pack", ["zip", "folder"])
def test_folders_without_end_are_refused(tmp_path, prepare, pack):
    folders = "/".join(["hw5", *"a" * 150])
    if pack == "zip":
        path = make_zip(tmp_path / "x.zip", {"hw5/work.py": WORK, f"{folders}/x.txt": ""})
    else:
        path = make_submission(tmp_path / "x")
        (path / folders).mkdir(parents=True)
    with pytest.raises(InputError, match="more than 100 folders within each other"):
        prepare(path)


def test_links_are_left_out(tmp_path, prepare):
    folder = make_submission(tmp_path / "alice")
    (tmp_path / "secret.py").write_text("SECRET")
    (folder / "hw5" / "stolen.py").symlink_to(tmp_path / "secret.py")
    (folder / "hw5" / "same.py").symlink_to("work.py")
    package, notes = prepare(folder)
    assert names_in(package) == ["__init__.py", "same.py", "work.py"]
    assert notes == ["hw5/stolen.py leads elsewhere and was left out"]
    link = zipfile.ZipInfo("hw5/stolen.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "bob.zip", "w") as file:
        file.writestr("hw5/work.py", WORK)
        file.writestr(link, str(tmp_path / "secret.py"))
    assert names_in(prepare(tmp_path / "bob.zip")[0]) == ["work.py"]


def test_what_was_left_out_is_supplied(tmp_path, prepare):
    supplied = tmp_path / "supplied" / "data" / "store"
    supplied.mkdir(parents=True)
    for name in ("missing", "same", "other"):
        (supplied / name).write_text("right")
    folder = make_submission(tmp_path / "alice")
    (folder / "hw5" / "data" / "store").mkdir(parents=True)
    (folder / "hw5" / "data" / "store" / "same").write_text("right")
    (folder / "hw5" / "data" / "store" / "other").write_text("the student's own")
    package, _ = prepare(folder)
    store = package / "data" / "store"
    assert [(store / name).is_symlink() for name in ("missing", "same", "other")] == [True, True, False]
    assert (store / "missing").read_text() == "right"
    assert (store / "other").read_text() == "the student's own"


def test_the_data_and_weights_of_the_package_can_be_supplied(tmp_path):
    supplied = inbox.supply_folder(tmp_path / "supplied")
    names = names_in(supplied)
    assert "metrics/mnist_classifier.weights.h5" in names
    assert "metrics/emojione.head.npz" in names
    handed_in = {name.removeprefix("hw5/") for name in changes.code_files(CHECKOUT) if name.startswith("hw5/")}
    # Nothing that is graded needs the trained models.
    left_out = ("__pycache__", "models/store")
    whole = {name for name in names_in(CHECKOUT / "hw5") if not any(folder in name for folder in left_out)}
    assert whole <= handed_in | set(names)


def test_equal_names_are_kept_apart(tmp_path):
    for person in ("alice", "bob"):
        (tmp_path / person).mkdir()
        make_zip(tmp_path / person / "hw5.zip", {})
    assert [*inbox.find(f"{tmp_path}/*/hw5.zip")] == ["alice_hw5.zip", "bob_hw5.zip"]
    make_zip(tmp_path / "alice.zip", {})
    (tmp_path / "notes.txt").touch()
    assert [*inbox.find(f"{tmp_path}/*")] == ["alice", "alice.zip", "bob"]
    make_zip(tmp_path / "dora.zip", {})  # what others hand in later changes no other name
    assert [*inbox.find(f"{tmp_path}/*")] == ["alice", "alice.zip", "bob", "dora"]
    (tmp_path / "Carol Smith").mkdir()
    assert [*inbox.find(f"{tmp_path}/C*")] == ["Carol Smith"]


def test_a_mixed_inbox(tmp_path):
    grader = make_grader(tmp_path / "grader", {"test_toy.py": TEST})
    folder = tmp_path / "my inbox"
    make_submission(folder / "a folder")
    make_zip(folder / "zip.zip", {"codes/hw5/work.py": WORK.replace("\n", "\r\n")})
    make_notebook(folder / "notebook.ipynb", "def answer():\n    return 42", "print(answer())")
    grade.run(f"{folder}/*", csv=str(tmp_path / "grades.csv"), tests=grader, jobs=2)
    with open(tmp_path / "grades.csv", newline="") as file:
        rows = {row["submission"]: row["score"] for row in csv.DictReader(file)}
    assert rows == {"a folder": "1.0", "notebook": "1.0", "zip": "1.0"}


WANTED = {"metrics": ["fid", "score"], "networks": ["vae"], "section2": ["run"], "section3": ["run"]}


def test_the_cells_of_a_notebook_become_a_package(tmp_path):
    path = make_notebook(
        tmp_path / "mine.ipynb",
        "%matplotlib inline\n!pip install keras\nimport numpy as np\nimport no_such_module",
        "LATENT = 3\nunused = launch_the_training()\nbounds = np.array([1, 2])",
        "def fid(a):\n    return a * LATENT + bounds.sum()\n\nprint(fid(1))\nfor step in range(10**12):\n    pass",
        "%%time\ndef vae(k=LATENT):\n    return fid(k)",
        "%%bash\ndef this is no Python",
        "def score(:",
        "def run_section2(k=2):\n    return {'results': k}",
        "%%writefile hw5/data.py\ndef load(name):\n    return name\n",
        "if __name__ == '__main__':\n    vae = None",
    )
    notes = notebook.make_package([path], tmp_path, WANTED | {"data": ["load"]})
    assert len(notes) == 2
    assert notes[0].startswith("mine.ipynb, cell 6 is no Python and was left out")
    assert notes[1] == "not found in the notebook: hw5.metrics.score, hw5.section3.run"
    text = (tmp_path / "hw5" / "notebook.py").read_text()
    assert "launch_the_training" not in text
    assert "no_such_module" not in text
    assert "print" not in text
    found = {}
    exec(text, found)
    assert found["vae"]() == 12
    assert (tmp_path / "hw5" / "section2.py").read_text() == "from hw5.notebook import run_section2 as run\n"
    assert (tmp_path / "hw5" / "data.py").read_text().startswith("def load")


def test_notebooks_without_the_names_are_refused(tmp_path, prepare):
    with pytest.raises(InputError, match="define none of its names"):
        prepare(make_notebook(tmp_path / "a.ipynb", "print(1)"))
    (tmp_path / "b.ipynb").write_text("{}")
    with pytest.raises(InputError, match="is no notebook"):
        prepare(tmp_path / "b.ipynb")


def test_a_notebook_that_is_too_deep_ends_only_its_own_grading(tmp_path, prepare):
    deep = {"signs": "-" * 100_000 + "1", "sum": "1+" * 5000 + "1"}
    for name, text in deep.items():
        path = make_notebook(tmp_path / f"{name}.ipynb", f"def answer():\n    return {text}", WORK)
        assert "cell 1 is no Python" in prepare(path)[1][0]
    (tmp_path / "lists.ipynb").write_text("[" * 200_000)
    surrogate = make_notebook(tmp_path / "surrogate.ipynb", "%%writefile hw5/work.py\nx = '\ud800'")
    for path in (tmp_path / "lists.ipynb", surrogate):
        with pytest.raises(InputError, match=path.name):
            prepare(path)


def test_the_names_that_a_notebook_should_have_are_those_of_the_tests():
    names = notebook.interface(CHECKOUT / "tests" / "grading")
    assert {"frechet_distance", "inception_score"} <= set(names["metrics"])
    assert names["section10"] == ["run"]
    assert "dense_vae" in names["networks"]
