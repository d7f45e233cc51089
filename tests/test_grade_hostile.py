"""Submissions that do harm, by intent or not: they cost their own points, and nothing else."""

import os
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from processes import descendants, ended
from toy_grading import GRADING, WORK, graded, make_grader, make_submission

from hw5.homework import grade

CONSTANTS = dict(IMPORT_SECONDS=2, MEMORY_BYTES="1 << 29", FILE_BYTES="1 << 20", FOLDER_BYTES="8 << 20", PROCESSES=16)
NAMESPACES = subprocess.run(
    [sys.executable, "-c", "import sandbox; raise SystemExit(not sandbox.has_namespaces())"], cwd=GRADING, check=False
)
pytestmark = pytest.mark.usefixtures("without_data")
needs_namespaces = pytest.mark.skipif(NAMESPACES.returncode != 0, reason="this machine has no namespaces of users")

# Every file of tests gives a point for what is attacked, and a point for what is right.
CHECK = """
import pytest
from submission import hw5

@pytest.mark.seconds(SECONDS)
@pytest.mark.points(1, part="1.1")
def test_attack():
    assert hw5.NAME.answer() == 42

@pytest.mark.points(1, part="1.2")
def test_the_rest():
    assert hw5.work.answer() == 42
"""
FUNCTION = "def answer():\n"
# Name → text of the module, and what is said of it.
ATTACKS = {
    "loop_at_import": ("while True: pass", "out of time: import hw5.loop_at_import: "),
    "loop": (FUNCTION + "    while True: pass", "out of time"),
    "deaf_loop": (
        "import signal\n"
        + FUNCTION
        + "    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n    while True: pass",
        "out of time",
    ),
    "exit_at_import": ("import os\nos._exit(0)", "crashed: its process ended with exit code 0"),
    "exit": (FUNCTION + "    import os; os._exit(3)", "crashed: its process ended with exit code 3"),
    "sys_exit_at_import": ("import sys\nsys.exit(0)", "the submission called sys.exit(0)"),
    "sys_exit": (FUNCTION + "    raise SystemExit", "the submission called sys.exit()"),
    "abort": (FUNCTION + "    import os; os.abort()", "crashed: its process was ended by signal 6"),
    "memory": (FUNCTION + "    bytearray(30 << 30)", "MemoryError"),
    "memory_of_many": (
        "import os, time\n" + FUNCTION + "    for _ in range(6):\n        if not os.fork():\n"
        "            kept = bytearray(os.urandom(1 << 20)) * 150; time.sleep(99); os._exit(0)\n    time.sleep(99)",
        "crashed: its process was ended: more than 0.5 GB of memory",
    ),
    "large_file": (FUNCTION + "    open('x', 'wb').write(bytes(2 << 20))", "OSError"),
    "many_files": (
        "import time\n" + FUNCTION + "    for n in range(20): open(str(n), 'wb').write(bytes(900_000))\n"
        "    time.sleep(99)",
        "GB of files",
    ),
    "fork_bomb": (
        "import os, time\n"
        + FUNCTION
        + "    for _ in range(200):\n        if not os.fork(): time.sleep(99); os._exit(0)\n"
        "    time.sleep(99)",
        "crashed: its process was ended: more than 16 processes",
    ),
    "equal_to_all": (
        "class Equal:\n    __eq__ = lambda self, other: True\n" + FUNCTION + "    return Equal()",
        "TypeError: <Equal of the submission> is no data, and cannot be compared",
    ),
    "equal_number": (
        "class Equal(int):\n    __eq__ = lambda self, other: True\n" + FUNCTION + "    return Equal(41)",
        "assert 41 == 42",
    ),
    "equal_array": (
        "import numpy as np\nclass Equal(np.ndarray):\n    __eq__ = lambda self, other: True\n"
        + FUNCTION
        + "    return np.array(41).view(Equal)",
        "assert np.int64(41) == 42",
    ),
    "pickle": (
        "import os\nclass Bomb:\n    def __reduce__(self): return os._exit, (0,)\n" + FUNCTION + "    return [Bomb()]",
        "assert [<Bomb of the submission>] == 42",
    ),
    "patches": (
        """
        import builtins, json, math, sys, time, unittest.mock
        import numpy.testing
        try:
            import pytest, _pytest.python, _pytest.assertion.rewrite
            _pytest.python.Function.runtest = lambda self: None
            pytest.approx = lambda *a, **k: unittest.mock.ANY
        except ImportError:
            pass
        time.time = time.monotonic = lambda: 0
        math.isclose = numpy.testing.assert_allclose = numpy.testing.assert_array_equal = lambda *a, **k: True
        numpy.asarray = lambda *a, **k: unittest.mock.ANY
        builtins.isinstance = lambda *a: True
        json.dumps = lambda *a, **k: '{"value": 42}'
        def answer():
            return 41
        """,
        "",
    ),
    "own_results": (
        """
        import json, os
        for folder in (".", "..", "../..", os.path.dirname(__file__), "/tmp", os.path.expanduser("~")):
            try:
                with open(os.path.join(folder, "results.json"), "w") as file:
                    json.dump({"score": 100, "tests": []}, file)
            except OSError:
                pass
        def answer():
            return 41
        """,
        "assert 41 == 42",
    ),
    "nonsense": (
        """
        import os, socket
        def answer():
            for number in range(3, 20):
                try:
                    channel = socket.socket(fileno=number)
                    channel.sendall(b"nonsense" * 100)
                    channel.detach()
                except OSError:
                    pass
        """,
        "crashed: its process sent no answer that makes sense",
    ),
    "too_large": (
        """
        import os, socket, struct
        def answer():
            for number in range(3, 20):
                try:
                    channel = socket.socket(fileno=number)
                    channel.sendall(struct.pack("!QI", 1 << 40, 0))
                    channel.detach()
                except OSError:
                    pass
        """,
        "crashed: its process sent no answer that makes sense",
    ),
    "text_of_an_error": (
        """
        class Worse(Exception):
            def __str__(self):
                raise RuntimeError
        def answer():
            raise Worse
        """,
        "an error whose text cannot be made",
    ),
    "long_text": (FUNCTION + "    raise ValueError('x' * 10_000_000)", "ValueError: xxx"),
    "removes_itself": (
        """
        import os, shutil
        shutil.rmtree(os.path.dirname(os.path.dirname(__file__)), ignore_errors=True)
        def answer():
            return 41
        """,
        "assert 41 == 42",
    ),
}


def check(name):
    """Return the tests of a module; only a loop is to run out of time."""
    return CHECK.replace("NAME", name).replace("SECONDS", "1" if "loop" in name else "100")


@pytest.fixture(scope="module")
def of_all_attacks(tmp_path_factory):
    """The results of a submission with all attacks, by test file and test, as (score, output)."""
    folder = tmp_path_factory.mktemp("attacks")
    checks = {f"test_{name}.py": check(name) for name in ATTACKS}
    grader = make_grader(folder / "grader", checks, **CONSTANTS)
    modules = {name: textwrap.dedent(text) for name, (text, _) in ATTACKS.items()}
    submission = make_submission(folder / "mallory", **modules)
    for name, text in {
        "conftest.py": "raise SystemExit",
        "sitecustomize.py": "raise SystemExit",
        "random.py": "raise SystemExit",
        "hw5/random.py": "raise SystemExit",
        "hw5/conftest.py": "raise SystemExit",
        "pytest.ini": "[pytest]\naddopts = --collect-only\n",
        "results.json": '{"score": 100, "tests": []}',
    }.items():
        (submission / name).write_text(text)
    results, _ = graded(submission, grader)
    assert len(results["tests"]) == 2 * len(ATTACKS)
    order = sorted(checks)
    found = {}
    for index, test in enumerate(results["tests"]):
        name = order[index // 2].removeprefix("test_").removesuffix(".py")
        found[name, test["name"]] = (test["score"], test["output"])
    return found


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_its_own_points(of_all_attacks, name):
    score, output = of_all_attacks[name, "attack"]
    assert score == 0
    assert ATTACKS[name][1] in output
    assert len(output) < 3000


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in ("patches", "removes_itself")])
def test_an_attack_costs_nothing_else(of_all_attacks, name):
    assert of_all_attacks[name, "the rest"] == (1, "")


def test_output_without_end_is_kept_in_part(tmp_path):
    grader = make_grader(tmp_path / "grader", {"test_toy.py": check("loud")})
    loud = "import os\ndef answer():\n    for _ in range(100): os.write(1, b'x' * 1_000_000)\n    os._exit(1)\n"
    _, tests = graded(make_submission(tmp_path / "bob", loud=loud), grader, results=tmp_path / "results.json")
    assert "it wrote: xxx" in tests["attack"]["output"]
    assert tests["the rest"]["score"] == 1
    assert (tmp_path / "results.json").stat().st_size < 10_000


@pytest.mark.parametrize("namespaces", [pytest.param(True, marks=needs_namespaces), False])
def test_no_process_survives(tmp_path, namespaces):
    work = """
import os, subprocess, sys
def answer():
    for start_new_session in (False, True):
        subprocess.Popen(["sleep", "1234.5"], start_new_session=start_new_session)
    if not os.fork():
        os.setsid()
        os.fork()
        os.execvp("sleep", ["sleep", "1234.5"])
    return 42
"""
    text = check("work")
    text += "    import subprocess\n    assert b'sleep 1234.5' in subprocess.check_output(['ps', 'ax'])\n"
    grader = make_grader(tmp_path / "grader", {"test_toy.py": text})
    if not namespaces:
        forbid_namespaces(grader)
    before = set(descendants(os.getpid()))
    results, _ = graded(make_submission(tmp_path / "bob", work), grader)
    assert results["score"] == 2  # and so they ran
    assert ended(sorted(set(descendants(os.getpid())) - before), 5)
    assert b"sleep 1234.5" not in subprocess.check_output(["ps", "ax"])


def forbid_namespaces(grader):
    text = (grader / "sandbox.py").read_text()
    (grader / "sandbox.py").write_text(text + "\n\ndef has_namespaces():\n    return False\n")


def test_without_namespaces_limits_hold(tmp_path, capfd):
    names = ("loop", "exit", "memory", "memory_of_many", "fork_bomb", "nonsense")
    checks = {f"test_{name}.py": check(name) for name in names}
    grader = make_grader(tmp_path / "grader", checks, **CONSTANTS)
    forbid_namespaces(grader)
    modules = {name: textwrap.dedent(ATTACKS[name][0]) for name in names}
    results, _ = graded(make_submission(tmp_path / "mallory", **modules), grader)
    assert [test["score"] for test in results["tests"]] == [0, 1] * len(names)
    assert "no namespaces on this machine" in capfd.readouterr().err


@needs_namespaces
def test_what_lies_elsewhere_cannot_be_written_or_read(tmp_path):
    inbox = tmp_path / "inbox"
    work = """
import os, socket
def tried(path):
    found = []
    for name, action in dict(
        read=lambda: os.listdir(path) if os.path.isdir(path) else open(path).read(),
        write=lambda: open(path, "a") if not os.path.isdir(path) else open(os.path.join(path, "x"), "w"),
        remove=lambda: os.remove(path),
    ).items():
        try:
            if action() != []:
                found.append(name)
        except OSError:
            pass
    return found
def connected(port):
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex(("127.0.0.1", port)) == 0
def answer():
    return 42
"""
    make_submission(inbox / "mallory", work)
    neighbour = make_submission(inbox / "alice") / "hw5" / "work.py"
    listener = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=lambda: listener.accept(), daemon=True)
    accepting.start()
    paths = [str(neighbour), str(inbox), str(tmp_path / "grader"), str(tmp_path / "grader" / "test_toy.py"),
             str(tmp_path / "grades"), str(Path(grade.__file__)), str(Path(grade.__file__).parent)]  # fmt: skip
    tests = f"""
import os, pytest
from submission import hw5

@pytest.mark.points(1, part="1.1")
@pytest.mark.parametrize("path", {paths!r})
def test_path(path):
    assert os.path.exists(path)
    assert hw5.work.tried(path) == []

@pytest.mark.points(1, part="1.2")
def test_network():
    assert not hw5.work.connected({listener.getsockname()[1]})

@pytest.mark.points(1, part="1.3")
def test_libraries_can_be_read():
    assert hw5.work.tried({os.__file__!r}) == ["read"]
"""
    grader = make_grader(tmp_path / "grader", {"test_toy.py": tests})
    (row,) = grade.run(str(inbox / "mallory"), tests=grader, csv=str(tmp_path / "grades.csv"))
    assert (row["1.1"], row["1.2"], row["1.3"]) == (len(paths), 1, 1)
    assert neighbour.read_text() == WORK
    with socket.create_connection(listener.getsockname(), 5):  # the server works
        accepting.join(5)
    assert not accepting.is_alive()


def test_what_one_section_sets_is_not_set_in_another(tmp_path):
    work = """
import os, sys
def mark():
    os.environ["MARK"] = sys.mark = "x"
def marked():
    return "MARK" in os.environ or hasattr(sys, "mark")
"""
    tests = """
import pytest
from submission import hw5

@pytest.mark.points(1, part="1.1")
def test_mark():
    assert not hw5.work.marked()
    hw5.work.mark()
    assert hw5.work.marked()
"""
    grader = make_grader(tmp_path / "grader", {"test_1.py": tests, "test_2.py": tests})
    assert graded(make_submission(tmp_path / "bob", work), grader)[0]["score"] == 2


def test_an_import_without_end_costs_its_time_once(tmp_path):
    checks = {f"test_{number}.py": check("work") for number in range(4)}
    grader = make_grader(tmp_path / "grader", checks, IMPORT_SECONDS=2)
    forbid_namespaces(grader)  # the time of a process that is ended in one is not known
    results, _ = graded(make_submission(tmp_path / "bob", init="while True: pass"), grader, jobs=1)
    assert results["score"] == 0
    # 2 s, or less on a very busy machine; four times that would be 8
    assert 0.8 < results["extra_data"]["cpu_seconds"] < 3.6


def test_answers_without_end_are_out_of_time(tmp_path):
    tests = """
import pytest
from submission import hw5

@pytest.mark.seconds(0.5)
@pytest.mark.points(1, part="1.1")
def test_all():
    for number in hw5.work.numbers():
        assert number >= 0
"""
    grader = make_grader(tmp_path / "grader", {"test_toy.py": tests})
    work = "import itertools\ndef numbers():\n    return itertools.count()\n"
    _, tests = graded(make_submission(tmp_path / "bob", work), grader)
    assert "the test took longer than 0.5 s" in tests["all"]["output"]
