"""Hypothesis strategies for texts of every script and oddity, and a vocabulary that knows them.

Alphabets are samples of 128 code points of each script: small enough to draw from evenly, and for
their characters, continuations and pieces to be in the vocabulary. ``any_code_points`` covers the
rest of Unicode evenly.
"""

import itertools
import random
import unicodedata

from hypothesis import strategies as st
from tokenizer_support import SPECIAL


def _sample(*ranges: tuple[int, int], most: int = 128) -> str:
    """At most ``most`` of the assigned characters in the ranges, at even distances."""
    codes = itertools.chain.from_iterable(range(low, high + 1) for low, high in ranges)
    assigned = [chr(c) for c in codes if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    return "".join(assigned[:: -(-len(assigned) // most)])


SCRIPTS = {
    "ascii": "".join(map(chr, range(0x20, 0x7F))),
    "lower case": "abcdefghijklmnopqrstuvwxyz",
    "latin": _sample((0xC0, 0x24F), (0x1E00, 0x1EFF)),
    "greek": _sample((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "cyrillic": _sample((0x400, 0x52F)),
    "hebrew": _sample((0x591, 0x5F4), (0xFB1D, 0xFB4F)),
    "arabic": _sample((0x600, 0x6FF), (0xFB50, 0xFBFF), (0xFE70, 0xFEFE)),
    "devanagari": _sample((0x900, 0x97F)),
    "indic": _sample((0x980, 0xDFF)),
    "thai and lao": _sample((0xE01, 0xEDF)),
    "tibetan to khmer": _sample((0xF00, 0x109F), (0x1780, 0x17F9)),
    "hangul": _sample((0xAC00, 0xD7A3)),
    "jamo": _sample((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xD7B0, 0xD7FB)),
    "kana": _sample((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF65, 0xFF9F)),
    "ideographs": _sample((0x3400, 0x4DB5), (0x4E00, 0x9FCC), (0x2E80, 0x2FD5)),
    "more ideographs": _sample((0x20000, 0x2A6D6), (0x2A700, 0x2CEA1), (0x2CEB0, 0x323AF)),
    "compatibility": _sample((0xF900, 0xFAFF), (0x2F800, 0x2FA1D), (0xFB00, 0xFB06)),
    "full width": _sample((0xFF01, 0xFF5E), (0xFFE0, 0xFFEE)),
    "symbols": _sample((0xA1, 0xBF), (0x2010, 0x27FF), (0x1D400, 0x1D7FF)),
    "other planes": _sample((0x10280, 0x10FFF), (0x11000, 0x11FFF), (0x1E900, 0x1E959)),
    "emoji": _sample((0x1F300, 0x1FAFF), (0x2600, 0x27BF)),
}
MARKS = _sample((0x300, 0x36F), most=40) + (
    # of many combining classes: overlays, nuktas, viramas, vowels, attached, above, below, iota
    "\u0345\u0334\u0338\u093c\u094d\u05b0\u05b4\u064b\u0651\u0670\u0711\u0e38\u0e48\u0f71\u0f72"
    "\u1dfa\u302a\u302e\u3099\u309a\u20d0\u20dd\u0483\u0488\u1ab0\u1abe\ufe20\ua66f"
    # spacing ones (Mc), which stay, some with compositions
    "\u0903\u093e\u09be\u0bbe\u0cc2\u0d3e\u0dcf\u102c\U0001d165\U0001d16d\U0001d157\U0001d15e"
)
SPACES = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2003\u2007\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000\ufeff\u200b\u2060"
)
ODDITIES = (
    "\x00\x01\x07\x1b\x7f\x80\x9f\xad\u061c\u200c\u200d\u200e\u202e\u2066\ufff9\ufffd\ufffe\uffff"
    "\ufdd0\U0001fffe\U0010ffff\ue000\uf8ff\U000f0000\U00100000\u0378\u0530\u2fe0\U000e0001"
    "\U000e0041\ufe0f\ufe0e\u180b\U000e0100\u034f\u115f\u3164\uffa0"
)
EMOJI_SEQUENCES = [
    "👩\u200d👩\u200d👧\u200d👦",
    "👨🏽\u200d🚀",
    "👍🏿",
    "🇫🇷🇯🇵",
    "🇫",
    "1\ufe0f\u20e3",
    "#\u20e3",
    "❤\ufe0f\u200d🔥",
    "☺\ufe0e",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
]
WORDS = [
    *["the", "un", "aff", "able", "hello", "em", "bed", "ding", "s", "don", "strasse", "ing"],
    *["Straße", "naïve", "İstanbul", "ﬁancé", "Ωmega", "ΣΑΣ", "привет", "Й", "שלום", "مرحبا"],
    *["नमस्ते", "สวัสดี", "한국어", "日本語", "ガギグ", "don't", "Å", "Ǆ", "e\u0301\u0323"],
]
SPECIAL_TOKENS = [
    *SPECIAL,
    *["[sep]", "[Mask]", "[SEP", "MASK]", "[[SEP]]", "[ SEP ]", "[SE", "##ing", "##", "[UNK][UNK]"],
]
VANISHING_CONTENTS = ["\x00", "\u0301", "\u0345", "\u200d", "\ufffd"]
"""What may normalise to nothing."""
ADDED_CONTENTS = [
    *["<x>", "<x><y>", "<x>y", "><", "x", "the", "The", "the un", "a b", "ab", "##s", "[MASK]"],
    *["[SEP]", "[SEP]x", "[X]", " ", " a", "a ", "\t", "\u3000", " <x>", "!", "...", "_", "1"],
    *["é", "É", "e\u0301", "\u0301a", "İ", "ß", "ﬁ", "Å", "中", "中文", "한", "\u1100"],
    *["<\x00x>", "👍", "नि", "Σ", "٣"],
    *VANISHING_CONTENTS,
]
"""Contents of added tokens: overlapping ones, and ones that normalise to others or to nothing."""


def _vocabulary() -> dict[str, int]:
    """Characters of all scripts but each ninth, in all their forms, and longer pieces of them."""
    rng = random.Random(0)
    known, pieces = [], []
    for alphabet in SCRIPTS.values():
        letters = [c for i, c in enumerate(alphabet) if i % 9 != 8 and not c.isspace()]
        known += letters
        pieces += ["".join(rng.choices(letters, k=rng.choice([2, 2, 3, 4]))) for _ in range(25)]
    known += [c for i, c in enumerate(MARKS + ODDITIES) if i % 9 != 8]
    spelled = [*known, *pieces, *WORDS, *("".join(rng.choices(known, k=2)) for _ in range(100))]
    forms = []
    for text in spelled:
        decomposed = unicodedata.normalize("NFD", text)
        bare = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        forms += [text, text.lower(), decomposed, bare, bare.lower(), *decomposed.lower()]
    tokens = dict.fromkeys([*SPECIAL, *forms, *(f"##{form}" for form in forms if form)])
    return {token: id for id, token in enumerate(token for token in tokens if token)}


POLYGLOT = _vocabulary()
PIECES = [token.removeprefix("##") for token in POLYGLOT if len(token.removeprefix("##")) > 1]

any_code_points = st.lists(
    st.integers(0, 0x10FFFF - 0x800).map(lambda i: chr(i if i < 0xD800 else i + 0x800)),
    min_size=1,
    max_size=12,
).map("".join)
marked = st.builds(
    str.__add__, st.text(SCRIPTS["lower case"], max_size=1), st.text(MARKS, min_size=1, max_size=6)
)
words_near_the_limit = st.builds(
    lambda unit, count, tail: unit * count + tail,
    st.sampled_from(["a", "é", "e\u0301", "б", "\u0301", "가", "ﷺ", "x\x00", "ß", "👍"]),
    st.integers(98, 102),
    st.sampled_from(["", "", "b", "\u0301", "é", "\x00"]),
)
known_words = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)
special_contents = st.sampled_from([*SPECIAL_TOKENS, *ADDED_CONTENTS])
pieces = st.one_of(
    *(st.text(alphabet, min_size=1, max_size=10) for alphabet in SCRIPTS.values()),
    *[known_words] * 6,
    *[special_contents] * 6,
    *[marked] * 2,
    st.text(SPACES, min_size=1, max_size=4),
    st.text(ODDITIES, min_size=1, max_size=4),
    st.text(SPACES + ODDITIES + MARKS + "ab.", min_size=1, max_size=12),
    st.sampled_from(EMOJI_SEQUENCES),
    words_near_the_limit,
    *[any_code_points] * 2,
)
gaps = st.sampled_from(
    ["", "", "", " ", " ", " ", "  ", "\t", "\u3000", "\x0b", "\u200d", ".", "_"]
)
short_texts = st.lists(st.tuples(pieces, gaps).map("".join), max_size=6).map("".join)
long_texts = st.builds(
    lambda text, count: (text * count)[:4000], short_texts, st.integers(50, 1000)
)
texts = st.integers(0, 49).flatmap(lambda i: long_texts if i == 49 else short_texts)

words = st.one_of(pieces, pieces, short_texts, st.just(""), st.sampled_from([" ", "the un"]))
"""Words of texts that are split already: they may hold spaces, or be empty or special tokens."""
split_texts = st.lists(words, max_size=8)

broken_texts = st.builds(
    lambda before, surrogate, after: before + chr(surrogate) + after,
    st.one_of(st.just(""), pieces),
    st.integers(0xD800, 0xDFFF),
    st.one_of(st.just(""), pieces),
)
"""Texts with a lone surrogate."""
