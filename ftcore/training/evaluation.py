"""A pass over a data set without training."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcore.modeling.sequence_classification import SequenceClassifier
from ftcore.training.loader import BatchLoader


def run_evaluation(
    model: SequenceClassifier,
    loader: BatchLoader,
    wants_logits: bool,
    after_batch: Callable[[], None],
) -> tuple[NDArray[np.float32] | None, NDArray[Any] | None, float | None]:
    """(logits [rows, num_labels], labels, mean loss), in the order of the data set.

    Logits and labels are None where not wanted, labels and loss also where there are none. As in
    transformers the loss is the mean, over rows, of the losses of their batches, of those that are
    finite where any is.
    """
    model.eval()
    model.forget_run()
    logits: list[NDArray[np.float32]] = []
    labels: list[NDArray[Any]] = []
    losses: list[tuple[float, int]] = []
    for batch, batch_size in loader.passes():
        model.leave_autocast()  # of a callback
        try:
            means, batch_logits = model.core.evaluate(batch, batch_size)
        except MemoryError as error:
            if batch.sequences > batch_size:  # smaller batches would be packed all the same
                raise
            raise loader.too_large(error, "per_device_eval_batch_size") from None
        starts = range(0, batch.sequences, batch_size)
        counts = [min(batch_size, batch.sequences - start) for start in starts]
        if means is not None:
            losses += zip(means.tolist(), counts, strict=True)
        if wants_logits:
            logits.append(batch_logits)
            if batch.labels is not None:
                labels.append(np.array(batch.labels))
        for _ in counts:
            after_batch()
    finite = [entry for entry in losses if math.isfinite(entry[0])] or losses
    rows = sum(count for _, count in finite)
    mean = sum(loss * count for loss, count in finite) / rows if finite else None
    all_labels = np.concatenate(labels) if labels else None
    if all_labels is not None and all_labels.ndim == 2 and all_labels.shape[1] == 1:
        all_labels = all_labels[:, 0]
    return np.concatenate(logits) if logits else None, all_labels, mean
