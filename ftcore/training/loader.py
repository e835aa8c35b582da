"""Batches of a data set: packed straight from columns, or made by a collator and then packed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcore import _core
from ftcore.data import DataCollatorWithPadding, read_columns
from ftcore.data.dataset import is_hub_dataset
from ftcore.modeling.sequence_classification import SequenceClassifier

IGNORED_LABEL = -100
# transformers takes a label under any of these names.
_LABELS = ("labels", "label", "label_ids")
# Tokens that go through the model at once in evaluation: enough for matrix products to run at their
# full rate; more would only take memory.
_PASS_TOKENS = 2048
# How many rows are checked at a time, before training.
_CHECKED = 4096


class BatchLoader:
    """A data set cut into batches; `len` is how many.

    `rows` is the number of rows. `padded_tokens` counts the tokens of the last batch as they would
    be with padding, from which transformers reckons the work done.
    """

    def __init__(self, model: SequenceClassifier, rows: int, batch_size: int, drop_last: bool):
        self.model = model
        self.rows = rows
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.padded_tokens = 0

    def __len__(self) -> int:
        if self.drop_last:
            return self.rows // self.batch_size
        return math.ceil(self.rows / self.batch_size)

    def batch(self, indices: NDArray[np.int64]) -> _core.Batch:
        """The packed batch of the rows that `indices` name."""
        raise NotImplementedError

    def batches(self, order: NDArray[np.int64], first: int = 0) -> Iterator[_core.Batch]:
        """The batches of an epoch in which the rows come in `order`, from batch `first` on."""
        for start in range(first * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield self.batch(order[start : start + self.batch_size])

    def too_large(self, error: MemoryError, option: str) -> MemoryError:
        """What to raise where a batch does not fit in memory; `option` sets the size of batches."""
        return MemoryError(
            f"{error}: lower {option}, which is {self.batch_size}, or max_length when tokenizing"
        )

    def passes(self) -> Iterator[tuple[_core.Batch, int]]:
        """The batches in the data set's order, as they go through the model in evaluation: one, or
        several end to end, each of as many rows as the number beside them (the last: of fewer)."""
        for batch in self.batches(np.arange(self.rows, dtype=np.int64)):
            yield batch, batch.sequences

    def check(self, needs_labels: bool) -> None:
        """Looks at the rows before any work is done with them.

        Raises ValueError for no rows, missing labels (where needed), labels or ids out of range and
        sequences that are too long.
        """
        if self.rows == 0:
            raise ValueError("the data set is empty: there is nothing to do")


class PackedLoader(BatchLoader):
    """Batches packed from columns that are read once; no Python object is made of any row."""

    def __init__(
        self,
        model: SequenceClassifier,
        dataset: Any,
        collator: Any,
        batch_size: int,
        drop_last: bool,
    ) -> None:
        super().__init__(model, len(dataset), batch_size, drop_last)
        self._padding = getattr(collator, "padding", True)
        self._max_length = getattr(collator, "max_length", None)
        self._multiple = getattr(collator, "pad_to_multiple_of", None) or 1
        if self.rows:
            self._columns = read_columns(dataset, {*model.input_names, *_LABELS})

    def batch(self, indices: NDArray[np.int64]) -> _core.Batch:
        batch = self._columns.pack(indices)
        length = batch.max_length
        if self._padding == "max_length" and self._max_length is not None:
            length = self._max_length
        length = -(-length // self._multiple) * self._multiple
        self.padded_tokens = batch.sequences * length
        return batch

    def passes(self) -> Iterator[tuple[_core.Batch, int]]:
        order = np.arange(min(self.rows, len(self) * self.batch_size), dtype=np.int64)
        ends = np.cumsum(self._columns.lengths(), dtype=np.int64)
        start = 0
        while start < len(order):
            limit = _PASS_TOKENS + (ends[start - 1] if start else 0)
            stop = int(np.searchsorted(ends, limit, "right"))
            if stop < len(order):  # only the last batch may be cut short
                stop = start + max((stop - start) // self.batch_size, 1) * self.batch_size
            yield self.batch(order[start:stop]), self.batch_size
            start = stop

    def check(self, needs_labels: bool) -> None:
        super().check(needs_labels)
        config = self.model.config
        ignored = True
        for start in range(0, self.rows, _CHECKED):
            indices = np.arange(start, min(start + _CHECKED, self.rows), dtype=np.int64)
            batch = self._columns.pack(indices)
            if batch.max_length > config.max_position_embeddings:
                row = start + int(np.diff(batch.cu_seqlens).argmax())
                raise ValueError(
                    f"row {row} has {batch.max_length} tokens, but the model takes at most "
                    f"{config.max_position_embeddings}: tokenize with truncation=True"
                )
            _check_range(
                batch,
                start,
                batch.input_ids,
                config.vocab_size,
                "token id",
                f"the model's vocabulary has {config.vocab_size} entries: tokenizer and model must "
                "be of the same checkpoint",
            )
            if "token_type_ids" in self.model.input_names:
                _check_range(
                    batch,
                    start,
                    batch.token_type_ids,
                    config.type_vocab_size,
                    "token type id",
                    f"the model's type_vocab_size is {config.type_vocab_size}",
                )
            _check_range(
                batch,
                start,
                batch.position_ids,
                config.max_position_embeddings,
                "position id",
                f"the model's max_position_embeddings is {config.max_position_embeddings}",
            )
            self._check_labels(batch, start, needs_labels)
            ignored = ignored and batch.labels is not None and _all_ignored(batch.labels)
        if needs_labels and ignored:
            raise ValueError(
                f"all labels are {IGNORED_LABEL}, which the loss ignores: there is nothing to learn"
            )

    def _check_labels(self, batch: _core.Batch, start: int, needs_labels: bool) -> None:
        labels = batch.labels
        if labels is None:
            if needs_labels:
                raise ValueError(
                    'the data set has no labels: needed is a column "labels", "label" or '
                    '"label_ids"'
                )
            return
        problem = self.model.choose_problem(labels)
        count = self.model.config.num_labels
        if problem == "single_label_classification":
            if labels.dtype.kind == "f":
                raise ValueError(
                    f"labels are {labels.dtype}, but {problem} needs integers (problem_type in the "
                    "model's config chooses another loss)"
                )
            wrong = ((labels < 0) | (labels >= count)) & (labels != IGNORED_LABEL)
            if wrong.any():
                row = int(wrong.argmax())
                raise ValueError(
                    f"row {start + row} has the label {labels[row]}, but the model has {count} "
                    f"labels: load it with num_labels={int(labels.max()) + 1}"
                    if labels[row] >= count
                    else f"row {start + row} has the label {labels[row]}: labels count from 0; to "
                    "predict without labels, remove their column"
                )
        elif labels.dtype.kind != "f" or labels.shape[1] != count:
            width = 1 if labels.ndim == 1 else labels.shape[1]
            raise ValueError(
                f"{problem} with {count} labels needs {count} floats a row, but the data set has "
                f"{width} of {labels.dtype}"
            )
        elif needs_labels and not np.isfinite(labels).all():
            row = int((~np.isfinite(labels)).reshape(len(labels), -1).any(1).argmax())
            raise ValueError(
                f"row {start + row} has the label {labels[row].tolist()}: the loss needs finite "
                "numbers"
            )


def _all_ignored(labels: NDArray[Any]) -> bool:
    return labels.dtype.kind != "f" and bool((labels == IGNORED_LABEL).all())


def _check_range(
    batch: _core.Batch, start: int, ids: NDArray[np.int32], limit: int, name: str, limits: str
) -> None:
    """Raises ValueError for ids below 0 or from `limit` on; the batch begins at row `start`."""
    wrong = (ids < 0) | (ids >= limit)
    if wrong.any():
        token = int(wrong.argmax())
        row = start + int(np.searchsorted(batch.cu_seqlens, token, "right")) - 1
        raise ValueError(f"row {row} has the {name} {ids[token]}, but {limits}")


class CollatedLoader(BatchLoader):
    """Batches that a collator of the user's makes of rows."""

    def __init__(
        self,
        model: SequenceClassifier,
        dataset: Any,
        collator: Callable[[list[Any]], Mapping[str, Any]],
        batch_size: int,
        drop_last: bool,
        remove_unused_columns: bool,
    ) -> None:
        super().__init__(model, len(dataset), batch_size, drop_last)
        self._collator = collator
        self._known = {*model.input_names, *_LABELS} if remove_unused_columns else None
        if self._known is not None and is_hub_dataset(dataset) and self.rows:
            kept = [name for name in dataset.column_names if name in self._known]
            if not kept:
                raise ValueError(
                    f"none of the columns {', '.join(dataset.column_names)} is an input of the "
                    "model: tokenize the data set, or set remove_unused_columns=False"
                )
            dataset = dataset.select_columns(kept)
        self._dataset = dataset

    def _row(self, index: int) -> Any:
        row = self._dataset[index]
        if self._known is None or not isinstance(row, Mapping):
            return row
        return {key: value for key, value in row.items() if key in self._known}

    def batch(self, indices: NDArray[np.int64]) -> _core.Batch:
        collated = self._collator([self._row(index) for index in indices.tolist()])
        unknown = [key for key in collated if key not in self.model.input_names]
        if "input_ids" not in collated or unknown:
            raise ValueError(
                f"the collator gave {', '.join(map(str, collated))}: the model takes "
                f"{', '.join(self.model.input_names)}"
            )
        self.padded_tokens = math.prod(np.shape(collated["input_ids"]))
        return self.model.pack(**collated)


def make_loader(
    model: SequenceClassifier,
    dataset: Any,
    collator: Any,
    batch_size: int,
    drop_last: bool = False,
    remove_unused_columns: bool = True,
) -> BatchLoader:
    """The loader that a data set and a collator (None: none was given) call for.

    Raises TypeError for a data set without a length or an order.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")) or isinstance(
        dataset, Mapping
    ):
        raise TypeError(
            "the data set must be a datasets.Dataset or a sequence of dicts, not "
            f"{type(dataset).__name__}"
        )
    if collator is None or pads_on_the_right(collator):
        return PackedLoader(model, dataset, collator, batch_size, drop_last)
    return CollatedLoader(model, dataset, collator, batch_size, drop_last, remove_unused_columns)


def pads_on_the_right(collator: Any) -> bool:
    """Whether a collator does nothing that packing makes unnecessary: ftcore's or transformers'
    DataCollatorWithPadding and default_data_collator."""
    name = getattr(collator, "__name__", type(collator).__name__)
    module = getattr(collator, "__module__", "").partition(".")[0]
    if name == "default_data_collator" and module in ("ftcore", "transformers"):
        return True
    ours = type(collator) is DataCollatorWithPadding
    theirs = name == "DataCollatorWithPadding" and module == "transformers"
    return (ours or theirs) and getattr(collator.tokenizer, "padding_side", "right") == "right"
