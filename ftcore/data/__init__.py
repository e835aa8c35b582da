"""From examples to batches: data sets as flat columns, and collators."""

from ftcore.data.dataset import MODEL_COLUMNS, read_columns

__all__ = ["MODEL_COLUMNS", "read_columns"]
