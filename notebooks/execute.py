"""Execute the notebooks of this folder from top to bottom.

    python notebooks/execute.py                     # all of them, two at a time
    python notebooks/execute.py sheet000 --write    # one, and keep its new outputs

Each one runs in an empty folder. The outputs that are kept are small: text as a terminal shows it, of each training the
last epoch, and figures in fewer colours.
"""

import asyncio
import base64
import io
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image
from traitlets.config import Config

from hw5 import command_line
from hw5.errors import InputError
from hw5.files import atomic_write
from hw5.settings import Settings, Several, program, setting

AT_ONCE = 2  # notebooks; each keeps one processor busy
FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.ipynb")))
MAX_SECONDS = 3600  # for one cell, also on a busy machine
MAX_WIDTH = 800  # of a figure that is kept, in pixels
PIXELS = 1.25  # of a figure that is kept, for each that a notebook shows
COLOURS = 40
STYLE = re.compile(r"\x1b\[[0-9;]*m")  # colours and bold type on a terminal
EARLIER_EPOCH = re.compile(r"Epoch (\d+)/(?!\1\n)\d+\n.*\n")  # not the last one
# of TensorFlow, on how often it compiles, which many short trainings draw
ADVICE = re.compile(r"^WARNING:tensorflow:.*retracing.*\n", re.MULTILINE)


class Arguments(Settings):
    name: Several[str] = setting(NAMES, "Notebooks, without “.ipynb”.", choices=NAMES)
    write: bool = setting(False, "Write the outputs into the notebooks.")


def main(arguments: Arguments) -> None:
    """Execute notebooks, two at a time; print how long each took.

    Raises:
        InputError: some of them ended with an error, which was printed.
    """
    if failed := asyncio.run(execute_all(arguments.name, write=arguments.write)):
        raise InputError(f"these notebooks end with an error: {', '.join(failed)}")


async def execute_all(names: Sequence[str], *, write: bool) -> list[str]:
    """Execute notebooks. Returns the names of those that end with an error."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def succeeds(name):
        async with turns:
            path, started = FOLDER / f"{name}.ipynb", time.monotonic()
            try:
                notebook = await execute(path)
            except CellExecutionError as error:
                print(f"{name}: {STYLE.sub('', str(error))}", flush=True)
                return False
        text = nbformat.writes(notebook) + "\n"
        print(f"{name}: {time.monotonic() - started:.0f} s, {len(text.encode()) / 1e6:.2f} MB", flush=True)
        if write:
            with atomic_write(path) as partial:
                partial.write_text(text, encoding="utf-8")
        return True

    succeeded = await asyncio.gather(*map(succeeds, names))
    return [name for name, good in zip(names, succeeded, strict=True) if not good]


async def execute(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with new outputs.

    Raises:
        CellExecutionError: a cell ended with an error.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        # Sockets that no other user can read, named by a path: the kernel works in another folder.
        sockets = Config({"KernelManager": {"transport": "ipc", "ip": str(Path(folder, ".kernel"))}})
        how = dict(timeout=MAX_SECONDS, startup_timeout=MAX_SECONDS, record_timing=False, coalesce_streams=True)
        client = NotebookClient(notebook, resources={"metadata": {"path": folder}}, config=sockets, **how)
        await client.async_execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                output.text = as_on_a_terminal(output.text)
            elif "image/png" in output.get("data", {}):
                shown = output.metadata.get("image/png", {}).get("width", MAX_WIDTH)
                output.data["image/png"] = smaller(output.data["image/png"], min(MAX_WIDTH, round(PIXELS * shown)))
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("text") != ""]
    return notebook


def as_on_a_terminal(text: str) -> str:
    """Return a text as a terminal shows it at the end, without colours and advice; of a training the last epoch."""
    lines = [line.rpartition("\r")[2].replace("\b", "") for line in STYLE.sub("", text).split("\n")]
    return EARLIER_EPOCH.sub("", ADVICE.sub("", "\n".join(lines)))


def smaller(encoded: str, width: int) -> str:
    """Return a PNG image, both in base 64, of at most this width and COLOURS colours.

    By k-means, since the median cut makes thin lines of different colours alike.
    """
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


run = program(Arguments, main, positional=("name",))

if __name__ == "__main__":
    command_line.launch(run)
