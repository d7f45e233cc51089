"""The command line that is made from a declaration of settings."""

import shlex
import subprocess
import sys

import pytest
from processes import python_m

from hw5.command_line import as_flags

PROGRAM = """
import shutil
from pathlib import Path
from hw5 import command_line
from hw5.errors import InputError
from hw5.settings import Several, Settings, program, setting

class Arguments(Settings):
    source: str | None = setting(None, "What to read.")
    target: str = setting("there", "Where to write.")
    epochs: int = setting(3, "Passes over the training images.", at_least=1)
    seed: int = setting(7, "Seed.", at_least=0)
    colour: Several[str] = setting(("red", "blue"), "Colours.", choices=("red", "green", "blue"))
    train: bool = setting(True, "Train.")
    PRESETS = {"tiny": dict(epochs=1)}

def main(arguments):
    if arguments.seed == 13: raise InputError("seed=13 brings bad luck, as does train=False; see epochs")
    if arguments.seed == 14: open("/nonexistent/file")
    if arguments.seed == 15: raise KeyboardInterrupt
    if arguments.seed == 16: raise ValueError("a bug of ours")
    if arguments.seed == 17: raise KeyboardInterrupt("the same call without train=False goes on")
    if arguments.seed == 18: raise MemoryError("Unable to allocate 9 TiB")
    if arguments.seed == 19: raise type("ResourceExhaustedError", (Exception,), {})("OOM when allocating")
    if arguments.seed == 20: print("x" * 10**6)
    if arguments.seed == 21: raise type("ResourceExhaustedError", (Exception,), {})("a/file;\\nNo space left on device")
    if arguments.seed == 22: raise OSError(28, "No space left on device", "from", None, "to")
    if arguments.seed == 23: raise shutil.Error([("a/x", "b/x", "[Errno 28] No space left: 'b/x'"), ("a/y", "b/y", "")])
    if arguments.seed == 24: raise OSError("written in part;\\n is the disk full?")
    print(*arguments.as_dict().values())

run = program(Arguments, main, positional=("source", "target"))

if __name__ == "__main__":
    command_line.launch(run)
"""


def launch(tmp_path, *arguments):
    (tmp_path / "program.py").write_text(PROGRAM)
    return python_m("program", *arguments, cwd=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "None there 3 7 ('red', 'blue') True"),
        (["--epochs=5", "--colour=green", "--colour=red"], "None there 5 7 ('green', 'red') True"),
        (["--colour=green,red", "--notrain"], "None there 3 7 ('green', 'red') False"),
        (["--train=no"], "None there 3 7 ('red', 'blue') False"),
        (["--preset=tiny"], "None there 1 7 ('red', 'blue') True"),
        (["--preset=tiny", "--epochs=9"], "None there 9 7 ('red', 'blue') True"),
        (["a", "--epochs=4", "b"], "a b 4 7 ('red', 'blue') True"),  # flags may stand anywhere
    ],
)
def test_flags_replace_defaults(tmp_path, arguments, printed):
    done = launch(tmp_path, *arguments)
    assert (done.stdout, done.returncode) == (printed + "\n", 0), done.stderr


def test_help_shows_everything_that_was_declared(tmp_path):
    text = " ".join(launch(tmp_path, "--help").stdout.split())
    assert "--epochs: Passes over the training images. (default: '3') (an integer, at least 1)" in text
    assert "(default: 'red,blue') (one of red, green, blue; one or several)" in text
    assert "--[no]train: Train." in text
    assert "--preset: Other defaults. tiny: epochs=1." in text
    assert "--batch_size" not in text


@pytest.mark.parametrize(
    ("flag", "code", "line"),
    [
        ("--seed=13", 1, "error: --seed=13 brings bad luck, as does --notrain; see epochs"),
        ("--seed=14", 1, "error: /nonexistent/file: No such file or directory"),
        ("--seed=15", 130, "interrupted"),
        ("--seed=17", 130, "the same call without --notrain goes on"),
        ("--seed=18", 1, "error: not enough memory; smaller networks, batches or images need less"),
        ("--seed=19", 1, "error: not enough memory; smaller networks, batches or images need less"),
        ("--seed=21", 1, "error: a/file; No space left on device"),
        ("--seed=22", 1, "error: to: No space left on device"),
        ("--seed=23", 1, "error: [Errno 28] No space left: 'b/x'"),
        ("--seed=24", 1, "error: written in part; is the disk full?"),
        ("--train=3", 1, "error: --train=3: must be True or False"),
        ("--notrain=3", 1, "error: --notrain=3 does not take an argument"),
        ("--seed=-1", 1, "error: --seed=-1: must be at least 0"),
        ("--seed=x", 1, "error: --seed=x: must be an integer"),
        ("--colour=red,pink", 1, "error: --colour=pink: must be one of red, green, blue"),
        ("--colour=", 1, "error: --colour=: needs a value"),
        ("--preset=huge", 1, "error: --preset=huge: must be one of tiny"),
        ("--no_such_flag", 1, "error: Unknown command line flag 'no_such_flag'"),
    ],
)
def test_a_users_mistake_is_one_line(tmp_path, flag, code, line):
    done = launch(tmp_path, flag)
    assert (done.returncode, done.stderr) == (code, line + "\n")


def test_a_bug_keeps_its_traceback(tmp_path):
    done = launch(tmp_path, "--seed=16")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "a bug of ours" in done.stderr


@pytest.mark.parametrize("argument", ["--help", "--seed=20"])
def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path, argument):
    (tmp_path / "program.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, "program.py", argument], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1


def test_a_program_without_stderr_still_runs(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = f"{shlex.quote(sys.executable)} program.py --seed=3 2>&-"
    assert subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True).stdout.startswith(b"None")


def test_a_positional_argument_too_many_is_one_line(tmp_path):
    done = launch(tmp_path, "a", "b", "c")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: unexpected argument 'c'; flags are written --name=value, --help lists them\n"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("k=5: too many", "--k=5: too many"),
        ("was trained with k=2,5, hidden=3", "was trained with --k=2,5, --hidden=3"),
        ("train=False and k=True", "--notrain and --k"),
        ("was trained with k=None, this is k=3", "was trained with no --k, this is --k=3"),  # None cannot be typed
        ("rank=3, my.k=5, runs/k=5, k = 5, pre-k=5", "rank=3, my.k=5, runs/k=5, k = 5, pre-k=5"),
    ],
)
def test_arguments_become_the_flags_that_there_are(message, shown):
    assert as_flags(message, ["k", "hidden", "train"]) == shown


def test_a_console_without_greek_letters(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    program = PROGRAM.replace("print(*arg", "print('β₁, ½');print(*arg")
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode("latin-1").startswith("??, ½\n")
