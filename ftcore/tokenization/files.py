"""Finding a checkpoint's files: in a local folder, or on the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HUB_OPTIONS = (
    "cache_dir",
    "force_download",
    "local_files_only",
    "revision",
    "subfolder",
    "token",
)
"""The options of from_pretrained that say where files come from."""


def split_hub_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(hub options that were given, the other options)."""
    hub = {k: v for k, v in options.items() if k in HUB_OPTIONS and v is not None}
    return hub, {k: v for k, v in options.items() if k not in HUB_OPTIONS}


class Checkpoint:
    """A folder of files, local or on the hub, of which any may be missing."""

    def __init__(self, name_or_path: str | os.PathLike[str], hub_options: Mapping[str, Any]):
        self.name = os.fspath(name_or_path)
        self.hub_options = dict(hub_options)
        self.is_local = os.path.isdir(self.name)
        if not self.is_local and (os.path.isabs(self.name) or self.name.startswith(".")):
            raise FileNotFoundError(f"there is no folder {self.name!r}")

    def find(self, filename: str) -> Path | None:
        """The local path of a file, fetched if need be; None where the checkpoint lacks it.

        Raises OSError where the hub knows no such checkpoint.
        """
        if self.is_local:
            path = Path(self.name, self.hub_options.get("subfolder") or "", filename)
            return path if path.is_file() else None
        import huggingface_hub
        from huggingface_hub import errors

        try:
            return Path(huggingface_hub.hf_hub_download(self.name, filename, **self.hub_options))
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
            raise
        except (errors.EntryNotFoundError, errors.LocalEntryNotFoundError):
            return None
        except errors.HFValidationError as error:
            raise FileNotFoundError(
                f"{self.name!r} is neither a folder here nor a valid name on the hub"
            ) from error

    def missing(self, *filenames: str) -> FileNotFoundError:
        where = "the folder" if self.is_local else "the hub or its cache, under the name"
        return FileNotFoundError(f"found none of {', '.join(filenames)} in {where} {self.name!r}")
