"""Collators: from examples to one batch of arrays or tensors of equal shape."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcore._core import pad_columns
from ftcore.tokenization import BatchEncoding
from ftcore.tokenization.strategies import natural_number

_LONGEST, _NO_PADDING = -1, -2  # instead of a width
_NO_LIMIT = 10**20  # tokenizers without a maximum length say one above this


def default_framework() -> str:
    """What batches are made of by default: "pt" where torch is installed, else "np"."""
    return "pt" if find_spec("torch") is not None else "np"


@dataclass
class DataCollatorWithPadding:
    """Collates tokenized examples, padding them to one length.

    Called on a list of dicts, or on a dict of lists or arrays, it returns a ``BatchEncoding``:
    ``input_ids``, ``token_type_ids`` and ``attention_mask`` (added where it is missing) are int64
    [batch, length], ``special_tokens_mask`` is padded with 1. ``label`` or ``label_ids`` become
    ``labels``, int64 or float32. Other columns must hold numbers, as many in every row. One
    example, a dict of lists of integers, gives arrays without the batch axis.

    Args:
        tokenizer: its ``pad_token_id``, ``pad_token_type_id``, ``padding_side``,
            ``model_input_names`` and, for ``padding="max_length"``, ``model_max_length`` are read.
            A tokenizer of ftcore or of Hugging Face.
        padding: True or "longest": to the longest row of the batch. "max_length": to
            ``max_length``, or the tokenizer's where that is None. False or "do_not_pad": not at
            all, so that all rows must have one length.
        max_length: the length for ``padding="max_length"``. Rows are not cut.
        pad_to_multiple_of: rounds the length up to a multiple of this.
        return_tensors: "pt" or "np". By default "pt" where torch is installed, else "np".

    Raises:
        ValueError: a column cannot become an array (it is named), rows are too long or of
            different lengths, the batch is empty, or the tokenizer has no padding token.
        TypeError: a column that is padded holds something other than integers.
        OverflowError: an integer does not fit in 64 bits.
        ImportError: tensors are asked for and PyTorch is not installed.
        KeyError: a row lacks a column of the first.
    """

    tokenizer: Any
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = field(default_factory=default_framework)

    def __post_init__(self) -> None:
        _check_framework(self.return_tensors)
        if self._width() == _LONGEST and self.max_length is not None:
            warnings.warn(
                "max_length is ignored with padding=True; to pad to it, give padding='max_length'",
                stacklevel=3,
            )

    def __call__(self, features: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> BatchEncoding:
        tokenizer = self.tokenizer
        names = tokenizer.model_input_names
        main = names[0]
        columns: Any = features
        is_batch = True
        if not (
            type(columns) is list and columns and type(columns[0]) is dict and main in columns[0]
        ):
            columns, is_batch = _as_columns(features, main)
        width = self._width()
        pad = _pad_token_id(tokenizer)
        if pad is None or pad < 0:
            if width != _NO_PADDING:
                raise ValueError(
                    "the tokenizer has no padding token: set tokenizer.pad_token, or give "
                    "padding=False"
                )
            pad = 0
        side = tokenizer.padding_side
        if side not in ("right", "left"):
            raise ValueError(
                f"the tokenizer's padding_side must be 'right' or 'left', not {side!r}"
            )
        tensor = None
        if self.return_tensors == "pt":
            # torch is looked up rather than imported, which would take as long as a column.
            tensor = (sys.modules.get("torch") or _torch()).Tensor
        else:
            _check_framework(self.return_tensors)
        batch, finished = pad_columns(
            columns,
            main,
            pad,
            tokenizer.pad_token_type_id,
            width,
            self.pad_to_multiple_of or 1,
            side == "left",
            "attention_mask" in names,
            tensor,
        )
        if "label" in batch:
            batch["labels"] = batch.pop("label")
        if "label_ids" in batch:
            batch["labels"] = batch.pop("label_ids")
        if not finished:
            self._finish(batch)
        if not is_batch:
            batch = {name: column[0, ...] for name, column in batch.items()}
        return BatchEncoding.from_columns(batch)

    def _finish(self, batch: dict[str, Any]) -> None:
        """Turns lists into arrays, and arrays into tensors where these are asked for."""
        as_torch = self.return_tensors == "pt"
        for name, column in batch.items():
            if type(column) is list:
                column = _stack(name, column, np.float32 if as_torch else np.float64)
            if as_torch and type(column) is np.ndarray:
                column = sys.modules["torch"].from_numpy(column)
            batch[name] = column

    def _width(self) -> int:
        """The length to pad to, or one of the constants above."""
        multiple = self.pad_to_multiple_of
        if multiple is not None and multiple < 1:
            raise ValueError(f"pad_to_multiple_of must be at least 1, got {multiple}")
        padding = self.padding
        if padding is True or padding == "longest":
            return _LONGEST
        if padding is False or padding == "do_not_pad":
            return _NO_PADDING
        if padding != "max_length":
            raise ValueError(
                "padding must be True, 'longest', 'max_length', False or 'do_not_pad', got "
                f"{padding!r}"
            )
        length = self.max_length
        if length is None:
            length = self.tokenizer.model_max_length
            return _NO_PADDING if length > _NO_LIMIT else length
        return natural_number("max_length", length) or 0


def default_data_collator(
    features: Sequence[Any], return_tensors: str | None = None
) -> dict[str, Any]:
    """Collates examples that have one shape already.

    Args:
        features: dicts, or objects whose attributes are taken. The first says what they hold:
            ``label``, or else ``label_ids``, becomes ``labels`` (int64 or float32); strings and
            None are left out; the rest is stacked. Arrays and tensors keep their type.
        return_tensors: "pt" or "np"; None: "pt" where torch is installed, else "np".

    Raises:
        ValueError: there are no examples, or a column (named) is not of one shape and of numbers.
        KeyError: an example lacks a column of the first.
    """
    framework = default_framework() if return_tensors is None else return_tensors
    _check_framework(framework)
    rows = [row if isinstance(row, Mapping) else vars(row) for row in features]
    if not rows:
        raise ValueError("the batch is empty")
    first = rows[0]
    batch: dict[str, NDArray[Any]] = {}
    for name in ("label", "label_ids"):
        if "labels" not in batch and first.get(name) is not None:
            batch["labels"] = _stack("labels", [row[name] for row in rows], np.float32)
    for name, value in first.items():
        if name in ("label", "label_ids") or value is None or isinstance(value, str):
            continue
        column = [row[name] for row in rows]
        if hasattr(value, "dtype"):
            batch[name] = _array(name, column)
        else:
            batch[name] = _stack(name, column, np.float32 if framework == "pt" else np.float64)
    if framework == "np":
        return batch
    torch = _torch()
    return {name: torch.from_numpy(column) for name, column in batch.items()}


def _torch() -> Any:
    try:
        return import_module("torch")
    except ImportError as error:
        raise ImportError(
            "return_tensors='pt' needs PyTorch, which is not installed; use 'np'"
        ) from error


def _check_framework(framework: str) -> None:
    if framework not in ("pt", "np"):
        raise ValueError(f"return_tensors must be 'pt' or 'np', got {framework!r}")


def _pad_token_id(tokenizer: Any) -> int | None:
    """``tokenizer.pad_token_id``.

    transformers finds it at the end of a ``__getattr__`` that takes a fifth of the whole call, so
    its last step, from the token to the id, is taken here. Nothing is kept: the token may be set,
    and the vocabulary grow, between calls.
    """
    state: dict[str, Any] = getattr(tokenizer, "__dict__", {})
    cls: Any = type(tokenizer)
    if "_special_tokens_map" in state and _is_left_to_transformers(cls, "pad_token_id"):
        token = state["_special_tokens_map"].get("pad_token")
        if token is not None and "pad_token_id" not in state:
            return tokenizer.convert_tokens_to_ids(str(token))
    return tokenizer.pad_token_id


@lru_cache(maxsize=16)
def _is_left_to_transformers(cls: Any, name: str) -> bool:
    """Whether the class has no such attribute, but the ``__getattr__`` of transformers."""
    getter = getattr(cls, "__getattr__", None)
    return (
        getattr(getter, "__module__", None) == "transformers.tokenization_utils_base"
        and cls.__getattribute__ is object.__getattribute__
        and not any(name in vars(base) for base in cls.__mro__)
    )


def _as_columns(features: Any, main: str) -> tuple[Any, bool]:
    """What ``pad_columns`` takes, and whether it was a batch rather than one example."""
    if isinstance(features, (list, tuple)):
        if not features:
            raise ValueError("the batch is empty")
        if not isinstance(features[0], (dict, Mapping)):
            raise TypeError(f"examples must be dicts, not {type(features[0]).__name__}")
        if main not in features[0]:
            raise _no_main_column(main, features[0])
        return (features if type(features) is list else list(features)), True
    if not isinstance(features, Mapping):
        raise TypeError(
            "a batch must be a list of dicts or a dict of lists or arrays, not "
            f"{type(features).__name__}"
        )
    if main not in features:
        raise _no_main_column(main, features)
    first = features[main]
    if len(first) == 0:
        raise ValueError("the batch is empty")
    if np.ndim(first[0]) == 0:
        return {name: [value] for name, value in features.items()}, False
    return {name: _as_list(value) for name, value in features.items()}, True


def _no_main_column(main: str, example: Mapping[str, Any]) -> ValueError:
    return ValueError(f"there is no column {main!r} among {', '.join(map(repr, example))}")


def _as_list(column: Any) -> list[Any]:
    return column if type(column) is list else list(column)


def _array(name: str, column: list[Any]) -> NDArray[Any]:
    """The rows of a column in one array of numbers or booleans."""
    try:
        array = np.stack([np.asarray(value) for value in column])
    except (TypeError, ValueError, RuntimeError) as error:  # the last from torch: needs detach()
        raise ValueError(f"column {name!r} cannot become an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"column {name!r} cannot become an array of numbers: it holds "
            f"{type(column[0]).__name__} (the first is {column[0]!r:.40}); remove it first"
        )
    return array


def _stack(name: str, column: list[Any], float_type: type) -> NDArray[Any]:
    """The same, of int64 or ``float_type``; labels are float32 and never boolean."""
    array = _array(name, column)
    if array.dtype.kind == "f":
        return array.astype(np.float32 if name == "labels" else float_type, copy=False)
    if array.dtype.kind == "b" and name != "labels":
        return array
    if array.dtype == np.uint64 and array.max(initial=0) > np.iinfo(np.int64).max:
        raise ValueError(f"column {name!r} holds a number that does not fit in 64 signed bits")
    return array.astype(np.int64, copy=False)
