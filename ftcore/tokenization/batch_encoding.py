"""What a tokenizer's call returns."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

_TENSOR_TYPES = ("pt", "np")


def check_tensor_type(name: object) -> str | None:
    """``name`` where it is "pt", "np" or None; ValueError otherwise."""
    value = getattr(name, "value", name)  # transformers has an enumeration of them
    if value is None or value in _TENSOR_TYPES:
        return value  # type: ignore[return-value]
    raise ValueError(
        f"{name} is not a valid TensorType, please select one of {list(_TENSOR_TYPES)}"
    )


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            'return_tensors="pt" needs PyTorch, which is not installed; use "np"'
        ) from error
    return torch


def _array(value: Any) -> np.ndarray:
    """An int64 array, or an array of arrays where the rows differ in length."""
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
        if len({len(row) for row in value}) > 1:
            ragged = np.empty(len(value), dtype=object)
            ragged[:] = [np.asarray(row) for row in value]
            return ragged
        if not value[0]:
            return np.empty((len(value), 0), dtype=np.int64)
    array = np.asarray(value)
    return array.astype(np.int64) if array.size == 0 else array


class BatchEncoding(UserDict):
    """A dict of columns: ``input_ids``, ``token_type_ids``, ``attention_mask`` and more.

    Columns are items and attributes. They are lists (of one row, or of rows), or arrays or tensors
    [rows, length], int64, where the call asked for them.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
    ) -> None:
        self.data = dict(data) if data is not None else {}
        if tensor_type is not None:
            self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, str):
            return self.data[item]
        if isinstance(item, slice):
            return {key: value[item] for key, value in self.data.items()}
        raise KeyError(f"a BatchEncoding is indexed by a column's name or a slice, not {item!r}")

    def __getattr__(self, name: str) -> Any:
        if name == "data":  # not there yet while it is being unpickled
            raise AttributeError(name)
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(f"this BatchEncoding has no {name!r}: {list(self.data)}") from None

    def convert_to_tensors(
        self, tensor_type: str | None = None, prepend_batch_axis: bool = False
    ) -> BatchEncoding:
        """Turns the columns into arrays ("np") or torch tensors ("pt"), in place.

        Raises ValueError where "pt" is asked for and the rows differ in length.
        """
        tensor_type = check_tensor_type(tensor_type)
        if tensor_type is None:
            return self
        for key, value in self.data.items():
            self.data[key] = self._convert(
                key, [value] if prepend_batch_axis else value, tensor_type
            )
        return self

    @staticmethod
    def _convert(key: str, value: Any, tensor_type: str) -> Any:
        if tensor_type == "np" and isinstance(value, np.ndarray):
            return value
        if tensor_type == "pt":
            torch = _torch()
            if torch.is_tensor(value):
                return value
        try:
            array = _array(value)
            if tensor_type == "np":
                return array
            if array.dtype == object:
                raise ValueError("the rows differ in length")
            return torch.from_numpy(np.ascontiguousarray(array))
        except (ValueError, TypeError) as error:
            raise ValueError(
                "Unable to create tensor, you should probably activate truncation and/or padding"
                " with 'padding=True' 'truncation=True' to have batched tensors with the same"
                f" length: the rows of `{key}` do not make a tensor ({error})."
            ) from error

    def to(self, device: Any, *, non_blocking: bool = False) -> BatchEncoding:
        """Moves the columns that are torch tensors to a device, in place; returns itself."""
        _torch()
        self.data = {
            key: value.to(device=device, non_blocking=non_blocking)
            if callable(getattr(value, "to", None))
            else value
            for key, value in self.data.items()
        }
        return self

    def keys(self) -> Any:
        return self.data.keys()

    def values(self) -> Any:
        return self.data.values()

    def items(self) -> Any:
        return self.data.items()


def columns_of_rows(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A dict of columns from a non-empty list of dicts, with the first one's keys."""
    rows = list(rows)
    return {key: [row[key] for row in rows] for key in rows[0]}
