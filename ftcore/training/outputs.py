"""What Trainer hands over: to compute_metrics, and to its caller."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class EvalPrediction:
    """What compute_metrics gets; ``logits, labels = prediction`` unpacks it.

    predictions: float32 [rows, num_labels]; label_ids: [rows], or [rows, num_labels].
    """

    def __init__(self, predictions: NDArray[Any], label_ids: NDArray[Any]) -> None:
        self.predictions = predictions
        self.label_ids = label_ids

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.predictions, self.label_ids))

    def __getitem__(self, index: int) -> NDArray[Any]:
        return (self.predictions, self.label_ids)[index]


class PredictionOutput(NamedTuple):
    """What `Trainer.predict` returns: float32 [rows, num_labels], labels or None, metrics."""

    predictions: NDArray[np.float32] | None
    label_ids: NDArray[Any] | None
    metrics: dict[str, Any]


class TrainOutput(NamedTuple):
    """What `Trainer.train` returns."""

    global_step: int
    training_loss: float
    metrics: dict[str, Any]


def plain_metrics(computed: Any) -> dict[str, Any]:
    """compute_metrics' result with Python's numbers and lists for NumPy's, as JSON can hold it.

    Raises TypeError unless it is a dict whose keys are strings.
    """
    if not isinstance(computed, Mapping):
        raise TypeError(
            f"compute_metrics must return a dict of names to numbers, not {type(computed).__name__}"
        )
    for name in computed:
        if not isinstance(name, str):
            raise TypeError(
                f"compute_metrics must return a dict of names to numbers, but {name!r} is no name"
            )
    return {name: _plain(value) for name, value in computed.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    # NumPy's scalars have it too, and torch's tensors.
    return value.tolist() if hasattr(value, "tolist") else value


def shown_metrics(split: str, metrics: Mapping[str, Any]) -> str:
    """A table of metrics, one a line, as transformers prints them."""
    shown = {}
    for name, value in metrics.items():
        if "_runtime" in name:
            hundredths = int(abs(value - int(value)) * 100)
            value = f"{datetime.timedelta(seconds=int(value))}.{hundredths:02d}"
        elif name == "total_flos":
            value = f"{int(value) >> 30}GF"
        elif isinstance(value, float):
            value = round(value, 4)
        shown[name] = str(value)
    names, values = (max(map(len, column), default=0) for column in (shown, shown.values()))
    lines = [f"  {name: <{names}} = {shown[name]:>{values}}" for name in sorted(shown)]
    return "\n".join([f"***** {split} metrics *****", *lines])


def speed_metrics(
    split: str, start_time: float, num_samples: float, num_steps: float
) -> dict[str, float]:
    """{split}_runtime in seconds since start_time, and samples and steps per second."""
    runtime = time.time() - start_time
    metrics = {f"{split}_runtime": round(runtime, 4)}
    if runtime > 0:
        metrics[f"{split}_samples_per_second"] = round(num_samples / runtime, 3)
        metrics[f"{split}_steps_per_second"] = round(num_steps / runtime, 3)
    return metrics
