"""What a classifier returns: loss and logits, as transformers' SequenceClassifierOutput."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftcore.modeling.sequence_classification import SequenceClassifier


class SequenceClassifierOutput(dict):
    """loss and logits, by attribute, by key, or by position; what is None has no key.

    logits: float32 [batch, num_labels]; loss: the batch's mean, or None where it had no labels.
    Both are torch tensors where the input was, else a `Loss` and a NumPy array.
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
    """

    def __init__(self, value: float, model: SequenceClassifier, run: int, scale: float = 1.0):
        self._value = value
        self._model = model
        self._run = run
        self._scale = scale

    def item(self) -> float:
        """The loss as a float."""
        return self._value

    def backward(self) -> None:
        """Adds the loss's gradient to the gradients of the model's parameters.

        Raises RuntimeError where the model has run again, or backward already has.
        """
        self._model.backward_of(self._run, self._scale, None)

    def __float__(self) -> float:
        return self._value

    def __mul__(self, factor: float) -> Loss:
        if not isinstance(factor, int | float):
            return NotImplemented
        return Loss(self._value * factor, self._model, self._run, self._scale * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Loss:
        if not isinstance(divisor, int | float):
            return NotImplemented
        return Loss(self._value / divisor, self._model, self._run, self._scale / divisor)

    def __format__(self, specification: str) -> str:
        return format(self._value, specification)

    def __repr__(self) -> str:
        return f"Loss({self._value})"
