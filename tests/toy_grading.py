"""A small grader with tests of its own, and submissions of a few lines for it."""

import re
import shutil
from pathlib import Path

from hw5.homework import grade

GRADING = Path(__file__).with_name("grading")
MODULES = ("conftest", "points_plugin", "sandbox", "side_by_side", "submission", "wire", "worker")
MACHINERY = (*(f"{name}.py" for name in MODULES), "pytest.ini")
WORK = "def answer():\n    return 42\n"


def make_grader(folder, tests: dict[str, str], **constants):
    """Make a folder of grading tests: file → its text; the constants are those of submission.py and sandbox.py."""
    folder.mkdir()
    for name in MACHINERY:
        shutil.copy(GRADING / name, folder)
    ini = (folder / "pytest.ini").read_text()
    (folder / "pytest.ini").write_text(re.sub("preload = .*", "", ini))  # the toys need no TensorFlow
    for name, text in tests.items():
        (folder / name).write_text(text)
    for file in ("submission.py", "sandbox.py"):
        text = (folder / file).read_text()
        for name, value in constants.items():
            text = re.sub(rf"^{name} = .*", f"{name} = {value}", text, flags=re.MULTILINE)
        (folder / file).write_text(text)
    return folder


def make_submission(folder, work=WORK, init="", **files):
    """Write a package hw5 with these modules."""
    (folder / "hw5").mkdir(parents=True)
    for name, text in {"__init__": init, "work": work, **files}.items():
        (folder / "hw5" / f"{name}.py").write_text(text)
    return folder


def graded(folder, grader, **arguments):
    """Grade a package; return the results, and its tests by name."""
    results = grade.run(str(folder), tests=grader, **arguments)
    return results, {test["name"]: test for test in results["tests"]}
