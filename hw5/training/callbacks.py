"""Callbacks: checkpoint and resume, TensorBoard, sample grids, generated points, overfitting."""

import csv
import json
import signal
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from hw5 import figures
from hw5.data import random_subset
from hw5.errors import InputError, TrainingFailed
from hw5.files import atomic_write
from hw5.models.inputs import to_float
from hw5.settings import shown
from hw5.training import checkpoints, distribution
from hw5.training.schedule import Schedule

CHECKPOINT_SECONDS = 30.0
STEPS_BETWEEN_QUESTIONS = 10  # whether to save or to end, which the processes of a cluster must do together
NOISE_GRID = 8  # images per side of the grids of one fixed noise
TENSORBOARD_GRIDS = 10  # image grids over a training


class ResumableCheckpoint(keras.callbacks.Callback):
    """Callback that saves the state of a training every 30 seconds, at its end and at Ctrl-C.

    Args:
        folder: of the run; `history.csv` and `checkpoints/` are written there.
        schedule: of the training.
        identity: of the training (`hw5.training.identity`); another one does not go on from its checkpoints.
        arguments: the caller's own arguments by name, to show where the identities differ.
        strategy: of the training. In a cluster all processes have this callback, and the chief writes.

    Attributes:
        step: number of finished steps.
        stopped: whether a callback, such as Keras' EarlyStopping, ended the training before its last step.
        history: metric → its values, one for each finished epoch; on validation it is named `val_…`.
    """

    def __init__(self, folder: Path, schedule: Schedule, identity: dict, arguments: dict, strategy=None):
        super().__init__()
        self.folder = folder
        self.strategy = strategy
        self.is_chief = distribution.is_chief(strategy)
        self.in_cluster = distribution.is_cluster(strategy)
        self.num_replicas = distribution.num_replicas(strategy)
        self.schedule = schedule
        self.identity = identity
        self.arguments = json.loads(json.dumps(arguments))
        self.step = 0
        self.stopped = False
        self.history = {}
        self.metrics_of_epoch = None
        self.interrupted = False
        self.saved_at = time.monotonic()

    @property
    def finished(self) -> bool:
        return self.stopped or self.step == self.schedule.steps

    def restore(self, model: keras.Model) -> bool:
        """Restore the model, the optimizer and this object from the latest checkpoint, if there is one.

        Raises:
            InputError: the checkpoint belongs to another training, or an older version wrote it.
        """
        found = distribution.from_chief(self.strategy, lambda: checkpoints.latest(self.folder / "checkpoints"))
        if found is None:
            return False
        arrays, state = found
        if not {"identity", "metrics"} <= {*state}:
            raise InputError(f"{self.folder}/checkpoints: an older version wrote them; start over with restart=True")
        if state["identity"] != self.identity:
            raise InputError(
                f"{self.folder} {self._difference(state)}; "
                "use what it was trained with, name another run_dir=…, or start over with restart=True"
            )
        self.set_model(model)
        try:
            checkpoints.assign(self._variables(), arrays)
        except ValueError as error:
            raise InputError(f"{self.folder}/checkpoints: {error}; start over with restart=True") from error
        self.step, self.stopped = state["step"], state["stopped"]
        self.history.update(state["history"])
        if self.step % self.schedule.steps_per_epoch:  # within an epoch, at whose start Keras will reset its metrics
            self.metrics_of_epoch = state["metrics"]
        if (before := len(state["metrics"])) != self.num_replicas:
            print(f"{self.folder}: replicas were {before} and are {self.num_replicas}; only rounding differs")
        return True

    def _difference(self, state):
        """Describe the difference to the checkpoint's training, by the caller's arguments if these differ."""
        then, now = state["arguments"], self.arguments
        if names := [name for name in now if name in then and then[name] != now[name]]:
            then, now = (", ".join(f"{name}={shown(values[name])}" for name in names) for values in (then, now))
            return f"was trained with {then}, this is {now}"
        parts = [part for part, value in self.identity.items() if state["identity"].get(part) != value]
        return f"was trained otherwise: {', '.join(parts)}"

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.epoch_began_at = epoch + 1, self.step
        if self.metrics_of_epoch:
            distribution.assign_to_replicas(self.strategy, self.model.metrics_variables, self.metrics_of_epoch)
            self.metrics_of_epoch = None

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs)
        self.step = self.epoch_began_at + batch + 1
        within_epoch = self.step % self.schedule.steps_per_epoch  # an epoch is complete only with its validation
        if within_epoch and (not self.in_cluster or within_epoch % STEPS_BETWEEN_QUESTIONS == 0):
            self._save_if_due()

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.write_history()
        self.stopped = self.model.stop_training and not self.interrupted
        self._save_if_due()

    def interrupt(self, signum, frame):
        """Handle Ctrl-C: the first ends the training after the current execution, the second at once."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def write_history(self):
        """Write `history.csv`: one row per epoch, one column per metric."""
        if not self.is_chief:
            return
        with atomic_write(self.folder / "history.csv") as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            writer.writerows(
                [epoch, *values] for epoch, values in enumerate(zip(*self.history.values(), strict=True), 1)
            )

    def _check(self, logs):
        for name, value in sorted(logs.items(), key=lambda item: "loss" not in item[0]):  # losses first
            if not np.isfinite(value):
                raise TrainingFailed(
                    f"training diverged: {name} is {value} in epoch {self.epoch}, after step {self.step}; "
                    "lower the learning rate",
                    self.history,
                )

    def _save_if_due(self):
        due = self.is_chief and time.monotonic() - self.saved_at > CHECKPOINT_SECONDS
        self.interrupted, due = distribution.any_process(self.strategy, self.interrupted, due)
        if self.finished or self.interrupted or due:
            state = {
                "step": self.step,
                "stopped": self.stopped,
                "history": self.history,
                "identity": self.identity,
                "arguments": self.arguments,
                "metrics": distribution.values_of_replicas(self.strategy, self.model.metrics_variables),
            }
            if self.is_chief:
                checkpoints.save(self.folder / "checkpoints", self.step, self._variables(), state)
            self.saved_at = time.monotonic()
        if self.interrupted and not self.finished:
            raise KeyboardInterrupt(
                f"interrupted and saved at step {self.step} of {self.schedule.steps}; "
                f"the same call without restart=True goes on from {self.folder}"
            )

    def _variables(self):
        of_optimizers = [variable for optimizer in self.model.optimizers for variable in optimizer.variables]
        return [*self.model.variables, *of_optimizers]


class catching_interrupts:
    """Context that passes Ctrl-C, and SIGTERM, which clusters send before a kill, to a `ResumableCheckpoint`.

    Only the main thread of a process receives signals.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, checkpoint: ResumableCheckpoint):
        self.checkpoint = checkpoint

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = [signal.signal(number, self.checkpoint.interrupt) for number in self.SIGNALS]

    def __exit__(self, *_):
        if threading.current_thread() is threading.main_thread():
            for number, handler in zip(self.SIGNALS, self.before, strict=True):
                signal.signal(number, handler)


class TensorBoard(keras.callbacks.Callback):
    """Callback that logs the arguments as text, the curves after every epoch and images ten times over a training.

    The steps are training steps, and every curve has a tag of its own. TensorBoard shows tags with one word before the
    "/" side by side: `kl/training` and `kl/validation`, or, of a model without validation, `training/d_loss` and
    `training/g_loss`. `DIAGNOSTICS` are apart.

    Args:
        folder: for the event files, which are one run by the name of this folder.
        arguments: of the run, by name.
        num_epochs: of the training.
        images: float [n, h, w, c] in [0, 1], the first 64 of the validation set, for example; None for no images.
        noise: [64, latent_dim], the same at every record, for the model's `snapshot`.
    """

    DIAGNOSTICS = ("diversity", "overfitting", "sigma")

    def __init__(
        self,
        folder: Path,
        arguments: dict,
        num_epochs: int,
        images: np.ndarray | None = None,
        noise: np.ndarray | None = None,
    ):
        super().__init__()
        self.folder = folder
        self.arguments = arguments
        self.images = images
        self.noise = noise
        self.epochs = {round(num_epochs * i / TENSORBOARD_GRIDS) for i in range(1, TENSORBOARD_GRIDS + 1)}

    def on_train_begin(self, logs=None):
        self.writer = tf.summary.create_file_writer(str(self.folder))
        rows = [f"| {name} | {value} |" for name, value in self.arguments.items()]
        with self.writer.as_default(step=0):
            tf.summary.text("settings", "\n".join(["| setting | value |", "| --- | --- |", *rows]))

    def on_epoch_end(self, epoch, logs=None):
        with self.writer.as_default(step=self.model.steps_done):
            for name, value in logs.items():
                tf.summary.scalar(self.tag(name, logs), value)
            if self.images is not None and epoch + 1 in self.epochs:
                for name, images in self.model.snapshot(self.images, self.noise).items():
                    tf.summary.image(name, figures.make_grid(figures.square(images))[None])
        self.writer.flush()

    def on_train_end(self, logs=None):
        self.writer.close()

    def tag(self, name, logs):
        """Return the tag of a metric of an epoch's logs."""
        metric = name.removeprefix("val_")
        if metric in self.DIAGNOSTICS:
            return f"diagnostics/{name}"
        if metric != name:
            return f"{metric}/validation"
        return f"{name}/training" if f"val_{name}" in logs else f"training/{name}"


class SampleGrids(keras.callbacks.Callback):
    """Callback that writes the samples of one fixed noise: a grid after every epoch, `samples/STEP.png`.

    Args:
        folder: of the run.
        seed: of the noise, which TensorBoard's grids show as well.
        rows: of the grid; it has eight columns.
    """

    def __init__(self, folder: Path, seed: int, rows: int = NOISE_GRID):
        super().__init__()
        self.folder = folder
        self.seed = seed
        self.rows = rows

    @property
    def paths(self) -> list[Path]:
        """The grids that were written, in the order of their steps.

        Raises:
            InputError: somebody removed them.
        """
        paths = sorted((self.folder / "samples").glob("[0-9]*.png"))
        if not paths:
            raise InputError(f"{self.folder}/samples: holds no grids of this training; restart=True starts over")
        return paths

    def on_epoch_end(self, epoch, logs=None):
        noise = load_or_draw_noise(self.folder, self.model.latent_dim, self.seed)[: self.rows * NOISE_GRID]
        images = np.asarray(self.model.decode(noise))
        path = self.folder / "samples" / f"{self.model.steps_done:06}.png"
        figures.save_grid(path, images.reshape(self.rows, NOISE_GRID, *images.shape[1:]))


class GeneratedPoints(keras.callbacks.Callback):
    """Callback that saves what a GAN of points generates, before the training and after every few epochs.

    The files are `samples/STEP.npy`, always of the same noise; and `samples/losses.npy`, with the losses of D and G
    before the training.

    Args:
        folder: of the run.
        real: real points [n, d], for these losses.
        interval: epochs from one file to the next.
        num_draws, num_points: generated at a time: so many draws of so many points.
    """

    def __init__(self, folder: Path, real: np.ndarray, *, interval: int, num_draws: int, num_points: int):
        super().__init__()
        self.folder = folder / "samples"
        self.real = real
        self.interval = interval
        self.shape = num_draws, num_points

    def by_step(self) -> dict[int, np.ndarray]:
        """Read the points, step → [num_draws, num_points, d], in the order of their steps.

        Raises:
            InputError: somebody removed them.
        """
        paths = sorted(self.folder.glob("[0-9]*.npy"))
        if not paths:
            raise InputError(f"{self.folder}: holds no points of this training; restart=True starts over")
        return {int(path.stem): np.load(path) for path in paths}

    def first_losses(self) -> np.ndarray:
        """Read the losses of D and G before the training, [2]."""
        return np.load(self.folder / "losses.npy")

    def on_train_begin(self, logs=None):
        gan = self.model
        if gan.steps_done:  # of a training that goes on
            return
        self._save_points()
        z = keras.random.normal((self.shape[1], gan.latent_dim), seed=0)
        real, fake = gan.logits(self.real), gan.logits(gan(z))
        losses = gan.objective.discriminator_loss(real, fake), gan.objective.generator_loss(fake)
        self._save("losses", np.stack(losses))

    def on_epoch_end(self, epoch, logs=None):
        if not (epoch + 1) % self.interval:
            self._save_points()

    def _save_points(self):
        num_draws, num_points = self.shape
        points = np.asarray(self.model.generate(num_draws * num_points, seed=0))
        self._save(f"{self.model.steps_done:06}", points.reshape(*self.shape, -1))

    def _save(self, name, array):
        with atomic_write(self.folder / f"{name}.npy") as partial:
            np.save(partial, array)


class OverfittingMeter(keras.callbacks.Callback):
    """Callback that logs how much better D knows training images than held-out ones, as `overfitting`.

    It is r_v of Karras et al. (2020, equation 1): (E D(x) − E D(held-out x)) / (E D(x) − E D(G(z))), of logits. At 0,
    D does not overfit; at 1, held-out images are to D as generated ones are.

    Args:
        images, held_out: uint8 [n, h, w, c]; of each at most `count` are used, chosen at random.
        count: of images, and of generated samples.
    """

    def __init__(self, images: np.ndarray, held_out: np.ndarray, count: int = 500):
        super().__init__()
        self.samples = [random_subset(samples, count) for samples in (images, held_out)]
        self.count = count

    def on_epoch_end(self, epoch, logs=None):
        gan = self.model
        z = keras.random.normal((self.count, gan.latent_dim), seed=0)
        batches = [*(to_float(samples, gan.value_range) for samples in self.samples), gan(z)]
        # Without `training` D's batch normalisation treats all of them alike.
        known, held_out, generated = (float(ops.mean(gan.logits(batch))) for batch in batches)
        logs["overfitting"] = (known - held_out) / ((known - generated) or 1.0)


def load_or_draw_noise(folder: Path, latent_dim: int, seed: int) -> np.ndarray:
    """Return the noise of a run's sample grids, [64, latent_dim]: drawn once from its seed, and saved with the run."""
    path = folder / "noise.npy"
    try:
        return np.load(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError):
        print(f"warning: {path} is damaged; the noise is drawn again from the seed", file=sys.stderr)
    noise = np.random.default_rng(seed).standard_normal((NOISE_GRID**2, latent_dim), np.float32)
    with atomic_write(path) as partial:
        np.save(partial, noise)
    return noise
