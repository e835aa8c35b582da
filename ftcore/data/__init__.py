"""From examples to batches: data sets as flat columns, and collators."""

from ftcore.data.collator import DataCollatorWithPadding, default_data_collator
from ftcore.data.dataset import MODEL_COLUMNS, read_columns

__all__ = ["MODEL_COLUMNS", "DataCollatorWithPadding", "default_data_collator", "read_columns"]
