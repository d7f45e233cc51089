"""What the numbers of images mean: which one is white, found by one rule for image files and arrays. Black is 0.

8-bit and 16-bit image files state it. Floats, 32-bit integers and arrays do not. There, white is the smallest of
a few usual numbers that no value exceeds, of all images that belong together:

    floats      1 (from -0.001 to 1.001, for rounding), 255
    integers    1, 255, 65535, the largest number of the type
    bytes       1 (only 0 and 1: black and white, as booleans), 255

A number beyond 1 must also be believable: the largest value is more than a 16th of it. So digits in 0…16 are not
taken for nearly black ones, except bytes. Everything else is refused, also negative values: a guess would change every
number that is computed from the images.
"""

import dataclasses

import numpy as np

from hw5.errors import InputError

SLACK = 1e-3  # the precision of float16 at 1
ROWS = 1024  # of an array, that are measured or converted at once


@dataclasses.dataclass(frozen=True)
class Extremes:
    """The smallest and the largest number of a set of images."""

    smallest: float
    largest: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Extremes":
        """Measure an array; InputError: it holds NaN, infinity, no numbers or nothing."""
        if not values.size:
            raise InputError("no pixels")
        is_float = np.issubdtype(values.dtype, np.floating)
        if not is_float and not np.issubdtype(values.dtype, np.integer) and values.dtype != bool:
            raise InputError(f"{values.dtype} instead of numbers of pixels")
        smallest, largest = float(values.min()), float(values.max())
        if not np.isfinite([smallest, largest]).all():
            raise InputError("NaN or infinity among the pixels")
        return cls(smallest, largest)

    def __or__(self, other: "Extremes") -> "Extremes":
        """Return the extremes of both sets together."""
        return Extremes(min(self.smallest, other.smallest), max(self.largest, other.largest))


def find_white(extremes: Extremes, dtype: np.dtype) -> float:
    """Return the number that means white, by the rule above.

    Args:
        extremes: of all images that belong together.
        dtype: the type of their numbers.

    Raises:
        InputError: no usual number is white.
    """
    dtype, smallest, largest = np.dtype(dtype), extremes.smallest, extremes.largest
    if np.issubdtype(dtype, np.floating):
        usual, expected = (1, 255), "0…1 or 0…255"
    else:
        full = 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
        usual = [number for number in (1, 255, 65535) if number < full] + [full]
        expected = " or ".join(f"0…{number}" for number in usual[1:]) or "0…1"
    white = next((number for number in usual if largest <= number + SLACK), None)
    believable = white is not None and (white == 1 or dtype == np.uint8 or 16 * largest > white + 1 or largest == 0)
    is_negative = smallest < (-SLACK if np.issubdtype(dtype, np.floating) else 0)
    if is_negative or not believable:
        raise InputError(
            f"values from {smallest:g} to {largest:g}, which are clearly neither of {expected}; convert them to bytes"
            if not is_negative
            else f"values from {smallest:g} to {largest:g}; black must be 0: scale them to {expected}"
        )
    return white


def to_bytes(values: np.ndarray, white: float, black: float = 0) -> np.ndarray:
    """Convert values in black…white to uint8, rounded."""
    if values.dtype == np.uint8 and (black, white) == (0, 255):
        return values
    if not len(values):
        return values.astype(np.uint8)
    parts = (values[start : start + ROWS] for start in range(0, len(values), ROWS))
    return np.concatenate(
        [
            np.clip(np.round((np.float64(part) - black) * (255 / (white - black))), 0, 255).astype(np.uint8)
            for part in parts
        ]
    )
