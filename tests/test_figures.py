"""Figures: what lies where in a grid, and files that are complete, small and grey where they are grey."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw5 import figures
from hw5.figures import GAP


def test_tile_puts_every_image_in_its_place():
    images = np.arange(6).reshape(2, 3, 1, 1, 1) / 10 * np.ones((2, 3, 4, 5, 1))
    canvas = figures.tile(images)
    assert canvas.shape == (2 * 4 + GAP, 3 * 5 + 2 * GAP, 1)
    for row in range(2):
        for column in range(3):
            top, left = row * (4 + GAP), column * (5 + GAP)
            np.testing.assert_array_equal(canvas[top : top + 4, left : left + 5], images[row, column])
    assert np.all(canvas[4 : 4 + GAP] == 1)
    assert np.all(canvas[:, 5 : 5 + GAP] == 1)


def test_tile_reads_bytes_and_clips_floats():
    np.testing.assert_allclose(figures.tile(np.full((1, 1, 2, 2, 3), 51, np.uint8)), 0.2)
    np.testing.assert_array_equal(figures.tile(np.full((1, 1, 2, 2, 1), 7.0)), np.ones((2, 2, 1)))
    np.testing.assert_array_equal(figures.tile(np.full((1, 1, 2, 2, 1), -7.0)), np.zeros((2, 2, 1)))


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


def test_figures_are_pngs_without_leftovers(tmp_path):
    draw_all(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "grid.png", "rows.png", "scatter.png"]
    modes = {path.stem: Image.open(path).mode for path in tmp_path.iterdir()}
    assert modes == {"rows": "L", "grid": "RGB", "curves": "RGB", "scatter": "RGB"}
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

    save = figures.Image.Image.save

    def disk_full(self, file, *arguments, **options):
        if not isinstance(file, Path):
            return save(self, file, *arguments, **options)  # Matplotlib's, into memory
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(figures.Image.Image, "save", disk_full)
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
    pictures = {name: (tmp_path / f"{name}.png").read_bytes() for name in variants}
    assert pictures["again"] == pictures["one"]
    assert len(set(pictures.values())) == len(variants) - 1
