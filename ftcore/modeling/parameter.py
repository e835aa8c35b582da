"""A model's parameter: a name and a place in the core's flat arenas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ftcore.modeling.checkpoint import as_float32

if TYPE_CHECKING:
    from ftcore.modeling.sequence_classification import SequenceClassifier


_LEGACY_STREAM = 1
"""As __cuda_array_interface__ has it: the default stream, which waits for the model's."""


class Parameter:
    """One named tensor of a model.

    `data` and `grad` are float32 NumPy arrays of `shape` that share the model's memory: writing
    into them changes the model. Where that memory is a GPU's they are copies that cannot be
    written: assign to `data` and `grad`, or use `torch()` or `__dlpack__`, which share memory there
    too, or `__cuda_array_interface__` (``cupy.asarray(parameter)``). `grad` is None until a
    backward pass has run since the last `zero_grad`. A model in 16 bits rounds its weights anew for
    each pass while an array of `data` or a tensor of `torch` is held, since it may be written to:
    let go of it. Once `__cuda_array_interface__` was asked for it does so for good.
    """

    __slots__ = ("_index", "_model", "_shape", "_shown", "decays", "name")

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
        # The cores, with what keeps their memory, of which __cuda_array_interface__ has told.
        self._shown: list[tuple[Any, object]] = []
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
        self.write(self._checked(values))

    def write(self, values: NDArray[Any]) -> None:
        """Copies an array of this shape into the model."""
        self._model.core.set_parameter(self._index, values)

    @property
    def grad(self) -> NDArray[np.float32] | None:
        """float32 `shape`, or None where no gradient has been computed since `zero_grad`."""
        if not self._model.has_gradients:
            return None
        return self._model.core.gradient(self._index)

    @grad.setter
    def grad(self, values: Any) -> None:
        """Copies a NumPy array or a torch tensor into the gradient that a backward has left.

        Raises RuntimeError where there is none; otherwise as for `data`.
        """
        if not self._model.has_gradients:
            raise RuntimeError(
                f"{self.name} has no gradient that could be replaced: call backward() first"
            )
        self._model.core.set_gradient(self._index, self._checked(values))

    def _checked(self, values: Any) -> NDArray[np.float32]:
        array = as_float32(self.name, values)
        if array.shape != self.shape:
            raise ValueError(f"{self.name} has shape {self.shape}, got {array.shape}")
        return array

    @property
    def device(self) -> Any:
        """The model's device."""
        return self._model.device

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
        """`data`: float32 `shape`."""
        return self.data

    def torch(self) -> Any:
        """A torch tensor on the model's device, float32 `shape`, sharing the model's memory.

        Raises RuntimeError where torch itself cannot use the GPU: take `numpy()`.
        """
        import torch

        if self._model.core.device == "cpu":
            return torch.from_numpy(self.data)
        if not torch.cuda.is_available():
            raise RuntimeError(
                f"{self.name} is on {self._model.core.device}, which this torch cannot use: "
                "numpy() gives a copy"
            )
        return torch.from_dlpack(self)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._model.core.dlpack_device()

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError(f"{self.name} is shared as it is: no copy, no other device")
        return self._model.core.parameter_dlpack(self._index, stream, max_version)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        core = self._model.core
        if core.device == "cpu":
            raise AttributeError(f"{self.name} is not on a GPU")
        address, keeper = core.parameter_address(self._index)
        # Who takes this keeps the Parameter, and that the memory, wherever the model moves.
        if not self._shown or self._shown[-1][0] is not core:
            self._shown.append((core, keeper))
        return {
            "shape": self.shape,
            "typestr": "<f4",
            "data": (address, False),
            "version": 3,
            "stream": _LEGACY_STREAM,
        }

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.shape})"
