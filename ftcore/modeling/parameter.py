"""A model's parameter: a name and views into the core's flat arenas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ftcore.modeling.checkpoint import as_float32

if TYPE_CHECKING:
    from ftcore.modeling.sequence_classification import SequenceClassifier


class Parameter:
    """One named tensor of a model.

    `data` and `grad` are float32 NumPy arrays of `shape` that share the model's memory: writing
    into them changes the model. `grad` is None until a backward pass has run since the last
    `zero_grad`. A bfloat16 model rounds its weights anew for each pass while an array of `data` is
    held, since it may be written to: let go of it.
    """

    __slots__ = ("_index", "_model", "_shape", "decays", "name")

    def __init__(
        self,
        model: SequenceClassifier,
        index: int,
        name: str,
        shape: tuple[int, ...],
        decays: bool,
    ) -> None:
        self._model = model
        self._index = index
        self.name = name
        self._shape = shape
        self.decays = decays

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return self._shape

    @property
    def data(self) -> NDArray[np.float32]:
        """float32 `shape`. Assigning a NumPy array or a torch tensor copies it into the model.

        Raises ValueError for another shape, TypeError for what holds no floating-point numbers.
        """
        return self._model.core.parameter(self._index)

    @data.setter
    def data(self, values: Any) -> None:
        array = as_float32(self.name, values)
        if array.shape != self.shape:
            raise ValueError(f"{self.name} has shape {self.shape}, got {array.shape}")
        self.data[...] = array

    @property
    def grad(self) -> NDArray[np.float32] | None:
        """float32 `shape`, or None where no gradient has been computed since `zero_grad`."""
        if not self._model.has_gradients:
            return None
        return self._model.core.gradient(self._index)

    @property
    def requires_grad(self) -> bool:
        """True: every parameter is trained."""
        return True

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not value:
            raise ValueError(
                f"requires_grad=False is not supported ({self.name}): the backward pass is one for "
                "all parameters; leave those to be frozen out of the parameters given to AdamW"
            )

    def numel(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    def numpy(self) -> NDArray[np.float32]:
        """`data`: float32 `shape`, sharing the model's memory."""
        return self.data

    def torch(self) -> Any:
        """A torch tensor, float32 `shape`, sharing the model's memory."""
        import torch

        return torch.from_numpy(self.data)

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.shape})"
