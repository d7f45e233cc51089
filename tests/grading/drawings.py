"""What is in the figures of a section, and which codes were decoded for them."""

import contextlib
import itertools

import numpy as np
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree
from scipy.stats import beta, norm
from watch import contains

# Mean difference of pixels at which an image is the same one: rounded to bytes it is 0.001. Of networks that are hardly
# trained, all outputs are alike, so arrays that are not rounded are compared more closely.
CLOSE_ROUNDED, CLOSE = 0.004, 1e-3
ROUNDED, EXACT = 0.6 / 255, 1e-5  # largest difference of a pixel that was rounded to a byte, or not


def pictures(done) -> list[np.ndarray]:
    """Return what a section drew as grey images in [0, 1]: the arrays of `imshow`, or else the files as they are.

    Bright ones are also there as negatives, as digits may be drawn black on white.
    """
    found = [_grey(array) for array in done.drawn or done.files if array.ndim in (2, 3)]
    return found + [1 - picture for picture in found if np.median(picture) > 0.5]


def _grey(array):
    array = array / 255 if array.dtype == np.uint8 else np.clip(np.asarray(array, np.float64), 0, 1)
    return array[..., :3].mean(axis=-1) if array.ndim == 3 else array


def is_rounded(picture: np.ndarray) -> bool:
    """Say whether a picture may come from a file: three times 255 of its pixels are whole numbers, also of colours."""
    thirds = 3 * 255 * picture
    return bool(np.abs(thirds - np.round(thirds)).max() < 1e-3)


def places(tile: np.ndarray, picture: np.ndarray) -> list[tuple[int, int]]:
    """Find a tile [h, w] in a picture: the places (row, column) where the mean difference of pixels is small."""
    if any(np.less(picture.shape, tile.shape)):
        return []
    tile = np.clip(tile, 0, 1)  # as the picture
    close = CLOSE_ROUNDED if is_rounded(picture) else CLOSE
    ones = np.ones(tile.shape)
    squares = fftconvolve(picture**2, ones, "valid") - 2 * fftconvolve(picture, tile[::-1, ::-1], "valid")
    near = squares + (tile**2).sum() < tile.size * close  # of the squares, which are smaller than the differences
    height, width = tile.shape
    return [
        (row, column)
        for row, column in np.argwhere(near).tolist()
        if np.abs(picture[row : row + height, column : column + width] - tile).mean() < close
    ]


class KnownImages:
    """Finds which of some images, uint8 [n, h, w, 1], stand in a picture unchanged.

    Windows of the picture and images are compared by a random linear function modulo 2⁶⁴, and then by their bytes.
    """

    def __init__(self, images: np.ndarray):
        self.images, self.size = images, images.shape[1:3]
        self.random = np.random.default_rng(0).integers(1 << 63, size=self.size, dtype=np.uint64)
        parts = np.array_split(images.reshape(len(images), -1), 20)
        self.keys = np.concatenate([part.astype(np.uint64) @ self.random.ravel() for part in parts])
        self.by_key = {int(key): number for number, key in enumerate(self.keys)}

    def within(self, picture: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
        """Return the images by their places: (row, column) → image [h, w, 1]."""
        height, width = self.size
        rows, columns = picture.shape[0] - height + 1, picture.shape[1] - width + 1
        if rows < 1 or columns < 1:
            return {}
        pixels = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint64)
        sums = np.zeros((rows, columns), np.uint64)
        for i in range(height):
            for j in range(width):
                sums += self.random[i, j] * pixels[i : i + rows, j : j + columns]
        found = {}
        for row, column in np.argwhere(np.isin(sums, self.keys)).tolist():
            image = self.images[self.by_key[int(sums[row, column])]]
            if image.any() and np.array_equal(pixels[row : row + height, column : column + width], image[..., 0]):
                found[row, column] = image
        return found


def has_reconstructions(drawn: list[np.ndarray], images: np.ndarray, reconstruct, count: int = 10) -> bool:
    """Say whether at least `count` of some images, float32 [n, h, w, 1], were drawn, and reconstructions of them."""
    finder = KnownImages(np.round(255 * images).astype(np.uint8))
    known = {image.tobytes(): image for picture in drawn for image in finder.within(picture).values()}
    if len(known) < count:
        return False
    outputs = np.asarray(reconstruct(np.float32([*known.values()]) / 255))[..., 0]
    found = sum(any(places(output, picture) for picture in drawn) for output in outputs)
    return found >= count


def row_in(tiles: np.ndarray, picture: np.ndarray) -> bool:
    """Say whether tiles [n, h, w] stand in a row of a picture, from left to right."""
    found = []
    for tile in tiles:
        found.append(places(tile, picture))
        if not found[-1]:  # most pictures lack the first one already, and the others need not be looked for
            return False
    for row in {row for row, _ in found[0]}:
        column = -1
        for of_tile in found:
            column = min((c for r, c in of_tile if r == row and c > column), default=None)
            if column is None:
                break
        else:
            return True
    return False


def lines(codes: np.ndarray, first: np.ndarray, last: np.ndarray, shares: np.ndarray) -> list[np.ndarray]:
    """List first[i] + share (last[j] − first[i]), [shares, d], of the pairs of which they all were decoded.

    Args:
        codes: [n, d], all that were decoded; first, last: [m, d].
    """
    tree, scale = cKDTree(codes), np.abs(first).max()
    near = {
        name: ends[np.isfinite(tree.query(ends, distance_upper_bound=1e-4 * scale)[0])]
        for name, ends in (("first", first), ("last", last))
    }
    pairs = [(a, b) for a in near["first"] for b in near["last"] if np.abs(b - a).max() > 1e-2 * scale]
    between = [a + np.asarray(shares)[:, None] * (b - a) for a, b in pairs]
    return [some for some in between if np.isfinite(tree.query(some, distance_upper_bound=1e-3 * scale)[0]).all()]


def line_is_drawn(images: np.ndarray, drawn: list[np.ndarray]) -> bool:
    """Say whether images [n, h, w, c] stand in a row or in a column of one of the pictures, in this order or back."""
    return any(stand_in_order(order, drawn) for order in (images, images[::-1]))


def stand_in_order(images: np.ndarray, drawn: list[np.ndarray]) -> bool:
    """Say whether images [n, h, w, c] stand in a row of one of the pictures from left to right, or in a column."""
    tiles = np.asarray(images).mean(axis=-1)
    turns = (tiles, np.asarray), (tiles.swapaxes(1, 2), np.transpose)
    return any(row_in(some, turn(picture)) for some, turn in turns for picture in drawn)


def lines_are_drawn(model, found: list[np.ndarray], drawn: list[np.ndarray], count: int) -> bool:
    """Say whether a model's images of at least `count` of some lines of codes, each [n, d], are drawn."""
    shown = (codes for codes in found if line_is_drawn(np.asarray(model.decode(np.float32(codes))), drawn))
    return len([*itertools.islice(shown, count)]) == count


def unrelated(codes: np.ndarray, steps: int = 20) -> np.ndarray:
    """Return the codes [n, d] of a run that have nothing to do with the others, as random ones.

    Left out are those in the middle of two others, as interpolated ones, up to `steps` places apart; and those with the
    same first or second half as another one, as of a grid or where one dimension at a time moves.
    """
    codes = np.float64(codes)
    alone, scale = np.ones(len(codes), bool), np.abs(codes).max(initial=1e-9)
    for step in range(1, min(steps, (len(codes) - 1) // 2) + 1):
        before, after = codes[: -2 * step], codes[2 * step :]
        is_middle = np.abs(codes[step:-step] - (before + after) / 2).max(axis=1) < 1e-4 * scale
        # The same codes may be decoded again and again: they are not in the middle of themselves.
        alone[step:-step] &= ~is_middle | (np.abs(after - before).max(axis=1) < 1e-3 * scale)
    codes, places_of = np.unique(codes, axis=0, return_inverse=True)
    alone = np.bincount(places_of.ravel(), ~alone, len(codes)) == 0  # in all calls with this code
    for half in np.array_split(np.round(codes, 6), 2, axis=1) if codes.shape[1] > 1 else ():
        _, group, count = np.unique(half, axis=0, return_inverse=True, return_counts=True)
        alone &= count[group.ravel()] == 1
    return codes[alone]


def codes_of(model, decoded: list[np.ndarray]) -> np.ndarray:
    """Join those arrays [n, d] that have the width of a model's codes, or else return an empty one."""
    for width in {codes.shape[1] for codes in decoded}:
        with contextlib.suppress(Exception):  # the layers of a network refuse other widths in many ways
            model.decode(np.zeros((1, width), np.float32))
            return np.concatenate([codes for codes in decoded if codes.shape[1] == width])
    return np.empty((0, 1))


def sampled_codes(decoded: list[np.ndarray], model, images: np.ndarray) -> np.ndarray:
    """Return the random codes among those that were decoded: unrelated ones that are no codes of these images."""
    known, codes = np.asarray(model.encode(images)), unrelated(codes_of(model, decoded))
    distances, _ = cKDTree(known).query(codes) if len(codes) else (np.empty(0), None)
    return np.float32(codes[distances > 1e-3 * np.abs(known).max()])


def shows(drawn: list[np.ndarray], image: np.ndarray) -> bool:
    """Say whether an image [h, w, c] stands in one of the pictures with all its pixels, as closely as with `places`."""
    return any(contains([picture], image, ROUNDED if is_rounded(picture) else EXACT) for picture in drawn)


def shows_some(drawn: list[np.ndarray], images: np.ndarray, count: int) -> bool:
    """Say whether at least `count` of some images [n, h, w, c] stand in the pictures."""
    found = (image for image in images if shows(drawn, image))
    return len([*itertools.islice(found, count)]) == count


def draws_samples(drawn: list[np.ndarray], codes: np.ndarray, model, count: int, normal: bool = True) -> bool:
    """Say whether at least `count` images that a model decodes from random codes, [n, d], stand in the pictures.

    Args:
        normal: whether their codes must be as wide as `count` ones of N(0, I) are. Other codes whose images look like
            these can only make them wider.
    """
    images, found = np.asarray(model.decode(np.float32(codes))) if len(codes) else (), []
    for code, image in zip(codes, images, strict=True):
        if shows(drawn, image):
            found.append(code)
            if len(found) >= count and not (normal and is_narrow(np.array(found), count * len(code))):
                return True
    return False


def is_narrow(numbers: np.ndarray, count: int) -> bool:
    """Say whether numbers are closer together than `count` ones of N(0, 1), as those from the unit interval are.

    The share of N(0, 1) between the least and the largest of these has the beta distribution of count − 1 and 2, so
    that a right noise fails once in 10⁷ times.
    """
    return bool(beta.cdf(norm.cdf(numbers.max()) - norm.cdf(numbers.min()), count - 1, 2) < 1e-7)
