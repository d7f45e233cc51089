"""Put a trained model into the package, where `hw5.models.load` finds it by its name.

    python -m hw5.models.ship runs/section2/k2 section2

The files are small: the weights have 16 bits, and of a GAN the moving average of the generator alone is kept.
"""

from pathlib import Path

import h5py
import keras
import numpy as np

from hw5 import command_line
from hw5.files import atomic_write, output_folder
from hw5.models.gan import GAN
from hw5.models.saving import CONFIG, STORE, WEIGHTS, find, load, save
from hw5.settings import REQUIRED, Settings, program, setting

NUM_COMPARED = 256  # samples


class Arguments(Settings):
    run: Path = setting(REQUIRED, "Folder of a trained model, or of the results of a section that has one.")
    name: str = setting(REQUIRED, "Its name in the package.")
    store: Path = setting(STORE, "Folder of the package's models.")


def main(arguments: Arguments) -> dict[str, float]:
    """Save a trained model for sampling, with weights of 16 bits.

    Returns:
        `bytes` of both files, and by how much samples changed: `mean_change` and `max_change` of a pixel, for values
        in [0, 1].

    Raises:
        InputError: no model, or several of them.
    """
    model = load(find(arguments.run))
    folder = output_folder(arguments.store / arguments.name, "store")
    save(without_average(model), folder)
    halve(folder / WEIGHTS)
    before, after = (np.asarray(m.sample(NUM_COMPARED, seed=0)) for m in (model, load(folder)))
    change = np.abs(after - before)
    size = sum((folder / file).stat().st_size for file in (CONFIG, WEIGHTS))
    print(f"{folder}: {size / 1e6:.2f} MB, pixels of samples change by {change.mean():.1e}, at most {change.max():.1e}")
    return {"bytes": size, "mean_change": float(change.mean()), "max_change": float(change.max())}


def without_average(model: keras.Model) -> keras.Model:
    """Return a GAN with the averaged weights as its generator's; another model as it is."""
    if not getattr(model, "ema_decay", 0):
        return model
    plain = GAN.from_config(model.get_config() | {"ema_decay": 0.0})
    plain.generator.set_weights(model.ema_generator.get_weights())
    plain.discriminator.set_weights(model.discriminator.get_weights())
    return plain


def halve(path: Path) -> None:
    """Rewrite a file of weights with float16 in place of float32, and compressed.

    Keras converts the numbers to the type of each weight when it loads them. Counters and states of random numbers,
    which are integers, stay as they are.
    """

    def copy(name, item):
        if isinstance(item, h5py.Dataset):
            dtype = np.float16 if item.dtype == np.float32 else item.dtype
            # A number alone cannot be compressed.
            how = dict(compression="gzip", compression_opts=9, shuffle=True) if item.shape else {}
            copied = target.create_dataset(name, data=item[()].astype(dtype), **how)
        else:
            copied = target.require_group(name)
        copied.attrs.update(item.attrs)

    with h5py.File(path) as source, atomic_write(path) as partial, h5py.File(partial, "w") as target:
        target.attrs.update(source.attrs)
        source.visititems(copy)


run = program(Arguments, main, positional=("run", "name"))

if __name__ == "__main__":
    command_line.launch(run)
