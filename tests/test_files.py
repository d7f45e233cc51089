"""Files that are there whole or not at all."""

import errno

import pytest

from hw5.files import replacing


def test_the_file_appears_under_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with replacing(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
        assert partial.suffix == ".txt"
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as partial:
            partial.write_text("ha")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError("disk full")])
def test_an_error_that_does_not_tell_its_file_gets_its_name(tmp_path, error):
    path = tmp_path / "file.txt"

    def fail():
        with replacing(path):
            raise error

    with pytest.raises(OSError, match="No space left on device|disk full") as caught:
        fail()
    assert caught.value.filename == str(path)
    assert caught.value.errno == error.errno
    assert str(path) in str(caught.value)
