"""What a tokenizer's call returns."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ftcore._core import Encoding as Rows
from ftcore.tokenization.encoding import Encoding

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


class TokenSpan(NamedTuple):
    """Tokens [start, end) of a row."""

    start: int
    end: int


class CharSpan(NamedTuple):
    """Characters [start, end) of a text."""

    start: int
    end: int


class Tokenizer(Protocol):
    """What a BatchEncoding needs of the tokenizer that made it."""

    def _encodings_of(self, rows: Rows) -> list[Encoding]: ...


class BatchEncoding(UserDict):
    """A dict of columns: ``input_ids``, ``token_type_ids``, ``attention_mask`` and more.

    Columns are items and attributes. They are lists (of one row, or of rows), or arrays or tensors
    [rows, length], int64, where the call asked for them.

    What a tokenizer's call returns also knows the tokens, words and characters of each row; that
    is computed when it is first asked for. ``batch[i]`` is all of it for row i, an ``Encoding``.
    The methods that take a row's index before another one may be called without it for row 0.
    """

    _encodings: list[Encoding] | None = None
    _rows: Rows | None = None
    _tokenizer: Tokenizer
    _n_sequences: int | None = None

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encoding: Encoding | Sequence[Encoding] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ) -> None:
        self.data = dict(data) if data is not None else {}
        if encoding is not None:
            self._encodings = [encoding] if isinstance(encoding, Encoding) else list(encoding)
        if n_sequences is not None:
            self._n_sequences = n_sequences
        if tensor_type is not None:
            self.convert_to_tensors(tensor_type, prepend_batch_axis)

    @classmethod
    def from_columns(cls, data: dict[str, Any]) -> BatchEncoding:
        """One of these columns, which are not copied."""
        batch = cls.__new__(cls)
        batch.data = data
        return batch

    @classmethod
    def from_rows(cls, data: dict[str, Any], rows: Rows, tokenizer: Tokenizer) -> BatchEncoding:
        """One of these columns, which are not copied, and of the rows they were made of."""
        batch = cls.__new__(cls)
        batch.data = data
        batch._rows = rows
        batch._tokenizer = tokenizer
        return batch

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, str):
            return self.data[item]
        if self.encodings is not None:
            return self.encodings[item]
        if isinstance(item, slice):
            return {key: value[item] for key, value in self.data.items()}
        raise KeyError(
            f"a BatchEncoding that no tokenizer made is indexed by a column's name or a slice, not "
            f"{item!r}"
        )

    def __getattr__(self, name: str) -> Any:
        if name == "data":  # not there yet while it is being unpickled
            raise AttributeError(name)
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(f"this BatchEncoding has no {name!r}: {list(self.data)}") from None

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "encodings": self.encodings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.data = state["data"]
        self._encodings = state["encodings"]

    # Tokens, words and characters

    @property
    def encodings(self) -> list[Encoding] | None:
        """An Encoding a row; None where no tokenizer made this."""
        if self._encodings is None and self._rows is not None:
            self._encodings = self._tokenizer._encodings_of(self._rows)
        return self._encodings

    @property
    def is_fast(self) -> bool:
        """Whether the encodings are there."""
        return self._encodings is not None or self._rows is not None

    @property
    def n_sequences(self) -> int | None:
        """1 for texts, 2 for pairs; None where that is not known."""
        if self._n_sequences is None and self.encodings:
            self._n_sequences = self.encodings[0].n_sequences
        return self._n_sequences

    def _row(self, method: str, index: int) -> Encoding:
        if self.encodings is None:
            raise ValueError(
                f"{method}() is not available: this BatchEncoding was not made by a tokenizer"
            )
        return self.encodings[index]

    def _row_and_place(self, method: str, first: int, second: int | None) -> tuple[Encoding, int]:
        """What (place) or (row, place) mean."""
        row, place = (0, first) if second is None else (first, second)
        return self._row(method, row), place

    def _row_and_token(self, method: str, first: int, second: int | None) -> tuple[Encoding, int]:
        """The same; a token's place below 0 counts from the row's end."""
        row, token = self._row_and_place(method, first, second)
        return row, token if token >= 0 else token + len(row)

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of a row."""
        return self._row("tokens", batch_index).tokens

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token of a row 0 or 1, its text; None for special tokens and padding."""
        return self._row("sequence_ids", batch_index).sequence_ids

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token of a row its word's number; None for special tokens and padding."""
        return self._row("word_ids", batch_index).word_ids

    def token_to_sequence(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """The text, 0 or 1, of a token; None for special tokens."""
        row, token = self._row_and_token("token_to_sequence", batch_or_token_index, token_index)
        return row.token_to_sequence(token)

    def token_to_word(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """The number of a token's word; None for special tokens."""
        row, token = self._row_and_token("token_to_word", batch_or_token_index, token_index)
        return row.token_to_word(token)

    def token_to_chars(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> CharSpan | None:
        """The characters of its text that a token comes from; None for special tokens."""
        row, token = self._row_and_token("token_to_chars", batch_or_token_index, token_index)
        span = row.token_to_chars(token)
        return None if span is None else CharSpan(*span)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """The tokens of a word; None where there is no such word."""
        row, word = self._row_and_place("word_to_tokens", batch_or_word_index, word_index)
        span = row.word_to_tokens(word, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """The characters of a word; None where there is no such word."""
        row, word = self._row_and_place("word_to_chars", batch_or_word_index, word_index)
        span = row.word_to_chars(word, sequence_index)
        return None if span is None else CharSpan(*span)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The token a character has gone into; None for white space and what is dropped."""
        row, char = self._row_and_place("char_to_token", batch_or_char_index, char_index)
        return row.char_to_token(char, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The number of the word that a character has gone into; None as in char_to_token."""
        row, char = self._row_and_place("char_to_word", batch_or_char_index, char_index)
        return row.char_to_word(char, sequence_index)

    # Tensors

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
