"""From ids back to text."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable
from typing import Any

# Rust's WordPiece decoder applies these to each token, in this order.
_TOKEN_CLEANUP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def _replace(text: str, replacements: Iterable[tuple[str, str]]) -> str:
    for old, new in replacements:
        text = text.replace(old, new)
    return text


def clean_up_tokenization(text: str) -> str:
    """Takes out the spaces before English punctuation and contractions."""
    return _replace(text, (pair for pair in _TOKEN_CLEANUP if pair[0] != " do not"))


class Decoder:
    """How tokens spell a text.

    Those that start with ``prefix`` continue a word; None: each is a word. What a token adds to a
    text depends on nothing but whether it is the first.
    """

    def __init__(self, prefix: str | None, cleanup: bool) -> None:
        self._prefix = prefix
        self._cleanup = cleanup and prefix is not None

    def first(self, token: str) -> str:
        """What a token that starts a text adds to it."""
        return _replace(token, _TOKEN_CLEANUP) if self._cleanup else token

    def following(self, token: str) -> str:
        """What a token behind another adds to a text."""
        if self._prefix is not None and token.startswith(self._prefix):
            return self.first(token[len(self._prefix) :])
        return self.first(f" {token}")

    def join(self, tokens: list[str]) -> str:
        """The text that tokens spell."""
        return "".join([*map(self.first, tokens[:1]), *map(self.following, tokens[1:])])


class IdDecoder(dict[int, str]):
    """Spells the texts of ids. It is a cache of what each adds behind another, filled on demand."""

    def __init__(
        self, decoder: Decoder, token_of: Callable[[int], str | None], skipped: Collection[str]
    ) -> None:
        """``token_of`` maps an id to its token, if it is one; ``skipped`` tokens are left out."""
        self._decoder = decoder
        self._token_of = token_of
        self._skipped = skipped

    def __missing__(self, id: int) -> str:
        token = self._token_of(id)
        if token is None:
            return ""  # not stored: there are billions of them
        text = "" if token in self._skipped else self._decoder.following(token)
        self[id] = text
        return text

    def decode(self, ids: array[int]) -> str:
        """The text of ids; those that are no token are left out."""
        for i, id in enumerate(ids):
            token = self._token_of(id)
            if token is not None and token not in self._skipped:
                return self._decoder.first(token) + "".join(map(self.__getitem__, ids[i + 1 :]))
        return ""


def id_array(ids: Any) -> array[int]:
    """An id, or a sequence of them, as unsigned numbers of 32 bits.

    Raises TypeError where ``ids`` is no sequence of integers, OverflowError where one is negative
    or too great.
    """
    if isinstance(ids, int):
        ids = [ids]
    elif hasattr(ids, "tolist"):
        ids = ids.tolist()
    if not isinstance(ids, (list, tuple, range)):
        raise TypeError(f"token ids must be an int or a list of int, not {type(ids).__name__}")
    try:
        return array("I", ids)
    except TypeError:
        wrong = next((id for id in ids if not hasattr(id, "__index__")), ids[0])
        raise TypeError(f"a token id must be an int, not {type(wrong).__name__}") from None
    except OverflowError:
        wrong = next((id for id in ids if not 0 <= id < 2**32), ids[0])
        raise OverflowError(f"token ids are from 0 to 2**32 - 1, got {wrong}") from None
