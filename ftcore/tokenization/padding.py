"""tokenizer.pad: padding rows that were encoded before."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

import numpy as np

from ftcore.tokenization.batch_encoding import BatchEncoding, columns_of_rows

_INPUT = "input_ids"


def _plain(value: Any) -> Any:
    """Lists of Python numbers from arrays, tensors and lists of them."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _kind_of(column: Any) -> str | None:
    """ "pt" or "np" where the rows are tensors or arrays; None for Python numbers.

    Raises ValueError for anything else.
    """
    first = column[0]
    if isinstance(first, (list, tuple)):
        first = next((row[0] for row in column if len(row) > 0), 0)
    if isinstance(first, (int, np.integer)):
        return "np" if isinstance(column, np.ndarray) else None
    if isinstance(first, np.ndarray):
        return "np"
    if type(first).__module__.startswith("torch"):
        return "pt"
    raise ValueError(
        f"type of {first} unknown: {type(first)}. Should be one of a python, numpy, or pytorch "
        "object."
    )


def _pad_row(
    row: dict[str, Any], length: int, side: str, fillers: dict[str, int]
) -> dict[str, Any]:
    missing = length - len(row[_INPUT])
    if missing <= 0:
        return row
    for key, filler in fillers.items():
        if key in row:
            padding = [filler] * missing
            row[key] = list(row[key]) + padding if side == "right" else padding + list(row[key])
    return row


def pad(
    encoded_inputs: Any,
    *,
    padded_length: Any,
    side: str,
    fillers: dict[str, int],
    return_attention_mask: bool,
    return_tensors: str | None,
) -> BatchEncoding:
    """Pads one row, or rows as a list of dicts or a dict of lists.

    ``padded_length(longest)`` is the length to pad to; ``fillers`` maps each column that is padded
    to the number it is padded with.
    """
    if isinstance(encoded_inputs, (list, tuple)) and encoded_inputs:
        if not isinstance(encoded_inputs[0], Mapping):
            raise ValueError("pad takes a dict, or a list of dicts")
        encoded_inputs = columns_of_rows(encoded_inputs)
    if not isinstance(encoded_inputs, Mapping) or _INPUT not in encoded_inputs:
        given = list(encoded_inputs) if isinstance(encoded_inputs, Mapping) else []
        raise ValueError(
            "You should supply an encoding or a list of encodings to this method that includes "
            f"{_INPUT}, but you provided {given}"
        )
    data = dict(encoded_inputs)
    required = data[_INPUT]
    if required is None or (isinstance(required, Sized) and len(required) == 0):
        if return_attention_mask:
            data["attention_mask"] = []
        return BatchEncoding(data)
    return_tensors = return_tensors or _kind_of(required)
    data = {key: _plain(value) for key, value in data.items()}
    single = not isinstance(data[_INPUT][0], list)
    rows = [data] if single else _rows(data)
    if return_attention_mask:
        for row in rows:
            row.setdefault("attention_mask", [1] * len(row[_INPUT]))
    length = padded_length(max(len(row[_INPUT]) for row in rows))
    padded = [_pad_row(row, length, side, fillers) for row in rows]
    return BatchEncoding(
        padded[0] if single else columns_of_rows(padded), tensor_type=return_tensors
    )


def _rows(data: dict[str, Any]) -> list[dict[str, Any]]:
    count = len(data[_INPUT])
    for key, value in data.items():
        if len(value) != count:
            raise ValueError(f"{key} has {len(value)} rows, {_INPUT} has {count}")
    return [{key: value[i] for key, value in data.items()} for i in range(count)]
