"""Sample from a trained model.

python -m hw5.sample section11                                     # a model of the package: a grid, samples.png
python -m hw5.sample runs/section11/dcgan                          # your own
python -m hw5.sample runs/section2/k2 --count=10000 --out=samples.npy
python -m hw5.sample figures/section11 --count=100 --out=samples/  # a folder of PNGs
"""

import math
from pathlib import Path

import numpy as np

from hw5 import command_line, figures, models
from hw5.errors import InputError
from hw5.files import atomic_write, output_file, output_folder
from hw5.settings import REQUIRED, Settings, program, setting


class Arguments(Settings):
    run: Path = setting(
        REQUIRED, "Name of a model of the package, or folder of a trained model, or of the results of a section."
    )
    count: int = setting(64, "Number of images.", at_least=1)
    seed: int = setting(0, "Seed of the codes.", at_least=0, at_most=2**32 - 1)
    out: Path = setting("samples.png", "A PNG file for a grid, a .npy file for an array, else a folder for PNG files.")


def main(arguments: Arguments) -> np.ndarray:
    """Decode codes that are drawn from the model's prior.

    Returns:
        uint8 [count, h, w, c]; of a model of points in the plane float [count, 2], which only a .npy file can hold.

    Raises:
        InputError: no such model, several of them, or samples that are no images for a PNG.
    """
    model, out = models.load(models.find(arguments.run)), arguments.out
    is_file = out.suffix in (".npy", ".png")
    (output_file if is_file else output_folder)(out)
    samples = np.asarray(model.sample(arguments.count, seed=arguments.seed))
    is_image = samples.ndim == 4
    if is_image:
        samples = (255 * samples.clip(0, 1)).round().astype(np.uint8)
    elif out.suffix != ".npy":
        raise InputError(f"out={out}: samples of {arguments.run} are {samples.shape[1:]}, no images; name a .npy file")
    if out.suffix == ".npy":
        with atomic_write(out) as partial, partial.open("wb") as file:
            np.save(file, samples)
    elif is_file:
        side = math.ceil(len(samples) ** 0.5)
        white = np.full((side**2 - len(samples), *samples.shape[1:]), 255, np.uint8)
        figures.image_grid(out, figures.square(np.concatenate([samples, white])))
    else:
        for number, image in enumerate(samples):
            figures.save_grid(out / f"{number:05}.png", image[None, None])
    print(f"{out}: {len(samples)} samples of {arguments.run}")
    return samples


run = program(Arguments, main, positional=("run",))

if __name__ == "__main__":
    command_line.launch(run)
