"""Checkpoints: folders checkpoint-N, each whole or not there.

    checkpoint-500/
      config.json, model.safetensors   the model, as save_pretrained writes it
      optimizer.safetensors            AdamW's moments: exp_avg.NAME and exp_avg_sq.NAME
      optimizer.json, scheduler.json   their settings and counts
      scaler.json                      with fp16=True: the scale of the loss
      rng_state.json                   Python's and NumPy's global generators
      trainer_state.json               progress and log history
      training_args.json               the training arguments, for the reader
      the tokenizer's files

Dropout's masks and the order of rows depend on seed and step alone, so a resumed run takes the
same steps as one that was never interrupted. No pickle is written or read.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import pathlib
import random
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcore.modeling.checkpoint import canonical_name, load_weights, weight_files
from ftcore.modeling.parameter import Parameter
from ftcore.modeling.sequence_classification import SequenceClassifier
from ftcore.optimization import AdamW, LRScheduler
from ftcore.storage import TensorFile, replace_file, save_tensors, sync_folder
from ftcore.training.arguments import TrainingArguments
from ftcore.training.scaling import LossScaler
from ftcore.training.state import TrainerState

STATE_NAME = "trainer_state.json"
_ARGUMENTS_NAME = "training_args.json"
_MOMENTS_NAME = "optimizer.safetensors"
_OPTIMIZER_NAME = "optimizer.json"
_SCHEDULER_NAME = "scheduler.json"
_SCALER_NAME = "scaler.json"
_RNG_NAME = "rng_state.json"
_COMBINED_NAME = "all_results.json"
_MOMENTS = ("exp_avg", "exp_avg_sq")
_FOLDER = re.compile(r"checkpoint-(\d+)")
_LEFTOVER = re.compile(r"\.(checkpoint-\d+)\.\d+\.(partial|replaced)")


def save_model_files(
    folder: pathlib.Path, model: SequenceClassifier, tokenizer: Any, args: TrainingArguments
) -> None:
    """Writes the model, the tokenizer and the training arguments into a folder."""
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(os.fspath(folder))
    replace_file(folder / _ARGUMENTS_NAME, (args.to_json_string() + "\n").encode())


def save_checkpoint(
    folder: pathlib.Path,
    model: SequenceClassifier,
    tokenizer: Any,
    args: TrainingArguments,
    state: TrainerState,
    optimizer: AdamW,
    scheduler: LRScheduler,
    scaler: LossScaler | None,
) -> None:
    """Writes a checkpoint beside its place and then moves it there.

    Raises OSError where that fails (a full disk); a checkpoint that was there before stays.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    replaced = folder.with_name(f".{folder.name}.{os.getpid()}.replaced")
    try:
        # A process that was killed may have had this one's number.
        for leftover in (partial, replaced):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir(parents=True)
        save_model_files(partial, model, tokenizer, args)
        if not args.save_only_model:
            _save_optimizer(partial, optimizer, scheduler)
            if scaler is not None:
                _write_json(partial / _SCALER_NAME, scaler.state_dict())
            _write_json(partial / _RNG_NAME, _rng_state())
        replace_file(partial / STATE_NAME, state.to_json_string().encode())
        sync_folder(partial)
        if folder.exists():
            folder.rename(replaced)
        partial.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{folder.name} could not be saved ({error.strerror or error}); earlier checkpoints "
            "are whole",
            os.fspath(folder),
        ) from error
    finally:
        if replaced.exists() and not folder.exists():
            replaced.rename(folder)
        for leftover in (partial, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def _save_optimizer(folder: pathlib.Path, optimizer: AdamW, scheduler: LRScheduler) -> None:
    model = optimizer.model

    def moment(parameter: Parameter, number: int) -> NDArray[np.float32]:
        return model.core.moments(parameter._index)[number]

    moments = [
        (f"{kind}.{parameter.name}", parameter.shape, functools.partial(moment, parameter, number))
        for number, kind in enumerate(_MOMENTS)
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    save_tensors(folder / _MOMENTS_NAME, moments, {"format": "pt"})
    settings = {"steps": optimizer.steps, "param_groups": optimizer.group_options()}
    _write_json(folder / _OPTIMIZER_NAME, settings)
    _write_json(folder / _SCHEDULER_NAME, scheduler.state_dict())


def load_model(folder: pathlib.Path, model: SequenceClassifier) -> None:
    """Loads a checkpoint's weights. Raises ValueError, nothing being loaded, unless all fit."""
    _check_weights(folder, model)
    load_weights(model.parameters(), f"{model.base_model_prefix}.", folder)


def load_checkpoint(
    folder: pathlib.Path,
    model: SequenceClassifier,
    optimizer: AdamW,
    scheduler: LRScheduler,
    scaler: LossScaler | None,
) -> TrainerState:
    """Takes up model, optimizer, schedule and global generators where a checkpoint left them, and
    the scale of the loss, where it was trained with one.

    All files are looked at before anything is changed. Raises OSError where one is missing,
    ValueError where one is damaged or of another model.
    """
    state = TrainerState.load_from_json(folder / STATE_NAME)
    if not _is_count(state.global_step) or not isinstance(state.log_history, list):
        raise ValueError(f"{folder / STATE_NAME} is damaged: it has no count of steps or no log")
    _check_weights(folder, model)
    moments = _check_moments(folder, model, optimizer)
    with _reading(folder / _SCHEDULER_NAME) as schedule:
        rates = schedule["base_lrs"]
        if not _is_count(schedule["last_epoch"]) or len(rates) != len(optimizer.param_groups):
            raise ValueError("it does not fit the optimizer")
        if not all(isinstance(rate, int | float) and math.isfinite(rate) for rate in rates):
            raise ValueError(f"base_lrs are {rates}")
    with _reading(folder / _RNG_NAME) as generators:
        _set_rng_state(generators, random.Random(), np.random.RandomState())
    scale = _read_scale(folder) if scaler is not None else None
    _load_options(folder, optimizer)

    if scaler is not None and scale is not None:
        scaler.load_state_dict(scale)
    scheduler.load_state_dict(schedule)
    _set_rng_state(generators, random, np.random)
    load_weights(model.parameters(), f"{model.base_model_prefix}.", folder)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            first, second = (
                moments.read(f"{kind}.{parameter.name}", parameter.shape) for kind in _MOMENTS
            )
            model.core.set_moments(parameter._index, first, second)
    return state


def _check_weights(folder: pathlib.Path, model: SequenceClassifier) -> None:
    wanted = {parameter.name: parameter.shape for parameter in model.parameters()}
    missing = set(wanted)
    for path in weight_files(folder):
        file = TensorFile(path)
        for key in file.names():
            name = canonical_name(key, f"{model.base_model_prefix}.", wanted)
            if name is not None:
                _check_tensor(file, key, wanted[name])
                missing.discard(name)
    if missing:
        raise ValueError(
            f"{folder}: the checkpoint is of another model: it lacks {', '.join(sorted(missing))}"
        )


def _check_moments(folder: pathlib.Path, model: SequenceClassifier, optimizer: AdamW) -> TensorFile:
    path = folder / _MOMENTS_NAME
    if not path.exists():
        pickled = (folder / "optimizer.pt").exists()
        raise FileNotFoundError(
            f"{folder} has no {_MOMENTS_NAME}, so training cannot be resumed from it"
            + (
                ": optimizer.pt is a pickle, which is not read"
                if pickled
                else " (save_only_model leaves it out)"
            )
            + "; load the model with from_pretrained and train anew"
        )
    file = TensorFile(path)
    held = set(file.names())
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for kind in _MOMENTS:
                name = f"{kind}.{parameter.name}"
                if name not in held:
                    raise ValueError(f"{path} lacks {name}")
                _check_tensor(file, name, parameter.shape)
    return file


def _check_tensor(file: TensorFile, name: str, shape: tuple[int, ...]) -> None:
    try:
        file.check(name, shape)
    except ValueError as error:
        raise ValueError(f"{error}: the checkpoint is of another model") from error


def _read_scale(folder: pathlib.Path) -> dict[str, Any] | None:
    if not (folder / _SCALER_NAME).exists():
        return None
    with _reading(folder / _SCALER_NAME) as state:
        LossScaler().load_state_dict(state)
        return state


def _load_options(folder: pathlib.Path, optimizer: AdamW) -> None:
    """Takes over the optimizer's options and count, all of them or none."""
    before = [dict(group) for group in optimizer.param_groups]
    try:
        with _reading(folder / _OPTIMIZER_NAME) as settings:
            groups, steps = settings["param_groups"], settings["steps"]
            if not _is_count(steps):
                raise ValueError(f"steps is {steps!r}")
            optimizer.load_group_options(groups, steps)
    except ValueError:
        for group, values in zip(optimizer.param_groups, before, strict=True):
            group.clear()
            group.update(values)
        raise


def _set_rng_state(state: Any, python: Any, numpy: Any) -> None:
    version, words, gauss = state["python"]
    python.setstate((version, tuple(words), gauss))
    kind, words, position, has_gauss, gauss = state["numpy"]
    numpy.set_state((kind, np.array(words, np.uint32), position, has_gauss, gauss))


def _rng_state() -> dict[str, Any]:
    kind, words, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [kind, np.asarray(words).tolist(), position, has_gauss, gauss],
    }


def checkpoints(output_dir: pathlib.Path) -> list[pathlib.Path]:
    """The checkpoints in a folder, by their step."""
    found = [
        (int(match[1]), path)
        for path in output_dir.iterdir()
        if (match := _FOLDER.fullmatch(path.name)) and path.is_dir()
    ]
    return [path for _, path in sorted(found)]


def sweep(output_dir: pathlib.Path) -> None:
    """Removes what saves that were killed left, and puts back a checkpoint they had moved away."""
    for path in output_dir.glob(".checkpoint-*"):
        match = _LEFTOVER.fullmatch(path.name)
        if match is None:
            continue
        folder = output_dir / match[1]
        if match[2] == "replaced" and not folder.exists():
            path.rename(folder)
        else:
            shutil.rmtree(path, ignore_errors=True)


def rotate(
    output_dir: pathlib.Path, limit: int | None, newest: pathlib.Path, best: str | None
) -> None:
    """Deletes the oldest checkpoints beyond `limit`, but neither the newest nor the best."""
    if limit is None or limit <= 0:
        return
    kept = {newest.name}
    if best is not None:
        kept.add(pathlib.Path(best).name)
    # The newest is last whatever its number: an output folder may hold those of an earlier run.
    oldest_first = sorted(checkpoints(output_dir), key=lambda path: path.stat().st_mtime_ns)
    surplus = len(oldest_first) - max(limit, len(kept))
    for path in oldest_first:
        if surplus <= 0:
            break
        if path.name not in kept:
            shutil.rmtree(path)
            surplus -= 1


def save_results(
    folder: pathlib.Path, split: str, metrics: Mapping[str, Any], combined: bool
) -> None:
    """Writes metrics as {split}_results.json, and adds them to all_results.json."""
    results = {f"{split}_results.json": dict(metrics)}
    if combined:
        path = folder / _COMBINED_NAME
        earlier = _read_json(path) if path.exists() else {}
        if not isinstance(earlier, dict):
            raise ValueError(f"{path} is damaged: it holds no object")
        results[path.name] = {**earlier, **metrics}
    for name, values in results.items():
        replace_file(folder / name, json.dumps(values, indent=4, sort_keys=True).encode())


def check_writable(folder: pathlib.Path) -> None:
    """Makes a folder and writes to it. Raises OSError where that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".ftcore-{os.getpid()}.probe"
    try:
        probe.write_bytes(b"")
    finally:
        probe.unlink(missing_ok=True)


def _write_json(path: pathlib.Path, value: Any) -> None:
    replace_file(path, (json.dumps(value, indent=2) + "\n").encode())


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[Any]:
    """A JSON file's content; what goes wrong with it is a ValueError that names the file."""
    content = _read_json(path)
    try:
        yield content
    except KeyError as error:
        raise ValueError(f"{path} is damaged: it lacks {error}") from error
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _read_json(path: pathlib.Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
