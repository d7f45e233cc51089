"""Datasets by name as arrays, and pipelines of batches.

`load` reads a whole split as uint8; `pipeline` turns such an array into float batches. The datasets
`mnist`, `emojione` and `cartoon_faces` are part of this package (`hw5/data/store`), as TensorFlow Datasets
folders. TFDS finds any other name, and downloads it if necessary. `celeb_a` is never downloaded, and its
images are 64×64 (`hw5.data.celeb_a`). `python -m hw5.data.build` makes a dataset from a folder of images.
"""

import functools
import os
import sys
from pathlib import Path

import numpy as np
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf.json_format import ParseError
from tensorflow_datasets.core.file_adapters import ADAPTER_FOR_FORMAT

from hw5.data import celeb_a
from hw5.errors import InputError

STORE = Path(__file__).parent / "store"
PREFETCH_BATCHES = 4  # batches that are made ahead of the model
READ_BATCH = 512  # examples parsed by one call; parsing one by one takes three times as long


def load(
    name: str,
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
        name: an embedded dataset, one built by `hw5.data.build`, or a TFDS name ("cifar10", "fashion_mnist").
        split: a TFDS split, slices included: "train", "test", "train[:90%]", "train[54000:]".
        feature: "image", "label", or a path such as "attributes/Smiling".
        limit: read only the first `limit` examples.
        data_dir: folder of TFDS' datasets (default: TFDS_DATA_DIR); for `celeb_a`, also the folder with its
            JPEGs.

    Returns:
        Images: uint8 [n, h, w, c]. Other features: [n] of the feature's type (labels are int64).

    Raises:
        InputError (a ValueError): an unknown name (the message lists the known ones), split or feature;
            images of varying size, or neither grey nor RGB; a dataset that is damaged, or that must be downloaded
            without a network.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit={limit}: must be at least 1")
    if (name, feature) == (celeb_a.NAME, "image"):
        return celeb_a.load(split, limit=limit, data_dir=data_dir)
    builder = _builder(name, data_dir)
    info = builder.info
    try:
        files = info.splits[split].file_instructions
    except (KeyError, ValueError, NotImplementedError) as error:
        raise InputError(f"dataset {name!r} has no split {split!r}; it has {', '.join(info.splits)}") from error
    try:
        connector = info.features
        for key in feature.split("/"):
            connector = connector[key]
        if not isinstance(connector, tfds.features.Image) and connector.shape != ():
            raise TypeError
    except (KeyError, TypeError) as error:
        known = ", ".join(info.features)
        raise InputError(f"dataset {name!r} has no image, number or text {feature!r}; it has {known}") from error
    if not files:
        raise InputError(f"dataset {name!r}: {split} selects no images")
    is_image = isinstance(connector, tfds.features.Image)
    if is_image and None in connector.shape:
        raise InputError(
            f"dataset {name!r} has images of varying size; python -m hw5.data.build makes some of one size"
        )
    if is_image and (connector.shape[-1] not in (1, 3) or connector.np_dtype != np.uint8):
        found = f"{connector.shape[-1]} channels, {np.dtype(connector.np_dtype)}"
        raise InputError(f"dataset {name!r} has images of {found}; they must have 1 or 3 channels, uint8")

    def decode(serialized):
        text = is_image or isinstance(connector, tfds.features.Text)
        kind = tf.string if text else tf.float32 if connector.tf_dtype.is_floating else tf.int64
        values = tf.io.parse_example(serialized, {feature: tf.io.FixedLenFeature((), kind)})[feature]
        if is_image:
            return tf.map_fn(connector.decode_example, values, fn_output_signature=tf.uint8)
        return values if text else tf.cast(values, connector.tf_dtype)

    adapter = ADAPTER_FOR_FORMAT[info.file_format]
    parts = [adapter.make_tf_data(file.filename).skip(file.skip).take(file.take) for file in files]
    examples = functools.reduce(tf.data.Dataset.concatenate, parts).take(limit or -1).batch(READ_BATCH)
    batches = examples.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    try:
        return np.concatenate(list(batches.as_numpy_iterator()))
    except (tf.errors.OpError, ValueError) as error:  # ValueError: there is no example at all
        raise _unreadable(name, builder.data_dir, error) from error


def has_feature(name: str, feature: str) -> bool:
    """Check whether a dataset has a feature besides the images, such as "label"."""
    return feature in _builder(name).info.features


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


def scale(images, value_range: tuple[float, float] = (0.0, 1.0)):
    """Convert uint8 images to float32, linearly: 0 and 255 become the ends of `value_range`."""
    low, high = value_range
    return low + tf.cast(images, tf.float32) * ((high - low) / 255)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resize uint8 images [n, h, w, c] to [n, size, size, c], bilinearly (sheet 004 uses MNIST at 32×32)."""
    if images.shape[1:3] == (size, size):
        return images
    parts = np.array_split(images, -(-len(images) // READ_BATCH))
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

    def batch(indices):
        gathered = gather(indices)
        return scale(gathered, value_range) if is_bytes else gathered

    passes = tf.data.Dataset.counter(first_pass) if epochs is None else tf.data.Dataset.range(first_pass, epochs)
    batches = passes.map(order).rebatch(batch_size, drop_remainder=epochs is None)
    batches = batches.map(batch, num_parallel_calls=1, deterministic=True).prefetch(PREFETCH_BATCHES)
    size = tf.data.INFINITE_CARDINALITY if epochs is None else max(-(-epochs * len(images) // batch_size) - start, 0)
    options = tf.data.Options()  # one thread; more would take the cores from the model
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    # Nothing here needs tuning. An iterator is freed only when its tuning thread wakes up. That thread sleeps for
    # 10 ms, 20 ms … a minute, so every training would end with seconds of waiting.
    options.autotune.enabled = False
    return batches.apply(tf.data.experimental.assert_cardinality(size)).with_options(options)


def _builder(name: str, data_dir: str | os.PathLike | None = None) -> tfds.core.DatasetBuilder:
    """Find a dataset in this package, in the TFDS folder (TFDS_DATA_DIR), or in TFDS' catalogue."""
    if name == celeb_a.NAME:
        return celeb_a.builder(data_dir)
    embedded = {path.parts[-3]: path.parent for path in sorted(STORE.glob("*/*/dataset_info.json"))}
    try:
        if name in embedded:
            return tfds.builder_from_directory(embedded[name])
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise InputError(
            f"unknown dataset {name!r}; embedded are {', '.join(embedded)}; "
            "others: a name from the TensorFlow Datasets catalogue, or your own (python -m hw5.data.build)"
        ) from error
    except (OSError, ImportError, ParseError, tf.errors.OpError) as error:
        raise _unreadable(name, data_dir or tfds.core.constants.DATA_DIR, error) from error
    if not builder.is_prepared():
        _download(builder)
    return builder


def _unreadable(name, folder, error):
    reason = " ".join(str(error).split()).rpartition("}} ")[2]  # TensorFlow's messages begin with {{function_node …}}
    return InputError(f"dataset {name!r} in {folder} cannot be read ({reason[:200]}); is it damaged?")


def _download(builder: tfds.core.DatasetBuilder) -> None:
    """Let TFDS download and prepare a dataset, or fail within seconds without a network."""
    print(f"dataset {builder.name!r} is not on this machine; TFDS downloads it now", file=sys.stderr)
    unreachable = f"dataset {builder.name!r} is not in {builder.data_dir} and cannot be downloaded"
    try:
        if urls := list(builder.url_infos or {}):
            requests.head(urls[0], timeout=5)  # TFDS itself would retry for minutes
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except (OSError, AssertionError, tfds.download.DownloadError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{unreachable} ({reason[:200]})") from error
