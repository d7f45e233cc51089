"""The graded package as the tests see it: names of objects in another process, and data from there.

    from submission import hw5, keras

    encoder, decoder = hw5.networks.dense_vae(5)
    assert encoder.count_params() == 1000

`hw5`, `keras` and `tf` live in a worker (`worker.py`), which imports the submission; this process never does. What an
attribute or a call gives there comes here by value if it is data: numbers, texts, arrays, tensors and variables (as
arrays), and lists, tuples and dictionaries of them. Anything else is a `Remote`: it can be called, read, indexed,
iterated over, and passed back. It equals nothing and is neither true nor false, so no class of a submission can make a
comparison come out. `in_worker` makes a function run there as a whole.
"""

import builtins
import functools
import inspect
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import sandbox
import wire

PACKAGE = "hw5"
IMPORT_SECONDS = 60
TEST_SECONDS = 120
SECTION_SECONDS = 600  # of one file of tests, all together
WAITING = 10  # how many seconds on the wall are at least one of these
LOOK_SECONDS = 0.5
PATIENCE = 1  # seconds in which a worker may end by itself
END_SECONDS = 15
KEPT_BYTES = 4000  # of the output, from its beginning and from its end
MAX_OUTPUT_CHARS = 500
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",  # the networks of the tests are tiny, and several workers run at once
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": "/nonexistent",  # a keras.json of the grader could name another type of numbers
    "MPLBACKEND": "agg",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


class GraderError(pytest.exit.Exception):
    """The grading itself does not work. It ends pytest, so that no submission is charged with that."""


class OutOfTime(Exception):
    """The submission took too long."""


class Ended(Exception):
    """The process of the submission ended, or said what makes no sense."""


class Output:
    """The beginning and the end of what a process writes to a pipe, which is read until it closes."""

    def __init__(self, descriptor: int):
        self.first, self.last, self.size = b"", b"", 0
        self.thread = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        self.thread.start()

    def _read(self, descriptor):
        with open(descriptor, "rb", buffering=0) as file:
            while data := file.read(1 << 16):
                self.size += len(data)
                rest = data[max(0, KEPT_BYTES - len(self.first)) :]
                self.first += data[: len(data) - len(rest)]
                self.last = (self.last + rest)[-KEPT_BYTES:]

    def text(self) -> str:
        self.thread.join(1)
        left_out = self.size - len(self.first) - len(self.last)
        middle = f"\n… {left_out} bytes …\n".encode() if left_out else b""
        return (self.first + middle + self.last).decode(errors="replace")


class Clock:
    """Counts the seconds that a submission computed, whatever else the machine has to do.

    They are those of its processes on the processors, but no more than have passed, and at least a tenth of these: one
    that only waits runs out of time as well.
    """

    def __init__(self, process: int):
        self.process, self.started, self.cpu = process, time.monotonic(), sandbox.cpu_seconds(process)

    def seconds(self) -> float:
        wall = time.monotonic() - self.started
        if sys.platform != "linux":
            return wall
        return max(wall / WAITING, min(wall, sandbox.cpu_seconds(self.process) - self.cpu))


class Worker:
    """One process with the submission in it, in a folder of its own."""

    def __init__(self, start, folder: Path, source: Path):
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source / PACKAGE, folder / "submission" / PACKAGE, symlinks=True, ignore=ignored)
        self.channel, own = socket.socketpair()
        self.control, control = socket.socketpair()
        reader, writer = os.pipe()
        start(folder, [own.fileno(), control.fileno(), writer])
        for end in (own, control):
            end.close()
        os.close(writer)
        self.output = Output(reader)
        self.used = False  # whether it has answered yet
        self.is_gone = False  # whether it has closed its end

    def ask(self, message, arrays, check):
        """Send a request and receive its answer; while there is none, call `check` now and then.

        Raises:
            EOFError, OSError, ValueError: the process ended, or its answer is none.
        """
        wire.send(self.channel, message, arrays)
        while not select.select([self.channel], [], [], LOOK_SECONDS)[0]:
            check()
        return wire.receive(self.channel)

    def end(self, patience: float) -> str:
        """End the process and all that it started; return why it had ended before, if it did.

        Args:
            patience: seconds in which it may end by itself, and so tell what it used.
        """
        ended = select.select([self.control], [], [], patience)[0] if self.is_gone else False
        self.channel.close()
        if not ended and not select.select([self.control], [], [], 0 if self.is_gone else patience)[0]:
            self.control.shutdown(socket.SHUT_WR)
            select.select([self.control], [], [], END_SECONDS)
        report = self.control.recv(1 << 16) if select.select([self.control], [], [], 0)[0] else b""
        self.control.close()
        sandbox.remove(self.folder)
        report = json.loads(report) if report else {"reason": "ended", "cpu_seconds": 0.0, "peak_bytes": 0}
        self.used_up = {name: report[name] for name in ("cpu_seconds", "peak_bytes")}
        return report["reason"] if ended else ""


@dataclass
class Usage:
    """What workers used: `left_out` are arguments that sections do not take, by section."""

    namespaces: bool | None = None  # None: no worker was started
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    left_out: dict[str, set[str]] = field(default_factory=dict)

    def add(self, other: "Usage") -> None:
        self.namespaces = other.namespaces if self.namespaces is None else self.namespaces
        self.cpu_seconds += other.cpu_seconds
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        for section, names in other.left_out.items():
            self.left_out[section] = self.left_out.get(section, set()) | names


class Client:
    """Starts workers, one for each file of tests and another when that one ended, and asks them."""

    def __init__(self):
        self.source = self.scratch = self.starter = self.worker = None
        self.hidden, self.shown, self.modules = [], [], []
        self.too_slow = {}  # modules whose import does not end, whatever was imported before
        self.dead_refs = []
        self.usage = Usage()  # since it was last reported
        self.begin()

    def set_up(self, source: Path, scratch: Path, modules: list[str], hidden=(), shown=()) -> None:
        """Say which package is graded, where workers may have their folders, and what is imported for all of them."""
        self.source, self.scratch, self.modules = source, scratch, modules
        self.hidden, self.shown = [str(path) for path in hidden], [str(path) for path in shown]

    def start(self) -> None:
        """Start the process that makes the workers; `greet` waits for it."""
        self.starter, theirs = socket.socketpair()
        self.greeted = False
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), str(theirs.fileno()), *self.modules],
            pass_fds=[theirs.fileno()],
            env=os.environ | ENVIRONMENT,
            cwd=self.scratch,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    def greet(self) -> None:
        """Wait until the modules are imported.

        Raises:
            GraderError: they cannot be.
        """
        if self.greeted:
            return
        line = b""
        while not line.endswith(b"\n"):
            data = self.starter.recv(1 << 16)
            if not data:
                raise GraderError("the process that imports TensorFlow ended")
            line += data
        greeting = json.loads(line)
        if "error" in greeting:
            raise GraderError(greeting["error"])
        self.usage.namespaces, self.greeted = greeting["namespaces"], True

    @property
    def folder(self) -> Path:
        """The folder that the worker may write to."""
        return self.worker.folder

    def begin(self) -> None:
        """Begin with another file of tests."""
        self.end()
        if self.source is not None and self.starter is None:
            self.start()
        self.failures, self.spent, self.clock, self.limit = {}, 0.0, None, TEST_SECONDS

    def begin_test(self, limit: float = TEST_SECONDS) -> None:
        """Begin with another test, which may take so many seconds."""
        self.clock, self.limit = Clock(self.process.pid), limit

    def end_test(self) -> None:
        self.spent, self.clock = self.spent + self.clock.seconds(), None

    def end(self, patience: float = PATIENCE) -> tuple[str, str]:
        """End the worker, if there is one; return why it had ended, and what it wrote."""
        worker, self.worker, self.dead_refs = self.worker, None, []
        if worker is None:
            return "", ""
        reason = worker.end(patience)
        self.usage.add(Usage(**worker.used_up))
        return reason, worker.output.text()

    def close(self) -> None:
        """End everything."""
        self.end()
        if self.starter is not None:
            self.starter.close()
            self.process.kill()  # it has nothing left to do, and to end in order takes it long on a busy machine
            self.process.wait()
            self.starter = None

    def new_worker(self):
        if self.source is None:
            raise GraderError("the submission was asked for while tests were collected")
        for _ in range(2):
            if self.starter is None or self.process.poll() is not None:
                self.start()
            self.greet()
            folder = Path(tempfile.mkdtemp(prefix="worker", dir=self.scratch))

            def start(folder, descriptors):
                order = {"folder": str(folder), "hidden": self.hidden, "shown": self.shown}
                socket.send_fds(self.starter, [json.dumps(order).encode()], descriptors)

            try:
                return Worker(start, folder, self.source)
            except (BrokenPipeError, ConnectionError):  # a submission without namespaces may end it
                self.process.kill()
                self.process.wait()
        raise GraderError("no worker can be started")

    def request(self, do: str, *of, seconds: float | None = None):
        """Let the worker do something, and return what it answers.

        Raises:
            Ended, OutOfTime: as the classes say; another exception: the built-in one nearest to that of the worker.
        """
        if self.spent > SECTION_SECONDS:
            raise OutOfTime(f"the {SECTION_SECONDS} s for all tests of this section are used up")
        if self.worker is None:
            self.worker = self.new_worker()
        worker, arrays = self.worker, []
        clock = Clock(self.process.pid) if seconds else None

        def check():
            if clock and clock.seconds() > seconds:
                raise OutOfTime(f"it took longer than {seconds} s")
            if self.clock and self.clock.seconds() > min(self.limit, SECTION_SECONDS - self.spent):
                raise OutOfTime(f"the test took longer than {self.limit} s, or all of this section {SECTION_SECONDS} s")

        tree = wire.encode({"do": do, "of": list(of)}, _reference, arrays)
        dead, self.dead_refs = self.dead_refs, []
        try:
            if self.clock and time.monotonic() - self.clock.started > self.limit:  # also of many short requests
                check()
            message, arrays = worker.ask({"request": tree, "forget": dead}, arrays, check)
            answer = wire.decode(message, functools.partial(Remote, worker), arrays)
            error, value = answer.get("error"), answer.get("value")
            if error is not None:
                error = _exception(error["type"], error["bases"], error["text"], error["where"])
            worker.used = True
        except OutOfTime:
            self.end(0)
            raise
        except Exception as problem:  # the worker ended, or its answer is none
            worker.is_gone = isinstance(problem, EOFError | OSError)
            reason, output = self.end()
            reason = reason or f"sent no answer that makes sense ({type(problem).__name__})"
            output = output.strip()[-MAX_OUTPUT_CHARS:]
            raise Ended(f"its process {reason}" + (f"; it wrote: {output}" if output else "")) from None
        except BaseException:  # the test's own time is up, and nobody will read the answer
            self.end(0)
            raise
        if error is not None:
            raise error
        return value

    def module(self, name: str):
        """Import a module of the package. One that failed is not tried again by this file of tests.

        Raises:
            OutOfTime: its import does not end.
        """
        failure = self.too_slow.get(name) or self.failures.get(name)
        if failure is not None:
            raise failure.with_traceback(None)
        fresh = self.worker is None or not self.worker.used
        try:
            return self.request("import", name, seconds=IMPORT_SECONDS)
        except OutOfTime as error:
            self.failures[name] = OutOfTime(f"import {name}: {error}")
            if fresh:
                self.too_slow[name] = self.failures[name]
            raise self.failures[name] from None
        except Exception as error:
            self.failures[name] = error
            raise


CLIENT = Client()


def _reference(value):
    if isinstance(value, Remote):
        worker = object.__getattribute__(value, "_worker")
        if worker is not CLIENT.worker:
            raise Ended("an object of a process of the submission that has ended")
        return object.__getattribute__(value, "_ref")
    if isinstance(value, Library):
        return _reference(value._module())
    raise TypeError(f"{type(value).__name__} cannot be passed to a submission; use in_worker")


def _exception(name, bases, text, where):
    """Make the built-in exception that is nearest to one of the worker."""
    kinds = [getattr(builtins, str(base), None) for base in bases]
    kind = next(kind for kind in [*kinds, Exception] if isinstance(kind, type) and issubclass(kind, Exception))
    if kind is Exception or issubclass(kind, UnicodeError | ExceptionGroup):  # these take more than a text
        kind = RuntimeError
    error = kind(str(text) if kind.__name__ == name else f"{name}: {text}")
    if where:
        error.add_note(f"raised in {where}")
    return error


class Remote:
    """An object of the worker; see the module's docstring."""

    __slots__ = ("_ref", "_worker")

    def __init__(self, worker, ref):
        object.__setattr__(self, "_worker", worker)
        object.__setattr__(self, "_ref", ref)

    def __getattr__(self, name):
        if name.startswith("_") and name not in ("__name__", "__module__"):
            raise AttributeError(name)
        return CLIENT.request("get", self, name)

    def __setattr__(self, name, value):
        CLIENT.request("set", self, name, value)

    def __call__(self, *arguments, **named):
        return CLIENT.request("call", self, arguments, named)

    def __getitem__(self, key):
        return CLIENT.request("item", self, key)

    def __len__(self):
        return CLIENT.request("len", self)

    def __iter__(self):
        iterator = CLIENT.request("iterate", self)
        while found := CLIENT.request("next", iterator):
            yield found[0]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(CLIENT.request("array", self), dtype)

    def __instancecheck__(self, value):
        return CLIENT.request("isinstance", value, self) is True

    def __subclasscheck__(self, value):
        return CLIENT.request("issubclass", value, self) is True

    @property
    def __signature__(self):
        parameters = []
        for name, kind, has_default, default in CLIENT.request("signature", self):
            default = default if has_default else inspect.Parameter.empty
            parameters.append(inspect.Parameter(name, inspect._ParameterKind(kind), default=default))
        return inspect.Signature(parameters)

    def __eq__(self, other):
        raise TypeError(f"{self!r} is no data, and cannot be compared")

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__

    def __bool__(self):
        raise TypeError(f"{self!r} is no data, neither true nor false")

    def __repr__(self):
        return f"<{self._ref.kind} of the submission>"

    def __del__(self):
        if CLIENT is not None and self._worker is CLIENT.worker:  # CLIENT is None while Python ends
            CLIENT.dead_refs.append(self._ref.number)


def class_name(remote: Remote) -> str:
    """Return the name of the class of a remote object."""
    return remote._ref.kind


class Library:
    """A library of the worker, imported when it is first used, and again after the worker ended."""

    def __init__(self, name):
        self._name, self._imported = name, (None, None)

    def __getattr__(self, name):
        if name.startswith("_"):  # pytest asks for such when it collects, before any test
            raise AttributeError(name)
        return CLIENT.request("get", self._module(), name)

    def __repr__(self):
        return self._name

    def _module(self):
        worker, module = self._imported
        if worker is None or worker is not CLIENT.worker:
            module = CLIENT.request("import", self._name, seconds=IMPORT_SECONDS)
            self._imported = CLIENT.worker, module
        return module


class Submission(Library):
    """The package: its attributes are its modules."""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return CLIENT.module(f"{PACKAGE}.{name}")


hw5 = Submission(PACKAGE)


def arguments_for(number: int, arguments: dict) -> dict:
    """Return those of the arguments that the `run` of a section takes; `CLIENT.usage` lists the others."""
    parameters = inspect.signature(getattr(hw5, f"section{number}").run).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return arguments
    known = {parameter.name for parameter in parameters}
    if left_out := arguments.keys() - known:
        CLIENT.usage.add(Usage(left_out={f"section{number}": left_out}))
    return {name: value for name, value in arguments.items() if name in known}


keras = Library("keras")
tf = Library("tensorflow")


def in_worker(function):
    """Make a function of a test run in the worker, where it imports what it needs, also `hw5`.

    It must not use anything that is defined outside of it. Its arguments and its value travel as those of other calls.
    """
    source = textwrap.dedent(inspect.getsource(function))
    source = source[source.index("def ") :]

    @functools.wraps(function)
    def run(*arguments, **named):
        return CLIENT.request("run", source, function.__name__, arguments, named)

    return run
