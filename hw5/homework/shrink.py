"""What makes an archive small: scaled figures of fewer colours, MNIST as arrays, all frames in one sheet.

Nothing of the checkout is changed: the smaller files lie in a folder of their own.
"""

import io
import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from hw5.errors import InputError
from hw5.files import atomic_write

MIN_BYTES = 50_000  # smaller figures keep all their pixels and colours
COLUMNS = 10  # of a contact sheet
THUMBNAIL = 128  # pixels, the longer side of a frame in it


class Level(NamedTuple):
    """How far figures are reduced.

    Attributes:
        side: pixels of the longer side, at most.
        colours: at most; None keeps all pixels and colours.
    """

    side: int
    colours: int | None


# The first is lossless. At the last, a thousand figures are smaller than an archive may be.
LEVELS = (Level(0, None), Level(2000, 256), Level(1400, 256), Level(1000, 128), Level(700, 64), Level(400, 32))
LEVELS += (Level(200, 16),)


def reduce_figure(source: Path, target: Path, level: Level) -> str:
    """Write a PNG file, as small as it gets without loss, or with the loss of `level`.

    The new file says how many pixels an inch has, so that it is shown at the size of the old one.

    Returns:
        What was lost, in words, or "".

    Raises:
        InputError: it is no image.
    """
    from hw5.figures import STYLE  # here, so that `--help` need not wait for matplotlib

    try:
        with Image.open(source) as file:
            dpi, _ = file.info.get("dpi", (STYLE["savefig.dpi"], None))
            image = file.convert("L" if file.mode == "L" else "RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{source}: is no image ({error}); run its section again") from error
    original, lost = source.read_bytes(), ""
    if level.colours is None or len(original) <= MIN_BYTES:
        encoded = _png(image)
    else:
        size = image.size
        image.thumbnail((level.side, level.side), Image.Resampling.LANCZOS)
        encoded = _png(image, level.colours, dpi * image.width / size[0])
        if len(encoded) < len(original):
            lost = f"{size[0]}×{size[1]} → {image.width}×{image.height} pixels, {level.colours} colours at most"
    with atomic_write(target) as partial:
        partial.write_bytes(min(encoded, original, key=len))
    return lost


def _png(image, colours=None, dpi=None):
    """Encode an image as PNG: of at most so many colours, or without loss, with a palette if 256 colours suffice."""
    if colours is not None:
        image = image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    elif image.mode == "RGB" and image.getcolors(256) is not None:
        codes = np.asarray(image, np.uint32) @ (1 << np.array([16, 8, 0], np.uint32))
        palette, indices = np.unique(codes, return_inverse=True)
        image = Image.fromarray(indices.reshape(codes.shape).astype(np.uint8), "P")
        image.putpalette(b"".join(int(code).to_bytes(3, "big") for code in palette))
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True, **({"dpi": (dpi, dpi)} if dpi else {}))
    return buffer.getvalue()


def contact_sheet(frames: list[Path], target: Path) -> int:
    """Draw small copies of image files in their order, in rows of ten. A single GIF stands for its frames.

    Returns:
        Their number.
    """
    from hw5.figures import STYLE, tile  # here, so that `--help` need not wait for matplotlib

    if len(frames) == 1:
        with Image.open(frames[0]) as file:
            images = []
            for index in range(getattr(file, "n_frames", 1)):
                file.seek(index)
                images.append(file.convert("RGB"))
    else:
        images = [Image.open(path).convert("RGB") for path in frames]
    for image in images:
        image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    with atomic_write(target) as partial:
        partial.write_bytes(_png(tile(images, COLUMNS, gap=4), 256, STYLE["savefig.dpi"]))
    return len(images)


def mnist_as_arrays(folder: Path, target: Path) -> Path:
    """Write the images and labels of a TFDS folder of MNIST as one .npz file, which has half the size.

    `hw5.data.load("mnist")` reads it where the package has no TFDS folder. A file that is newer than the folder's is
    kept.
    """
    newest = max(path.stat().st_mtime for path in folder.rglob("*"))
    if target.is_file() and target.stat().st_mtime > newest:
        return target
    from hw5 import data  # here, so that `--help` need not wait for TensorFlow

    print("mnist: packed as arrays; this takes a minute", flush=True)
    arrays = {}
    for split in data.splits(folder):
        arrays[f"{split}_images"] = data.load(folder, split)[..., 0]
        arrays[f"{split}_labels"] = data.load(folder, split, feature="label").astype(np.uint8)
    with atomic_write(target) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)
    return target


def clear(folder: Path) -> Path:
    """Make an empty folder, in place of an older one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
