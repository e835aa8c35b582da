"""tokenizer.pad: padding rows that were encoded before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from typing import Any

import numpy as np

from ftcore.tokenization.batch_encoding import BatchEncoding, columns_of_rows

_MASK = "attention_mask"


def _plain(value: Any) -> Any:
    """Lists of Python numbers from arrays, tensors and lists of them."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _kind_of(column: Any) -> tuple[str | None, bool]:
    """("pt" or "np" where rows are tensors or arrays, whether numbers are Python's already).

    Raises ValueError where they are no numbers.
    """
    first = column[0]
    if isinstance(first, (list, tuple)):
        first = next((row[0] for row in column if len(row) > 0), 0)
    if isinstance(first, (int, list, tuple)):
        return None, True
    if isinstance(first, np.integer):
        return "np" if isinstance(column, np.ndarray) else None, False
    if isinstance(first, np.ndarray):
        return "np", False
    if type(first).__module__.startswith("torch"):
        return "pt", False
    raise ValueError(
        f"type of {first} unknown: {type(first)}. Should be one of a python, numpy, or pytorch "
        "object."
    )


def _columns(encoded_inputs: Any, input_name: str) -> dict[str, Any]:
    """A dict of columns from any of the forms that pad takes. Raises TypeError or ValueError."""
    if isinstance(encoded_inputs, (list, tuple)) and encoded_inputs:
        for row in encoded_inputs:
            if not isinstance(row, Mapping):
                raise TypeError(
                    f"pad takes a dict, or a list of dicts, not of {type(row).__name__}"
                )
        encoded_inputs = columns_of_rows(encoded_inputs)
    elif not isinstance(encoded_inputs, (Mapping, list, tuple)):
        raise TypeError(
            f"pad takes a dict, or a list of dicts, not {type(encoded_inputs).__name__}"
        )
    if input_name not in encoded_inputs:
        raise ValueError(
            "You should supply an encoding or a list of encodings to this method that includes "
            f"{input_name}, but you provided {list(encoded_inputs)}"
        )
    return dict(encoded_inputs)


def _take_stacked_masks(data: dict[str, Any]) -> Any:
    """Takes attention masks of two and more dimensions each out of ``data``, as one array.

    They are not padded: where there is one for each two places, it is the caller who made it.
    """
    masks = data.get(_MASK)
    if isinstance(masks, (list, tuple)) and masks and getattr(masks[0], "ndim", 0) > 1:
        if isinstance(masks[0], np.ndarray):
            masks = np.stack(masks)
        else:
            import torch

            masks = torch.stack(list(masks))
    elif getattr(masks, "ndim", 0) <= 2:
        return None
    del data[_MASK]
    return masks


def _pad_row(row: dict[str, Any], missing: int, side: str, fillers: dict[str, Any]) -> None:
    for key, filler in fillers.items():
        if key in row:
            ids = row[key].tolist() if hasattr(row[key], "tolist") else list(row[key])
            padding = [filler] * missing
            row[key] = ids + padding if side == "right" else padding + ids


def _rows(data: dict[str, Any], input_name: str) -> list[dict[str, Any]]:
    count = len(data[input_name])
    for key, value in data.items():
        if len(value) != count:
            raise ValueError(f"{key} has {len(value)} rows, {input_name} has {count}")
    return [{key: value[i] for key, value in data.items()} for i in range(count)]


def pad(
    encoded_inputs: Any,
    *,
    input_name: str,
    padded_length: Callable[[int], int],
    side: str,
    fillers: dict[str, Any],
    return_attention_mask: bool | None,
    attention_mask_by_default: bool,
    return_tensors: str | None,
) -> BatchEncoding:
    """Pads one row, or rows as a list of dicts or a dict of lists.

    ``input_name`` is the column that has to be there, ``padded_length(longest)`` the length to pad
    to; ``fillers`` maps each column that is padded to what it is padded with.
    """
    data = _columns(encoded_inputs, input_name)
    required = data[input_name]
    if required is None or (isinstance(required, Sized) and len(required) == 0):
        if return_attention_mask:
            data[_MASK] = []
        return BatchEncoding(data)
    kind, is_plain = _kind_of(required)
    masks = _take_stacked_masks(data)
    if not is_plain:
        data = {key: _plain(value) for key, value in data.items()}
    single = not isinstance(data[input_name][0], (list, tuple))
    rows = [data] if single else _rows(data, input_name)
    if return_attention_mask is None:
        return_attention_mask = attention_mask_by_default
    if masks is not None or not return_attention_mask:
        # A mask that is there stays as it is.
        fillers = {key: filler for key, filler in fillers.items() if key != _MASK}
    length = padded_length(max(len(row[input_name]) for row in rows))
    for row in rows:
        if return_attention_mask and masks is None:
            row.setdefault(_MASK, [1] * len(row[input_name]))
        _pad_row(row, max(length - len(row[input_name]), 0), side, fillers)
    padded = rows[0] if single else columns_of_rows(rows)
    if masks is not None:
        padded[_MASK] = masks
    return BatchEncoding(padded, tensor_type=return_tensors or kind)
