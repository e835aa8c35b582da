"""Pairs of sentences as long as those of MRPC (Dolan and Brockett 2005), of made-up text.

What a step, a tokenizer or a collator takes depends on lengths, and on how often which word comes,
not on what a sentence says. So that the benchmark needs no data, lengths follow MRPC's quantiles
and words Zipf's law.
"""

from typing import Any

import numpy as np

# Tokens of a pair, [CLS] and both [SEP] included, of MRPC's training rows under BERT's uncased
# vocabulary: (share of the rows that are no longer, tokens).
LENGTHS = (
    (0, 19),
    (0.01, 26),
    (0.025, 29),
    (0.05, 32),
    (0.1, 36),
    (0.2, 41),
    (0.3, 45),
    (0.4, 50),
    (0.5, 53),
    (0.6, 57),
    (0.7, 61),
    (0.8, 64),
    (0.9, 70),
    (0.95, 74),
    (0.975, 78),
    (0.99, 83),
    (1, 103),
)
SPECIAL = 3
"""Tokens of a pair that are no words: [CLS] and both [SEP]."""
_COMPOUND_SHARE = 0.06
"""Of the words, are a word and a suffix, which WordPiece takes apart."""

Texts = dict[str, list[Any]]
"""{"first": texts, "second": texts, "label": labels}"""


def mrpc_lengths(rows: int, rng: np.random.Generator) -> np.ndarray:
    """[rows] lengths of pairs, distributed as MRPC's, in random order."""
    shares, tokens = zip(*LENGTHS, strict=True)
    spread = np.interp((np.arange(rows) + 0.5) / rows, shares, tokens).round().astype(int)
    return rng.permutation(spread)


def make_texts(tokenizer: Any, lengths: np.ndarray, labels: int, rng: np.random.Generator) -> Texts:
    """Pairs that the tokenizer turns into as many tokens as `lengths` says; labels are 0 to
    labels - 1 in turn (1 and 0 as numbers where there is one: regression)."""
    pool = _Pool(tokenizer, rng)
    first, second = [], []
    for length in lengths:
        tokens = max(2, int(length) - SPECIAL)
        part = round(tokens * rng.uniform(0.43, 0.57))
        first.append(pool.sentence(part))
        second.append(pool.sentence(tokens - part))
    numbers = range(len(lengths))
    label = [i % labels for i in numbers] if labels > 1 else [float(i % 2) for i in numbers]
    return {"first": first, "second": second, "label": label}


class _Pool:
    """Words of a tokenizer's vocabulary, and how many tokens each is."""

    def __init__(self, tokenizer: Any, rng: np.random.Generator) -> None:
        vocabulary = tokenizer.get_vocab()
        ordered = sorted(vocabulary, key=vocabulary.__getitem__)
        plain = [word for word in ordered if word.isascii() and word.isalpha()]
        suffixes = [w[2:] for w in ordered if w.startswith("##") and w[2:].isalpha()]
        words = [word for word in plain if len(word) > 1] or plain or ["a"]
        compounds = [
            words[i] + suffixes[j]
            for i, j in zip(
                _zipf(len(words), 4000, rng), _zipf(len(suffixes), 4000, rng), strict=False
            )
        ]
        self._rng = rng
        self._words, self._compounds = words, compounds or words
        self._tokens = self._count(tokenizer, {*self._words, *self._compounds})
        self._shortest = min(self._words, key=lambda word: self._tokens[word])
        capitals = [word.capitalize() for word in self._words]
        self._capital = self._ids(tokenizer, capitals) == self._ids(tokenizer, self._words)
        self._drawn: list[str] = []

    @staticmethod
    def _ids(tokenizer: Any, words: list[str]) -> list[list[int]]:
        return tokenizer(words, add_special_tokens=False)["input_ids"]

    def _count(self, tokenizer: Any, words: set[str]) -> dict[str, int]:
        listed = sorted(words)
        ids = self._ids(tokenizer, listed)
        return {word: len(i) for word, i in zip(listed, ids, strict=True)}

    def _draw(self) -> str:
        if not self._drawn:
            count = 1 << 14
            whole = _zipf(len(self._words), count, self._rng)
            joined = _zipf(len(self._compounds), count, self._rng)
            joins = self._rng.random(count) < _COMPOUND_SHARE
            self._drawn = [
                self._compounds[j] if join else self._words[i]
                for i, j, join in zip(whole, joined, joins, strict=True)
            ]
        return self._drawn.pop()

    def sentence(self, tokens: int) -> str:
        """A sentence of so many tokens, a full stop among them where there is room."""
        words: list[str] = []
        left = tokens - 1 if tokens > 1 else tokens
        while left > 0:
            word = self._draw()
            if self._tokens[word] > left:
                word = self._shortest
            words.append(word)
            left -= self._tokens[word]
        text = " ".join(words)
        if self._capital:
            text = text[:1].upper() + text[1:]
        return text + " ." if tokens > 1 else text


def _zipf(words: int, count: int, rng: np.random.Generator) -> list[int]:
    """Draws of word numbers below `words`, number r about as likely as 1 / (r + 3)."""
    if words == 0:
        return []
    weights = 1 / (np.arange(words) + 3)
    return rng.choice(words, count, p=weights / weights.sum()).tolist()
