"""What travels between the grader and the process of a submission: numbers, texts, arrays, and containers of them.

A message is a JSON text and the raw bytes of the arrays in it. Nothing is pickled, so reading a message runs no code.
Any other object stays where it is, and a `Ref` with its number travels instead.
"""

import json
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_JSON_BYTES = 64_000_000
MAX_ARRAY_BYTES = 1_000_000_000
MAX_DEPTH = 40
HEAD = struct.Struct("!QI")  # bytes of the JSON text, number of arrays
SIZE = struct.Struct("!Q")


@dataclass(frozen=True)
class Ref:
    """An object of the worker: its number, and the name of its class."""

    number: int
    kind: str


def encode(value, refer, arrays: list, depth=0):
    """Make a value JSON can hold; arrays are appended to `arrays`, and `refer(object)` makes a Ref of another object.

    NumPy's scalars are arrays of no dimension. Containers that are nested too deeply are objects.
    """

    def inner(part):
        return encode(part, refer, arrays, depth + 1)

    if value is None or isinstance(value, bool | int | float | str):
        # of a subclass only its value: json would ask its methods
        return value if type(value) in (type(None), bool, int, float, str) else _plain(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufcUS":
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1}
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return {"dtype": np.dtype(value).str}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, slice):
        return {"slice": [inner(part) for part in (value.start, value.stop, value.step)]}
    if depth < MAX_DEPTH:
        if isinstance(value, list | tuple | set | frozenset):
            name = next(base.__name__ for base in (list, tuple, set, frozenset) if isinstance(value, base))
            return {name: [inner(part) for part in value]}
        if isinstance(value, dict):
            return {"dict": [[inner(key), inner(part)] for key, part in value.items()]}
    ref = value if isinstance(value, Ref) else refer(value)
    return {"ref": [ref.number, ref.kind]}


def _plain(value):
    return next(base(value) for base in (int, float, str) if isinstance(value, base))


def decode(tree, resolve, arrays: list):
    """Make the value of `encode` again; `resolve(ref)` makes an object of a Ref.

    Raises:
        ValueError: the tree is none of `encode`'s.
    """

    def inner(part):
        return decode(part, resolve, arrays)

    if not isinstance(tree, dict):
        if isinstance(tree, list):
            raise ValueError("a list without its type")
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        array = arrays[content]
        return array if array.ndim else array[()]
    if kind in ("list", "tuple", "set", "frozenset"):
        return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](map(inner, content))
    if kind == "dict":
        return {inner(key): inner(part) for key, part in content}
    if kind == "ref":
        return resolve(Ref(int(content[0]), str(content[1])))
    simple = {"dtype": np.dtype, "path": Path, "slice": lambda parts: slice(*map(inner, parts))}
    if kind not in simple:
        raise ValueError(f"unknown kind {kind!r}")
    return simple[kind](content)


def send(channel: socket.socket, message: dict, arrays: list) -> None:
    """Send a message, as `receive` reads it."""
    arrays = [np.asarray(array, order="C") for array in arrays]
    about = [[array.dtype.str, array.shape] for array in arrays]
    text = json.dumps({"message": message, "arrays": about}).encode()
    channel.sendall(HEAD.pack(len(text), len(arrays)) + text)
    for array in arrays:
        channel.sendall(SIZE.pack(array.nbytes))
        channel.sendall(array.reshape(-1).view(np.uint8) if array.nbytes else b"")


def receive(channel: socket.socket) -> tuple[dict, list]:
    """Receive a message and its arrays.

    Raises:
        EOFError: the other side is gone.
        ValueError: what it sent is no message, or too large.
    """
    length, count = HEAD.unpack(_read(channel, HEAD.size))
    if length > MAX_JSON_BYTES:
        raise ValueError(f"a message of {length} bytes")
    content = json.loads(_read(channel, length))
    if len(content["arrays"]) != count:
        raise ValueError("a message with other arrays than it names")
    arrays, left = [], MAX_ARRAY_BYTES
    for dtype, shape in content["arrays"]:
        dtype = np.dtype(dtype)
        (size,) = SIZE.unpack(_read(channel, SIZE.size))
        left -= size
        if dtype.kind not in "biufcUS" or left < 0:
            raise ValueError(f"arrays of {dtype} with {size} bytes and more")
        arrays.append(np.frombuffer(_read(channel, size), dtype).reshape(shape))
    return content["message"], arrays


def _read(channel, size):
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = channel.recv_into(view[done:])
        if not count:
            raise EOFError
        done += count
    return data
