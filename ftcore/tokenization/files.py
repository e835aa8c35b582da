"""A checkpoint's files, of which any may be missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ftcore.hub import HUB_OPTIONS, find_file, local_folder
from ftcore.tokenization.tokenizer_json import parse_json


def split_hub_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(options that say where files come from, the other options)."""
    hub = {k: v for k, v in options.items() if k in HUB_OPTIONS and v is not None}
    return hub, {k: v for k, v in options.items() if k not in HUB_OPTIONS}


class File(NamedTuple):
    """A file's bytes, and its path for errors."""

    path: str
    data: bytes


def read_file(path: str | os.PathLike[str]) -> File:
    """The whole of a file."""
    with open(path, "rb", buffering=0) as file:
        return File(os.fspath(path), file.read())


class Checkpoint:
    """A folder of files, local or on the hub. Raises OSError where there is no such checkpoint."""

    def __init__(self, name_or_path: str | os.PathLike[str], hub_options: Mapping[str, Any]):
        self.name = os.fspath(name_or_path)
        self._folder = local_folder(name_or_path, hub_options.get("subfolder"))
        self._hub_options = dict(hub_options)
        self._objects: dict[str, dict[str, Any] | None] = {}
        self._unreachable: OSError | None = None

    def read(self, filename: str) -> File | None:
        """A file, fetched if need be; None where the checkpoint lacks it.

        Away from the hub a file that its cache lacks counts as missing: it may well be. Raises
        OSError where there is no such checkpoint.
        """
        if self._folder is not None:
            try:
                return read_file(os.path.join(self._folder, filename))
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
        try:
            path = find_file(self.name, filename, **self._hub_options)
        except OSError as error:
            if type(error.__cause__).__name__ != "LocalEntryNotFoundError":
                raise
            # The first file asked for is the one to name.
            self._unreachable = self._unreachable or error
            return None
        return None if path is None else read_file(path)

    def read_json(self, filename: str) -> dict[str, Any] | None:
        """The object in a JSON file, which is read once; None where the checkpoint lacks it."""
        if filename not in self._objects:
            file = self.read(filename)
            self._objects[filename] = None if file is None else parse_json(file.data, file.path)
        return self._objects[filename]

    def missing(self, *filenames: str) -> OSError:
        """The error to raise where none of the files is there."""
        if self._unreachable is not None:
            return self._unreachable
        return FileNotFoundError(f"{self.name!r} holds no {' and no '.join(filenames)}")
