"""Cleaning, splitting and WordPiece equal the Rust library's, on a made-up vocabulary."""

import random

import pytest
from tokenizer_support import SPECIAL, VOCAB, encode_rows, random_text
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from ftcore.tokenization import BertTokenizer

OPTIONS = [
    {"do_lower_case": lower, "strip_accents": strip, "tokenize_chinese_chars": cjk}
    for lower in (True, False)
    for strip in (None, True, False)
    for cjk in (True, False)
]


def rust_tokenizer(do_lower_case=True, strip_accents=None, tokenize_chinese_chars=True):
    tokenizer = Tokenizer(models.WordPiece(VOCAB, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=tokenize_chinese_chars,
        strip_accents=strip_accents,
        lowercase=do_lower_case,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


@pytest.mark.parametrize("options", OPTIONS)
def test_random_texts_become_the_same_ids_and_back(options):
    ours, rust = BertTokenizer(VOCAB, **options), rust_tokenizer(**options)
    rng = random.Random(str(options))
    texts = [random_text(rng) for _ in range(500)]
    ids = ours(texts, add_special_tokens=False)["input_ids"]
    assert ids == [encoding.ids for encoding in rust.encode_batch(texts)]
    assert ours.decode(ids) == rust.decode_batch(ids, skip_special_tokens=False)
    assert ours.decode(ids, skip_special_tokens=True) == rust.decode_batch(ids)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 101, 200])
@pytest.mark.parametrize("letter", ["a", "é", "中", "😀"])
def test_words_of_any_length(letter, length):
    ours, rust = BertTokenizer(VOCAB), rust_tokenizer()
    for text in (letter * length, f"{letter * length} b", f"b,{letter * length}"):
        assert ours.encode(text, add_special_tokens=False) == rust.encode(text).ids


def test_a_word_means_the_same_the_second_time():
    tokenizer = BertTokenizer(VOCAB)
    text = "unaffable Hello don't embeddings Straße thethethethe " * 3
    first, again = tokenizer.encode(text), tokenizer.encode(text)
    assert first == again == rust_ids(text)


def rust_ids(text):
    ids = rust_tokenizer().encode(text).ids
    return [VOCAB["[CLS]"], *ids, VOCAB["[SEP]"]]


def test_more_distinct_words_than_are_remembered():
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(1, 16))) for _ in range(40_000)]
    text = " ".join(words + words)
    assert BertTokenizer(VOCAB).encode(text) == rust_ids(text)


def test_a_long_run_of_combining_marks_is_put_in_order():
    text = "a" + "\u302e\U0001d165\u0301\u0323" * 50
    options = {"strip_accents": True}
    ours = BertTokenizer(VOCAB, **options)
    assert ours._core.normalize(text) == rust_tokenizer(**options).normalizer.normalize_str(text)


def test_nul_characters_are_dropped():
    assert BertTokenizer(VOCAB).encode("the\x00 \x00un\x00able") == rust_ids("the unable")


def test_the_number_of_threads_does_not_show():
    rng = random.Random(1)
    texts = [random_text(rng) for _ in range(300)]
    core = BertTokenizer(VOCAB)._core
    expected = encode_rows(core, texts, texts[::-1], threads=1)
    for threads in (2, 3, 8):
        got = encode_rows(core, texts, texts[::-1], threads=threads)
        assert got.ids.tolist() == expected.ids.tolist()
        assert got.offsets.tolist() == expected.offsets.tolist()


def test_rows_are_end_to_end_in_flat_arrays():
    rows = encode_rows(BertTokenizer(VOCAB)._core, ["the", "", "un able"])
    cls, sep = VOCAB["[CLS]"], VOCAB["[SEP]"]
    assert rows.ids.dtype == "int32"
    assert rows.offsets.tolist() == [0, 3, 5, 9]
    assert rows.ids[:5].tolist() == [cls, VOCAB["the"], sep, cls, sep]
    assert len(rows) == 3
    assert rows.width == 4
