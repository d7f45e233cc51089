"""Training of every model: build, compile, resume, loop."""

import contextlib
import json
import re
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
from hw5.training import distribution
from hw5.training.identity import identity
from hw5.training.schedule import Schedule

EVALUATION_BATCH = 1000  # images
MODES = ("resume", "restart", "evaluate")
MIN_ACTIVE_VARIANCE = 0.01  # of an active latent (Burda et al. 2016, section 5.2)
MAX_PRIOR_IMAGES = 20_000  # whose latents a prior is fitted to


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
    initialize: Callable[[LatentModel], None] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    preprocess: Callable | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple[LatentModel, dict[str, list[float]]]:
    """Train a model, validating after every epoch, and save it.

    A run that was killed goes on from its latest checkpoint when it is called again, and ends with the
    same weights and curves, to the bit, as one that never stopped.

    `run_dir` gets `checkpoints/`, TensorBoard's events (`hw5.training.callbacks.TensorBoard`), the curves as
    `history.csv` and `curves.png`, `noise.npy` (of the sample grids), and at the end the model (`hw5.models.load`).

    Args:
        build: makes the untrained model, after the seed is set.
        images, validation_images: uint8 [n, h, w, c], or float32 [n, …] (`hw5.data.pipeline`).
        schedule: length of the training; a batch has at most as many images as there are.
        optimizers: maps the number of steps to the arguments of the model's `compile` (`hw5.training.adam`).
        seed: of the weights, the order of the images and all noise.
        mode: "resume" goes on from the latest checkpoint, if there is one; "restart" forgets it; "evaluate"
            loads it and does not train.
        arguments: the caller's own arguments by name; a message shows those that differ from a checkpoint's.
        initialize: changes the model that was built before its training, as `pretrain` does.
        callbacks: more Keras callbacks.
        preprocess: maps each batch, scaled to [0, 1], before the model sees it.
        strategy: build and train under it (`hw5.training.make_strategy`). Each batch is divided among its replicas,
            which together make the step of one device. Every process of a cluster calls this function alike; the
            chief alone writes, and the others get copies of `samples/` and `noise.npy`.

    Returns:
        (model, history): for every metric, and for it on validation (`val_…`), one value per epoch.

    Raises:
        TrainingFailed (an InputError): a metric became infinite or NaN; a GAN collapsed or its discriminator
            saturated. It is raised again, without training, when the same training is asked for again.
        InputError: the checkpoint belongs to another training, or there is none to evaluate; too few images;
            a batch that cannot be divided; another process trains in `run_dir`; another process of the cluster ended.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a checkpoint was written.
    """
    if mode not in MODES:
        raise InputError(f"mode={mode}: must be one of {', '.join(MODES)}")
    run_dir, is_chief, replicas = Path(run_dir), distribution.is_chief(strategy), distribution.num_replicas(strategy)
    keras.utils.set_random_seed(seed)
    with distribution.scope(strategy), _as_one_line(strategy):
        model = build()
    if initialize:
        initialize(model)
    with distribution.scope(strategy), _as_one_line(strategy):
        schedule = limited(schedule, model, len(images), replicas)
        steps_per_execution = 1 if strategy else schedule.steps_per_execution  # Keras' loop fails under a strategy
        model.compile(**optimizers(schedule.steps), steps_per_execution=steps_per_execution)
    what = identity(model, schedule, seed, images, validation_images)
    checkpoint = own.ResumableCheckpoint(run_dir, schedule, what, arguments or {}, strategy)
    with _as_one_line(strategy):
        distribution.check_equal(strategy, what)
        if mode != "restart":
            _raise_earlier_failure(run_dir, what)
        resumed = mode != "restart" and checkpoint.restore(model)
        if mode == "evaluate" and not resumed:
            raise InputError(f"{run_dir}: holds no checkpoint to evaluate; train first, without train=False")
        if mode == "evaluate":
            model.finish_training()
        else:
            with _writing(run_dir, what) if is_chief else contextlib.nullcontext(), own.catching_interrupts(checkpoint):
                _train(model, images, validation_images, checkpoint, seed, preprocess, callbacks, resumed)
        distribution.copy_from_chief(strategy, run_dir, ("samples", "noise.npy"))
    return model, checkpoint.history


def _train(model, images, validation_images, checkpoint, seed, preprocess, callbacks, resumed):
    """Train from the checkpoint's step to the end; the chief writes what the training leaves."""
    run_dir, schedule = checkpoint.folder, checkpoint.schedule
    if resumed:
        print(f"{run_dir}: goes on at step {checkpoint.step} of {schedule.steps}")
    callbacks = [*callbacks, *model.training_callbacks(checkpoint.history)]
    if not resumed:
        model.start_training(images)
    if checkpoint.is_chief:
        if not resumed:
            _forget(run_dir)
        output_folder(run_dir / "checkpoints", "run_dir")
        shown = ()
        if images.dtype == np.uint8 and preprocess is None:
            examples = (images if validation_images is None else validation_images)[: own.NOISE_GRID**2]
            shown = (scale(examples), own.load_or_draw_noise(run_dir, model.latent_dim, seed))
        callbacks.append(own.TensorBoard(run_dir, checkpoint.arguments, schedule.num_epochs, *shown))
    _loop(model, images, validation_images, seed, preprocess, [*callbacks, checkpoint])
    model.finish_training()
    if checkpoint.is_chief:
        checkpoint.write_history()
        figures.training_curves(run_dir / "curves.png", checkpoint.history)
        saving.save(model, run_dir)


def limited(schedule: Schedule, model: LatentModel, num_images: int, replicas: int = 1) -> Schedule:
    """Return the schedule with batches for which there are enough images.

    Raises:
        InputError: the model's step needs more images than there are, or larger batches; a batch cannot be divided
            equally among the replicas.
    """
    least = max(model.min_batch_size, replicas)
    if schedule.batch_size < least:
        raise InputError(f"batch_size={schedule.batch_size}: must be at least {least} for this model")
    if schedule.batch_size % replicas:
        raise InputError(f"batch_size={schedule.batch_size}: must be a multiple of {replicas}, the number of replicas")
    if num_images < least * model.batches_per_step:
        raise InputError(
            f"{num_images} images are too few: this model trains on {least * model.batches_per_step} or more"
        )
    batch_size = min(schedule.batch_size, num_images // model.batches_per_step // replicas * replicas)
    return Schedule(batch_size, schedule.num_epochs, schedule.steps_per_epoch)


def _loop(model, images, validation_images, seed, preprocess, callbacks):
    """Run Keras' `fit` until the checkpoint callback, the last of them, has seen all steps."""
    checkpoint = callbacks[-1]
    schedule, strategy = checkpoint.schedule, checkpoint.strategy
    value_range = (0.0, 1.0) if preprocess else model.value_range

    def batches(images, batch_size, **how):
        def make(**parts):
            made = pipeline(images, batch_size, value_range=value_range, **how, **parts)
            return made.map(preprocess) if preprocess else made

        return distribution.distributed(strategy, make)

    validation = None if validation_images is None else batches(validation_images, EVALUATION_BATCH)
    while not checkpoint.finished:
        # The rest of a partly finished epoch is a separate `fit`, because Keras cannot start within an epoch.
        epoch, done = divmod(checkpoint.step, schedule.steps_per_epoch)
        size = schedule.batch_size * model.batches_per_step
        model.fit(
            batches(images, size, shuffle=True, seed=seed, epochs=None, start=checkpoint.step),
            initial_epoch=epoch,
            epochs=epoch + 1 if done else schedule.num_epochs,
            steps_per_epoch=schedule.steps_per_epoch - done,
            validation_data=validation,
            validation_steps=None if validation is None else num_batches(validation_images),
            callbacks=callbacks,
            shuffle=False,  # the stream is shuffled already; Keras would warn that it cannot
            verbose="auto" if checkpoint.is_chief else 0,
        )


def num_batches(images: np.ndarray) -> int:
    """Return the number of batches in which images are evaluated."""
    return -(-len(images) // EVALUATION_BATCH)


def pretrain(model: Autoencoder, images: np.ndarray, *, run_dir: Path, **training) -> None:
    """Initialise a stacked autoencoder layer by layer, each pair of layers by a `fit` of its own.

    Args:
        training: more arguments of `fit`.
    """
    with distribution.scope(training.get("strategy")):
        pairs = list(layer_pairs(model))
    for number, (below, shallow) in enumerate(pairs, 1):
        fit(lambda shallow=shallow: shallow, images, preprocess=below, run_dir=run_dir / f"pair_{number}", **training)


def evaluate(model: LatentModel, images: np.ndarray) -> dict[str, float]:
    """Return the model's metrics on uint8 images; the result does not depend on the batch size."""
    how = dict(batch_size=EVALUATION_BATCH, value_range=model.value_range)
    batches = distribution.distributed(model.distribute_strategy, lambda **parts: pipeline(images, **how, **parts))
    return model.evaluate(batches, steps=num_batches(images), verbose=0, return_dict=True)


def negative_elbo(model: VAE, images: np.ndarray) -> dict[str, float]:
    """Return reconstruction, kl and their sum, negative_elbo, of a VAE on uint8 images, in nats per image."""
    terms = evaluate(model, images)
    terms = {name: terms[name] for name in ("reconstruction", "kl")}
    return terms | {"negative_elbo": sum(terms.values())}


def active_latents(model: VAE, images: np.ndarray) -> int:
    """Count the latents that tell uint8 images apart: the variance of μ over them is above `MIN_ACTIVE_VARIANCE`.

    The other latents carry nothing; their posterior is the prior. Call this before another prior is fitted.
    """
    batches = pipeline(images, EVALUATION_BATCH, value_range=model.value_range)
    means = np.concatenate([np.asarray(model.encode(batch)) for batch in batches])
    return int(np.sum(means.var(axis=0) > MIN_ACTIVE_VARIANCE))


def draw_latents(model: VAE, images: np.ndarray):
    """Draw one z ~ q(z|x) for each of at most `MAX_PRIOR_IMAGES` uint8 images, to fit a prior to. Returns [n, z]."""
    chosen = images[:: -(-len(images) // MAX_PRIOR_IMAGES)]
    return model.draw_latents(pipeline(chosen, EVALUATION_BATCH, value_range=model.value_range))


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
def _as_one_line(strategy):
    """Report in one line that another process of the cluster ended, which TensorFlow tells in many."""
    try:
        yield
    except tf.errors.OpError as error:
        if not distribution.is_cluster(strategy) or isinstance(error, tf.errors.ResourceExhaustedError):
            raise
        reason = re.search(r"aborted by: (.{,80})", error.message) or re.match(r"(.{,80})", error.message)
        raise InputError(
            f"another process of the cluster ended or cannot be reached ({reason[1].strip()}); started again, the same "
            "commands go on from the latest checkpoint"
        ) from error


@contextlib.contextmanager
def _writing(run_dir, what):
    """Keep other processes out of the folder of a run, and remember there how the training failed."""
    output_folder(run_dir, "run_dir")
    with locked(run_dir):
        try:
            yield
        except TrainingFailed as failure:
            with atomic_write(run_dir / FAILURE) as partial:
                contents = {"identity": what, "message": str(failure), "history": failure.history}
                partial.write_text(json.dumps(contents))
            raise


def _forget(run_dir):
    """Remove the files of an earlier run, whose curves would mix with the new ones."""
    for name in ("checkpoints", "samples"):
        shutil.rmtree(run_dir / name, ignore_errors=True)
    for path in (run_dir / "noise.npy", run_dir / FAILURE, *run_dir.glob("events.out.tfevents.*")):
        path.unlink(missing_ok=True)
