"""What Trainer hands over: to compute_metrics, and to its caller."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
