"""Medians and quartiles."""

import statistics
from collections.abc import Iterable

Summary = dict[str, float]


def summary(values: Iterable[float]) -> Summary:
    """The median, the quartiles and the number of the values."""
    ordered = sorted(values)
    if len(ordered) > 1:
        low, middle, high = statistics.quantiles(ordered, n=4, method="inclusive")
    else:
        low, middle, high = ordered * 3
    return {"median": middle, "low": low, "high": high, "count": len(ordered)}
