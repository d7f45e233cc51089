"""Training of every model: build, compile, resume, loop."""

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from hw5 import figures
from hw5.data import pipeline, scale
from hw5.errors import InputError, TrainingFailed
from hw5.files import atomic_write, locked, output_folder
from hw5.models import VAE, Autoencoder, saving
from hw5.models.autoencoder import layer_pairs
from hw5.models.base import LatentModel
from hw5.training import callbacks as own
from hw5.training.identity import identity
from hw5.training.schedule import Schedule

EVALUATION_BATCH = 1000  # images
MODES = ("resume", "restart", "evaluate")


def fit(
    build: Callable[[], LatentModel],
    images: np.ndarray,
    validation_images: np.ndarray | None = None,
    *,
    run_dir: Path,
    schedule: Schedule,
    optimizers: Callable[[int], dict],
    seed: int = 0,
    mode: str = "resume",
    arguments: dict | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    preprocess: Callable | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple[LatentModel, dict[str, list[float]]]:
    """Train a model, validating after every epoch, and save it.

    A run that was killed goes on from its latest checkpoint when it is called again, and ends with the
    same weights and curves, to the bit, as one that never stopped.

    `run_dir` gets `checkpoints/`, TensorBoard's events in `train/`, `validation/` and `images/`, the
    curves as `history.csv` and `curves.png`, `noise.npy` (of the sample grids), and at the end the
    model (`hw5.models.load`).

    Args:
        build: makes the untrained model, after the seed is set.
        images, validation_images: uint8 [n, h, w, c], or float32 [n, …] (`hw5.data.pipeline`).
        schedule: length of the training; a batch has at most as many images as there are.
        optimizers: maps the number of steps to the arguments of the model's `compile` (`hw5.training.adam`).
        seed: of the weights, the order of the images and all noise.
        mode: "resume" goes on from the latest checkpoint, if there is one; "restart" forgets it; "evaluate"
            loads it and does not train.
        arguments: the caller's own arguments by name; a message shows those that differ from a checkpoint's.
        callbacks: more Keras callbacks.
        preprocess: maps each batch, scaled to [0, 1], before the model sees it.
        strategy: build and train under it, as under a `tf.distribute.MirroredStrategy()` for several GPUs.

    Returns:
        (model, history): for every metric, and for it on validation (`val_…`), one value per epoch.

    Raises:
        TrainingFailed (an InputError): a metric became infinite or NaN; a GAN collapsed or its discriminator
            saturated. It is raised again, without training, when the same training is asked for again.
        InputError: the checkpoint belongs to another training, or there is none to evaluate; too few images;
            another process trains in `run_dir`.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a checkpoint was written.
    """
    if mode not in MODES:
        raise InputError(f"mode={mode}: must be one of {', '.join(MODES)}")
    run_dir = Path(run_dir)
    keras.utils.set_random_seed(seed)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = build()
        schedule = limited(schedule, model, len(images))
        steps_per_execution = 1 if strategy else schedule.steps_per_execution  # Keras' loop fails under a strategy
        model.compile(**optimizers(schedule.steps), steps_per_execution=steps_per_execution)
    what = identity(model, schedule, seed, images, validation_images)
    checkpoint = own.ResumableCheckpoint(run_dir, schedule, what, arguments or {})
    if mode != "restart":
        _raise_earlier_failure(run_dir, what)
    resumed = mode != "restart" and checkpoint.restore(model)
    if mode == "evaluate":
        if not resumed:
            raise InputError(f"{run_dir}: holds no checkpoint to evaluate; train first, without train=False")
        return model, checkpoint.history
    output_folder(run_dir, "run_dir")
    with locked(run_dir), own.catching_interrupts(checkpoint), _remembering_failures(run_dir, what):
        if resumed:
            print(f"{run_dir}: goes on at step {checkpoint.step} of {schedule.steps}")
        else:
            _forget(run_dir)
        output_folder(run_dir / "checkpoints", "run_dir")
        callbacks = [keras.callbacks.TensorBoard(run_dir, write_graph=False), *callbacks]
        callbacks += model.training_callbacks(checkpoint.history)
        if images.dtype == np.uint8 and preprocess is None:
            shown = scale((images if validation_images is None else validation_images)[: own.NOISE_GRID**2])
            noise = own.load_or_draw_noise(run_dir, model.latent_dim, seed)
            folder = run_dir / "images"
            callbacks.append(own.TensorBoardImages(folder, arguments or {}, shown, noise, schedule.num_epochs))
        _loop(model, images, validation_images, schedule, seed, preprocess, [*callbacks, checkpoint])
        checkpoint.write_history()
        figures.training_curves(run_dir / "curves.png", checkpoint.history)
        saving.save(model, run_dir)
    return model, checkpoint.history


def limited(schedule: Schedule, model: LatentModel, num_images: int) -> Schedule:
    """Return the schedule with batches for which there are enough images.

    Raises:
        InputError: the model's step needs more images than there are, or larger batches.
    """
    least = model.min_batch_size
    if schedule.batch_size < least:
        raise InputError(f"batch_size={schedule.batch_size}: must be at least {least} for this model")
    if num_images < least * model.batches_per_step:
        raise InputError(
            f"{num_images} images are too few: this model trains on {least * model.batches_per_step} or more"
        )
    batch_size = min(schedule.batch_size, num_images // model.batches_per_step)
    return Schedule(batch_size, schedule.num_epochs, schedule.steps_per_epoch)


def _loop(model, images, validation_images, schedule, seed, preprocess, callbacks):
    """Run Keras' `fit` until the checkpoint callback, the last of them, has seen all steps."""
    checkpoint = callbacks[-1]
    scaled = {"value_range": (0.0, 1.0) if preprocess else model.value_range}
    validation = None
    if validation_images is not None:
        validation = pipeline(validation_images, EVALUATION_BATCH, **scaled)
    map_batches = (lambda batches: batches and batches.map(preprocess)) if preprocess else lambda batches: batches
    while not checkpoint.finished:
        # The rest of a partly finished epoch is a separate `fit`, because Keras cannot start within an epoch.
        epoch, done = divmod(checkpoint.step, schedule.steps_per_epoch)
        stream = pipeline(
            images,
            schedule.batch_size * model.batches_per_step,
            **scaled,
            shuffle=True,
            seed=seed,
            epochs=None,
            start=checkpoint.step,
        )
        model.fit(
            map_batches(stream),
            initial_epoch=epoch,
            epochs=epoch + 1 if done else schedule.num_epochs,
            steps_per_epoch=schedule.steps_per_epoch - done,
            validation_data=map_batches(validation),
            callbacks=callbacks,
            shuffle=False,  # the stream is shuffled already; Keras would warn that it cannot
        )


def pretrain(model: Autoencoder, images: np.ndarray, *, run_dir: Path, **training) -> None:
    """Initialise a stacked autoencoder layer by layer, each pair of layers by a `fit` of its own.

    Args:
        training: more arguments of `fit`.
    """
    for number, (below, shallow) in enumerate(layer_pairs(model), 1):
        fit(lambda shallow=shallow: shallow, images, preprocess=below, run_dir=run_dir / f"pair_{number}", **training)


def evaluate(model: LatentModel, images: np.ndarray) -> dict[str, float]:
    """Return the model's metrics on uint8 images; the result does not depend on the batch size."""
    batches = pipeline(images, EVALUATION_BATCH, value_range=model.value_range)
    return model.evaluate(batches, verbose=0, return_dict=True)


def negative_elbo(model: VAE, images: np.ndarray) -> dict[str, float]:
    """Return reconstruction, kl and their sum, negative_elbo, of a VAE on uint8 images, in nats per image."""
    terms = evaluate(model, images)
    terms = {name: terms[name] for name in ("reconstruction", "kl")}
    return terms | {"negative_elbo": sum(terms.values())}


FAILURE = "failure.json"


def _raise_earlier_failure(run_dir, what):
    """Raise the failure that ended the same training before: it would end in the same way again."""
    try:
        failure = json.loads((run_dir / FAILURE).read_text())
        same, message, history = failure["identity"] == what, failure["message"], failure["history"]
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
        return
    if same:
        raise TrainingFailed(message, history)


@contextlib.contextmanager
def _remembering_failures(run_dir, what):
    try:
        yield
    except TrainingFailed as failure:
        with atomic_write(run_dir / FAILURE) as partial:
            partial.write_text(json.dumps({"identity": what, "message": str(failure), "history": failure.history}))
        raise


def _forget(run_dir):
    """Remove the files of an earlier run, whose curves would mix with the new ones."""
    for name in ("checkpoints", "train", "validation", "images", "samples"):
        shutil.rmtree(run_dir / name, ignore_errors=True)
    for name in ("noise.npy", FAILURE):
        (run_dir / name).unlink(missing_ok=True)
