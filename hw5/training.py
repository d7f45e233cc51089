"""The one way in which every section trains."""

from collections.abc import Callable

import keras
import numpy as np

from hw5.data import pipeline
from hw5.errors import InputError
from hw5.models.autoencoder import Autoencoder, layer_pairs
from hw5.optimizers import Adam, WarmupDecay

STEPS_PER_EXECUTION = range(64, 15, -1)
EVALUATION_BATCH = 1000


def epoch_steps(images: int, batch_size: int) -> tuple[int, int]:
    """(steps an epoch, steps an execution) for a number of training images.

    Keras always runs whole executions of `steps_per_execution` steps, past the end of the epoch if it
    has to. So an epoch is shortened by the few steps that make it a whole number of executions; as the
    training stream never ends, the images left over open the next epoch.
    """
    steps = max(images // batch_size, 1)
    if steps < STEPS_PER_EXECUTION[0]:
        return steps, steps
    return next((n, many) for n in range(steps, 0, -1) for many in STEPS_PER_EXECUTION if n % many == 0)


def fit(
    model: keras.Model,
    images: np.ndarray,
    validation_images: np.ndarray | None = None,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
    transform: Callable | None = None,
) -> dict[str, list[float]]:
    """Train with Adam (the learning rate as in `WarmupDecay`) and validate after every epoch.

    Args:
        images, validation_images: uint8 [n, h, w, c].
        seed: of the shuffling.
        transform: maps each float batch before the model sees it.

    Returns:
        Keras' history: for every metric, and for it on validation (`val_…`), one value an epoch.

    Raises:
        InputError: a metric became infinite or NaN.
    """
    batch_size = min(batch_size, len(images))
    steps, steps_per_execution = epoch_steps(len(images), batch_size)
    training = pipeline(images, batch_size, shuffle=True, seed=seed, epochs=None)
    validation = None if validation_images is None else pipeline(validation_images, EVALUATION_BATCH)
    if transform:
        training, validation = training.map(transform), validation and validation.map(transform)
    model.compile(optimizer=Adam(WarmupDecay(learning_rate, epochs * steps)), steps_per_execution=steps_per_execution)
    history = model.fit(
        training,
        epochs=epochs,
        steps_per_epoch=steps,
        validation_data=validation,
        callbacks=[keras.callbacks.TerminateOnNaN()],
        shuffle=False,  # the stream is shuffled already; Keras would warn that it cannot
    ).history
    for metric, values in history.items():
        if not np.isfinite(values).all():
            epoch = int(np.argmin(np.isfinite(values))) + 1
            raise InputError(
                f"training diverged: {metric} is {values[epoch - 1]} in epoch {epoch}; lower --learning_rate"
            )
    return history


def pretrain(model: Autoencoder, images: np.ndarray, **schedule) -> None:
    """Initialise a stacked autoencoder layer by layer, each pair of layers for a `fit` of its own.

    Args:
        schedule: `fit`'s epochs, batch_size, learning_rate and seed.
    """
    for below, shallow in layer_pairs(model):
        fit(shallow, images, transform=below, **schedule)


def evaluate(model: keras.Model, images: np.ndarray) -> dict[str, float]:
    """The model's metrics on uint8 images; the batch size does not enter."""
    return model.evaluate(pipeline(images, EVALUATION_BATCH), verbose=0, return_dict=True)
