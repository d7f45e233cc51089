"""Datasets that TensorFlow Datasets has prepared: reading them in order, and downloading others."""

import functools
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf.json_format import ParseError
from tensorflow_datasets.core.file_adapters import ADAPTER_FOR_FORMAT

from hw5.data.values import Extremes, find_white, to_bytes
from hw5.errors import InputError

READ_BATCH = 512  # examples parsed by one call; parsing one by one takes three times as long
CHANNELS = (1, 3)
# What TFDS raises for damaged metadata.
DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, ParseError, tf.errors.OpError)
NOT_A_SPLIT = (KeyError, ValueError, AssertionError, AttributeError, NotImplementedError)  # of TFDS, for a wrong split


def load(
    builder: tfds.core.DatasetBuilder, split: str = "train", feature: str = "image", limit: int | None = None
) -> np.ndarray:
    """Read one feature of a split into memory, in the stored order; arguments and errors as of `hw5.data.load`."""
    name, info = builder.name, builder.info
    try:
        files = info.splits[split].file_instructions
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(info.splits)
    except NOT_A_SPLIT as error:
        raise no_split(name, split, {key: part.num_examples for key, part in info.splits.items()}, error) from error
    connector = _find_feature(name, info.features, feature)
    # TFDS reads [5:2] as [5:].
    if not files or any(part.to is not None and (part.from_ or 0) > part.to for part in parts):
        raise InputError(f"dataset {name!r}: {split} selects no images")
    try:
        values = np.concatenate(list(_batches(info, files, feature, connector, limit)))
        promised = sum(file.examples_in_shard - file.skip if file.take < 0 else file.take for file in files)
        if len(values) != min(promised, limit or promised):  # a file that is cut off between two examples
            raise ValueError(f"{len(values)} of {promised} examples")
        if not _is_image(connector) or values.dtype == np.uint8:
            return values
        if values.dtype == np.uint16:
            return to_bytes(values, np.iinfo(np.uint16).max)
        every = [file for part in info.splits.values() for file in part.file_instructions]
        extremes = (Extremes.of(batch) for batch in _batches(info, every, feature, connector))
        return to_bytes(values, find_white(functools.reduce(Extremes.__or__, extremes), values.dtype))
    except InputError as error:
        raise InputError(f"dataset {name!r}: {error}") from error
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError, OSError) as error:  # also: no example at all
        raise unreadable(name, builder.data_dir, error) from error


def _find_feature(name, features, feature):
    """Return the connector of a feature that can be read as one array; InputError: there is none."""
    connector = features
    try:
        for key in feature.split("/"):
            connector = connector[key]
        if not _is_image(connector) and connector.shape != ():
            raise TypeError
    except (KeyError, TypeError) as error:
        known = ", ".join(features)
        raise InputError(f"dataset {name!r} has no image, number or text {feature!r}; it has {known}") from error
    if _is_image(connector) and None in connector.shape:
        raise InputError(
            f"dataset {name!r} has images of varying size; python -m hw5.data.build makes some of one size"
        )
    if _is_image(connector) and not (len(connector.shape) == 2 or connector.shape[-1] in CHANNELS):
        found = f"{connector.shape[-1]} channels, {np.dtype(connector.np_dtype)}"
        raise InputError(f"dataset {name!r} has images of {found}; they must have 1 or 3 channels")
    return connector


def _is_image(connector):
    """Check for a feature of images, or of arrays that have the shape of images."""
    if isinstance(connector, tfds.features.Image):
        return True
    return isinstance(connector, tfds.features.Tensor) and len(connector.shape) in (2, 3)


def _batches(info, files, feature, connector, limit=None) -> Iterator[np.ndarray]:
    """Yield the values of a feature in batches, in the stored order."""
    is_encoded_image = isinstance(connector, tfds.features.Image)
    is_array = _is_image(connector) and not is_encoded_image

    def parse(serialized):
        text = is_encoded_image or isinstance(connector, tfds.features.Text)
        kind = tf.string if text else tf.float32 if connector.tf_dtype.is_floating else tf.int64
        values = tf.io.parse_example(serialized, {feature: tf.io.FixedLenFeature((), kind)})[feature]
        if is_encoded_image:
            return tf.map_fn(connector.decode_example, values, fn_output_signature=connector.tf_dtype)
        return values if text else tf.cast(values, connector.tf_dtype)

    def parse_array(serialized):
        (key,) = (feature,) if "/" not in feature else (None,)
        example = tfds.features.FeaturesDict({key: connector}).deserialize_example(serialized)
        return example[key] if connector.shape[2:] else example[key][..., None]

    examples = _serialized(info, files)
    if limit:
        examples = examples.take(limit)
    parallel = dict(num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if is_array:
        return examples.map(parse_array, **parallel).batch(READ_BATCH).as_numpy_iterator()
    return examples.batch(READ_BATCH).map(parse, **parallel).as_numpy_iterator()


def _serialized(info, files) -> tf.data.Dataset:
    """Make a dataset of the stored examples, serialized."""
    if info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        from array_record.python.array_record_module import ArrayRecordReader

        def read():
            for file in files:
                reader = ArrayRecordReader(os.fspath(file.filename))
                for start in range(file.skip, file.skip + file.take, READ_BATCH):
                    yield reader.read(start, min(start + READ_BATCH, file.skip + file.take))
                reader.close()

        return tf.data.Dataset.from_generator(read, output_signature=tf.TensorSpec([None], tf.string)).unbatch()
    adapter = ADAPTER_FOR_FORMAT[info.file_format]
    parts = [adapter.make_tf_data(file.filename).skip(file.skip).take(file.take) for file in files]
    return functools.reduce(tf.data.Dataset.concatenate, parts)


def open_folder(folder: Path) -> tfds.core.DatasetBuilder:
    """Open the folder of one version of a dataset; InputError: it is damaged."""
    try:
        return tfds.builder_from_directory(folder)
    except DAMAGED as error:
        raise unreadable(folder.parent.name, folder.parent.parent, error) from error


def open_catalogued(name: str, data_dir: str | os.PathLike | None = None) -> tfds.core.DatasetBuilder:
    """Find a dataset in the TFDS folder or in TFDS' catalogue, and download it if it is not on this machine.

    Raises:
        LookupError: there is no such dataset.
        InputError: it has no such version or configuration, is damaged, or cannot be downloaded.
    """
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise LookupError(name) from error
    except (AssertionError, ValueError) as error:
        if not isinstance(error.__cause__ or error, AssertionError) and "BuilderConfig" not in str(error):
            raise LookupError(name) from error
        reason = re.sub(r'^Failed to construct dataset .*?}": ', "", " ".join(str(error).split()))
        raise InputError(f"dataset {name!r}: {reason[:300]}") from error
    except DAMAGED as error:
        raise unreadable(name, data_dir or tfds.core.constants.DATA_DIR, error) from error
    if not builder.is_prepared():
        _download(builder)
    return builder


def no_split(name: str, split: str, counts: dict[str, int], error: Exception) -> InputError:
    """Return the error for a split that a dataset does not have, or a slice beyond the end of one.

    Args:
        counts: split → number of its images.
        error: what TFDS raised for it.
    """
    if "Requested slice" in str(error):
        listed = ", ".join(f"{known} has {count:,} images" for known, count in counts.items())
        return InputError(f"dataset {name!r}: {split} goes beyond the end; {listed}")
    return InputError(f"dataset {name!r} has no split {split!r}; it has {', '.join(counts)}")


def unreadable(name: str, folder, error: Exception) -> InputError:
    """Return the error for a dataset that cannot be read."""
    reason = " ".join(str(error).split()).rpartition("}} ")[2]  # TensorFlow's messages begin with {{function_node …}}
    reason = reason.partition(" Traceback ")[0]  # … and may have all of Python's in them
    return InputError(f"dataset {name!r} in {folder} cannot be read ({reason[:200]}); is it damaged?")


def _download(builder: tfds.core.DatasetBuilder) -> None:
    """Let TFDS download and prepare a dataset, or fail within seconds without a network."""
    print(f"dataset {builder.name!r} is not on this machine; TFDS downloads it now", file=sys.stderr)
    unreachable = f"dataset {builder.name!r} is not in {builder.data_dir} and cannot be downloaded"
    urls = list(builder.url_infos or {})
    try:
        if urls:
            requests.head(urls[0], timeout=5)  # TFDS itself would retry for minutes
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except requests.ConnectionError as error:
        raise InputError(f"{unreachable} (no connection to {urlsplit(urls[0]).netloc})") from error
    except (OSError, AssertionError, tfds.download.DownloadError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{unreachable} ({textwrap.shorten(reason, 200, placeholder=' …')})") from error
