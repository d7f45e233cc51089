"""Image files of every container, mode and bit depth, against conversions written from the definitions."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from images import png, tiff
from PIL import Image, ImageOps

from hw5.data.decode import readable_formats, readable_suffixes, to_array
from hw5.errors import InputError

# The modes that a container stores as they are, and how to write it without loss.
LOSSLESS = {
    "BMP": (["1", "L", "P", "RGB"], [{}]),
    "DDS": (["L", "LA", "RGB", "RGBA"], [{}]),
    "DIB": (["1", "L", "P", "RGB"], [{}]),
    "GIF": (["1", "L", "P"], [{}]),
    "ICO": (["1", "L", "LA", "P", "RGB", "RGBA", "I;16"], [{"sizes": [(16, 16)]}]),
    "IM": (
        ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I", "I;16", "I;16L", "I;16B", "F"],
        [{}],
    ),
    "JPEG2000": (["L", "LA", "RGB", "RGBA", "CMYK", "I;16"], [{}]),
    "MSP": (["1"], [{}]),
    "PCX": (["1", "L", "P", "RGB"], [{}]),
    "PNG": (["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B"], [{}]),
    "PPM": (["1", "L", "RGB", "I", "I;16", "F"], [{}]),
    "QOI": (["RGB", "RGBA"], [{}]),
    "SGI": (["L", "RGB", "RGBA"], [{}]),
    "SPIDER": (["F"], [{}]),
    "TGA": (["1", "L", "LA", "P", "RGB", "RGBA"], [{}, {"compression": "tga_rle"}]),
    "TIFF": (
        ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"]
        + ["I", "I;16", "I;16L", "I;16B", "F"],
        [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}, {"compression": "packbits"}],
    ),
    "WEBP": (["RGB", "RGBA"], [{"lossless": True, "exact": True}]),
    "XBM": (["1"], [{}]),
}
LOSSY = {"AVIF", "JPEG", "MPO", "WEBP"}
# Containers in which Pillow writes what it or we do not read, those that hold several sizes, and textures.
OTHERS = {"BLP", "BUFR", "EPS", "GRIB", "HDF5", "ICNS", "PALM", "PDF", "WMF"}
CASES = [(name, mode, how) for name, (modes, options) in LOSSLESS.items() for mode in modes for how in options]
CASES.remove(("TGA", "1", {"compression": "tga_rle"}))  # there is no such thing
QUICK = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SIDE = 16
NUMBERS = {"I": np.int32, "I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "F": np.float32}


def make(mode, seed, white):
    """Draw an image, and compute its pixels as RGB from the definition of its mode, before alpha."""
    rng = np.random.default_rng(seed)
    bands = {"RGBX": 4, "CMYK": 4}.get(mode, len(Image.new(mode, (1, 1)).getbands()))
    if mode in NUMBERS:
        whole = rng.integers(0, int(white), (SIDE, SIDE), endpoint=True) if white > 1 else rng.random((SIDE, SIDE))
        numbers = whole.astype(NUMBERS[mode])
        numbers[0, 0] = white  # or the range would not be clear
        image = Image.frombytes(mode, (SIDE, SIDE), numbers.tobytes())
        return image, np.round(np.float64(numbers) * 255 / white)[..., None].repeat(3, axis=2), None
    if mode == "1":
        bits = rng.random((SIDE, SIDE)) < 0.5
        return Image.fromarray(bits), 255.0 * bits[..., None].repeat(3, axis=2), None
    samples = rng.integers(0, 256, (SIDE, SIDE, bands), np.uint8)
    palette = rng.integers(0, 256, (256, 3), np.uint8)
    if mode == "LAB":
        samples[..., 1:] = rng.integers(118, 139, (SIDE, SIDE, 2))  # colours that sRGB has
        samples[..., 0] = rng.integers(60, 200, (SIDE, SIDE))
        image = Image.merge("LAB", [Image.fromarray(samples[..., band]) for band in range(3)])
    else:
        image = Image.frombytes(mode, (SIDE, SIDE), samples.tobytes())
    if mode in ("P", "PA"):
        image.putpalette(palette.tobytes())
    values = np.float64(samples)
    alpha = values[..., -1:] if mode in ("LA", "PA", "RGBA") else None
    grey = values[..., :1].repeat(3, axis=2)
    pixels = {
        "L": lambda: grey,
        "LA": lambda: grey,
        "P": lambda: np.float64(palette[samples[..., 0]]),
        "PA": lambda: np.float64(palette[samples[..., 0]]),
        "CMYK": lambda: (255 - values[..., :3]) * (255 - values[..., 3:]) / 255,
        "YCbCr": lambda: from_ycbcr(values),
        "LAB": lambda: from_lab(values),
    }
    return image, pixels.get(mode, lambda: values[..., :3])(), alpha


def from_ycbcr(values):
    """JFIF: the inverse of ITU-R BT.601 with full range."""
    y, cb, cr = values[..., 0], values[..., 1] - 128, values[..., 2] - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(rgb, 0, 255)


def from_lab(values):
    """CIE 1976 L*a*b* with the white of D50, and sRGB (IEC 61966-2-1) adapted to it by Bradford's matrix."""
    lightness, a, b = values[..., 0] * 100 / 255, values[..., 1] - 128, values[..., 2] - 128
    fy = (lightness + 16) / 116
    f = np.stack([fy + a / 500, fy, fy - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1, 0.8249]
    to_rgb = np.array(
        [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
    )
    linear = np.clip(xyz @ to_rgb.T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def on_white(pixels, alpha):
    return pixels if alpha is None else (pixels * alpha + 255 * (255 - alpha)) / 255


@pytest.mark.parametrize(("container", "mode", "how"), CASES, ids=lambda value: str(value))
@QUICK
@given(seed=st.integers(0, 2**32 - 1), large=st.booleans())
def test_pixels_are_those_of_the_definition(container, mode, how, seed, large):
    white = {"F": 255 if large else 1, "I": 2**31 - 1 if large else 255}.get(mode, 65535)
    if container == "PPM" and mode == "I":
        white = 65535
    image, pixels, alpha = make(mode, seed, white)
    file = io.BytesIO()
    image.save(file, container, **how)
    expected = on_white(pixels, alpha)
    slack = {"YCbCr": 1.6, "LAB": 5}.get(mode, 0.51 if alpha is None else 1.01)
    decoded = to_array(file.getvalue(), channels=3)
    assert decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded, expected, atol=slack)
    natural = to_array(file.getvalue())
    is_grey = bool((expected == expected[..., :1]).all())
    assert natural.shape[2] == 1 or not is_grey or mode in ("RGB", "RGBA", "RGBX")
    np.testing.assert_array_equal(np.broadcast_to(natural, decoded.shape), decoded)
    grey = to_array(file.getvalue(), channels=1)
    luma = decoded @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], luma, atol=0.51)


def test_every_container_that_pillow_writes_is_tested_or_known_to_be_another_case():
    Image.init()
    assert set(Image.SAVE) == set(LOSSLESS) | LOSSY | OTHERS
    for container, (modes, options) in LOSSLESS.items():
        stored = set()
        for mode in ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", *NUMBERS]:
            file = io.BytesIO()
            try:
                Image.new(mode, (SIDE, SIDE)).save(file, container, **options[0])
            except (OSError, ValueError, KeyError):
                continue
            if Image.open(file).mode == mode:
                stored.add(mode)
        assert stored <= set(modes), container


@pytest.mark.parametrize("container", sorted(LOSSY))
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_lossy_containers_keep_plain_colours(container, colour):
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), colour).save(file, container, quality=95)
    np.testing.assert_allclose(to_array(file.getvalue()), np.broadcast_to(colour, (SIDE, SIDE, 3)), atol=3)


def scaled(samples, white=65535):
    return np.round(np.float64(samples) * 255 / white)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("keyed", [False, True])
def test_grey_png_of_few_bits(bits, keyed):
    samples = np.random.default_rng(bits).integers(0, 2**bits, (9, 7))
    expected = scaled(samples, 2**bits - 1)
    if keyed:
        expected[samples == 1] = 255
    decoded = to_array(png(samples, bits, 0, (1,) if keyed else None))
    np.testing.assert_array_equal(decoded[..., 0], expected)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("keyed", [False, True])
def test_png_of_16_bits_is_rounded_in_every_channel(colour_type, channels, keyed):
    samples = np.random.default_rng(channels).integers(0, 65536, (9, 7, channels))
    if channels in (2, 4):
        samples[..., -1] = 65535
    colours = samples[..., : 1 if channels < 3 else 3]
    expected, key = scaled(colours), None
    if keyed and channels in (1, 3):
        key = tuple(samples[2, 3])
        expected[2, 3] = 255
    decoded = to_array(png(samples, 16, colour_type, key))
    assert decoded.shape == expected.shape
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("kind", "extra"), [("u2", None), ("u2", 2), ("u2", 0), ("u1", None)])
def test_rgb_tiff(order, deflate, planar, kind, extra):
    if planar and extra == 0:
        pytest.skip("Pillow does not read it")
    white = 2 ** (8 * int(kind[1])) - 1
    samples = np.random.default_rng(0).integers(0, white + 1, (9, 7, 3 if extra is None else 4))
    if extra is not None:
        samples[..., 3] = white
    decoded = to_array(tiff(samples, kind, 2, order, extra=extra, planar=planar, deflate=deflate))
    # Of compressed planes of 16 bits, Pillow's decoder gives the high byte alone.
    slack = 1 if deflate and planar and kind == "u2" else 0
    np.testing.assert_allclose(decoded, scaled(samples[..., :3], white), atol=slack)


@pytest.mark.parametrize("kind", ["u2", "u4", "i2", "i4", "f4"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("small", [False, True])
def test_grey_tiff_of_every_type(kind, order, deflate, photometric, small):
    full = 1 if kind[0] == "f" else np.iinfo(kind).max
    white = {"f": 255, "i": 255, "u": 65535}[kind[0]] if small else full
    samples = (np.random.default_rng(0).random((9, 7)) * white).astype(kind)
    samples[0, 0] = white
    file = tiff(samples, kind, photometric, order, deflate=deflate)
    try:
        Image.open(io.BytesIO(file))
    except Image.UnidentifiedImageError:
        pytest.skip("Pillow does not read it")
    expected = scaled(samples, white)
    np.testing.assert_array_equal(to_array(file)[..., 0], expected if photometric else 255 - expected)


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        (np.array([[-1, 1.0]]), "f4"),
        (np.array([[0, 1.5]]), "f4"),
        (np.array([[0, 300.0]]), "f4"),
        (np.array([[0, np.nan]]), "f4"),
        (np.array([[0, np.inf]]), "f4"),
        (np.array([[0, -5]]), "i4"),
        (np.array([[0, 100_000]]), "i4"),
        (np.array([[0, 1000]]), "i4"),
    ],
)
def test_values_of_an_unknown_range_are_refused(samples, kind):
    with pytest.raises(InputError, match="values from|NaN or infinity"):
        to_array(tiff(samples, kind, 1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "RGBA"])
def test_the_orientation_of_exif_is_applied(orientation, mode):
    rng = np.random.default_rng(orientation)
    upright = rng.integers(0, 256, (5, 8, 4), np.uint8)[..., : {"RGB": 3, "RGBA": 4}.get(mode, 1)]
    if mode == "RGBA":
        upright[..., 3] = 255
    # Exif 2.3: what the 0th row and column of the stored image are.
    stored = {
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.swapaxes(0, 1),
        6: lambda image: image.swapaxes(0, 1)[::-1],
        7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
        8: lambda image: image.swapaxes(0, 1)[:, ::-1],
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if mode == "I;16":
        image = Image.fromarray(stored[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(stored.squeeze())
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(to_array(file.getvalue()), upright[..., :3])


@pytest.mark.parametrize(("container", "how"), [("PNG", {}), ("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_the_first_image_of_several_is_taken(container, how):
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    file = io.BytesIO()
    first.save(file, container, save_all=True, append_images=[second], **how)
    np.testing.assert_array_equal(to_array(file.getvalue(), channels=3), np.broadcast_to((255, 0, 0), (8, 8, 3)))


def test_palettes_with_transparency():
    image = Image.new("P", (4, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    image.putdata([0, 1, 2, 3])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=bytes([0, 255, 51, 255]))
    expected = [[255] * 3, [40, 50, 60], [0.2 * value + 0.8 * 255 for value in (70, 80, 90)], [100, 110, 120]]
    np.testing.assert_allclose(to_array(file.getvalue())[0], expected, atol=1)
    file = io.BytesIO()
    image.save(file, "GIF", transparency=2)
    np.testing.assert_array_equal(to_array(file.getvalue())[0, 2], [255] * 3)


@pytest.mark.parametrize("part", [b"IDAT", b"tEXt", b"IEND"])
def test_a_changed_bit_of_a_png_is_found(part):
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("key", "value")
    file = io.BytesIO()
    Image.effect_noise((20, 20), 50).save(file, "PNG", pnginfo=text)
    encoded = bytearray(file.getvalue())
    encoded[encoded.index(part) + 5] ^= 16  # in the data, or in the checksum of a part without data
    with pytest.raises(ValueError, match="checksum"):
        to_array(bytes(encoded))


@pytest.mark.parametrize("container", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP", "PPM", "TGA"])
def test_every_file_that_ends_too_early_is_refused(container):
    file = io.BytesIO()
    Image.effect_noise((40, 40), 50).save(file, container)
    with pytest.raises(Exception):  # noqa: B017, PT011 - Pillow's are of many types
        to_array(file.getvalue()[: len(file.getvalue()) // 2])


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_signed_bytes_of_tiff_are_not_taken_for_unsigned_ones(compression):
    def tiff(numbers):
        file = io.BytesIO()
        Image.fromarray(numbers.view(np.uint8)).save(file, "TIFF", tiffinfo={339: 2}, compression=compression)
        return file.getvalue()

    numbers = np.arange(128, dtype=np.int8).reshape(8, 16)
    np.testing.assert_array_equal(to_array(tiff(numbers))[..., 0], np.round(numbers * (255 / 127)))
    with pytest.raises(InputError, match="values from -1 to 126; black must be 0"):
        to_array(tiff(numbers - np.int8(1)))


def test_images_without_pixels_are_refused():
    with pytest.raises(Exception, match="."):
        to_array(png(np.zeros((0, 5), int), 8, 0))
    with pytest.raises(Exception, match="."):
        to_array(b"P5 0 5 255\n")


def test_an_image_is_resized_after_its_conversion():
    samples = np.random.default_rng(0).integers(0, 65536, (30, 20), np.uint16)
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "PNG")
    eight = Image.fromarray(scaled(samples).astype(np.uint8))
    expected = np.asarray(ImageOps.fit(eight, (10, 10), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(to_array(file.getvalue(), 10)[..., 0], expected)


def test_formats_that_pillow_only_writes_are_not_images():
    assert {".png", ".ppm", ".pgm", ".jfif", ".webp", ".tif", ".jp2"} <= readable_suffixes()
    assert not {".pdf", ".eps", ".h5", ".mpg"} & readable_suffixes()
    assert "PNG" in readable_formats()
