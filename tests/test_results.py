"""metrics.json and the folder it lies in."""

import json
import os
import time

import numpy as np
import pytest

from hw5 import results
from hw5.errors import InputError


def test_metrics_hold_settings_seed_versions_and_numbers(tmp_path, capsys):
    returned = results.save_metrics(
        tmp_path,
        settings={"seed": 3, "k": (2, 5)},
        results={"mse": {2: np.float32(0.5)}, "angles": np.array([1.0, 2.0])},
        headline={"MSE": 0.5},
        started=time.time() - 2,
    )
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["settings"] == {"seed": 3, "k": [2, 5]}
    assert written["results"] == {"mse": {"2": 0.5}, "angles": [1.0, 2.0]}
    assert written["headline"] == returned["headline"] == {"MSE": 0.5}
    assert {"python", "hw5", "tensorflow", "keras", "numpy"} <= written["versions"].keys()
    assert written["seconds"] >= 2
    assert "MSE 0.5" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    arguments = dict(settings={}, headline={}, started=0.0)
    results.save_metrics(tmp_path, results={"a": 1}, **arguments)
    before = (tmp_path / "metrics.json").read_text()
    with pytest.raises(TypeError, match="set cannot be written"):
        results.save_metrics(tmp_path, results={"a": {1}}, **arguments)
    assert (tmp_path / "metrics.json").read_text() == before


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_output_folder_that_is_a_file(tmp_path, out):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="is, or lies under, a file"):
        results.output_folder(tmp_path / out)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises((InputError, PermissionError)):
        results.output_folder(tmp_path)
