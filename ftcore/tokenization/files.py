"""A checkpoint's files, of which any may be missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftcore.hub import HUB_OPTIONS, find_file


def split_hub_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(options that say where files come from, the other options)."""
    hub = {k: v for k, v in options.items() if k in HUB_OPTIONS and v is not None}
    return hub, {k: v for k, v in options.items() if k not in HUB_OPTIONS}


class Checkpoint:
    """A folder of files, local or on the hub."""

    def __init__(self, name_or_path: str | os.PathLike[str], hub_options: Mapping[str, Any]):
        self.name = os.fspath(name_or_path)
        self._hub_options = dict(hub_options)
        self._unreachable: OSError | None = None

    def find(self, filename: str) -> Path | None:
        """The local path of a file, fetched if need be; None where the checkpoint lacks it.

        Away from the hub a file that its cache lacks counts as missing: it may well be. Raises
        OSError where there is no such checkpoint.
        """
        try:
            return find_file(self.name, filename, **self._hub_options)
        except OSError as error:
            if type(error.__cause__).__name__ != "LocalEntryNotFoundError":
                raise
            # The first file asked for is the one to name.
            self._unreachable = self._unreachable or error
            return None

    def missing(self, *filenames: str) -> OSError:
        """The error to raise where none of the files is there."""
        if self._unreachable is not None:
            return self._unreachable
        return FileNotFoundError(f"{self.name!r} holds no {' and no '.join(filenames)}")
