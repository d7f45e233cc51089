"""Extractors: networks that turn images into the features and class logits that the metrics compare."""

import functools
import math
import pickle
import sys
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from hw5.data import values
from hw5.errors import InputError
from hw5.metrics.linear_head import LinearHead


class Extractor:
    """A network that maps images to features, and to class logits if it has classes.

    A subclass defines `preprocess` and `forward`. An extractor can be pickled: another process builds it again from
    its arguments, once.

    Attributes:
        key: short name for results: "inception", "inception_imagenet", "mnist_classifier".
        name: network, weights and type of the floats; it names the files of saved statistics.
        channels: 1 or 3, the channels of the network's input; a grey channel is repeated for 3.
        has_features: whether its features are to be compared (FID and others).
        has_classes: whether it returns class logits (Inception Score and others).
        head: the `LinearHead` that computes the logits from the features, if it is one that does.
        batch_size: images per batch; it does not change the features.
    """

    key: str
    name: str
    channels: int
    has_features: bool = True
    has_classes: bool = False
    head: LinearHead | None = None
    batch_size: int = 50

    def __new__(cls, *args, **kwargs):
        extractor = super().__new__(cls)
        extractor._arguments = args, kwargs
        return extractor

    def __reduce__(self):
        return _build_again, (pickle.dumps((type(self), *self._arguments)),)

    def preprocess(self, images: np.ndarray):
        """Resize and normalise uint8 images [b, h, w, channels] for the network."""
        raise NotImplementedError

    def forward(self, inputs) -> tuple[np.ndarray, np.ndarray | None]:
        """Compute (features [b, d], logits [b, classes] or None), float32, from the result of `preprocess`."""
        raise NotImplementedError

    def activations(
        self,
        images: Sequence,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
        shard: tuple[int, int] = (1, 1),
        verbose: bool = False,
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Compute (features, logits) batch by batch, in memory that does not grow with the number of images.

        Args:
            images: uint8, or float within `value_range`: an array or a tensor [n, h, w, 1 or 3], or a sequence
                of images [h, w, 1 or 3] whose slices are sequences. Images of different sizes are resized
                one by one.
            value_range: of float images.
            shard: (i, n) for the i-th of n parts of the images alone, counted from 1. The parts are as equal as
                they can be if every batch is the same as without parts. They may be empty.
            verbose: show a progress bar.

        Raises:
            InputError: no images, images outside their range, NaN, another shape or number of channels. An
                array or a tensor is checked completely before the first batch, a sequence batch by batch.
        """
        is_array = hasattr(images, "shape")
        first, last = shard_bounds(len(images), shard, self.batch_size)
        if is_array:
            images = np.asarray(images)
            check_images(images[first:last] if last > first else images, value_range)
        elif not len(images):
            raise InputError("no images to extract features from")
        progress = keras.utils.Progbar(last - first, unit_name="image", verbose=int(verbose))
        sizes = set()
        for start in range(first, last, self.batch_size):
            batch = images[start : start + self.batch_size]
            parts = [batch] if is_array else [np.asarray(image)[None] for image in batch]
            parts = [self._channels(to_bytes(part, value_range)) for part in parts]
            one_size_before = len(sizes) < 2
            sizes |= {part.shape[1:3] for part in parts}
            if one_size_before and len(sizes) > 1:
                print("note: the images differ in size; each is resized by itself", file=sys.stderr)
            if len({part.shape for part in parts}) == 1:
                inputs = self.preprocess(np.concatenate(parts))
            else:
                inputs = np.concatenate([self.preprocess(part) for part in parts])
            yield self.forward(inputs)
            progress.update(min(start + self.batch_size, last) - first)

    def features(self, images: Sequence, **kwargs) -> np.ndarray:
        """Compute all features, float32 [n, d]; arguments as in `activations`."""
        return np.concatenate([features for features, _ in self.activations(images, **kwargs)])

    def logits(self, images: Sequence, **kwargs) -> np.ndarray:
        """Compute all logits, float32 [n, classes]; arguments as in `activations`."""
        if not self.has_classes:
            raise InputError(f"{self.name} has no class logits")
        return np.concatenate([logits for _, logits in self.activations(images, **kwargs)])

    def _channels(self, images):
        if images.shape[-1] == 1:
            return np.repeat(images, self.channels, axis=-1)
        if images.shape[-1] != self.channels:
            raise InputError(f"{self.name} takes images of {self.channels} channels, these have {images.shape[-1]}")
        return images


@functools.lru_cache(maxsize=4)
def _build_again(pickled):
    kind, args, kwargs = pickle.loads(pickled)
    return kind(*args, **kwargs)


def shard_bounds(count: int, shard: tuple[int, int], batch_size: int = 1) -> tuple[int, int]:
    """Return the bounds of shard i of n, (i, n) counted from 1, of `count` images: [start, stop), of whole batches.

    Raises:
        InputError: i is not between 1 and n.
    """
    number, shards = shard
    if not 1 <= number <= shards:
        raise InputError(f"shard={number}/{shards}: must be i/n with i from 1 to n")
    batches = -(-count // batch_size)
    return tuple(min(batches * i // shards * batch_size, count) for i in (number - 1, number))


def check_images(images: np.ndarray, value_range: tuple[float, float] = (0.0, 1.0)) -> None:
    """Check that an array holds images [n ≥ 1, h, w, 1 or 3], uint8 or float within `value_range`.

    A wrong range is the most common cause of a wrong FID: [−1, 1] read as [0, 1] loses half of the contrast.

    Raises:
        InputError: the message says what is wrong with the images.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise InputError(f"images must be [n, h, w, 1 or 3], not {list(images.shape)}")
    if not images.size:
        raise InputError(f"no images to extract features from: {list(images.shape)}")
    if images.dtype == np.uint8:
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"images must be uint8 or float, not {images.dtype}")
    low, high = value_range
    smallest, largest = float(images.min()), float(images.max())
    if math.isnan(smallest):
        raise InputError("images hold NaN")
    slack = 1e-3 * (high - low)  # the precision of float16 at 1
    if smallest < low - slack or largest > high + slack:
        raise InputError(f"images have values from {smallest:g} to {largest:g}, outside [{low:g}, {high:g}]")


def to_bytes(images: np.ndarray, value_range: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Convert images to uint8, rounded as if they had been saved to files; uint8 images stay as they are.

    Published scores are of 8-bit images. `low` becomes 0 and `high` 255, as in `hw5.data.scale`.

    Raises:
        InputError: as `check_images`.
    """
    check_images(images, value_range)
    low, high = value_range
    return images if images.dtype == np.uint8 else values.to_bytes(images, white=high, black=low)
