"""metrics.json: the results of a run of a section."""

import json
import os
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

import hw5
from hw5.files import atomic_write

FIGURES = (".png", ".gif")
CLOCK_SLACK = 0.1  # seconds; the times of files are coarser than the clock
PACKAGES = ("tensorflow", "keras", "numpy", "matplotlib", "scipy")


def save_metrics(
    folder: Path,
    settings: dict,
    headline: Mapping[str, float],
    results: dict,
    seconds: float,
    *,
    section: str = "",
    changed: Mapping | None = None,
) -> dict:
    """Write `metrics.json` (complete or not at all), print the headline, and return what was written.

    Args:
        folder: of the results; its figures not older than the run are listed in the file.
        settings: all of the run, by name.
        seconds: length of the run.
        section: name of the program.
        changed: settings that differ from the defaults.
    """
    began = time.time() - seconds - CLOCK_SLACK
    drawn = [path for path in folder.iterdir() if path.suffix in FIGURES and path.stat().st_mtime >= began]
    metrics = {
        "section": section,
        "changed": changed or {},
        "figures": sorted(path.name for path in drawn if not path.name.startswith(".")),
        "headline": headline,
        "seconds": round(seconds, 1),
        "settings": settings,
        "versions": {"hw5": hw5.__version__, "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "results": results,
    }
    with atomic_write(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(metrics, indent=1, default=_to_json) + "\n")
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in headline.items())
    print(f"{folder}: {numbers} ({metrics['seconds']:g} s)")
    return metrics


def _to_json(value):
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be written to metrics.json")
