"""On every row of MRPC a tokenizer's call equals transformers'."""

import pytest
from tokenizer_support import assert_same

MODELS = ["bert-base-uncased", "bert-base-cased", "distilbert-base-uncased", "minilm"]
OPTIONS = [
    {},
    {"padding": True},
    {"padding": True, "truncation": True, "return_tensors": "pt"},
    {"truncation": True, "max_length": 40},
    {"truncation": "only_first", "max_length": 90, "padding": "max_length"},
    {"truncation": "longest_first", "max_length": 33, "padding": "max_length"},
    {"padding": True, "pad_to_multiple_of": 8, "return_tensors": "np"},
    {"padding": True, "padding_side": "left", "return_special_tokens_mask": True},
    {"add_special_tokens": False},
]


@pytest.fixture(params=MODELS)
def tokenizers(request, hub):
    import transformers

    import ftcore.tokenization

    return (
        ftcore.tokenization.AutoTokenizer.from_pretrained(request.param),
        transformers.AutoTokenizer.from_pretrained(request.param),
    )


@pytest.fixture
def mrpc(hub):
    import datasets

    return datasets.load_dataset("glue", "mrpc")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_row(tokenizers, mrpc, split):
    ours, theirs = tokenizers
    first, second = list(mrpc[split]["sentence1"]), list(mrpc[split]["sentence2"])
    assert_same(ours(first), theirs(first))
    assert_same(ours(first, second), theirs(first, second))


@pytest.mark.parametrize("options", OPTIONS)
def test_every_padding_and_truncation(tokenizers, mrpc, options):
    ours, theirs = tokenizers
    first, second = list(mrpc["validation"]["sentence1"]), list(mrpc["validation"]["sentence2"])
    assert_same(ours(first, second, **options), theirs(first, second, **options))
    ours.truncation_side = theirs.truncation_side = "left"
    assert_same(ours(second, first, **options), theirs(second, first, **options))
    assert_same(ours(second, **options), theirs(second, **options))


def test_decoding(tokenizers, mrpc):
    ours, theirs = tokenizers
    ids = theirs(list(mrpc["validation"]["sentence1"]))["input_ids"]
    assert ours.batch_decode(ids) == theirs.batch_decode(ids)
    assert ours.batch_decode(ids, skip_special_tokens=True) == theirs.batch_decode(
        ids, skip_special_tokens=True
    )


def test_the_sentence_pair_of_the_course(hub):
    from ftcore.tokenization import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    encoded = tokenizer("This is the first sentence.", "This is the second one.")
    assert encoded.data == {
        "input_ids": [
            *[101, 2023, 2003, 1996, 2034, 6251, 1012, 102],
            *[2023, 2003, 1996, 2117, 2028, 1012, 102],
        ],
        "token_type_ids": [0] * 8 + [1] * 7,
        "attention_mask": [1] * 15,
    }
