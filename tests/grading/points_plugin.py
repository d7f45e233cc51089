"""A pytest plugin for tests that give points, with results as Gradescope reads them.

    @pytest.mark.points(4, part="2.2", visibility="hidden")
    def test_the_kl_divergence(grade):
        ...
        grade(0.5, "right but for the factor ½")

The total of points is fixed when the tests are collected. A test that fails in a fixture, is skipped, runs out of time
or ends the submission's process earns nothing. It stays in the total, with its reason.

A part that can be done in one of several ways has tests with `way="gan"` or `way=("gan", "vae")`. The way that earned
most counts. Tests of the part's other ways stay in the results, with 0 of 0 points.

The plugin is independent of the tests and of the package that they grade. `conftest.py` in the same folder loads it.
"""

import inspect
import json
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest._io.saferepr import saferepr

VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")
MAX_REASON_CHARS = 2000
MAX_VALUE_CHARS = 300
STOPPED = "The grading was stopped before its end; tests that did not run gave no points."
BROKEN = 10  # exit code if the grading itself does not work


def pytest_addoption(parser):
    group = parser.getgroup("points")
    group.addoption("--results-json", metavar="PATH", help="write the points to PATH, as Gradescope's results.json")
    group.addoption("--parts", metavar="N.M,…", help="run the tests of these parts alone")
    group.addoption("--every-way", action="store_true", help="count all ways of a part, not the best one")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "points(n, part, visibility='visible', way=()): the test gives n points of a part of the assignment"
    )
    parts = config.getoption("--parts")
    gradebook = Gradebook(config.getoption("--results-json"), parts.split(",") if parts else [])
    gradebook.every_way = config.getoption("--every-way")
    config.pluginmanager.register(gradebook, "gradebook")


def points_by_part(items) -> dict[str, dict[str, float]]:
    """Add up the points of collected tests by part, and by way; the way of a part that has but one is ""."""
    entries = list(filter(None, map(Entry.of, items)))
    return {
        part: {way: sum(entry.points for entry in entries if entry.part == part and entry.is_of(way)) for way in ways}
        for part, ways in ways_by_part(entries).items()
    }


def ways_by_part(entries) -> dict[str, list[str]]:
    """List the ways of each part, in the order of its tests; [""] for a part that has but one."""
    ways = {}
    for entry in entries:
        ways.setdefault(entry.part, {}).update(dict.fromkeys(entry.ways))
    return {part: [*names] or [""] for part, names in ways.items()}


@pytest.fixture
def grade(request):
    """A function (fraction, note="") for partial credit, 0 to 1: the last call counts, also if the test fails.

    Raises:
        ValueError: a fraction outside [0, 1].
    """

    def record(fraction: float, note: str = ""):
        if not 0 <= fraction <= 1:
            raise ValueError(f"a grade is a fraction from 0 to 1, not {fraction}")
        request.node.user_properties.append(("grade", [float(fraction), note]))

    return record


@pytest.fixture
def leaderboard(request):
    """A function (name, value, order="desc") for an entry of the leaderboard; "asc" puts the smallest first.

    Raises:
        ValueError: a number that is not finite, or an order that is neither.
    """

    def record(name: str, value, order: str = "desc"):
        if not isinstance(value, str):
            value = float(value)
            if not math.isfinite(value):
                raise ValueError(f"leaderboard entry {name!r} is {value}")
        if order not in ("asc", "desc"):
            raise ValueError(f"order={order!r}: must be asc or desc")
        request.node.user_properties.append(("leaderboard", {"name": name, "value": value, "order": order}))

    return record


@dataclass
class Entry:
    """The possible and the earned points of one test."""

    name: str
    part: str
    points: float
    visibility: str
    ways: tuple[str, ...] = ()  # the ways of the part that the test is of; () for all
    score: float = 0.0
    status: str = "failed"
    output: str = "not run: the grading ended before this test"
    tried: str = ""
    expected: str = ""
    got: str = ""

    @classmethod
    def of(cls, item):
        """Make the entry of a collected test, or None if it gives no points.

        Raises:
            pytest.UsageError: a mark that makes no sense.
        """
        mark = item.get_closest_marker("points")
        if mark is None:
            return None

        def read(n, part, visibility="visible", way=()):
            if not (0 < n < math.inf) or not isinstance(part, str) or visibility not in VISIBILITIES:
                raise TypeError(f"visibility is one of {', '.join(VISIBILITIES)}, n above 0, part a string")
            return n, part, visibility, (way,) if isinstance(way, str) else tuple(way)

        try:
            n, part, visibility, ways = read(*mark.args, **mark.kwargs)
        except TypeError as error:
            raise pytest.UsageError(f"{item.nodeid}: points{mark.args}: {error}") from error
        entry = cls(item.name.removeprefix("test_").replace("_", " "), part, n, visibility, ways)
        entry.tried = inspect.getdoc(item.function) or entry.name
        return entry

    def is_of(self, way: str) -> bool:
        """Check whether the test counts for this way of its part."""
        return not self.ways or way in self.ways


class Gradebook:
    """The hooks that keep the score.

    Attributes:
        path: the file with the current score, or None.
        parts: the parts whose tests run; [] for all.
        bonus: parts whose points are not in the total.
        every_way: whether all ways of a part count.
    """

    def __init__(self, path, parts):
        self.path, self.parts = path and Path(path).absolute(), parts
        self.bonus, self.every_way = frozenset(), False
        self.entries = {}  # by node id
        self.leaderboard = {}  # by name
        self.started = time.time()
        self.finished = False
        self.extra_data = {}  # what else the results say about the grading
        self.broken = ""  # why the grading itself does not work
        self.compared = ("", "")  # what the running test expected of a comparison that failed, and what it got
        try:
            self.write()
        except OSError as error:
            raise pytest.UsageError(f"--results-json={path}: {error.strerror}") from error

    def pytest_collection_modifyitems(self, config, items):
        if self.parts:
            left_out = [item for item in items if (entry := Entry.of(item)) is None or entry.part not in self.parts]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]

    def pytest_collection_finish(self, session):
        self.entries = {item.nodeid: entry for item in session.items if (entry := Entry.of(item))}
        self.write()

    def pytest_assertrepr_compare(self, op, left, right):
        expected = saferepr(right, MAX_VALUE_CHARS)
        self.compared = (expected if op == "==" else f"{op} {expected}", saferepr(left, MAX_VALUE_CHARS))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self):
        report = yield
        report.compared, self.compared = self.compared, ("", "")
        return report

    def pytest_runtest_logreport(self, report):
        if report.when == "setup" and report.passed:
            return
        entry = self.entries.get(report.nodeid)
        if entry and (report.when == "call" or not report.passed):
            self.score(entry, report)
        if report.when == "call":
            for name, value in report.user_properties:
                if name == "leaderboard":
                    self.leaderboard[value["name"]] = value
        self.write()

    def score(self, entry, report):
        grades = [value for name, value in report.user_properties if name == "grade"]
        fraction, reason = float(report.passed), "" if report.passed else _reason(report)
        if report.skipped:
            fraction, reason = 0.0, f"skipped: {reason}"
        elif report.when != "call":
            fraction, reason = 0.0, f"error in a fixture: {reason}"
        elif "from pytest-timeout" in reason or reason.startswith("submission.OutOfTime"):
            fraction, reason = 0.0, f"out of time: {reason.removeprefix('submission.OutOfTime: ')}"
        elif reason.startswith("submission.Ended"):
            fraction, reason = 0.0, f"crashed: {reason.removeprefix('submission.Ended: ')}"
        elif grades:
            fraction = grades[-1][0]
        entry.score = entry.points * fraction
        entry.status = "passed" if fraction == 1 else "failed"
        if reason.startswith(("assert", "AssertionError")):
            entry.expected, entry.got = report.compared if any(report.compared) else _compared_arrays(reason)
        notes = [note for _, note in grades if note] + [reason] * bool(reason)
        entry.output = "\n".join(notes)[:MAX_REASON_CHARS]

    def pytest_sessionfinish(self):
        self.finished = True
        self.write()

    def best_ways(self) -> dict[str, str]:
        """Return for each part its way that earned most, of equals the first."""
        entries = self.entries.values()

        def earned(part, way):
            return sum(entry.score for entry in entries if entry.part == part and entry.is_of(way))

        return {part: max(ways, key=lambda way: earned(part, way)) for part, ways in ways_by_part(entries).items()}

    def result(self, entry, best) -> dict:
        """Return what the results say of a test, given the way of its part that counts."""
        score, points, output = round(entry.score, 6), entry.points, entry.output
        if not (self.every_way or entry.is_of(best)):
            score, points, output = 0, 0, f"not counted, because part {entry.part} is graded by: {best}\n{output}"
        is_bonus = entry.part in self.bonus
        return {
            "name": entry.name + " (bonus)" * is_bonus,
            "number": entry.part,
            "score": score,
            "max_score": points,
            "status": entry.status,
            "output": output,
            "visibility": entry.visibility,
            "extra_data": {
                "tried": entry.tried,
                "expected": entry.expected,
                "got": entry.got,
                "bonus": is_bonus,
                "way": best,
            },
        }

    def results(self) -> dict:
        """Return the results as in https://gradescope-autograders.readthedocs.io/en/latest/specs/.

        `score` contains the points of bonus parts, which come on top of the sum of the other tests' `max_score`.
        """
        best = self.best_ways()
        tests = [self.result(entry, best[entry.part]) for entry in self.entries.values()]
        return {
            "score": round(sum(test["score"] for test in tests), 6),
            "execution_time": round(time.time() - self.started, 1),
            "output": self.broken or ("" if self.finished else STOPPED),
            "stdout_visibility": "hidden",  # it names the hidden tests
            "tests": tests,
            "leaderboard": list(self.leaderboard.values()),
            "extra_data": self.extra_data,
        }

    def write(self):
        """Replace the file as a whole, so that it is always complete, also after a kill of this process."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f".partial.{self.path.name}")
        partial.write_text(json.dumps(self.results(), indent=1, allow_nan=False))
        partial.replace(self.path)

    def pytest_terminal_summary(self, terminalreporter):
        if not self.entries:
            return
        terminalreporter.section("points")
        tests, parts = self.results()["tests"], {}
        for test in tests:
            parts.setdefault(test["number"], []).append(test)
        order = sorted(parts, key=lambda part: [int(word) if word.isdigit() else 0 for word in part.split(".")])
        for part, group in [*((part, parts[part]) for part in order), ("total", tests)]:
            is_bonus, way = part in self.bonus, group[0]["extra_data"]["way"]
            counted = [test for test in group if is_bonus or not test["extra_data"]["bonus"]]
            score, most = sum(test["score"] for test in group), sum(test["max_score"] for test in counted)
            notes = " bonus" * is_bonus + (f" by {way}" if way and part != "total" else "")
            terminalreporter.write_line(f"{part:<8}{score:>8.4g} of {most:g}{notes}")
        for test in tests:
            if test["score"] < test["max_score"]:
                reason = test["output"].split("\n")[0][:100]
                terminalreporter.write_line(
                    f"{test['number']:<8}{test['name']}: {test['score']:g} of {test['max_score']:g}; {reason}"
                )


def _compared_arrays(message):
    """Return what numpy.testing expected and got, by its message."""
    found = re.search(r"ACTUAL: (.*?)\n *DESIRED: (.*)", message, re.DOTALL)
    return (found[2][:MAX_VALUE_CHARS], found[1][:MAX_VALUE_CHARS]) if found else ("", "")


def _reason(report) -> str:
    """Return the message of a failure, without its traceback."""
    if isinstance(report.longrepr, tuple):  # of a skip: path, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else report.longreprtext
