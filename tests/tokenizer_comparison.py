"""Whether two tokenizers answer alike: every column, every mapping of positions, every error."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tokenizer_scenarios import Rows, Scenario

MOST_POSITIONS = 120
"""Of more positions than this only some are looked up, at even distances."""
MOST_ROWS = 4
"""Of a batch, these rows and the last have their positions looked up."""
LONG_PAIR = 1000
"""Characters of both texts of a pair that is not truncated: Rust keeps what overflows, asked for or
not, and that is each part of one text with each part of the other."""
LARGE = 150_000
"""Characters of a batch that more than one thread works on."""
FIELDS = ("ids", "type_ids", "offsets", "special_tokens_mask", "attention_mask", "n_sequences")
"""What an Encoding holds beside what a BatchEncoding has methods for."""
TOKENIZE_OPTIONS = ("add_special_tokens", "split_special_tokens")


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


def _lost_rows(columns: Any) -> bool:
    """Whether rows are a tensor of no columns, which torch makes of any rows of which the first is
    empty. ftcore says that they differ in length."""
    if isinstance(columns, type) or not isinstance(columns["input_ids"], torch.Tensor):
        return False
    return columns["input_ids"].numel() == 0


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


def _positions(count: int) -> range:
    """Positions up to ``count``, and beyond."""
    return range(0, count + 2, count // MOST_POSITIONS + 1)


def assert_same_positions(ours: Any, theirs: Any, row: int, text_length: int) -> None:
    """Tokens, words and characters of a row are mapped to each other alike, and beyond its ends."""
    for field in FIELDS:
        assert getattr(ours[row], field) == getattr(theirs[row], field), field
    tokens = theirs.tokens(row)
    assert ours.tokens(row) == tokens
    assert ours.word_ids(row) == theirs.word_ids(row)
    assert ours.sequence_ids(row) == theirs.sequence_ids(row)
    word_count = max((word + 1 for word in theirs.word_ids(row) if word is not None), default=0)
    of_tokens = [(row, i) for i in _positions(len(tokens))]
    of_words = [(row, i, sequence) for sequence in (0, 1) for i in _positions(word_count)]
    of_characters = [(row, i, sequence) for sequence in (0, 1) for i in _positions(text_length)]
    for name, places in {
        "token_to_chars": of_tokens,
        "token_to_word": of_tokens,
        "token_to_sequence": of_tokens,
        "word_to_tokens": of_words,
        "word_to_chars": of_words,
        "char_to_token": of_characters,
        "char_to_word": of_characters,
    }.items():
        found, expected = (
            {place: attempt(getattr(side, name), *place) for place in places}
            for side in (ours, theirs)
        )
        if name == "word_to_chars":  # transformers unpacks Rust's None where there is no such word
            expected = {p: None if v is TypeError else v for p, v in expected.items()}
        assert found == expected, name
        assert list(map(repr, found.values())) == list(map(repr, expected.values())), name


def compare_call(ours: Any, theirs: Any, rows: Rows, call: dict[str, Any]) -> int:
    """Asserts that a call is answered alike; returns how many rows were compared.

    Where a batch is refused, each row is tried by itself.
    """
    mine = attempt(ours, **rows.arguments(), **call)
    other = attempt(theirs, **rows.arguments(), **call)
    alone = rows.one_by_one()
    if mine is ValueError and _lost_rows(other):
        other = ValueError
    if isinstance(other, type) or isinstance(mine, type):
        assert mine is other
        return sum(compare_call(ours, theirs, r, call) for r in alone) if rows.is_batch else 1
    assert_same_columns(mine, other)
    samples = other.get("overflow_to_sample_mapping", range(len(alone)))
    count = len(other.encodings)
    for row in dict.fromkeys([*range(min(count, MOST_ROWS)), count - 1]):
        assert_same_positions(mine, other, row, alone[int(samples[row])].length())
    return len(alone)


def compare_decoding(ours: Any, theirs: Any, rows: list[list[int]]) -> None:
    """Asserts that rows of ids become the same tokens and the same text."""
    for skip, clean_up in itertools.product((False, True), (None, False, True)):
        options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean_up}
        assert ours.batch_decode(rows, **options) == theirs.batch_decode(rows, **options), options
    for row in rows:
        assert ours.decode(row) == theirs.decode(row)
        for skip in (False, True):
            tokens = theirs.convert_ids_to_tokens(row, skip_special_tokens=skip)
            assert ours.convert_ids_to_tokens(row, skip_special_tokens=skip) == tokens
        tokens = [token for token in tokens if token is not None]
        assert ours.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
        assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)


def compare_shorthands(ours: Any, theirs: Any, row: Rows, call: dict[str, Any]) -> None:
    """Asserts that ``encode`` and ``tokenize`` answer alike."""
    mine = attempt(ours.encode, **row.arguments(), **call)
    other = attempt(theirs.encode, **row.arguments(), **call)
    if mine is ValueError and _lost_rows({"input_ids": other}):
        other = ValueError
    if isinstance(other, type) or isinstance(mine, type):
        assert mine is other
    else:
        assert_same_columns({"encode": mine}, {"encode": other})
    texts = {"text": row.text, "pair": row.pair, "is_split_into_words": row.is_split}
    options = {name: call[name] for name in TOKENIZE_OPTIONS if name in call}
    assert ours.tokenize(**texts, **options) == theirs.tokenize(**texts, **options)


def compare(scenario: Scenario) -> int:
    """Asserts that both sides answer alike; returns how many rows were compared."""
    ours, theirs = scenario.settings.make()
    rows = scenario.rows
    compared = 0
    for call in scenario.calls:
        if any(row.shorter() > LONG_PAIR for row in rows.one_by_one()):
            call = {**call, "truncation": False}
        compared += compare_call(ours, theirs, rows, call)
        compare_shorthands(ours, theirs, rows.one_by_one()[0], call)
    ids = theirs(**rows.arguments(), verbose=False)["input_ids"]
    compare_decoding(ours, theirs, [*(ids if rows.is_batch else [ids]), scenario.ids])
    return compared


def compare_large(scenario: Scenario) -> int:
    """As ``compare``, with so many copies of the rows that several threads share them."""
    ours, theirs = scenario.settings.make()
    rows = scenario.rows.one_by_one()
    copies = scenario.rows.times(LARGE // sum(row.length() + 1 for row in rows) + 1)
    for call in scenario.calls:
        mine = attempt(ours, **copies.arguments(), **call)
        other = attempt(theirs, **copies.arguments(), **call)
        if mine is ValueError and _lost_rows(other):
            other = ValueError
        if isinstance(other, type) or isinstance(mine, type):
            assert mine is other
            continue
        assert_same_columns(mine, other)
        for row in range(0, len(other.encodings), 7):
            assert mine.tokens(row) == other.tokens(row)
            assert mine.word_ids(row) == other.word_ids(row)
            assert mine[row].offsets == other[row].offsets
    return len(rows) * len(scenario.calls)


def compare_refusal(scenario: Scenario) -> int:
    """Asserts that a lone surrogate is refused by both sides, and that ftcore says where the first
    is, in rows of which each text and word has one."""
    ours, theirs = scenario.settings.make()
    texts = scenario.rows.arguments()
    assert attempt(theirs, **texts) is TypeError
    first = scenario.rows.one_by_one()[0].text
    first = first[0] if scenario.rows.is_split else first
    position = next(i for i, c in enumerate(first) if "\ud800" <= c <= "\udfff")
    with pytest.raises(TypeError, match=rf"lone surrogate at position {position}\b"):
        ours(**texts)
    return 1
