"""Added and special tokens in raw text are found where the Rust library finds them."""

import itertools
import random

import pytest
import tokenizers
from tokenizer_support import SPECIAL, VOCAB, encode_rows, random_text
from tokenizers import models, normalizers, pre_tokenizers

from ftcore import _core
from ftcore.tokenization import AddedToken, BertTokenizer
from ftcore.tokenization.pipeline import Pipeline

FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
CONTENTS = ["[SEP]", "<x>", "<x><y>", "the", "the un", "É", " a", "中", "##s", "[MASK]"]


def both(tokens, lowercase=True):
    """ftcore's C core and the Rust library, with the same vocabulary and added tokens."""
    pipeline = Pipeline(_core.Vocabulary(VOCAB), lowercase=lowercase)
    pipeline.add(tokens)
    rust = tokenizers.Tokenizer(models.WordPiece(VOCAB, unk_token="[UNK]"))
    rust.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.add_tokens([tokenizers.AddedToken(**token.to_dict()) for token in tokens])
    assert {id: str(t) for id, t in pipeline.added_tokens.items()} == {
        id: t.content for id, t in rust.get_added_tokens_decoder().items()
    }
    return pipeline.build(), rust


def assert_found_alike(tokens, texts, lowercase=True):
    core, rust = both(tokens, lowercase)
    rows = encode_rows(core, texts)
    ids, ends = rows.ids.tolist(), rows.offsets.tolist()
    traced = rows.traced()
    offsets, words = traced.column(6), traced.column(5)
    for i, encoding in enumerate(rust.encode_batch(texts)):
        assert ids[ends[i] : ends[i + 1]] == encoding.ids, (texts[i], tokens)
        assert offsets[i] == encoding.offsets, (texts[i], tokens)
        assert words[i] == encoding.word_ids, (texts[i], tokens)
    assert traced.ids.tolist() == ids


def special_tokens():
    return [AddedToken.special_token(content) for content in SPECIAL]


def test_special_tokens_are_case_sensitive_and_split_words():
    texts = ["the[SEP]un", "[sep]", "[SEP][SEP]", "[SEP", "[ SEP ]", "[SE[SEP]P]", "a [MASK]. b"]
    assert_found_alike(special_tokens(), texts)


@pytest.mark.parametrize("flags", list(itertools.product((False, True), repeat=4)))
def test_every_combination_of_flags(flags):
    token = AddedToken("<x>", **dict(zip(FLAGS, flags, strict=True)))
    around = ["", " ", "  ", "a", "é", "_", ".", "\t\n", "\u3000", "中", "\u0301", "٣", "\u200d"]
    texts = [f"{left}<x>{right}" for left in around for right in around]
    texts += ["<x><x>", "<x> <x>", " <x>  <x> ", "<X>", "<x", "a <x>b <x> c<x>"]
    assert_found_alike([token], texts)


@pytest.mark.parametrize("normalized", [False, True])
def test_a_token_in_the_white_space_that_another_takes(normalized):
    tokens = [AddedToken("<x>", rstrip=True, normalized=normalized)]
    tokens.append(AddedToken(" a", normalized=normalized))
    assert_found_alike(tokens, ["é <x>   a b", "<x> a <x>\u3000 a the", "<x> \t a a <x>"])


@pytest.mark.parametrize("normalized", [False, True])
def test_white_space_belongs_to_one_token(normalized):
    tokens = [AddedToken("<x>", rstrip=True, normalized=normalized)]
    tokens.append(AddedToken(" ", lstrip=True, normalized=normalized))
    assert_found_alike(tokens, ["<x> ", "é<x> a", "a  <x> ", " a"])
    # Where the first takes several spaces, the Rust library panics.
    rows = encode_rows(both(tokens)[0], ["<x>   a b"])
    x, space = len(VOCAB), len(VOCAB) + 1
    assert rows.ids.tolist() == [x, VOCAB["a"], space, VOCAB["b"]]
    assert rows.traced().column(6) == [[(0, 6), (6, 7), (7, 8), (8, 9)]]


@pytest.mark.parametrize("normalized", [False, True])
def test_a_token_that_has_lost_its_white_space(normalized):
    tokens = [AddedToken("<x>", rstrip=True, normalized=normalized)]
    tokens.append(AddedToken(" a", lstrip=True, normalized=normalized))
    core, rust = both(tokens)
    traced = encode_rows(core, ["<x>   a b  a"]).traced()
    assert traced.spaced == {0: "<x>   ", 1: "a", 3: "  a"}
    assert rust.encode("<x>   a b  a").tokens == ["<x>   ", "a", "b", "  a"]


def test_every_word_character():
    codes = [c for c in range(0, 0x11000) if not 0xD800 <= c < 0xE000]
    token = AddedToken("<x>", single_word=True, normalized=False)
    assert_found_alike([token], [f"{chr(c)}<x>" for c in codes], lowercase=False)


def test_random_tokens_in_random_texts():
    rng = random.Random(7)
    for _ in range(150):
        tokens = []
        for content in rng.sample(CONTENTS, rng.randint(1, 5)):
            flags = {name: rng.random() < 0.4 for name in FLAGS}
            tokens.append(AddedToken(content, **flags))
        words = [*CONTENTS, "thé", "THE UN", "X", "<", ">", " ", "  ", "a", "é", "\t"]
        texts = [random_text(rng, words) for _ in range(20)]
        assert_found_alike(tokens, texts, lowercase=rng.random() < 0.5)


def test_new_tokens_get_the_next_ids():
    tokenizer = BertTokenizer(VOCAB, extra_special_tokens=["<one>", "the", "<two>"])
    size = len(VOCAB)
    assert tokenizer.convert_tokens_to_ids(["<one>", "the", "<two>"]) == [
        size,
        VOCAB["the"],
        size + 1,
    ]
    assert (tokenizer.vocab_size, len(tokenizer)) == (size, size + 2)
    ids = tokenizer.encode("a<two>the", add_special_tokens=False)
    assert ids == [VOCAB["a"], size + 1, VOCAB["the"]]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a"
