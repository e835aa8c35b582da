"""Hypothesis strategies for tokenizers, rows of texts and calls, which put together are scenarios.

What is left out of them, because the Rust library has no answer of its own to it: a ``stride`` far
beyond the room there is (it panics, which is slow), added tokens of no characters (it panics), and
several added tokens that are the same once normalised (it takes any of them).
"""

import functools
from dataclasses import dataclass
from typing import Any

import tokenizers
import transformers
from hypothesis import reject
from hypothesis import strategies as st
from tokenizer_texts import ADDED_CONTENTS, POLYGLOT, VANISHING_CONTENTS, split_texts, texts

from ftcore import tokenization

flags = st.booleans()
sides = st.sampled_from(["left", "right"])


@dataclass(frozen=True)
class Settings:
    """How a pair of equal tokenizers is made."""

    options: dict[str, Any]
    added: tuple[tokenization.AddedToken, ...] = ()
    name: str | None = None
    """A checkpoint in the current folder; None: the made-up vocabulary."""

    def make(self) -> tuple[Any, Any]:
        """ftcore's tokenizer, and transformers'."""
        if self.name is not None:
            return _load(self.name, tuple(self.options.items()))
        ours = tokenization.BertTokenizer(POLYGLOT, **self.options)
        theirs = transformers.BertTokenizer(POLYGLOT, **self.options)
        ours.add_tokens(list(self.added))
        theirs.add_tokens([tokenizers.AddedToken(**token.to_dict()) for token in self.added])
        normalize = theirs.backend_tokenizer.normalizer.normalize_str
        forms = [normalize(token.content) for token in self.added if token.normalized]
        if len(forms) > len(set(forms)):
            reject()
        return ours, theirs


@functools.cache
def _load(name: str, options: tuple[tuple[str, Any], ...]) -> tuple[Any, Any]:
    return (
        tokenization.AutoTokenizer.from_pretrained(name, **dict(options)),
        transformers.AutoTokenizer.from_pretrained(name, **dict(options)),
    )


@dataclass(frozen=True)
class Rows:
    """Texts, as a call takes them."""

    text: Any
    pair: Any
    is_batch: bool
    is_split: bool

    def arguments(self) -> dict[str, Any]:
        """The texts as a call's arguments."""
        return {"text": self.text, "text_pair": self.pair, "is_split_into_words": self.is_split}

    def one_by_one(self) -> list["Rows"]:
        """Each row by itself."""
        if not self.is_batch:
            return [self]
        rows = self.text if self.pair is None else zip(self.text, self.pair, strict=True)
        return [
            Rows(*(row if isinstance(row, tuple) else (row, None)), False, self.is_split)
            for row in rows
        ]

    def times(self, count: int) -> "Rows":
        """A batch of so many times these rows."""
        text, pair = (self.text, self.pair) if self.is_batch else ([self.text], [self.pair])
        return Rows(text * count, None if self.pair is None else pair * count, True, self.is_split)

    def length(self) -> int:
        """How many characters the longer text of a row has."""
        return max(_characters(self.text), _characters(self.pair))

    def shorter(self) -> int:
        """How many characters the shorter text of a row has; 0 where there is one text."""
        return min(_characters(self.text), _characters(self.pair))


def _characters(text: Any) -> int:
    return len(text) if isinstance(text, str) else sum(map(len, text or ()))


@dataclass(frozen=True)
class Scenario:
    """What is compared: a pair of tokenizers, rows of texts, calls with them, and ids to decode."""

    settings: Settings
    rows: Rows
    calls: list[dict[str, Any]]
    ids: list[int]


def _added_token(content: str, *flags: bool) -> tokenization.AddedToken:
    single_word, lstrip, rstrip, normalized, special = flags
    return tokenization.AddedToken(
        content,
        single_word,
        lstrip,
        rstrip,
        normalized and content not in VANISHING_CONTENTS,
        special,
    )


def _some_of(**options: st.SearchStrategy) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=options)


made_up_settings = st.builds(
    Settings,
    options=_some_of(
        do_lower_case=flags,
        strip_accents=st.sampled_from([None, True, False]),
        tokenize_chinese_chars=flags,
        model_max_length=st.integers(0, 40),
        padding_side=sides,
        truncation_side=sides,
        model_input_names=st.sampled_from([["input_ids"], ["input_ids", "attention_mask"]]),
        clean_up_tokenization_spaces=flags,
    ),
    added=st.lists(
        st.builds(_added_token, st.sampled_from(ADDED_CONTENTS), *[flags] * 5),
        max_size=5,
        unique_by=str,
    ).map(tuple),
)


def settings_of(names: list[str], **options: st.SearchStrategy) -> st.SearchStrategy[Settings]:
    """The tokenizers of checkpoints, with options that override their own."""
    return st.builds(Settings, options=_some_of(**options), name=st.sampled_from(names))


def rows_of(texts: st.SearchStrategy, is_split: bool) -> st.SearchStrategy[Rows]:
    """Rows in each form that a call takes them in."""

    def batch(rows, pairs=None):
        return Rows(rows, pairs, True, is_split)

    def two_lists(pairs):
        return batch([first for first, _ in pairs], [second for _, second in pairs])

    def lists_of(rows):
        return st.lists(rows, min_size=1, max_size=10)

    pairs = st.tuples(texts, texts)
    return st.one_of(
        texts.map(lambda text: Rows(text, None, False, is_split)),
        pairs.map(lambda pair: Rows(*pair, False, is_split)),
        *[lists_of(texts).map(batch)] * 2,
        *[lists_of(pairs).map(two_lists)] * 2,
        lists_of(pairs).map(batch),
        lists_of(st.one_of(texts, pairs)).map(batch),
    )


calls = _some_of(
    add_special_tokens=flags,
    padding=st.sampled_from([False, True, "longest", "max_length", "do_not_pad"]),
    truncation=st.sampled_from(
        [None, False, True, "longest_first", "only_first", "only_second", "do_not_truncate"]
    ),
    max_length=st.one_of(st.none(), st.integers(0, 12), st.integers(0, 60), st.just(700)),
    stride=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 9]),
    pad_to_multiple_of=st.sampled_from([None, 1, 2, 7, 8, 64]),
    padding_side=sides,
    return_tensors=st.sampled_from([None, None, None, "np", "pt"]),
    return_token_type_ids=st.sampled_from([None, True, False]),
    return_attention_mask=st.sampled_from([None, True, False]),
    return_overflowing_tokens=flags,
    return_special_tokens_mask=flags,
    return_offsets_mapping=flags,
    return_length=flags,
    split_special_tokens=flags,
).map(lambda options: {**options, "verbose": False})


def scenarios(settings: st.SearchStrategy[Settings]) -> st.SearchStrategy[Scenario]:
    """Rows and calls of every kind, with tokenizers made as ``settings`` say."""
    return st.builds(
        Scenario,
        settings,
        st.one_of(rows_of(texts, False), rows_of(texts, False), rows_of(split_texts, True)),
        st.lists(calls, min_size=3, max_size=4),
        st.lists(st.integers(0, len(POLYGLOT) + 8), max_size=8),
    )
