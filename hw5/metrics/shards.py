"""Shards: parts of a job that several processes work on. They are kept if the job is stopped."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import numpy as np

from hw5.errors import InputError
from hw5.files import atomic_write, cache_folder

T = TypeVar("T")


class Shards(contextlib.AbstractContextManager):
    """Processes for jobs that are divided into shards.

        with Shards(4) as shards:
            parts = list(shards.map(function, tasks))

    There are as many processes as shards, but no more than processors. They share the processors' threads, and start
    with the first job. They are new processes ("spawn"): a script that uses them calls them under
    `if __name__ == "__main__":`, as Python demands.

    A shard that is finished is kept in a file of the cache folder (`kept`). If the `with` block ends without an
    exception, the files are removed. If not, the same job goes on with the shards that are missing.

    Args:
        count: number of shards; with one, the work is done in this process.
    """

    def __init__(self, count: int = 1):
        if count < 1:
            raise InputError(f"shards={count}: must be at least 1")
        self.count = count
        self._executor = None
        self._files = []

    def map(self, function: Callable[..., tuple[T, Path]], tasks: Iterable[tuple]) -> Iterator[T]:
        """Compute `function(*task)` of every task, and yield the results in the order of the tasks.

        Args:
            function: returns its result and the file that keeps it, as `kept` does. It and its arguments can be
                pickled.

        Raises:
            InputError: a process was killed; and what the function raises.
        """
        if self._executor is None:
            self._executor = self._start()
        try:
            for result, path in self._executor.map(function, *zip(*tasks, strict=True)):
                self._files.append(path)
                yield result
        except BrokenProcessPool as error:
            raise InputError(
                f"shards={self.count}: the process of a shard was killed, as by the system if memory is short; "
                "the finished shards are kept, and the same command goes on with the others"
            ) from error

    def __exit__(self, kind, error, traceback):
        if self._executor is not None:
            if kind is None:
                self._executor.shutdown()
            self._alive.close()  # ends processes that still work
            self._executor.shutdown(cancel_futures=True)
        if kind is None:
            for path in self._files:
                path.unlink(missing_ok=True)

    def _start(self):
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        processes = min(self.count, processors)
        context = multiprocessing.get_context("spawn")
        watched, self._alive = context.Pipe(duplex=False)
        arguments = (processors // processes, watched)
        return ProcessPoolExecutor(processes, context, initializer=_start_process, initargs=arguments)


def _start_process(threads, watched):
    """Prepare a process: it takes its share of threads, and ends with the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all processes, and one of them is to report it
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the standard output is for results
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    import tensorflow as tf  # here, because this module is part of what does not need it

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def _end_with(watched):
    with contextlib.suppress(EOFError, OSError):
        watched.recv()  # nothing is sent: it returns when the other end is closed, by `__exit__` or a kill
    os._exit(1)


def kept(name: str, compute: Callable[[], T], load: Callable[[Path], T], save: Callable[[T, Path], None]):
    """Load the result of a shard from the cache folder, or compute it and save it there.

    Args:
        name: of the file; it contains everything that the result depends on, or a hash of it.

    Returns:
        (result, path of the file).
    """
    path = cache_folder() / "shards" / name
    if path.exists():
        try:
            return load(path), path
        except InputError as error:
            print(f"warning: {error}; computed again", file=sys.stderr)
    result = compute()
    try:
        save(result, path)
    except OSError as error:
        print(f"warning: {path}: {error.strerror}; this shard is not kept", file=sys.stderr)
    return result, path


def save_array(array: np.ndarray, path: Path) -> None:
    """Write an array to a `.npy` file, complete or not at all."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.save(file, array)


def load_array(path: Path) -> np.ndarray:
    """Read an array that `save_array` wrote.

    Raises:
        InputError: the file is damaged.
    """
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: is damaged") from error
