"""The step as one node of torch's graph. Imported only where torch tensors come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ftcore.modeling.sequence_classification import SequenceClassifier


class _Step(torch.autograd.Function):
    """(loss, logits) of a forward pass that has been run, whose backward is the core's."""

    @staticmethod
    def forward(
        ctx: Any, anchor: Any, model: Any, run: int, loss: Any, logits: Any, device: Any
    ) -> Any:
        ctx.model, ctx.run = model, run
        ctx.set_materialize_grads(False)
        return _tensors(loss, logits, device)

    @staticmethod
    def backward(ctx: Any, dloss: Any, dlogits: Any) -> Any:
        scale = 0.0 if dloss is None else dloss.item()
        if dlogits is not None:
            dlogits = dlogits.detach().cpu().float().contiguous().numpy()
        ctx.model.backward_of(ctx.run, scale, dlogits)
        return None, None, None, None, None, None


def _tensors(loss: float | None, logits: NDArray[np.float32], device: Any) -> tuple[Any, Any]:
    value = None if loss is None else torch.tensor(loss, dtype=torch.float32, device=device)
    return value, torch.from_numpy(logits).to(device)


def grad_enabled() -> bool:
    """Whether torch records a graph."""
    return torch.is_grad_enabled()


def autocast_precision(device: str) -> str | None:
    """What the surrounding torch.autocast asks for on a kind of device; None outside of one.

    Raises ValueError for a type that is not supported.
    """
    kind = device.partition(":")[0]
    if not torch.is_autocast_enabled(kind):
        return None
    dtype = torch.get_autocast_dtype(kind)
    if dtype is torch.bfloat16:
        return "bfloat16"
    if dtype is torch.float16 and kind != "cpu":
        return "float16"
    raise ValueError(f"torch.autocast to {dtype} is not supported: use torch.bfloat16")


def allows_tf32() -> bool:
    """Whether torch may round a GPU's products of float32 numbers to TensorFloat-32."""
    matmul = torch.backends.cuda.matmul
    # From torch 2.9 on this says what products do, whichever of torch's options said so; the older
    # one, and torch.get_float32_matmul_precision, then raise where options were mixed.
    if hasattr(matmul, "fp32_precision"):
        return bool(matmul.fp32_precision == "tf32")
    return bool(matmul.allow_tf32)


def to_tensors(
    model: SequenceClassifier,
    run: int | None,
    loss: float | None,
    logits: NDArray[np.float32],
    device: Any,
) -> tuple[Any, Any]:
    """(loss, logits) as tensors on a device: float32 [] and [batch, num_labels]; with a graph
    unless run is None."""
    if run is None:
        return _tensors(loss, logits, device)
    # torch records the node because one of its inputs wants a gradient; none flows into it.
    anchor = torch.zeros((), requires_grad=True)
    return _Step.apply(anchor, model, run, loss, logits, device)
