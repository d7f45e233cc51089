"""Datasets by name as arrays, and pipelines of batches.

`load` reads a whole split as uint8; `pipeline` turns such an array into float batches. The datasets
`mnist`, `emojione` and `cartoon_faces` are part of this package (`hw5/data/store`), as TensorFlow Datasets
folders. TFDS finds any other name, and downloads it if necessary. `celeb_a` is never downloaded, and its
images are 64×64 (`hw5.data.celeb_a`). A path names files of the user (`hw5.data.local`). `python -m
hw5.data.build` makes a dataset from images.
"""

import functools
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from hw5.data import celeb_a, prepared
from hw5.data.local import LocalDataset
from hw5.data.names import STORE, find_dataset, find_path
from hw5.errors import InputError

__all__ = [
    "STORE",
    "InputError",
    "find_path",
    "has_feature",
    "load",
    "pipeline",
    "random_subset",
    "resize",
    "scale",
    "splits",
    "train_validation",
]

PREFETCH_BATCHES = 4  # batches that are made ahead of the model
RESIZE_BATCH = 512  # images resized by one call


def load(
    name: str | os.PathLike,
    split: str = "train",
    *,
    feature: str = "image",
    limit: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> np.ndarray:
    """Read one feature of a dataset split into memory, in the stored order.

    The images of `celeb_a` are an exception: they are memory-mapped, because they may not fit into memory
    (`hw5.data.celeb_a.load`).

    Args:
        name: an embedded dataset, one built by `hw5.data.build`, a TFDS name ("cifar10", "mnist:3.0.1",
            "emnist/balanced"), or the path of a folder or file (`hw5.data.local`). A dataset comes before a
            folder of that name in the current directory; write "./mnist" or Path("mnist") for the folder.
        split: a TFDS split, slices included: "train", "test", "train[:90%]", "train[54000:]".
        feature: "image", "label", or a path such as "attributes/Smiling".
        limit: read only the first `limit` examples.
        data_dir: folder of TFDS' datasets (default: TFDS_DATA_DIR); a dataset in it comes before an embedded one
            of that name. For `celeb_a`, also the folder with its JPEGs.

    Returns:
        Images: uint8 [n, h, w, c]. 16 bits and floats are converted by the rule of `hw5.data.values`.
        Other features: [n] of the feature's type (labels are int64).

    Raises:
        InputError (a ValueError): an unknown name (the message lists the known ones), split or feature;
            images of varying size, or neither grey nor RGB; a dataset that is damaged, or that must be downloaded
            without a network.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit={limit}: must be at least 1")
    if (name, feature) == (celeb_a.NAME, "image"):
        return celeb_a.load(split, limit=limit, data_dir=data_dir)
    dataset = find_dataset(name, data_dir)
    if isinstance(dataset, LocalDataset):
        return dataset.load(split, feature, limit)
    return prepared.load(dataset, split, feature, limit)


def has_feature(name: str | os.PathLike, feature: str, data_dir: str | os.PathLike | None = None) -> bool:
    """Check whether a dataset has a feature besides the images, such as "label"."""
    dataset = find_dataset(name, data_dir)
    return feature in (dataset.features if isinstance(dataset, LocalDataset) else dataset.info.features)


def splits(name: str | os.PathLike, *, data_dir: str | os.PathLike | None = None) -> list[str]:
    """List the splits of a dataset; arguments as in `load`."""
    dataset = find_dataset(name, data_dir)
    return list((dataset if isinstance(dataset, LocalDataset) else dataset.info).splits)


def train_validation(name: str, train_size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Load the first 90 % of a training split for training and the rest for validation (sheet 000, I.2).

    Args:
        train_size: use only the first n images for training.

    Returns:
        Two arrays of images, uint8 [n, h, w, c]; for MNIST 54,000 and 6,000.

    Raises:
        InputError: there are fewer than `train_size` images; or as `load`.
    """
    images = load(name, "train[:90%]", limit=train_size)
    if train_size and len(images) < train_size:
        raise InputError(f"train_size={train_size}: {name} has only {len(images)} training images")
    return images, load(name, "train[90%:]")


def random_subset(samples: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Choose `count` samples at random, or take all [n, …] if there are no more: those of a dataset may be in order."""
    if len(samples) <= count:
        return samples
    return samples[np.random.default_rng(seed).choice(len(samples), count, replace=False)]


def scale(images, value_range: tuple[float, float] = (0.0, 1.0)):
    """Convert uint8 images to float32, linearly: 0 and 255 become the ends of `value_range`."""
    low, high = value_range
    return low + tf.cast(images, tf.float32) * ((high - low) / 255)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resize uint8 images [n, h, w, c] to [n, size, size, c], bilinearly (sheet 004 uses MNIST at 32×32)."""
    if images.shape[1:3] == (size, size):
        return images
    parts = np.array_split(images, -(-len(images) // RESIZE_BATCH))
    resized = (tf.image.resize(part, (size, size), antialias=True) for part in parts)
    return np.concatenate([np.round(part).astype(np.uint8) for part in resized])


def pipeline(
    images: np.ndarray,
    batch_size: int,
    *,
    value_range: tuple[float, float] = (0.0, 1.0),
    shuffle: bool = False,
    seed: int = 0,
    epochs: int | None = 1,
    start: int = 0,
    parts: int = 1,
    own_parts: Sequence[int] = (0,),
) -> tf.data.Dataset:
    """Make batches of an array of images: float32 [batch_size, h, w, c], uint8 scaled linearly to `value_range`.

    Batch i is a pure function of the arguments and of i. Every pass has its own permutation, keyed by
    (seed, number of the pass). A batch that reaches the end of one pass continues in the next, so no image is
    left out. Iterating twice gives the same batches twice. For training use `epochs=None`, which never ends
    and never repeats a permutation.

    Args:
        images: uint8 [n, h, w, c]; or float32 [n, …], samples of another kind, which are not scaled.
            A memory map is not read into memory: each batch is gathered from it when it is needed.
        batch_size: images per batch; only the last batch of a finite pipeline may be smaller.
        value_range: (low, high) that 0 and 255 become.
        shuffle: permute the images.
        seed: of the permutations.
        epochs: passes over the images; None for an endless stream.
        start: number of the first batch; the batches before it are skipped without being made.
        parts: divide every batch into so many parts of almost equal size.
        own_parts: yield only these parts of every batch, one after the other; the images of other parts are not read.

    Raises:
        InputError: no images, or of another type or shape; a batch size below 1.
    """
    is_bytes = images.dtype == np.uint8 and images.ndim == 4
    if not (is_bytes or images.dtype == np.float32) or not len(images):
        raise InputError(f"images must be uint8 [n, h, w, c], not {images.dtype} {list(images.shape)}")
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size}: must be at least 1")
    if isinstance(images, np.memmap):  # a tf.constant would copy it into memory

        def gather(indices):
            (gathered,) = tf.numpy_function(lambda i: images[i], [indices], [images.dtype], stateful=False)
            return tf.ensure_shape(gathered, [*indices.shape, *images.shape[1:]])
    else:
        with tf.device("CPU"):  # tf.data runs there, also on a machine with a GPU
            gather = functools.partial(tf.gather, tf.constant(images))

    first_pass, skipped = divmod(start * batch_size, len(images))  # the pass that contains batch `start`

    def order(number):
        indices = tf.range(len(images))
        if shuffle:
            indices = tf.random.experimental.stateless_shuffle(indices, seed=[seed, number])
        return indices[tf.where(number == first_pass, skipped, 0) :]

    def parts_of(indices):
        count = indices.shape[0] or tf.size(indices)  # static for an endless stream
        bounds = [(count * part // parts, count * (part + 1) // parts) for part in own_parts]
        own = [indices[first:last] for first, last in bounds]
        return functools.reduce(tf.data.Dataset.concatenate, map(tf.data.Dataset.from_tensors, own))

    def batch(indices):
        gathered = gather(indices)
        return scale(gathered, value_range) if is_bytes else gathered

    passes = tf.data.Dataset.counter(first_pass) if epochs is None else tf.data.Dataset.range(first_pass, epochs)
    batches = passes.map(order).rebatch(batch_size, drop_remainder=epochs is None)
    if parts > 1:
        batches = batches.flat_map(parts_of)
    batches = batches.map(batch, num_parallel_calls=1, deterministic=True).prefetch(PREFETCH_BATCHES)
    size = tf.data.INFINITE_CARDINALITY
    if epochs is not None:
        size = max(-(-epochs * len(images) // batch_size) - start, 0) * len(own_parts)
    options = tf.data.Options()  # one thread; more would take the cores from the model
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    # Nothing here needs tuning. An iterator is freed only when its tuning thread wakes up. That thread sleeps for
    # 10 ms, 20 ms … a minute, so every training would end with seconds of waiting.
    options.autotune.enabled = False
    return batches.apply(tf.data.experimental.assert_cardinality(size)).with_options(options)
