"""The one way in which every section trains."""

import contextlib
import functools
import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from hw5 import callbacks, figures, models
from hw5.callbacks import Failure, fixed_noise
from hw5.data import pipeline, scale
from hw5.errors import InputError
from hw5.files import replacing
from hw5.models import GAN, VAE, Autoencoder
from hw5.models.autoencoder import layer_pairs
from hw5.optimizers import Adam, WarmupDecay
from hw5.results import output_folder

STEPS_PER_EXECUTION = range(64, 15, -1)
EVALUATION_BATCH = 1000


def epoch_steps(wanted: int) -> tuple[int, int]:
    """(steps an epoch, steps an execution) for a wanted number of steps.

    Keras always runs whole executions of `steps_per_execution` steps, past the end of the epoch if it
    has to. So an epoch is shortened by the few steps that make it a whole number of executions; as the
    training stream never ends, the images left over open the next epoch.
    """
    wanted = max(wanted, 1)
    if wanted < STEPS_PER_EXECUTION[0]:
        return wanted, wanted
    return next((n, many) for n in range(wanted, 0, -1) for many in STEPS_PER_EXECUTION if n % many == 0)


def recorded(steps: int, records: int = 20) -> dict[str, int]:
    """`fit`'s epochs and steps_per_epoch for a training that counts in steps, validated `records` times."""
    records = min(records, steps)
    return {"epochs": records, "steps_per_epoch": steps // records}


def fit(
    build: Callable[[], keras.Model],
    images: np.ndarray,
    validation_images: np.ndarray | None = None,
    *,
    run_dir: Path,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
    steps_per_epoch: int | None = None,
    settings: dict | None = None,
    restart: bool = False,
    train: bool = True,
    strategy: tf.distribute.Strategy | None = None,
    transform: Callable | None = None,
    optimizers: Callable[[int], dict] | None = None,
    watching: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train with Adam (the learning rate as in `WarmupDecay`), validating after every epoch.

    A run that was killed goes on from its latest checkpoint when it is called again, and ends with the
    same weights and curves, to the bit, as one that never stopped.

    `run_dir` gets `checkpoints/`, TensorBoard's events in `train/`, `validation/` and `images/`, the
    curves as `history.csv` and `curves.png`, `noise.npy` (of the sample grids), and at the end the
    model (`hw5.models.load`).

    Args:
        build: makes the untrained model, after the seed is set.
        images, validation_images: uint8 [n, h, w, c], or float32 [n, …] (`hw5.data.pipeline`).
        seed: of the weights, the order of the images and all noise.
        steps_per_epoch: length of what counts as an epoch; by default a pass over the images.
        settings: the flags that, beside the arguments here, make the run what it is.
        restart: forget the checkpoints of an earlier run.
        train: if not, only load the latest checkpoint.
        strategy: build and train under it, as under a `tf.distribute.MirroredStrategy()` for several GPUs.
        transform: maps each float batch before the model sees it.
        optimizers: makes, for the number of steps, what the model's `compile` takes, in place of Adam.
        watching: callbacks besides those that write what is said above.

    Returns:
        (model, history): for every metric, and for it on validation (`val_…`), one value an epoch.

    Raises:
        Failure (an InputError): a metric became infinite or NaN; a GAN collapsed, or was decided. Called
            again for the same, it is raised again without training.
        InputError: the checkpoint belongs to other settings, or there is none and `train` is false.
        KeyboardInterrupt: Ctrl-C, after a checkpoint was written.
    """
    if restart and not train:
        raise InputError("--restart and --notrain contradict each other")
    run_dir = Path(run_dir)
    batch_size = min(batch_size, len(images))
    steps, many = epoch_steps(steps_per_epoch or len(images) // batch_size)
    steps_per_execution = 1 if strategy else many  # Keras' loop over several steps fails under a strategy
    length = {"epochs": epochs} if steps_per_epoch is None else {"steps": epochs * steps, "records": epochs}
    schedule = {**length, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    checksums = {"checksum_of_the_images": _checksum(images), "of_the_validation_images": _checksum(validation_images)}
    settings = json.loads(json.dumps({**(settings or {}), **schedule, **checksums}))
    keras.utils.set_random_seed(seed)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = build()
        chosen = optimizers or (lambda length: {"optimizer": Adam(WarmupDecay(learning_rate, length))})
        model.compile(**chosen(epochs * steps), steps_per_execution=steps_per_execution)
    progress = callbacks.Progress(run_dir, settings, epochs, steps)
    failed = run_dir / "failure.json"
    if not restart and failed.exists() and (failure := json.loads(failed.read_text()))["settings"] == settings:
        raise Failure(failure["message"], failure["history"])  # it would come to the same again
    restored = not restart and progress.restore(model)
    if not train:
        if not restored:
            raise InputError(f"{run_dir}: holds no checkpoint to evaluate; train first, without --notrain")
        return model, progress.history
    if not restored:
        _forget(run_dir)
    else:
        print(f"{run_dir}: goes on at step {progress.step} of {epochs * steps}; --restart would start over")

    output_folder(run_dir / "checkpoints", "run_dir")
    scaled = {"value_range": model.value_range}
    validation = None if validation_images is None else pipeline(validation_images, EVALUATION_BATCH, **scaled)
    watching = [keras.callbacks.TensorBoard(run_dir, write_graph=False), *watching]
    if isinstance(model, GAN):
        watching.append(callbacks.GameWatch(progress))
    if transform:
        validation = validation and validation.map(transform)
    elif images.dtype == np.uint8:
        shown = scale((images if validation_images is None else validation_images)[: callbacks.GRID**2])
        noise = fixed_noise(run_dir, model.latent_dim, seed)
        watching.append(callbacks.ImageGrids(run_dir / "images", settings, shown, noise, epochs))
    with callbacks.catching_interrupts(progress), _remembering(failed, settings):
        while not progress.finished:
            # The rest of an epoch that a checkpoint lies in is a `fit` of its own; Keras cannot enter an
            # epoch in its middle.
            epoch, done = divmod(progress.step, steps)
            stream = pipeline(images, batch_size, shuffle=True, seed=seed, epochs=None, start=progress.step, **scaled)
            model.fit(
                stream.map(transform) if transform else stream,
                initial_epoch=epoch,
                epochs=epoch + 1 if done else epochs,
                steps_per_epoch=steps - done,
                validation_data=validation,
                callbacks=[*watching, progress],
                shuffle=False,  # the stream is shuffled already; Keras would warn that it cannot
            )
    progress.write_history()
    figures.training_curves(run_dir / "curves.png", progress.history)
    models.save(model, run_dir)
    return model, progress.history


def fit_gan(
    build: Callable[[], GAN],
    samples: np.ndarray,
    *,
    run_dir: Path,
    steps: int,
    records: int,
    batch_size: int,
    learning_rate: float,
    discriminator_learning_rate: float | None = None,
    beta_1: float = 0.5,
    optimizer: str = "adam",
    critic_steps: int = 1,
    settings: dict | None = None,
    watching: Sequence[keras.callbacks.Callback] = (),
    **arguments,
) -> tuple[GAN, dict[str, list[float]]]:
    """`fit` for a GAN: two optimizers, of constant learning rate.

    Args:
        samples: what the generator is to imitate, as in `fit`.
        steps: of the generator.
        records: values a metric's history gets, each the mean since the one before.
        batch_size: samples that each step of each network sees.
        learning_rate: of both networks, unless the discriminator has its own (Heusel et al. 2017).
        optimizer: "adam" or "rmsprop".
        beta_1: of Adam; ½ is Radford et al.'s.
        critic_steps: the model's.
        arguments: seed, restart, train and strategy, as in `fit`.

    Raises:
        InputError: fewer than two samples a batch, which cannot be told to differ; and as in `fit`.
    """
    batch_size = min(batch_size, len(samples) // critic_steps)
    if batch_size < 2:
        raise InputError(f"a GAN needs batches of 2 or more, here of {batch_size}: see --batch_size and --train_size")

    def optimizers(_):
        of_discriminator = learning_rate if discriminator_learning_rate is None else discriminator_learning_rate
        rates = {"generator_optimizer": learning_rate, "discriminator_optimizer": of_discriminator}
        make = functools.partial(Adam, beta_1=beta_1) if optimizer == "adam" else keras.optimizers.RMSprop
        return {name: make(rate) for name, rate in rates.items()}

    played = {
        "discriminator_learning_rate": discriminator_learning_rate,
        "beta_1": beta_1,
        "optimizer": optimizer,
        "critic_steps": critic_steps,
    }
    return fit(
        build,
        samples,
        run_dir=run_dir,
        **recorded(steps, records),
        batch_size=batch_size * critic_steps,
        learning_rate=learning_rate,
        settings={**(settings or {}), **played},
        optimizers=optimizers,
        watching=watching,
        **arguments,
    )


def pretrain(model: Autoencoder, images: np.ndarray, *, run_dir: Path, **schedule) -> None:
    """Initialise a stacked autoencoder layer by layer, each pair of layers by a `fit` of its own.

    Args:
        schedule: `fit`'s epochs, batch_size, learning_rate, seed and so on.
    """
    for number, (below, shallow) in enumerate(layer_pairs(model), 1):
        fit(lambda shallow=shallow: shallow, images, transform=below, run_dir=run_dir / f"pair_{number}", **schedule)


def evaluate(model: keras.Model, images: np.ndarray) -> dict[str, float]:
    """The model's metrics on uint8 images; the batch size does not enter."""
    batches = pipeline(images, EVALUATION_BATCH, value_range=model.value_range)
    return model.evaluate(batches, verbose=0, return_dict=True)


def negative_elbo(model: VAE, images: np.ndarray) -> dict[str, float]:
    """reconstruction, kl and their sum, negative_elbo, of a VAE on uint8 images, in nats an image."""
    terms = evaluate(model, images)
    terms = {name: terms[name] for name in ("reconstruction", "kl")}
    return terms | {"negative_elbo": sum(terms.values())}


def _checksum(images):
    return None if images is None else zlib.crc32(np.ascontiguousarray(images))


@contextlib.contextmanager
def _remembering(path, settings):
    """Keep a `Failure` on disk, so that it need not be trained for once more."""
    try:
        yield
    except Failure as failure:
        with replacing(path) as partial:
            partial.write_text(json.dumps({"settings": settings, "message": str(failure), "history": failure.history}))
        raise


def _forget(run_dir):
    """Remove what an earlier run left, be it killed before its first checkpoint: its curves would mix with the new."""
    for name in ("checkpoints", "train", "validation", "images", "samples"):
        shutil.rmtree(run_dir / name, ignore_errors=True)
    for name in ("noise.npy", "failure.json"):
        (run_dir / name).unlink(missing_ok=True)
