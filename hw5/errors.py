"""Errors that the user can fix."""


class InputError(ValueError):
    """A mistake in an argument, a file or a dataset name, reported in one line that says how to fix it.

    Command lines print the message without a traceback and exit with code 1 (`hw5.command_line.launch`).
    It is a ValueError, so that library users need not know it.
    """


class TrainingFailed(InputError):
    """Training stopped: the loss diverged or the generator collapsed.

    Attributes:
        history: metric → its values, one for every completed epoch.
    """

    def __init__(self, message: str, history: dict[str, list[float]]):
        super().__init__(message)
        self.history = history


def reason_of(error: Exception) -> str:
    """Return the message of an exception of another library on one line, cut to 100 characters."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(reason.split())[:100]
