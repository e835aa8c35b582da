"""Whatever text comes in, and however it is asked for, ftcore's tokenizers answer as transformers'.

``pytest tests/parity/test_tokenizer_fuzz.py --fuzz 200000`` compares that many rows (a text or a
pair, with the options of one call) in all. The same number gives the same rows.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import pytest
import tokenizers
import transformers
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from tokenizer_comparison import assert_same_columns, assert_same_positions, attempt, is_error
from tokenizer_support import SPECIAL
from tokenizer_texts import (
    ADDED_CONTENTS,
    POLYGLOT,
    VANISHING_CONTENTS,
    broken_texts,
    special_contents,
    split_texts,
    texts,
)

import ftcore.tokenization

transformers.logging.set_verbosity_error()

EXAMPLES_PER_SEED = 50

flags = st.booleans()
sides = st.sampled_from(["left", "right"])


@dataclass(frozen=True)
class Settings:
    """How a pair of equal tokenizers is made."""

    options: dict[str, Any]
    added: tuple[ftcore.tokenization.AddedToken, ...] = ()
    name: str | None = None
    """A checkpoint in the current folder; None: the made-up vocabulary."""

    def make(self) -> tuple[Any, Any]:
        """ftcore's tokenizer, and transformers'."""
        if self.name is not None:
            return load(self.name, tuple(self.options.items()))
        ours = ftcore.tokenization.BertTokenizer(POLYGLOT, **self.options)
        theirs = transformers.BertTokenizer(POLYGLOT, **self.options)
        ours._add(self.added)
        theirs.add_tokens([tokenizers.AddedToken(**token.to_dict()) for token in self.added])
        normalize = theirs.backend_tokenizer.normalizer.normalize_str
        forms = [normalize(token.content) for token in self.added if token.normalized]
        assume(len(forms) == len(set(forms)))  # else Rust takes any of them
        return ours, theirs


@functools.cache
def load(name: str, options: tuple[tuple[str, Any], ...]) -> tuple[Any, Any]:
    return (
        ftcore.tokenization.AutoTokenizer.from_pretrained(name, **dict(options)),
        transformers.AutoTokenizer.from_pretrained(name, **dict(options)),
    )


@dataclass(frozen=True)
class Rows:
    """Texts, as a call takes them."""

    text: Any
    pair: Any
    is_batch: bool
    is_split: bool = False

    def one_by_one(self) -> list["Rows"]:
        """Each row as a batch of its own."""
        if not self.is_batch:
            return [self]
        pairs = [None] * len(self.text) if self.pair is None else [[pair] for pair in self.pair]
        return [
            Rows([text], pair, True, self.is_split)
            for text, pair in zip(self.text, pairs, strict=True)
        ]

    def lengths(self) -> list[int]:
        """How many characters the longest text of each row has, at most."""
        firsts = self.text if self.is_batch else [self.text]
        seconds = self.pair if self.is_batch else [self.pair]
        return [
            max(_characters(first), _characters(second))
            for first, second in zip(firsts, seconds or [None] * len(firsts), strict=True)
        ]


def _characters(text: Any) -> int:
    return len(text) if isinstance(text, str) else sum(map(_characters, text or ()))


@dataclass(frozen=True)
class Scenario:
    """What is compared: a pair of tokenizers, rows of texts, calls with them, and ids to decode."""

    settings: Settings
    rows: Rows
    calls: list[dict[str, Any]]
    ids: list[int]


def added_token(content: str, *flags: bool) -> ftcore.tokenization.AddedToken:
    """An added token; its flags are changed where Rust is at a loss with them."""
    single_word, lstrip, rstrip, normalized, special = flags
    return ftcore.tokenization.AddedToken(
        content,
        single_word,
        lstrip,
        rstrip,
        normalized and content not in VANISHING_CONTENTS,  # Rust panics at a token of no characters
        special or content in SPECIAL,  # to Rust a special token stays one
    )


made_up = st.builds(
    Settings,
    options=st.fixed_dictionaries(
        {},
        optional={
            "do_lower_case": flags,
            "strip_accents": st.sampled_from([None, True, False]),
            "tokenize_chinese_chars": flags,
            "model_max_length": st.integers(0, 40),
            "padding_side": sides,
            "truncation_side": sides,
            "model_input_names": st.sampled_from([["input_ids"], ["input_ids", "attention_mask"]]),
            "clean_up_tokenization_spaces": flags,
        },
    ),
    added=st.lists(
        st.builds(added_token, st.sampled_from(ADDED_CONTENTS), *[flags] * 5),
        max_size=5,
        unique_by=str,
    ).map(tuple),
)


def rows_of(texts: st.SearchStrategy, is_split: bool) -> st.SearchStrategy[Rows]:
    """Rows in each form that a call takes them in."""
    lists = st.lists(texts, min_size=1, max_size=8)
    pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=8)
    mixed = st.lists(st.one_of(texts, st.tuples(texts, texts)), min_size=1, max_size=8)

    def form(text, pair, is_batch):
        return Rows(text, pair, is_batch, is_split)

    two_lists = pairs.map(
        lambda pairs: form([first for first, _ in pairs], [second for _, second in pairs], True)
    )
    return st.one_of(
        st.builds(form, texts, st.none(), st.just(False)),
        st.builds(form, texts, texts, st.just(False)),
        *[st.builds(form, lists, st.none(), st.just(True))] * 2,
        *[two_lists] * 2,
        st.builds(form, pairs, st.none(), st.just(True)),
        *([] if is_split else [st.builds(form, mixed, st.none(), st.just(True))]),
    )


calls = st.fixed_dictionaries(
    {},
    optional={
        "add_special_tokens": flags,
        "padding": st.sampled_from([False, True, "longest", "max_length", "do_not_pad"]),
        "truncation": st.sampled_from(
            [None, False, True, "longest_first", "only_first", "only_second", "do_not_truncate"]
        ),
        "max_length": st.one_of(st.none(), st.integers(0, 12), st.integers(0, 60), st.just(700)),
        "pad_to_multiple_of": st.sampled_from([None, 1, 2, 7, 8, 64]),
        "padding_side": sides,
        "return_tensors": st.sampled_from([None, None, "np", "pt"]),
        "return_token_type_ids": st.sampled_from([None, True, False]),
        "return_attention_mask": st.sampled_from([None, True, False]),
        "return_special_tokens_mask": flags,
        "return_length": flags,
    },
).map(lambda call: {**call, "verbose": False})


def scenarios(settings: st.SearchStrategy[Settings]) -> st.SearchStrategy[Scenario]:
    return st.builds(
        Scenario,
        settings,
        rows_of(texts, False),
        st.lists(calls, min_size=3, max_size=4),
        st.lists(st.integers(0, len(POLYGLOT) + 8), max_size=8),
    )


def compare_rows(ours: Any, theirs: Any, rows: Rows, call: dict[str, Any]) -> int:
    """Asserts that a call is answered alike; returns how many rows were compared.

    Where a batch is refused, each row is tried by itself.
    """
    mine = attempt(ours, rows.text, rows.pair, **call)
    other = attempt(theirs, rows.text, rows.pair, **call)
    if mine is ValueError and call.get("return_tensors") == "pt" and not is_error(other):
        # torch.tensor([[], [1]]) is of shape [2, 0]
        assert other["input_ids"].numel() == 0
        other = ValueError
    if is_error(other) or is_error(mine):
        assert mine is other
        alone = rows.one_by_one()
        return 1 if len(alone) == 1 else sum(compare_rows(ours, theirs, r, call) for r in alone)
    assert_same_columns(mine, other)
    return len(rows.lengths())


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


def compare(scenario: Scenario) -> int:
    """Asserts that both sides answer alike; returns how many rows were compared."""
    ours, theirs = scenario.settings.make()
    rows = scenario.rows
    compared = sum(compare_rows(ours, theirs, rows, call) for call in scenario.calls)
    ids = theirs(rows.text, rows.pair)["input_ids"]
    compare_decoding(ours, theirs, [*(ids if rows.is_batch else [ids]), scenario.ids])
    first = rows.one_by_one()[0]
    if first.is_batch and first.pair is None:
        first = Rows(first.text[0], None, False)
    if isinstance(first.text, str):
        arguments = first.text, first.pair
        for call in scenario.calls:
            assert attempt_list(ours.encode, *arguments, **call) == attempt_list(
                theirs.encode, *arguments, **call
            )
    return compared


def attempt_list(function, *arguments, **options):
    result = attempt(function, *arguments, **options)
    return result.tolist() if hasattr(result, "tolist") else result


def fuzz(strategy: st.SearchStrategy, compare: Any, cases: int, capsys) -> None:
    """Runs ``compare`` on examples until it has compared ``cases`` rows, and says how many."""
    compared = 0

    def run(example):
        nonlocal compared
        compared += compare(example)

    for number in itertools.count():
        test = given(strategy)(run)
        test = settings(
            max_examples=EXAMPLES_PER_SEED,
            phases=[Phase.generate, Phase.shrink],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )(test)
        seed(number)(test)()
        if compared >= cases:
            break
    with capsys.disabled():
        print(f" {compared} rows compared ", end="")


def test_a_vocabulary_of_many_scripts(fuzz_cases, capsys):
    fuzz(scenarios(made_up), compare, fuzz_cases * 7 // 10, capsys)


@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased"])
def test_real_vocabularies(hub, fuzz_cases, capsys, name):
    real = st.builds(
        Settings,
        options=st.fixed_dictionaries({}, optional={"tokenize_chinese_chars": flags}),
        name=st.just(name),
    )
    fuzz(scenarios(real), compare, fuzz_cases * 15 // 100, capsys)
