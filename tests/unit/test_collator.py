"""Padding collators, on a tokenizer of a few attributes."""

import pickle
from collections import UserDict
from types import SimpleNamespace

import numpy as np
import pytest

from ftcore import _core
from ftcore.data import DataCollatorWithPadding, default_data_collator


def make_tokenizer(**changes):
    attributes = dict(
        pad_token_id=9,
        pad_token_type_id=7,
        padding_side="right",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=6,
    )
    return SimpleNamespace(**(attributes | changes))


def collate(features, tokenizer=None, **options):
    options = {"return_tensors": "np"} | options
    return DataCollatorWithPadding(tokenizer or make_tokenizer(), **options)(features)


def as_lists(batch):
    return {name: value.tolist() for name, value in batch.items()}


FEATURES = [
    {"input_ids": [1, 2, 3], "token_type_ids": [0, 0, 1], "label": 1},
    {"input_ids": [4], "token_type_ids": [0], "label": 0},
]


def test_pads_to_the_longest_row():
    batch = collate(FEATURES)
    assert as_lists(batch) == {
        "input_ids": [[1, 2, 3], [4, 9, 9]],
        "token_type_ids": [[0, 0, 1], [0, 7, 7]],
        "attention_mask": [[1, 1, 1], [1, 0, 0]],
        "labels": [1, 0],
    }
    assert all(value.dtype == np.int64 for value in batch.values())


def test_pads_on_the_left():
    batch = collate(FEATURES, make_tokenizer(padding_side="left"))
    assert batch["input_ids"].tolist() == [[1, 2, 3], [9, 9, 4]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1], [7, 7, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    ("options", "length"),
    [
        (dict(padding="longest"), 3),
        (dict(padding="max_length"), 6),
        (dict(padding="max_length", max_length=4), 4),
        (dict(padding="max_length", max_length=5, pad_to_multiple_of=4), 8),
        (dict(pad_to_multiple_of=8), 8),
        (dict(pad_to_multiple_of=3), 3),
    ],
)
def test_the_length(options, length):
    batch = collate(FEATURES, **options)
    assert {batch[name].shape for name in batch if name != "labels"} == {(2, length)}


def test_no_padding_where_all_rows_have_one_length():
    rows = [{"input_ids": [1, 2]}, {"input_ids": [3, 4]}]
    assert collate(rows, padding=False)["input_ids"].tolist() == [[1, 2], [3, 4]]
    assert collate(rows, make_tokenizer(pad_token_id=None), padding="do_not_pad")["input_ids"].size
    endless = make_tokenizer(model_max_length=int(1e30))
    assert collate(rows, endless, padding="max_length")["input_ids"].shape == (2, 2)


def test_no_mask_for_a_model_that_takes_none():
    assert list(collate([{"input_ids": [1]}], make_tokenizer(model_input_names=["input_ids"]))) == [
        "input_ids"
    ]


def test_a_given_mask_is_padded_with_zeros():
    rows = [
        {"input_ids": [1, 2], "attention_mask": [0, 1]},
        {"input_ids": [3], "attention_mask": [1]},
    ]
    assert collate(rows)["attention_mask"].tolist() == [[0, 1], [1, 0]]


def test_special_tokens_masks_are_padded_with_ones():
    rows = [
        {"input_ids": [1, 2], "special_tokens_mask": [1, 0]},
        {"input_ids": [3], "special_tokens_mask": [0]},
    ]
    assert collate(rows)["special_tokens_mask"].tolist() == [[1, 0], [0, 1]]


def test_other_columns_of_numbers():
    rows = [
        {"input_ids": [1], "idx": 7, "score": 0.5, "flag": True, "spans": [[0, 1], [2, 3]]},
        {"input_ids": [2], "idx": 8, "score": 1.5, "flag": False, "spans": [[4, 5], [6, 7]]},
    ]
    batch = collate(rows)
    assert batch["idx"].tolist() == [7, 8]
    assert batch["score"].dtype == np.float64
    assert batch["flag"].dtype == np.bool_
    assert batch["spans"].shape == (2, 2, 2)


@pytest.mark.parametrize(
    "form",
    [
        tuple,
        lambda rows: [UserDict(row) for row in rows],
        lambda rows: [{k: np.array(v) for k, v in row.items()} for row in rows],
        lambda rows: [{k: np.array(v, np.uint8) for k, v in row.items()} for row in rows],
        lambda rows: {k: [row[k] for row in rows] for k in rows[0]},
        lambda rows: UserDict({k: tuple(row[k] for row in rows) for k in rows[0]}),
    ],
)
def test_the_forms_of_a_batch(form):
    assert as_lists(collate(form(FEATURES))) == as_lists(collate(FEATURES))


def test_a_dict_of_arrays():
    batch = collate({"input_ids": np.array([[1, 2], [3, 4]], np.int32), "label": np.array([1, 0])})
    assert as_lists(batch) == {
        "input_ids": [[1, 2], [3, 4]],
        "attention_mask": [[1, 1], [1, 1]],
        "labels": [1, 0],
    }


def test_one_example_has_no_batch_axis():
    batch = collate({"input_ids": [1, 2], "label": 1}, pad_to_multiple_of=4)
    assert batch["input_ids"].tolist() == [1, 2, 9, 9]
    assert batch["attention_mask"].tolist() == [1, 1, 0, 0]
    assert batch["labels"].shape == ()


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        ([1, 0], np.int64),
        ([np.int32(1), np.int32(0)], np.int64),
        ([True, False], np.int64),
        ([0.5, 1], np.float32),
        ([np.float64(0.5), np.float64(1)], np.float32),
        ([[0.0, 1.0], [1.0, 1.0]], np.float32),
        ([[0, 1], [1, 1]], np.int64),
    ],
)
@pytest.mark.parametrize("name", ["label", "labels", "label_ids"])
def test_labels(name, labels, dtype):
    batch = collate([{"input_ids": [1], name: label} for label in labels])
    assert list(batch) == ["input_ids", "attention_mask", "labels"] or name == "labels"
    assert batch["labels"].dtype == dtype
    assert batch["labels"].tolist() == np.asarray(labels, dtype).tolist()


def test_the_features_are_left_as_they_were():
    rows = [dict(row) for row in FEATURES]
    columns = {k: [row[k] for row in rows] for k in rows[0]}
    collate(rows)
    collate(columns)
    assert rows == FEATURES
    assert set(columns) == {"input_ids", "token_type_ids", "label"}


def test_tensors_are_returned_where_torch_is_installed():
    torch = pytest.importorskip("torch")
    rows = [{"input_ids": torch.tensor([1, 2]), "label": 0.5}, {"input_ids": torch.tensor([3])}]
    rows[1]["label"] = torch.tensor(1.5)
    batch = DataCollatorWithPadding(make_tokenizer())(rows)
    assert batch["input_ids"].dtype == torch.int64
    assert batch["input_ids"].tolist() == [[1, 2], [3, 9]]
    assert batch["labels"].dtype == torch.float32


def test_tensors_are_ordinary_ones():
    torch = pytest.importorskip("torch")
    rows = [{"input_ids": torch.tensor([1, 2, 3]), "label": 1}, {"input_ids": [4], "label": 0}]
    batch = DataCollatorWithPadding(make_tokenizer())(rows)
    for tensor in batch.values():
        assert type(tensor) is torch.Tensor and tensor.is_contiguous() and tensor.is_leaf
        assert torch.equal(pickle.loads(pickle.dumps(tensor)), tensor)
        assert torch.equal(tensor.clone().share_memory_(), tensor)
        tensor += 1  # its own memory, which may be written to
        assert torch.equal(torch.from_numpy(tensor.numpy()), tensor)
    assert rows[0]["input_ids"].tolist() == [1, 2, 3]
    ids = batch["input_ids"]
    del batch
    assert ids.tolist() == [[2, 3, 4], [5, 10, 10]]


def test_tensors_that_do_not_fit_in_memory():
    pytest.importorskip("torch")
    for width in (2**60, 2**63 - 1):
        collator = DataCollatorWithPadding(make_tokenizer(), padding="max_length", max_length=width)
        with pytest.raises(MemoryError, match=f"a tensor of 2 times {width} integers"):
            collator(FEATURES)


class Index:
    """An integer that does something when it is asked for its value."""

    def __init__(self, action):
        self.action = action

    def __index__(self):
        self.action()
        return 5


def test_rows_that_change_while_they_are_read():
    ids = [1, Index(lambda: ids.clear()), 2]
    with pytest.raises(IndexError):
        collate([{"input_ids": ids}])
    rows = [{"input_ids": [Index(lambda: rows[1].clear())]}, {"input_ids": [1]}]
    assert collate(rows)["input_ids"].tolist() == [[5], [1]]
    rows = [{"input_ids": [Index(lambda: rows.clear())], "idx": 1}, {"input_ids": [1], "idx": 2}]
    with pytest.raises(IndexError):
        collate(rows)


@pytest.mark.parametrize("form", [np.array, "tensor"])
def test_arrays_of_other_types_and_shapes_are_refused(form):
    if form == "tensor":
        form = pytest.importorskip("torch").tensor
    options = {} if form is not np.array else {"return_tensors": "np"}
    collator = DataCollatorWithPadding(make_tokenizer(), **options)
    for row, error, message in [
        ({"input_ids": form([1.5])}, TypeError, "row 0 of column 'input_ids' must hold integers"),
        ({"input_ids": form([[1]])}, ValueError, "'input_ids'.*but has 2 dimensions"),
        ({"input_ids": form(1)}, ValueError, "'input_ids'.*but has 0 dimensions"),
        (
            {"input_ids": form([1, 2]), "token_type_ids": form([1])},
            ValueError,
            "row 0 of column 'token_type_ids' holds 1 values, but the row has 2 tokens",
        ),
    ]:
        with pytest.raises(error, match=message):
            collator([row])


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        ([], ValueError, "the batch is empty"),
        ({"input_ids": []}, ValueError, "the batch is empty"),
        ([[1, 2]], TypeError, "examples must be dicts, not list"),
        ("text", TypeError, "a batch must be a list of dicts"),
        (None, TypeError, "a batch must be a list of dicts"),
        ([{"ids": [1]}], ValueError, "there is no column 'input_ids' among 'ids'"),
        ({"ids": [[1]]}, ValueError, "there is no column 'input_ids' among 'ids'"),
        ([{"input_ids": [1]}, {}], KeyError, "row 1 has no column 'input_ids'"),
        ([{"input_ids": [1], "idx": 1}, {"input_ids": [1]}], KeyError, "row 1 has no column 'idx'"),
        ([{"input_ids": [1], "text": "a"}], ValueError, "column 'text'.*it holds str"),
        ([{"input_ids": [1], "text": ["a"]}], ValueError, "column 'text'.*it holds list"),
        ([{"input_ids": [1], "label": None}], ValueError, "column 'labels'.*it holds NoneType"),
        (
            [{"input_ids": [1], "spans": [1]}, {"input_ids": [1], "spans": [1, 2]}],
            ValueError,
            "column 'spans' cannot become an array",
        ),
        ([{"input_ids": [1], "idx": 2**64}], ValueError, "column 'idx'"),
        ([{"input_ids": [1], "idx": 2**63}], ValueError, "column 'idx'.*64 signed bits"),
        ([{"input_ids": ["a"]}], TypeError, "row 0 of column 'input_ids' must hold integers"),
        ([{"input_ids": [1.5]}], TypeError, "row 0 of column 'input_ids' must hold integers"),
        ([{"input_ids": [2**64]}], OverflowError, "row 0 of column 'input_ids'"),
        (
            [{"input_ids": [1, 2], "token_type_ids": [0]}],
            ValueError,
            "row 0 of column 'token_type_ids' holds 1 values, but the row has 2 tokens",
        ),
        ({"input_ids": [[1], [2]], "label": [1]}, ValueError, "column 'label' has 1 rows"),
        ({"input_ids": [[1], [2]], "label": 1}, TypeError, "int"),
    ],
)
def test_bad_batches_are_refused(features, error, message):
    with pytest.raises(error, match=message):
        collate(features)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(padding="longer"), "padding must be"),
        (dict(padding="max_length", max_length=-1), "max_length must not be negative"),
        (dict(pad_to_multiple_of=0), "pad_to_multiple_of must be at least 1"),
        (dict(return_tensors="tf"), "return_tensors must be 'pt' or 'np'"),
    ],
)
def test_bad_options_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        DataCollatorWithPadding(make_tokenizer(), **options)


def test_options_may_be_changed_later_but_not_to_nonsense():
    collator = DataCollatorWithPadding(make_tokenizer(), return_tensors="np")
    collator.padding = "max_length"
    assert collator(FEATURES)["input_ids"].shape == (2, 6)
    collator.return_tensors = "tf"
    with pytest.raises(ValueError, match="return_tensors"):
        collator(FEATURES)


def test_rows_of_different_lengths_need_padding():
    with pytest.raises(ValueError, match="row 1 has 1 values and row 0 has 3; give padding=True"):
        collate(FEATURES, padding=False)
    with pytest.raises(ValueError, match="row 0 has 3, more than max_length"):
        collate(FEATURES, padding="max_length", max_length=2)


def test_a_tokenizer_that_cannot_pad_is_refused():
    with pytest.raises(ValueError, match="has no padding token"):
        collate(FEATURES, make_tokenizer(pad_token_id=None))
    with pytest.raises(ValueError, match="padding_side must be 'right' or 'left'"):
        collate(FEATURES, make_tokenizer(padding_side="top"))


def test_a_max_length_that_has_no_effect_is_warned_of():
    with pytest.warns(UserWarning, match="max_length is ignored"):
        DataCollatorWithPadding(make_tokenizer(), max_length=4)


def test_default_collator_stacks():
    batch = default_data_collator(
        [
            {"input_ids": [1, 2], "label": 1, "text": "a", "none": None, "x": np.float32(0.5)},
            {"input_ids": [3, 4], "label": 0, "text": "b", "none": None, "x": np.float32(1.5)},
        ],
        return_tensors="np",
    )
    assert list(batch) == ["labels", "input_ids", "x"]
    assert batch["labels"].dtype == batch["input_ids"].dtype == np.int64
    assert batch["x"].dtype == np.float32


def test_default_collator_takes_objects():
    batch = default_data_collator(
        [SimpleNamespace(a=1, label_ids=[0.5]), SimpleNamespace(a=2, label_ids=[1])], "np"
    )
    assert as_lists(batch) == {"labels": [[0.5], [1.0]], "a": [1, 2]}
    assert batch["labels"].dtype == np.float32


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        ([], ValueError, "the batch is empty"),
        ([{"a": [1]}, {"a": [1, 2]}], ValueError, "column 'a'"),
        ([{"a": [1]}, {}], KeyError, "a"),
        ([{"a": 1}, {"a": "x"}], ValueError, "column 'a'"),
    ],
)
def test_default_collator_refuses_bad_batches(features, error, message):
    with pytest.raises(error, match=message):
        default_data_collator(features, "np")


def test_a_row_of_more_numbers_than_there_is_memory():
    row = np.broadcast_to(np.zeros(1, bool), 2**62)  # a byte
    with pytest.raises(MemoryError):
        _core.pad_columns([{"input_ids": row}], "input_ids", 0, 0, -1, 1, False, False, None)
