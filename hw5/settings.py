"""Settings of a program, each declared once: type, default, help and bounds.

    class Arguments(Settings):
        size: int = setting(64, "Height and width of the images, in pixels.", at_least=1)
        metric: Several[str] = setting(("fid",), "Metrics.", choices=("fid", "kid"))

    run = program(Arguments, main)

The declaration gives the signature and the docstring of `run`, the checks of its arguments, and the flags of
the command line (`hw5.command_line`).
"""

import dataclasses
import inspect
import math
import os
import re
import types
import typing
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hw5.errors import InputError, reason_of

T = typing.TypeVar("T")
Several = tuple[T, ...]  # one value or several; a setting of this type is always a tuple
REQUIRED = inspect.Parameter.empty
KINDS = {int: "an integer", float: "a number", str: "a text", bool: "True or False", Path: "a path"}
MAX_LABEL = 100  # characters; file systems take 255 bytes
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting.

    Attributes:
        default: the value if none is given; `REQUIRED` if one must be given.
        help: one sentence for `--help` and the docstring.
        at_least, at_most: bounds of a number, both included.
        choices: the allowed values.
        training: whether it can change a training; settings of evaluation, figures and folders cannot.
        results: whether it can change the results; folders, devices and the like cannot.
        may_be_empty, may_repeat: whether a `Several` may have no value, and the same value twice, as widths of
            layers may. Otherwise repeated values are dropped.
        annotation: the type as it was written.
        kind: int, float, str, bool or Path.
        several, optional: whether it is a tuple of that kind, and whether it may be None.
    """

    default: Any
    help: str
    at_least: float | None = None
    at_most: float | None = None
    choices: Sequence | None = None
    training: bool = True
    results: bool = True
    may_be_empty: bool = False
    may_repeat: bool = False
    annotation: Any = str
    kind: type = str
    several: bool = False
    optional: bool = False

    def typed(self, annotation) -> "Setting":
        """Return the same setting with the type of its annotation."""
        kind, optional = annotation, False
        if isinstance(annotation, types.UnionType):
            (kind,) = (part for part in typing.get_args(annotation) if part is not types.NoneType)
            optional = True
        several = typing.get_origin(kind) is tuple
        kind = typing.get_args(kind)[0] if several else kind
        return dataclasses.replace(self, annotation=annotation, kind=kind, several=several, optional=optional)

    def left_to(self, rows: str) -> "Setting":
        """Return the same setting with None as default, for values that its help lists."""
        annotation = self.annotation if self.optional else self.annotation | None
        help = f"{self.help} Default: {rows}."
        return dataclasses.replace(self, default=None, optional=True, annotation=annotation, help=help)

    def checked(self, name: str, value):
        """Convert a value from a caller or a command line to the setting's type, and check its bounds.

        Raises:
            InputError: the message names the setting, the value, and what it must be.
        """
        if value is None and self.optional:
            return None
        if not self.several:
            return self._checked_one(name, value)
        values = [self._checked_one(name, element) for element in as_list(value)]
        if not values and not self.may_be_empty:
            raise InputError(f"{name}=: needs a value")
        return tuple(values if self.may_repeat else dict.fromkeys(values))

    def _checked_one(self, name, value):
        try:
            converted = self._converted(value)
        except (TypeError, ValueError, KeyError, OverflowError):
            raise InputError(f"{name}={value}: must be {KINDS[self.kind]}") from None
        if self.choices is not None and converted not in self.choices:
            raise InputError(f"{name}={value}: must be one of {', '.join(map(str, self.choices))}")
        if self.kind is Path and (reason := _refusal(converted)):
            raise InputError(f"{name}={value}: cannot be the path of a file or folder ({reason})")
        if self.at_least is not None and not converted >= self.at_least:  # NaN fails as well
            raise InputError(f"{name}={value}: must be at least {self.at_least}")
        if self.at_most is not None and not converted <= self.at_most:
            raise InputError(f"{name}={value}: must be at most {self.at_most}")
        if self.kind is float and not math.isfinite(converted):
            raise InputError(f"{name}={value}: must be finite")
        return converted

    def _converted(self, value):
        if self.kind is bool:
            return value if isinstance(value, bool) else WORDS[str(value).lower()]
        if isinstance(value, bool) or (isinstance(value, os.PathLike) and self.kind is not Path):
            raise TypeError
        if self.kind is int and not isinstance(value, str) and value != int(value):
            raise ValueError
        if (self.kind is str and not isinstance(value, str)) or (self.kind is Path and value == ""):
            raise TypeError
        return self.kind(value)

    @property
    def syntax(self) -> str:
        """The allowed values, in words."""
        if self.choices is not None:
            words = f"one of {', '.join(map(str, self.choices))}"
        else:
            words = KINDS[self.kind]
            bounds = [f"at least {self.at_least}"] if self.at_least is not None else []
            bounds += [f"at most {self.at_most}"] if self.at_most is not None else []
            words += f", {' and '.join(bounds)}" if bounds else ""
        return f"{words}; one or several" if self.several else words


def _refusal(path):
    """Return why the operating system takes no such path, whatever is there; None if it does."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # its user says what should be there
        return None
    except (OSError, ValueError) as error:  # too long, links in a circle; a zero byte
        return reason_of(error)


def setting(default, help: str, **bounds) -> Any:
    """Declare a setting in the body of a `Settings` class; its type is its annotation.

    Args:
        default, help, bounds: as in `Setting`.
    """
    return Setting(default, help, **bounds)


def as_list(value) -> list:
    """List the values of an argument that takes one or several; a text may hold several, separated by commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    try:
        return list(value)
    except TypeError:  # a number; arrays and tensors of no dimension look iterable
        return [value]


class Settings:
    """Base of declared settings. A subclass adds settings, and gives inherited ones a new default by assignment.

    With `class Arguments(Settings, rows=TABLE)` the settings that rows of the table have (row → setting → value) are
    None by default, which leaves each row its value (`fill`); their helps list these values.

    Attributes:
        FIELDS: name → `Setting`, those of the class itself before those of its bases.
        PRESETS: name of a preset → the defaults that it changes, besides those that the bases' presets change.
        preset: the preset of this object, or None.
    """

    FIELDS: dict[str, Setting] = {}
    PRESETS: dict[str, dict] = {}

    def __init_subclass__(cls, rows: Mapping[str, Mapping] | None = None, **kwargs):
        super().__init_subclass__(**kwargs)
        inherited = {}
        for base in cls.__mro__[1:-1]:
            inherited = inherited | {name: field for name, field in base.FIELDS.items() if name not in inherited}
        annotations = inspect.get_annotations(cls)
        own = {name: value.typed(annotations[name]) for name, value in vars(cls).items() if isinstance(value, Setting)}
        for name, default in vars(cls).items():
            if name in inherited and name not in own:
                inherited[name] = dataclasses.replace(inherited[name], default=default)
        cls.FIELDS = own | {name: field for name, field in inherited.items() if name not in own}
        for name in {name for row in (rows or {}).values() for name in row} & {*cls.FIELDS}:
            cls.FIELDS[name] = cls.FIELDS[name].left_to(row_values(rows, name))
        for name, field in cls.FIELDS.items():
            if field.default is not REQUIRED:
                setattr(cls, name, field.checked(name, field.default) if field.default is not None else None)
        for preset in vars(cls).get("PRESETS", {}).values():
            for name, value in preset.items():
                cls.FIELDS[name].checked(name, value)
        presets = {}
        for base in reversed(cls.__mro__[:-1]):
            for name, preset in base.PRESETS.items():
                presets[name] = presets.get(name, {}) | preset
        cls.PRESETS = presets

    def __init__(self, *, preset: str | None = None, **arguments):
        if preset is not None and preset not in [*self.PRESETS]:
            raise InputError(f"preset={preset}: must be one of {', '.join(self.PRESETS)}")
        self.preset = preset
        for name, value in (self.PRESETS.get(preset, {}) | arguments).items():
            if name not in self.FIELDS:
                raise TypeError(f"unexpected argument {name!r}; there are {', '.join(self.FIELDS)}")
            setattr(self, name, self.FIELDS[name].checked(name, value))
        for name, field in self.FIELDS.items():
            if field.default is REQUIRED and name not in vars(self):
                raise InputError(f"{name}=: is required: {field.help}")

    def replace(self, **changes) -> "typing.Self":
        """Return the same settings with some of them changed."""
        return type(self)(preset=self.preset, **{**self.as_dict(), **changes})

    def fill(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """Return `defaults` with the values of the settings of these names, where there is one that is not None."""
        given = {name: getattr(self, name, None) for name in defaults}
        return defaults | {name: value for name, value in given.items() if value is not None}

    def is_default(self, name: str) -> bool:
        """Check whether a setting has its default value, or that of the preset."""
        preset = self.PRESETS.get(self.preset, {})
        default = self.FIELDS[name].checked(name, preset[name]) if name in preset else getattr(type(self), name)
        return getattr(self, name) == default

    def changed(self) -> dict[str, str]:
        """Return the settings that differ from the defaults and can change the results, and the preset, as typed."""
        names = [name for name, field in self.FIELDS.items() if field.results and not self.is_default(name)]
        return {name: shown(getattr(self, name)) for name in (["preset"] if self.preset else []) + names}

    def label(self, *, training: bool = False) -> str:
        """Name the changed settings, without the preset, as a part of a path: "k5_epochs3", or "" if there are none.

        Args:
            training: name only the settings that can change a training.
        """
        parts = []
        for name, value in self.changed().items():
            if name != "preset" and (self.FIELDS[name].training or not training):
                plain = re.sub(r"[^\w.,+-]", "-", value)  # another value may become the same text
                parts.append(f"{name}{plain}" + (f"-{zlib.crc32(value.encode()):08x}" if plain != value else ""))
        label = "_".join(parts)
        return label if len(label) <= MAX_LABEL else f"{label[:MAX_LABEL]}-{zlib.crc32(label.encode()):08x}"

    def as_dict(self, *, training: bool = False) -> dict[str, Any]:
        """Return all settings by name, or only those that can change a training, paths as text."""
        fields = [name for name, field in self.FIELDS.items() if field.training or not training]
        values = {name: getattr(self, name) for name in fields}
        return {name: value.as_posix() if isinstance(value, Path) else value for name, value in values.items()}


def row_values(rows: Mapping[str, Mapping], name: str) -> str:
    """List the values of a setting in the rows of a table, without those that are None."""
    return ", ".join(f"{row} {shown(values[name])}" for row, values in rows.items() if values.get(name) is not None)


def program(settings: type[Settings], main: Callable[[Settings], Any], positional: Sequence[str] = ()) -> Callable:
    """Make a function with the settings as arguments: their names, defaults and checks, documented from their helps.

    Args:
        main: does the work; its docstring becomes the function's.
        positional: names of settings that may be given without their name, in this order.
    """
    presets = {}
    if settings.PRESETS:
        text = "; ".join(f"{name}: {_listed(changed)}" for name, changed in settings.PRESETS.items())
        preset = Setting(None, f"Other defaults. {text}.", choices=tuple(settings.PRESETS))
        presets = {"preset": preset.typed(str | None)}
    fields = {name: settings.FIELDS[name] for name in positional} | settings.FIELDS | presets

    def run(*args, **kwargs):
        return main(settings(**run.__signature__.bind_partial(*args, **kwargs).arguments))

    run.__signature__ = inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD if name in positional else inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=field.annotation,
            )
            for name, field in fields.items()
        ]
    )
    summary, _, details = inspect.cleandoc(main.__doc__ or "").partition("\n")
    listed = "\n".join(f"    {name}: {field.help}" for name, field in fields.items())
    run.__doc__ = "\n\n".join(part for part in (summary, f"Args:\n{listed}", details.strip()) if part)
    run.__name__ = run.__qualname__ = "run"
    run.__module__ = main.__module__
    run.fields, run.positional = fields, tuple(positional)
    return run


def _listed(changed):
    return ", ".join(f"{name}={shown(value)}" for name, value in changed.items()) or "the defaults"


def shown(value) -> str:
    """Format a value as a user types it."""
    return ",".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)
