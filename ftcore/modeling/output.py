"""What a classifier returns: loss and logits, as transformers' SequenceClassifierOutput."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeGuard

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ftcore.modeling.sequence_classification import SequenceClassifier


class SequenceClassifierOutput(dict):
    """loss and logits, by attribute, by key, or by position; what is None has no key.

    logits: float32 [batch, num_labels]; loss: the batch's mean, or None where it had no labels.
    Both are torch tensors where the input was, else a `Loss` and a NumPy array, or, where the input
    was CuPy's on the model's GPU, one of CuPy.
    """

    loss: Any
    logits: Any
    hidden_states = None
    attentions = None

    def __init__(self, loss: Any, logits: Any) -> None:
        fields = {"loss": loss, "logits": logits}
        super().__init__({key: value for key, value in fields.items() if value is not None})
        self.loss = loss
        self.logits = logits

    def to_tuple(self) -> tuple[Any, ...]:
        """(loss, logits), or (logits,) where there is no loss."""
        return tuple(self.values())

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return super().__getitem__(key)
        return self.to_tuple()[key]


class Loss:
    """A loss where torch is not used: a number that knows its way back through the model.

    `backward()` adds its gradient to the model's. It may be scaled (loss / 2, 0.5 * loss) before.
    Sums, differences and comparisons are those of floats.
    """

    def __init__(
        self, value: SupportsFloat, model: SequenceClassifier, run: int, scale: float = 1.0
    ) -> None:
        self._source = value
        self._model = model
        self._run = run
        self._scale = scale

    @property
    def _value(self) -> float:
        # Of an array on a GPU it is waited for where it is asked for.
        self._source = float(self._source)
        return self._source

    def item(self) -> float:
        """The loss as a float."""
        return self._value

    def backward(self) -> None:
        """Adds the loss's gradient to the gradients of the model's parameters.

        Raises RuntimeError where the model has run again, or backward already has.
        """
        self._model.backward_of(self._run, self._scale, None)

    def detach(self) -> np.float64:
        """The loss as a number alone."""
        return np.float64(self._value)

    # With numbers it is one; only scaling keeps the way back.

    # NumPy's numbers leave arithmetic with a loss to the loss.
    __array_priority__ = 1000

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        return np.array(self._value, dtype)

    def __float__(self) -> float:
        return self._value

    def __int__(self) -> int:
        return int(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __round__(self, digits: int | None = None) -> float:
        return round(self._value, digits)

    def __neg__(self) -> Loss:
        return self * -1

    def __abs__(self) -> float:
        return abs(self._value)

    def __add__(self, other: Any) -> float:
        return self._value + float(other) if _is_number(other) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Any) -> float:
        return self._value - float(other) if _is_number(other) else NotImplemented

    def __rsub__(self, other: Any) -> float:
        return float(other) - self._value if _is_number(other) else NotImplemented

    def __mul__(self, factor: Any) -> Any:
        if isinstance(factor, Loss):
            return self._value * factor._value
        if not _is_number(factor):
            return NotImplemented
        factor = float(factor)
        return Loss(self._value * factor, self._model, self._run, self._scale * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Any:
        if isinstance(divisor, Loss):
            return self._value / divisor._value
        if not _is_number(divisor):
            return NotImplemented
        divisor = float(divisor)
        return Loss(self._value / divisor, self._model, self._run, self._scale / divisor)

    def __rtruediv__(self, other: Any) -> float:
        return float(other) / self._value if _is_number(other) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return self._value == float(other) if _is_number(other) else NotImplemented

    def __lt__(self, other: Any) -> bool:
        return self._value < float(other) if _is_number(other) else NotImplemented

    def __le__(self, other: Any) -> bool:
        return self._value <= float(other) if _is_number(other) else NotImplemented

    def __gt__(self, other: Any) -> bool:
        return self._value > float(other) if _is_number(other) else NotImplemented

    def __ge__(self, other: Any) -> bool:
        return self._value >= float(other) if _is_number(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __format__(self, specification: str) -> str:
        return format(self._value, specification)

    def __repr__(self) -> str:
        return f"Loss({self._value})"


def _is_number(value: Any) -> TypeGuard[SupportsFloat]:
    return isinstance(value, Loss | numbers.Real)
