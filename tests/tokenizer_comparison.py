"""Whether two tokenizers answer alike: every column, every mapping of positions, every error."""

from collections.abc import Callable
from typing import Any

import numpy as np

MOST_POSITIONS = 400
"""Of a text longer than this not every character is looked up."""


def assert_same_columns(ours: Any, theirs: Any) -> None:
    """Both hold the same columns in the same order: equal values of equal types."""
    assert list(ours.keys()) == list(theirs.keys())
    for key, other in theirs.items():
        mine = ours[key]
        assert type(mine) is type(other), key
        if isinstance(other, (list, int)):
            assert mine == other, key
            assert repr(mine) == repr(other), key  # tuples, not lists; int, not np.int64
            continue
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape), key
        if other.dtype == object:
            assert [row.dtype for row in mine] == [row.dtype for row in other], key
            mine, other = ([row.tolist() for row in rows] for rows in (mine, other))
        assert np.array_equal(mine, other) if hasattr(other, "dtype") else mine == other, key


def assert_same_positions(ours: Any, theirs: Any, row: int, text_length: int) -> None:
    """Tokens, words and characters of a row are mapped to each other alike, and beyond its ends."""
    tokens = theirs.tokens(row)
    assert ours.tokens(row) == tokens
    assert ours.word_ids(row) == theirs.word_ids(row)
    assert ours.sequence_ids(row) == theirs.sequence_ids(row)
    word_count = max((word + 1 for word in theirs.word_ids(row) if word is not None), default=0)
    of_tokens = [(i,) for i in range(len(tokens) + 2)]
    of_words = [(i, sequence) for sequence in (0, 1) for i in range(word_count + 2)]
    step = text_length // MOST_POSITIONS + 1
    of_characters = [(i, sequence) for sequence in (0, 1) for i in range(0, text_length + 2, step)]
    for name, places in {
        "token_to_chars": of_tokens,
        "token_to_word": of_tokens,
        "token_to_sequence": of_tokens,
        "word_to_tokens": of_words,
        "word_to_chars": of_words,
        "char_to_token": of_characters,
        "char_to_word": of_characters,
    }.items():
        mine, other = getattr(ours, name), getattr(theirs, name)
        for place in places:
            got, wanted = attempt(mine, row, *place), attempt(other, row, *place)
            assert got == wanted, f"{name}({row}, {', '.join(map(str, place))})"
            assert type(got).__name__ == type(wanted).__name__, name


def attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a function returns, or the type of what it raises.

    ValueError stands for what is no proper exception: Rust's panics, and bare ``Exception``.
    """
    try:
        return function(*arguments, **options)
    except Exception as error:
        return ValueError if type(error) is Exception else type(error)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return ValueError


def is_error(result: Any) -> bool:
    return isinstance(result, type)
