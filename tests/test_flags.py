"""From a function's signature to a program."""

import pytest
from processes import python_m

PROGRAM = """
from hw5 import flags
from hw5.errors import InputError

def run(*, epochs=3, seed=7, colour=("red", "blue")):
    if seed == 13: raise InputError("thirteen")
    if seed == 14: open("/nonexistent/file")
    if seed == 15: raise KeyboardInterrupt
    if seed == 16: raise ValueError("a bug of ours")
    print(epochs, seed, colour)

if __name__ == "__main__":
    flags.shared(run)
    flags.DEFINE_multi_enum("colour", flags.default(run, "colour"), ["red", "green", "blue"], "Colours.")
    flags.launch(run)
"""


POSITIONAL = """
from hw5 import flags

def run(source=None, target="there", *, epochs=3):
    print(source, target, epochs)

if __name__ == "__main__":
    flags.shared(run)
    flags.launch(run, positional=("source", "target"))
"""


def launch(tmp_path, *arguments, program=PROGRAM):
    (tmp_path / "program.py").write_text(program)
    return python_m("program", *arguments, cwd=tmp_path)


def test_defaults_are_those_of_the_signature_and_flags_replace_them(tmp_path):
    assert launch(tmp_path).stdout == "3 7 ['red', 'blue']\n"
    done = launch(tmp_path, "--epochs=5", "--colour=green", "--colour=red")
    assert done.stdout == "5 7 ['green', 'red']\n"
    assert done.returncode == 0


def test_help_names_shared_and_own_flags_and_no_others_of_the_shared(tmp_path):
    text = launch(tmp_path, "--help").stdout
    assert "--epochs: Passes over the training images." in text
    assert "--seed: Seed of the weights" in text
    assert "--colour:" in text
    assert "--batch_size:" not in text


@pytest.mark.parametrize(
    ("seed", "code", "line"),
    [
        (13, 1, "error: thirteen"),
        (14, 1, "error: /nonexistent/file: No such file or directory"),
        (15, 130, "interrupted"),
        (-1, 1, "error: flag --seed=-1: -1 is not an integer in the range"),
    ],
)
def test_a_users_mistake_is_one_line(tmp_path, seed, code, line):
    done = launch(tmp_path, f"--seed={seed}")
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(line)


def test_a_bug_keeps_its_traceback(tmp_path):
    done = launch(tmp_path, "--seed=16")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "a bug of ours" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["a"], "a there 3\n"),
        (["a", "--epochs=4", "b"], "a b 4\n"),  # flags may stand anywhere
    ],
)
def test_positional_arguments_are_optional_and_come_in_order(tmp_path, arguments, printed):
    assert launch(tmp_path, *arguments, program=POSITIONAL).stdout == printed


def test_a_positional_argument_too_many_is_one_line(tmp_path):
    done = launch(tmp_path, "a", "b", "c", program=POSITIONAL)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: unexpected argument 'c'; flags are written --name=value, --help lists them\n"
