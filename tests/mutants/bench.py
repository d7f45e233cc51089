"""Grades mutants with the grading tests.

TensorFlow is imported once, here. Every mutant has a pytest of its own in a fork, and this one forks the process from
which the workers with the mutant come. So `hw5` must not be imported here.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import pytest
from mutant import Mutant
from relevance import Relevant, changed_names

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "hw5"
GRADING = CHECKOUT / "tests" / "grading"
LIMIT_SECONDS = 3600  # of a test and of a section: a busy machine must not be taken for a slow mutant


def copy_of_the_package(folder: Path, texts: dict[str, str]) -> None:
    """Copy the package into `folder`, with a link to its data and other texts of some files."""
    shutil.copytree(PACKAGE, folder / "hw5", ignore=shutil.ignore_patterns("store", "__pycache__"))
    (folder / "hw5" / "data" / "store").symlink_to(PACKAGE / "data" / "store")
    for file, text in texts.items():
        (folder / "hw5" / file).write_text(text)


class Bench:
    """Grades mutants, and keeps the results in a file.

    Attributes:
        results: of each mutant by name: `key`, the state it was graded in; `lost`, part → the tests that did not give
            all points, and why; `seconds`.
    """

    def __init__(self, table: Path | None = None, jobs: int = 1):
        self.table, self.jobs = table, jobs
        self.results = json.loads(table.read_text()) if table and table.exists() else {}
        files = sorted(path for path in PACKAGE.rglob("*.py") if not {"store", "homework"} & {*path.parts})
        self.texts = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in files}
        self.client = None

    def key(self, mutant: Mutant) -> str:
        """Return a checksum of all that decides about the points."""
        tests = {path.name: path for path in tests_of(mutant)}
        others = (path for path in GRADING.iterdir() if path.suffix in (".py", ".ini"))
        tests |= {path.name: path for path in others if not path.name.startswith("test_")}
        state = [self.texts | mutant.changed(PACKAGE), mutant.needs_runs()]
        state += [[name, tests[name].read_text()] for name in sorted(tests)]
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:20]

    def grade(self, mutants: list[Mutant]):
        """Grade mutants, `jobs` at once, but none that was graded in this state before. Yields each when it is done."""
        with tempfile.TemporaryDirectory(prefix="mutants") as scratch:
            Path(scratch).chmod(0o711)
            waiting, running = [], {}
            for mutant in mutants:
                key = self.key(mutant)
                if self.results.get(mutant.name, {}).get("key") == key:
                    yield mutant
                else:
                    waiting.append((mutant, key))
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    mutant, key = waiting.pop(0)
                    running[self._start(mutant, Path(scratch) / mutant.name)] = mutant, key, time.monotonic()
                child, status = os.wait()
                if child in running:
                    mutant, key, started = running.pop(child)
                    lost = self._finish(mutant, Path(scratch) / mutant.name, os.waitstatus_to_exitcode(status))
                    seconds = round(time.monotonic() - started, 1)
                    self.results[mutant.name] = {"key": key, "lost": lost, "seconds": seconds}
                    if self.table:
                        self.table.write_text(json.dumps(self.results, indent=1))
                    yield mutant

    def _start(self, mutant, place):
        """Start the tests of a mutant in a child, and return its number."""
        if self.client is None:
            self._import()
        place.mkdir(mode=0o755)
        copy_of_the_package(place, mutant.changed(PACKAGE))
        if child := os.fork():
            return child
        status = 3
        try:
            status = self._pytest(mutant, place)
        finally:
            os._exit(status)

    def _finish(self, mutant, place, status):
        """Return what a mutant lost."""
        if status not in (0, 1, 5):  # 5: no test can see it
            raise RuntimeError(f"{mutant.name}: pytest ended with {status}:\n{(place / 'log').read_text()[-3000:]}")
        lost = {}
        for test in json.loads((place / "results.json").read_text())["tests"]:
            if test["score"] < test["max_score"]:
                lost.setdefault(test["number"], []).append(f"{test['name']}: {test['output'][:300]}")
        shutil.rmtree(place)
        return lost

    def _import(self):
        sys.path.insert(0, str(GRADING))
        import submission

        os.environ |= submission.ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"}
        preload = re.search(r"^preload = (.*)$", (GRADING / "pytest.ini").read_text(), re.MULTILINE)[1].split()
        for module in preload:
            import_module(module)
        submission.Client.start = _fork_starter
        submission.Client.begin_test.__defaults__ = (LIMIT_SECONDS,)
        submission.SECTION_SECONDS = LIMIT_SECONDS
        self.client = submission.CLIENT

    def _pytest(self, mutant, place):
        """Run the tests."""
        log = os.open(place / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        files = [str(path) for path in tests_of(mutant)]
        options = [f"--config-file={GRADING}/pytest.ini", "--timeout=0", f"--basetemp={place}/pytest"]
        options += [f"--submission={place}", f"--results-json={place}/results.json", "--every-way"]
        options += [] if mutant.needs_runs() else ["-m", "not runs"]
        changed = changed_names(self.texts, mutant.changed(PACKAGE)) if mutant.edits else None
        return pytest.main([*options, *files], plugins=[Relevant(changed)])


def tests_of(mutant: Mutant) -> list[Path]:
    """List the files of tests of the sections that a mutant is graded in."""
    names = [f"test_section{number}{rest}.py" for number in mutant.graded() for rest in ("", "_*")]
    return [path for name in names for path in sorted(GRADING.glob(name))]


class Forked:
    """What the grading needs to know of the process that makes the workers."""

    def __init__(self, pid: int):
        self.pid = pid

    def poll(self):
        return None if os.waitpid(self.pid, os.WNOHANG) == (0, 0) else 0

    def wait(self, timeout=None):
        os.waitpid(self.pid, 0)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)


def _fork_starter(client):
    """Start the process that makes the workers, as `submission.Client.start` does, with what is imported here."""
    import worker

    client.starter, theirs = socket.socketpair()
    client.greeted = False
    if not (pid := os.fork()):
        client.starter.close()
        os.chdir(client.scratch)
        try:
            worker.main(theirs.fileno(), client.modules)
        finally:
            os._exit(0)
    theirs.close()
    client.process = Forked(pid)
