"""What every tokenizer of the WordPiece family can do."""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftcore._core import Encoding
from ftcore.storage import replace_file
from ftcore.tokenization import decoding, strategies
from ftcore.tokenization.added_token import AddedToken
from ftcore.tokenization.batch_encoding import BatchEncoding, check_tensor_type
from ftcore.tokenization.padding import pad as pad_rows
from ftcore.tokenization.pipeline import Pipeline, TokenizerJson
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
COMMON_OPTIONS = (
    "clean_up_tokenization_spaces",
    "extra_special_tokens",
    "model_input_names",
    "model_max_length",
    "name_or_path",
    "padding_side",
    "truncation_side",
)
"""The options that every tokenizer has."""
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


class WordPieceTokenizer(SpecialTokens):
    """Turns texts into ids. Made by AutoTokenizer.from_pretrained, or by a subclass."""

    model_input_names: list[str] = ["input_ids", "token_type_ids", "attention_mask"]
    padding_side: str = "right"
    truncation_side: str = "right"
    is_fast = True

    def __init__(
        self,
        pipeline: Pipeline,
        special_tokens: Mapping[str, AddedToken],
        *,
        options: Mapping[str, Any],
        source: str = "the vocabulary",
    ) -> None:
        """``options`` are those that all tokenizers have; ``source`` names the vocabulary's file in
        errors."""
        options = dict(options)
        self.name_or_path: str = options.pop("name_or_path", "")
        self._special_tokens = dict(special_tokens)
        extra = options.pop("extra_special_tokens", None) or ()
        if not isinstance(extra, (list, tuple)):
            raise TypeError("extra_special_tokens must be a list or tuple of tokens")
        self._extra_special_tokens = [AddedToken.from_object(t, special=True) for t in extra]
        length = options.pop("model_max_length", None)
        self.model_max_length = strategies.VERY_LARGE_INTEGER if length is None else length
        if not isinstance(self.model_max_length, (int, float)) or not self.model_max_length >= 0:
            raise ValueError(f"model_max_length must be a natural number, got {length!r}")
        self.padding_side = strategies.side(
            "padding_side", options.pop("padding_side", type(self).padding_side)
        )
        self.truncation_side = strategies.side(
            "truncation_side", options.pop("truncation_side", type(self).truncation_side)
        )
        self.model_input_names = list(
            options.pop("model_input_names", None) or type(self).model_input_names
        )
        self.clean_up_tokenization_spaces = bool(options.pop("clean_up_tokenization_spaces", False))
        if options:
            name = next(iter(options))
            raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {name!r}")
        self._pipeline = pipeline
        self._warned_too_long = False
        self._check_special_tokens(source)
        have = {token.content for token in pipeline.added_tokens.values()}
        every = [*self._special_tokens.values(), *self._extra_special_tokens]
        self._add([token for token in every if token.content not in have])

    def _check_special_tokens(self, source: str) -> None:
        pipeline = self._pipeline
        needed = {pipeline.unk_token} | {
            self._special_tokens[name].content
            for name in ("cls_token", "sep_token", "pad_token")
            if name in self._special_tokens
        }
        known = {token.content for token in pipeline.added_tokens.values()}
        for token in sorted(needed):
            if token not in pipeline.vocab and (token == pipeline.unk_token or token not in known):
                raise ValueError(f"{source} has no {token!r}, which the tokenizer needs")

    def _add(self, tokens: Iterable[AddedToken]) -> int:
        count = self._pipeline.add(tokens)
        self._core = self._pipeline.build()
        vocab, added = self._pipeline.vocab, self._pipeline.added_tokens
        self._ids = vocab
        if any(vocab.get(token.content) != id for id, token in added.items()):
            self._ids = {**vocab, **{token.content: id for id, token in added.items()}}
        self._tokens_by_id: dict[int, str] | None = None
        self._skipped = {token.content for token in added.values() if token.special}
        return count

    @property
    def _tokens(self) -> dict[int, str]:
        """The token of each id; made when it is first wanted."""
        if self._tokens_by_id is None:
            tokens = {id: token for token, id in self._pipeline.vocab.items()}
            for id, added in self._pipeline.added_tokens.items():
                content = added.content
                tokens[id] = self._core.normalize(content) if added.normalized else content
            self._tokens_by_id = tokens
        return self._tokens_by_id

    # Encoding

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

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pads rows that were encoded before.

        ``encoded_inputs`` is a row, a list of rows (dicts) or a dict of columns; columns are lists,
        arrays or tensors, and come back as they came unless ``return_tensors`` says otherwise.
        Other columns are passed on. Raises ValueError where ``input_ids`` is missing.
        """
        multiple = strategies.natural_number("pad_to_multiple_of", pad_to_multiple_of)
        how = strategies.understand(padding, None, max_length, None, self.model_max_length, verbose)
        if how.padding != "do_not_pad" and self.pad_token is None:
            raise ValueError("Asking to pad but the tokenizer does not have a padding token.")
        return pad_rows(
            encoded_inputs,
            padded_length=lambda longest: how.padded_length(longest, multiple),
            side=strategies.side("padding_side", padding_side or self.padding_side),
            fillers={
                "input_ids": self.pad_token_id or 0,
                "token_type_ids": self.pad_token_type_id,
                "attention_mask": 0,
                "special_tokens_mask": 1,
            },
            return_attention_mask=self._wants("attention_mask", return_attention_mask),
            return_tensors=check_tensor_type(return_tensors),
        )

    # Tokens and ids

    @property
    def vocab(self) -> dict[str, int]:
        """Every token with its id, added tokens included."""
        return dict(self._ids)

    def get_vocab(self) -> dict[str, int]:
        """Every token with its id, added tokens included."""
        return dict(self._ids)

    @property
    def vocab_size(self) -> int:
        """How many tokens the vocabulary has, added tokens left out."""
        return len(self._pipeline.vocab)

    def __len__(self) -> int:
        return len(self._ids)

    def __bool__(self) -> bool:
        return True

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        return dict(self._pipeline.added_tokens)

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The ids of the added tokens."""
        return {token.content: id for id, token in self._pipeline.added_tokens.items()}

    def get_added_vocab(self) -> dict[str, int]:
        """The ids of the added tokens."""
        return self.added_tokens_encoder

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """The id of a token, or a list of ids; that of the unknown token where there is none."""
        if isinstance(tokens, str):
            id = self._ids.get(tokens)
            return self._ids[self._pipeline.unk_token] if id is None else id
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The token of an id (None where there is none), or a list of tokens."""
        if isinstance(ids, int):
            return self._tokens.get(ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        return [self._tokens.get(int(id)) for id in ids if int(id) not in skipped]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text that tokens spell."""
        return decoding.join_tokens(
            tokens, self._pipeline.decoder_prefix, self._pipeline.decoder_cleanup
        )

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> Any:
        """The text of ids; a list of texts for rows of ids. Ids that are no token are left out."""
        if hasattr(token_ids, "tolist"):
            token_ids = token_ids.tolist()
        elif isinstance(token_ids, (list, tuple)):
            token_ids = [id.tolist() if hasattr(id, "tolist") else id for id in token_ids]
        if isinstance(token_ids, (list, tuple)) and token_ids and isinstance(token_ids[0], list):
            return [
                self.decode(row, skip_special_tokens, clean_up_tokenization_spaces)
                for row in token_ids
            ]
        if isinstance(token_ids, int):
            token_ids = [token_ids]
        tokens = []
        for id in token_ids:
            if id < 0:
                raise OverflowError(f"token ids are not negative, got {id}")
            token = self._tokens.get(id)
            if token is not None and not (skip_special_tokens and token in self._skipped):
                tokens.append(token)
        text = self.convert_tokens_to_string(tokens)
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        return decoding.clean_up_tokenization(text) if clean_up_tokenization_spaces else text

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """The texts of rows of ids."""
        texts = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces)
        return [texts] if isinstance(texts, str) else texts

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens are put around a text, or a pair."""
        template = self._pipeline.pair if pair else self._pipeline.single
        return sum(token is not None for token, _, _ in template)

    def get_special_tokens_mask(
        self,
        token_ids_0: Iterable[int],
        token_ids_1: Iterable[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """1 for each id that is a special token, 0 for the others.

        Raises ValueError unless the ids already hold their special tokens.
        """
        if not already_has_special_tokens or token_ids_1 is not None:
            raise ValueError(
                "get_special_tokens_mask takes one sequence, with already_has_special_tokens=True"
            )
        special = set(self.all_special_ids)
        return [int(int(id) in special) for id in token_ids_0]

    # Saving

    def _saved_options(self) -> dict[str, Any]:
        """What tokenizer_config.json holds beside the names of the special tokens."""
        options: dict[str, Any] = {
            "clean_up_tokenization_spaces": self.clean_up_tokenization_spaces,
            "model_max_length": self.model_max_length,
            "padding_side": self.padding_side,
            "tokenizer_class": type(self).__name__,
            "truncation_side": self.truncation_side,
        }
        if self._extra_special_tokens:
            options["extra_special_tokens"] = self.extra_special_tokens
        if self.model_input_names != type(self).model_input_names:
            options["model_input_names"] = self.model_input_names
        return options

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Writes tokenizer.json, tokenizer_config.json and, where one can say it all, vocab.txt.

        Returns their paths. transformers loads the folder back to an equal tokenizer. Each file is
        replaced as a whole, or not at all. Raises OSError where that fails.
        """
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        config = {**self._saved_options(), **self.special_tokens_map}
        contents = {
            "tokenizer_config.json": json.dumps(
                config, ensure_ascii=False, indent=2, sort_keys=True
            )
            + "\n",
            "tokenizer.json": self._pipeline.to_json(),
        }
        lines = _tokens_in_order(self._pipeline.vocab)
        if lines is not None and not any("\n" in t or t != t.rstrip() for t in lines):
            contents["vocab.txt"] = "".join(f"{line}\n" for line in lines)
        for name, content in contents.items():
            replace_file(folder / name, content.encode())
        return tuple(str(folder / name) for name in contents)

    def __reduce__(self) -> Any:
        # One str, the same whenever the contents are: datasets hashes it to find its cache.
        content = json.loads(self._pipeline.to_json())
        content["model"]["vocab"] = _pack_vocab(self._pipeline.vocab)
        state = {
            "tokenizer": content,
            "options": {**self._saved_options(), "name_or_path": self.name_or_path},
            "special_tokens": [[n, t.to_dict()] for n, t in self._special_tokens.items()],
            "extra_special_tokens": [t.to_dict() for t in self._extra_special_tokens],
        }
        return _restore, (type(self), json.dumps(state, ensure_ascii=False, sort_keys=True))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, "
            f"vocab_size={self.vocab_size}, model_max_length={self.model_max_length}, "
            f"padding_side={self.padding_side!r}, truncation_side={self.truncation_side!r}, "
            f"special_tokens={self.special_tokens_map})"
        )


def _tokens_in_order(vocab: Mapping[str, int]) -> list[str] | None:
    """The tokens whose ids are 0, 1, 2...; None where the ids are others."""
    tokens = sorted(vocab, key=vocab.__getitem__)
    return tokens if all(vocab[token] == id for id, token in enumerate(tokens)) else None


def _pack_vocab(vocab: dict[str, int]) -> Any:
    """Lines of tokens where these can say it all, else the mapping."""
    tokens = _tokens_in_order(vocab)
    if tokens is None or any("\n" in token for token in tokens):
        return vocab
    return "\n".join(tokens)


def _restore(cls: type[WordPieceTokenizer], text: str) -> WordPieceTokenizer:
    """Undoes __reduce__."""
    state = json.loads(text)
    vocab = state["tokenizer"]["model"]["vocab"]
    if isinstance(vocab, str):
        vocab = {token: id for id, token in enumerate(vocab.split("\n"))}
        state["tokenizer"]["model"]["vocab"] = vocab
    options = {k: v for k, v in state["options"].items() if k in COMMON_OPTIONS}
    options["extra_special_tokens"] = state["extra_special_tokens"]
    tokenizer = cls.__new__(cls)
    WordPieceTokenizer.__init__(
        tokenizer,
        TokenizerJson(state["tokenizer"], "a pickled tokenizer").pipeline(),
        {name: AddedToken(**token) for name, token in state["special_tokens"]},
        options=options,
    )
    return tokenizer
