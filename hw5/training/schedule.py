"""The length of a training, and its division into epochs and executions."""

import dataclasses

STEPS_PER_EXECUTION = range(64, 15, -1)  # steps that Keras runs in one call, the best first


def whole_executions(steps: int) -> int:
    """Return the largest number of steps, at most `steps` and at least 1, that is a whole number of executions.

    Keras always runs whole executions of `steps_per_execution` steps, past the end of the epoch if it has to.
    So an epoch is shortened by the few steps that make it a whole number of executions; as the training stream
    never ends, the images left over open the next epoch.
    """
    steps = max(steps, 1)
    if steps < STEPS_PER_EXECUTION[0]:
        return steps
    return next(n for n in range(steps, 0, -1) if any(n % length == 0 for length in STEPS_PER_EXECUTION))


def split_into_epochs(steps: int, epochs: int = 20) -> tuple[int, int]:
    """Return (number of epochs, steps per epoch) of a training that counts in steps and is validated `epochs` times."""
    num_epochs = min(epochs, steps)
    return num_epochs, whole_executions(steps // num_epochs)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Epochs with equal numbers of steps. After each, the model is validated, and each metric gets one value.

    Attributes:
        batch_size: images that each step of each network sees.
        num_epochs: how many epochs.
        steps_per_epoch: training steps of an epoch.
    """

    batch_size: int
    num_epochs: int
    steps_per_epoch: int

    @classmethod
    def of_epochs(cls, num_images: int, batch_size: int, epochs: int) -> "Schedule":
        """Make a schedule of passes over the images, rounded down to whole executions."""
        batch_size = min(batch_size, num_images)
        return cls(batch_size, epochs, whole_executions(num_images // batch_size))

    @classmethod
    def of_steps(cls, steps: int, batch_size: int, epochs: int = 20) -> "Schedule":
        """Make a schedule of a number of steps, in `epochs` parts, whatever number of passes this is."""
        return cls(batch_size, *split_into_epochs(steps, epochs))

    @property
    def steps(self) -> int:
        """The total number of steps."""
        return self.num_epochs * self.steps_per_epoch

    @property
    def steps_per_execution(self) -> int:
        """Steps that Keras runs in one call."""
        if self.steps_per_epoch < STEPS_PER_EXECUTION[0]:
            return self.steps_per_epoch
        return next(length for length in STEPS_PER_EXECUTION if self.steps_per_epoch % length == 0)
