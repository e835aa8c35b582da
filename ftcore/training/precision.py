"""In which precision Trainer's passes run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ftcore.modeling.sequence_classification import SequenceClassifier
from ftcore.training.arguments import TrainingArguments


@contextlib.contextmanager
def passes_in(model: SequenceClassifier, bf16: bool) -> Iterator[None]:
    """The model's passes run in bfloat16 (or float32) until the end of the block."""
    model.leave_autocast()
    before = model.core.precision
    model.core.precision = "bfloat16" if bf16 else "float32"
    try:
        yield
    finally:
        model.leave_autocast()
        model.core.precision = before


def check_precision(model: SequenceClassifier, args: TrainingArguments) -> None:
    """Raises ValueError, naming the option, where the processor does not do what it asks for."""
    for name in ("bf16", "bf16_full_eval"):
        if not getattr(args, name):
            continue
        try:
            with passes_in(model, True):
                pass
        except ValueError as error:
            raise ValueError(f"TrainingArguments({name}=True): {error}") from None
