"""The command line of a `hw5.settings.program`: its flags, and one line on stderr for a mistake of the user."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Collection

from absl import app, flags, logging

from hw5.errors import InputError
from hw5.settings import REQUIRED, Setting, shown

flags.disclaim_key_flags()  # the flags belong to the program, whose --help lists them


class Parser(flags.ArgumentParser):
    """Parser that passes a flag's text on unchanged; the setting itself checks it."""

    def __init__(self, field: Setting):
        self.syntactic_help = field.syntax

    def flag_type(self):
        return self.syntactic_help

    def parse(self, argument):
        return argument


class Serializer(flags.ArgumentSerializer):
    def serialize(self, value):
        return shown(value)


def launch(run: Callable) -> None:
    """Run a program: parse the flags, call `run` with those that were given, and end.

    Exit code 0 on success, 1 after a mistake in the flags or the input (one line on stderr, no traceback),
    130 after Ctrl-C.
    """
    for name, field in run.fields.items():
        default = None if field.default is REQUIRED else field.default
        if field.kind is bool and not field.several:
            flags.DEFINE_boolean(name, default, field.help)
            flags.FLAGS[name].parser = Parser(field)  # absl's refuses "yes", and names what is wrong as a tuple
        elif field.several:
            flags.DEFINE_multi(Parser(field), Serializer(), name, default, field.help)
        else:
            flags.DEFINE(Parser(field), name, default, field.help, serializer=Serializer())

    def parse(argv):
        try:
            rest = flags.FLAGS(argv)
        except (flags.Error, ValueError) as error:  # ValueError: --notrain=3
            fail(" ".join(str(error).split()))
        takes_all = run.positional and run.fields[run.positional[-1]].several
        if (extra := rest[1 + len(run.positional) :]) and not takes_all:
            fail(f"unexpected argument {extra[0]!r}; flags are written --name=value, --help lists them")
        return rest

    def main(argv):
        last, values = len(run.positional) - 1, argv[1:]
        if values[last:] and run.positional and run.fields[run.positional[-1]].several:
            values[last:] = [values[last:]]  # the last one takes all that are left
        arguments = dict(zip(run.positional, values, strict=False))
        for name, field in run.fields.items():
            flag = flags.FLAGS[name]
            if flag.present:
                arguments[name] = ",".join(flag.value) if field.several else flag.value
        try:
            run(**arguments)
        except InputError as error:
            fail(as_flags(str(error), run.fields))
        except BrokenPipeError:
            raise
        except OSError as error:
            fail(described(error))
        except KeyboardInterrupt as interrupt:
            print(as_flags(str(interrupt), run.fields) or "interrupted", file=sys.stderr)
            sys.exit(130)
        except Exception as error:
            if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":  # TensorFlow's
                raise
            if "No space left" in str(error):
                fail(described(error))
            fail("not enough memory; smaller networks, batches or images need less")

    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: it was closed
        stream.reconfigure(errors="replace")  # a console that has no β shows a question mark
    logging.set_verbosity(logging.ERROR)  # TFDS reports every file that it opens, or does not find
    try:
        app.run(main, flags_parser=parse)
    except BrokenPipeError:  # its reader has seen enough, as in `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes when it exits
        sys.exit(1)


def as_flags(message: str, names: Collection[str]) -> str:
    """Rewrite a message of the library so that it names flags instead of arguments.

    `k=5` becomes `--k=5`, `train=False` becomes `--notrain`, `k=None` becomes `no --k`.
    """
    pattern = rf"(?<![\w./-])({'|'.join(map(re.escape, names))})=(True\b|False\b|None\b)?"
    spelled = {"True": "--{}", "False": "--no{}", "None": "no --{}", None: "--{}="}
    return re.sub(pattern, lambda found: spelled[found[2]].format(found[1]), message)


def described(error: Exception) -> str:
    """Describe an error of the operating system on one line, with the file that could not be written or read."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):  # of a copied folder: all its files
        return error.args[0][0][-1]
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)  # filename2: where a copy goes to
    return " ".join(f"{name}: {error.strerror}".split() if name else str(error).split())


def fail(message) -> None:
    """Print one line on stderr and exit with code 1."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
