"""Every code point, alone and within a word, is treated as the Rust library treats it."""

import random

import pytest
from tokenizer_support import assert_same, random_text

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def load(name, **options):
    import transformers

    import ftcore.tokenization

    return (
        ftcore.tokenization.AutoTokenizer.from_pretrained(name, **options),
        transformers.AutoTokenizer.from_pretrained(name, **options),
    )


@pytest.mark.parametrize("strip_accents", [True, False])
@pytest.mark.parametrize("lowercase", [True, False])
def test_normalising_every_code_point(lowercase, strip_accents):
    from tokenizer_support import VOCAB
    from tokenizers import normalizers

    from ftcore.tokenization import BertTokenizer

    core = BertTokenizer(VOCAB, do_lower_case=lowercase, strip_accents=strip_accents)._core
    rust = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    for code in CODE_POINTS:
        text = f"a\u0345{chr(code)}\u0334b"  # between the marks that NFD puts last and first
        assert core.normalize(text) == rust.normalize_str(text), hex(code)


@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased"])
def test_tokenizing_every_code_point(hub, name):
    ours, theirs = load(name)
    for start in range(0, len(CODE_POINTS), 64):
        characters = [chr(c) for c in CODE_POINTS[start : start + 64]]
        # one text for many code points: alone, and within a word
        text = " ".join(characters) + " " + " ".join(f"a{c}b" for c in characters)
        expected = theirs.backend_tokenizer.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, add_special_tokens=False) == expected, hex(ord(characters[0]))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bert-base-uncased", {}),
        ("bert-base-cased", {}),
        ("distilbert-base-uncased", {}),
        ("minilm", {}),
        ("bert-base-uncased", {"strip_accents": False}),
        ("bert-base-cased", {"strip_accents": True}),
        ("bert-base-uncased", {"tokenize_chinese_chars": False}),
        ("bert-base-uncased", {"do_lower_case": False}),
    ],
)
def test_random_texts(hub, name, options):
    ours, theirs = load(name, **options)
    rng = random.Random(f"{name}{options}")
    firsts = [random_text(rng) for _ in range(300)]
    seconds = [random_text(rng) for _ in range(300)]
    for call in (
        {},
        {"truncation": True, "max_length": 16, "padding": "max_length"},
        {"truncation": True, "max_length": 9, "add_special_tokens": False},
    ):
        assert_same(ours(firsts, **call), theirs(firsts, **call))
        assert_same(ours(firsts, seconds, **call), theirs(firsts, seconds, **call))
    ids = ours(firsts)["input_ids"]
    assert ours.batch_decode(ids) == theirs.batch_decode(ids)
