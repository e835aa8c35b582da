"""In which precision Trainer's passes run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from ftcore.modeling.sequence_classification import SequenceClassifier
from ftcore.training.arguments import TrainingArguments

_OPTIONS = {
    "bf16": "bfloat16",
    "bf16_full_eval": "bfloat16",
    "fp16": "float16",
    "fp16_full_eval": "float16",
}


def training_precision(args: TrainingArguments) -> str | None:
    """In what training runs: None where the arguments leave that open."""
    return "bfloat16" if args.bf16 else "float16" if args.fp16 else None


def evaluation_precision(args: TrainingArguments) -> str | None:
    """In what evaluation runs: None where the arguments leave that open."""
    if args.bf16_full_eval or args.fp16_full_eval:
        return "bfloat16" if args.bf16_full_eval else "float16"
    return training_precision(args)


@contextlib.contextmanager
def passes_in(
    model: SequenceClassifier, precision: str | None, tf32: bool | None = None
) -> Iterator[None]:
    """Until the end of the block the model's passes run in a precision; where that is left open, in
    torch.autocast's or in float32. tf32: see `SequenceClassifier.use_tf32`."""
    model.leave_autocast()
    before = model.core.precision
    model.core.precision = precision or _autocast_precision(model) or "float32"
    tf32_before = model.use_tf32(tf32)
    try:
        yield
    finally:
        model.leave_autocast()
        model.core.precision = before
        model.use_tf32(tf32_before)


def _autocast_precision(model: SequenceClassifier) -> str | None:
    if sys.modules.get("torch") is None:  # None: to be imported by nobody
        return None
    from ftcore.modeling.torch_bridge import autocast_precision

    return autocast_precision(model.core.device)


def check_precision(model: SequenceClassifier, args: TrainingArguments) -> None:
    """Raises ValueError, naming the option, where the model's device does not do what it asks
    for."""
    for name, precision in _OPTIONS.items():
        if not getattr(args, name):
            continue
        try:
            with passes_in(model, precision):
                pass
        except ValueError as error:
            raise ValueError(f"TrainingArguments({name}=True): {error}") from None
    if args.tf32:
        try:
            model.core.tf32 = True
        except ValueError as error:
            raise ValueError(f"TrainingArguments(tf32=True): {error}") from None
