"""What happens during `hw5.training.fit` besides training: progress kept, curves and images logged."""

import csv
import signal
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from hw5 import checkpoints, figures
from hw5.errors import InputError
from hw5.files import replacing

CHECKPOINT_SECONDS = 30.0
GRID = 8  # images a side in TensorBoard's grids
GRID_RECORDS = 10  # image grids over a training


class Failure(InputError):
    """A training that came to nothing, and said so.

    Attributes:
        history: metric → its values, one for every epoch that was completed.
    """

    def __init__(self, message: str, history: dict):
        super().__init__(message)
        self.history = history


class Progress(keras.callbacks.Callback):
    """Keeps where a training stands, on disk as well: every 30 seconds, at its end, and at Ctrl-C.

    Args:
        folder: of the run; `history.csv` and `checkpoints/` are written there.
        settings: what the run was called with; a run with others does not go on from its checkpoints.
        steps: steps an epoch.

    Attributes:
        step: steps done.
        history: metric → its values, one an epoch done; on validation it is named `val_…`.
    """

    def __init__(self, folder: Path, settings: dict, epochs: int, steps: int):
        super().__init__()
        self.folder = folder
        self.settings = settings
        self.epochs = epochs
        self.steps = steps
        self.step = 0
        self.history = {}
        self.metrics_of_epoch = None
        self.interrupted = False
        self.saved_at = time.monotonic()

    @property
    def finished(self) -> bool:
        return self.step == self.epochs * self.steps

    def restore(self, model: keras.Model) -> bool:
        """Put model, optimizer and this object where the latest checkpoint left them, if there is one.

        Raises:
            InputError: it belongs to a run with other settings or of another model.
        """
        found = checkpoints.latest(self.folder / "checkpoints")
        if found is None:
            return False
        arrays, state = found
        then, now = state["settings"], self.settings
        if differing := [name for name in now | then if then.get(name) != now.get(name)]:
            then, now = (", ".join(f"--{name}={which.get(name)}" for name in differing) for which in (then, now))
            raise InputError(
                f"{self.folder} was trained with {then}, this is {now}; "
                "use what it was trained with, name another --run_dir, or start over with --restart"
            )
        self.set_model(model)
        try:
            checkpoints.assign(self._variables(), arrays)
        except ValueError as error:
            raise InputError(f"{self.folder}/checkpoints: {error}; start over with --restart") from error
        self.step, self.history = state["step"], state["history"]
        if self.step % self.steps:  # within an epoch, at whose start Keras will reset its metrics
            self.metrics_of_epoch = [variable.numpy() for variable in model.metrics_variables]
        return True

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.epoch_began_at = epoch + 1, self.step
        if self.metrics_of_epoch:
            checkpoints.assign(self.model.metrics_variables, self.metrics_of_epoch)
            self.metrics_of_epoch = None

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs)
        self.step = self.epoch_began_at + batch + 1
        if self.step % self.steps:  # an epoch is complete only with its validation
            self._save_if_due()

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.write_history()
        self._save_if_due()

    def interrupt(self, signum, frame):
        """Handle Ctrl-C: the first is heeded after the steps under way, a second at once."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def write_history(self):
        """Write `history.csv`: a row an epoch, a column a metric."""
        with replacing(self.folder / "history.csv") as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            writer.writerows(
                [epoch, *values] for epoch, values in enumerate(zip(*self.history.values(), strict=True), 1)
            )

    def _check(self, logs):
        for name, value in sorted(logs.items(), key=lambda item: "loss" not in item[0]):  # a loss tells most
            if not np.isfinite(value):
                raise Failure(
                    f"training diverged: {name} is {value} in epoch {self.epoch}, after step {self.step}; "
                    "lower --learning_rate",
                    self.history,
                )

    def _save_if_due(self):
        if self.finished or self.interrupted or time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            state = {"step": self.step, "history": self.history, "settings": self.settings}
            checkpoints.save(self.folder / "checkpoints", self.step, self._variables(), state)
            self.saved_at = time.monotonic()
        if self.interrupted and not self.finished:
            raise KeyboardInterrupt(
                f"interrupted and saved at step {self.step} of {self.epochs * self.steps}; "
                f"the same command, without --restart, goes on from {self.folder}"
            )

    def _variables(self):
        of_optimizers = [variable for optimizer in self.model.optimizers for variable in optimizer.variables]
        return [*self.model.variables, *of_optimizers, *self.model.metrics_variables]


class GameWatch(keras.callbacks.Callback):
    """Ends the training of a GAN that has collapsed, or is decided.

    Both are judged on the metrics of whole epochs (`hw5.models.GAN`), and only from the second on: at
    the very start a generator's samples are all grey. It may take thousands of steps to leave that; so lack
    of diversity counts as collapse where there was some, or after many steps.

    Args:
        progress: whose history the failure is to carry.
    """

    COLLAPSED = 0.05  # of the diversity of real samples
    DIVERSE = 0.4  # twice what untrained generators have
    EARLY = 5000  # steps
    DECIDED = 1e-4  # probability that D grants to fakes, and withholds from real samples

    def __init__(self, progress: Progress):
        super().__init__()
        self.progress = progress

    def on_epoch_end(self, epoch, logs=None):
        if epoch < 1:
            return
        step = int(self.model.generator_optimizer.iterations.numpy())
        when = f"in epoch {epoch + 1}, by step {step}"
        advice = "lower --learning_rate, or choose another objective"
        was_diverse = max(self.progress.history.get("diversity", [0.0])) > self.DIVERSE
        if logs["diversity"] < self.COLLAPSED and (was_diverse or step >= self.EARLY):
            text = f"mode collapse: {when} generated samples differ by {logs['diversity']:.1%} of what real ones do"
            raise Failure(f"{text}; {advice}", self.progress.history)
        real, fake = logs["d_real"], logs["d_fake_g_step"]
        if self.model.objective.has_probabilities and max(fake, 1 - real) < self.DECIDED:
            text = f"the discriminator has won: {when} D(x) is {real:.5f} and D(G(z)) {fake:.5f}"
            raise Failure(f"{text}, and the generator learns nothing more; {advice}", self.progress.history)


class catching_interrupts:
    """Context in which Ctrl-C goes to a `Progress`; only a process' main thread gets any."""

    def __init__(self, progress: Progress):
        self.progress = progress

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self.progress.interrupt)

    def __exit__(self, *_):
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self.before)


class ImageGrids(keras.callbacks.Callback):
    """Logs to TensorBoard the settings as text and, ten times over a training, the model's `snapshot` as grids.

    Args:
        folder: for the event files.
        images: float [n, h, w, c] in [0, 1], the first 64 of the validation set say.
        noise: [64, latent_dim], the same at every record.
    """

    def __init__(self, folder: Path, settings: dict, images: np.ndarray, noise: np.ndarray, epochs: int):
        super().__init__()
        self.folder = folder
        self.settings = settings
        self.images = images
        self.noise = noise
        self.records = {round(epochs * i / GRID_RECORDS) for i in range(1, GRID_RECORDS + 1)}

    def on_train_begin(self, logs=None):
        self.writer = tf.summary.create_file_writer(str(self.folder))
        rows = [f"| {name} | {value} |" for name, value in self.settings.items()]
        with self.writer.as_default(step=0):
            tf.summary.text("settings", "\n".join(["| setting | value |", "| --- | --- |", *rows]))

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 not in self.records:
            return
        with self.writer.as_default(step=epoch + 1):
            for name, images in self.model.snapshot(self.images, self.noise).items():
                images = np.asarray(images)
                side = max(int(len(images) ** 0.5), 1)
                grid = figures.tile(images[: side * side].reshape(side, side, *images.shape[1:]))
                tf.summary.image(name, grid[None])

    def on_train_end(self, logs=None):
        self.writer.close()


class FixedNoise(keras.callbacks.Callback):
    """Writes what becomes of one noise during a training: a grid after every epoch, `samples/STEP.png`.

    Args:
        folder: of the run.
        seed: of the noise, which is that of TensorBoard's grids as well.
        rows, columns: of the grid.
    """

    def __init__(self, folder: Path, seed: int, rows: int = GRID, columns: int = GRID):
        super().__init__()
        self.folder = folder
        self.seed = seed
        self.shape = (rows, columns)

    def on_epoch_end(self, epoch, logs=None):
        noise = fixed_noise(self.folder, self.model.latent_dim, self.seed)[: self.shape[0] * self.shape[1]]
        images = np.asarray(self.model.decode(noise))
        path = self.folder / "samples" / f"{int(self.model.generator_optimizer.iterations.numpy()):06}.png"
        figures.picture(path, images.reshape(*self.shape, *images.shape[1:]))


def fixed_noise(folder: Path, latent_dim: int, seed: int) -> np.ndarray:
    """The noise of a run's sample grids, [64, latent_dim]: drawn once from its seed, and saved with it."""
    path = folder / "noise.npy"
    if not path.exists():
        noise = np.random.default_rng(seed).standard_normal((GRID**2, latent_dim), np.float32)
        with replacing(path) as partial:
            np.save(partial, noise)
    return np.load(path)
