"""Python's numbers of other libraries' scalars."""

from __future__ import annotations

import numbers
from typing import Any


def plain_number(value: Any) -> Any:
    """The int or float of a number such as NumPy's, which JSON cannot hold; the rest as it is."""
    if isinstance(value, int | float) and type(value).__module__ != "numpy":
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value
