"""Plots: the places of images in a grid, and files that are complete, small and grey where they have no colours."""

import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import same_color
from PIL import Image

from hw5 import figures
from hw5.figures import GAP, plots
from hw5.figures.plots import SHEET_GAP


def test_a_grid_puts_every_image_in_its_place():
    images = np.arange(6).reshape(2, 3, 1, 1, 1) / 10 * np.ones((2, 3, 4, 5, 1))
    canvas = figures.make_grid(images)
    assert canvas.shape == (2 * 4 + GAP, 3 * 5 + 2 * GAP, 1)
    for row in range(2):
        for column in range(3):
            top, left = row * (4 + GAP), column * (5 + GAP)
            np.testing.assert_array_equal(canvas[top : top + 4, left : left + 5], images[row, column])
    assert np.all(canvas[4 : 4 + GAP] == 1)
    assert np.all(canvas[:, 5 : 5 + GAP] == 1)


def test_a_grid_reads_bytes_and_clips_floats():
    np.testing.assert_allclose(figures.make_grid(np.full((1, 1, 2, 2, 3), 51, np.uint8)), 0.2)
    np.testing.assert_array_equal(figures.make_grid(np.full((1, 1, 2, 2, 1), 7.0)), np.ones((2, 2, 1)))
    np.testing.assert_array_equal(figures.make_grid(np.full((1, 1, 2, 2, 1), -7.0)), np.zeros((2, 2, 1)))


def test_the_largest_square_of_images():
    images = np.arange(7).reshape(7, 1, 1, 1)
    np.testing.assert_array_equal(figures.square(images)[..., 0, 0, 0], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(figures.square(images[:1])[..., 0, 0, 0], [[0]])


def test_bytes_become_the_floats_that_models_take():
    levels = np.arange(256, dtype=np.uint8)
    floats = plots.to_floats(levels)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, levels / 255, rtol=1e-6)
    np.testing.assert_array_equal(plots.to_floats(floats), floats)


def test_figures_need_no_tensorflow():
    line = [sys.executable, "-X", "importtime", "-c", "import hw5.figures"]
    imported = subprocess.run(line, capture_output=True, text=True, check=True).stderr
    assert "hw5.figures.gan" in imported
    assert not re.search(r"\b(tensorflow|keras|hw5\.models|hw5\.training|hw5\.data)\b", imported)


def test_the_users_own_plots_are_left_alone(tmp_path):
    matplotlib.get_backend()  # chooses one
    before = dict(matplotlib.rcParams)
    draw_all(tmp_path)
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []


def draw_all(folder):
    rng = np.random.default_rng(0)
    grey, colour = rng.random((4, 8, 8, 1)), rng.random((4, 8, 8, 3))
    figures.image_rows(folder / "rows.png", [("original", grey), ("$k = 2$", grey)], title="title")
    figures.image_grid(folder / "grid.png", colour.reshape(2, 2, 8, 8, 3), left="left", right="right")
    line = (range(1, 4), [1.0, 0.5, 0.1])
    figures.curves(
        folder / "curves.png", {"a": line, "b": line}, xlabel="x", ylabel="y", log="xy", dashed=["b"], markers=True
    )
    points = {"one": rng.normal(size=(50, 2)), "two": rng.normal(size=(50, 2))}
    figures.scatter(folder / "scatter.png", points, np.arange(50) % 10, xlabel="x", ylabel="y")
    figures.image_rows(folder / "columns.png", [("row", grey)], title="title", columns=["−3", "−1", "1", "3"])
    figures.bars(folder / "bars.png", {"a": [1, 2, 3], "b": [3, 2, 1]}, xlabel="class", ylabel="%", reference=2)
    runs = {"lr 0.1": [1.0, 0.5, 0.2], "lr 0.2": [1.0, 2.0], "lr 9": []}
    figures.curve_panels(folder / "panels.png", dict.fromkeys(["D", "G", "D(x)"], runs), xlabel="steps", step=10)
    figures.point_panels(folder / "points.png", {f"step {i}": points for i in range(5)})
    grids = {f"step {i}": folder / f"{i}.grid" for i in range(3)}
    for path in grids.values():
        figures.save_grid(path, rng.random((2, 3, 8, 8, 1)))
    figures.filmstrip(folder / "strip.png", grids)
    for path in grids.values():
        path.unlink()


def test_curves_of_one_value_are_seen_and_long_names_stay_on_the_page(tmp_path):
    names = [f"results/section2/k5_epochs1_train_size512_seed{seed}" for seed in range(3)]
    figures.curve_panels(tmp_path / "one.png", {"loss": {name: [1.0] for name in names}}, xlabel="epochs")
    figures.curve_panels(tmp_path / "none.png", {"loss": {name: [np.nan] for name in names}}, xlabel="epochs")
    one, none = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")) for name in ("one", "none"))
    coloured = [(np.ptp(image.astype(int), axis=2) > 50).sum() for image in (one, none)]
    assert coloured[0] > coloured[1]  # by the points; the legend is in both
    assert one.shape[1] < 1.05 * 200 * figures.WIDTH


def test_figures_are_pngs_without_leftovers(tmp_path):
    draw_all(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".png"}
    modes = {path.stem: Image.open(path).mode for path in tmp_path.iterdir()}
    grey = {"rows": "L", "columns": "L", "strip": "L"}
    assert modes == dict.fromkeys(["grid", "curves", "scatter", "panels", "points", "bars"], "RGB") | grey
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 300_000


def test_figures_are_tight(tmp_path):
    draw_all(tmp_path)
    for path in tmp_path.iterdir():
        ink = np.asarray(Image.open(path).convert("L")) < 250
        border = figures.STYLE["savefig.dpi"] // 10  # a tenth of an inch
        assert ink[:border].any(), path
        assert ink[-border:].any(), path
        assert ink[:, :border].any(), path
        assert ink[:, -border:].any(), path


def test_a_failed_figure_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "grid.png"
    figures.image_grid(path, np.zeros((1, 1, 8, 8, 1)))
    before = path.read_bytes()

    save = Image.Image.save

    def disk_full(self, file, *arguments, **options):
        if not isinstance(file, Path):
            return save(self, file, *arguments, **options)  # by Matplotlib, into memory
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", disk_full)
    with pytest.raises(OSError, match="No space"):
        figures.image_grid(path, np.ones((1, 1, 8, 8, 1)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_training_curves_show_the_history(tmp_path):
    history = {"kl": [1.0, 2.0], "loss": [3.0, 2.0], "val_kl": [1.5, 2.5], "val_loss": [3.5, 3.0]}
    variants = {
        "one": history,
        "again": history,
        "other training": history | {"loss": [3.0, 2.5]},
        "other validation": history | {"val_loss": [3.5, 2.5]},
        "without validation": {name: history[name] for name in ("kl", "loss")},
        "longer": {name: [*values, 1.0] for name, values in history.items()},
    }
    for name, variant in variants.items():
        figures.training_curves(tmp_path / f"{name}.png", variant)
    assert {Image.open(path).format for path in tmp_path.iterdir()} == {"PNG"}
    drawn = {name: (tmp_path / f"{name}.png").read_bytes() for name in variants}
    assert drawn["again"] == drawn["one"]
    assert len(set(drawn.values())) == len(variants) - 1


def test_more_than_three_metrics_go_on_in_further_rows(tmp_path):
    sizes = {}
    for count in (1, 3, 4, 7):
        figures.training_curves(tmp_path / "curves.png", {f"metric {i}": [1.0, 0.5] for i in range(count)})
        sizes[count] = Image.open(tmp_path / "curves.png").size
    (width, height), panel = sizes[3], figures.WIDTH / 3 * figures.STYLE["savefig.dpi"]
    assert width - sizes[1][0] == pytest.approx(2 * panel, rel=0.02)
    assert height == pytest.approx(panel, rel=0.25)
    assert sizes[4] == pytest.approx((width, height + panel), rel=0.02)
    assert sizes[7] == pytest.approx((width, height + 2 * panel), rel=0.02)


def axes_of(monkeypatch, draw):
    """Return the axes of the figure that a function draws."""
    kept = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: kept.append(figure))
    draw()
    return kept[0].axes


def test_the_second_half_of_a_training_is_drawn_in_its_own_scale(monkeypatch):
    history = {name: [100.0, 10.0, 2.0, 1.0] for name in ("loss", "kl", "val_loss")}
    axes = axes_of(monkeypatch, lambda: figures.training_curves("", history, steps=5, ylabel="nats", zoom=True))
    shown = [[(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in one.lines] for one in axes[:4]]
    whole, half = ([5, 10, 15, 20], [100, 10, 2, 1]), ([15, 20], [2, 1])
    assert shown == [[whole, whole], [whole], [half, half], [half]]
    titles = ["loss", "KL divergence", "loss, second half", "KL divergence, second half"]
    assert [one.get_title() for one in axes[:4]] == titles
    assert [one.get_ylabel() for one in axes[:4]] == ["nats", "", "nats", ""]


def test_a_reference_is_black_and_a_dashed_line_has_the_colour_before_it(monkeypatch):
    lines = dict.fromkeys(["a", "bound of a", "equilibrium"], ([1, 2], [0.2, 0.3]))
    how = dict(xlabel="x", ylabel="y", dashed=["bound of a"], references=["equilibrium"], ylim=(0, 1))
    (axes,) = axes_of(monkeypatch, lambda: figures.curves("", lines, **how))
    first, bound, equilibrium = (line.get_color() for line in axes.lines)
    assert first == bound != equilibrium == "black"
    assert axes.get_ylim() == (0, 1)


def test_a_meaning_has_one_colour_in_all_figures(monkeypatch):
    history = {"sigma": [0.2, 0.1], "d_real": [0.6, 0.5], "loss": [2.0, 1.0], "val_loss": [2.5, 1.5], "other": [1, 2]}
    panels = axes_of(monkeypatch, lambda: figures.training_curves("", history, ylabel="nats"))
    assert [one.get_title() for one in panels[:4]] == ["loss", "D(x)", "$\\sigma$ of the decoder", "other"]
    assert [one.get_ylabel() for one in panels[:4]] == ["nats", "", "", "nats"]  # σ has no unit; "other" begins a row
    colours = {line.get_label(): line.get_color() for one in panels for line in one.lines}
    lines = dict.fromkeys(["real to real", "D(x)", "mine", "D", "validation"], ([1, 2], [0.2, 0.3]))
    (axes,) = axes_of(monkeypatch, lambda: figures.curves("", lines, xlabel="", ylabel="", dashed=["real to real"]))
    colours |= {line.get_label(): line.get_color() for line in axes.lines if line.get_label() != "validation"}
    points, *_ = axes_of(monkeypatch, lambda: figures.point_panels("", {"": dict.fromkeys(["real"], np.zeros((1, 2)))}))
    colours |= {line.get_label(): line.get_color() for line in points.lines}
    assert colours["real"] == colours["real to real"] == colours["D(x)"]
    assert len({colours[name] for name in ("real", "D", "training", "validation")}) == 4
    assert axes.lines[-1].get_color() == colours["validation"]
    assert same_color(axes.lines[2].get_color(), "C0")  # the first of the cycle


def test_columns_may_have_labels_of_two_lines(monkeypatch):
    def pad(columns):
        draw = lambda: figures.image_rows("", [("row", np.zeros((2, 8, 8, 1)))], title="title", columns=columns)  # noqa: E731
        (axes,) = axes_of(monkeypatch, draw)
        return axes.titleOffsetTrans.get_matrix()[1, 2]

    assert pad(()) < pad(["a", "b"]) < pad(["a\nb", "c"])


def test_a_contact_sheet_shows_every_grid_in_its_place(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for index, path in enumerate(paths):
        Image.new("RGB", (8, 4), (50 * index, 0, 255 - 50 * index)).save(path)
    figures.contact_sheet(tmp_path / "sheet.png", paths, columns=3)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
    assert sheet.shape == (2 * 2 + SHEET_GAP, 3 * 4 + 2 * SHEET_GAP, 3)
    for index in range(5):
        top, left = index // 3 * (2 + SHEET_GAP), index % 3 * (4 + SHEET_GAP)
        tile = sheet[top : top + 2, left : left + 4]
        assert np.abs(tile - [50 * index, 0, 255 - 50 * index]).max() <= 2
    assert np.all(sheet[2 + SHEET_GAP :, 2 * (4 + SHEET_GAP) :] == 255)  # no sixth


def test_epochs_and_steps_have_no_fractions(monkeypatch):
    history = {"loss": [3.0, 2.0, 1.0]}
    drawings = [
        lambda: figures.curves("", {"a": ([1, 2, 3], history["loss"])}, xlabel="", ylabel=""),
        lambda: figures.training_curves("", history),
        lambda: figures.curve_panels("", {"": history}, xlabel=""),
    ]
    for draw in drawings:
        axes, *_ = axes_of(monkeypatch, draw)
        assert all(float(tick).is_integer() for tick in axes.get_xticks())
    (axes,) = axes_of(monkeypatch, lambda: figures.curves("", {"a": ([0.5, 1], [1, 2])}, xlabel="", ylabel=""))
    assert any(not float(tick).is_integer() for tick in axes.get_xticks())


def test_a_logarithmic_axis_of_few_decades_has_numbers_to_read(monkeypatch):
    lines = {"a": ([1, 40], [0.003, 0.06])}
    (axes,) = axes_of(monkeypatch, lambda: figures.curves("", lines, xlabel="x", ylabel="y", log="xy"))
    ticks = [tick for tick in axes.get_yticks() if 0.003 <= tick <= 0.06]
    np.testing.assert_allclose(ticks, [0.005, 0.01, 0.02, 0.05])
    assert axes.yaxis.get_major_formatter()(0.005) == "0.005"
    assert [tick for tick in axes.get_xticks() if 1 <= tick <= 40] == [1, 2, 5, 10, 20]
    assert axes.xaxis.get_major_formatter()(20) == "20"


def test_a_line_fills_a_logarithmic_axis(monkeypatch):
    lines = {"a": ([1, 2], [0.003, 0.06])}
    for log in ("y", "xy"):
        (axes,) = axes_of(monkeypatch, lambda log=log: figures.curves("", lines, xlabel="x", ylabel="y", log=log))
        low, high = axes.get_ylim()
        assert 0.003 / 1.5 < low < 0.003 < 0.06 < high < 0.06 * 1.5


def test_points_are_in_one_scale_for_both_axes_and_all_panels(monkeypatch):
    panels = {"small": {"a": np.array([[0.0, 0.0], [1.0, 0.1]])}, "large": {"a": np.array([[-5.0, 0.0], [5.0, 2.0]])}}
    axes = axes_of(monkeypatch, lambda: figures.point_panels("", panels))
    assert axes[0].get_xlim() == axes[1].get_xlim()
    assert axes[0].get_aspect() == axes[1].get_aspect() == 1


def test_columns_are_labelled_over_their_middle(monkeypatch):
    images = np.zeros((3, 8, 8, 1))
    (axes,) = axes_of(monkeypatch, lambda: figures.image_rows("", [("row", images)], columns=["a", "b", "c"]))
    at = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert [at[label] for label in "abc"] == [3.5, 13.5, 23.5]  # of pixels 0 to 7, 10 to 17 and 20 to 27


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_saved_grid_has_a_pixel_for_every_pixel(tmp_path, channels, mode):
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4, channels), np.uint8)
    figures.save_grid(tmp_path / "new" / "bytes.png", images)
    figures.save_grid(tmp_path / "floats.png", images / 255)
    with Image.open(tmp_path / "new" / "bytes.png") as image:
        assert (image.format, image.mode) == ("PNG", mode)
        drawn = np.asarray(image).reshape(2 * 5 + GAP, 3 * 4 + 2 * GAP, channels)
    for row in range(2):
        for column in range(3):
            top, left = row * (5 + GAP), column * (4 + GAP)
            np.testing.assert_array_equal(drawn[top : top + 5, left : left + 4], images[row, column])
    assert np.all(drawn[5 : 5 + GAP] == 255)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "floats.png")), drawn.squeeze())


@pytest.mark.parametrize("channels", [1, 3])
def test_an_animation_shows_every_grid_and_repeats(tmp_path, channels):
    rng = np.random.default_rng(0)
    flat = rng.integers(0, 256, (5, 1, 2, 1, 1, channels), np.uint8)  # two colours per grid
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, images in zip(paths, flat.repeat(6, axis=3).repeat(8, axis=4), strict=True):
        figures.save_grid(path, images)
    figures.animation(tmp_path / "all.gif", paths, seconds=2.0)
    with Image.open(tmp_path / "all.gif") as animation:
        assert (animation.format, animation.n_frames, animation.info["loop"]) == ("GIF", 5, 0)
        for frame, path in enumerate(paths):
            animation.seek(frame)
            assert animation.info["duration"] == 400
            shown, original = (np.asarray(image.convert("RGB")) for image in (animation, Image.open(path)))
            assert np.abs(shown.astype(int) - original).max() <= 3
