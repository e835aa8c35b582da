"""Weights in and out of safetensors files, under Hugging Face's names."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ftcore.hub import find_file
from ftcore.storage import TensorFile, save_tensors

if TYPE_CHECKING:
    from ftcore.modeling.parameter import Parameter

logger = logging.getLogger(__name__)

WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
PICKLE_NAME = "pytorch_model.bin"
# Not weights: old checkpoints carry these counters along.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_LISTED = 12


@dataclasses.dataclass
class LoadReport:
    """What a checkpoint held that the model has not, and the other way round."""

    unexpected_keys: list[str]
    missing_keys: list[str]
    mismatched_keys: list[str]

    def log(self, model_name: str, origin: str) -> None:
        """Warns about what the user should know, as transformers does."""
        lines = []
        if self.unexpected_keys:
            lines.append(f"not used by this model: {_listing(self.unexpected_keys)}")
        if self.mismatched_keys:
            lines.append(f"of another shape: {_listing(self.mismatched_keys)}")
        if self.missing_keys:
            lines.append(f"newly initialised: {_listing(self.missing_keys)}")
            lines.append("Train this model before predicting with it.")
        if lines:
            logger.warning("%s from %s:\n  %s", model_name, origin, "\n  ".join(lines))


def load_weights(
    parameters: Iterable[Parameter],
    base_prefix: str,
    name_or_path: str | os.PathLike[str],
    ignore_mismatched_sizes: bool = False,
    **hub_options: Any,
) -> LoadReport:
    """Fills the parameters from a model's safetensors files, and says what was missing.

    Keys with and without `base_prefix` ("bert.") are understood, and LayerNorm's gamma and beta.
    Raises OSError where there is no safetensors file, ValueError where it is truncated, fits
    another model, or holds a tensor of the wrong shape or type.
    """
    wanted = {parameter.name: parameter for parameter in parameters}
    unexpected: list[str] = []
    mismatched: list[str] = []
    loaded: dict[str, str] = {}
    for path in weight_files(name_or_path, **hub_options):
        file = TensorFile(path)
        for key in file.names():
            name = canonical_name(key, base_prefix, wanted)
            if name is None:
                if not key.endswith(_BUFFERS):
                    unexpected.append(key)
                continue
            if name in loaded:
                raise ValueError(f"{path} holds {name} twice, as {loaded[name]} and as {key}")
            loaded[name] = key
            target = wanted[name]
            if file.shape(key) != target.shape and ignore_mismatched_sizes:
                mismatched.append(f"{key} {file.shape(key)} for {target.shape}")
                continue
            try:
                target.write(file.read(key, target.shape))
            except ValueError as error:
                raise ValueError(_with_advice(error, name, base_prefix)) from error
    fits = {name for name in wanted if name.startswith(base_prefix)}
    if fits.isdisjoint(loaded):
        raise ValueError(
            f"no weight in {name_or_path} belongs to this model: its keys look like "
            f"{_listing(unexpected[:3])}, the model's like {next(iter(wanted))}"
        )
    unfilled = {key.partition(" ")[0] for key in mismatched}
    missing = [n for n in wanted if n not in loaded or loaded[n] in unfilled]
    return LoadReport(unexpected, missing, mismatched)


def weight_files(name_or_path: str | os.PathLike[str], **hub_options: Any) -> list[pathlib.Path]:
    """The safetensors files of a model, one or several shards. Raises OSError for none."""
    try:
        path = find_file(name_or_path, WEIGHTS_NAME, **hub_options)
        if path is not None:
            return [path]
        index = find_file(name_or_path, INDEX_NAME, **hub_options)
    except OSError as error:
        # Away from the hub its cache does not say that the model has shards alone.
        try:
            index = find_file(name_or_path, INDEX_NAME, **hub_options)
        except OSError:
            raise error from None
    if index is None:
        pickled = ""
        if pathlib.Path(os.fspath(name_or_path), PICKLE_NAME).exists():
            pickled = (
                f"; {PICKLE_NAME} is a pickle, which is not read: load it with transformers and "
                "save_pretrained writes safetensors"
            )
        raise FileNotFoundError(f"{name_or_path} has no {WEIGHTS_NAME}{pickled}")
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} has no valid weight_map: {error}") from error
    paths = []
    for shard in shards:
        if not isinstance(shard, str) or pathlib.PurePath(shard).name != shard:
            raise ValueError(f"{index} names {shard!r}, which is no file beside it")
        path = find_file(name_or_path, shard, **hub_options)
        if path is None:
            raise FileNotFoundError(f"{name_or_path} lacks {shard}, which its index names")
        paths.append(path)
    return paths


def canonical_name(key: str, base_prefix: str, wanted: Mapping[str, Any]) -> str | None:
    """The model's name for a checkpoint's key, or None where it has no such parameter."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if key.endswith(old):
            key = key.removesuffix(old) + new
    for name in (key, base_prefix + key):
        if name in wanted:
            return name
    return None


def save_weights(folder: pathlib.Path, parameters: Iterable[Parameter]) -> None:
    """Writes model.safetensors as transformers does. Raises OSError, the old file then staying."""
    tensors = [(p.name, p.shape, p.numpy) for p in parameters]
    save_tensors(folder / WEIGHTS_NAME, tensors, {"format": "pt"})


def as_float32(name: str, value: Any) -> NDArray[np.float32]:
    """A tensor of a state dict, NumPy's or torch's, as a float32 array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().float().numpy()
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must hold floating-point numbers, not {array.dtype}")
    return array.astype(np.float32, copy=False)


def _with_advice(error: ValueError, name: str, base_prefix: str) -> str:
    if name.startswith(base_prefix):
        return f"{error}: the file and config.json are of different models"
    return f"{error}: pass ignore_mismatched_sizes=True for a newly initialised one"


def _listing(keys: list[str]) -> str:
    text = ", ".join(keys[:_LISTED])
    return text if len(keys) <= _LISTED else f"{text} and {len(keys) - _LISTED} more"
