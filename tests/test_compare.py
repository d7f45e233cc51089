"""The comparison of runs."""

import json
from pathlib import Path

import pytest
from PIL import Image
from processes import python_m

from hw5.errors import InputError
from hw5.homework import compare


@pytest.fixture
def runs(tmp_path):
    """Two runs of a section: the second has one training more, and other folders."""
    for name, k, loss in (("figures/section2", [2, 5], 3.0), ("results/section2/k5", [5], 2.5)):
        trainings = {f"k={one}": {"history": {"loss": [9.0, loss], "kl": [1.0, 2.0]}, "fid": 10.0 * one} for one in k}
        settings = {"k": k, "seed": 0, "out": name, "epochs": 15}
        folder = tmp_path / name
        folder.mkdir(parents=True)
        content = {"settings": settings, "headline": {"loss": loss}, "results": {"count": 7, "validation": trainings}}
        (folder / "metrics.json").write_text(json.dumps(content))
    return [tmp_path / "figures" / "section2", tmp_path / "results" / "section2" / "k5"]


def test_settings_that_differ_and_numbers_side_by_side(runs, tmp_path, capsys):
    compared = compare.run(runs, numbers="fid$", out=tmp_path / "curves.png")
    assert compared["settings"] == {"k": {"section2": "2,5", "k5": "5"}}
    assert compared["numbers"] == {
        "loss": {"section2": 3.0, "k5": 2.5},
        "validation/k=2/fid": {"section2": 20.0},
        "validation/k=5/fid": {"section2": 50.0, "k5": 50.0},
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["settings", "that", "differ", "section2", "k5"]
    assert lines[1].split() == ["k", "2,5", "5"]
    assert lines[-1] == f"{tmp_path}/curves.png: the curves of loss, kl"


def test_the_curves_of_the_trainings_that_all_runs_have(runs, tmp_path, monkeypatch):
    from hw5 import figures

    drawn = {}
    monkeypatch.setattr(figures, "curve_panels", lambda path, panels, **axes: drawn.update(panels | axes))
    compare.run(runs, out=tmp_path / "curves.png")
    assert drawn == {
        "loss": {"section2": [9.0, 3.0], "k5": [9.0, 2.5]},
        "kl": {"section2": [1.0, 2.0], "k5": [1.0, 2.0]},
        "xlabel": "epochs",
    }


def test_a_training_of_steps_has_no_epochs(runs, tmp_path, monkeypatch):
    from hw5 import figures

    for path in (run / "metrics.json" for run in runs):
        path.write_text(path.read_text().replace('"epochs"', '"steps"'))
    drawn = {}
    monkeypatch.setattr(figures, "curve_panels", lambda path, panels, **axes: drawn.update(axes))
    compare.run(runs, out=tmp_path / "curves.png")
    assert drawn == {"xlabel": "parts of the training"}


def test_lines_have_the_names_of_runs_and_trainings(tmp_path, monkeypatch):
    from hw5 import figures

    drawn, curves = {}, {f"kl_weight={weight}, k=5": {"loss": [2.0]} for weight in (0, 1)}
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps({"results": {"history": curves}}))
    monkeypatch.setattr(figures, "curve_panels", lambda path, panels, **_: drawn.update(panels))
    compare.run([tmp_path / "a", tmp_path / "b"], out=tmp_path / "curves.png")
    assert list(drawn["loss"]) == [f"{run}, {training}" for run in "ab" for training in curves]


def test_histories_by_training_however_a_section_nests_them():
    curves = {"loss": [1.0, 2.0]}
    nested = {"history": curves, "other": {"history": curves, "samples": {"proportions": [0.5]}}}
    assert dict(compare.histories(nested)) == {"": curves, "other": curves}
    named = {"validation": {"10": {"kl": 1.0}}, "history": {"conv, latent 3": curves, "conv, latent 10": curves}}
    assert list(dict(compare.histories(named))) == ["history/conv, latent 3", "history/conv, latent 10"]


def test_what_is_no_curve_is_left_out():
    assert not dict(compare.histories({"history": {"loss": [1.0, None]}, "other": {"history": {"loss": ["a"]}}}))


def test_settings_of_any_type_are_compared(runs, tmp_path):
    content = json.loads((runs[0] / "metrics.json").read_text())
    content["settings"]["k"] = {"2": 5}
    (runs[0] / "metrics.json").write_text(json.dumps(content))
    assert compare.run(runs, out=tmp_path / "curves.png")["settings"] == {"k": {"section2": {"2": 5}, "k5": "5"}}


def test_runs_of_one_name_keep_apart():
    assert list(compare.named([Path("a/section2/k5"), Path("a/section9/k5")])) == ["section2/k5", "section9/k5"]
    assert list(compare.named([Path("a/x"), Path("b/y")])) == ["x", "y"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runs": ["one"]}, "runs=: name the folders of two or more"),
        ({"runs": ["nowhere", "neither"]}, "nowhere/metrics.json: no such file; name the folder of a run"),
        ({"runs": ["one", "two"], "numbers": "("}, r"numbers=\(: is no regular expression"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(InputError, match=message):
        compare.run(**arguments)


def test_the_command_takes_any_number_of_runs(runs, tmp_path):
    done = python_m("hw5.compare", str(runs[0]), str(runs[0]), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: --runs=: name the folders of two or more runs\n")
    done = python_m("hw5.compare", *map(str, runs), "--out=curves.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "curves.png") as image:
        image.load()
