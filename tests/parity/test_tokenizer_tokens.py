"""Decoding, and tokens to ids and back, as transformers does them."""

import random

import numpy as np
import pytest
import torch
from side_by_side import Pair
from tokenizer_support import SPECIAL, VOCAB, random_text

from ftcore.tokenization import conversion

THE, UN = VOCAB["the"], VOCAB["un"]
SIZE = len(VOCAB)


@pytest.mark.parametrize(
    "ids",
    [
        *[[], [THE], [2, THE, UN, 3], (THE, UN), range(5), THE, True, [True, False], np.int64(THE)],
        *[
            np.array(THE),
            np.array([THE, UN]),
            np.array([[THE], [UN]]),
            np.array([]),
            np.array([1.5]),
        ],
        *[np.zeros((2, 0), int), np.zeros((0, 2), int), np.array([THE], np.uint8)],
        *[torch.tensor(THE), torch.tensor([THE, UN]), torch.tensor([[THE], [UN]])],
        *[torch.tensor([1.5]), [torch.tensor(THE)], [torch.tensor([THE]), torch.tensor([UN, 3])]],
        *[[np.int64(THE), np.int32(UN)], [np.array([THE]), np.array([UN, 3])], [[torch.tensor(7)]]],
        *[[[THE], [UN, 3]], [(THE,), [UN]], ((THE,), (UN,)), [[]], [[], [THE]], [[THE], UN]],
        *[[UN, [THE]], [[[THE]]], [[THE], None], [None], None, "a", "12", ["a"], 1.0, [1.0]],
        *[{THE}, iter([THE]), {"input_ids": [THE]}, {"a": [THE]}, {}],
        *[-1, [-1], [[THE], [-1]], [SIZE], [SIZE, THE], [2**32 - 1], [2**32], [2**70]],
    ],
)
def test_what_may_be_decoded(pair, ids):
    if isinstance(ids, type(iter([]))):
        pair.assert_alike(lambda t, _: t.decode(iter([THE])))
    else:
        pair.assert_alike(lambda t, _: t.decode(ids))
        pair.assert_alike(lambda t, _: t.decode(ids, skip_special_tokens=True))
        pair.assert_alike(lambda t, _: t.batch_decode(ids))


def test_a_call_s_result_may_be_decoded(pair, tokenizer):
    pair.assert_alike(lambda t, _: t.decode(t("the un")))
    # transformers takes one row of them alone.
    assert tokenizer.decode(tokenizer(["the", "un"])) == ["[CLS] the [SEP]", "[CLS] un [SEP]"]
    assert tokenizer.batch_decode(tokenizer(["the"], return_tensors="np")) == ["[CLS] the [SEP]"]


def test_a_lone_sequence_is_no_batch(tokenizer, caplog):
    conversion._warn_of_single_sequence.cache_clear()  # it is said once
    assert tokenizer.batch_decode([THE]) == tokenizer.batch_decode([THE]) == ["the"]
    assert caplog.text.count("use `decode` instead") == 1


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([-1], OverflowError, "got -1"),
        ([[1], [2**32]], OverflowError, "got 4294967296"),
        ([1.0], TypeError, "not float"),
        ([[1], ["a"]], TypeError, "not str"),
        ("12", TypeError, "a list of int, not str"),
    ],
)
def test_what_is_no_id_is_named(tokenizer, ids, error, message):
    with pytest.raises(error, match=message):
        tokenizer.decode(ids)


@pytest.mark.parametrize("clean_up", [None, False, True])
@pytest.mark.parametrize("skip", [False, True])
def test_random_ids(pair, skip, clean_up):
    rng = random.Random(3)
    rows = [[rng.randrange(SIZE + 5) for _ in range(rng.randrange(12))] for _ in range(300)]
    rows += [[0, 2, 3, 0], [3, VOCAB["##s"], 0], [VOCAB["##s"]], [SIZE, VOCAB["##s"], THE]]
    pair.assert_alike(
        lambda t, _: t.batch_decode(
            rows, skip_special_tokens=skip, clean_up_tokenization_spaces=clean_up
        )
    )


def test_cleaning_up(pair):
    words = [".", "?", "!", ",", "'", "n't", "'m", "not", "'s", "'ve", "'re", "x ' y", "do not"]
    text = " ".join(word for first in ["do", *words] for word in (first, *words))
    pair.assert_alike(lambda t, _: t.clean_up_tokenization(text))

    def added(t, _):
        t.add_tokens(words)
        ids = t.convert_tokens_to_ids([*words, "the", *words])
        t.clean_up_tokenization_spaces = True
        return t.decode(ids), t.decode(ids, clean_up_tokenization_spaces=False)

    pair.assert_alike(added)


@pytest.mark.parametrize(
    "tokens",
    [
        *[[], ["the"], ["the", "##s"], ["##s", "##s"], ["a", "."], ["x ' y"], ("the",), ["", "a"]],
        *["the", "", None, [None], [1], ["a", b"b"], np.array(["the", "##s"]), ["nowhere"]],
    ],
)
def test_tokens_to_text(pair, tokens):
    pair.assert_alike(lambda t, _: t.convert_tokens_to_string(tokens))


@pytest.mark.parametrize(
    "tokens",
    [
        *["the", "nowhere", "", [], ["the", "nowhere"], ("the",), None, 5, [5], [None], b"the"],
        *[[["the"]], {"the": 1}, np.array(["the", "un"]), ["[CLS]", "[cls]"], "##s"],
    ],
)
def test_tokens_to_ids(pair, tokens):
    pair.assert_alike(lambda t, _: t.convert_tokens_to_ids(tokens))


@pytest.mark.parametrize(
    "ids",
    [
        *[0, THE, SIZE, -1, 2**32, True, np.int64(7), np.array(7), torch.tensor(7), 7.0, None],
        *[[], [0, THE, SIZE], [-1], [2**32], [7.9], ["7"], "7", "78", "a", [None], [[7]]],
        *[range(8), (7, 8), np.array([7, 8]), torch.tensor([7, 8]), [torch.tensor(7)], {7: 8}],
    ],
)
@pytest.mark.parametrize("skip", [False, True])
def test_ids_to_tokens(pair, ids, skip):
    pair.assert_alike(lambda t, _: t.convert_ids_to_tokens(ids, skip_special_tokens=skip))


def test_the_vocabulary(pair):
    pair.assert_alike(lambda t, _: (len(t), t.vocab_size, bool(t), sorted(t.get_vocab().items())))
    pair.assert_alike(lambda t, _: t.vocab == t.get_vocab())
    pair.assert_alike(lambda t, _: (t.added_tokens_decoder, list(t.added_tokens_encoder.items())))
    pair.assert_alike(lambda t, _: "the" in t)
    pair.assert_alike(lambda t, _: t["the"])


def test_what_is_returned_is_a_copy(pair):
    def change(t, _):
        t.get_vocab().clear()
        t.added_tokens_decoder.clear()
        t.added_tokens_encoder.clear()
        t.extra_special_tokens.append("the")
        t.special_tokens_map.clear()
        return len(t), t.decode([0]), len(t.added_tokens_decoder), t.all_special_tokens

    pair.assert_alike(change)


@pytest.mark.parametrize("is_pair", [False, True])
def test_lengths(pair, is_pair):
    pair.assert_alike(lambda t, _: t.num_special_tokens_to_add(is_pair))

    def limited(t, _):
        t.model_max_length = 20
        return t.max_len_single_sentence, t.max_len_sentences_pair

    pair.assert_alike(limited)


@pytest.mark.parametrize(
    ("ids", "more"),
    [
        *[([0, THE, 2, 3, SIZE], None), ([], None), (torch.tensor([0, THE]), None)],
        *[(5, None), ([None], None), (["0"], None), ([0.5], None), ([0], [1]), ([0], [])],
    ],
)
def test_mask_of_ids_that_have_their_special_tokens(pair, ids, more):
    pair.assert_alike(lambda t, _: t.get_special_tokens_mask(ids, more, True))


def test_special_tokens_around_ids_as_a_call_puts_them(tokenizer):
    """Version 4 of transformers had these methods; version 5 dropped them, or half of them."""
    plain = tokenizer(["the un", "a"], add_special_tokens=False)["input_ids"]
    for texts, ids in ((["the un"], plain[:1]), (["the un", "a"], plain)):
        called = tokenizer(*texts, return_special_tokens_mask=True)
        assert tokenizer.build_inputs_with_special_tokens(*ids) == called["input_ids"]
        assert tokenizer.create_token_type_ids_from_sequences(*ids) == called["token_type_ids"]
        assert tokenizer.get_special_tokens_mask(*ids) == called["special_tokens_mask"]
    assert tokenizer.build_inputs_with_special_tokens([], []) == [2, 3, 3]


@pytest.mark.parametrize(
    "name", ["bert-base-uncased", "bert-base-cased", "distilbert-base-uncased", "minilm"]
)
def test_real_vocabularies(hub_folder, name):
    pair = Pair(hub_folder / name)
    rng = random.Random(name)
    texts = [random_text(rng) for _ in range(200)]
    pair.assert_alike(lambda t, _: t.batch_decode(t(texts)["input_ids"]))
    pair.assert_alike(lambda t, _: t.batch_decode(t(texts)["input_ids"], skip_special_tokens=True))
    ids = [rng.randrange(31000) for _ in range(20000)]
    pair.assert_alike(lambda t, _: t.decode(ids))
    pair.assert_alike(lambda t, _: t.decode(ids, clean_up_tokenization_spaces=True))
    pair.assert_alike(lambda t, _: t.convert_ids_to_tokens(ids))
    pair.assert_alike(lambda t, _: t.convert_tokens_to_ids(sorted(t.get_vocab())))
    pair.assert_alike(lambda t, _: repr(t).replace(str(hub_folder), ""))
    pair.assert_alike(lambda t, _: [t.convert_tokens_to_ids(token) for token in SPECIAL])
