"""Declared settings: their types, bounds, presets, and the function of a program."""

import inspect
from pathlib import Path

import numpy as np
import pytest

from hw5.errors import InputError
from hw5.settings import REQUIRED, Settings, Several, program, setting


class Length(Settings):
    epochs: int = setting(3, "Passes.", at_least=1)
    rate: float = setting(0.1, "Rate.", at_least=0, at_most=1)
    out: Path | None = setting(None, "Folder.", training=False)
    PRESETS = {"tiny": dict(epochs=1), "long": {}}


class Colours(Settings):
    colour: Several[str] = setting(("red", "blue"), "Colours.", choices=("red", "green", "blue"))
    train: bool = setting(True, "Train.", training=False)


class Both(Colours, Length):
    k: Several[int] = setting((2, 5), "Dimensions.", at_least=1)
    hidden: Several[int] = setting((64, 64), "Widths.", at_least=1, may_repeat=True)
    study: Several[float] = setting((), "Rates.", may_be_empty=True)
    name: str = setting("x", "Name.")
    limit: int | None = setting(None, "Limit.", at_least=1)
    seed: int = setting(0, "Seed.", at_most=2**32 - 1)
    epochs = 7
    PRESETS = {"tiny": dict(epochs=2, k=1)}


def test_own_settings_come_first_and_a_plain_value_is_a_new_default():
    assert list(Both.FIELDS) == ["k", "hidden", "study", "name", "limit", "seed", "colour"] + [
        *("train", "epochs", "rate", "out")
    ]
    assert Both().epochs == 7
    assert Length().epochs == 3
    assert Both.FIELDS["epochs"].at_least == 1  # the rest of the declaration stays


def test_settings_of_a_table_of_rows_leave_the_rows_their_values():
    rows = {"short": {"epochs": 3, "out": None, "unknown": 1}, "long": {"epochs": 70, "out": "x", "unknown": 2}}

    class OfRows(Both, rows=rows):
        clip: float | None = setting(None, "Bound.", at_least=0)
        PRESETS = {"tiny": dict(epochs=2), "long": {}}

    assert OfRows.FIELDS["epochs"].help == "Passes. Default: short 3, long 70."
    assert OfRows.FIELDS["out"].help == "Folder. Default: long x."
    assert OfRows.FIELDS["clip"].help == "Bound."
    assert Both.FIELDS["epochs"].help == "Passes."
    assert (OfRows().epochs, OfRows().rate, Both().epochs) == (None, 0.1, 7)
    assert OfRows().fill(rows["long"]) == rows["long"]
    assert OfRows(epochs=5).fill(rows["long"]) == rows["long"] | {"epochs": 5}
    assert OfRows(preset="tiny").fill(rows["long"]) == rows["long"] | {"epochs": 2}
    assert [OfRows(epochs=value).is_default("epochs") for value in (None, 3)] == [True, False]
    with pytest.raises(InputError, match="^epochs=0: must be at least 1"):
        OfRows(epochs=0)
    assert str(inspect.signature(program(OfRows, print)).parameters["epochs"]) == "epochs: int | None = None"


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        ({"k": 5}, "k", (5,)),
        ({"k": [5, 3]}, "k", (5, 3)),
        ({"k": (3, 3, 4)}, "k", (3, 4)),  # a repeated value is dropped
        ({"k": "3,4"}, "k", (3, 4)),
        ({"k": range(2, 4)}, "k", (2, 3)),
        ({"k": np.array([2, 9])}, "k", (2, 9)),
        ({"k": np.int64(4)}, "k", (4,)),
        ({"k": np.array(4)}, "k", (4,)),
        ({"k": "3, 4"}, "k", (3, 4)),
        ({"colour": "green, red"}, "colour", ("green", "red")),
        ({"k": 4.0}, "k", (4,)),
        ({"hidden": [8, 8]}, "hidden", (8, 8)),
        ({"study": []}, "study", ()),
        ({"study": ""}, "study", ()),
        ({"study": 1}, "study", (1.0,)),
        ({"colour": "green"}, "colour", ("green",)),
        ({"rate": 1}, "rate", 1.0),
        ({"rate": "1e-3"}, "rate", 1e-3),
        ({"train": False}, "train", False),
        ({"train": "no"}, "train", False),
        ({"out": "a/b"}, "out", Path("a/b")),
        ({"out": Path("a")}, "out", Path("a")),
        ({"limit": None}, "limit", None),
    ],
)
def test_a_value_is_converted_to_the_declared_type(arguments, name, value):
    found = getattr(Both(**arguments), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k=0: must be at least 1"),
        ({"k": [3, 0]}, "k=0: must be at least 1"),
        ({"k": "three"}, "k=three: must be an integer"),
        ({"k": 2.5}, "k=2.5: must be an integer"),
        ({"k": True}, "k=True: must be an integer"),
        ({"k": ()}, "k=: needs a value"),
        ({"k": None}, "k=None: must be an integer"),
        ({"rate": 1.5}, "rate=1.5: must be at most 1"),
        ({"rate": float("nan")}, "rate=nan: must be at least 0"),
        ({"rate": "fast"}, "rate=fast: must be a number"),
        ({"study": [1, "inf"]}, "study=inf: must be finite"),
        ({"study": "-1e999"}, "study=-1e999: must be finite"),
        ({"study": float("nan")}, "study=nan: must be finite"),
        ({"colour": "pink"}, "colour=pink: must be one of red, green, blue"),
        ({"train": "maybe"}, "train=maybe: must be True or False"),
        ({"name": 3}, "name=3: must be a text"),
        ({"out": ""}, "out=: must be a path"),
        ({"out": "x" * 256}, r"out=x+: cannot be the path of a file or folder \(File name too long\)"),
        ({"out": "zero\0"}, r"out=zero\0: cannot be the path of a file or folder \(embedded null byte\)"),
        ({"epochs": None}, "epochs=None: must be an integer"),
        ({"limit": 0}, "limit=0: must be at least 1"),
        ({"preset": "huge"}, "preset=huge: must be one of tiny, long"),
        ({"preset": ["tiny"]}, r"preset=\['tiny'\]: must be one of tiny, long"),
        ({"seed": 2**32}, "seed=4294967296: must be at most 4294967295"),  # not 4.29497e+09
    ],
)
def test_a_mistake_is_named(arguments, message):
    with pytest.raises(InputError, match=rf"^{message}$"):
        Both(**arguments)


def test_a_preset_changes_defaults_and_yields_to_arguments():
    tiny = Both(preset="tiny")
    assert (tiny.epochs, tiny.k, tiny.rate, tiny.preset) == (2, (1,), 0.1, "tiny")
    assert Both(preset="tiny", k=9).k == (9,)
    assert Both(preset="long").epochs == 7  # a preset of the base
    assert Both.PRESETS.keys() == {"tiny", "long"}


def test_a_value_of_the_preset_is_a_default():
    assert Both().is_default("k")
    assert Both(preset="tiny", k="1").is_default("k")
    assert not Both(k=1).is_default("k")
    assert not Both(preset="tiny", k=(2, 5)).is_default("k")
    assert Both(preset="tiny").replace(rate=1, limit=3).is_default("k")
    assert not Both(limit=3).is_default("limit")


def test_a_preset_that_names_no_setting_is_a_programming_error():
    with pytest.raises(KeyError, match="epoch"):

        class Typo(Length):
            PRESETS = {"tiny": dict(epoch=1)}

    with pytest.raises(InputError, match="epochs=0"):

        class OutOfBounds(Length):
            PRESETS = {"tiny": dict(epochs=0)}


def test_settings_by_name_as_json_has_them():
    settings = Both(out="a/b", k=3)
    assert settings.as_dict()["out"] == "a/b"
    assert settings.as_dict()["k"] == (3,)
    assert settings.as_dict(training=True).keys() == Both.FIELDS.keys() - {"out", "train"}


def test_replaced_settings_are_others():
    settings = Both(k=3, out="a")
    changed = settings.replace(epochs=9)
    assert (changed.epochs, changed.k, changed.out, settings.epochs) == (9, (3,), Path("a"), 7)
    with pytest.raises(InputError, match="epochs=0"):
        settings.replace(epochs=0)


class Copy(Settings):
    source: Path = setting(REQUIRED, "What to copy.")
    times: int = setting(1, "How often.", at_least=1)


def copy(settings):
    """Copy a file.

    Returns:
        What it was called with.
    """
    return settings.source, settings.times


def test_a_program_has_the_signature_of_its_settings():
    run = program(Copy, copy, positional=("source",))
    assert str(inspect.signature(run)) == "(source: pathlib.Path, *, times: int = 1)"
    assert run("a") == run(source=Path("a")) == (Path("a"), 1)
    assert run("a", times=2)[1] == 2
    assert run.__doc__.splitlines()[0] == "Copy a file."
    assert "Args:\n    source: What to copy.\n    times: How often.\n\nReturns:" in run.__doc__
    for call in (lambda: run("a", 2), lambda: run("a", time=2)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(InputError, match="source=: is required: What to copy."):
        run()


def test_a_program_has_its_presets_in_signature_and_documentation():
    run = program(Both, lambda settings: settings.epochs)
    assert run(preset="tiny") == 2
    assert inspect.signature(run).parameters["preset"].default is None
    assert "tiny: epochs=2, k=1" in run.__doc__
