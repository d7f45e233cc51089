"""Inputs of models: images in all forms that Keras accepts, checked before training."""

import warnings

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from hw5.errors import InputError

SLACK = 1e-3  # of the width of the range, the precision of float16 at 1


def to_float(images, value_range: tuple[float, float] | None):
    """Convert a batch of images to float32.

    Args:
        images: uint8 [batch, …], scaled so that 0 and 255 become the ends of `value_range`; or float, as they are.
        value_range: of the model; None for samples that are not images.

    Raises:
        InputError: another type of numbers.
    """
    images = ops.convert_to_tensor(images)
    dtype = keras.backend.standardize_dtype(images.dtype)
    if "float" not in dtype and (dtype != "uint8" or value_range is None):
        raise InputError(f"images are {dtype}: must be {'float' if value_range is None else 'uint8 or float'}")
    images = ops.cast(images, "float32")
    if dtype == "uint8":
        low, high = value_range
        images = low + images * ((high - low) / 255)
    return images


def check_inputs(model, *inputs, sample_weight=None, class_weight=None, **_) -> None:
    """Check the data of `fit` or `evaluate`: a whole array, or the first batch of a dataset.

    Raises:
        InputError: images outside the model's range, NaN, of another shape or type; weights of samples.
    """
    if sample_weight is not None or class_weight is not None:
        raise InputError("sample_weight and class_weight: this model weighs all images alike")
    for data in inputs:
        if isinstance(data, tf.data.Dataset):
            data = next(iter(data.take(1)), None)
        elif isinstance(data, keras.utils.PyDataset):
            data = data[0]
        if isinstance(data, tuple | list):
            if len(data) == 3 and data[2] is not None:
                raise InputError("sample_weight: this model weighs all images alike")
            data = data[0]
        if hasattr(data, "shape"):
            check_images(data, model.image_shape, model.value_range)


def check_images(images, image_shape: tuple, value_range: tuple[float, float] | None) -> None:
    """Check the shape, the type and the range of images [n, *image_shape].

    Raises:
        InputError: the message says what is wrong and what is needed.
    """
    shape = tuple(images.shape[1:])
    if len(shape) != len(image_shape) or any(b not in (None, a) for a, b in zip(shape, image_shape, strict=True)):
        raise InputError(f"images are {_listed(images.shape)}: must be {_listed(('n', *image_shape))}")
    to_float(images[:1], value_range)
    if value_range is None or images.dtype == np.uint8:
        return
    low, high = value_range
    smallest, largest = float(ops.min(images)), float(ops.max(images))
    slack = SLACK * (high - low)
    if not (smallest >= low - slack and largest <= high + slack):  # NaN is in no range
        found = f"have values from {smallest:g} to {largest:g}"
        raise InputError(f"images {found}: must be floats in [{low:g}, {high:g}], or uint8")
    if low < 0 <= smallest:
        found = f"all images have values from {smallest:g} to {largest:g}"
        warnings.warn(f"{found}; this model takes images in [{low:g}, {high:g}]", stacklevel=4)


def _listed(shape):
    return f"[{', '.join(map(str, shape))}]"
