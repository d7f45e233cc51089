"""Programs as a user starts them, each in its own process, without waiting for TensorFlow's import each time."""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# A server that has imported what takes seconds, and used none of it, forks a process for every program.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tensorflow", "matplotlib.pyplot", "hw5.section", "hw5.metrics.inception"])


def python_m(
    module: str,
    *arguments: str,
    cwd=".",
    without: tuple[str, ...] = (),
    store: Path | None = None,
    dpi: int | None = None,
    meanwhile: Callable[[multiprocessing.Process], None] | None = None,
) -> subprocess.CompletedProcess:
    """Run `python -m module arguments` in the folder `cwd`, and return its output and exit code.

    Args:
        without: packages that it must not find.
        store: folder of the embedded datasets, in place of the package's.
        dpi: of figures, in place of the package's: fewer pixels are drawn faster.
        meanwhile: called while the program runs, with its process.
    """
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        task = (module, arguments, cwd, without, store, dpi, dict(os.environ), outputs)
        process = SERVER.Process(target=_main, args=task)
        process.start()
        if meanwhile:
            meanwhile(process)
        process.join()
        return subprocess.CompletedProcess([module, *arguments], process.exitcode, *(p.read_text() for p in outputs))


def _main(module, arguments, cwd, without, store, dpi, environment, outputs):
    os.chdir(cwd)
    sys.path.insert(0, os.getcwd())
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = str(outputs[0].parent)  # a forked process ends without cleaning up
    sys.modules.update(dict.fromkeys(without))
    if store:
        from hw5.data import names

        names.STORE = store
    if dpi:
        from hw5.figures import plots

        plots.STYLE["savefig.dpi"] = dpi
    for path, stream in zip(outputs, (sys.stdout, sys.stderr), strict=True):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def descendants(ancestor: int) -> list[int]:
    """List the processes that descend from one; Linux alone."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(place.parent.name)] = int(place.read_text(errors="replace").rpartition(")")[2].split()[1])
    found = [ancestor]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found[1:]


def ended(processes: list[int], seconds: float = 15) -> bool:
    """Wait until processes have ended; one that only waits to be waited for has."""
    until = time.monotonic() + seconds
    while any(map(_runs, processes)):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _runs(process):
    try:
        return Path("/proc", str(process), "stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
