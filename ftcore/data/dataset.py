"""Data sets as flat columns, from which batches are packed."""

import sys
from collections.abc import Collection, Mapping
from typing import Any

from ftcore._core import Columns

MODEL_COLUMNS = (
    "input_ids",
    "token_type_ids",
    "position_ids",
    "attention_mask",
    "labels",
    "label",
    "label_ids",
)
"""What can be read from a data set; a model may take fewer."""
_LABELS = ("labels", "label", "label_ids")


def read_columns(dataset: Any, names: Collection[str] = MODEL_COLUMNS) -> Columns:
    """Reads the columns of a data set that a model takes; the others are ignored.

    Args:
        dataset: a ``datasets.Dataset``, whose columns are read from Arrow without making a Python
            object of any row, or a sequence of dicts of ints, lists, arrays or torch tensors.
            ``input_ids``, ``token_type_ids``, ``position_ids`` and ``attention_mask`` hold a list
            of integers a row; the label is an integer, a float or a list of floats.
        names: the columns to read, of those in ``MODEL_COLUMNS``.

    Returns:
        ``Columns`` of as many rows. Tokens whose attention mask is 0 are not in them.

    Raises:
        TypeError: it is neither, or a column holds something else.
        ValueError: there is no ``input_ids``; a row is empty or null, is masked as a whole, has
            columns of different lengths or holds a number beyond 32 bits. Row and column are named.
    """
    if is_hub_dataset(dataset) and dataset.format["type"] != "custom":
        return _read_arrow(dataset, names)
    if type(dataset).__name__ in ("IterableDataset", "IterableDatasetDict"):
        raise TypeError(
            f"streaming data sets ({type(dataset).__name__}) are not supported: load it whole, "
            "without streaming=True"
        )
    if isinstance(dataset, Mapping):
        if "input_ids" not in dataset and dataset:
            split = "train" if "train" in dataset else next(iter(dataset))
            raise TypeError(
                f"the data set is a {type(dataset).__name__} with the keys "
                f"{', '.join(map(repr, dataset))}: pass its [{split!r}]"
            )
        raise TypeError(
            "the data set must be a datasets.Dataset or a sequence of dicts, not a "
            f"{type(dataset).__name__} with the keys {', '.join(map(repr, dataset))}"
        )
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(
            "the data set must be a datasets.Dataset or a sequence of dicts with __len__ and "
            f"__getitem__, not a {type(dataset).__name__}"
        )
    return Columns.from_rows(dataset, names)


def is_hub_dataset(dataset: Any) -> bool:
    """Whether it is a ``datasets.Dataset``, without importing that package."""
    datasets = sys.modules.get("datasets")
    return datasets is not None and isinstance(dataset, datasets.Dataset)


def _read_arrow(dataset: Any, names: Collection[str]) -> Columns:
    shown = dataset.format
    visible = dataset.column_names if shown["output_all_columns"] else shown["columns"]
    columns = [name for name in visible if name in names]
    if "input_ids" not in columns:
        raise ValueError(
            "the data set has no column 'input_ids' (its columns are "
            f"{', '.join(map(repr, visible))}): tokenize it first"
        )
    for name in columns:
        if str(dataset.data.table.schema.field(name).type) in ("string", "large_string"):
            raise TypeError(
                f"column {name!r} holds strings: map them to numbers (class_encode_column)"
                if name in _LABELS
                else f"column {name!r} holds strings: tokenize it first"
            )
    indices = dataset._indices
    return Columns.from_arrow(
        dataset.data.table.select(columns),
        None if indices is None else indices.column(0).to_numpy(),
    )
