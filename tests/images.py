"""Writers of image files that Pillow does not write, by the specifications of PNG and TIFF."""

import struct
import zlib

import numpy as np


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: np.ndarray, bits: int, colour_type: int, key=None) -> bytes:
    """Encode [h, w] or [h, w, channels] samples of 1, 2, 4, 8 or 16 bits; `key` is a transparent colour."""
    height, width = samples.shape[:2]
    rows = []
    for row in samples:
        if bits < 8:
            digits = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
            rows.append(b"\0" + np.packbits(digits.astype(np.uint8)).tobytes())
        else:
            rows.append(b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes())
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    transparency = png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b""
    pixels = png_chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + transparency + pixels + png_chunk(b"IEND", b"")


def tiff(
    samples: np.ndarray, kind: str, photometric: int, order: str = "<", *, extra=None, planar=False, deflate=False
) -> bytes:
    """Encode [h, w] or [h, w, channels] samples.

    Args:
        kind: NumPy's "u2", "i4", "f4" …
        photometric: 0: grey, 0 is white; 1: grey, 0 is black; 2: RGB; 5: CMYK.
        order: "<" or ">", of the bytes.
        extra: 0: the last channel means nothing, 2: it is alpha.
        planar: one channel after the other.
    """
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    parts = np.moveaxis(samples, -1, 0) if planar else [samples]
    strips = [np.ascontiguousarray(part).astype(order + kind).tobytes() for part in parts]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    starts = 8 + np.cumsum([0, *map(len, strips)])
    short, long = 3, 4
    entries = [
        (256, short, [width]),
        (257, short, [height]),
        (258, short, [8 * np.dtype(kind).itemsize] * channels),
        (259, short, [8 if deflate else 1]),
        (262, short, [photometric]),
        (273, long, starts[:-1]),
        (277, short, [channels]),
        (278, short, [height]),
        (279, long, [len(strip) for strip in strips]),
        (284, short, [2 if planar else 1]),
        *([(338, short, [extra])] if extra is not None else []),
        (339, short, [{"u": 1, "i": 2, "f": 3}[kind[0]]] * channels),
    ]
    directory, more = struct.pack(order + "H", len(entries)), b""
    after = starts[-1] + 2 + 12 * len(entries) + 4
    for tag, size, values in entries:
        value = struct.pack(order + {short: "H", long: "I"}[size] * len(values), *values)
        if len(value) > 4:
            value, more = struct.pack(order + "I", after + len(more)), more + value
        directory += struct.pack(order + "HHI", tag, size, len(values)) + value.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", starts[-1]) + b"".join(strips) + directory + b"\0\0\0\0" + more


def idx(array: np.ndarray) -> bytes:
    """Encode bytes as an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()
