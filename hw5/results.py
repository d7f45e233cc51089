"""What a run leaves behind besides its figures: `metrics.json`."""

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

import hw5
from hw5.errors import InputError
from hw5.files import replacing

PACKAGES = ("tensorflow", "keras", "numpy", "matplotlib", "scipy")


def output_folder(path: str | os.PathLike, flag: str = "out") -> Path:
    """Create a folder for a run's results, before the run spends time on making them.

    Raises:
        InputError, which names the flag: the path is a file, or may not be written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"--{flag}={path}: is, or lies under, a file; name a folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--{flag}={path}: no permission to write there")
    return folder


def save_metrics(folder: Path, *, settings: dict, results: dict, headline: dict[str, float], started: float) -> dict:
    """Write `metrics.json` (complete or not at all), print the headline, and return what was written.

    Args:
        settings: the arguments of the run, its seed among them.
        results: everything that was measured; arrays become lists.
        headline: the few numbers that `run_all.sh` shows, label → number.
        started: `time.time()` at the start of the run.
    """
    seconds = round(time.time() - started, 1)
    metrics = {
        "headline": headline,
        "seconds": seconds,
        "settings": settings,
        "versions": {"hw5": hw5.__version__, "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "results": results,
    }
    with replacing(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(metrics, indent=1, default=_to_json) + "\n")
    print(f"{folder}: " + ", ".join(f"{name} {value:.4g}" for name, value in headline.items()) + f" ({seconds:g} s)")
    return metrics


def _to_json(value):
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be written to metrics.json")
