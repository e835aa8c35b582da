"""Columns from a sequence of dicts, and packing batches from them."""

from collections import UserDict

import numpy as np
import pytest

from ftcore._core import Columns, pack_padded

ROWS = [
    {"input_ids": [1, 2, 3], "token_type_ids": [0, 0, 1], "label": 1, "text": "a"},
    {"input_ids": [4], "token_type_ids": [0], "label": 0, "text": "b"},
    {"input_ids": [5, 6], "token_type_ids": [1, 1], "label": 2, "text": "c"},
]


def test_packs_the_rows_that_are_asked_for():
    columns = Columns.from_rows(ROWS)
    assert len(columns) == 3
    assert columns.lengths().tolist() == [3, 1, 2]
    assert columns.lengths().dtype == np.int32
    batch = columns.pack(np.array([2, 0, 2]))
    assert batch.input_ids.tolist() == [5, 6, 1, 2, 3, 5, 6]
    assert batch.token_type_ids.tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert batch.position_ids.tolist() == [0, 1, 0, 1, 2, 0, 1]
    assert batch.cu_seqlens.tolist() == [0, 2, 5, 7]
    assert batch.max_length == 3
    assert batch.labels.tolist() == [2, 1, 2]


def test_absent_columns():
    batch = Columns.from_rows([{"input_ids": [1, 2]}]).pack([0])
    assert batch.token_type_ids.tolist() == [0, 0]
    assert batch.labels is None
    assert batch.key_starts is None


def test_only_the_named_columns_are_read():
    batch = Columns.from_rows(ROWS, ["input_ids", "label"]).pack([0, 1])
    assert batch.token_type_ids.tolist() == [0] * 4
    assert batch.labels.tolist() == [1, 0]
    assert Columns.from_rows(ROWS, names={"input_ids"}).pack([0]).labels is None


@pytest.mark.parametrize(
    "convert",
    [
        tuple,
        np.array,
        lambda ids: np.array(ids, np.uint8),
        lambda ids: [np.int64(i) for i in ids],
        lambda ids: pytest.importorskip("torch").tensor(ids),
        lambda ids: list(pytest.importorskip("torch").tensor(ids)),
        range,
    ],
)
def test_rows_of_any_kind_of_sequence(convert):
    rows = [{"input_ids": 3 if convert is range else [0, 1, 2]}]
    columns = Columns.from_rows([{name: convert(ids) for name, ids in row.items()} for row in rows])
    assert columns.pack([0]).input_ids.tolist() == [0, 1, 2]


def test_rows_and_their_sequence_may_be_of_any_class():
    class Rows:
        def __len__(self):
            return len(ROWS)

        def __getitem__(self, i):
            return UserDict(ROWS[i])

    assert Columns.from_rows(Rows()).pack([0, 1, 2]).input_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert Columns.from_rows(tuple(ROWS)).lengths().tolist() == [3, 1, 2]


def test_many_rows():
    random = np.random.default_rng(0)
    rows = [
        {"input_ids": random.integers(0, 2**31, n).tolist(), "label": float(n)}
        for n in random.integers(1, 50, 1000)
    ]
    batch = Columns.from_rows(rows).pack(np.arange(1000))
    assert batch.input_ids.tolist() == [i for row in rows for i in row["input_ids"]]
    assert batch.labels.ravel().tolist() == [row["label"] for row in rows]


@pytest.mark.parametrize("seed", range(20))
def test_masked_tokens_are_dropped_as_from_a_padded_batch(seed):
    random = np.random.default_rng(seed)
    rows, length = random.integers(1, 6), random.integers(1, 9)
    mask = random.integers(0, 2, (rows, length))
    mask[np.arange(rows), random.integers(0, length, rows)] = 1
    arrays = {
        "input_ids": random.integers(0, 1000, (rows, length)),
        "token_type_ids": random.integers(0, 2, (rows, length)),
        "attention_mask": mask,
    }
    if seed % 2:
        arrays["position_ids"] = random.integers(0, 100, (rows, length))
    columns = Columns.from_rows([{k: v[i] for k, v in arrays.items()} for i in range(rows)])
    packed, expected = columns.pack(np.arange(rows)), pack_padded(**arrays)
    for name in ("input_ids", "token_type_ids", "position_ids", "cu_seqlens"):
        assert getattr(packed, name).tolist() == getattr(expected, name).tolist(), name
    if expected.key_starts is None:
        assert packed.key_starts is None
    else:
        assert packed.key_starts.tolist() == expected.key_starts.tolist()
    assert columns.lengths().tolist() == np.diff(expected.cu_seqlens).tolist()


@pytest.mark.parametrize(
    ("labels", "dtype", "expected"),
    [
        ([1, 0], np.int64, [1, 0]),
        ([True, False], np.int64, [1, 0]),
        ([np.int32(3), np.array(4)], np.int64, [3, 4]),
        ([[1], [0]], np.int64, [1, 0]),
        ([0.5, 2.5], np.float32, [[0.5], [2.5]]),
        ([[0.0, 1.0], [1, 1.0]], np.float32, [[0, 1], [1, 1]]),
        (np.eye(2), np.float32, [[1, 0], [0, 1]]),
    ],
)
@pytest.mark.parametrize("name", ["label", "labels", "label_ids"])
def test_labels(name, labels, dtype, expected):
    columns = Columns.from_rows([{"input_ids": [1], name: label} for label in labels])
    batch = columns.pack([0, 1])
    assert batch.labels.dtype == dtype
    assert batch.labels.tolist() == expected


def test_no_rows():
    columns = Columns.from_rows([])
    assert len(columns) == 0
    assert columns.lengths().tolist() == []
    with pytest.raises(ValueError, match="the batch is empty"):
        columns.pack([])
    with pytest.raises(IndexError, match="row 0 is out of range: there are 0 rows"):
        columns.pack([0])


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([{"ids": [1]}], ValueError, "there is no column 'input_ids'"),
        ([1], TypeError, "rows must be dicts"),
        (["input_ids"], TypeError, "rows must be dicts"),
        (5, TypeError, "int"),
        ({"input_ids": [[1]]}, TypeError, "dict is not a sequence"),
        ([{"input_ids": [1]}, {}], KeyError, "row 1 has no column 'input_ids'"),
        ([{"input_ids": []}], ValueError, "row 0 of column 'input_ids' is empty"),
        ([{"input_ids": [1]}, {"input_ids": ()}], ValueError, "row 1 of column 'input_ids' is emp"),
        ([{"input_ids": None}], TypeError, "row 0 of column 'input_ids'"),
        ([{"input_ids": 3}], ValueError, "row 0 of column 'input_ids'.*0 dimensions"),
        ([{"input_ids": [[1]]}], TypeError, "row 0 of column 'input_ids' must hold integers"),
        ([{"input_ids": np.ones((1, 1), int)}], ValueError, "has 2 dimensions"),
        ([{"input_ids": [1, None]}], TypeError, "row 0 of column 'input_ids'.*None"),
        ([{"input_ids": [1, 2.5]}], TypeError, "row 0 of column 'input_ids'.*2.5"),
        ([{"input_ids": np.array([2.5])}], TypeError, "row 0 of column 'input_ids'.*float64"),
        ([{"input_ids": "ab"}], TypeError, "row 0 of column 'input_ids'"),
        ([{"input_ids": [2**31]}], ValueError, "row 0 of column 'input_ids' holds 2147483648"),
        ([{"input_ids": [-(2**31) - 1]}], ValueError, "does not fit in 32 bits"),
        ([{"input_ids": [2**64]}], OverflowError, "row 0 of column 'input_ids'.*64 bits"),
        (
            [{"input_ids": [1], "attention_mask": [1, 1]}],
            ValueError,
            "'attention_mask' holds 2 val",
        ),
        ([{"input_ids": [1], "attention_mask": [0]}], ValueError, "'attention_mask' is all 0"),
        ([{"input_ids": [1], "attention_mask": [2]}], ValueError, "'attention_mask' holds 2"),
        ([{"input_ids": [1], "label": 1, "labels": 1}], ValueError, "'labels' and 'label'"),
        ([{"input_ids": [1], "label": None}], TypeError, "row 0 of column 'label'"),
        ([{"input_ids": [1], "label": "yes"}], TypeError, "row 0 of column 'label'"),
        ([{"input_ids": [1], "label": [1, 0]}], ValueError, "row 0 of column 'label'"),
        ([{"input_ids": [1], "label": []}], ValueError, "row 0 of column 'label'"),
        ([{"input_ids": [1], "label": 2**64}], TypeError, "row 0 of column 'label'"),
        (
            [{"input_ids": [1], "label": 1}, {"input_ids": [1], "label": 0.5}],
            TypeError,
            "row 1 of column 'label' holds floats, but row 0 holds an integer",
        ),
        (
            [{"input_ids": [1], "label": [1.0]}, {"input_ids": [1], "label": [1.0, 2.0]}],
            ValueError,
            "row 1 of column 'label' holds 2 numbers, but row 0 holds 1",
        ),
    ],
)
def test_bad_rows_are_refused(rows, error, message):
    with pytest.raises(error, match=message):
        Columns.from_rows(rows)


@pytest.mark.parametrize(
    ("indices", "error"),
    [
        ([3], IndexError),
        ([-1], IndexError),
        ([2**62], IndexError),
        ([[0]], ValueError),
        (0, ValueError),
        ([0.0], TypeError),
        (None, TypeError),
        ([], ValueError),
    ],
)
def test_bad_indices_are_refused(indices, error):
    with pytest.raises(error):
        Columns.from_rows(ROWS).pack(indices)


def test_a_row_that_changes_while_it_is_read_does_no_harm():
    class Shrinking:
        def __index__(self):
            ids.clear()
            return 7

    ids = [Shrinking(), 2, 3]
    with pytest.raises(IndexError):
        Columns.from_rows([{"input_ids": ids}])


def test_errors_of_the_rows_come_through():
    class Rows:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        Columns.from_rows(Rows())
