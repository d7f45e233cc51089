"""Atomic writes, and the folders for results."""

import errno
import multiprocessing
import os
import tempfile
import threading
import time
from pathlib import Path

import pytest

from hw5 import files
from hw5.errors import InputError
from hw5.files import atomic_write, output_file, output_folder

SERVER = multiprocessing.get_context("forkserver")  # its processes do not import TensorFlow


def test_the_file_gets_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
        assert partial.suffix == ".txt"
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half():
        with atomic_write(path) as partial:
            partial.write_text("ha")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError("9 of 10 bytes written")])
def test_an_error_without_a_file_name_gets_one(tmp_path, error):
    path = tmp_path / "file.txt"

    def fail():
        with atomic_write(path):
            raise error

    with pytest.raises(OSError, match="No space left on device|9 of 10 bytes written; is the disk full?") as caught:
        fail()
    assert caught.value.filename == str(path)
    assert caught.value.errno == error.errno
    assert str(path) in str(caught.value)


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder") as caught, atomic_write(tmp_path / "folder") as partial:
        partial.write_text("x")
    assert caught.value.filename == str(tmp_path / "folder")


def write_repeatedly(path, letter, start):
    """Write one file again and again, slowly enough that writers overlap."""
    start.wait()
    for _ in range(20):
        with atomic_write(path) as partial, partial.open("w") as file:
            for _ in range(20):
                file.write(letter * 100)
                file.flush()
                time.sleep(1e-4)


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_many_writers_of_one_file(tmp_path, kind):
    path, start = tmp_path / "file.txt", SERVER.Event() if kind == "processes" else threading.Event()
    make = SERVER.Process if kind == "processes" else threading.Thread
    failures = []
    if kind == "threads":  # their exceptions are not raised here
        threading.excepthook, before = failures.append, threading.excepthook
    writers = [make(target=write_repeatedly, args=(path, letter, start)) for letter in "abcdefgh"]
    for writer in writers:
        writer.start()
    start.set()
    while any(writer.is_alive() for writer in writers):
        if path.exists():  # never half, never of two writers
            content = path.read_text()
            assert content in {letter * 2000 for letter in "abcdefgh"}
    for writer in writers:
        writer.join()
    if kind == "threads":
        threading.excepthook = before
    assert not failures
    assert [getattr(writer, "exitcode", 0) for writer in writers] == [0] * 8
    assert list(tmp_path.iterdir()) == [path]


def write_and_die(path):
    with atomic_write(path) as partial:
        partial.write_text("half")
        os._exit(9)


def test_files_of_killed_processes_are_removed_by_the_next_write(tmp_path):
    path = tmp_path / "file.txt"
    for _ in range(3):
        process = SERVER.Process(target=write_and_die, args=(path,))
        process.start()
        process.join()
    assert len(list(tmp_path.iterdir())) == 1  # each removed the one before it
    with atomic_write(tmp_path / "other.txt") as partial:
        partial.write_text("whole")
    assert list(tmp_path.iterdir()) == [tmp_path / "other.txt"]


def test_files_of_others_that_are_still_written_stay(tmp_path):
    with atomic_write(tmp_path / "a") as own:
        own.write_text("")
        others = [tmp_path / ".partial.0badcafe-1-0.x", tmp_path / ".partial.another-program"]
        old = tmp_path / ".partial.0badcafe-2-0.x"  # of a machine that was not seen for two days
        for path in [*others, old]:
            path.write_text("")
        os.utime(old, 2 * (time.time() - 2 * 24 * 3600,))
        with atomic_write(tmp_path / "b") as partial:
            partial.write_text("")
        assert own.exists()
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "a", tmp_path / "b"])


def test_the_longest_names(tmp_path):
    path = tmp_path / ("é" * 120 + ".weights.h5")
    with atomic_write(path) as partial:
        assert partial.name.endswith(".weights.h5")
        partial.write_text("whole")
    assert path.read_text() == "whole"


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_output_folder_that_is_a_file(tmp_path, out):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="^out=.*: is, or lies under, a file; name a folder"):
        output_folder(tmp_path / out)
    with pytest.raises(InputError, match="^run_dir="):
        output_folder(tmp_path / out, "run_dir")
    assert (tmp_path / "file").read_text() == "precious"


def test_an_output_folder_is_made(tmp_path):
    assert output_folder(str(tmp_path / "new" / "folder")).is_dir()
    assert not list((tmp_path / "new" / "folder").iterdir())


def test_an_output_file_gets_its_folder_and_nothing_else(tmp_path):
    assert output_file(str(tmp_path / "new" / "file.png")) == tmp_path / "new" / "file.png"
    assert list(tmp_path.rglob("*")) == [tmp_path / "new"]
    (tmp_path / "old.png").write_text("precious")
    assert output_file(tmp_path / "old.png").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("folder", "is no file, but a folder or a device; name a file"),
        ("pipe", "is no file, but a folder or a device; name a file"),
        ("file/below", "is, or lies under, a file; name a folder"),
        ("x" * 256, r"cannot be written to \(File name too long\)"),
        (f"{'x' * 256}/below", r"cannot be written to \(File name too long\)"),
        ("zero\0", r"cannot be written to \(embedded null byte\)"),
        ("zero\0/below", r"cannot be written to \(embedded null byte\)"),
        ("circle", r"cannot be written to \(Too many levels of symbolic links\)"),
    ],
    ids=lambda text: text[:20],
)
def test_an_output_file_that_cannot_be_written_to(tmp_path, name, mend):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InputError, match=f"^weights=(?s:.*): {mend}$"):
        output_file(tmp_path / name, "weights")


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "old.npz").touch(mode=0o444)
    monkeypatch.setattr("os.access", lambda path, mode: bool(os.stat(path).st_mode & 0o222))  # root may do all
    with pytest.raises(InputError, match=r"^save_stats=.*old.npz: is write-protected; name another file$"):
        output_file(tmp_path / "old.npz", "save_stats")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no Linux")
@pytest.mark.parametrize("out", ["/proc/self", "/proc/new"])
def test_an_output_folder_that_cannot_be_written_to(out):
    with pytest.raises(InputError, match=f"^out={out}: "):
        output_folder(out)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises((InputError, PermissionError)):
        output_folder(tmp_path)


def test_the_cache_of_a_user_without_a_home(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", lambda self: (_ for _ in ()).throw(RuntimeError("no home")))
    assert files.cache_folder() == Path(tempfile.gettempdir(), "hw5")
