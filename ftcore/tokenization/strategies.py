"""How a call's padding and truncation arguments are understood."""

from __future__ import annotations

import operator
import warnings
from typing import Any, NamedTuple

PADDING = ("longest", "max_length", "do_not_pad")
TRUNCATION = ("do_not_truncate", "longest_first", "only_first", "only_second")
"""A strategy's place in this list is its number in the C core."""
VERY_LARGE_INTEGER = int(1e30)
"""The model_max_length of a tokenizer that was given none."""
_LARGE_INTEGER = int(1e20)


class Strategies(NamedTuple):
    """A call's padding and truncation, each by its name, and the length they go to."""

    padding: str
    truncation: str
    max_length: int | None

    def padded_length(self, longest: int, multiple: int | None) -> int:
        """The length that rows shorter than it are padded to; 0 for none."""
        if self.padding == "do_not_pad":
            return 0
        length = longest if self.padding == "longest" else self.max_length or 0
        return -(-length // multiple) * multiple if multiple else length


def natural_number(name: str, value: Any) -> int | None:
    """``value`` as an int that is not negative, or None. Raises TypeError or ValueError."""
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number}")
    return number


def side(name: str, value: Any) -> str:
    """``value`` where it is "left" or "right"; ValueError otherwise."""
    if value not in ("left", "right"):
        raise ValueError(f"{name} should be 'left' or 'right', got {value!r}")
    return value


def _choice(kind: str, value: Any, choices: tuple[str, ...]) -> str:
    value = getattr(value, "value", value)  # transformers has enumerations of them
    if value not in choices:
        raise ValueError(f"{value} is not a valid {kind}, please select one of {list(choices)}")
    return value


def understand(
    padding: Any,
    truncation: Any,
    max_length: Any,
    pad_to_multiple_of: int | None,
    model_max_length: int,
    verbose: bool = True,
) -> Strategies:
    """What Hugging Face makes of these arguments, with its defaults and warnings.

    Raises ValueError for a strategy that does not exist, and where truncation and padding go to a
    max_length that is not a multiple of pad_to_multiple_of.
    """
    max_length = natural_number("max_length", max_length)
    if max_length is not None and padding is False and truncation is None:
        truncation = "longest_first"
    if padding is True:
        untruncated = truncation is None or truncation is False or truncation == "do_not_truncate"
        if verbose and max_length is not None and untruncated:
            warnings.warn(
                "`max_length` is ignored when `padding`=`True` and there is no truncation "
                "strategy. To pad to max length, use `padding='max_length'`.",
                stacklevel=4,
            )
        padding = "longest"
    elif padding is False:
        padding = "do_not_pad"
    if truncation is None or truncation is False:
        truncation = "do_not_truncate"
    elif truncation is True:
        truncation = "longest_first"
    padding = _choice("PaddingStrategy", padding, PADDING)
    truncation = _choice("TruncationStrategy", truncation, TRUNCATION)

    if max_length is None:
        bounded = model_max_length <= _LARGE_INTEGER
        if padding == "max_length":
            max_length, padding = (model_max_length, padding) if bounded else (None, "do_not_pad")
        if truncation != "do_not_truncate":
            if bounded:
                max_length = model_max_length
            else:
                truncation = "do_not_truncate"
    if (
        truncation != "do_not_truncate"
        and padding != "do_not_pad"
        and pad_to_multiple_of
        and max_length is not None
        and max_length % pad_to_multiple_of != 0
    ):
        raise ValueError(
            "Truncation and padding are both activated but truncation length "
            f"({max_length}) is not a multiple of pad_to_multiple_of ({pad_to_multiple_of})."
        )
    return Strategies(padding, truncation, max_length)
