"""tokenizer.pad pads what transformers pads, as it does."""

import itertools
from collections import UserDict

import numpy as np
import pytest
import torch
import transformers

from ftcore.tokenization import BatchEncoding

pytestmark = pytest.mark.filterwarnings("ignore:`max_length` is ignored when")

ROWS = [[2, 5, 3], [2], [2, 6, 7, 8, 3]]
FULL = {
    "input_ids": ROWS,
    "token_type_ids": [[0, 0, 1], [0], [0, 0, 0, 1, 1]],
    "attention_mask": [[1, 1, 0], [1], [1, 1, 1, 1, 0]],
    "special_tokens_mask": [[1, 0, 1], [1], [1, 0, 0, 0, 1]],
    "labels": [0, 1, 0],
}


def rows_of(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def copied(given):
    """transformers changes what it is given."""
    if isinstance(given, list):
        return [copied(row) for row in given]
    return type(given)(given) if isinstance(given, (dict, UserDict)) else given


@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize("side", [None, "left"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "longest"},
        {"padding": "max_length", "max_length": 7},
        {"padding": "max_length", "max_length": 2},
        {"padding": False},
        {"padding": "do_not_pad"},
        {"pad_to_multiple_of": 4},
        {"padding": "max_length", "max_length": 5, "pad_to_multiple_of": 4},
        {"padding": False, "pad_to_multiple_of": 4},
        {"return_attention_mask": False},
        {"return_attention_mask": True, "verbose": False, "max_length": 9},
        {"padding": transformers.utils.PaddingStrategy.LONGEST},
    ],
)
@pytest.mark.parametrize("columns", [["input_ids"], ["input_ids", "attention_mask"], list(FULL)])
def test_options(pair, columns, options, side, tensors):
    given = {name: FULL[name] for name in columns}
    options = {**options, "padding_side": side, "return_tensors": tensors}
    # transformers makes no array of a number alone.
    one = {name: column[2] for name, column in given.items() if name != "labels" or not tensors}
    for rows in (given, rows_of(given), one):
        pair.assert_alike(lambda t, _, rows=rows: t.pad(copied(rows), **options))


@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize("padding", [True, "max_length"])
@pytest.mark.parametrize(
    "given",
    [
        {"input_ids": np.array([[1, 2], [3, 4]])},
        {"input_ids": torch.tensor([[1, 2], [3, 4]]), "labels": torch.tensor([0, 1])},
        {"input_ids": torch.tensor([1, 2])},
        {"input_ids": [np.array([1]), np.array([3, 4])], "labels": np.array([0, 1])},
        {"input_ids": [torch.tensor([1]), torch.tensor([3, 4])], "labels": [0, 1]},
        {"input_ids": [torch.tensor([], dtype=int), torch.tensor([3, 4])]},
        {"input_ids": torch.tensor([[1, 2]]), "attention_mask": np.array([[1, 0]])},
        {"input_ids": np.zeros((2, 0), int)},
        [{"input_ids": np.array([1]), "labels": 0}, {"input_ids": np.array([1, 2]), "labels": 1}],
        [{"input_ids": torch.tensor([1, 2])}, {"input_ids": torch.tensor([1])}],
        [{"input_ids": [1], "labels": np.int64(1)}, {"input_ids": [1, 2], "labels": np.int64(0)}],
        UserDict(input_ids=[[1, 2], [3]]),
        [UserDict(input_ids=[1, 2]), UserDict(input_ids=[3])],
    ],
)
def test_arrays_and_tensors(pair, given, padding, tensors):
    pair.assert_alike(
        lambda t, _: t.pad(copied(given), padding, max_length=4, return_tensors=tensors)
    )


def test_what_a_call_returned(pair):
    for texts, tensors in itertools.product(("the", ["the", "un a"]), (None, "np", "pt")):
        pair.assert_alike(
            lambda t, _, texts=texts, tensors=tensors: t.pad(
                t(texts, return_special_tokens_mask=True), return_tensors=tensors
            )
        )


@pytest.mark.parametrize(
    "given",
    [
        *[
            {"input_ids": value}
            for value in ([], None, np.array([], int), [[]], [[], []], [[], [1]])
        ],
        *[{"input_ids": value} for value in (5, [1.5, 2], [None], ["a", "b"], [["a"]], [[True]])],
        *[{"input_ids": value} for value in ([[1, 2], 3], [1, [2]], [[[1, 2]], [[2]]], "ab")],
        *[{}, {"labels": 1}, None, 5, [{}], [{"labels": 1}], [{"input_ids": [1]}, {}]],
        [{"input_ids": [1]}, {"input_ids": [1, 2], "labels": 1}],
        *[{"input_ids": [[1, 2], [3]], name: None} for name in ("labels", "attention_mask")],
        {"input_ids": [[1, 2], [3]], "token_type_ids": [[0, 0], None]},
        {"input_ids": [[1, 2], [3]], "token_type_ids": [[0, 0], [0, 0]]},
        {"input_ids": [[1, 2], [3]], "labels": 5},
        {"input_ids": [[1, 2], [3]], "labels": [[1, 2], [3]]},
        {"input_ids": [[1, 2], [3]], "labels": ["a", "b"]},
    ],
)
@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize("mask", [None, True])
def test_odd_input(pair, given, tensors, mask):
    pair.assert_alike(
        lambda t, _: t.pad(copied(given), return_tensors=tensors, return_attention_mask=mask)
    )


@pytest.mark.parametrize("stacked", [np.ones((2, 2)), torch.ones((2, 2)), torch.ones((1, 2, 2))])
@pytest.mark.parametrize("tensors", [None, "np", "pt"])
def test_masks_of_two_dimensions_and_more_are_stacked(pair, tokenizer, stacked, tensors):
    given = {"input_ids": [[1, 2], [3]], "attention_mask": [stacked, stacked]}
    pair.assert_alike(lambda t, _: t.pad(copied(given), return_tensors=tensors))
    pair.assert_alike(lambda t, _: t.pad(rows_of(given), return_tensors=tensors))
    # transformers pads these with rows of a mask of one dimension.
    whole = tokenizer.pad({**given, "attention_mask": np.stack([np.ones((2, 2))] * 2)})
    assert whole["input_ids"] == [[1, 2], [3, 0]]
    assert np.array_equal(whole["attention_mask"], np.ones((2, 2, 2)))


@pytest.mark.parametrize(
    "options",
    [
        *[{"padding": value} for value in ("nonsense", None, 0, 1)],
        *[{"padding_side": value} for value in ("nonsense", "", 1)],
        *[{"pad_to_multiple_of": value} for value in (2.5, "a")],
        *[{"padding": "max_length", "max_length": value} for value in (None, 0, 5.5, "a")],
        *[{"return_tensors": "tf"}, {"foo": 1}, {"return_tensors": transformers.TensorType.NUMPY}],
    ],
)
def test_options_that_are_odd(pair, options):
    pair.assert_alike(lambda t, _: t.pad({"input_ids": [[1, 2], [3]]}, **options))


def test_what_the_tokenizer_is_set_to(pair):
    def pad(name, value, column="input_ids", **options):
        def steps(t, _):
            setattr(t, name, value)
            return t.pad({column: [[1, 2], [3]]}, **options)

        pair.assert_alike(steps)

    pad("padding_side", "left")
    pad("padding_side", "nonsense")
    pad("model_max_length", 5, padding="max_length")
    pad("model_max_length", int(1e30), padding="max_length")
    pad("model_input_names", ["input_ids"])
    pad("model_input_names", ["pieces", "attention_mask"])
    pad("model_input_names", ["pieces", "attention_mask"], column="pieces")
    pad("pad_token", None)
    pad("pad_token", None, padding=False)
    pad("pad_token", "the")
    pad("pad_token", "nowhere")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, r"includes input_ids, but you provided \[\]"),
        (None, TypeError, "a dict, or a list of dicts, not NoneType"),
        ([[1, 2]], TypeError, "a list of dicts, not of list"),
        ([{"input_ids": [1]}, 5], TypeError, "a list of dicts, not of int"),
        (
            {"input_ids": [[1], [2]], "labels": [1]},
            ValueError,
            "labels has 1 rows, input_ids has 2",
        ),
    ],
)
def test_where_transformers_says_little(tokenizer, given, error, message):
    with pytest.raises(error, match=message):
        tokenizer.pad(given)


def test_where_transformers_fails(tokenizer):
    padded = {"input_ids": [[1, 2], [3, 0]], "attention_mask": [[1, 1], [1, 0]]}
    assert tokenizer.pad({"input_ids": [(1, 2), (3,)]}) == padded
    mixed = tokenizer.pad({"input_ids": [np.array([1, 2]), [3]]})
    assert mixed["input_ids"].tolist() == padded["input_ids"]
    assert tokenizer.pad({"input_ids": [[np.int64(1), np.int64(2)], [np.int64(3)]]}) == padded
    assert tokenizer.pad([{"input_ids": [1, 2]}, {"input_ids": torch.tensor([3])}]) == padded
    row = tokenizer.pad({"input_ids": np.array([1, 2])}, "max_length", 3)
    assert row["input_ids"].tolist() == [1, 2, 0]


def test_what_is_given_stays_as_it_is(tokenizer):
    given = {"input_ids": [[1, 2], [3]], "token_type_ids": [[0, 0], [0]]}
    rows = rows_of(given)
    one = {"input_ids": [1], "attention_mask": [1]}
    assert isinstance(tokenizer.pad(given), BatchEncoding)
    tokenizer.pad(rows)
    tokenizer.pad(one, "max_length", 4)
    assert given == {"input_ids": [[1, 2], [3]], "token_type_ids": [[0, 0], [0]]}
    assert rows == rows_of(given)
    assert one == {"input_ids": [1], "attention_mask": [1]}
