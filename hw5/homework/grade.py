"""Grading of packages `hw5` by the tests of `tests/grading`.

    grade, which writes the table
    └── judge: pytest with the tests; it writes the points
        └── up to `jobs` forks of it, which run files of tests side by side
            └── starter, which has imported TensorFlow
                └── worker for each file of tests, in a sandbox; it imports the submission

This module and the judge import nothing of a submission. What the worker may do is in tests/grading/sandbox.py.
"""

import contextlib
import csv as csv_module
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from hw5.errors import InputError
from hw5.files import atomic_write, output_file, output_folder
from hw5.homework import autograder, changes, feedback, inbox, starter
from hw5.settings import Settings, Several, program, setting

CHECKOUT = Path(__file__).parents[2]
TESTS = CHECKOUT / "tests" / "grading"
LIMIT_SECONDS = 1800  # Gradescope's own limit is 2,400
END_SECONDS = 30
MOST_JOBS = 4  # by default: each needs up to 2 GB of memory, and more would wait for the longest file of tests
WEIGHTS_SUFFIXES = (".weights.h5", ".npz")
SHEET = "sheet "  # begins the columns with the percents of the sheets
GRADERS_OWN = {"PYTHONPATH", "PYTEST_ADDOPTS", "PYTHONSTARTUP", "PYTHONHOME"}


class Arguments(Settings):
    submission: Path | None = setting(
        None, "Folder, zip file or notebook with the package `hw5`; with `csv` a pattern of such, in quotes."
    )
    weights: Path | None = setting(
        None, "Folder of trained weights, .weights.h5 and .npz; they give no points, but entries of the leaderboard."
    )
    results: Path | None = setting(None, "File to keep the results in, as Gradescope's results.json.")
    csv: Path | None = setting(
        None,
        "File of a table of all submissions that the pattern names; results, feedback and logs go into a folder "
        "next to it. What was graded before is not graded again.",
    )
    parts: Several[str] = setting(
        (), "Parts to grade, as 2.1,10.5; by default all. With `csv` the points of the others stay.", may_be_empty=True
    )
    jobs: int | None = setting(
        None,
        "Number of files of tests to run at once: of one submission, or of as many submissions; by default one per "
        f"processor core, at most {MOST_JOBS}.",
        at_least=1,
    )
    reference: Path | None = setting(
        None, "Folder of the code that was handed out; the table then counts the lines that were changed."
    )
    limit: float = setting(LIMIT_SECONDS, "Seconds for each submission; points earned by then count.", at_least=1)
    tests: Path = setting(TESTS, "Folder of the grading tests.")
    autograder: Path | None = setting(None, "Folder to make for Gradescope.")
    starter: Path | None = setting(None, "Folder to make for students: the package to fill in.")


class BrokenGrader(InputError):
    """The grading itself does not work. It stops, and no submission is charged with that."""


def main(arguments: Arguments) -> dict | list[dict] | None:
    """Grade one submission, or with `csv` all that a pattern names; or write the folder for Gradescope or students.

    Returns:
        The results as in results.json; with `csv` a list of the rows; with `autograder` or `starter` None.

    Raises:
        InputError: a submission has no package `hw5`, or not all of it could be graded; the grading tests or the
            environment do not work; a file of `weights` is no weights.
    """
    if arguments.starter:
        return starter.make(arguments.starter.expanduser())
    tests, submission, weights = arguments.tests.absolute(), arguments.submission, arguments.weights
    if not (tests / "pytest.ini").is_file():
        raise InputError(f"tests={tests}: holds no grading tests; they are in tests/grading of a checkout")
    if arguments.autograder:
        return autograder.make(arguments.autograder, tests, arguments.limit, arguments.jobs or 1)
    if submission is None:
        raise InputError("name the folder to grade, or a pattern of folders and csv=FILE")
    weights = weights and check_weights(weights.expanduser())
    if arguments.results:
        output_file(arguments.results, "results")
    if arguments.csv and weights:
        raise InputError(f"weights={arguments.weights}: goes with one submission, not with csv=FILE")
    if arguments.reference and not (arguments.reference / "hw5").is_dir():
        raise InputError(f"reference={arguments.reference}: holds no folder hw5 to compare with")
    rubric = read_rubric(tests)
    for part in arguments.parts:
        if rubric and part not in rubric:
            raise InputError(f"parts={part}: the rubric has {', '.join(rubric)}")
    with Grader(tests, rubric, arguments, weights) as grader:
        if arguments.csv:
            return grade_all(inbox.find(str(submission)), arguments.csv, grader)
        path = submission.expanduser()
        if not path.exists():
            raise InputError(f"{path}: no such folder")
        results = arguments.results or grader.scratch / "results.json"
        graded = grader.grade(path, results)
        report(str(path), graded)
        for sheet, points in feedback.by_sheet(graded["tests"], rubric).items():
            print(f"sheet {sheet}: {points}")
        if graded["ungraded"]:
            raise InputError(f"{path}: not graded to the end: {graded['ungraded']}")
        return graded


run = program(Arguments, main, positional=("submission",))


def check_weights(folder: Path) -> Path:
    """Make the folder absolute, and check that it holds only arrays: reading other files could run code.

    Raises:
        InputError: a file is neither a .weights.h5 nor a .npz; the message names it.
    """
    if not folder.is_dir():
        raise InputError(f"weights={folder}: no such folder")
    for path in sorted(folder.iterdir()):
        if not path.name.endswith(WEIGHTS_SUFFIXES):
            suffixes = ", ".join(WEIGHTS_SUFFIXES)
            raise InputError(f"weights={folder}: {path.name} is none of {suffixes}; only those are loaded")
    return folder.resolve()


def read_rubric(tests: Path) -> dict[str, dict]:
    """Read the parts, each with its `title` and the `sheet` that it is of; {} if the tests have no rubric."""
    file = tests / "rubric.json"
    try:
        sheets = json.loads(file.read_text()) if file.exists() else {}
        return {
            name: {"title": part["title"], "sheet": number}
            for number, sheet in sheets.items()
            for name, part in sheet["parts"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenGrader(f"{file}: is no rubric ({type(error).__name__}: {error})") from error


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def command(tests, submission, results, python=sys.executable) -> list[str]:
    """Build the call of pytest that grades; its settings are in the tests' pytest.ini."""
    return [python, "-P", "-m", "pytest", f"--config-file={tests}/pytest.ini", str(tests),
            f"--submission={submission}", f"--results-json={results}"]  # fmt: skip


class Grader:
    """Grades submissions by one state of the tests.

    Attributes:
        scratch: a temporary folder.
        jobs: how many files of tests of a submission run at once.
        threads: of each of them, for each of TensorFlow's purposes; None lets TensorFlow use all cores.
        hidden: folders whose content submissions are not to see, where the machine can hide them.
    """

    def __init__(self, tests: Path, rubric: dict[str, dict], arguments: Arguments, weights: Path | None):
        self.tests, self.rubric, self.weights = tests, rubric, weights
        self.limit, self.parts, self.reference = arguments.limit, arguments.parts, arguments.reference
        self.jobs = arguments.jobs or min(cores(), MOST_JOBS)
        self.threads = max(1, cores() // self.jobs) if self.jobs > 1 else None
        self.hidden = {CHECKOUT, Path(tempfile.gettempdir())}
        with contextlib.suppress(RuntimeError):
            self.hidden.add(Path.home())
        self.running, self.stopped, self.warned = set(), False, False

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        scratch = tempfile.TemporaryDirectory(prefix="grade", ignore_cleanup_errors=True)
        self.scratch = Path(self.stack.enter_context(scratch)).resolve()
        self.scratch.chmod(0o711)  # a submission that runs as nobody has its folder in there
        self.supplied = inbox.supply_folder(self.scratch / "supplied")
        self.state = self.measure()
        return self

    def __exit__(self, *error):
        self.stop()
        self.stack.close()

    def measure(self) -> dict[str, str]:
        """Return the state of all that a submission must not change: a checksum, and the time of each large file."""
        times = {path.name: path.stat() for path in self.supplied.rglob("*")}
        changed = str({name: (place.st_size, place.st_mtime_ns, place.st_ctime_ns) for name, place in times.items()})
        return {str(self.tests): inbox.digest(self.tests), str(self.supplied): changed}

    def check(self, name: str) -> None:
        """Check that nothing was changed.

        Raises:
            BrokenGrader: something was.
        """
        for folder, found in self.measure().items():
            if found != self.state[folder]:
                raise BrokenGrader(f"{folder}: was changed while {name} was graded; restore it, and start again")

    def stop(self) -> None:
        """End what runs."""
        self.stopped = True
        for process in list(self.running):
            _kill(process)

    def grade(self, path: Path, results: Path, *, log: Path | None = None, resume: bool = False) -> dict:
        """Grade a submission.

        Args:
            results: file for the results, complete at every moment.
            log: file for the output of pytest; by default it is printed.
            resume: use the parts of `results` that were graded in the same state of submission and tests.

        Returns:
            The contents of `results`, as in results.json, with `notes`: what the grader has to say about the whole,
            `ungraded`: why it did not come to its end, or ""; `keys`, the state in which each part was graded;
            `limit`, and `whole`, whether these are all parts.

        Raises:
            InputError: it cannot be graded.
            BrokenGrader: nothing can be graded.
        """
        with tempfile.TemporaryDirectory(dir=self.scratch, ignore_cleanup_errors=True) as place:
            place = Path(place)
            place.chmod(0o711)
            prepared = inbox.prepare(path, place / "submission", self.supplied, self.tests)
            key = f"{prepared.digest[:20]} {self.state[str(self.tests)][:20]}"
            before = _read(results) if resume else None
            before = before if before and "keys" in before else None
            if before and self.is_graded(before, key):
                return before | self.compared(prepared)
            started = place / "results.json"
            content = self.judge(path, prepared.folder, started if resume else results.absolute(), place, log)
            self.check(path.name)
            content["notes"] = prepared.notes + [content["ungraded"]] * bool(content["ungraded"])
            content["notes"] += left_out(content["extra_data"])
            content |= {"keys": {test["number"]: key for test in content["tests"]}}
            content |= {"limit": self.limit, "whole": not self.parts}
            if before and self.parts and any(kept.startswith(prepared.digest[:20]) for kept in before["keys"].values()):
                content = merge(before, content)
            content |= self.compared(prepared)
            with atomic_write(results) as partial:
                partial.write_text(json.dumps(content, indent=1, allow_nan=False))
            return content

    def is_graded(self, before: dict, key: str) -> bool:
        """Check whether earlier results are those of this state, and of all that is to be graded."""
        if before["ungraded"] and before["limit"] < self.limit:
            return False
        if self.parts:
            return all(before["keys"].get(part) == key for part in self.parts)
        return before["whole"] and set(before["keys"].values()) == {key}

    def judge(self, path, package, results, place, log):
        """Run pytest, and return its results."""
        results.unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items() if name not in GRADERS_OWN}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(place)}
        if self.threads:
            names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
            environment |= dict.fromkeys(names, str(self.threads))
        line = command(self.tests, package, results) + [f"--basetemp={place}/pytest", f"--show={place}/pytest"]
        line += [f"--show={self.supplied}", f"--jobs={self.jobs}"]
        line += [f"--hide={folder}" for folder in sorted({*self.hidden, path.absolute().parent, results.parent})]
        line += [f"--weights={self.weights}"] if self.weights else []
        line += [f"--parts={','.join(self.parts)}"] if self.parts else []
        empty = place / "empty"
        empty.mkdir()
        ungraded = ""
        with open(log, "wb") if log else contextlib.nullcontext() as kept:
            process = subprocess.Popen(
                line, cwd=empty, env=environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self.running.add(process)
            printer = threading.Thread(target=_copy_output, args=(process.stdout, kept), daemon=True)
            printer.start()
            try:
                status = process.wait(self.limit)
            except subprocess.TimeoutExpired:
                status, ungraded = 0, f"stopped after {self.limit:g} s"
            finally:
                _kill(process)
                printer.join(END_SECONDS)  # the output ends when the last process of the sandbox has ended
                self.running.discard(process)
        if self.stopped:
            raise BrokenGrader("the grading was stopped")
        content = _read(results)
        if status == 3 or status < 0:  # pytest's "internal error", or a signal: of this submission alone, it seems
            raise InputError(f"{path}: its grading ended with exit code {status}; see the output of pytest")
        if content is None or status not in (0, 1):
            said = (content or {}).get("output") or f"pytest ended with exit code {status}; see its output"
            raise BrokenGrader(f"the grading itself does not work, and charged nobody: {said}")
        if content["extra_data"].get("namespaces") is False and not self.warned:
            self.warned = True
            print("note: no namespaces on this machine; docs/grading.md says what that means", file=sys.stderr)
        return content | {"ungraded": ungraded}

    def compared(self, prepared) -> dict:
        """Compare a package with that of the reference; return nothing if there is none."""
        if self.reference is None:
            return {}
        own, handed_out = prepared.folder / "hw5", self.reference / "hw5"
        data = {path.relative_to(self.supplied).as_posix() for path in self.supplied.rglob("*")}
        code, before = (sorted({*changes.code_files(place, ["."])} - data) for place in (own, handed_out))
        found = changes.compare(own, code, handed_out, before)
        counts = [changes.count(diff) for _, diff in found.values()]
        added, removed = (sum(count[column] for count in counts) for column in range(2))
        named = changes.references(own, code)
        text = f"Against the code that was handed out, {added} lines are new and {removed} gone, in {len(found)} files."
        text += f" References: {'; '.join(named)}." if named else " No references are named."
        return {"changes": text, "lines_added": added, "lines_removed": removed, "references": "; ".join(named)}


def _copy_output(stream, file):
    """Copy the output of pytest to a file, or print it."""
    for line in stream:
        if file:
            file.write(line)
        else:
            print(line.decode(errors="replace"), end="")


def _kill(process):
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(file):
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None


def merge(before: dict, after: dict) -> dict:
    """Put tests that were graded again in the place of the earlier ones of their parts."""
    again = {test["number"] for test in after["tests"]}
    tests = [test for test in before["tests"] if test["number"] not in again] + after["tests"]
    tests.sort(key=lambda test: feedback.version(test["number"]))
    keys = {part: key for part, key in before["keys"].items() if part not in again} | after["keys"]
    score = round(sum(test["score"] for test in tests), 6)
    return after | {"tests": tests, "score": score, "keys": keys, "whole": before["whole"]}


def left_out(extra_data: dict) -> list[str]:
    """Say which sections were called without some of the grading's arguments, because they do not take them."""
    return [
        f"the run of {section} was called without {', '.join(names)}"
        for section, names in extra_data.get("arguments_left_out", {}).items()
    ]


def report(name, content) -> None:
    """Print the score of a submission."""
    print("; ".join([f"{name}: {feedback.points(content['tests'])}", *content["notes"]]), flush=True)


def grade_all(submissions: dict[str, Path], table: Path, grader: Grader) -> list[dict]:
    """Grade submissions, as many at once as the grader has jobs, and write a table of points after each.

    Where there are fewer submissions, they share its jobs.

    Returns:
        One row per submission: its name; score, with the points of bonus parts; max_score, without them; percent;
        the percents of the sheets; the parts' points; note (why it was not graded, or not as a whole, and what could
        not be taken).

    Raises:
        InputError: not everything could be graded; the table says what and why.
    """
    if not table.suffix:
        raise InputError(f"csv={table}: must be the name of a file, as in csv=grades.csv")
    output_file(table, "csv")
    kept = output_folder(table.with_suffix("").absolute(), "csv")
    grader.hidden |= {kept, *(path.absolute().parent for path in submissions.values())}
    rows, at_once = {}, min(grader.jobs, len(submissions))
    grader.jobs //= at_once
    with ThreadPoolExecutor(at_once) as pool:
        tasks = {pool.submit(_grade_one, name, path, kept, grader): name for name, path in submissions.items()}
        try:
            for task in as_completed(tasks):
                rows[tasks[task]] = task.result()
                write_table(table, [rows[name] for name in submissions if name in rows])
        except BaseException:  # also Ctrl-C: what runs is not worth waiting for
            pool.shutdown(wait=False, cancel_futures=True)
            grader.stop()
            raise
    rows = [rows[name] for name in submissions]
    ungraded = [f"{row['submission']} ({row['ungraded']})" for row in rows if row["ungraded"]]
    if ungraded:
        named = ", ".join(ungraded[:3]) + (f" and {len(ungraded) - 3} more" if len(ungraded) > 3 else "")
        raise InputError(f"{len(ungraded)} of {len(rows)} submissions were not graded to the end: {named}; see {table}")
    return rows


def _grade_one(name, path, kept, grader):
    """Grade a submission, write its feedback, and return its row of the table."""
    try:
        content = grader.grade(path, kept / f"{name}.json", log=kept / f"{name}.log", resume=True)
    except BrokenGrader:
        raise
    except (InputError, OSError) as error:
        print(f"{name}: not graded: {error}", file=sys.stderr)
        reason = str(error).replace(f"{path.parent}{os.sep}", "")
        with contextlib.suppress(OSError):  # the name may be too long
            _write_feedback(kept, name, f"# Feedback for {name}\n\nNot graded: {reason}\n")
        return {"submission": name, "score": "", "max_score": "", "note": str(error), "ungraded": str(error)}
    report(name, content)
    _write_feedback(kept, name, feedback.write(name, content, grader.rubric))
    total, sheets = feedback.points(content["tests"]), feedback.by_sheet(content["tests"], grader.rubric)
    row = {"submission": name, "score": content["score"], "max_score": total.most, "percent": total.percent}
    row |= {f"{SHEET}{number} %": points.percent for number, points in sheets.items()}
    row |= by_part(content["tests"])
    row |= {key: content[key] for key in ("lines_added", "lines_removed", "references") if key in content}
    return row | {"note": "; ".join(content["notes"]), "ungraded": content["ungraded"]}


def _write_feedback(kept, name, text):
    with atomic_write(kept / f"{name}.md") as partial:
        partial.write_text(text, encoding="utf-8")


def by_part(tests: list[dict]) -> dict[str, float]:
    """Add up the points of a results.json's tests by part."""
    parts = {}
    for test in tests:
        parts[test["number"]] = round(parts.get(test["number"], 0) + test["score"], 6)
    return parts


def write_table(table: Path, rows: list[dict]) -> None:
    """Write the table: a row per submission, a column per part; cells of what was not graded are empty."""
    parts = sorted({name for row in rows for name in row if name[0].isdigit()}, key=feedback.version)
    compared = [name for name in ("lines_added", "lines_removed", "references") if any(name in row for row in rows)]
    sheets = sorted({name for row in rows for name in row if name.startswith(SHEET)})
    columns = ["submission", "score", "max_score", "percent", *sheets, *parts, *compared, "note"]
    with atomic_write(table) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv_module.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
