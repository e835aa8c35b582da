"""Errors of common mistakes say what to do."""

import datasets
import pytest

import ftcore
from ftcore.data import read_columns

ROWS = datasets.Dataset.from_dict({"input_ids": [[1, 2], [3]], "label": ["a", "b"]})


def test_labels_that_are_strings():
    with pytest.raises(TypeError, match="column 'label' holds strings: map them to numbers"):
        read_columns(ROWS)


def test_all_splits_at_once():
    with pytest.raises(TypeError, match=r"pass its \['train'\]"):
        read_columns(datasets.DatasetDict(test=ROWS, train=ROWS))


def test_streaming():
    with pytest.raises(TypeError, match="streaming data sets .*load it whole"):
        read_columns(ROWS.to_iterable_dataset())


def test_ragged_rows(small_model):
    with pytest.raises(ValueError, match=r"pad them: tokenizer\(\.\.\., padding=True\)"):
        small_model(input_ids=[[1, 2], [3]])


def test_a_folder_without_a_tokenizer(tmp_path):
    with pytest.raises(OSError, match=r"tokenizer\.json and no vocab\.txt"):
        ftcore.AutoTokenizer.from_pretrained(tmp_path)


def test_a_tokenizer_that_is_nowhere():
    with pytest.raises(OSError, match=r"tokenizer(_config)?\.json could not be had"):
        ftcore.AutoTokenizer.from_pretrained("no-such", local_files_only=True)
