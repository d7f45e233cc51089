"""The grading: points by the plugin, inputs that are refused, tables and feedback."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import descendants, ended, python_m
from toy_grading import GRADING, WORK, graded, make_grader, make_submission

from hw5.errors import InputError
from hw5.homework import changes, grade

PACKAGE = Path(grade.__file__).parents[1]

TESTS = """
import time
import pytest
from submission import hw5

@pytest.fixture
def broken():
    raise RuntimeError("no such luck")

@pytest.fixture
def broken_at_the_end():
    yield
    raise RuntimeError("too late")

@pytest.mark.points(2, part="1.1")
def test_right(leaderboard):
    "The answer."
    assert hw5.work.answer() == 42
    leaderboard("accuracy", 0.5)

@pytest.mark.points(2, part="1.1", visibility="hidden")
def test_wrong():
    assert hw5.work.answer() == 41, "not 41"

@pytest.mark.points(4, part="1.2")
def test_partly(grade):
    grade(0.25, "a quarter")

@pytest.mark.points(4, part="1.2")
def test_partly_and_then_wrong(grade):
    grade(0.5, "half")
    assert 0

@pytest.mark.points(1, part="2.1")
def test_out_of_place(grade):
    grade(1.5)

@pytest.mark.points(1, part="2.1")
def test_fixture(broken):
    pass

@pytest.mark.points(1, part="2.1")
def test_teardown(broken_at_the_end, grade):
    grade(1)

@pytest.mark.points(1, part="2.2")
def test_skipped():
    pytest.skip("no mood")

@pytest.mark.points(1, part="2.2")
@pytest.mark.timeout(1)
def test_slow(grade):
    grade(1)
    time.sleep(60)

@pytest.mark.points(1, part="2.10")
def test_crash():
    hw5.work.crash()

@pytest.mark.points(1, part="2.10", visibility="after_due_date")
def test_after_the_crash():
    pass
"""

ONE_TEST = "import pytest\n@pytest.mark.points(1, part='1.1')\ndef test_one(): pass\n"
CRASH = "def crash():\n    import os\n    os._exit(3)\n"

pytestmark = pytest.mark.usefixtures("without_data")


@pytest.fixture
def grader(tmp_path):
    """A folder of grading tests of its own."""
    return make_grader(tmp_path / "grader", {"test_toy.py": TESTS})


@pytest.fixture
def package(tmp_path):
    """A submission with the right answer."""
    return make_submission(tmp_path / "alice", WORK + CRASH)


def test_everything_is_counted_with_its_reason(package, grader, tmp_path, capfd):
    results, tests = graded(package, grader, results=tmp_path / "kept" / "results.json")
    assert {name: (test["score"], test["max_score"]) for name, test in tests.items()} == {
        "right": (2, 2),
        "wrong": (0, 2),
        "partly": (1, 4),
        "partly and then wrong": (2, 4),
        "out of place": (0, 1),
        "fixture": (0, 1),
        "teardown": (0, 1),
        "skipped": (0, 1),
        "slow": (0, 1),
        "crash": (0, 1),
        "after the crash": (1, 1),
    }
    assert results["score"] == 6
    assert results["leaderboard"] == [{"name": "accuracy", "value": 0.5, "order": "desc"}]
    for name, reason in {
        "wrong": "not 41",
        "partly": "a quarter",
        "partly and then wrong": "half",
        "out of place": "from 0 to 1, not 1.5",
        "fixture": "error in a fixture: RuntimeError: no such luck",
        "teardown": "error in a fixture: RuntimeError: too late",
        "skipped": "skipped: no mood",
        "slow": "out of time",
        "crash": "crashed",
    }.items():
        assert reason in tests[name]["output"]
    assert tests["wrong"]["visibility"] == "hidden"
    assert tests["wrong"]["number"] == "1.1"
    assert tests["right"]["visibility"] == "visible"
    assert tests["after the crash"]["visibility"] == "after_due_date"
    assert results["stdout_visibility"] == "hidden"
    assert results["output"] == ""
    assert json.loads((tmp_path / "kept" / "results.json").read_text())["score"] == 6
    assert os.listdir(tmp_path / "kept") == ["results.json"]
    assert not list(package.rglob("__pycache__"))
    lines = capfd.readouterr().out.split("points =")[1].splitlines()
    assert [line.split() for line in lines[1:6]] == [
        ["1.1", "2", "of", "4"],
        ["1.2", "3", "of", "8"],
        ["2.1", "0", "of", "3"],
        ["2.2", "0", "of", "2"],
        ["2.10", "1", "of", "2"],
    ]
    assert lines[6].split() == ["total", "6", "of", "19"]


def test_a_package_that_cannot_be_imported_costs_its_points_alone(tmp_path, grader):
    for name, init in {"raises": "import no_such_module", "leaves": "raise SystemExit(0)"}.items():
        results, tests = graded(make_submission(tmp_path / name, "", init), grader)
        assert results["score"] == 4  # tests that do not need the package
        assert sum(test["max_score"] for test in results["tests"]) == 19
        assert tests["right"]["output"].endswith("raised in hw5/__init__.py, line 1")
        assert tests["wrong"]["output"] == tests["right"]["output"]  # and nothing of the hidden test


def test_the_wrong_package_is_refused(tmp_path, grader, package):
    with pytest.raises(InputError, match="no such folder"):
        grade.run(str(tmp_path / "nobody"), tests=grader)
    (tmp_path / "mallory").mkdir()
    with pytest.raises(InputError, match="holds no package hw5"):
        grade.run(str(tmp_path / "mallory"), tests=grader)
    (tmp_path / "mallory" / "hw5").symlink_to(package / "hw5")
    with pytest.raises(InputError, match="lies elsewhere"):
        grade.run(str(tmp_path / "mallory"), tests=grader)
    # a mistake that shows only at run time costs the points
    elsewhere = "__path__ = ['/nonexistent']"
    results, tests = graded(make_submission(tmp_path / "trudy", "", elsewhere), grader)
    assert tests["right"]["score"] == 0
    assert "the submission has no module hw5.work" in tests["right"]["output"]
    assert results["score"] == 4


def test_only_weights_are_taken(package, grader, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "section2.npz").touch()
    assert grade.check_weights(weights) == weights.resolve()
    (weights / "model.keras").touch()
    with pytest.raises(InputError, match="model.keras is none of"):
        grade.run(str(package), weights=str(weights), tests=grader)


def test_pickles_in_weights_are_not_run(package, tmp_path):
    import numpy as np

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    sys.path.insert(0, str(GRADING))
    try:
        import test_weights
    finally:
        sys.path.remove(str(GRADING))
    np.savez(tmp_path / "section2.npz", np.array([Bomb()], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        test_weights.load(SimpleNamespace(set_weights=list), tmp_path / "section2")
    assert not (tmp_path / "exploded").exists()


def make_inbox(folder):
    """Make submissions of alice, who is right, bob, who is not, and carol, who handed in nothing."""
    make_submission(folder / "alice", WORK + CRASH)
    make_submission(folder / "bob", "def answer():\n    return 43  # Reference: carol\n# Reference: a book\n")
    (folder / "carol").mkdir()
    (folder / "notes.txt").touch()
    return folder


@pytest.fixture
def inbox_of_three(tmp_path):
    return make_inbox(tmp_path / "inbox")


@pytest.fixture(scope="module")
def table_of_three(tmp_path_factory):
    """(folder, error): the grader, such an inbox, and the grades.csv and grades/ of its grading; what this raised."""
    folder = tmp_path_factory.mktemp("three")
    grader = make_grader(folder / "grader", {"test_toy.py": TESTS})
    with pytest.raises(InputError) as caught:
        grade.run(str(make_inbox(folder / "inbox") / "*"), csv=str(folder / "grades.csv"), tests=grader, jobs=2)
    return folder, str(caught.value)


@pytest.fixture
def graded_inbox(table_of_three, tmp_path):
    """A copy of all that, in this test's folder."""
    shutil.copytree(table_of_three[0], tmp_path, dirs_exist_ok=True)
    return tmp_path / "inbox"


def read_table(path):
    with open(path, newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("wall", "cpu", "seconds"),
    # alone on the machine; on several processors; among others; asleep
    [(100, 100, 100), (100, 800, 100), (100, 50, 50), (100, 30, 30), (100, 0, 10)],
)
def test_a_busy_machine_takes_no_time_from_a_submission(wall, cpu, seconds, monkeypatch):
    monkeypatch.syspath_prepend(GRADING)
    import submission

    times = {"cpu": 7.0, "wall": 1000.0}
    monkeypatch.setattr(submission.sandbox, "cpu_seconds", lambda process: times["cpu"])
    monkeypatch.setattr(submission.time, "monotonic", lambda: times["wall"])
    clock = submission.Clock(1)
    times = {"cpu": 7.0 + cpu, "wall": 1000.0 + wall}
    assert clock.seconds() == seconds


def test_many_submissions_make_a_table(table_of_three):
    folder, error = table_of_three
    assert re.search(r"1 of 3 submissions were not graded to the end: carol \(.*holds no package", error)
    rows = read_table(folder / "grades.csv")
    parts = ["1.1", "1.2", "2.1", "2.2", "2.10"]
    assert [*rows["alice"]] == ["submission", "score", "max_score", "percent", *parts, "note"]
    assert [rows["alice"][name] for name in ("score", "max_score", *parts)] == [
        "6.0",
        "19",
        "2.0",
        "3.0",
        "0.0",
        "0.0",
        "1.0",
    ]
    assert rows["bob"]["1.1"] == "0.0"
    assert [rows["carol"][name] for name in ("score", "max_score", *parts)] == [""] * 7
    assert "holds no package hw5" in rows["carol"]["note"]
    assert {path.name for path in (folder / "grades").iterdir()} == {
        *(f"{name}.{suffix}" for name in ("alice", "bob") for suffix in ("json", "log", "md")),
        "carol.md",
    }
    text = (folder / "grades" / "carol.md").read_text()
    assert text.startswith("# Feedback for carol\n\nNot graded: carol: holds no package hw5;")


def test_what_was_graded_is_not_graded_again(tmp_path, graded_inbox):
    shutil.rmtree(graded_inbox / "carol")
    grader = tmp_path / "grader"
    arguments = dict(csv=str(tmp_path / "grades.csv"), tests=grader)
    before = read_table(tmp_path / "grades.csv")
    results = tmp_path / "grades" / "bob.json"
    changed = {name: (tmp_path / "grades" / f"{name}.json").stat().st_mtime_ns for name in ("alice", "bob")}
    (tmp_path / "grades.csv").unlink()
    (graded_inbox / "bob" / "hw5" / "work.py").write_text(WORK)
    grade.run(str(graded_inbox / "*"), **arguments)
    assert read_table(tmp_path / "grades.csv")["alice"] == before["alice"]
    assert (tmp_path / "grades" / "alice.json").stat().st_mtime_ns == changed["alice"]
    assert results.stat().st_mtime_ns > changed["bob"]
    assert json.loads(results.read_text())["score"] == 6
    # after a change of the tests, everything is
    (grader / "test_toy.py").write_text(TESTS.replace("== 42", "== 44"))
    grade.run(str(graded_inbox / "*"), **arguments)
    assert read_table(tmp_path / "grades.csv")["alice"]["score"] == "4.0"


def test_a_killed_grading_goes_on(tmp_path, grader, inbox_of_three):
    shutil.rmtree(inbox_of_three / "carol")
    slow = inbox_of_three / "bob" / "hw5" / "work.py"
    slow.write_text("import time\ntime.sleep(60)\n")
    line = [sys.executable, "-m", "hw5.grade", f"{inbox_of_three}/*", "--csv=grades.csv", f"--tests={grader}"]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout.readline() == b"alice: 6 of 19\n"
    alice, children = tmp_path / "grades" / "alice.json", descendants(process.pid)
    while len(children) < 4:  # judge, starter, keeper and worker of bob
        time.sleep(0.1)
        children = descendants(process.pid)
        assert process.poll() is None
    process.kill()
    process.wait()
    assert ended(children)
    written = alice.stat().st_mtime_ns
    slow.write_text(WORK)
    subprocess.run(line, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert alice.stat().st_mtime_ns == written
    assert [row["score"] for row in read_table(tmp_path / "grades.csv").values()] == ["6.0", "6.0"]


def test_parts_are_graded_again_alone(tmp_path, graded_inbox):
    package, grader = graded_inbox / "alice", tmp_path / "grader"
    arguments = dict(csv=str(tmp_path / "grades.csv"), tests=grader)
    (grader / "test_toy.py").write_text(
        TESTS.replace("grade(0.25", "grade(0.75").replace("== 42", "== 44")  # 1.2 and 1.1
    )
    (row,) = grade.run(str(package), parts="1.2", **arguments)
    assert (row["1.1"], row["1.2"], row["score"], row["max_score"]) == (2, 5, 8, 19)
    results = json.loads((tmp_path / "grades" / "alice.json").read_text())
    numbers = [test["number"] for test in results["tests"]]
    assert [numbers.count(part) for part in ("1.1", "1.2", "2.1", "2.2", "2.10")] == [2, 2, 3, 2, 2]
    alone = grade.run(str(package), parts="1.1", tests=grader)
    assert (alone["score"], len(alone["tests"])) == (0, 2)


@pytest.mark.parametrize("argument", ["csv", "results"])
@pytest.mark.parametrize(("where", "reason"), [("file/grades.csv", "a file"), ("folder.csv", "is no file")])
def test_what_cannot_be_written_is_named_before_the_grading(tmp_path, package, grader, argument, where, reason):
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=f"^{argument}=.*{reason}"):
        grade.run(str(package), tests=grader, **{argument: str(tmp_path / where)})


def test_the_feedback_says_what_was_tried_expected_and_got(table_of_three):
    feedback = (table_of_three[0] / "grades" / "bob.md").read_text()
    assert "**4 of 19 points**" in feedback
    right = feedback[feedback.index("**Right**") :]
    assert re.match(r"\*\*Right\*\*: 0 of 2\s+Tried:\s+The answer\.\s+Expected:\s+42\s+Got:\s+43\s", right)
    assert "**A check that is not shown**: 0 of 2" in feedback
    assert "41" not in feedback  # of the hidden test
    assert "a quarter" in feedback
    assert "the submission has no" not in feedback
    assert "hw5.work has no crash" in feedback


def test_changes_against_the_code_that_was_handed_out_are_counted(tmp_path, graded_inbox):
    handout = make_submission(tmp_path / "handout", WORK.replace("\n", "\r\n"))
    pattern, table = str(graded_inbox / "[ab]*"), tmp_path / "grades.csv"
    (tmp_path / "grades" / "bob.json").unlink()  # he is graded again, alice is not
    grade.run(pattern, csv=str(table), tests=tmp_path / "grader", reference=str(handout))
    rows = read_table(table)
    assert [rows["alice"][name] for name in ("lines_added", "lines_removed", "references")] == ["3", "0", ""]
    assert [rows["bob"][name] for name in ("lines_added", "lines_removed")] == ["2", "1"]
    assert rows["bob"]["references"] == "work.py: a book"
    assert "2 lines are new and 1 gone" in (tmp_path / "grades" / "bob.md").read_text()


def test_the_time_of_a_submission_is_limited(tmp_path, grader):
    text = TESTS.replace("@pytest.mark.timeout(1)", "")
    (grader / "test_toy.py").write_text(text)
    work = WORK + "def crash():\n    pass\n"
    started = time.time()
    folder = make_submission(tmp_path / "bob", work)
    with pytest.raises(InputError, match="not graded to the end: bob \\(stopped after 12 s"):
        grade.run(str(folder), tests=grader, limit=12, csv=str(tmp_path / "grades.csv"))
    assert time.time() - started < 40
    results = json.loads((tmp_path / "grades" / "bob.json").read_text())
    tests = {test["name"]: test for test in results["tests"]}
    assert results["notes"] == ["stopped after 12 s"]
    assert results["score"] == 5
    assert tests["after the crash"]["output"].startswith("not run")
    assert "stopped before its end" in results["output"]
    assert read_table(tmp_path / "grades.csv")["bob"]["note"] == "stopped after 12 s"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_kill_keeps_what_was_earned_and_leaves_no_process(tmp_path, grader, package, jobs):
    (grader / "test_toy.py").write_text(TESTS.replace("@pytest.mark.timeout(1)", ""))
    more = "import pytest\n@pytest.mark.points(1, part='3.1')\ndef test_more(): 1 / 0\n"
    (grader / "test_more.py").write_text(more)
    path = tmp_path / "results.json"
    line = [*grade.command(grader, package, path), f"--jobs={jobs}"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    seen = []
    while not seen or seen[-1]["score"] < 5:
        if path.exists():
            seen.append(json.loads(path.read_text()))  # complete at every moment
        assert process.poll() is None
        time.sleep(0.005)
    children = descendants(process.pid)
    assert len(children) >= 3  # the starter, the keeper and the worker, and with jobs what runs the tests
    process.kill()
    process.wait()
    assert json.loads(path.read_text())["score"] == 5
    assert {sum(test["max_score"] for test in each["tests"]) for each in seen} <= {0, 20}
    assert ended(children)


# Two files of tests, which meet only if they run at the same time.
MEETING = """
import os, pathlib, time
import pytest
from submission import hw5

@pytest.mark.points(NUMBER, part="NUMBER.1")
def test_meets_NUMBER():
    pathlib.Path(os.environ["TMPDIR"], "here.NUMBER").touch()
    until = time.monotonic() + SECONDS
    while len([*pathlib.Path(os.environ["TMPDIR"]).glob("here.*")]) < 2:
        assert time.monotonic() < until, "alone"
        time.sleep(0.01)

@pytest.mark.points(10, part="NUMBER.2")
def test_answer_NUMBER(leaderboard):
    leaderboard("threads NUMBER", os.environ.get("TF_NUM_INTRAOP_THREADS", "all"))
    assert hw5.work.answer() == 42
"""


def make_meeting(folder, seconds, **more):
    files = {f"test_{n}.py": MEETING.replace("NUMBER", n).replace("SECONDS", str(seconds)) for n in "12"}
    return make_grader(folder, files | more)


@pytest.mark.parametrize(
    ("jobs", "cores", "meet", "threads"), [(2, 6, True, "3"), (None, 2, True, "1"), (1, 6, False, "all")]
)
def test_files_of_tests_run_side_by_side(tmp_path, monkeypatch, capfd, jobs, cores, meet, threads):
    monkeypatch.setattr(grade, "cores", lambda: cores)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    grader = make_meeting(tmp_path / "grader", 60 if meet else 1)
    work = "import time\ndef answer():\n    while time.process_time() < 0.2: pass\n    return 43\n"
    submission = make_submission(tmp_path / "bob", work)
    results, tests = graded(submission, grader, jobs=jobs)
    assert [test["score"] for test in tests.values()] == [meet, 0, 2, 0]
    assert [*tests] == ["meets 1", "answer 1", "meets 2", "answer 2"]  # whatever ran first
    for number in "12":
        data = tests[f"answer {number}"]["extra_data"]
        assert (data["expected"], data["got"]) == ("42", "43")
        assert {"name": f"threads {number}", "value": threads, "order": "desc"} in results["leaderboard"]
    assert results["output"] == ""
    assert results["extra_data"]["peak_megabytes"] > 1
    assert results["extra_data"]["cpu_seconds"] >= 0.4  # of both workers
    assert re.search(rf"total +{2 + meet} of 23", capfd.readouterr().out)


def test_few_submissions_share_the_jobs(tmp_path):
    grader = make_meeting(tmp_path / "grader", 60)
    for name in ("alice", "bob"):
        make_submission(tmp_path / "inbox" / name)
    rows = grade.run(str(tmp_path / "inbox" / "*"), csv=str(tmp_path / "grades.csv"), tests=grader, jobs=4)
    assert [row["score"] for row in rows] == [23, 23]


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "os._exit(0)", "os.kill(os.getppid(), 9)"])
def test_a_part_of_the_judge_that_ends_costs_nobody_points(tmp_path, ending):
    """A submission can do that only without namespaces."""
    ends = f"import os, pytest\n@pytest.mark.points(1, part='3.1')\ndef test_ends(): {ending}\n"
    grader = make_meeting(tmp_path / "grader", 60, **{"test_3.py": ends})
    before = set(descendants(os.getpid()))
    with pytest.raises(InputError, match=r"1 of 1 submissions .*: alice \(.* ended with exit code (3|-9)"):
        grade.run(str(make_submission(tmp_path / "alice")), csv=str(tmp_path / "grades.csv"), tests=grader, jobs=2)
    assert ended(sorted(set(descendants(os.getpid())) - before))
    assert read_table(tmp_path / "grades.csv")["alice"]["score"] == ""


def test_changed_tests_end_the_grading_at_no_ones_cost(tmp_path, grader, inbox_of_three, monkeypatch):
    (grader / "test_toy.py").write_text(ONE_TEST)
    judge = grade.Grader.judge

    def changing(self, path, *arguments):
        content = judge(self, path, *arguments)
        (grader / "test_toy.py").write_text("")
        return content

    monkeypatch.setattr(grade.Grader, "judge", changing)
    with pytest.raises(InputError, match="was changed while alice was graded"):
        grade.run(str(inbox_of_three / "*"), csv=str(tmp_path / "grades.csv"), tests=grader, jobs=1)
    assert not (tmp_path / "grades.csv").exists()


def test_a_judge_that_cannot_start_workers_ends_the_grading(tmp_path):
    grader = make_meeting(tmp_path / "grader", 60)
    with open(grader / "pytest.ini", "a") as stream:
        stream.write("preload = no_such_module\n")
    with pytest.raises(InputError, match="charged nobody: ModuleNotFoundError: No module named 'no_such_module'"):
        grade.run(str(make_submission(tmp_path / "alice")), tests=grader, jobs=2)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("pytest.ini", "preload = no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "rubric.json",
            '{"1": {"parts": {"1.1": {"title": "", "points": 5}}}}',
            "1.1 has 4 points of tests and 5",
        ),
        ("rubric.json", '{"1": {"parts": []}}', "is no rubric"),
        ("test_toy.py", "import no_such_module", "exit code 2"),
    ],
)
def test_a_broken_grader_ends_the_grading_at_no_ones_cost(tmp_path, grader, inbox_of_three, file, text, message):
    with open(grader / file, "a") as stream:
        stream.write(f"{text}\n")
    jobs = 2 if file == "pytest.ini" else 1  # with 2, another submission is graded meanwhile
    with pytest.raises(InputError, match=re.escape(message)):
        grade.run(str(inbox_of_three / "*"), csv=str(tmp_path / "grades.csv"), tests=grader, jobs=jobs)
    assert not (tmp_path / "grades.csv").exists()


@pytest.mark.parametrize(
    ("mark", "message"),
    [("0, part='1.1'", "n above 0"), ("1", "part"), ("1, part='1.1', visibility='secret'", "after_published")],
)
def test_marks_that_make_no_sense_are_refused(grader, package, mark, message, capfd):
    (grader / "test_toy.py").write_text(f"import pytest\n@pytest.mark.points({mark})\ndef test_x(): pass\n")
    with pytest.raises(InputError, match="exit code 4"):
        grade.run(str(package), tests=grader)
    assert message in capfd.readouterr().out


def test_mistakes_on_the_command_line_get_one_line(tmp_path):
    for arguments, message in {
        (): "name the folder to grade",
        ("elsewhere",): "no such folder",
        (str(tmp_path),): "holds no package hw5",
        ("nobody*", "--csv=grades.csv"): "names no folder",
        (str(tmp_path), "--reference=elsewhere"): "--reference=elsewhere: holds no folder hw5",
        (str(tmp_path), "--parts=7.9"): "--parts=7.9: the rubric has 1.1, 1.2",
        (str(tmp_path), "--csv=grades"): "--csv=grades: must be the name of a file, as in --csv=grades.csv",
        (str(tmp_path), "--tests=/nonexistent"): "holds no grading tests",
        (str(tmp_path), "--limit=0"): "--limit=0",
        (f"--autograder={tmp_path}",): "exists already",
    }.items():
        done = python_m("hw5.grade", *arguments, cwd=tmp_path)
        assert done.returncode == 1, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert message in done.stderr


def test_the_autograder_works_as_gradescope_runs_it(tmp_path, grader, package):
    root = tmp_path / "autograder"
    grade.run(autograder=str(root / "source"), tests=grader, jobs=2)
    assert {path.name for path in (root / "source").iterdir()} == {
        *("setup.sh", "run_autograder", "requirements.txt", "constraints.txt", "setup.cfg", "hw5", "tests"),
    }
    assert not list((root / "source").rglob("networks.py"))  # nothing of the homework
    assert " --jobs=2\n" in (root / "source" / "run_autograder").read_text()
    subprocess.run(["bash", "-n", root / "source" / "setup.sh"], check=True)
    assert "tensorflow>=2.19\n" in (root / "source" / "requirements.txt").read_text()
    shutil.copytree(package, root / "submission")
    (root / "run_autograder").symlink_to(root / "source" / "run_autograder")
    environment = {**os.environ, "AUTOGRADER_ROOT": str(root), "PYTHON": sys.executable}
    environment.pop("PYTHONPATH", None)
    subprocess.run([root / "run_autograder"], env=environment, check=True, stdout=subprocess.DEVNULL)
    assert json.loads((root / "results" / "results.json").read_text())["score"] == 6


def test_the_rubric_is_what_the_tests_give(tmp_path):
    path = tmp_path / "results.json"
    line = [*grade.command(GRADING, PACKAGE.parent, path), "--collect-only", "-q"]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, cwd=tmp_path)
    sheets = json.loads((GRADING / "rubric.json").read_text())
    for sheet in sheets.values():
        assert sheet["weight"] in (None, sum(part["points"] for part in sheet["parts"].values()))
    marks = [
        path.read_text().count("def test_") - path.read_text().count("mark.points")
        for path in GRADING.glob("test_section*.py")
    ]
    assert not any(marks)  # every test gives points


@pytest.mark.slow
def test_the_packages_own_hand_in_gets_everything(tmp_path):
    checkout = PACKAGE.parent
    with zipfile.ZipFile(tmp_path / "2023 012345.zip", "w") as archive:
        for path in changes.code_files(checkout):
            archive.write(checkout / path, f"codes/{path}")
    results = grade.run(str(tmp_path / "2023 012345.zip"))
    assert results["score"] == 450
    assert [test["number"] for test in results["tests"] if test["score"] < test["max_score"]] == []
