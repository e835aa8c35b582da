"""The forms of a tokenizer's call equal transformers', on a made-up vocabulary."""

import itertools
import logging
import warnings

import numpy as np
import pytest
import torch
import transformers
from tokenizer_support import VOCAB, assert_same

from ftcore.tokenization import (
    AutoTokenizer,
    BatchEncoding,
    BertTokenizer,
    DistilBertTokenizer,
    call,
)

TEXTS = ["the un able", "Hello, the embeddings!", "", "don't"]
SECONDS = ["a b", "", "the hello the hello the", "x"]


@pytest.fixture
def ours():
    return BertTokenizer(VOCAB, model_max_length=16)


@pytest.fixture
def theirs():
    return transformers.BertTokenizer(VOCAB, model_max_length=16)


@pytest.mark.parametrize(
    "arguments",
    [
        ("the un able",),
        ("",),
        ("the", "un able"),
        ("the", ""),
        (TEXTS,),
        (tuple(TEXTS),),
        (TEXTS, SECONDS),
        (TEXTS, tuple(SECONDS)),
        (list(zip(TEXTS, SECONDS, strict=True)),),
        ([["the", "un"], "able"],),
        (["the", ["un", "able"], "s", "un"],),
        (["the"], [""]),
        ([""],),
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_special_tokens": False},
        {"padding": True},
        {"padding": "longest", "pad_to_multiple_of": 8},
        {"padding": "max_length"},
        {"padding": "max_length", "max_length": 12, "padding_side": "left"},
        {"padding": False, "truncation": False, "max_length": 4},
        {"padding": "do_not_pad"},
        {"truncation": True},
        {"truncation": True, "max_length": 7},
        {"truncation": "longest_first", "max_length": 6, "padding": "max_length"},
        {"truncation": True, "max_length": 3},
        {"truncation": True, "max_length": 2},
        {"truncation": True, "max_length": 0},
        {"max_length": 5},
        {"padding": True, "return_tensors": "np"},
        {"padding": True, "return_tensors": "pt"},
        {"padding": "max_length", "return_tensors": "pt", "truncation": True},
        {"return_tensors": "np"},
        {"return_token_type_ids": False, "return_attention_mask": False},
        {"padding": True, "return_special_tokens_mask": True, "return_length": True},
        {"padding": True, "return_tensors": "np", "return_length": True},
    ],
)
def test_every_form_of_call(ours, theirs, arguments, options):
    for side in ("right", "left"):
        ours.truncation_side = theirs.truncation_side = side
        assert_same(ours(*arguments, **options), theirs(*arguments, **options))


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("max_length", range(3, 14))
def test_truncation_of_pairs(ours, theirs, strategy, max_length):
    for first in range(6):
        for second in range(6):
            texts = "a " * first, "b " * second
            options = {"truncation": strategy, "max_length": max_length}
            try:
                expected = theirs([texts[0]], [texts[1]], **options)
            except Exception as error:
                assert "too short" in str(error)
                with pytest.raises(ValueError, match="too short"):
                    ours([texts[0]], [texts[1]], **options)
            else:
                assert_same(ours([texts[0]], [texts[1]], **options), expected)


def test_an_empty_batch_is_empty(ours):
    assert ours([]).data == {"input_ids": [], "token_type_ids": [], "attention_mask": []}
    assert ours([], padding=True, return_tensors="np")["input_ids"].shape == (0, 0)


def test_distilbert_has_no_token_types():
    assert list(DistilBertTokenizer(VOCAB)("the", "un")) == ["input_ids", "attention_mask"]


def test_one_warning_for_sequences_longer_than_the_model(ours, theirs, caplog):
    text = "the " * 20
    with caplog.at_level(logging.WARNING, logger="ftcore"):
        ours(text)
        ours(text)
        ours(text, truncation=True)
    (record,) = caplog.records
    assert "(22 > 16)" in record.getMessage()


def test_warns_that_max_length_is_ignored(ours):
    with pytest.warns(UserWarning, match="`max_length` is ignored"):
        ours("the", padding=True, max_length=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours("the", padding=True, max_length=5, verbose=False)


def test_encode_and_tokenize(ours, theirs):
    for arguments in (("the unable",), ("the", "un"), (["the", "un"],)):
        assert ours.encode(*arguments) == theirs.encode(*arguments)
    assert ours.encode("the", padding="max_length", max_length=6) == theirs.encode(
        "the", padding="max_length", max_length=6
    )
    for arguments in (("Hello [SEP] unaffable",), ("the", "un")):
        assert ours.tokenize(*arguments) == theirs.tokenize(*arguments)
    assert ours.tokenize("the", add_special_tokens=True) == ["[CLS]", "the", "[SEP]"]


def test_ids_tokens_and_text(ours, theirs):
    ids = ours.encode("Hello, the embeddings! don't [MASK]") + [10**6]
    for skip in (False, True):
        assert ours.decode(ids, skip_special_tokens=skip) == theirs.decode(
            ids, skip_special_tokens=skip
        )
        assert ours.convert_ids_to_tokens(ids, skip) == theirs.convert_ids_to_tokens(ids, skip)
    for clean in (False, True):
        assert ours.batch_decode([ids, ids[:3]], clean_up_tokenization_spaces=clean) == (
            theirs.batch_decode([ids, ids[:3]], clean_up_tokenization_spaces=clean)
        )
    for given in (torch.tensor(ids), np.array(ids), ids[1], np.array([ids, ids])):
        assert ours.decode(given) == theirs.decode(given)
    assert ours.convert_ids_to_tokens(3) == theirs.convert_ids_to_tokens(3)
    for tokens in ("the", "absent", ["the", "absent", "[SEP]"]):
        assert ours.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
    tokens = ["em", "##bed", "##s", "!"]
    assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)


@pytest.mark.parametrize(
    "name",
    [
        "vocab",
        "vocab_size",
        "special_tokens_map",
        "all_special_tokens",
        "all_special_ids",
        "model_max_length",
        "model_input_names",
        "padding_side",
        "truncation_side",
        "pad_token",
        "pad_token_id",
        "pad_token_type_id",
        "cls_token",
        "cls_token_id",
        "sep_token",
        "sep_token_id",
        "unk_token",
        "unk_token_id",
        "mask_token",
        "mask_token_id",
        "bos_token",
        "bos_token_id",
        "eos_token",
        "added_tokens_encoder",
        "extra_special_tokens",
        "is_fast",
        "clean_up_tokenization_spaces",
        "do_lower_case",
    ],
)
def test_attributes(ours, theirs, name):
    assert getattr(ours, name) == getattr(theirs, name)


def test_sizes(ours, theirs):
    assert len(ours) == len(theirs)
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.get_added_vocab() == theirs.get_added_vocab()
    for pair in (False, True):
        assert ours.num_special_tokens_to_add(pair) == theirs.num_special_tokens_to_add(pair)
    ids = ours.encode("the un")
    assert ours.get_special_tokens_mask(ids, already_has_special_tokens=True) == [1, 0, 0, 1]


def test_special_tokens_can_be_set(ours, theirs):
    for tokenizer in (ours, theirs):
        tokenizer.pad_token = "the"
    assert ours.pad_token_id == theirs.pad_token_id == VOCAB["the"]
    assert_same(ours(TEXTS, padding=True), theirs(TEXTS, padding=True))
    ours.pad_token_id = VOCAB["un"]
    assert ours.pad_token == "un"
    ours.pad_token = None
    with pytest.raises(ValueError, match="padding token"):
        ours(TEXTS, padding=True)


def rows_of(encoded):
    return [{key: encoded[key][i] for key in encoded} for i in range(len(encoded["input_ids"]))]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "max_length", "max_length": 20},
        {"padding": "max_length"},
        {"pad_to_multiple_of": 8, "return_tensors": "pt"},
        {"padding_side": "left", "return_tensors": "np"},
        {"padding": False},
    ],
)
def test_padding_afterwards(ours, theirs, options):
    encoded = ours(TEXTS, SECONDS, return_special_tokens_mask=True)
    for given in (dict(encoded), rows_of(encoded), rows_of(encoded)[0]):
        assert_same(ours.pad(given, **options), theirs.pad(given, **options))


def test_padding_makes_a_mask_unless_told_not_to(ours):
    assert ours.pad({"input_ids": [[2], [2, 3]]})["attention_mask"] == [[1, 0], [1, 1]]
    assert list(ours.pad({"input_ids": [[2]]}, return_attention_mask=False)) == ["input_ids"]


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_padding_arrays_gives_arrays(ours, theirs, make):
    rows = [{"input_ids": make([2, 5, 3])}, {"input_ids": make([2, 3])}]
    assert_same(ours.pad(rows), theirs.pad([dict(row) for row in rows]))


def test_padding_carries_other_columns_along(ours):
    rows = [{"input_ids": [2, 5, 3], "labels": 1}, {"input_ids": [2, 3], "labels": 0}]
    padded = ours.pad(rows, return_tensors="np")
    assert padded["labels"].tolist() == [1, 0]
    assert padded["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_padding_needs_input_ids(ours):
    with pytest.raises(ValueError, match="input_ids.*\\['labels'\\]"):
        ours.pad([{"labels": 1}])


def test_a_batch_encoding_is_a_mapping_with_attributes(ours):
    encoded = ours(TEXTS, padding=True, return_tensors="pt")
    assert isinstance(encoded, BatchEncoding)
    assert encoded.input_ids is encoded["input_ids"]
    assert list(encoded) == list(dict(**encoded)) == list(encoded.keys())
    assert "input_ids" in encoded and "labels" not in encoded
    assert encoded[1:3] == encoded.encodings[1:3]
    assert encoded.to("cpu") is encoded
    with pytest.raises(AttributeError, match="labels"):
        _ = encoded.labels
    assert BatchEncoding(encoded.data)[1:3]["input_ids"].shape[0] == 2
    with pytest.raises(KeyError, match="column"):
        _ = BatchEncoding(encoded.data)[0]


def test_a_batch_encoding_becomes_tensors_later(ours):
    encoded = ours("the un").convert_to_tensors("pt", prepend_batch_axis=True)
    assert encoded["input_ids"].shape == (1, 4)
    with pytest.raises(ValueError, match="padding=True"):
        ours(TEXTS, return_tensors="pt")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("the un able",), {}),
        ((TEXTS,), {"truncation": True, "max_length": 5}),
        ((TEXTS, SECONDS), {"add_special_tokens": False}),
        ((TEXTS, SECONDS), {"truncation": "longest_first", "max_length": 7}),
        (([["the", "un"], []],), {"is_split_into_words": True}),
        (([],), {}),
    ],
)
def test_packed_rows_are_those_of_a_call(ours, arguments, options):
    lists = ours(*arguments, **options)
    packed = ours.encode_packed(*arguments, **options)
    assert [column.dtype for column in packed] == ["int32", "int8", "int64"]
    bounds = list(itertools.pairwise(packed.cu_seqlens.tolist()))
    for name in ("input_ids", "token_type_ids"):
        column = getattr(packed, name)
        rows = [column[begin:end].tolist() for begin, end in bounds]
        assert rows == ([lists[name]] if isinstance(arguments[0], str) else lists[name])


class Length:
    """A number that changes, as a tensor may."""

    value = 5

    def __index__(self):
        return self.value


def test_an_option_that_changes_is_read_anew():
    tokenizer, length = BertTokenizer(VOCAB), Length()
    text = "the un the un the"
    assert len(tokenizer(text, truncation=True, max_length=length)["input_ids"]) == 5
    length.value = 3
    assert len(tokenizer(text, truncation=True, max_length=length)["input_ids"]) == 3


def test_options_without_a_hash():
    tokenizer = BertTokenizer(VOCAB)
    ids = tokenizer("the un the un", truncation=True, max_length=np.array(4))["input_ids"]
    assert len(ids) == 4


def test_an_attribute_that_another_thread_sets_meanwhile(monkeypatch):
    tokenizer, make = BertTokenizer(VOCAB), call.EncodeOptions

    def set_and_make(*arguments, **options):
        monkeypatch.undo()
        tokenizer.padding_side = "left"
        return make(*arguments, **options)

    monkeypatch.setattr(call, "EncodeOptions", set_and_make)
    tokenizer(["the", "the un"], padding=True)
    assert tokenizer(["the", "the un"], padding=True)["input_ids"][0][0] == tokenizer.pad_token_id


def test_padding_has_the_token_it_was_made_with():
    tokenizer = BertTokenizer(VOCAB)
    encoded = tokenizer(["the", "the un"], padding=True)
    tokenizer.pad_token = "[MASK]"
    assert encoded.tokens(0) == ["[CLS]", "the", "[SEP]", "[PAD]"]


def test_the_older_name_of_a_vocabulary(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB), encoding="utf-8")
    tokenizer = BertTokenizer(vocab_file=tmp_path / "vocab.txt")
    assert tokenizer.vocab == BertTokenizer(tmp_path / "vocab.txt").vocab == VOCAB
    with pytest.raises(TypeError, match="needs a vocab"):
        BertTokenizer()


def test_a_subclass_is_saved_as_what_it_was_made_of(tmp_path):
    class Own(BertTokenizer):
        pass

    Own(VOCAB).save_pretrained(tmp_path)
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is BertTokenizer
