"""Columns from data sets: Hugging Face's, in every format, and sequences of dicts."""

import numpy as np
import pytest

from ftcore.data import read_columns

datasets = pytest.importorskip("datasets")

COLUMNS = {
    "sentence": ["a", "b", "c"],
    "input_ids": [[1, 2, 3], [4, 5], [6]],
    "token_type_ids": [[0, 0, 1], [1, 1], [0]],
    "label": [1, 0, 2],
}


@pytest.fixture
def dataset():
    return datasets.Dataset.from_dict(COLUMNS)


def contents(columns):
    """(input ids, token types, labels) of all rows."""
    batch = columns.pack(np.arange(len(columns)))
    labels = None if batch.labels is None else batch.labels.tolist()
    return batch.input_ids.tolist(), batch.token_type_ids.tolist(), labels


def test_a_data_set(dataset):
    assert contents(read_columns(dataset)) == ([1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 1, 0], [1, 0, 2])


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.select([2, 0]),
        lambda d: d.select(range(1, 3)),
        lambda d: d.shuffle(seed=1).select([1, 1, 0]),
        lambda d: d.sort("label"),
        lambda d: d.filter(lambda row: row["label"] != 0),
        lambda d: datasets.concatenate_datasets([d, d.select([1])]).shuffle(seed=0),
        lambda d: d.with_format("torch"),
        lambda d: d.with_format("numpy"),
        lambda d: d.cast_column("input_ids", datasets.LargeList(datasets.Value("uint16"))),
        lambda d: d.with_transform(lambda batch: {k: list(v) for k, v in batch.items()}),
    ],
)
def test_equals_its_rows_one_by_one(dataset, change):
    changed = change(dataset)
    rows = [changed[i] for i in range(len(changed))]
    assert contents(read_columns(changed)) == contents(read_columns(rows))
    assert len(read_columns(changed)) == len(changed)


def test_only_the_named_columns_are_read(dataset):
    names = ["input_ids", "label"]
    expected = ([1, 2, 3, 4, 5, 6], [0] * 6, [1, 0, 2])
    assert contents(read_columns(dataset, names)) == expected
    assert contents(read_columns(list(dataset), names)) == expected


def test_only_the_columns_of_the_format_are_read(dataset):
    shown = dataset.with_format("numpy", columns=["input_ids"])
    assert contents(read_columns(shown)) == ([1, 2, 3, 4, 5, 6], [0] * 6, None)
    shown = dataset.with_format("numpy", columns=["input_ids"], output_all_columns=True)
    assert contents(read_columns(shown))[2] == [1, 0, 2]


def test_no_row_becomes_a_python_object(dataset, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a row was read")

    monkeypatch.setattr(datasets.Dataset, "__getitem__", refuse)
    assert len(read_columns(dataset.shuffle(seed=0))) == 3


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda d: datasets.DatasetDict(train=d),
            TypeError,
            r"pass its \['train'\]",
        ),
        (lambda d: d.to_iterable_dataset(), TypeError, "streaming data sets"),
        (lambda d: iter([]), TypeError, "not a list_iterator"),
        (lambda d: d.remove_columns("input_ids"), ValueError, "no column 'input_ids'.*'sentence'"),
        (lambda d: d.with_format("numpy", columns=["label"]), ValueError, "no column 'input_ids'"),
        (lambda d: [{"label": 1}], ValueError, "there is no column 'input_ids'"),
    ],
)
def test_what_cannot_be_read_is_refused(dataset, make, error, message):
    with pytest.raises(error, match=message):
        read_columns(make(dataset))
