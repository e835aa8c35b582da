"""A made-up vocabulary, random texts, and comparing two tokenizers' answers to a call."""

import random

import numpy as np

from ftcore import _core

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [
    *"abcdefghijklmnopqrstuvwxyzABCXYZéèüñß0123456789.,!?'-()[]{}$^`~éа中文日本한ア",
    *["the", "un", "aff", "able", "hello", "em", "bed", "ding", "s", "don", "strasse", "Straße"],
    *["\u1100", "\u1161", "\u11a8", "\u0915", "\u093e", "\U0001d157", "\U0001d165", "😀"],
]
VOCAB = {
    token: id
    for id, token in enumerate(dict.fromkeys([*SPECIAL, *PIECES, *[f"##{p}" for p in PIECES]]))
}
RANGES = [
    (0x20, 0x7E),  # ASCII
    (0x61, 0x7A),
    (0x00, 0x1F),  # controls
    (0x80, 0x24F),  # Latin
    (0x300, 0x36F),  # combining marks
    (0x370, 0x52F),  # Greek, Cyrillic
    (0x590, 0x6FF),  # Hebrew, Arabic
    (0x900, 0xDFF),  # Indic
    (0xE00, 0xFFF),  # Thai, Lao, Tibetan
    (0x1100, 0x11FF),  # Hangul jamo
    (0x1E00, 0x1FFF),  # Latin and Greek, precomposed
    (0x2000, 0x206F),  # general punctuation
    (0x3000, 0x30FF),  # kana
    (0x4E00, 0x9FFF),  # ideographs
    (0xAC00, 0xD7A3),  # Hangul syllables
    (0xF900, 0xFAFF),  # compatibility ideographs
    (0xFE00, 0xFFFF),  # presentation forms, specials
    (0x16F00, 0x16FFF),
    (0x1D100, 0x1D1FF),  # musical symbols, with marks that are not nonspacing
    (0x1F300, 0x1FAFF),  # emoji
    (0x20000, 0x2CFFF),  # more ideographs
    (0x00, 0x10FFFF),
]
WORDS = [
    *["the", "unaffable", "naïve", "Ångström", "résumé", "don't", "hello", "EMBEDDINGS", "Straße"],
    *["[SEP]", "[MASK]", "[CLS]", "[PAD]", "[UNK]", "[sep]", " [MASK] ", "[SEP", "##ing"],
    *[
        "😀",
        "👩\u200d👩\u200d👧",
        "\u200d",
        "中文",
        "日本語",
        "한국어",
        "İstanbul",
        "ﬁ",
        "e\u0301\u0323",
    ],
    *["a" * 100, "b" * 101, "é" * 101, "x" * 16, "y" * 17, "...", "$", "^", "`", "~"],
    *[
        " ",
        "\t",
        "\n",
        "\r\n",
        "\x0b",
        "\x0c",
        "\x85",
        "\xa0",
        "\u2028",
        "\u3000",
        "\x00",
        "\ufffd",
    ],
]


def random_text(rng: random.Random, words: list[str] = WORDS) -> str:
    """Words and stretches of one script or another, some of them run together."""
    pieces = []
    for _ in range(rng.choice([0, 1, 2, 3, 5, 8, 13, 30])):
        if rng.random() < 0.5:
            pieces.append(rng.choice(words))
        else:
            low, high = rng.choice(RANGES)
            codes = (rng.randint(low, high) for _ in range(rng.randint(1, rng.choice([1, 3, 20]))))
            pieces.append("".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000))
        if rng.random() < 0.6:
            pieces.append(" ")
    return "".join(pieces)


def encode_rows(core, texts, pairs=None, **options):
    """What a C tokenizer makes of a list of texts."""
    options = _core.EncodeOptions((("input_ids", 0),), **options)
    return core.encode(options, texts, pairs, True)


def assert_same(ours, theirs) -> None:
    """Both hold the same columns in the same order, with equal contents of equal kinds."""
    assert list(ours.keys()) == list(theirs.keys())
    for key in theirs:
        mine, other = ours[key], theirs[key]
        if isinstance(other, list) or not hasattr(other, "dtype"):
            assert mine == other, key
        elif other.dtype == object:
            assert mine.dtype == object
            assert [row.tolist() for row in mine] == [row.tolist() for row in other], key
        else:
            assert type(mine) is type(other)
            assert mine.dtype == other.dtype
            assert mine.shape == other.shape
            assert np.array_equal(np.asarray(mine), np.asarray(other)), key
