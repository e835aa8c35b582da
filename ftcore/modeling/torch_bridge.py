"""The step as one node of torch's graph. Imported only where torch tensors come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ftcore.modeling import gpu_arrays
from ftcore.modeling.output import SequenceClassifierOutput

if TYPE_CHECKING:
    from ftcore.modeling.sequence_classification import SequenceClassifier


class _Step(torch.autograd.Function):
    """(loss, logits) of a forward pass that has been run, whose backward is the core's."""

    @staticmethod
    def forward(ctx: Any, anchor: Any, model: Any, run: int, tensors: tuple[Any, Any]) -> Any:
        ctx.model, ctx.run = model, run
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, dloss: Any, dlogits: Any) -> Any:
        if not _backward_on_gpu(ctx.model, ctx.run, dloss, dlogits):
            scale = 0.0 if dloss is None else dloss.item()
            if dlogits is not None:
                dlogits = dlogits.detach().cpu().float().contiguous().numpy()
            ctx.model.backward_of(ctx.run, scale, dlogits)
        return None, None, None, None


def _backward_on_gpu(model: SequenceClassifier, run: int, dloss: Any, dlogits: Any) -> bool:
    """Whether the gradients were on the model's GPU, and backward is done."""
    devices = [gradient.device for gradient in (dloss, dlogits) if gradient is not None]
    if model.core.device == "cpu" or not devices or devices[0].type != "cuda":
        return False
    if dlogits is not None:
        dlogits = dlogits.detach().contiguous()
    return gpu_arrays.backward(model, run, dloss, dlogits, current_stream(devices[0]))


def grad_enabled() -> bool:
    """Whether torch records a graph."""
    return torch.is_grad_enabled()


def current_stream(device: Any) -> int:
    """The handle of the stream on which torch works now."""
    return torch.cuda.current_stream(device).cuda_stream


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
    value = None if loss is None else torch.tensor(loss, dtype=torch.float32, device=device)
    return _with_graph(model, run, (value, torch.from_numpy(logits).to(device)))


def _with_graph(
    model: SequenceClassifier, run: int | None, tensors: tuple[Any, Any]
) -> tuple[Any, Any]:
    if run is None:
        return tensors
    # torch records the node because one of its inputs wants a gradient; none flows into it.
    anchor = torch.zeros((), requires_grad=True)
    return _Step.apply(anchor, model, run, tensors)


def new_tensor(shape: tuple[int, ...], device: Any) -> Any:
    """A float32 tensor to be written to."""
    return torch.empty(shape, dtype=torch.float32, device=device)


def call_on_gpu(
    model: SequenceClassifier, inputs: Sequence[Any]
) -> SequenceClassifierOutput | None:
    """The output for tensors on a GPU; None where they are not on the model's, or where the host is
    to tell what is wrong with them."""
    device = inputs[0].device
    stream = current_stream(device)
    arrays = gpu_arrays.look(model.core, inputs, stream)
    shape = gpu_arrays.logits_shape(model, arrays)
    if shape is None or not gpu_arrays.are_all(arrays, inputs):
        return None
    loss = None if inputs[-1] is None else new_tensor((), device)
    logits = new_tensor(shape, device)
    places = gpu_arrays.look(model.core, (loss, logits), stream)
    if places[1] is None:
        return None
    results = gpu_arrays.run(model, arrays, places, grad_enabled())
    if results is None:
        return None
    return SequenceClassifierOutput(*_with_graph(model, results[0], (loss, logits)))
