"""In which precision Trainer's passes run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from ftcore.modeling.sequence_classification import SequenceClassifier
from ftcore.training.arguments import TrainingArguments


@contextlib.contextmanager
def passes_in(model: SequenceClassifier, bf16: bool) -> Iterator[None]:
    """Until the end of the block the model's passes run in bfloat16, where that is asked for here
    or by torch.autocast, or in float32."""
    model.leave_autocast()
    before = model.core.precision
    model.core.precision = "bfloat16" if bf16 or _under_autocast() else "float32"
    try:
        yield
    finally:
        model.leave_autocast()
        model.core.precision = before


def _under_autocast() -> bool:
    if sys.modules.get("torch") is None:  # None: to be imported by nobody
        return False
    from ftcore.modeling.torch_bridge import autocast_precision

    return autocast_precision() == "bfloat16"


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
