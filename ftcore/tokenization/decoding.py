"""From ids back to text."""

from __future__ import annotations

from collections.abc import Iterable

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


def join_tokens(tokens: list[str], prefix: str | None, cleanup: bool) -> str:
    """The text that tokens spell; those that start with ``prefix`` continue a word."""
    if prefix is None:
        return " ".join(tokens)
    pieces = []
    for i, token in enumerate(tokens):
        if i > 0:
            token = token[len(prefix) :] if token.startswith(prefix) else f" {token}"
        pieces.append(_replace(token, _TOKEN_CLEANUP) if cleanup else token)
    return "".join(pieces)


def clean_up_tokenization(text: str) -> str:
    """Takes out the spaces before English punctuation and contractions."""
    return _replace(text, (pair for pair in _TOKEN_CLEANUP if pair[0] != " do not"))
