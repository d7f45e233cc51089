"""The starter for students, and what another implementation of it gets."""

import ast
import shutil
from pathlib import Path

import pytest
from processes import python_m
from setuptools import Distribution
from toy_grading import GRADING

from hw5.errors import InputError
from hw5.homework import grade, notebook, starter

SECOND = Path(__file__).with_name("second")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starter") / "new"
    grade.run(starter=str(folder))
    return folder


def test_every_block_is_marked_and_empty(folder):
    paths = sorted((folder / "hw5").rglob("*.py"))
    assert len(paths) == 17
    for path in paths:
        lines = [line.strip() for line in path.read_text().splitlines()]
        starts = [number for number, line in enumerate(lines) if line == "# TODO start"]
        assert all(lines[n : n + 3] == ["# TODO start", "raise NotImplementedError", "# TODO end"] for n in starts)
        assert len(starts) == lines.count("# TODO end") == lines.count("raise NotImplementedError")
        assert starts or path.parent.name == path.stem or path.name == "__init__.py"


def test_it_has_every_name_that_the_tests_use(folder):
    for module, names in notebook.interface(GRADING).items():
        path = folder / "hw5" / f"{module}.py"
        tree = ast.parse((path if path.exists() else folder / "hw5" / module / "__init__.py").read_text())
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert {*names} <= defined, module


def test_the_images_come_with_it(folder):
    assert {path.name for path in (folder / "hw5" / "data" / "store").iterdir()} >= {"mnist", "emojione"}
    assert (folder / "README.md").exists()
    assert not list(folder.rglob("__pycache__"))


def test_a_wheel_has_it():
    distribution = Distribution()
    distribution.parse_config_files([grade.CHECKOUT / "setup.cfg"])
    patterns = distribution.get_command_obj("build_py").package_data or distribution.package_data
    found = {path for pattern in patterns["hw5.homework"] for path in starter.HANDOUT.parent.glob(pattern)}
    assert found == {path for path in starter.HANDOUT.rglob("*") if path.suffix in (".py", ".md")}


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "work.txt").touch()
    done = python_m("hw5.grade", "--starter=full", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("--starter=full: exists already; name a new or an empty folder\n")
    starter.make(tmp_path / "empty")
    assert (tmp_path / "empty" / "hw5").is_dir()
    with pytest.raises(InputError, match="exists already"):
        starter.make(tmp_path / "empty")


@pytest.mark.slow
def test_the_starter_gets_no_points(folder):
    results = grade.run(str(folder))
    assert [test["name"] for test in results["tests"] if test["score"]] == []


@pytest.mark.slow
def test_the_second_implementation_gets_everything(folder, tmp_path):
    # It is written from the starter: all of that is still there.
    for path in sorted(SECOND.rglob("*.py")):
        if (before := folder / path.relative_to(SECOND)).exists():
            marks = [text.count("# TODO start") for text in (path.read_text(), before.read_text())]
            assert marks[0] == marks[1]
    results = grade.run(str(SECOND))
    assert [test["name"] for test in results["tests"] if test["score"] < test["max_score"]] == []
    assert results["score"] > sum(test["max_score"] for test in results["tests"] if "bonus" not in test["name"])
    (note,) = (note for note in results["notes"] if "section3 was called without" in note)
    assert "study_beta_1" in note


# Names that a submission with one model does not have, each with its file.
LEFT_OUT = {
    "VAE": {
        "class GAN(": "models",
        "def dcgan(": "networks",
        "def get(": "objectives",
        "def inception_score(": "metrics",
    },
    "GAN": {
        **dict.fromkeys(["class VAE(keras.Model)", "class ImportanceWeightedVAE(VAE)", "class FlowVAE(VAE)"], "models"),
        "def dcgan_vae(": "networks",
        "def log_likelihood(": "metrics",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("model", LEFT_OUT)
def test_one_model_is_enough_for_sheet_002(model, tmp_path):
    copy = shutil.copytree(SECOND, tmp_path / "copy") / "hw5"

    def change(file, before, after):
        text = (copy / f"{file}.py").read_text()
        assert text.count(before) == 1
        (copy / f"{file}.py").write_text(text.replace(before, after))

    for line, file in LEFT_OUT[model].items():
        change(file, line, line.replace(" ", " _", 1).replace("(VAE)", "(_VAE)"))
    change("section5", '    model="vae",\n', "")  # nothing to choose from
    change("section5", "    # TODO start\n", f"    # TODO start\n    model = {model.lower()!r}\n")
    results = grade.run(str(copy.parent), parts="5.1,5.2,5.3,5.4,5.5,5.6,5.8")
    assert (results["score"], sum(test["max_score"] for test in results["tests"])) == (100, 100)
    ways = {test["extra_data"]["way"] for test in results["tests"]}
    assert len(ways) == 4  # none for the images; the model's, its variant's and its metric's
    assert model in ways
