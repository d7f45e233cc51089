"""run_all.sh in an environment that is already set up, so that nothing is installed here."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOOD = """
import json, pathlib, sys
presets = ["runs/" + flag.split("=")[1] for flag in sys.argv if flag.startswith("--preset=")]
folder = pathlib.Path(*presets, "figures/section{n}")
folder.mkdir(parents=True)
(folder / "metrics.json").write_text(json.dumps({{"headline": {{"key number": 0.123456}}}}))
print("flags", sys.argv[1:])
"""


@pytest.fixture
def tree(tmp_path):
    """A checkout with three small sections and an environment that counts as set up."""
    for name in ("run_all.sh", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "hw5").mkdir()
    for name in ("__init__.py", "section.py", "section_settings.py"):  # which are no sections
        (tmp_path / "hw5" / name).touch()
    (tmp_path / "hw5" / "section1.py").write_text(GOOD.format(n=1))
    (tmp_path / "hw5" / "section2.py").write_text("import sys; sys.exit(1)")
    (tmp_path / "hw5" / "section3.py").write_text(GOOD.format(n=3))
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="$PWD" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    stamp = "cat setup.cfg pyproject.toml constraints.txt | cksum; pwd"
    text = subprocess.run(stamp, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (tmp_path / ".venv" / "stamp").write_text(text)
    return tmp_path


def run_all(tree, *words, **environment):
    command = ["bash", "run_all.sh", *words]
    return subprocess.run(
        command, cwd=tree, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_it_continues_after_a_failure_and_names_it(tree):
    done = run_all(tree)
    assert done.returncode == 1
    assert sum("== section" in line for line in done.stdout.splitlines()) == 3
    *_, first, second, third = done.stdout.splitlines()
    assert first.startswith("section 1")
    assert "key number 0.1235" in first
    assert "FAILED (exit code 1)" in second
    assert "key number 0.1235" in third
    assert done.stderr.strip() == "run_all.sh: failed: section 2"


def test_chosen_sections(tree):
    done = run_all(tree, "3", "1")
    assert done.returncode == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()[-2:]] == [["section", "3"], ["section", "1"]]


def test_a_mode_is_the_preset_of_its_name(tree):
    assert "flags []" in run_all(tree, "1").stdout
    for mode, flags in {"smoke": "['--preset=smoke', '--restart']", "paper": "['--preset=paper']"}.items():
        done = run_all(tree, mode, "1")
        assert done.returncode == 0, done.stderr
        assert f"flags {flags}" in done.stdout
        assert "key number 0.1235" in done.stdout


@pytest.fixture
def processors(tree, monkeypatch):
    """A function that makes run_all.sh see so many processors, and no GPU."""

    def pretend(count):
        for name, script in {"nproc": f"echo {count}", "nvidia-smi": "exit 1"}.items():
            (tree / name).write_text(f"#!/bin/sh\n{script}\n")
            (tree / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tree}:{os.environ['PATH']}")

    return pretend


@pytest.mark.parametrize(("count", "flags"), [(4, "[11] flags []"), (16, "flags ['--shards=4']")])
def test_many_processors_share_the_evaluation(tree, processors, count, flags):
    (tree / "hw5" / "section11.py").write_text(GOOD.format(n=11))
    processors(count)
    assert flags in run_all(tree, "1", "11").stdout.splitlines()


def test_few_processors_run_two_sections_side_by_side(tree, processors):
    show = "import os, pathlib, time\nprint('a bar', end='\\b\\r'); print(os.environ['TF_NUM_INTRAOP_THREADS'])\n"
    together = show + (
        "pathlib.Path('begun{n}').touch()\nwhile not pathlib.Path('begun{other}').exists(): time.sleep(0.01)\n"
    )
    (tree / "hw5" / "section1.py").write_text(together.format(n=1, other=2) + GOOD.format(n=1))
    (tree / "hw5" / "section2.py").write_text(together.format(n=2, other=1) + "raise SystemExit(1)")
    processors(4)
    done = run_all(tree)
    assert done.returncode == 1
    for section in (1, 2):
        printed = [line for line in done.stdout.splitlines() if line.startswith(f"[{section}]")]
        assert [f"[{section}] == section {section}", f"[{section}] 2"] == printed[1:3]
    assert [line.split()[1] for line in done.stdout.splitlines()[-3:]] == ["1", "2", "3"]
    assert done.stderr.strip() == "run_all.sh: failed: section 2"


def test_section_11_waits_for_the_vae_of_section_10(tree, processors):
    (tree / "hw5" / "section10.py").write_text("import time; time.sleep(1)\n" + GOOD.format(n=10))
    needs = "import pathlib; assert pathlib.Path('figures/section10').exists()\n"
    (tree / "hw5" / "section11.py").write_text(needs + GOOD.format(n=11))
    processors(2)
    done = run_all(tree, "11", "1", "3", "10")
    assert done.returncode == 0, done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines()[-4:]] == ["11", "1", "3", "10"]


def test_ctrl_c_ends_a_run_side_by_side_and_what_it_started(tree, processors):
    sleeper = "import os, pathlib, time\npathlib.Path('pid{n}').write_text(str(os.getpid()))\ntime.sleep(60)"
    for n in (1, 2):
        (tree / "hw5" / f"section{n}.py").write_text(sleeper.format(n=n))
    hearing = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # background processes ignore Ctrl-C
    processors(2)
    command = ["bash", "run_all.sh"]
    with subprocess.Popen(command, cwd=tree, start_new_session=True, preexec_fn=hearing) as running:
        pids = [tree / "pid1", tree / "pid2"]
        until(lambda: all(pid.exists() and pid.read_text() for pid in pids))
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(timeout=30) == 130
    until(lambda: not any(alive(int(pid.read_text())) for pid in pids))


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid):
    """Check whether a process runs; one that has ended, but was not waited for, does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_grade_passes_its_arguments_on(tree):
    (tree / "hw5" / "grade.py").write_text("import sys\nprint(sys.argv[1:])")
    assert (
        "['inbox/alice', '--weights', 'trained']"
        in run_all(tree, "grade", "inbox/alice", "--weights", "trained").stdout
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["everything"], "unknown command 'everything'"),
        (["-k"], "unknown command '-k'"),
        ([""], "unknown command ''"),
        (["1", "12"], "there is no section 12"),
    ],
)
def test_unknown_commands_get_one_line(tree, words, message):
    done = run_all(tree, *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('case "$2" in *version_info\\[*) echo 3.9 ;; *) exit 1 ;; esac', "python is 3.9"),
        ('case "$1" in -m) exit 1 ;; esac; case "$2" in *print*) echo 3.11 ;; esac', "has no pip"),
        ("exit 127", "needs Python 3.11, 3.12 or 3.13 with pip, as TensorFlow does: none found"),
    ],
)
def test_python_too_old_or_without_pip(tree, script, message):
    (tree / ".venv" / "stamp").unlink()
    python = tree / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    done = run_all(tree, "setup", PYTHON=str(python))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert message in done.stderr


def out_of_date(tree):
    (tree / "setup.cfg").write_text("[metadata]\nname = other\n")
    return tree


def test_an_environment_that_is_a_link_is_not_emptied(tree):
    (tree / ".venv").rename(tree / "elsewhere")
    (tree / ".venv").symlink_to("elsewhere")
    done = run_all(out_of_date(tree), "setup")
    assert done.returncode == 1
    assert done.stderr == "run_all.sh: .venv is a link, and the set-up would empty what it points to; remove the link\n"
    assert (tree / "elsewhere" / "bin" / "python").exists()


@pytest.mark.skipif(not shutil.which("flock"), reason="no flock")
def test_an_environment_in_use_is_not_changed(tree):
    (tree / "hw5" / "section1.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)")
    with subprocess.Popen(
        ["bash", "run_all.sh", "1"], cwd=tree, stdout=subprocess.DEVNULL, start_new_session=True
    ) as running:
        until(lambda: (tree / "begun").exists())
        assert run_all(tree, "setup").returncode == 0  # nothing to change
        done = run_all(out_of_date(tree), "setup", PYTHON="/nonexistent/python")
        os.killpg(running.pid, signal.SIGKILL)
    assert done.returncode == 1
    assert "out of date and in use" in done.stderr


@pytest.mark.parametrize("word", ["report", "handin"])
def test_report_and_hand_in_take_their_own_arguments(tree, word):
    (tree / "hw5" / f"{word}.py").write_text("import sys; print(sys.argv[1:]); sys.exit(1)")
    done = run_all(tree, word, "a folder", "--author=A B")
    assert done.stdout == "['a folder', '--author=A B']\n"
    assert done.returncode == 1


def test_notebooks_take_their_own_arguments_and_need_more_packages(tree, processors):
    (tree / "notebooks").mkdir()
    show = "import os, sys; print(sys.argv[1:], os.environ['TF_NUM_INTRAOP_THREADS'])"
    (tree / "notebooks" / "execute.py").write_text(show)
    processors(4)
    for name in ("ipykernel", "ipywidgets", "nbclient"):
        (tree / f"{name}.py").touch()  # the current folder comes first on the path
    assert run_all(tree, "notebooks", "sheet000", "--write").stdout == "['sheet000', '--write'] 2\n"
    (tree / "nbclient.py").write_text("import none_such")
    done = run_all(tree, "notebooks", PYTHON="/nonexistent/python")
    assert done.returncode == 1
    assert "none found" in done.stderr  # it would have installed them


def test_set_up_is_skipped_when_nothing_changed(tree):
    assert run_all(tree, "setup", PYTHON="/nonexistent/python").returncode == 0
    (tree / "setup.cfg").write_text("[metadata]\nname = other\n")
    done = run_all(tree, "setup", PYTHON="/nonexistent/python")
    assert "none found" in done.stderr  # it would have set up again


@pytest.mark.parametrize("word", ["notebooks", "test", "smoke"])
def test_continuous_integration_fails_with_each_of_its_parts(tree, word):
    (tree / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tree / ".ci")
    (tree / "run_all.sh").write_text(f'#!/bin/sh\necho "$1"\n[ "$1" != {word} ]\n')
    (tree / "run_all.sh").chmod(0o755)
    done = subprocess.run([tree / ".ci" / "run"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.split()[-1] == word
