"""Calling a tokenizer: texts in, rows of ids out."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ftcore._core import Encoding, Tokenizer
from ftcore.tokenization import strategies
from ftcore.tokenization.batch_encoding import BatchEncoding, check_tensor_type
from ftcore.tokenization.special_tokens import SpecialTokens

logger = logging.getLogger("ftcore.tokenization")

Text = str | Sequence[str] | Sequence[Sequence[str]]

# A column's place in this list is its number in the C core.
_COLUMNS = ("input_ids", "token_type_ids", "attention_mask", "special_tokens_mask")
_CHOICES = {
    wanted: (
        (0, *(i for i, is_wanted in enumerate(wanted, 1) if is_wanted)),
        ("input_ids", *(name for name, w in zip(_COLUMNS[1:], wanted, strict=True) if w)),
    )
    for wanted in itertools.product((False, True), repeat=3)
}
"""Which of the columns after input_ids are wanted: the numbers and the names of all."""
_UNSUPPORTED: dict[str, Any] = {
    "is_split_into_words": False,
    "return_offsets_mapping": False,
    "return_overflowing_tokens": False,
    "split_special_tokens": False,
    "stride": 0,
    "text_pair_target": None,
    "text_target": None,
}
_INPUT_ERROR = (
    "text input must be of type `str` (single example), `list[str]` (batch of examples) or a list "
    "of pairs of `str`"
)


def _refuse_unsupported(caller: str, options: Mapping[str, Any]) -> None:
    """TypeError for an option that does not exist, ValueError for one that ftcore lacks."""
    for name, value in options.items():
        if name not in _UNSUPPORTED:
            raise TypeError(f"{caller}() got an unexpected keyword argument {name!r}")
        if value is not None and value != _UNSUPPORTED[name]:
            raise ValueError(
                f"{name}={value!r} is not supported by ftcore's tokenizers; "
                f"leave it at {_UNSUPPORTED[name]!r}, or use transformers' tokenizer"
            )


def _is_batch(text: Any, text_pair: Any) -> bool:
    """Whether a call's texts are a batch. Raises as transformers does for what is no text."""
    for value in (text, text_pair) if text_pair is not None else (text,):
        is_list = isinstance(value, (list, tuple))
        if not isinstance(value, str) and not (
            is_list and (len(value) == 0 or isinstance(value[0], (str, list, tuple)))
        ):
            raise ValueError(f"{_INPUT_ERROR}, not {type(value).__name__}")
    if isinstance(text, str):
        if text_pair is not None and not isinstance(text_pair, str):
            raise TypeError("`text_pair` must be a str where `text` is one")
        return False
    if isinstance(text_pair, str):
        raise TypeError(
            "when tokenizing batches of text, `text_pair` must be a list or tuple with the same "
            "length as `text`."
        )
    return True


class Call(SpecialTokens):
    """The part of a tokenizer that encodes texts."""

    model_input_names: list[str]
    model_max_length: int
    padding_side: str
    truncation_side: str
    _core: Tokenizer
    _warned_too_long: bool

    def __call__(
        self,
        text: Text | None = None,
        text_pair: Text | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_special_tokens_mask: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        **unsupported: Any,
    ) -> BatchEncoding:
        """Encodes one text, a pair, or a batch of either.

        ``text`` is a str, a list of str, or a list of pairs of str; ``text_pair`` holds the second
        texts. Returns ``input_ids``, ``token_type_ids`` and ``attention_mask`` (which of them,
        ``model_input_names`` says) as lists, or as int64 arrays or tensors [rows, length].

        Raises ValueError for an option that is not supported or out of range and for texts that a
        truncation strategy cannot shorten, TypeError for what is not a text.
        """
        if unsupported:
            _refuse_unsupported("__call__", unsupported)
        if text is None:
            raise ValueError("You need to specify `text`.")
        is_batch = _is_batch(text, text_pair)
        multiple = strategies.natural_number("pad_to_multiple_of", pad_to_multiple_of)
        how = strategies.understand(
            padding, truncation, max_length, multiple, self.model_max_length, verbose
        )
        return_tensors = check_tensor_type(return_tensors)
        if how.padding != "do_not_pad" and self.pad_token is None:
            raise ValueError(
                "Asking to pad but the tokenizer does not have a padding token. Please set "
                "`tokenizer.pad_token`."
            )
        side = strategies.side("padding_side", padding_side or self.padding_side)
        texts: Any = text if is_batch else [text]
        pairs: Any = text_pair if is_batch else [text_pair] if text_pair else None
        rows = self._core.encode(
            texts,
            pairs,
            add_special_tokens=add_special_tokens,
            truncation=strategies.TRUNCATION.index(how.truncation),
            max_length=min(how.max_length or 0, 2**62),
            truncate_left=self.truncation_side == "left",
        )
        wanted = (
            self._wants("token_type_ids", return_token_type_ids),
            self._wants("attention_mask", return_attention_mask),
            bool(return_special_tokens_mask),
        )
        longest = rows.longest
        length = how.padded_length(longest, multiple)
        even = length >= longest or rows.shortest == longest
        data = self._columns(rows, wanted, length, side, return_tensors is not None and even)
        if return_length:
            data["length"] = [len(row) for row in data["input_ids"]]
        if verbose and how.max_length is None and max(longest, length) > self.model_max_length:
            self._warn_too_long(data["input_ids"])
        if not is_batch and return_tensors is None:
            data = {k: v if k == "length" else v[0] for k, v in data.items()}
        return BatchEncoding(data, return_tensors)

    def _columns(
        self,
        rows: Encoding,
        wanted: tuple[bool, bool, bool],
        length: int,
        side: str,
        as_arrays: bool,
    ) -> dict[str, Any]:
        """The columns that are wanted of encoded rows, padded, as lists or as arrays."""
        columns, names = _CHOICES[wanted]
        pad_id = (self.pad_token_id if length else 0) or 0
        make: Any = rows.arrays if as_arrays else rows.lists
        made = make(columns, length, side == "left", pad_id, self.pad_token_type_id)
        return dict(zip(names, made, strict=True))

    def _wants(self, column: str, asked: bool | None) -> bool:
        return column in self.model_input_names if asked is None else bool(asked)

    def _warn_too_long(self, rows: Any) -> None:
        length = next(len(row) for row in rows if len(row) > self.model_max_length)
        if not self._warned_too_long and self.model_max_length != 0:
            logger.warning(
                "Token indices sequence length is longer than the specified maximum sequence "
                "length for this model (%d > %d). Running this sequence through the model will "
                "result in indexing errors",
                length,
                self.model_max_length,
            )
        self._warned_too_long = True

    def encode(
        self,
        text: Text,
        text_pair: Text | None = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        **options: Any,
    ) -> Any:
        """The ``input_ids`` that a call returns."""
        encoded = self(
            text,
            text_pair,
            add_special_tokens=add_special_tokens,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            **options,
        )
        return encoded["input_ids"]

    def tokenize(
        self,
        text: Text,
        pair: Text | None = None,
        add_special_tokens: bool = False,
        **options: Any,
    ) -> list[str]:
        """The tokens of a text, as str."""
        ids = self.encode(text, pair, add_special_tokens, **options)
        ids = ids[0] if ids and isinstance(ids[0], list) else ids
        return self.convert_ids_to_tokens(ids)
