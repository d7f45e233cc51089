"""The autograder for Gradescope: the grading tests, and of this package only what grades; none of the homework."""

import configparser
import shutil
from pathlib import Path

from hw5.errors import InputError
from hw5.homework import inbox

CHECKOUT = Path(__file__).parents[2]
HOMEWORK = ("__init__", "autograder", "changes", "feedback", "grade", "inbox", "notebook", "starter")
CODE = ("__init__", "errors", "files", "settings", "command_line", "grade", *(f"homework/{name}" for name in HOMEWORK))


def make(folder: Path, tests: Path, limit: float, jobs: int) -> None:
    """Write `setup.sh`, `run_autograder` and the files that they need; zipped, the folder is Gradescope's autograder.

    Gradescope unpacks it in /autograder/source, and builds an image with setup.sh; for every submission it
    calls run_autograder, with the files in /autograder/submission, and reads /autograder/results/results.json.
    """
    if folder.exists():
        raise InputError(f"autograder={folder}: exists already; name a new folder")
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    needed = setup["options"]["install_requires"] + setup["options.extras_require"]["test"]
    shutil.copytree(tests, folder / "tests" / "grading", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    inbox.supply_folder(folder / "hw5")
    (folder / "hw5" / "homework").mkdir(parents=True)
    for name in CODE:
        shutil.copy(CHECKOUT / "hw5" / f"{name}.py", folder / "hw5" / f"{name}.py")
    for name in ("constraints.txt", "setup.cfg"):
        shutil.copy(CHECKOUT / name, folder)
    (folder / "requirements.txt").write_text("\n".join(row.split("#")[0].strip() for row in needed.split("\n") if row))
    for name, text in (("setup.sh", SETUP), ("run_autograder", AUTOGRADER)):
        (folder / name).write_text(text.replace("LIMIT", f"{limit:g}").replace("JOBS", str(jobs)))
        (folder / name).chmod(0o755)
    print(f"{folder}: zip its contents (cd {folder} && zip -r ../autograder.zip .) and upload that to Gradescope")


SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image.
set -eu
root=${AUTOGRADER_ROOT:-/autograder}
apt-get update
for python in python3.12 python3.11 python3.13; do
  apt-get install -y "$python" "$python-venv" && break
done
"$python" -m venv "$root/venv"
"$root/venv/bin/pip" install --constraint "$root/source/constraints.txt" --requirement "$root/source/requirements.txt"
"""

AUTOGRADER = """\
#!/usr/bin/env bash
# Gradescope runs this for every submission. AUTOGRADER_ROOT and PYTHON are for trying it elsewhere.
set -u
root=${AUTOGRADER_ROOT:-/autograder}
python=${PYTHON:-$root/venv/bin/python}
export PYTHONDONTWRITEBYTECODE=1
mkdir -p "$root/results"
chmod 700 "$root/source" "$root/results"
cd "$root/source" || exit 1
# results.json always holds the points earned so far. The grading itself failed only if there is no such file.
"$python" -m hw5.grade "$root/submission" --results="$root/results/results.json" --limit=LIMIT --jobs=JOBS
[ -s "$root/results/results.json" ]
"""
