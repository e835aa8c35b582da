"""Tokens, ids, and text again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ftcore.tokenization import decoding, strategies
from ftcore.tokenization.added_token import AddedToken
from ftcore.tokenization.batch_encoding import BatchEncoding, check_tensor_type
from ftcore.tokenization.call import Call
from ftcore.tokenization.padding import pad as pad_rows
from ftcore.tokenization.pipeline import Pipeline
from ftcore.tokenization.token_ids import TokenIds


class Conversion(Call):
    """The part of a tokenizer that works on tokens and ids."""

    clean_up_tokenization_spaces: bool
    _pipeline: Pipeline
    _ids: TokenIds
    _skipped: set[str]

    @property
    def _tokens(self) -> dict[int, str]:
        raise NotImplementedError

    @property
    def vocab(self) -> dict[str, int]:
        """Every token with its id, added tokens included."""
        return self._ids.to_dict()

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
