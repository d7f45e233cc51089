"""The committed notebooks: executed from top to bottom, small, alike in their first cell; and that they run."""

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
ITEMS = {  # the sheets' numbers, which stand in the headings
    "sheet000": ["I.1", "I.4", "I.5", "I.6", "I.7", "II.1", "II.4", "II.5", "III"],
    "sheet001": ["Details", "Implementation", "hint 2", "Hint 3", "Deliverables 1–3", "Deliverables:", "Submission"],
    "sheet002": ["1.", "2.", "3.", "3 a–c", "4.", "5 a", "5 b", "5 c", "6.", "7."],
    "sheet003": ["1.1", "1.2", "2.1", "2.2", "Experiment 1", "Experiment 2", "KL 1–3", "3.1", "4.1"],
    "sheet004": ["VAE 1", "VAE 2", "Report 1", "Report 2", "Report 3", "DCGAN 1"]
    + ["Report 4", "Report 6", "Report 7", "Report 8", "Report 9"],
}


def cells(path, kind="code"):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_there_is_one_for_each_sheet():
    assert [path.stem for path in PATHS] == list(ITEMS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_was_executed_without_errors(path):
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    code = cells(path)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    assert not [output for cell in code for output in cell["outputs"] if output.get("name") == "stderr"]
    assert "retracing" not in path.read_text()
    assert sum("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"]) >= 5
    assert path.stat().st_size < 1e6


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_has_the_questions_and_both_sliders(path):
    headings = "\n".join(re.findall(r"^##? .*", "\n".join(map(source, cells(path, "markdown"))), re.MULTILINE))
    assert [item for item in ITEMS[path.stem] if item not in headings] == []
    code = "\n".join(map(source, cells(path)))
    assert "interactive.latent_sliders(" in code
    assert "interactive.interpolation_slider(" in code
    assert 'preset="smoke"' in code


def test_the_first_cell_installs_the_package_where_it_is_missing():
    first = {source(cells(path)[0]) for path in PATHS}
    assert len(first) == 1
    (code,) = first
    install = '%pip install --quiet "$PACKAGE"'
    assert code.count(install) == 1
    assert not any(install[:4] in source(cell) for path in PATHS for cell in cells(path)[1:])
    plain = code.replace(install, "installed.append(PACKAGE)").replace('PACKAGE = ""', "PACKAGE = address")
    for name, address, expected in (("hw5", "git+https://x", []), ("none_such", "git+https://x", ["git+https://x"])):
        installed = []
        exec(plain.replace('"hw5"', repr(name)), {"installed": installed, "address": address})
        assert installed == expected
    with pytest.raises(SystemExit, match="give PACKAGE its address"):
        exec(plain.replace('"hw5"', '"none_such"'), {"installed": [], "address": ""})


@pytest.fixture
def execute():
    pytest.importorskip("nbclient", reason="pip install '.[notebooks]'")
    sys.path.insert(0, str(FOLDER))
    try:
        import execute

        yield execute
    finally:
        sys.path.remove(str(FOLDER))


def test_texts_are_kept_as_a_terminal_shows_them(execute):
    epochs = "".join(
        f"Epoch {n}/12\n\x1b[1m1/2\x1b[0m 1s\b\b\b\b\r\x1b[1m2/2\x1b[0m 2s - loss: {n}\n" for n in (1, 2, 11, 12)
    )
    assert execute.as_on_a_terminal(f"begins\n{epochs}ends\n") == "begins\nEpoch 12/12\n2/2 2s - loss: 12\nends\n"
    advice = "WARNING:tensorflow:5 out of the last 5 calls to <function f at 0x7f> triggered tf.function retracing. …\n"
    assert execute.as_on_a_terminal(f"begins\n{advice}WARNING:tensorflow: a loss is NaN\n{advice}") == (
        "begins\nWARNING:tensorflow: a loss is NaN\n"
    )


def test_lines_keep_their_colours_in_a_smaller_picture(execute):
    picture = (FOLDER.parent / "figures" / "section7" / "losses.png").read_bytes()
    small = Image.open(io.BytesIO(base64.b64decode(execute.smaller(base64.b64encode(picture).decode(), 600))))
    assert (small.width, small.mode) == (600, "P")
    colours = np.unique(np.asarray(small.convert("RGB")).reshape(-1, 3), axis=0) / 255
    assert len(colours) <= execute.COLOURS
    for name in ("tab:purple", "tab:brown"):  # the losses of D and of G
        assert np.abs(colours - to_rgb(name)).max(axis=1).min() < 0.06


@pytest.fixture
def write(execute, tmp_path, monkeypatch):
    """A function that makes a notebook of these cells in a folder of its own, from where `execute` takes it."""
    import nbformat

    monkeypatch.setattr(execute, "FOLDER", tmp_path)

    def make(name, *texts):
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(text) for text in texts]
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        return tmp_path / f"{name}.ipynb"

    return make


def test_an_error_in_a_cell_is_loud_and_changes_no_file(execute, write, capsys):
    path = write("sheet000", "print(1)", "1 / 0", "print(2)")
    before = path.read_bytes()
    with pytest.raises(execute.InputError, match="these notebooks end with an error: sheet000"):
        execute.run("sheet000", write=True)
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert path.read_bytes() == before
    write("sheet000", "print(1)", "print(2)")
    execute.run("sheet000", write=True)
    assert [cell["outputs"][0]["text"] for cell in cells(path)] == [["1\n"], ["2\n"]]


def test_two_run_at_the_same_time_and_change_no_file(execute, write, tmp_path, capsys):
    meet = (
        "from pathlib import Path\nimport time\nPath({mine!r}).touch()\n"
        "while not Path({other!r}).exists(): time.sleep(0.01)\n"
    )
    marks = [str(tmp_path / name) for name in "ab"]
    paths = [
        write("sheet000", meet.format(mine=marks[0], other=marks[1]), "print(1)"),
        write("sheet001", meet.format(mine=marks[1], other=marks[0]), "1 / 0"),
    ]
    before = [path.read_bytes() for path in paths]
    with pytest.raises(execute.InputError, match="these notebooks end with an error: sheet001$"):
        execute.run(("sheet000", "sheet001"))
    assert re.search(r"^sheet000: \d+ s, ", capsys.readouterr().out, re.MULTILINE)
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.slow
def test_all_of_them_run():
    pytest.importorskip("nbclient", reason="pip install '.[notebooks]'")
    command = [sys.executable, str(FOLDER / "execute.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^sheet\d+: \d+ s, [\d.]+ MB$", done.stdout, re.MULTILINE)) == len(PATHS)
