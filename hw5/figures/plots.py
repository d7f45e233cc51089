"""Plots in one style: grids of images, curves, points and spectra.

Images are uint8, or floats in [0, 1]; floats outside are clipped. Images of one channel are drawn in grey.
"""

import io
import os
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from PIL import Image

from hw5.files import atomic_write

STYLE = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral"],
    "mathtext.fontset": "stix",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.03,
}
WIDTH = 6.3  # inches, the text width of an A4 page
GAP = 2  # white pixels between two images
SHEET_GAP = 12  # between two grids
LEGEND_CHARACTERS = 80  # of all labels in one row of a legend as wide as the page
NAMES = {  # of the metrics of models, in the order in which they are drawn
    "loss": "loss",
    "d_loss": "loss of D",
    "g_loss": "loss of G",
    "d_real": "D(x)",
    "d_fake_g_step": "D(G(z)) before G's step",
    "d_fake_d_step": "D(G(z)) after G's step",
    "reconstruction": "reconstruction",
    "kl": "KL divergence",
    "sigma": "$\\sigma$ of the decoder",
    "mse": "MSE",
    "patch_mse": "MSE in the patch",
    "diversity": "spread of samples",
    "overfitting": "overfitting, $r_v$",
}
# What these words stand for has one colour in all figures; all else has the colours of Matplotlib's cycle in turn.
COLOURS = {
    "training": "tab:blue",
    "validation": "tab:orange",
    "real": "tab:green",
    "real to real": "tab:green",
    "D(x)": "tab:green",
    "generated": "tab:red",
    "generated to real": "tab:red",
    "D(G(z)) before G's step": "tab:red",
    "D(G(z)) after G's step": "tab:pink",
    "D": "tab:purple",
    "loss of D": "tab:purple",
    "G": "tab:brown",
    "loss of G": "tab:brown",
    "overfitting, $r_v$": "tab:gray",
}
WITHOUT_UNIT = ("sigma", "diversity", "overfitting")


def make_grid(images: np.ndarray) -> np.ndarray:
    """Arrange images [rows, columns, h, w, c] as one: floats in [0, 1], [H, W, c], with white gaps between them."""
    images = np.asarray(images)
    images = images / 255 if images.dtype == np.uint8 else np.clip(images, 0, 1)
    rows, columns, height, width, channels = images.shape
    canvas = np.ones((rows, height + GAP, columns, width + GAP, channels))
    canvas[:, :height, :, :width] = images.transpose(0, 2, 1, 3, 4)
    return canvas.reshape(rows * (height + GAP), columns * (width + GAP), channels)[:-GAP, :-GAP]


def square(images: np.ndarray) -> np.ndarray:
    """Arrange images [n, h, w, c] as [side, side, h, w, c], the largest square that they fill; the rest is dropped."""
    images = np.asarray(images)
    side = int(len(images) ** 0.5)
    return images[: side**2].reshape(side, side, *images.shape[1:])


def to_floats(images: np.ndarray) -> np.ndarray:
    """Convert uint8 images to float32 in [0, 1], as models take them; floats stay as they are."""
    images = np.asarray(images)
    return images.astype(np.float32) * np.float32(1 / 255) if images.dtype == np.uint8 else images


def image_rows(
    path: str | os.PathLike,
    rows: Sequence[tuple[str, np.ndarray]],
    title: str | None = None,
    columns: Sequence[str] = (),
) -> None:
    """Draw labelled rows of images.

    Args:
        rows: pairs (label, images [n, h, w, c]) with one n for all rows; the label stands left of its row.
        columns: n labels, which stand above the columns; a label may have several lines.
    """
    canvas = make_grid(np.stack([images for _, images in rows]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, WIDTH * canvas.shape[0] / canvas.shape[1]))
        axes = figure.subplots()
        _show(axes, canvas)
        height = (canvas.shape[0] + GAP) / len(rows)
        for index, (label, _) in enumerate(rows):
            axes.text(-2 * GAP, (index + 0.5) * height - GAP, label, ha="right", va="center")
        width = (canvas.shape[1] + GAP) / max(len(columns), 1)
        for index, label in enumerate(columns):
            axes.text((index + 0.5) * width - GAP / 2 - 0.5, -2 * GAP, label, ha="center", va="bottom")
        lines = max((label.count("\n") + 1 for label in columns), default=0)
        axes.set_title(title, pad=4 + 13 * lines if title else None)
        _save(figure, path)


def save_grid(path: str | os.PathLike, images: np.ndarray) -> None:
    """Write images [rows, columns, h, w, c] as a grid, one pixel of the file for each pixel of the images."""
    canvas = Image.fromarray(np.round(255 * make_grid(images)).astype(np.uint8).squeeze())
    with atomic_write(path) as partial:
        canvas.save(partial, "png")


def animation(path: str | os.PathLike, grids: Sequence[os.PathLike], seconds: float = 10.0) -> None:
    """Join PNG files of one size into an animated GIF, which plays for `seconds` and then repeats.

    All frames have the same 64 colours, so that what does not change takes no space.
    """
    images = [np.asarray(Image.open(file).convert("RGB")) for file in grids]
    colours = Image.fromarray(np.concatenate(images)).quantize(64, dither=Image.Dither.NONE)
    frames = [Image.fromarray(image).quantize(palette=colours, dither=Image.Dither.NONE) for image in images]
    with atomic_write(path) as partial:
        duration = 1000 * seconds / len(frames)
        frames[0].save(partial, "gif", save_all=True, append_images=frames[1:], duration=duration, loop=0)


def tile(images: Sequence[Image.Image], columns: int, gap: int) -> Image.Image:
    """Arrange images of one size in rows of `columns`, with white gaps of `gap` pixels between them."""
    width, height = images[0].width + gap, images[0].height + gap
    sheet = Image.new("RGB", (columns * width - gap, -(-len(images) // columns) * height - gap), "white")
    for index, image in enumerate(images):
        sheet.paste(image, (index % columns * width, index // columns * height))
    return sheet


def contact_sheet(path: str | os.PathLike, grids: Sequence[os.PathLike], columns: int = 10) -> None:
    """Arrange PNG files of one size, at half of it and in 256 colours, in rows of `columns`."""
    images = [Image.open(file).convert("RGB").reduce(2) for file in grids]
    sheet = tile(images, min(columns, len(images)), SHEET_GAP)
    with atomic_write(path) as partial:
        sheet.quantize(256, dither=Image.Dither.NONE).save(partial, "png", optimize=True)


def filmstrip(path: str | os.PathLike, grids: Mapping[str, os.PathLike], columns: int = 4) -> None:
    """Draw PNG files of one size, each under its title, in rows of `columns`."""
    with matplotlib.rc_context(STYLE):
        images = [np.asarray(Image.open(file)) for file in grids.values()]
        rows, columns = -(-len(images) // columns), min(columns, len(images))
        width = WIDTH / columns
        size = (WIDTH, rows * (width * images[0].shape[0] / images[0].shape[1] + 0.2))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(images) :]:
            axes.set_axis_off()
        for axes, title, image in zip(panels.flat, grids, images, strict=False):
            _show(axes, image / 255)
            axes.set_title(title)
        _save(figure, path)


def image_grid(path: str | os.PathLike, images: np.ndarray, width: float = WIDTH, **labels: str) -> None:
    """Draw images [rows, columns, h, w, c] as a grid: interpolations, a latent plane, samples.

    Args:
        width: of the drawn grid, in inches.
        labels: `left` and `right`, below the grid's edges; `xlabel` and `ylabel`, along its axes.
    """
    canvas = make_grid(images)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, width * canvas.shape[0] / canvas.shape[1]))
        axes = figure.subplots()
        _show(axes, canvas)
        below = dict(y=-0.01, va="top", transform=axes.transAxes)
        for side, x in (("left", 0), ("right", 1)):
            axes.text(x, s=labels.get(side, ""), ha=side, **below)
        axes.text(0.5, s=labels.get("xlabel", ""), ha="center", **below)
        axes.text(-0.01, 0.5, labels.get("ylabel", ""), rotation=90, ha="right", va="center", transform=axes.transAxes)
        _save(figure, path)


def curves(
    path: str | os.PathLike,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    log: str = "",
    dashed: Sequence[str] = (),
    references: Sequence[str] = (),
    markers: bool = False,
    ylim: tuple[float, float] | None = None,
    errors: Mapping[str, Sequence[float]] | None = None,
    bands: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Draw lines y(x), one per entry of `series` (label → (x, y)).

    Args:
        log: "x", "y" or "xy": axes with a logarithmic scale.
        dashed: labels drawn as dashed lines, in their own colour if they have one, in that of the line before them,
            or else in black.
        references: labels drawn as dashed black lines, values to compare all others with.
        ylim: ends of the y axis; lines beyond are cut.
        markers: mark the points, and tick the x axis at them.
        errors: label of a line → standard errors of its y, drawn as bars of one up and one down.
        bands: label → (low, high), a grey area between these y.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(0.75 * WIDTH, 0.45 * WIDTH))
        axes = figure.subplots()
        colour = None
        for label, (x, y) in series.items():
            style = dict(marker="o" if markers else None, color=COLOURS.get(label))
            if label in (*dashed, *references):
                before = "black" if label in references else COLOURS.get(label, colour or "black")
                style = dict(linestyle=(0, (3, 3)), zorder=3, color=before)
            (line,) = axes.plot(x, y, label=label, **style)
            colour = line.get_color()
            if errors and label in errors:
                axes.errorbar(x, y, errors[label], fmt="none", ecolor=colour, capsize=3)
        for label, (low, high) in (bands or {}).items():
            axes.axhspan(low, high, color="black", alpha=0.1, linewidth=0, label=label, zorder=0)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        if ylim:  # limits of None would keep those of a linear axis
            axes.set_ylim(ylim)
        if all(float(value).is_integer() for x, _ in series.values() for value in x):
            axes.xaxis.set_major_locator(_whole_numbers())
        for name in log:
            axes.set(**{f"{name}scale": "log"})
            axis = {"x": axes.xaxis, "y": axes.yaxis}[name]
            low, high = axis.get_view_interval()
            if high < 1000 * low:  # else powers of ten are enough
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter("{x:g}")
                axis.set_minor_locator(NullLocator())
        if markers:
            points = sorted({value for x, _ in series.values() for value in x})
            axes.set_xticks(points, [f"{value:g}" for value in points])
            axes.minorticks_off()
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        _save(figure, path)


def bars(
    path: str | os.PathLike, series: Mapping[str, Sequence[float]], *, xlabel: str, ylabel: str, reference: float
) -> None:
    """Draw bars, one group per position and one colour per entry of `series`.

    Args:
        series: label → heights, as many as there are groups.
        reference: height of a dashed line to compare all bars with.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(0.75 * WIDTH, 0.45 * WIDTH))
        axes, width = figure.subplots(), 0.8 / len(series)
        for index, (label, heights) in enumerate(series.items()):
            offset = (index - (len(series) - 1) / 2) * width
            axes.bar(np.arange(len(heights)) + offset, heights, width, label=label)
        axes.axhline(reference, color="black", linestyle=(0, (3, 3)), label="equal shares")
        axes.set(xlabel=xlabel, ylabel=ylabel, xticks=np.arange(len(heights)))
        axes.grid(False, axis="x")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        _save(figure, path)


def training_curves(
    path: str | os.PathLike,
    history: Mapping[str, Sequence[float]],
    *,
    steps: int | None = None,
    title: str | None = None,
    ylabel: str | None = None,
    zoom: bool = False,
) -> None:
    """Draw every metric of a training on training and validation images (`val_…`), one panel per metric.

    Args:
        history: metric → one value per epoch; without a complete epoch, nothing is drawn.
        steps: steps per epoch, to label the axis with steps in place of epochs.
        ylabel: unit of the metrics but those `WITHOUT_UNIT`.
        zoom: draw the second half of the training once more, below, in a scale of its own.
    """
    names = [name for name in history if not name.startswith("val_")]
    names.sort(key=lambda name: list(NAMES).index(name) if name in NAMES else len(NAMES))
    if not names:
        return
    half = max(len(values) for values in history.values()) // 2
    drawn = [(name, 0) for name in names]
    if zoom and half > 1:
        start = range(0, len(names), 3)
        drawn = [(name, first) for i in start for first in (0, half) for name in names[i : i + 3]]
    with matplotlib.rc_context(STYLE):
        rows, columns = -(-len(drawn) // 3), min(len(names), 3)
        figure = Figure(figsize=(WIDTH / 3 * columns, WIDTH / 3 * rows), layout="tight")
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(drawn) :]:
            axes.set_axis_off()
        for axes, (name, first) in zip(panels.flat, drawn, strict=False):
            for label, key in (("training", name), ("validation", f"val_{name}")):
                if key in history:
                    epochs = np.arange(1, len(history[key]) + 1)
                    at = epochs[first:] * (steps or 1)
                    axes.plot(at, history[key][first:], label=label, color=COLOURS[label])
            shown = NAMES.get(name, name)
            axes.xaxis.set_major_locator(_whole_numbers())
            axes.set(xlabel="training steps" if steps else "epoch", title=f"{shown}, second half" if first else shown)
            if axes.get_subplotspec().is_first_col() and name not in WITHOUT_UNIT:
                axes.set_ylabel(ylabel)
        handles, labels = panels.flat[0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, borderpad=0)
        figure.suptitle(title)
        _save(figure, path)


def curve_panels(
    path: str | os.PathLike, panels: Mapping[str, Mapping[str, Sequence[float]]], *, xlabel: str, step: float = 1.0
) -> None:
    """Draw several runs in one panel per quantity, one colour per run.

    Args:
        panels: title → (label of the run → its values, one every `step` of the x axis).
    """
    with matplotlib.rc_context(STYLE):
        rows = -(-len(panels) // 2)
        figure = Figure(figsize=(WIDTH, 0.4 * WIDTH * rows), layout="tight")
        grid = figure.subplots(rows, 2, squeeze=False)
        for axes, (title, runs) in zip(grid.flat, panels.items(), strict=False):
            for label, values in runs.items():
                marker = None if len(values) > 1 else "o"  # one value makes no line
                axes.plot(step * np.arange(1, len(values) + 1), values, marker=marker, label=label)
            axes.xaxis.set_major_locator(_whole_numbers())
            axes.set(xlabel=xlabel, title=title)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        handles, labels = grid[0, 0].get_legend_handles_labels()
        columns = max(min(LEGEND_CHARACTERS // max(map(len, labels)), 3), 1)
        figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, borderpad=0)
        _save(figure, path)


def spectra(path: str | os.PathLike, panels: Mapping[str, np.ndarray]) -> None:
    """Draw power spectra side by side, in one logarithmic scale of grey.

    Args:
        panels: title → power [h, w], the zero frequency in the middle.
    """
    with matplotlib.rc_context(STYLE):
        levels = {title: np.log10(np.maximum(power, 1e-12)) for title, power in panels.items()}
        low, high = (np.percentile(np.stack(list(levels.values())), share) for share in (1, 99))
        figure = Figure(figsize=(WIDTH, WIDTH / len(panels)), layout="compressed")
        row = figure.subplots(1, len(panels), squeeze=False)
        for axes, (title, level) in zip(row[0], levels.items(), strict=True):
            image = axes.imshow(level, cmap="gray", vmin=low, vmax=high, extent=(-0.5, 0.5, -0.5, 0.5))
            axes.set(title=title, xticks=[-0.5, 0, 0.5], yticks=[-0.5, 0, 0.5], xlabel="cycles per pixel")
            axes.label_outer()
            axes.grid(False)
        row[0][0].set_ylabel("cycles per pixel")
        figure.colorbar(image, ax=row[0], label="power, $\\log_{10}$", shrink=0.8)
        _save(figure, path)


def point_panels(
    path: str | os.PathLike,
    panels: Mapping[str, Mapping[str, np.ndarray]],
    *,
    xlabel: str | None = None,
    ylabel: str | None = None,
) -> None:
    """Draw sets of points in the plane, one panel per entry of `panels` and one colour per set, all in one scale.

    Args:
        panels: title → (label → points [n, 2]).
    """
    with matplotlib.rc_context(STYLE):
        columns = min(len(panels), 4)
        rows = -(-len(panels) // columns)
        width = WIDTH / max(columns, 2)
        figure = Figure(figsize=(width * columns, width * rows), layout="tight")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, (title, sets) in zip(grid.flat, panels.items(), strict=False):
            for label, points in sets.items():
                axes.plot(*points.T, ".", markersize=1.5, label=label, color=COLOURS.get(label))
            axes.set(title=title, aspect="equal")
        for axes in grid.flat[max(len(panels) - columns, 0) : len(panels)]:
            axes.tick_params(labelbottom=True)  # the lowest of its column
            axes.set_xlabel(xlabel)
        for axes in grid[:, 0]:
            axes.set_ylabel(ylabel)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=6, handletextpad=0)
        _save(figure, path)


def scatter(
    path: str | os.PathLike,
    panels: Mapping[str, np.ndarray],
    classes: np.ndarray | None,
    *,
    xlabel: str,
    ylabel: str,
) -> None:
    """Draw points in the plane, coloured by class, one panel per entry of `panels`.

    Args:
        panels: title → points [n, 2].
        classes: [n] integers, or None for one colour.
    """
    with matplotlib.rc_context(STYLE):
        width = WIDTH / max(len(panels), 2)
        figure = Figure(figsize=(width * len(panels), width), layout="tight")
        row = figure.subplots(1, len(panels), squeeze=False)
        colours = matplotlib.colormaps["tab10"].colors
        for axes, (title, points) in zip(row[0], panels.items(), strict=True):
            for index, label in enumerate([None] if classes is None else np.unique(classes)):
                chosen = points if label is None else points[classes == label]
                axes.plot(*chosen.T, ".", markersize=1.5, color=colours[index % 10], label=label)
            axes.set(xlabel=xlabel, ylabel=ylabel, title=title, box_aspect=1)
        handles, names = row[0][0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, names, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=6, handletextpad=0)
        _save(figure, path)


def _whole_numbers():
    """Return where the ticks of epochs and steps are: where Matplotlib puts them, but at no part of one."""
    return MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True)


def _show(axes, canvas):
    axes.imshow(canvas.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()


def _save(figure, path):
    """Write the figure atomically, and in greyscale where it has no colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, pil_kwargs={"compress_level": 0})  # it is read again at once
    image = Image.open(buffer).convert("RGB")
    grey = image.convert("L")
    if np.array_equal(np.asarray(grey.convert("RGB")), np.asarray(image)):
        image = grey
    with atomic_write(path) as partial:
        image.save(partial, "png")
