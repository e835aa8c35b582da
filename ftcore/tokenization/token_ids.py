"""Finding the ids of tokens."""

from __future__ import annotations

from collections.abc import Mapping

from ftcore import _core
from ftcore.tokenization.added_token import AddedToken


class TokenIds:
    """The id of every token: those of a vocabulary, and over them those of added tokens."""

    def __init__(self, vocab: _core.Vocabulary, added: Mapping[int, AddedToken]) -> None:
        self._vocab = vocab
        self._added = {token.content: id for id, token in added.items()}
        self._length = len(vocab) + sum(token not in vocab for token in self._added)

    def get(self, token: str) -> int | None:
        """The id of a token, None where there is none."""
        id = self._added.get(token)
        return self._vocab.get(token) if id is None else id

    def __getitem__(self, token: str) -> int:
        id = self.get(token)
        if id is None:
            raise KeyError(token)
        return id

    def __len__(self) -> int:
        return self._length

    def to_dict(self) -> dict[str, int]:
        """All tokens with their ids."""
        return {**self._vocab.to_dict(), **self._added}
