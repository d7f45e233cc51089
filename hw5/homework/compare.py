"""The comparison of runs: the settings in which they differ, their numbers side by side, their curves in one figure."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from hw5.errors import InputError
from hw5.homework.report import read_metrics
from hw5.settings import Settings, Several, program, setting, shown
from hw5.tables import print_table

PROCEDURE = ("out", "run_dir", "restart", "train", "strategy", "workers", "task", "shards")  # no result depends on it


class Arguments(Settings):
    runs: Several[Path] = setting((), "Folders with a metrics.json; two or more.", may_be_empty=True)
    numbers: str = setting("", "Show also the results whose names match this regular expression, such as fid|kid.")
    out: Path = setting("results/compare.png", "Figure of the curves.")


def main(arguments: Arguments) -> dict:
    """Print two tables, and draw the curves of the trainings that all runs have, or of the first of each run.

    Returns:
        Differing settings and numbers, both name → run → value.

    Raises:
        InputError: fewer than two runs, a folder without results, a pattern that is no regular expression.
    """
    if len(arguments.runs) < 2:
        raise InputError("runs=: name the folders of two or more runs")
    try:
        pattern = re.compile(arguments.numbers or "$.")  # nothing matches the latter
    except re.error as error:
        raise InputError(f"numbers={arguments.numbers}: is no regular expression ({error})") from error
    runs = {name: read_metrics(path / "metrics.json") for name, path in named(arguments.runs).items()}

    settings = side_by_side({name: run.get("settings", {}) for name, run in runs.items()})
    settings = {name: row for name, row in settings.items() if name not in PROCEDURE and is_different(row)}
    found = {name: dict(scalars(run.get("results", {}))) for name, run in runs.items()}
    chosen = {run: {name: value for name, value in row.items() if pattern.search(name)} for run, row in found.items()}
    numbers = side_by_side({name: run.get("headline", {}) | chosen[name] for name, run in runs.items()})

    print_table("settings that differ", settings, {name: (name, "") for name in runs})
    print()
    print_table("numbers", numbers, {name: (name, ".5g") for name in runs})
    by_epochs = all("epochs" in run.get("settings", {}) for run in runs.values())
    xlabel = "epochs" if by_epochs else "parts of the training"  # those of `StepTraining`
    draw(arguments.out, {name: dict(histories(run.get("results", {}))) for name, run in runs.items()}, xlabel)
    return {"settings": settings, "numbers": numbers}


run = program(Arguments, main, positional=("runs",))


def named(folders) -> dict[str, Path]:
    """Name each folder by the end of its path, as short as all names differ."""
    for length in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-length:]) for folder in folders]
        if len({*names}) == len(names):
            break
    return dict(zip(names, folders, strict=True))


def side_by_side(runs: Mapping[str, Mapping]) -> dict[str, dict]:
    """Turn run → name → value into name → run → value; lists as text."""
    names = dict.fromkeys(name for run in runs.values() for name in run)
    return {
        name: {
            run: shown(values[name]) if isinstance(values[name], list) else values[name]
            for run, values in runs.items()
            if name in values
        }
        for name in names
    }


def is_different(row: Mapping) -> bool:
    """Check whether the values of a row are not all the same."""
    first, *others = row.values()
    return any(value != first for value in others)


def scalars(node, path: str = "") -> Iterator[tuple[str, float]]:
    """List the numbers of nested results with their paths, without those in lists, such as curves."""
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{path}{name}/")
        elif isinstance(value, int | float):
            yield f"{path}{name}", value


def histories(node, path: str = "") -> Iterator[tuple[str, Mapping]]:
    """List the histories (metric → values) of nested results, by the names of the trainings."""
    for name, value in node.items():
        if isinstance(value, Mapping):
            where = path if name == "history" else f"{path}/{name}".strip("/")
            if value and all(map(is_curve, value.values())) and "history" in (name, *path.split("/")):
                yield where, value
            else:
                yield from histories(value, f"{path}/{name}".strip("/"))


def is_curve(values) -> bool:
    """Check whether a value of metrics.json is a list of numbers."""
    return isinstance(values, list) and all(isinstance(value, int | float) for value in values)


def draw(path: Path, runs: Mapping[str, Mapping[str, Mapping]], xlabel: str) -> None:
    """Draw every metric that two runs have, one panel each and one line a training."""
    from hw5 import figures  # here, so that `--help` need not wait for matplotlib

    in_all = [training for training in next(iter(runs.values())) if all(training in found for found in runs.values())]
    panels = {}
    for name, found in runs.items():
        for training in in_all or [*found][:1]:
            label = f"{name}, {training.removeprefix('history/')}".removesuffix(", ") if len(in_all) > 1 else name
            for metric, values in found[training].items():
                panels.setdefault(metric, {})[label] = values
    panels = {metric: lines for metric, lines in panels.items() if len(lines) > 1}
    if not panels:
        print("no curves: the runs have no metric in common")
        return
    figures.curve_panels(path, panels, xlabel=xlabel)
    print(f"{path}: the curves of {', '.join(panels)}")
