"""An inbox as a teacher gets it, graded by the command, which is killed once: everyone has their own points."""

import csv
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from processes import descendants, ended
from test_grade_hostile import needs_namespaces

from hw5.homework import changes, inbox, starter

CHECKOUT = Path(__file__).parents[1]
SECOND = CHECKOUT / "tests" / "second"
# Less training than the tests ask for, and few images: a student may do that, and a grading takes seconds.
SHORT = [
    ("section6.py", "epochs=10, train_size=None, ", ""),
    ("section6.py", "epochs=epochs", "epochs=1"),
    ("section6.py", "train, _ = mnist(train_size)", 'train = data.load("mnist", "train[:500]") / np.float32(255)'),
    ("section6.py", 'data.load("mnist", "test")', 'data.load("mnist", "test[:500]")'),
]


# What is handed in: path → content. INBOX stands for the folder of all.


def package():
    """The package of this checkout, with its data."""
    paths = [*(CHECKOUT / "hw5" / "data" / "store").rglob("*"), *map(CHECKOUT.joinpath, changes.code_files(CHECKOUT))]
    return {str(path.relative_to(CHECKOUT)): path.read_bytes() for path in paths if path.is_file()}


def second():
    """Another implementation, without data."""
    return {str(path.relative_to(SECOND)): path.read_text() for path in SECOND.rglob("*.py")}


def short(*edits, **more):
    """The second implementation with less training, and with edits: (file, old text, new text)."""
    files = second() | more
    for file, old, new in [*SHORT, *edits]:
        assert files[f"hw5/{file}"].count(old) == 1
        files[f"hw5/{file}"] = files[f"hw5/{file}"].replace(old, new)
    return files


def at_import(section, code):
    return f"section{section}.py", "import keras\n", f"import keras\n{code}\n"


def in_run(section, code):
    return f"section{section}.py", "    # TODO start\n", f"    import os, subprocess, sys\n    {code}\n"


def below(folder, files):
    return {f"{folder}/{name}": content for name, content in files.items()}


# How it is packed.


def as_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def as_zip(path, files, flags=0):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in files.items():
            file.writestr(name, content)
        for entry in file.filelist:
            entry.flag_bits |= flags


def as_encrypted_zip(path, files):
    as_zip(path, files, flags=1)


def as_half_a_zip(path, files):
    as_zip(path, files)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def as_zip_in_folder(path, files):
    path.mkdir()
    as_zip(path / "hw5.zip", files)


def as_zip_of_windows(path, files):
    as_zip(path, {name.replace("/", "\\"): content.replace("\n", "\r\n") for name, content in files.items()})


def as_notebook(path, files):
    """Cells that write files, and one with the networks."""
    networks = files.pop("hw5/networks.py")
    texts = ["!pip install keras", networks, *(f"%%writefile {name}\n{text}" for name, text in files.items())]
    cells = [{"cell_type": "code", "source": text} for text in texts]
    path.write_text(json.dumps({"cells": cells}))


def as_link(path, files):
    as_folder(path.parent.parent / "elsewhere", files)
    path.mkdir()
    (path / "hw5").symlink_to(path.parent.parent / "elsewhere" / "hw5")


def as_starter(path, files):
    starter.make(path)


# Mistakes.
ONE_PLACE = ("section6.py", "keras.random.randint((count, 1)", "keras.random.randint((1, 1)")
LINE = ("section7.py", "2 * x**2 - 0.5]", "2 * x - 0.5]")
NO_ACTIVATION = (
    "networks.py",
    "(*discriminator_hidden, 2):\n        y = layers.LeakyReLU(**slope)(layers.Dense(width)(y))",
    "(*discriminator_hidden, 2):\n        y = layers.Dense(width)(y)",
)
# Attacks.
OUTSIDE = """
import glob, os, shutil
for path in ["INBOX", "INBOX/../grades", "INBOX/Emmy Noether/hw5", "/tmp", "/", os.path.expanduser("~root")]:
    try:
        open(os.path.join(path, "written_outside"), "w").close()
    except OSError:
        pass
"""
NEIGHBOURS = """
import glob, os, shutil
for path in glob.glob("INBOX/*") + ["INBOX"]:
    shutil.rmtree(path, ignore_errors=True)
    try:
        os.remove(path)
    except OSError:
        pass
"""
RESULTS = """
import os
for path in [".", "..", "../..", os.path.dirname(__file__), os.environ["TMPDIR"], "INBOX/../grades"]:
    try:
        open(os.path.join(path, "results.json"), "w").write('{"score": 26, "tests": []}')
    except OSError:
        pass
"""
PYTEST = """
import pytest, _pytest.python, _pytest.runner, unittest.mock
_pytest.python.Function.runtest = _pytest.runner.pytest_runtest_call = lambda *a, **k: None
pytest.approx = lambda *a, **k: unittest.mock.ANY
"""
QUIT = "raise SystemExit('read by the grader')"
OWN_FILES = {
    **dict.fromkeys(["conftest.py", "sitecustomize.py", "hw5/conftest.py", "hw5/test_all.py"], QUIT),
    **dict.fromkeys(["pytest.ini", "hw5/pytest.ini"], "[pytest]\naddopts = --collect-only\n"),
}
STANDARD = ("random", "json", "types", "socket", "numpy")
OF_STANDARD = dict.fromkeys([f"{folder}{name}.py" for folder in ("", "hw5/") for name in STANDARD], QUIT)
SLEEP = "4321.5"
FORK = f"os.fork() or os.setsid() or os.fork() or os.execlp('sleep', 'sleep', '{SLEEP}')"
LOUD = "[os.write(1, b'x' * 1_000_000) for _ in range(500)]"
MEMORY = "kept = [bytearray(1 << 30) for _ in range(1 << 30)]"


def submissions():
    """List what is in the inbox.

    Returns:
        Tuples: the name; how it is packed; what it is, and what is wrong with it; the points of 6.1 and 7.1 that it is
        to get, of 12 and 14, or why it is not graded.
    """
    return [
        ("Emmy Noether", as_folder, package(), (12, 14)),
        ("second", as_folder, second(), (12, 14)),
        ("without data.zip", as_zip, short(), (12, 14)),
        ("2023012345.zip", as_zip, below("homework 3/2023012345/codes", short()), (12, 14)),
        ("Zoë Ångström_17_file_", as_zip_in_folder, short(), (12, 14)),
        ("Łukasz Żak_18_file_", as_zip_in_folder, short(LINE), (12, 10)),
        ("François Viète (spät).zip", as_zip_of_windows, below("my homework/codes", short()), (12, 14)),
        ("notebook.ipynb", as_notebook, short(), (12, 14)),
        ("bomb.zip", as_zip, dict.fromkeys(map("hw5/{}.py".format, range(11)), bytes(100_000_000)), "has more than"),
        ("encrypted.zip", as_encrypted_zip, short(), "cannot be unpacked"),
        ("damaged.zip", as_half_a_zip, short(), "cannot be unpacked"),
        ("empty.zip", as_zip, {}, "holds no package hw5"),
        ("essay", as_folder, {"codes/essay.pdf": "", "codes/hw4/networks.py": ""}, "holds no package hw5"),
        ("link", as_link, short(), "its hw5 lies elsewhere"),
        ("two versions.zip", as_zip, below("old", short()) | below("new", short()), "several packages hw5"),
        ("starter", as_starter, {}, (0, 0)),
        ("patches at one place", as_folder, short(ONE_PLACE), (8, 14)),
        ("no activation.zip", as_zip, short(NO_ACTIVATION), (12, 8)),
        ("loop at import", as_folder, short(at_import(7, "while True: pass")), (12, 6)),
        ("exit at import", as_folder, short(at_import(6, "import os; os._exit(0)")), (4, 14)),
        ("sys.exit", as_folder, short(in_run(6, "sys.exit()")), (4, 14)),
        ("loud", as_folder, short(in_run(7, LOUD)), (12, 14)),
        ("memory", as_folder, short(in_run(7, MEMORY)), (12, 8)),
        ("fork", as_folder, short(in_run(6, FORK)), (12, 14)),
        ("writes outside", as_folder, short(at_import(6, OUTSIDE)), (12, 14)),
        ("deletes neighbours", as_folder, short(at_import(6, NEIGHBOURS)), (12, 14)),
        ("own conftest.zip", as_zip, short(**OWN_FILES), (12, 14)),
        ("own results", as_folder, short(ONE_PLACE, at_import(6, RESULTS), **{"results.json": "{}"}), (8, 14)),
        ("patched pytest", as_folder, short(LINE, at_import(7, PYTEST)), (12, 10)),
        ("standard names.zip", as_zip, short(**OF_STANDARD), (12, 14)),
    ]


def points(row):
    return (float(row["6.1"]), float(row["7.1"])) if row["score"] else row["note"]


@pytest.mark.slow
@needs_namespaces
def test_an_inbox(tmp_path):
    everybody = submissions()
    for folder in ("inbox", "tmp"):
        (tmp_path / folder).mkdir()
    for name, pack, files, _ in everybody:
        texts = {
            path: text.replace("INBOX", f"{tmp_path}/inbox") for path, text in files.items() if isinstance(text, str)
        }
        pack(tmp_path / "inbox" / name, files | texts)
    expected = {name.removesuffix(".zip").removesuffix(".ipynb"): wanted for name, _, _, wanted in everybody}
    before = inbox.digest(tmp_path / "inbox")

    line = [sys.executable, "-m", "hw5.grade", "inbox/*", "--csv=grades.csv", "--parts=6.1,7.1", "--jobs=2"]
    place = dict(cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(tmp_path / "tmp")})
    process = subprocess.Popen(line, **place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len([*tmp_path.glob("grades/*.json")]) < 4:
        assert process.poll() is None
        time.sleep(0.1)
    children = descendants(process.pid)
    process.kill()
    process.wait()
    assert ended(children, 60)  # one that imports TensorFlow notices when it has
    finished = [path.with_suffix(suffix) for path in tmp_path.glob("grades/*.json") for suffix in (".json", ".log")]
    written = {path: path.stat().st_mtime_ns for path in finished}
    done = subprocess.run(line, **place, capture_output=True, text=True, check=False)
    assert {path: path.stat().st_mtime_ns for path in finished} == written  # they were not graded again

    with open(tmp_path / "grades.csv", newline="", encoding="utf-8") as file:
        got = {row["submission"]: points(row) for row in csv.DictReader(file)}
    for name, wanted in expected.items():
        page = (tmp_path / "grades" / f"{name}.md").read_text(encoding="utf-8")
        if isinstance(wanted, str):
            assert wanted in got[name]
            assert wanted in page
            got[name] = wanted
        else:
            assert f"**{sum(got[name]):g} of 26 points**" in page
    assert got == expected
    assert len(got) == len([*tmp_path.glob("grades/*.md")]) == 30
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "7 of 30 submissions were not graded to the end: bomb (inbox/bomb.zip: has more than" in last
    assert last.endswith(" and 4 more; see grades.csv")

    assert inbox.digest(tmp_path / "inbox") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "grades", "grades.csv", "inbox", "tmp"]
    assert {path.suffix for path in (tmp_path / "grades").iterdir()} == {".json", ".log", ".md"}
    assert not Path("/tmp/written_outside").exists()
    assert f"sleep {SLEEP}" not in subprocess.check_output(["ps", "ax"], text=True)
