"""What turns images into the features that the metrics compare."""

import math
import sys
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from hw5.errors import InputError


class Extractor:
    """A network that maps images to features, and to logits where it has classes.

    A subclass gives `scale` and `network`.

    Attributes:
        name: what enters a number beside the images: network, weights, resize, type of the floats.
        channels: 1 or 3, what the network sees; grey values are repeated for 3.
        batch_size: images a batch; it does not enter the features.
    """

    name: str
    channels: int
    batch_size: int = 50

    def scale(self, images: np.ndarray):
        """uint8 [b, h, w, channels] as the network wants them."""
        raise NotImplementedError

    def network(self, scaled) -> tuple[np.ndarray, np.ndarray | None]:
        """What `scale` returns → (features [b, d], logits [b, classes] or None), float32."""
        raise NotImplementedError

    def activations(
        self, images: Sequence, *, value_range: tuple[float, float] = (0.0, 1.0), verbose: bool = False
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """(features, logits) batch by batch, so that memory does not grow with the number of images.

        Args:
            images: [n, h, w, c] (see `to_bytes`), or any sequence whose slices are lists of such images,
                of whatever sizes: each is scaled by itself.
            value_range: of float images.
            verbose: show a progress bar.

        Raises:
            InputError: no images, images outside their range, or of the wrong number of channels.
        """
        if not len(images):
            raise InputError("no images to extract features from")
        if isinstance(images, np.ndarray):
            check_images(images, value_range)
        progress = keras.utils.Progbar(len(images), unit_name="image", verbose=int(verbose))
        sizes = set()
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            same_so_far = len(sizes) < 2
            sizes |= {image.shape for image in batch}
            if same_so_far and len(sizes) > 1:
                print("note: the images differ in size; each is scaled by itself", file=sys.stderr)
            if len({image.shape for image in batch}) == 1:
                scaled = self.scale(self._channels(to_bytes(np.asarray(batch), value_range)))
            else:
                scaled = np.concatenate([self.scale(self._channels(image[None])) for image in batch])
            yield self.network(scaled)
            progress.update(min(start + self.batch_size, len(images)))

    def features(self, images: Sequence, **kwargs) -> np.ndarray:
        """All features, float32 [n, d]; arguments as in `activations`."""
        return np.concatenate([features for features, _ in self.activations(images, **kwargs)])

    def logits(self, images: Sequence, **kwargs) -> np.ndarray:
        """All logits, float32 [n, classes]; arguments as in `activations`."""
        batches = [logits for _, logits in self.activations(images, **kwargs)]
        if batches[0] is None:
            raise InputError(f"{self.name} has features alone, no class logits")
        return np.concatenate(batches)

    def _channels(self, images):
        if images.shape[-1] == 1:
            return np.repeat(images, self.channels, axis=-1)
        if images.shape[-1] != self.channels:
            raise InputError(f"{self.name} takes images of {self.channels} channels, these have {images.shape[-1]}")
        return images


def check_images(images: np.ndarray, value_range: tuple[float, float] = (0.0, 1.0)) -> None:
    """Refuse what is no array of images [n, h, w, c], uint8 or float within `value_range`.

    A wrong range is the commonest way to a wrong FID: [−1, 1] taken for [0, 1] loses half of the contrast.

    Raises:
        InputError: which says what the images are, and what they should be.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise InputError(f"images must be [n, h, w, 1 or 3], not {list(images.shape)}")
    if images.dtype == np.uint8:
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"images must be uint8 or float, not {images.dtype}")
    low, high = value_range
    smallest, largest = float(images.min()), float(images.max())
    if math.isnan(smallest):
        raise InputError("images hold NaN")
    slack = 1e-3 * (high - low)  # float16 holds 1 to 1e-3
    if smallest < low - slack or largest > high + slack:
        raise InputError(f"images have values from {smallest:g} to {largest:g}, outside [{low:g}, {high:g}]")


def to_bytes(images: np.ndarray, value_range: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Float images as uint8, rounded as if they had been saved to files; uint8 images as they are.

    Published scores are of 8-bit images. Where the ends of `value_range` lie, see `hw5.data.scale`.
    """
    if images.dtype == np.uint8:
        return images
    low, high = value_range
    return np.clip(np.round((images - low) * (255 / (high - low))), 0, 255).astype(np.uint8)
