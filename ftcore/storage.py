"""Files that are either whole or not there: written beside their place, synced, renamed.

safetensors files are written tensor by tensor from the memory they lie in, or, where that is a
GPU's, from a copy of one at a time, so that saving a model needs no second copy of it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_HEADER_ALIGNMENT = 8
_TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    # NumPy has no bfloat16: its bits, to be widened.
    "BF16": np.dtype("<u2"),
}


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """A binary file to write; on success it takes the place of `path`, on failure it is gone.

    Raises OSError, which names a path (a full disk, a folder that cannot be written), `path` being
    what it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        # Writing to an open file fails with no word of which file it was.
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def replace_file(path: pathlib.Path, content: bytes) -> None:
    """Writes a small file; see `replacing`."""
    with replacing(path) as file:
        file.write(content)


def sync_folder(path: pathlib.Path) -> None:
    """Makes renames in a folder last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_tensors(
    path: pathlib.Path,
    tensors: Sequence[tuple[str, tuple[int, ...], Callable[[], NDArray[np.float32]]]],
    metadata: Mapping[str, str],
) -> None:
    """Writes float32 tensors as a safetensors file; see `replacing`.

    tensors: of each its name, its shape, and what gives it when its turn comes.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, shape, _ in tensors:
        size = 4 * math.prod(shape)
        header[name] = {
            "dtype": "F32",
            "shape": list(shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_ALIGNMENT)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, _, tensor in tensors:
            file.write(np.ascontiguousarray(tensor(), "<f4").reshape(-1).view(np.uint8).data)


class TensorFile:
    """A safetensors file, mapped into memory: names, and tensors on request.

    Raises ValueError for a file that is truncated or otherwise no safetensors file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        # The library checks the whole layout; arrays are made from the map by `read`, because NumPy
        # has no bfloat16 for the library to give.
        from safetensors import SafetensorError, safe_open

        self.path = path
        try:
            with safe_open(os.fspath(path), framework="numpy"):
                pass
        except SafetensorError as error:
            raise ValueError(
                f"{path} is not a whole safetensors file ({error}): fetch or save it again"
            ) from error
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        self._start = 8 + length
        self.metadata: dict[str, str] = header.pop("__metadata__", None) or {}
        self._entries: dict[str, dict[str, Any]] = header
        self._map: NDArray[np.uint8] = np.memmap(path, np.uint8, "r")

    def names(self) -> list[str]:
        """The tensors' names, in the file's order."""
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape."""
        return tuple(self._entries[name]["shape"])

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raises ValueError where a tensor is of another shape or not of a floating-point type."""
        if self.shape(name) != shape:
            raise ValueError(
                f"{self.path}: {name} has shape {self.shape(name)}, but the model's is {shape}"
            )
        dtype = self._entries[name]["dtype"]
        if dtype not in _TYPES:
            raise ValueError(
                f"{self.path}: {name} is {dtype}; only {', '.join(_TYPES)} can be loaded"
            )

    def read(self, name: str, shape: tuple[int, ...]) -> NDArray[np.floating[Any]]:
        """A tensor of that shape, float16, float32 or float64: the map's memory where it can be.
        Raises as `check` does."""
        self.check(name, shape)
        entry = self._entries[name]
        dtype = _TYPES[entry["dtype"]]
        begin, end = (self._start + offset for offset in entry["data_offsets"])
        # The map's bytes may not be aligned; NumPy copies from them all the same.
        stored: NDArray[Any] = self._map[begin:end].view(dtype).reshape(shape)
        if entry["dtype"] == "BF16":
            bits = stored.astype(np.uint32)
            bits <<= 16
            stored = bits.view(np.float32)
        return stored
