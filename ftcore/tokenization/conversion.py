"""Tokens, ids, and text again."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ftcore.tokenization import decoding, strategies
from ftcore.tokenization.added_token import AddedToken
from ftcore.tokenization.batch_encoding import BatchEncoding, check_tensor_type
from ftcore.tokenization.call import Call
from ftcore.tokenization.padding import pad as pad_rows
from ftcore.tokenization.pipeline import PLAIN_TEMPLATES, Pipeline
from ftcore.tokenization.token_ids import TokenIds

_FIRST, _SECOND = (place for _, place, _ in PLAIN_TEMPLATES[1])

logger = logging.getLogger("ftcore.tokenization")


def _plain(ids: Any) -> Any:
    """Lists of numbers from arrays, tensors and lists of these; the ids of a dict of columns."""
    if isinstance(ids, Mapping):
        ids = ids["input_ids"]
    if hasattr(ids, "tolist"):
        return ids.tolist()
    if isinstance(ids, (list, tuple)) and len(ids) > 0 and hasattr(ids[0], "tolist"):
        return [id.tolist() if hasattr(id, "tolist") else id for id in ids]
    return ids


def _all_str(tokens: Iterable[str]) -> list[str]:
    tokens = list(tokens)
    for token in tokens:
        if not isinstance(token, str):
            raise TypeError(f"a token must be a str, not {type(token).__name__}")
    return tokens


@functools.cache
def _warn_of_single_sequence() -> None:
    logger.warning(
        "Passing a single sequence to `batch_decode` is deprecated and will be removed in a "
        "future version, use `decode` instead."
    )


class Conversion(Call):
    """The part of a tokenizer that works on tokens and ids."""

    clean_up_tokenization_spaces: bool
    _pipeline: Pipeline
    _ids: TokenIds
    _tokens_by_id: dict[int, str] | None

    @property
    def _tokens(self) -> dict[int, str]:
        """The token of each id; made when it is first wanted."""
        if self._tokens_by_id is None:
            tokens = {id: token for token, id in self._pipeline.vocab.to_dict().items()}
            for id, added in self._pipeline.added_tokens.items():
                content = added.content
                tokens[id] = self._core.normalize(content) if added.normalized else content
            self._tokens_by_id = tokens
        return self._tokens_by_id

    @property
    def _id_of(self) -> Callable[[str], int | None]:
        """Finds the id of a token, if it is one."""
        return self._ids.get

    @property
    def _token_of(self) -> Callable[[int], str | None]:
        """Finds the token of an id, as it is decoded, if there is one."""
        return self._tokens.get

    @property
    def vocab(self) -> dict[str, int]:
        """Every token with its id, added tokens included."""
        return self.get_vocab()

    def get_vocab(self) -> dict[str, int]:
        """Every token with its id, added tokens included."""
        return self._ids.to_dict()

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

    # Tokens and ids

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> Any:
        """The id of a token, or a list of ids.

        Where there is none: that of the unknown token, or None if that is not set. Raises TypeError
        for what is no str.
        """
        if isinstance(tokens, str):
            id = self._id_of(tokens)
            return self.unk_token_id if id is None else id
        tokens = _all_str(tokens)
        ids = list(map(self._id_of, tokens))
        if None in ids:
            unknown = self.unk_token_id
            return [unknown if id is None else id for id in ids]
        return ids

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The token of an id (None where there is none), or a list of tokens.

        Raises OverflowError where an id is negative or takes more than 32 bits.
        """
        if isinstance(ids, int):
            return self._token_of(decoding.id_array([ids])[0])
        numbers = decoding.id_array(list(map(int, ids)))
        if not skip_special_tokens:
            return list(map(self._token_of, numbers))
        skipped = set(self.all_special_ids)
        return [self._token_of(id) for id in numbers if id not in skipped]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """The text that tokens spell. Raises TypeError for what is no sequence of str."""
        if isinstance(tokens, str):
            raise TypeError("convert_tokens_to_string takes a list of str, not a str")
        return self._decoder().join(_all_str(tokens))

    # Texts

    def _decoder(self) -> decoding.Decoder:
        pipeline = self._pipeline
        return decoding.Decoder(pipeline.decoder_prefix, pipeline.decoder_cleanup)

    def _id_decoder(self, skip_special_tokens: bool) -> decoding.IdDecoder:
        """The one for the present vocabulary; adding tokens makes a new core."""
        core, decoders = self.__dict__.get("_id_decoders", (None, {}))
        if core is not self._core:
            decoders = {
                skip: decoding.IdDecoder(
                    self._decoder(), self._token_of, self._pipeline.special if skip else ()
                )
                for skip in (False, True)
            }
            self._id_decoders = self._core, decoders
        return decoders[skip_special_tokens]

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> Any:
        """The text of ids; a list of texts for rows of ids. Ids that are no token are left out.

        ``token_ids`` is an int, a list, array or tensor of ids, or of rows of ids, or what a call
        returned. Raises TypeError for anything else, OverflowError where an id is negative or takes
        more than 32 bits.
        """
        ids = _plain(token_ids)
        is_batch = isinstance(ids, (list, tuple)) and ids and isinstance(ids[0], (list, tuple))
        rows = ids if is_batch else [ids]
        decoder = self._id_decoder(bool(skip_special_tokens))
        texts = [decoder.decode(decoding.id_array(row)) for row in rows]
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        if clean_up_tokenization_spaces:
            texts = [self.clean_up_tokenization(text) for text in texts]
        return texts if is_batch else texts[0]

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """The texts of rows of ids; see decode."""
        if len(sequences) == 0:
            return []
        texts = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces)
        if isinstance(texts, str):
            _warn_of_single_sequence()
            return [texts]
        return texts

    def clean_up_tokenization(self, text: str) -> str:
        """The text without the spaces before English punctuation and contractions."""
        return decoding.clean_up_tokenization(text)

    # Special tokens around texts

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens are put around a text, or a pair."""
        template = self._pipeline.pair if pair else self._pipeline.single
        return sum(token is not None for token, _, _ in template)

    @property
    def max_len_single_sentence(self) -> int:
        """How many tokens a text may have for a model, special tokens left out."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=False)

    @property
    def max_len_sentences_pair(self) -> int:
        """How many tokens the texts of a pair may have together, special tokens left out."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def _laid_out(
        self, token_ids_0: Iterable[int], token_ids_1: Iterable[int] | None
    ) -> list[tuple[int, int, int]]:
        """(id, token type, whether it is a special token) for each id of a text or a pair."""
        pipeline = self._pipeline
        texts = {_FIRST: token_ids_0, _SECOND: token_ids_1}
        out: list[tuple[int, int, int]] = []
        for token, id, token_type in pipeline.single if token_ids_1 is None else pipeline.pair:
            if token is None:
                out += [(int(i), token_type, 0) for i in texts[id] or ()]
            else:
                out.append((id, token_type, 1))
        return out

    def build_inputs_with_special_tokens(
        self, token_ids_0: Iterable[int], token_ids_1: Iterable[int] | None = None
    ) -> list[int]:
        """The ids of a text, or a pair, with special tokens around them: [CLS] A [SEP] B [SEP]."""
        return [id for id, _, _ in self._laid_out(token_ids_0, token_ids_1)]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Iterable[int], token_ids_1: Iterable[int] | None = None
    ) -> list[int]:
        """The token types of build_inputs_with_special_tokens: 0 for [CLS] A [SEP], 1 behind it."""
        return [token_type for _, token_type, _ in self._laid_out(token_ids_0, token_ids_1)]

    def get_special_tokens_mask(
        self,
        token_ids_0: Iterable[int],
        token_ids_1: Iterable[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """1 for each special token, 0 for each other, with special tokens around the ids.

        With ``already_has_special_tokens``, for the ids as they are; raises ValueError where
        there are two sequences of them.
        """
        if not already_has_special_tokens:
            return [special for _, _, special in self._laid_out(token_ids_0, token_ids_1)]
        if token_ids_1 is not None:
            raise ValueError(
                "You should not supply a second sequence if the provided sequence of ids is "
                "already formatted with special tokens for the model."
            )
        special = set(self.all_special_ids)
        return [int(int(id) in special) for id in token_ids_0]

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
        Attention masks of two and more dimensions are stacked; other columns are passed on. Raises
        ValueError where the first of ``model_input_names`` is missing, TypeError for what is no
        row.
        """
        multiple = strategies.natural_number("pad_to_multiple_of", pad_to_multiple_of)
        how = strategies.understand(padding, None, max_length, None, self.model_max_length, verbose)
        if how.padding != "do_not_pad":
            self._require_pad_token()
        input_name = next(iter(self.model_input_names), "input_ids")
        return pad_rows(
            encoded_inputs,
            input_name=input_name,
            padded_length=lambda longest: how.padded_length(longest, multiple),
            side=strategies.side(
                "padding_side", self.padding_side if padding_side is None else padding_side
            ),
            fillers={
                input_name: self.pad_token_id,
                "token_type_ids": self.pad_token_type_id,
                "attention_mask": 0,
                "special_tokens_mask": 1,
            },
            return_attention_mask=return_attention_mask,
            attention_mask_by_default="attention_mask" in self.model_input_names,
            return_tensors=check_tensor_type(return_tensors),
        )
