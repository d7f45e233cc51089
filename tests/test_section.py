"""The machinery of sections: folders, trainings with their settings, metrics.json."""

import inspect
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from hw5 import models, networks, section_settings
from hw5.errors import InputError
from hw5.files import locked
from hw5.results import save_metrics
from hw5.section import section
from hw5.settings import Several, setting

pytestmark = pytest.mark.usefixtures("undrawn")


class Settings(section_settings.EpochTraining):
    k: Several[int] = setting((2, 3), "Code units.", at_least=1)
    epochs = 1
    train_size = 100
    PRESETS = {"smoke": dict(k=1)}


def main(settings, run):
    """Train linear autoencoders.

    Returns:
        Everything.
    """
    images, validation = run.train_validation()
    results = {}
    for k in settings.k:
        fitted, history = run.fit(f"k{k}", lambda k=k: models.Autoencoder(*networks.linear_autoencoder(k)), images, k=k)
        results[k] = {"latent_dim": fitted.latent_dim, "loss": history["loss"], "count": len(validation)}
    return {"last": results[k]["loss"][-1]}, results


run = section(Settings, main)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_section_needs_nothing_but_settings_and_main():
    parameters = inspect.signature(run).parameters
    shared = {"dataset", "batch_size", "learning_rate", "train_size", "seed", "restart", "train", "out", "run_dir"}
    shared |= {"strategy", "workers", "task"}
    assert shared | {"k", "epochs", "preset"} == parameters.keys()
    assert parameters["k"].default == (2, 3)
    assert run.__doc__.startswith("Train linear autoencoders.\n\nArgs:\n    k: Code units.\n")
    assert run.__doc__.endswith("Returns:\n    Everything.")
    measured = run(k=4)
    assert measured == json.loads(Path("results/test_section/k4/metrics.json").read_text()) | {
        "results": measured["results"],
        "settings": measured["settings"],
    }
    assert measured["results"][4]["latent_dim"] == 4
    assert measured["settings"]["k"] == (4,)
    assert (measured["section"], measured["changed"], measured["figures"]) == ("test_section", {"k": "4"}, [])
    assert measured["settings"]["seed"] == 0
    assert Path("runs/test_section-k4/k4/config.json").exists()


def test_each_combination_of_settings_has_folders_of_its_own():
    run()
    reference = {path: path.read_bytes() for path in Path("figures").rglob("[!.]*") if path.is_file()}
    assert [*reference] == [Path("figures/test_section/metrics.json")]
    run(k=(5, 1), dataset="mnist", seed=0)  # those two are the defaults
    run(preset="smoke", seed=3)
    assert {str(path.parent) for path in Path("results").rglob("metrics.json")} == {
        "results/test_section/k5,1",
        "results/test_section/smoke_seed3",
    }
    assert {path.name for path in Path("runs").iterdir()} == {"test_section", "test_section-k5,1", "smoke"}
    assert Path("runs/smoke/test_section-seed3/k1/config.json").exists()
    for path, content in reference.items():
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "out", "run_dir"),
    [
        ({}, "figures/name", "runs/name"),
        ({"preset": "sheet"}, "runs/sheet/figures/name", "runs/sheet/name"),
        ({"train": False, "task": 1, "restart": False}, "figures/name", "runs/name"),  # procedure
        ({"fid_samples": 9}, "results/name/fid_samples9", "runs/name"),  # the same training
        ({"steps": 5, "fid_samples": 9}, "results/name/steps5_fid_samples9", "runs/name-steps5"),
        ({"out": "a", "steps": 5}, "a", "runs/name-steps5"),
        ({"run_dir": "b", "learning_rate": 1e-4}, "results/name/learning_rate0.0001", "b"),
        ({"dataset": "my/photos"}, "results/name/datasetmy-photos-787bf0e9", "runs/name-datasetmy-photos-787bf0e9"),
    ],
)
def test_folders_by_settings(changes, out, run_dir):
    class Gan(section_settings.SmoothGANTraining, section_settings.SampleEvaluation):
        pass

    assert Gan(**changes).folders("name") == (Path(out), Path(run_dir))


def test_labels_are_names_of_files_and_differ_where_settings_do():
    class Named(section_settings.OnImages):
        pass

    labels = {Named(dataset=name).label() for name in ("a/b", "a-b", "a b", "a:b", "ä", "a" * 300, "a" * 301)}
    assert len(labels) == 7
    assert all(len(label.encode()) < 200 and not set(label) & set('/\\:*?"<>| ') for label in labels)


def test_a_preset_has_folders_of_its_own():
    run(preset="smoke")
    assert Path("runs/smoke/figures/test_section/metrics.json").exists()
    assert Path("runs/smoke/test_section/k1/config.json").exists()
    assert not Path("figures").exists()
    run(preset="smoke", out="here", run_dir="there", train_size=50)
    assert Path("here/metrics.json").exists()
    assert Path("there/k1/config.json").exists()


def test_other_settings_than_a_checkpoints_are_refused_with_those_that_were_given():
    where = dict(run_dir="here")
    run(k=2, **where)
    with pytest.raises(InputError, match=r"^here/k2 was trained with epochs=1, this is epochs=2; use"):
        run(k=2, epochs=2, **where)
    run(k=(2, 5), out="elsewhere", **where)  # another comparison and other folders are the same training
    run(k=2, epochs=2, restart=True, **where)
    run(k=2, epochs=2, train=False, **where)
    with pytest.raises(InputError, match="k9: holds no checkpoint to evaluate; train first, without train=False"):
        run(k=9, train=False, **where)
    with pytest.raises(InputError, match="restart=True and train=False contradict each other"):
        run(restart=True, train=False)


def test_metrics_hold_settings_versions_and_numbers(tmp_path, capsys):
    results = {"mse": {2: np.float32(0.5)}, "angles": np.array([1.0, 2.0]), "where": Path("a/b")}
    for name in ("new.png", "new.gif", "old.png", ".partial.png"):
        (tmp_path / name).touch()
    os.utime(tmp_path / "old.png", (0, time.time() - 60))
    how = dict(section="section3", changed={"k": "2,5"})
    returned = save_metrics(tmp_path, {"seed": 3, "k": (2, 5)}, {"MSE": 0.5}, results, 2.04, **how)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["settings"] == {"seed": 3, "k": [2, 5]}
    assert written["results"] == {"mse": {"2": 0.5}, "angles": [1.0, 2.0], "where": "a/b"}
    assert written["headline"] == returned["headline"] == {"MSE": 0.5}
    assert {"python", "hw5", "tensorflow", "keras", "numpy"} <= written["versions"].keys()
    assert written["seconds"] == 2.0
    assert (written["section"], written["changed"]) == ("section3", {"k": "2,5"})
    assert written["figures"] == ["new.gif", "new.png"]  # a figure of an earlier run does not belong to these numbers
    assert "MSE 0.5" in capsys.readouterr().out


def test_metrics_that_cannot_be_written_leave_the_old_file(tmp_path):
    save_metrics(tmp_path, {}, {}, {"a": 1}, 0.0)
    before = (tmp_path / "metrics.json").read_text()
    with pytest.raises(TypeError, match="set cannot be written"):
        save_metrics(tmp_path, {}, {}, {"a": {1}}, 0.0)
    assert (tmp_path / "metrics.json").read_text() == before


def test_two_runs_at_once_in_one_folder_of_figures_are_refused():
    Path("here").mkdir()
    with locked("here", "out"), pytest.raises(InputError, match="^out=here: another process writes there; wait for it"):
        run(k=1, out="here")
    run(k=1, out="here", run_dir="here")  # the lock ended with its holder, and trainings have another one


@pytest.mark.parametrize("argument", ["out", "run_dir"])
def test_an_output_folder_that_is_a_file(argument):
    Path("file").write_text("precious")
    with pytest.raises(InputError, match=f"^{argument}=file/below: is, or lies under, a file"):
        run(**{argument: "file/below"})
    assert Path("file").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises((InputError, PermissionError)):
        run(out=tmp_path / "out")
