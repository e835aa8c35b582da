"""Accuracy, F1, and the plot of a training run."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def accuracy_and_f1(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and F1 of logits [rows, classes] against labels [rows].

    With two classes F1 is that of class 1, as GLUE counts it; with more it is the mean over the
    classes that occur in the labels or in the predictions.
    """
    predictions = np.argmax(logits, axis=-1)

    def f1(label: int) -> float:
        hits = np.sum((predictions == label) & (labels == label))
        return float(2 * hits / max(1, np.sum(predictions == label) + np.sum(labels == label)))

    classes = [1] if logits.shape[-1] == 2 else np.union1d(predictions, labels).tolist()
    return {
        "accuracy": float(np.mean(predictions == labels)),
        "f1": float(np.mean([f1(label) for label in classes])),
    }


def compute_metrics(prediction: Any) -> dict[str, float]:
    """What ``Trainer`` calls after an evaluation."""
    return accuracy_and_f1(np.asarray(prediction.predictions), np.asarray(prediction.label_ids))


def plot(history: Sequence[Mapping[str, Any]], title: str, path: pathlib.Path) -> None:
    """Draws the losses and the metrics of a log history against epochs into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def curve(key: str) -> tuple[list[float], list[float]]:
        points = [(entry["epoch"], entry[key]) for entry in history if key in entry]
        return [x for x, _ in points], [y for _, y in points]

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(*curve("loss"), label="training", color="tab:blue", linewidth=1)
    left.plot(*curve("eval_loss"), "o-", label="validation", color="tab:orange")
    left.set(xlabel="epoch", ylabel="loss")
    right.plot(*curve("eval_accuracy"), "o-", label="accuracy", color="tab:green")
    right.plot(*curve("eval_f1"), "s--", label="F1", color="tab:red")
    right.set(xlabel="epoch", ylabel="on the validation rows", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
