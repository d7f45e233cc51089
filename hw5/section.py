"""The machinery of all sections: folders, trainings, and metrics.json.

A section declares its settings in a class and does its work in `main`. `section` makes its `run` from the two:

    class Settings(EpochTraining):
        k: Several[int] = setting((2, 5), "Latent dimensions.", at_least=1)
        PRESETS = {"smoke": dict(epochs=1, k=2)}

    def main(settings, run): …; return headline, results

    run = section(Settings, main)

    if __name__ == "__main__":
        command_line.launch(run)
"""

import inspect
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hw5 import data, training
from hw5.errors import InputError
from hw5.files import locked, output_folder
from hw5.results import save_metrics
from hw5.section_settings import Training
from hw5.settings import program


def section(settings: type[Training], main: Callable) -> Callable:
    """Make the `run` of a section: a function with its settings as arguments.

    Args:
        settings: the section's class of settings.
        main: (settings, `Run`) → (headline, results). The headline has the few numbers that `run_all.sh` shows,
            label → number; the results have everything that was measured. Its docstring becomes that of `run`.

    Returns:
        A function that returns the contents of the metrics.json that it writes.
    """
    name = Path(inspect.getfile(main)).stem

    def run_section(settings):
        started, run = time.monotonic(), Run(settings, name)
        # Figures of another run at the same time would be mixed with this one's, and be listed as its own.
        with locked(run.folder, "out"), training.quiet_unless_chief(run.strategy):
            headline, results = main(run.settings, run)
            asked, seconds = run.settings.as_dict() | {"preset": settings.preset}, time.monotonic() - started
            how = dict(section=name, changed=settings.changed())
            return save_metrics(run.folder, asked, headline, results, seconds, **how)

    run_section.__doc__, run_section.__module__ = main.__doc__, main.__module__
    return program(settings, run_section)


class Run:
    """One call of a section: its folders, its data, its trainings.

    Attributes:
        settings: of the section.
        folder: for figures and metrics.json.
        run_dir: for trainings. In a cluster both are the chief's (`Training.folders`); the other workers, which do the
            same, have temporary folders.
        strategy: of the trainings, or None.
    """

    def __init__(self, settings: Training, name: str):
        if settings.restart and not settings.train:
            raise InputError("restart=True and train=False contradict each other")
        self.strategy = training.make_strategy(settings.strategy, settings.workers, settings.task)
        settings = settings.of_this_machine()
        own = ("out", "run_dir", "task")  # of this process; the rest is alike in a cluster
        training.check_equal(self.strategy, {k: v for k, v in settings.as_dict().items() if k not in own})
        out, run_dir = settings.folders(name)
        if not training.is_chief(self.strategy):
            self.temporary = tempfile.TemporaryDirectory()
            out = run_dir = Path(self.temporary.name)
        self.folder = output_folder(out, "out")
        self.run_dir = output_folder(run_dir, "run_dir")
        print(f"{name} trains on {training.devices(self.strategy)}")
        self.settings = settings.replace(out=self.folder, run_dir=self.run_dir)

    def figure(self, name: str) -> Path:
        """Return the path of a figure."""
        return self.folder / f"{name}.png"

    def train_validation(self, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Load training and validation images, uint8 [n, h, w, c], scaled to `size` × `size` if it is given."""
        images, validation = data.train_validation(self.settings.dataset, self.settings.train_size)
        return (self.scaled(images, size), data.resize(validation, size)) if size else (images, validation)

    def scaled(self, images: np.ndarray, size: int) -> np.ndarray:
        """Scale images of the dataset to `size` × `size`, and print a note if they have another size."""
        if images.shape[1:3] != (size, size):
            height, width = images.shape[1:3]
            print(f"{self.settings.dataset}: images of {height}×{width} are scaled to {size}×{size}")
        return data.resize(images, size)

    def noise(self, name: str, latent_dim: int) -> np.ndarray:
        """Return the fixed noise of the training `name`, [64, latent_dim]."""
        return training.load_or_draw_noise(self.run_dir / name, latent_dim, self.settings.seed)

    def fit(
        self,
        name,
        build,
        images,
        validation=None,
        *,
        optimizers=None,
        schedule=None,
        callbacks=(),
        initialize=None,
        **changes,
    ):
        """Train the model that `build` makes, in the folder `name` of `run_dir`.

        Args:
            optimizers, schedule: as in `hw5.training.fit`; by default those of the settings.
            callbacks, initialize: as in `hw5.training.fit`.
            changes: settings in which this training differs from the others.

        Returns:
            (model, history), as `hw5.training.fit`.
        """
        how = self._how(name, images, changes, optimizers, schedule)
        return training.fit(build, images, validation, callbacks=callbacks, initialize=initialize, **how)

    def pretrain(self, name, model, images, schedule, **changes):
        """Initialise a stacked autoencoder layer by layer (`hw5.training.pretrain`); arguments as in `fit`."""
        training.pretrain(model, images, **self._how(name, images, changes, schedule=schedule))

    def _how(self, name, images, changes, optimizers=None, schedule=None):
        settings = self.settings.replace(**changes)
        return {
            "run_dir": self.run_dir / name,
            "schedule": schedule or settings.schedule(len(images)),
            "optimizers": optimizers or settings.optimizers(),
            "seed": settings.seed,
            "mode": "evaluate" if not settings.train else "restart" if settings.restart else "resume",
            "arguments": settings.as_dict(training=True),
            "strategy": self.strategy,
        }
