"""The images of the sheets."""

from pathlib import Path

import numpy as np

STORE = Path(__file__).parent / "store"  # a folder NAME/1.0.0 of TensorFlow Datasets for each dataset


def load(name: str, split: str = "train", *, limit: int | None = None, feature: str = "image") -> np.ndarray:
    """1.2, 5.1, 8.1: Read one feature of a dataset, in the stored order.

    `tensorflow_datasets.builder_from_directory` opens a folder; its `as_dataset` has the examples.

    Args:
        name: "mnist", "emojione" or "cartoon_faces".
        split: "train" or "test", for the faces "validation" as well; also a part of one, as "train[90%:]".
        limit: read only the first so many.
        feature: "image" or "label".

    Returns:
        Images, uint8 [n, h, w, c], or labels, int64 [n].
    """
    # TODO start
    raise NotImplementedError
    # TODO end


def pipeline(images, batch_size, *, value_range=(0.0, 1.0), shuffle=False, seed=0):
    """1.2: Make a tf.data.Dataset of batches, float32.

    Args:
        images: uint8 [n, h, w, c].
        value_range: what 0 and 255 become.
    """
    # TODO start
    raise NotImplementedError
    # TODO end
