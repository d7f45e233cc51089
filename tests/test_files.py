"""Atomic writes, and the folders for results."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from hw5 import files
from hw5.errors import InputError
from hw5.files import atomic_write, output_folder


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


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError("disk full")])
def test_an_error_without_a_file_name_gets_one(tmp_path, error):
    path = tmp_path / "file.txt"

    def fail():
        with atomic_write(path):
            raise error

    with pytest.raises(OSError, match="No space left on device|disk full") as caught:
        fail()
    assert caught.value.filename == str(path)
    assert caught.value.errno == error.errno
    assert str(path) in str(caught.value)


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder") as caught, atomic_write(tmp_path / "folder") as partial:
        partial.write_text("x")
    assert caught.value.filename == str(tmp_path / "folder")


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises((InputError, PermissionError)):
        output_folder(tmp_path)


def test_the_cache_of_a_user_without_a_home(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", lambda self: (_ for _ in ()).throw(RuntimeError("no home")))
    assert files.cache_folder() == Path(tempfile.gettempdir(), "hw5")
