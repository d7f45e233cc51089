"""Grading of a package `hw5` by the tests of `tests/grading`, in a separate process.

This module imports nothing of a submission. It starts pytest, with a time limit, and reads its results.
"""

import configparser
import csv as csv_module
import glob
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.machinery import PathFinder
from pathlib import Path

from hw5.errors import InputError
from hw5.files import atomic_write
from hw5.settings import Settings, program, setting

CHECKOUT = Path(__file__).parents[2]
TESTS = CHECKOUT / "tests" / "grading"
LIMIT_SECONDS = 1800  # Gradescope's own limit is 2,400
WEIGHTS_SUFFIXES = (".weights.h5", ".npz")


class Arguments(Settings):
    submission: Path | None = setting(
        None, "Folder that holds the package `hw5`; with `csv` a pattern of such folders, in quotes."
    )
    weights: Path | None = setting(
        None, "Folder of trained weights, .weights.h5 and .npz; they give no points, but entries of the leaderboard."
    )
    results: Path | None = setting(None, "File to keep the results in, as Gradescope's results.json.")
    csv: Path | None = setting(
        None, "File of a table of all submissions that the pattern names; results and logs go into a folder next to it."
    )
    limit: float = setting(LIMIT_SECONDS, "Seconds for each submission; points earned by then count.", at_least=1)
    tests: Path = setting(TESTS, "Folder of the grading tests.")
    autograder: Path | None = setting(None, "Folder to make for Gradescope.")


def main(arguments: Arguments) -> dict | list[dict] | None:
    """Grade one submission, or with `csv` all that a pattern names, or write the folder for Gradescope.

    Returns:
        The results as in results.json; with `csv` a list of the rows; with `autograder` None.

    Raises:
        InputError: the folder does not exist or has no package `hw5` of its own; a file of `weights` is no weights.
    """
    tests, submission, weights = arguments.tests.absolute(), arguments.submission, arguments.weights
    if not (tests / "pytest.ini").is_file():
        raise InputError(f"tests={tests}: holds no grading tests; they are in tests/grading of a checkout")
    if arguments.autograder:
        return make_autograder(arguments.autograder, tests, arguments.limit)
    if submission is None:
        raise InputError("name the folder to grade, or a pattern of folders and csv=FILE")
    weights = weights and check_weights(weights.expanduser())
    if arguments.csv and weights:
        raise InputError(f"weights={arguments.weights}: goes with one submission, not with csv=FILE")
    if arguments.csv:
        return grade_all(submission, arguments.csv, arguments.limit, tests)
    folder = check_submission(submission.expanduser())
    with tempfile.TemporaryDirectory() as scratch:
        results = arguments.results or Path(scratch, "results.json")
        return grade(folder, results, arguments.limit, tests, weights=weights)


run = program(Arguments, main, positional=("submission",))


def check_submission(folder: Path) -> Path:
    """Make the folder absolute, and check that `import hw5` finds a package there.

    Raises:
        InputError: there is none, or it is a link to somewhere else.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    folder = folder.resolve()
    found = PathFinder.find_spec("hw5", [str(folder)])
    places = [Path(place).resolve() for place in (found.submodule_search_locations or [] if found else [])]
    if not places:
        raise InputError(f"{folder}: holds no package hw5; name the folder in which hw5/ lies")
    for place in places:
        if not place.is_relative_to(folder):
            raise InputError(f"{folder}: its hw5 lies elsewhere, in {place}; refusing to grade that")
    return folder


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


def command(tests, submission, results, python=sys.executable) -> list[str]:
    """Build the call of pytest that grades; its settings are in the tests' pytest.ini."""
    return [python, "-m", "pytest", f"--config-file={tests}/pytest.ini", str(tests),
            f"--submission={submission}", f"--results-json={results}"]  # fmt: skip


def grade(folder: Path, results: Path, limit: float, tests: Path, *, weights: Path | None = None, log=None) -> dict:
    """Run the tests against the package in `folder`.

    Args:
        results: file for the results, written at the start and after every test.
        log: file for the output of pytest; by default the standard output.

    Returns:
        The contents of `results`, with `note`: why the grading as a whole failed or stopped, or "".
    """
    results = results.absolute()
    results.unlink(missing_ok=True)
    graders_own = {"PYTHONPATH", "PYTEST_ADDOPTS"}
    environment = {name: value for name, value in os.environ.items() if name not in graders_own}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    line = command(tests, folder, results) + ([f"--weights={weights}"] if weights else [])
    note = ""
    with tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            line, cwd=scratch, env=environment, stdout=log, stderr=log and subprocess.STDOUT, start_new_session=True
        )
        try:
            status = process.wait(limit)
            note = "" if status in (0, 1) else f"pytest ended with exit code {status}"
        except subprocess.TimeoutExpired:
            note = f"stopped after {limit:g} s"
        finally:  # pytest's workers must end, too, also after Ctrl-C
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    try:
        content = json.loads(results.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no results of the grading; {note or 'see the output of pytest above'}") from error
    max_score = sum(test["max_score"] for test in content["tests"])
    print(f"{folder}: {content['score']:g} of {max_score:g}" + (f"; {note}" if note else ""))
    return content | {"note": note}


def grade_all(pattern: Path, table: Path, limit: float, tests: Path) -> list[dict]:
    """Grade every folder that a pattern names, and write a table of points after each.

    Returns:
        One row per folder: submission, score, max_score, the parts' points, note (why the grading failed or
        stopped).
    """
    folders = [Path(name) for name in sorted(glob.glob(str(pattern.expanduser()))) if os.path.isdir(name)]
    if not folders:
        raise InputError(f"{pattern}: names no folder")
    if not table.suffix or table.is_dir():
        raise InputError(f"csv={table}: must be the name of a file, as in csv=grades.csv")
    kept = table.with_suffix("")
    kept.mkdir(parents=True, exist_ok=True)
    rows = []
    for folder in folders:
        row = {"submission": folder.name, "score": 0, "max_score": None}
        try:
            with open(kept / f"{folder.name}.log", "w") as log:
                content = grade(check_submission(folder), kept / f"{folder.name}.json", limit, tests, log=log)
        except InputError as error:
            print(error, file=sys.stderr)
            row["note"] = str(error)
        else:
            row |= by_part(content["tests"])
            row |= {"score": content["score"], "max_score": sum(test["max_score"] for test in content["tests"])}
            row["note"] = content["note"]
        rows.append(row)
        parts = sorted({name for row in rows for name in row if name[0].isdigit()}, key=_version)
        with atomic_write(table) as partial, open(partial, "w", newline="") as file:
            columns = ["submission", "score", "max_score", *parts, "note"]
            writer = csv_module.DictWriter(file, columns, restval=0)
            writer.writeheader()
            writer.writerows(rows)
    return rows


def by_part(tests: list[dict]) -> dict[str, float]:
    """Add up the points of a results.json's tests by part."""
    parts = {}
    for test in tests:
        parts[test["number"]] = round(parts.get(test["number"], 0) + test["score"], 6)
    return parts


def _version(part):
    return [int(number) for number in part.split(".")]


def make_autograder(folder: Path, tests: Path, limit: float) -> None:
    """Write `setup.sh`, `run_autograder` and the files that they need; zipped, the folder is Gradescope's autograder.

    Gradescope unpacks it in /autograder/source, and builds an image with setup.sh; for every submission it
    calls run_autograder, with the files in /autograder/submission, and reads /autograder/results/results.json.
    """
    if folder.exists():
        raise InputError(f"autograder={folder}: exists already; name a new folder")
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    needed = setup["options"]["install_requires"] + setup["options.extras_require"]["test"]
    line = command("$root/source/grading", "$root/submission", "$root/results/results.json", "$python")
    line = " ".join(f'"{word}"' if "$" in word else shlex.quote(word) for word in line)
    shutil.copytree(tests, folder / "grading", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(CHECKOUT / "constraints.txt", folder)
    (folder / "requirements.txt").write_text("\n".join(row.split("#")[0].strip() for row in needed.split("\n") if row))
    for name, text in (("setup.sh", SETUP), ("run_autograder", AUTOGRADER)):
        (folder / name).write_text(text.replace("LIMIT", f"{limit:g}").replace("COMMAND", line))
        (folder / name).chmod(0o755)
    print(f"{folder}: zip its contents (cd {folder} && zip -r ../autograder.zip .) and upload that to Gradescope")


SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image.
set -eu
root=${AUTOGRADER_ROOT:-/autograder}
apt-get update
for python in python3.12 python3.11 python3.13; do
  apt-get install -y "$python" "$python-venv" && break
done
"$python" -m venv "$root/venv"
"$root/venv/bin/pip" install --constraint "$root/source/constraints.txt" --requirement "$root/source/requirements.txt"
"""

AUTOGRADER = """\
#!/usr/bin/env bash
# Gradescope runs this for every submission. AUTOGRADER_ROOT and PYTHON are for trying it elsewhere.
set -u
root=${AUTOGRADER_ROOT:-/autograder}
python=${PYTHON:-$root/venv/bin/python}
export PYTHONDONTWRITEBYTECODE=1
mkdir -p "$root/results"
cd "$(mktemp -d)" || exit 1
# results.json always holds the points earned so far. The grading itself failed only if there is no such file.
timeout --signal=KILL LIMIT COMMAND
[ -s "$root/results/results.json" ]
"""
