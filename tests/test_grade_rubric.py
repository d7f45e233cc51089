"""Parts that can be done in several ways, parts that are a bonus, and arguments that a section does not take."""

import csv
import json

import pytest
from toy_grading import graded, make_grader, make_submission

from hw5.errors import InputError
from hw5.homework import grade

TESTS = """
import pytest
from submission import hw5

@pytest.mark.points(2, part="1.1")
def test_common():
    assert hw5.work.answer() == 42

@pytest.mark.points(8, part="1.1", way="left")
def test_left():
    hw5.work.left()

@pytest.mark.points(3, part="1.1", way=("right", "middle"))
def test_not_left():
    hw5.work.right()

@pytest.mark.points(5, part="1.1", way="right")
def test_right():
    assert hw5.work.right() == 1, "no"

@pytest.mark.points(5, part="1.1", way="middle")
def test_middle():
    hw5.work.middle()

@pytest.mark.points(10, part="2.1")
def test_other():
    pass

@pytest.mark.points(5, part="2.2")
def test_more():
    hw5.work.more()
"""
RUBRIC = {
    "000": {"parts": {"1.1": {"points": 10, "title": "a choice", "one_of": ["left", "right", "middle"]}}},
    "001": {"parts": {"2.1": {"points": 10, "title": ""}, "2.2": {"points": 5, "title": "", "optional": True}}},
}
WORK = "def answer():\n    return 42\n"
LEFT, RIGHT, MORE = (f"def {name}():\n    return 1\n" for name in ("left", "right", "more"))


def make(folder, rubric=RUBRIC):
    return make_grader(folder, {"test_toy.py": TESTS, "rubric.json": json.dumps(rubric)})


@pytest.fixture
def grader(tmp_path):
    return make(tmp_path / "grader")


@pytest.mark.parametrize(
    ("work", "way", "score"),
    [
        (WORK + LEFT, "left", 10),
        (WORK + RIGHT, "right", 10),
        (WORK + LEFT + RIGHT, "left", 10),  # more than was asked for
        (RIGHT, "right", 8),
        (WORK + RIGHT.replace("1", "2"), "right", 5),
        (WORK, "left", 2),
    ],
)
def test_the_best_way_counts(tmp_path, grader, work, way, score):
    results, tests = graded(make_submission(tmp_path / "alice", work), grader, parts="1.1")
    assert results["score"] == score
    assert sum(test["max_score"] for test in results["tests"]) == 10
    for name, of in {
        "left": ["left"],
        "not left": ["right", "middle"],
        "right": ["right"],
        "middle": ["middle"],
    }.items():
        assert tests[name]["extra_data"]["way"] == way
        if way not in of:
            assert (tests[name]["score"], tests[name]["max_score"]) == (0, 0)
            assert tests[name]["output"].startswith(f"not counted, because part 1.1 is graded by: {way}")


def test_bonus_points_come_on_top(tmp_path, grader, capfd):
    for name, more in {"alice": MORE, "bob": ""}.items():
        make_submission(tmp_path / "inbox" / name, WORK + RIGHT + more)
    grade.run(str(tmp_path / "inbox" / "*"), csv=str(tmp_path / "grades.csv"), tests=grader)
    with open(tmp_path / "grades.csv", newline="") as file:
        alice, bob = csv.DictReader(file)
    names = ("score", "max_score", "percent", "sheet 000 %", "sheet 001 %", "1.1", "2.1", "2.2")
    assert [float(alice[name]) for name in names] == [25, 20, 125, 100, 150, 10, 10, 5]
    assert [float(bob[name]) for name in names] == [20, 20, 100, 100, 100, 10, 10, 0]
    feedback = (tmp_path / "grades" / "alice.md").read_text()
    assert "**25 of 20, 5 of them bonus points**" in feedback
    assert "| 1.1 | a choice: right | 10 of 10 |" in feedback
    assert "| 2.2 |  | 5 of 5, bonus |" in feedback
    assert "| 001 | 15 of 10, 5 of them bonus | 150.0 |" in feedback
    results = json.loads((tmp_path / "grades" / "alice.json").read_text())
    assert results["score"] == 25
    assert sum(test["max_score"] for test in results["tests"] if not test["name"].endswith("(bonus)")) == 20
    capfd.readouterr()
    grade.run(str(tmp_path / "inbox" / "alice"), tests=grader)
    assert capfd.readouterr().out.endswith(
        "alice: 25 of 20, 5 of them bonus\nsheet 000: 10 of 10\nsheet 001: 15 of 10, 5 of them bonus\n"
    )


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        (["left", "right"], "part 1.1, middle has 10 points of tests and 0"),
        (["left", "right", "middle", "up"], "part 1.1, up has 0 points of tests and 10"),
    ],
)
def test_a_way_that_does_not_sum_up_ends_the_grading(tmp_path, ways, message):
    rubric = RUBRIC | {"000": {"parts": {"1.1": {"points": 10, "title": "", "one_of": ways}}}}
    with pytest.raises(InputError, match=message):
        graded(make_submission(tmp_path / "alice"), make(tmp_path / "grader", rubric))
