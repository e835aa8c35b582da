"""Calling a tokenizer: texts in, rows of ids out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ftcore._core import EncodeOptions, Tokenizer
from ftcore._core import Encoding as Rows
from ftcore.tokenization import strategies
from ftcore.tokenization.batch_encoding import BatchEncoding, check_tensor_type
from ftcore.tokenization.encoding import Encoding
from ftcore.tokenization.pipeline import Pipeline
from ftcore.tokenization.special_tokens import SpecialTokens

logger = logging.getLogger("ftcore.tokenization")

Text = str | Sequence[str] | Sequence[Sequence[str]] | Sequence[Sequence[Sequence[str]]]

# Options of other types may be equal without meaning the same (1.0), or change (a tensor).
_KEPT_TYPES = frozenset((bool, int, str, type, type(None)))

# Columns by their numbers in the C core.
_IDS, _TYPES, _MASK, _SPECIAL, _SEQUENCES, _WORDS, _OFFSETS = range(7)
_MOST_PLANS = 256  # that are kept; calls seldom differ in more than a few ways
_INPUT_ERROR = (
    "text input must be of type `str` (single example), `list[str]` (batch, or one example split "
    "into words with is_split_into_words=True) or lists of them, or of pairs of them"
)


class PackedEncoding(NamedTuple):
    """Encoded rows end to end, without padding: the least memory that they take."""

    input_ids: NDArray[np.int32]
    """[tokens]"""
    token_type_ids: NDArray[np.int8]
    """[tokens]"""
    cu_seqlens: NDArray[np.int64]
    """[rows + 1]: row r is tokens [cu_seqlens[r], cu_seqlens[r + 1])"""


class _Options(NamedTuple):
    """A call's options as they were given."""

    add_special_tokens: Any = True
    padding: Any = False
    padding_class: type = bool
    """Tells True from 1, which the strategies do not take."""
    truncation: Any = None
    truncation_class: type = type(None)
    max_length: Any = None
    stride: Any = 0
    is_split_into_words: Any = False
    pad_to_multiple_of: Any = None
    padding_side: Any = None
    return_tensors: Any = None
    return_token_type_ids: Any = None
    return_attention_mask: Any = None
    return_overflowing_tokens: Any = False
    return_special_tokens_mask: Any = False
    return_offsets_mapping: Any = False
    return_length: Any = False
    verbose: Any = True
    split_special_tokens: Any = None


class _Plan(NamedTuple):
    """A call's options, understood: for all calls with the same."""

    options: EncodeOptions
    model_input_names: list[str]
    """The tokenizer's when this was made."""
    split_words: bool
    squeeze: bool
    """One text gives one row, not a list of one."""
    return_length: bool
    overflow: bool
    return_tensors: str | None
    limit: float
    """Tokens of a row, above which a warning is due."""


def _is_text(value: Any, depth: int = 3) -> bool:
    """Whether a value can be a text, or lists of them, going by the first of each."""
    if isinstance(value, str):
        return True
    if not isinstance(value, (list, tuple)):
        return False
    return len(value) == 0 or (depth > 0 and _is_text(value[0], depth - 1))


def _is_batch(text: Any, text_pair: Any, split_words: bool) -> bool:
    """Whether a call's texts are a batch. Raises as transformers does for what is no text."""
    for value in (text, text_pair) if text_pair is not None else (text,):
        if not _is_text(value):
            hint = "; pass list(...) of it" if isinstance(value, Iterable) else ""
            raise ValueError(f"{_INPUT_ERROR}, not {type(value).__name__}{hint}")
    if isinstance(text, str) and split_words:
        raise TypeError("with is_split_into_words=True a text must be a list of words, not a str")
    is_list = isinstance(text, (list, tuple))
    is_batch = is_list and (not split_words or (bool(text) and not isinstance(text[0], str)))
    if is_batch and isinstance(text_pair, str):
        raise TypeError(
            "when tokenizing batches of text, `text_pair` must be a list or tuple with the same "
            "length as `text`."
        )
    if (
        not is_batch
        and not split_words
        and text_pair is not None
        and not isinstance(text_pair, str)
    ):
        raise TypeError("`text_pair` must be a str where `text` is one")
    return is_batch


class Call(SpecialTokens):
    """The part of a tokenizer that encodes texts."""

    model_input_names: list[str]
    model_max_length: int
    padding_side: str
    truncation_side: str
    split_special_tokens: bool
    _core: Tokenizer
    _pipeline: Pipeline
    _plans: dict[Any, _Plan]
    _warned_too_long: bool

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self.__dict__["_plans"] = {}  # they may depend on it

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self.__dict__["_plans"] = {}

    def __call__(
        self,
        text: Text | None = None,
        text_pair: Text | None = None,
        text_target: Text | None = None,
        text_pair_target: Text | None = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        split_special_tokens: bool | None = None,
    ) -> BatchEncoding:
        """Encodes one text, a pair, or a batch of either.

        ``text`` is a str, a list of str, or a list of pairs of str; ``text_pair`` holds the second
        texts. With ``is_split_into_words`` a list of words stands for each str. Returns
        ``input_ids``, ``token_type_ids`` and ``attention_mask`` (which of them,
        ``model_input_names`` says) as lists, or as int64 arrays or tensors [rows, length]; and
        where it is asked for ``special_tokens_mask``, ``offset_mapping`` (characters
        [start, end) of each token) and ``length``. With ``return_overflowing_tokens`` what
        truncation cuts off becomes further rows, each beginning with the last ``stride`` tokens of
        the one before; ``overflow_to_sample_mapping`` says which text each row is of. The ids of
        ``text_target`` are returned as ``labels``.

        Raises ValueError for an option that is out of range and for texts that a truncation
        strategy cannot shorten, TypeError for what is not a text.
        """
        # In the order of _Options, which would take longer to make.
        key = (
            add_special_tokens,
            padding,
            padding.__class__,
            truncation,
            truncation.__class__,
            max_length,
            stride,
            is_split_into_words,
            pad_to_multiple_of,
            padding_side,
            return_tensors,
            return_token_type_ids,
            return_attention_mask,
            return_overflowing_tokens,
            return_special_tokens_mask,
            return_offsets_mapping,
            return_length,
            verbose,
            split_special_tokens,
        )
        # Before anything is read: what another thread sets meanwhile begins new ones.
        plans = self._plans
        try:
            plan = plans.get(key)
        except TypeError:  # an option of a type that has no hash
            plan = None
        if plan is None or plan.model_input_names != self.model_input_names:
            plan = self._plan(_Options(*key), plans)
        if text_target is not None:
            return self._with_labels(text, text_pair, text_target, text_pair_target, plan)
        return self._encode(text, text_pair, plan)

    def _plan(self, given: _Options, plans: dict[Any, _Plan]) -> _Plan:
        """What the options mean. It is kept in ``plans`` where it holds for the next time too."""
        multiple = strategies.natural_number("pad_to_multiple_of", given.pad_to_multiple_of)
        how = strategies.understand(
            given.padding,
            given.truncation,
            given.max_length,
            multiple,
            self.model_max_length,
            given.verbose,
        )
        return_tensors = check_tensor_type(given.return_tensors)
        pads = how.padding != "do_not_pad"
        if pads:
            self._require_pad_token()
        side = self.padding_side if given.padding_side is None else given.padding_side
        split_special_tokens = given.split_special_tokens
        if split_special_tokens is None:
            split_special_tokens = self.split_special_tokens
        options = EncodeOptions(
            self._columns(given),
            add_special_tokens=given.add_special_tokens,
            truncation=strategies.TRUNCATION.index(how.truncation),
            max_length=min(how.max_length or 0, 2**62),
            stride=min(strategies.natural_number("stride", given.stride) or 0, 2**62),
            truncate_left=strategies.side("truncation_side", self.truncation_side) == "left",
            overflow=given.return_overflowing_tokens,
            split_special_tokens=split_special_tokens,
            split_words=given.is_split_into_words,
            padding=("do_not_pad", "longest", "max_length").index(how.padding),
            pad_length=min(how.max_length or 0, 2**31),
            pad_multiple=multiple or 1,
            pad_left=strategies.side("padding_side", side) == "left",
            pad_id=(self.pad_token_id or 0) if pads else 0,
            pad_type=self.pad_token_type_id,
            arrays=return_tensors is not None,
            trace=given.return_offsets_mapping,
        )
        warns = given.verbose and how.max_length is None and self.model_max_length != 0
        plan = _Plan(
            options,
            list(self.model_input_names),
            split_words=bool(given.is_split_into_words),
            squeeze=return_tensors is None and not given.return_overflowing_tokens,
            return_length=bool(given.return_length),
            overflow=bool(given.return_overflowing_tokens),
            return_tensors=return_tensors,
            limit=self.model_max_length if warns else float("inf"),
        )
        # One that warned must warn the next time too.
        warned = given.verbose and given.padding is True and given.max_length is not None
        if not warned and _KEPT_TYPES.issuperset(map(type, given)):
            if len(plans) >= _MOST_PLANS:
                plans.clear()
            plans[given] = plan
        return plan

    def _require_pad_token(self) -> None:
        if self.pad_token is None:
            raise ValueError(
                "Asking to pad but the tokenizer does not have a padding token. Please set "
                "`tokenizer.pad_token`, for instance with "
                "`tokenizer.add_special_tokens({'pad_token': '[PAD]'})`."
            )

    def _columns(self, given: _Options) -> tuple[tuple[str, int], ...]:
        """The columns that a call returns, by name and number."""
        wanted = {
            "input_ids": (_IDS, True),
            "token_type_ids": (_TYPES, self._wants("token_type_ids", given.return_token_type_ids)),
            "attention_mask": (_MASK, self._wants("attention_mask", given.return_attention_mask)),
            "special_tokens_mask": (_SPECIAL, given.return_special_tokens_mask),
            "offset_mapping": (_OFFSETS, given.return_offsets_mapping),
        }
        return tuple((name, column) for name, (column, is_wanted) in wanted.items() if is_wanted)

    def _rows(self, text: Any, text_pair: Any, plan: _Plan) -> tuple[Rows, bool]:
        """The encoded rows, and whether the texts were a batch."""
        if text is None:
            raise ValueError("You need to specify either `text` or `text_target`.")
        is_batch = False
        if type(text) is not str or text_pair is not None or plan.split_words:
            is_batch = _is_batch(text, text_pair, plan.split_words)
            if not is_batch and not text_pair:
                text_pair = None  # an empty second text of a single row is none
        return self._core.encode(plan.options, text, text_pair, is_batch), is_batch

    def _encode(self, text: Any, text_pair: Any, plan: _Plan) -> BatchEncoding:
        rows, is_batch = self._rows(text, text_pair, plan)
        data = rows.columns(plan.squeeze and not is_batch)
        if plan.return_length:
            data["length"] = np.maximum(np.diff(rows.offsets), rows.padded).tolist()
        if plan.overflow:
            data["overflow_to_sample_mapping"] = rows.samples.tolist()
        if rows.width > plan.limit:
            self._warn_too_long(rows)
        batch = BatchEncoding.from_rows(data, rows, self)
        return (
            batch if plan.return_tensors is None else batch.convert_to_tensors(plan.return_tensors)
        )

    def encode_packed(
        self,
        text: Text,
        text_pair: Text | None = None,
        add_special_tokens: bool = True,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        is_split_into_words: bool = False,
    ) -> PackedEncoding:
        """Encodes texts to flat arrays, in which rows lie end to end.

        For data sets too large for lists: 5 bytes a token and 8 a row, and no Python objects.
        Arguments and errors are those of a call.
        """
        given = _Options(
            add_special_tokens=add_special_tokens,
            truncation=truncation,
            truncation_class=truncation.__class__,
            max_length=max_length,
            is_split_into_words=is_split_into_words,
        )
        rows, _ = self._rows(text, text_pair, self._plan(given, {}))
        return PackedEncoding(rows.ids.copy(), rows.types, rows.offsets)

    def _with_labels(
        self, text: Any, text_pair: Any, target: Any, target_pair: Any, plan: _Plan
    ) -> BatchEncoding:
        labels = self._encode(target, target_pair, plan)
        if text is None:
            return labels
        batch = self._encode(text, text_pair, plan)
        batch["labels"] = labels["input_ids"]
        return batch

    def _wants(self, column: str, asked: bool | None) -> bool:
        return column in self.model_input_names if asked is None else bool(asked)

    def _warn_too_long(self, rows: Rows) -> None:
        if not self._warned_too_long:
            lengths = np.diff(rows.offsets)
            too_long = lengths[lengths > self.model_max_length]
            logger.warning(
                "Token indices sequence length is longer than the specified maximum sequence "
                "length for this model (%d > %d). Running this sequence through the model will "
                "result in indexing errors",
                too_long[0] if too_long.size else rows.width,
                self.model_max_length,
            )
            self._warned_too_long = True

    def _encodings_of(self, rows: Rows) -> list[Encoding]:
        """All that there is to know of encoded rows."""
        rows = rows.traced()
        ids, types, mask, special, sequences, words, offsets = (
            rows.column(number) for number in range(7)
        )
        tokens = self._token_strings(rows, ids, special, mask)
        columns = (ids, types, tokens, words, sequences, offsets, special, mask)
        encodings = [Encoding(*row) for row in zip(*columns, strict=True)]
        for encoding, is_pair in zip(encodings, rows.paired, strict=True):
            encoding.n_sequences = 1 + is_pair
        first: dict[int, Encoding] = {}
        for sample, encoding in zip(rows.samples.tolist(), encodings, strict=True):
            if first.setdefault(sample, encoding) is not encoding:
                first[sample].overflowing.append(encoding)
        return encodings

    def _token_strings(
        self,
        rows: Rows,
        ids: list[list[int]],
        special: list[list[int]],
        mask: list[list[int]],
    ) -> list[list[str]]:
        """The tokens of rows. Special tokens have the names that the template gives them, added
        tokens are as they stand in the text, and a word's are the vocabulary's, of which an added
        token of the same id may be another form."""
        named = {
            id: token
            for template in (self._pipeline.single, self._pipeline.pair)
            for token, id, _ in template
            if token is not None
        }
        pieces = {
            id: self._pipeline.vocab.token(id)
            for id, token in self._pipeline.added_tokens.items()
            if token.normalized
        }
        spaced = rows.spaced
        place, out = 0, []
        for row in zip(ids, special, mask, strict=True):
            strings = self.convert_ids_to_tokens(row[0])
            for i, (id, is_special, is_token) in enumerate(zip(*row, strict=True)):
                if not is_token:
                    continue
                if is_special:
                    strings[i] = named.get(id, strings[i])
                elif place in spaced:
                    strings[i] = spaced[place]
                else:
                    strings[i] = pieces.get(id) or strings[i]
                place += 1
            out.append(strings)
        return out

    def encode(
        self,
        text: Text,
        text_pair: Text | None = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        padding_side: str | None = None,
        return_tensors: str | None = None,
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
            stride=stride,
            padding_side=padding_side,
            return_tensors=return_tensors,
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
        return self(text, pair, add_special_tokens=add_special_tokens, **options).tokens()
