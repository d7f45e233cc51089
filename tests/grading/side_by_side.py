"""A pytest plugin that runs files of tests side by side, with `--jobs=N`.

    pytest, which has collected the tests; it alone counts, prints and writes
    └── N forks of it: each runs a file of tests, sends what its tests report, and takes the next file

A file of tests is in one process from beginning to end. What is to be known of a test is in its reports.
"""

import itertools
import multiprocessing
from multiprocessing.connection import wait

import pytest
import sandbox
from _pytest.runner import runtestprotocol
from points_plugin import Entry
from submission import CLIENT


def pytest_runtestloop(session):
    """Run the tests in processes of their own, if there are several files of them.

    Raises:
        RuntimeError: one of these processes ended before its tests did.
    """
    files = files_of_tests(session.items)
    jobs = min(session.config.option.jobs, len(files))
    if jobs < 2 or session.config.option.collectonly or session.testsfailed:
        return None  # pytest's own loop
    session.config._tmp_path_factory.getbasetemp()  # the processes share it, and none of them is to empty it
    context = multiprocessing.get_context("fork")
    queue, processes, readers = context.SimpleQueue(), [], []
    for number in [*range(len(files)), *[None] * jobs]:
        queue.put(number)
    try:
        for _ in range(jobs):
            reader, writer = context.Pipe(duplex=False)
            processes.append(context.Process(target=run_files, args=(session.config, files, queue, writer)))
            processes[-1].start()
            writer.close()  # so that the pipe ends with the process
            readers.append(reader)
        while readers:
            for reader in wait(readers):
                if not receive(session, reader):
                    readers.remove(reader)
    finally:
        for process in processes:
            if readers:
                process.kill()
            process.join()
    return True


def files_of_tests(items) -> list[list]:
    """Group the tests by file; files with most points come first, as they tend to take longest."""
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    return sorted(files.values(), key=lambda tests: -sum(entry.points for entry in map(Entry.of, tests) if entry))


def run_files(config, files, queue, writer) -> None:
    """Run files of tests whose numbers come from the queue; send the reports of each test, and None at the end."""
    sandbox.end_with_parent()
    capture = config.pluginmanager.get_plugin("capturemanager")
    capture.stop_global_capturing()  # the file behind it is shared
    capture.start_global_capturing()
    capture.suspend_global_capture()
    config.pluginmanager.register(Sender(config, writer))
    try:
        while (number := queue.get()) is not None:
            for item, following in itertools.pairwise([*files[number], None]):
                config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    except pytest.exit.Exception as reason:
        writer.send(reason)
    CLIENT.close()
    writer.send(None)


class Sender:
    """The hook that sends reports instead of showing them."""

    def __init__(self, config, writer):
        self.hook, self.config, self.writer = config.hook, config, writer

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        to_data = self.hook.pytest_report_to_serializable
        self.writer.send([to_data(config=self.config, report=report) for report in reports])
        return True


def receive(session, reader) -> bool:
    """Receive the reports of a test, and show them as if it had run here; return whether there may be more.

    Raises:
        RuntimeError: the process ended.
    """
    try:
        message = reader.recv()
    except EOFError:
        raise RuntimeError("a process that ran tests ended before them") from None
    if isinstance(message, pytest.exit.Exception):
        raise message
    if message is None:
        return False
    hook, config = session.config.hook, session.config
    reports = [hook.pytest_report_from_serializable(config=config, data=data) for data in message]
    test = {"nodeid": reports[0].nodeid, "location": reports[0].location}
    hook.pytest_runtest_logstart(**test)
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(**test)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    return True
