"""What the commands of ``python -m ftcore`` share: the exception that ends one with a message, and
the types of their options."""

import argparse
import math


class CommandError(Exception):
    """Something the user can put right; the message says what. Ends the command with code 2."""


def positive(text: str) -> float:
    """An option's value: a finite number greater than 0."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"must be greater than 0, got {text}")
    return value


def count(text: str) -> int:
    """An option's value: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value
