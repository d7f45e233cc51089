"""The identity of a training: everything that determines its result, derived and never listed by hand."""

import dataclasses
import json
import zlib

import keras
import numpy as np

from hw5.training.schedule import Schedule


def identity(
    model: keras.Model, schedule: Schedule, seed: int, images: np.ndarray, validation_images: np.ndarray | None
) -> dict:
    """Derive the identity of a training: its parts by name, as JSON values.

    Two trainings of equal identity end with equal weights and curves.

    Args:
        model: compiled, with `optimizers`; its configuration counts without the names that Keras gives.
        images, validation_images: count by a checksum.
    """
    optimizers = [keras.saving.serialize_keras_object(optimizer) for optimizer in model.optimizers]
    parts = {
        "model": without_names(keras.saving.serialize_keras_object(model) | {"compile_config": None}),
        "optimizers": without_names(optimizers),
        "schedule": dataclasses.asdict(schedule),
        "seed": seed,
        "images": checksum(images),
        "validation images": checksum(validation_images),
    }
    return json.loads(json.dumps(parts))


def without_names(config):
    """Number the layers, models and optimizers of a Keras configuration in the order in which they appear.

    Keras counts the layers of a process: the fifth model has other names than the same model alone. Equal
    configurations stay equal and different ones stay different, as every name gets a number of its own.
    """
    numbers = {}

    def find(node):
        if isinstance(node, dict):
            if isinstance(node.get("name"), str) and len(node) > 1:  # a dtype policy has a name and nothing else
                numbers.setdefault(node["name"], f"name {len(numbers)}")
            for value in node.values():
                find(value)
        elif isinstance(node, list | tuple):
            for value in node:
                find(value)

    def renamed(node):
        if isinstance(node, dict):
            return {key: renamed(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [renamed(value) for value in node]
        return numbers.get(node, node) if isinstance(node, str) else node

    find(config)
    return renamed(config)


def checksum(images: np.ndarray | None) -> int | None:
    """Return the CRC-32 of an array's bytes."""
    return None if images is None else zlib.crc32(np.ascontiguousarray(images))
