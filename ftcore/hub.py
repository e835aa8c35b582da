"""Where the files of a model are: in a local folder, or on the Hugging Face hub or in its cache."""

from __future__ import annotations

import os
import pathlib
from typing import Any

HUB_OPTIONS = (
    "cache_dir",
    "force_download",
    "local_files_only",
    "revision",
    "subfolder",
    "token",
)


def local_folder(name_or_path: str | os.PathLike[str], subfolder: str | None = None) -> str | None:
    """The folder that a model's files are in; None where the name is none of a folder's.

    Raises NotADirectoryError where it is a file's.
    """
    name = os.fspath(name_or_path)
    if os.path.isdir(name):
        return os.path.join(name, subfolder) if subfolder else name
    if os.path.exists(name):
        raise NotADirectoryError(f"{name} is a file: give the folder that holds the model's files")
    return None


def find_file(
    name_or_path: str | os.PathLike[str], filename: str, **hub_options: Any
) -> pathlib.Path | None:
    """The path of one file of a model, or None where the model has no such file.

    `name_or_path` is a folder, or a model's name on the hub; `hub_options` are those of
    ``huggingface_hub.hf_hub_download``. Raises OSError where there is no such folder or model, or
    where the hub cannot be reached and its cache lacks the model.
    """
    subfolder = hub_options.pop("subfolder", None)
    folder = local_folder(name_or_path, subfolder)
    if folder is not None:
        path = pathlib.Path(folder, filename)
        return path if path.is_file() else None
    return _download(os.fspath(name_or_path), filename, subfolder, hub_options)


def _download(
    name: str, filename: str, subfolder: str | None, options: dict[str, Any]
) -> pathlib.Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    options = {key: value for key, value in options.items() if value is not None}
    try:
        return pathlib.Path(hf_hub_download(name, filename, subfolder=subfolder or None, **options))
    except LocalEntryNotFoundError as error:
        raise OSError(
            f"{name} is no folder here, and {filename} could not be had from the hub nor is it in "
            f"the hub's cache: check the name and the connection, or give a local folder ({error})"
        ) from error
    except EntryNotFoundError:
        return None
    except HFValidationError as error:
        raise OSError(f"{name} is neither a folder nor a model's name on the hub") from error
    except RepositoryNotFoundError as error:
        raise OSError(
            f"{name} is neither a folder nor a model on the hub (a private one needs token=...)"
        ) from error
    except RevisionNotFoundError as error:
        raise OSError(f"{name} has no revision {options.get('revision')!r} on the hub") from error
    except HfHubHTTPError as error:
        raise OSError(f"the hub refused {filename} of {name}: {error}") from error
