"""Saving and loading of trained models: the weights, and a JSON file of the arguments that built the model.

Some trained models are part of the package, in `hw5/models/store`. They have names (`hw5.models.ship`).
"""

import json
import os
from pathlib import Path

import keras

from hw5.errors import InputError
from hw5.files import atomic_write

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
STORE = Path(__file__).with_name("store")  # a folder for each model of the package


def save(model: keras.Model, folder: str | os.PathLike) -> None:
    """Write `config.json` and `model.weights.h5` into `folder`, each complete or not at all."""
    folder = Path(folder)
    with atomic_write(folder / WEIGHTS) as partial:
        model.save_weights(partial)
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)  # a loaded model is not compiled
    with atomic_write(folder / CONFIG) as partial:
        partial.write_text(json.dumps(config, indent=1))


def load(folder: str | os.PathLike) -> keras.Model:
    """Load the model that `save` wrote, or one of the package's.

    Nothing in the files is executed: only the classes of Keras and of this package are built, Lambda layers
    are refused, and the weights are plain HDF5 arrays.

    Args:
        folder: of the model, or the name of one of the package's; an existing folder of that name comes first.

    Raises:
        InputError: there is no such folder or name; a file is missing or damaged, or the two do not fit together.
    """
    folder = _existing(folder)
    try:
        config = json.loads((folder / CONFIG).read_text())
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        model.load_weights(folder / WEIGHTS)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder}: holds no readable model ({reason[:200]})") from error
    return model


def find(folder: str | os.PathLike) -> Path:
    """Find the trained model of a folder: its own, the only one below it, or that of the results of a section.

    Args:
        folder: of a model, of trainings, or of a metrics.json, which names the folder of its trainings; or the name
            of a model of the package.

    Raises:
        InputError: there is none, or there are several.
    """
    folder = runs = _existing(folder)
    if (folder / "metrics.json").is_file():
        try:
            runs = Path(json.loads((folder / "metrics.json").read_text())["settings"]["run_dir"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder}/metrics.json: names no folder of trainings") from error
    found = [runs] if (runs / CONFIG).is_file() else sorted(path.parent for path in runs.rglob(CONFIG))
    if not found:
        raise InputError(f"{folder}: holds no trained model{'' if runs == folder else f', nor does {runs}'}")
    if len(found) > 1:
        raise InputError(f"{folder}: holds several models; name one of {', '.join(map(str, found))}")
    return found[0]


def _existing(folder):
    """Return the path of an existing folder, or that of the package's model of this name."""
    folder = Path(folder)
    if folder.is_dir():
        return folder
    names = sorted((path.parent.name for path in STORE.glob(f"*/{CONFIG}")), key=lambda name: (len(name), name))
    if str(folder) not in names:
        raise InputError(f"{folder}: no such folder, and no model of the package; these are {', '.join(names)}")
    return STORE / folder
