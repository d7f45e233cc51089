"""One image file of any kind that Pillow reads, as grey or RGB bytes.

Colour profiles and gamma are not applied, as is usual in the evaluation of images. Of an animation or of several
pages the first image is taken. The orientation of EXIF is applied. Transparent pixels are composited on white.
"""

import functools
import io
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFile, ImageOps

from hw5.data.values import Extremes, find_white, to_bytes

# Formats that Pillow recognises, but only writes, or leaves to other programs.
UNREADABLE_FORMATS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"}
GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"}
MODES_WITH_ALPHA = {"P", "PA", "LA", "La", "RGBA", "RGBa"}  # the palette of P may have it
FORMATS_OF_16_BITS = {"PNG", "PPM", "JPEG2000"}  # their images of mode I; Pillow scales those of fewer bits to 16
CODECS_OF_16_BITS = {"raw", "zip", "libtiff"}  # they take the order of two bytes from the raw mode
BITS_PER_SAMPLE, PHOTOMETRIC, PLANAR, SAMPLE_FORMAT = 258, 262, 284, 339  # tags of TIFF
NATIVE_ORDER = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF", "F;64BF": "F;64NF"}
WHITE_IS_ZERO, UNSIGNED, SIGNED, ONE_CHANNEL_AFTER_THE_OTHER = 0, 1, 2, 2


def to_array(
    file, size: int | None = None, channels: int | None = None, white_of: Callable | None = None
) -> np.ndarray:
    """Decode one image file to uint8 [size, size, channels]; without a size it keeps its height and width.

    An image of another size is resized to cover the square (Lanczos) and cropped to its centre. Numbers of 16 bits
    are divided by 257 and rounded. Floats and 32-bit integers are converted by the rule of `hw5.data.values`.

    Args:
        file: a path, an open binary file, or the bytes of one.
        channels: 1: greyscale, 3: RGB, None: what the file has.
        white_of: a function that maps the numbers of a float or 32-bit image to the one that means white; by
            default it is found from this image alone.

    Raises:
        Exception: the file is damaged, not an image or not clear. Pillow raises exceptions of many types.
    """
    encoded = read_bytes(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        image = open_image(encoded)
        if not all(image.size):
            raise ValueError("it has no pixels")
        channels = channels or (1 if is_grey(image) else 3)
        image = _to_eight_bits(image, encoded, white_of)
        if image.mode in MODES_WITH_ALPHA or "transparency" in image.info:
            straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)
            image = image.convert(straight).convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        if image.mode != "L":
            image = image.convert("RGB")
        image = image.convert("L" if channels == 1 else "RGB")
        if size:
            image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(*image.size[::-1], channels)


def read_bytes(file) -> bytes:
    """Return the contents of a path, an open binary file, or bytes."""
    if isinstance(file, bytes):
        return file
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as opened:
            return opened.read()
    return file.read()


def open_image(encoded: bytes) -> Image.Image:
    """Read the header of an image file, and check the checksums of a PNG, which Pillow does not do for pixels."""
    if encoded.startswith(b"\x89PNG\r\n\x1a\n"):
        _check_png(encoded)
    image = Image.open(io.BytesIO(encoded), formats=readable_formats())
    if _codecs(image) == {"libtiff"}:  # it returns numbers in this machine's order, which Pillow forgets for some
        image.tile = _with_raw_mode(image.tile, lambda name: NATIVE_ORDER.get(name, name))
    tags = getattr(image, "tag_v2", {})
    if tags.get(PLANAR) == ONE_CHANNEL_AFTER_THE_OTHER and set(tags.get(BITS_PER_SAMPLE, ())) == {16}:
        order = "L" if tags.prefix == b"II" else "B"  # Pillow forgets it, and reads bytes
        image.tile = _with_raw_mode(image.tile, lambda name: f"{name};16{order}" if len(name) == 1 else name)
    return image


def holds_several(encoded: bytes) -> bool:
    """Check for an animation or several pages, of an image file that can be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(encoded), formats=readable_formats())
        # MPO is a JPEG with previews, or with views for the left and the right eye.
        return image.format != "MPO" and getattr(image, "is_animated", False)


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that it can decode on this machine."""
    try:  # HEIC needs a package of its own
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    Image.init()
    return tuple(name for name in Image.OPEN if name not in UNREADABLE_FORMATS)


@functools.cache
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of the files of these formats, in lower case: ".png" …"""
    formats = readable_formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def is_grey(image: Image.Image) -> bool:
    """Check whether an image has no colours; a palette counts by its colours."""
    if image.mode != "P":
        return image.mode in GREY_MODES or _raw_mode(image) == "LA;16B"
    palette = np.reshape(image.getpalette("RGB"), (-1, 3))
    return bool((palette == palette[:, :1]).all())


def unscaled_numbers(image: Image.Image) -> np.ndarray | None:
    """Return the numbers of an image that does not state which number is white; None for all other images."""
    if image.mode == "F":
        return np.asarray(image)
    if _has_signed_bytes(image):
        return np.asarray(image).view(np.int8)
    if image.mode != "I" or image.format in FORMATS_OF_16_BITS:
        return None
    numbers, tags = np.asarray(image), getattr(image, "tag_v2", {})
    (bits, *_), (kind, *_) = tags.get(BITS_PER_SAMPLE, (32,)), tags.get(SAMPLE_FORMAT, (UNSIGNED,))
    if bits == 16:
        return numbers.astype(np.int16)
    return numbers.view(np.uint32) if tags and kind == UNSIGNED else numbers


def _to_eight_bits(image, encoded, white_of):
    """Load an image in its orientation, and round its numbers to bytes; the mode is one that Pillow converts."""
    if (deep := _sixteen_bits(image, encoded)) is not None:
        return deep
    raw_mode, key = _raw_mode(image), image.info.get("transparency")
    if raw_mode in ("L;2", "L;4") and isinstance(key, int):  # Pillow scales the pixels, but not this
        image.info["transparency"] = key * {"L;2": 85, "L;4": 17}[raw_mode]
    tags, image_format = getattr(image, "tag_v2", {}), image.format
    image = ImageOps.exif_transpose(image)
    image.format, image.tag_v2 = image_format, tags
    if not image.mode.startswith(("I", "F")) and not _has_signed_bytes(image):
        return image
    numbers = unscaled_numbers(image)
    if numbers is None:
        numbers, white = np.asarray(image), 4095 if tags.get(BITS_PER_SAMPLE) == (12,) else 65535
    else:
        white = (white_of or _white_of_one)(numbers)
    grey = to_bytes(numbers, white)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    if key is None:
        return Image.fromarray(grey)
    return Image.fromarray(np.dstack([grey, np.where(numbers == key, 0, 255).astype(np.uint8)]))


def _has_signed_bytes(image):
    tags = getattr(image, "tag_v2", {})
    return image.mode == "L" and tuple(tags.get(SAMPLE_FORMAT, ())) == (SIGNED,)  # Pillow takes them for unsigned


def _white_of_one(numbers):
    return find_white(Extremes.of(numbers), numbers.dtype)


def _raw_mode(image):
    args = image.tile[0][3] if image.tile else None
    return args if isinstance(args, str) else args[0] if args and isinstance(args[0], str) else ""


def _sixteen_bits(image, encoded):
    """Load an image with several channels of 16 bits, rounded to 8, or return None for all others.

    Pillow keeps only the high byte, which is up to one level darker. It is made to read the low byte as the high
    one in a second pass. The few decoders that cannot do that are left as they are.
    """
    names, _, order = _raw_mode(image).partition(";16")
    if order not in ("B", "L", "N") or image.mode not in ("RGB", "RGBA", "CMYK") or names == "RGBa":
        return None
    codecs, planar = _codecs(image), getattr(image, "tag_v2", {}).get(PLANAR)
    if not codecs <= CODECS_OF_16_BITS or (codecs == {"libtiff"} and planar == ONE_CHANNEL_AFTER_THE_OTHER):
        return None
    if names == "LA":  # four bytes, as of RGBA: grey, its low byte, alpha, its low byte
        image.tile = _with_raw_mode(image.tile, lambda raw_mode: "RGBA")
        grey_alpha = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
        numbers = 256 * grey_alpha[..., ::2] + grey_alpha[..., 1::2]
        return Image.fromarray(to_bytes(numbers, 65535))
    own = order.replace("N", "L" if sys.byteorder == "little" else "B")
    other = "B" if own == "L" else "L"
    low = open_image(encoded)
    image.tile = _with_raw_mode(image.tile, lambda raw_mode: raw_mode.replace(f";16{order}", f";16{own}"))
    low.tile = _with_raw_mode(low.tile, lambda raw_mode: raw_mode.replace(f";16{order}", f";16{other}"))
    high, low = (np.asarray(ImageOps.exif_transpose(part)).astype(np.uint16) for part in (image, low))
    numbers, key = 256 * high + low, image.info.get("transparency")
    pixels = to_bytes(numbers, 65535)
    if key is None:
        return Image.frombytes(image.mode, pixels.shape[1::-1], pixels.tobytes())
    alpha = np.where((numbers == key).all(axis=-1), 0, 255).astype(np.uint8)
    return Image.fromarray(np.dstack([pixels, alpha]))


def _codecs(image):
    return {codec for codec, *_ in image.tile}


def _with_raw_mode(tiles, change):
    """Change the raw mode in the parts of an image that Pillow is going to decode."""

    def changed(args):
        return change(args) if isinstance(args, str) else (change(args[0]), *args[1:])

    make = getattr(ImageFile, "_Tile", lambda *parts: parts)  # a named tuple since Pillow 11
    return [make(codec, extents, offset, changed(args)) for codec, extents, offset, args in tiles]


def _check_png(encoded):
    position, kind = 8, b""
    while kind != b"IEND":
        if len(encoded) < position + 12:
            raise ValueError("the file ends too early")
        length, kind = struct.unpack_from(">I4s", encoded, position)
        end = position + 8 + length
        if len(encoded) < end + 4:
            raise ValueError("the file ends too early")
        if zlib.crc32(encoded[position + 4 : end]) != int.from_bytes(encoded[end : end + 4], "big"):
            raise ValueError(f"the checksum of its {kind.decode('latin-1')!r} part is wrong")
        position = end + 4
