"""The process that imports the submission and does what the grader asks: it calls, reads and sends data back.

`python worker.py CHANNEL MODULE…` imports these modules, TensorFlow for example, and then waits on the socket with
that number. For every line of JSON on it, it forks a worker in a sandbox. So a worker starts within milliseconds, and
nothing of a submission ever runs in this first process.
"""

import builtins
import contextlib
import functools
import importlib
import inspect
import itertools
import json
import os
import random
import signal
import socket
import sys
import tempfile
import traceback
import types
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
import sandbox
import wire

PACKAGE = "hw5"
MAX_MESSAGE_CHARS = 1000


class Finder:
    """A finder of the package and its modules in one folder, and nowhere else.

    Without it, a module that a submission lacks could come from another installed copy of the package.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(name, [str(self.folder)] if path is None else path)
        if spec is None:
            raise ModuleNotFoundError(f"the submission has no module {name}", name=name)
        for place in [spec.origin] if spec.origin else spec.submodule_search_locations:
            if not Path(place).resolve().is_relative_to(self.folder):
                raise ModuleNotFoundError(f"{name} is not of the submission: it lies in {place}", name=name)
        return spec


class Server:
    """Answers requests about objects, which the grader knows by their numbers."""

    def __init__(self, channel: socket.socket, folder: Path):
        self.channel, self.folder = channel, folder
        self.objects = {}
        self.numbers = itertools.count()
        self.functions = {}  # those of the tests, by their source

    def serve(self) -> None:
        """Answer until the grader has gone."""
        while True:
            try:
                message, arrays = wire.receive(self.channel)
            except EOFError:
                return
            for number in message["forget"]:
                self.objects.pop(number, None)
            try:
                request = wire.decode(message["request"], self.resolve, arrays)
                answer = {"value": getattr(self, f"do_{request['do']}")(*request["of"])}
            except (Exception, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
                answer = {"error": self.describe(error)}
            arrays = []
            try:
                tree = wire.encode(answer, self.refer, arrays)
            except Exception as error:
                tree, arrays = wire.encode({"error": self.describe(error)}, self.refer, []), []
            wire.send(self.channel, tree, arrays)

    def resolve(self, ref):
        return self.objects[ref.number]

    def refer(self, value):
        """Return the array or the like that stands for an object, or keep it and return its Ref."""
        number = next(self.numbers)
        self.objects[number] = value
        return wire.Ref(number, "module" if inspect.ismodule(value) else type(value).__name__)

    def data(self, value):
        """Replace tensors and variables by arrays, at any depth of lists, tuples and dictionaries."""
        if isinstance(value, dict):
            return {key: self.data(part) for key, part in value.items()}
        if isinstance(value, list | tuple) and not hasattr(value, "shape"):
            parts = [self.data(part) for part in value]
            return tuple(parts) if isinstance(value, tuple) else parts
        if is_tensor(value):
            array = np.asarray(value)
            return array if array.dtype.kind in "biufcUSO" else array.astype(np.float32)  # bfloat16
        return value.tolist() if isinstance(value, np.ndarray) and value.dtype == object else value

    def describe(self, error):
        """Return what the grader raises in place of this error."""
        names = [base.__name__ for base in type(error).__mro__ if getattr(builtins, base.__name__, None) is base]
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if self.is_own(frame.filename)]
        where = f"{self.relative(frames[-1].filename)}, line {frames[-1].lineno}" if frames else ""
        try:
            text = str(error)
        except Exception:
            text = "an error whose text cannot be made"
        if isinstance(error, SystemExit):
            names, text = ["RuntimeError"], f"the submission called sys.exit({text})"
        text = text.replace(f"{self.folder}/", "")
        if len(text) > MAX_MESSAGE_CHARS:
            text = f"{text[: MAX_MESSAGE_CHARS // 2]} … {text[-MAX_MESSAGE_CHARS // 2 :]}"
        return {"type": type(error).__name__, "bases": names, "text": text, "where": where}

    def is_own(self, path):
        return path.startswith(f"{self.folder}{os.sep}")

    def relative(self, path):
        return os.path.relpath(path, self.folder)

    def do_import(self, name):
        return importlib.import_module(name)

    def do_get(self, value, name):
        if inspect.ismodule(value) and value.__name__.partition(".")[0] == PACKAGE:
            with contextlib.suppress(AttributeError):
                return self.data(getattr(value, name))
            raise AttributeError(f"{value.__name__} has no {name}")
        return self.data(getattr(value, name))

    def do_set(self, target, name, value):
        setattr(target, name, value)

    def do_call(self, function, arguments, named):
        return self.data(function(*arguments, **named))

    def do_item(self, value, key):
        return self.data(value[key])

    def do_len(self, value):
        return len(value)

    def do_iterate(self, value):
        return wire_iterator(iter(value))

    def do_next(self, iterator):
        try:
            return [self.data(next(iterator.of))]
        except StopIteration:
            return []

    def do_array(self, value):
        return np.asarray(value)

    def do_isinstance(self, value, kinds):
        return isinstance(value, kinds)

    def do_issubclass(self, value, kinds):
        return issubclass(value, kinds)

    def do_signature(self, function):
        """List the parameters of a function: name, kind, whether it has a default, and the default."""
        found = []
        for each in inspect.signature(function).parameters.values():
            has_default = each.default is not each.empty
            found.append([each.name, int(each.kind), has_default, each.default if has_default else None])
        return found

    def do_run(self, source, name, arguments, named):
        """Call a function of the tests, which came as text."""
        if source not in self.functions:
            place = types.ModuleType("check")
            exec(compile(source, "<a check>", "exec"), vars(place))
            self.functions[source] = getattr(place, name)
        return self.data(self.functions[source](*arguments, **named))


class wire_iterator:
    """An iterator that is an object of the worker, also if it could be data."""

    def __init__(self, of):
        self.of = of


def is_tensor(value) -> bool:
    """Check for a tensor or variable with values, of TensorFlow or Keras."""
    tensorflow, keras = sys.modules.get("tensorflow"), sys.modules.get("keras")
    if keras and isinstance(value, keras.Variable):
        return True
    return bool(tensorflow) and isinstance(value, tensorflow.Tensor | tensorflow.Variable) and hasattr(value, "numpy")


def work(channel: int, output: int, folder: Path) -> None:
    """Serve the submission in `folder`/submission; the home and temporary files are in `folder` as well."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.closerange(3, channel)
    os.closerange(channel + 1, 1 << 16)
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    os.chdir(folder / "home")
    os.environ |= {
        "HOME": str(folder / "home"),
        "KERAS_HOME": str(folder / "home" / ".keras"),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder / "tmp")),
    }
    tempfile.tempdir = None
    sys.argv = [PACKAGE]
    sys.meta_path.insert(0, Finder(folder / "submission"))
    random.seed()
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, errors="replace", closefd=False) for number in (1, 2))
    Server(socket.socket(fileno=channel), folder / "submission").serve()
    os._exit(0)


def main(channel: int, modules: list[str]) -> None:
    """Import the modules, say so or why not, and fork a worker for each line that comes."""
    channel = socket.socket(fileno=channel)
    namespaces = sandbox.has_namespaces()
    stderr = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # TensorFlow reports what it finds, and no setting silences that
    try:
        for module in modules:
            importlib.import_module(module)
        if PACKAGE in sys.modules:
            raise ImportError(f"{PACKAGE} was imported before the grading began")
    except Exception as error:
        greeting = {"error": f"{type(error).__name__}: {error}"}
    else:
        greeting = {"namespaces": namespaces}
    os.dup2(stderr, 2)
    os.close(stderr)
    channel.sendall(json.dumps(greeting).encode() + b"\n")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no one to wait for them
    while True:
        line, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 3)
        if not line:
            return
        order = json.loads(line)
        own, control, output = descriptors
        if not os.fork():
            channel.close()
            try:
                folder = Path(order["folder"])
                serve = functools.partial(work, own, output, folder)
                place = {"hidden": order["hidden"], "shown": order["shown"], "needed": [os.__file__, np.__file__]}
                sandbox.keep(socket.socket(fileno=control), folder, serve, namespaces=namespaces, **place)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of the tests
    sandbox.end_with_parent()
    main(int(sys.argv[1]), sys.argv[2:])
