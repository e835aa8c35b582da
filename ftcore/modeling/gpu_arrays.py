"""Calls of a model on a GPU with arrays that are there too: nothing of them goes through the host.

Streams: the model's waits for those of the arrays' libraries before it reads, and they for the
model's before they go on, which is also what lets them reuse the memory of what they let go of.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftcore import _core
from ftcore.modeling.output import Loss, SequenceClassifierOutput

if TYPE_CHECKING:
    from ftcore.modeling.sequence_classification import SequenceClassifier

Arrays = list[_core.GpuArray | None]


def is_tensor(value: Any) -> bool:
    """Whether it is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def call(
    model: SequenceClassifier, inputs: Sequence[Any]
) -> tuple[Sequence[Any], SequenceClassifierOutput | None]:
    """The output for input_ids, attention_mask, token_type_ids, position_ids and labels, all on the
    model's GPU or None, and the inputs. Otherwise, or where there is something wrong with them,
    None, and the inputs as they can be read on the host.

    torch tensors give torch tensors; arrays of a library with the array API's `empty` (CuPy) its
    arrays; others a NumPy array and a float.
    """
    given = [value for value in inputs if value is not None]
    if not any(is_tensor(value) for value in given):
        return _call_of_arrays(model, inputs)
    if not all(is_tensor(value) and value.device.type == "cuda" for value in given):
        return inputs, None
    from ftcore.modeling import torch_bridge

    model.follow_autocast(torch_bridge.autocast_precision(model.core.device))
    return inputs, torch_bridge.call_on_gpu(model, inputs)


def _call_of_arrays(
    model: SequenceClassifier, inputs: Sequence[Any]
) -> tuple[Sequence[Any], SequenceClassifierOutput | None]:
    arrays = look(model.core, inputs)
    if all(array is None for array in arrays):
        return inputs, None
    output = None
    if are_all(arrays, inputs):
        model.follow_autocast(None)
        output = _run_arrays(model, inputs[0], arrays)
    if output is None:
        pairs = zip(arrays, inputs, strict=True)
        inputs = [v if a is None else download(model.core, a) for a, v in pairs]
    return inputs, output


def _run_arrays(
    model: SequenceClassifier, like: Any, arrays: Arrays
) -> SequenceClassifierOutput | None:
    has_labels = arrays[-1] is not None
    shape = logits_shape(model, arrays)
    if shape is None:
        return None
    outputs = [_empty(like, ()) if has_labels else None, _empty(like, shape)]
    places = look(model.core, outputs)
    if not _are_writable(places[0 if has_labels else 1 :]):
        places = [None, None]
    results = run(model, arrays, places, has_labels)
    if results is None:
        return None
    number, (loss, logits) = results[0], results[1] or outputs
    return SequenceClassifierOutput(None if number is None else Loss(loss, model, number), logits)


def logits_shape(model: SequenceClassifier, arrays: Arrays) -> tuple[int, int] | None:
    """That of the logits of these inputs; None where input_ids are no batch."""
    ids = arrays[0]
    return (ids.shape[0], model.config.num_labels) if ids and len(ids.shape) == 2 else None


def _empty(like: Any, shape: tuple[int, ...]) -> Any:
    """A new float32 array of the same library; None where it says not how to make one."""
    try:
        library = like.__array_namespace__()
        return library.empty(shape, dtype=library.float32)
    except (AttributeError, TypeError):
        return None


def _are_writable(places: Arrays) -> bool:
    return all(place is not None and not place.read_only for place in places)


def look(core: _core.Model, values: Sequence[Any], stream: int | None = None) -> Arrays:
    """Each as the core takes it; None for what is not on its GPU. `stream`: see `gpu_array`."""
    _, gpu = core.dlpack_device()
    return [
        None
        if value is None
        else _core.gpu_array(value, gpu, stream, stream is None and _is_alone(value))
        for value in values
    ]


def are_all(arrays: Arrays, values: Sequence[Any]) -> bool:
    """Whether what was looked at is on the core's GPU wherever it is not None."""
    return all((a is None) == (v is None) for a, v in zip(arrays, values, strict=True))


def _is_alone(value: Any) -> bool:
    """Whether an array that does not say on which GPU it is can be on one only."""
    return (
        hasattr(value, "__cuda_array_interface__")
        and not hasattr(value, "__dlpack_device__")
        and len(_core.cuda_devices()) == 1
    )


def run(
    model: SequenceClassifier, arrays: Arrays, places: Arrays, wants_gradient: bool
) -> tuple[int | None, tuple[Any, ...]] | None:
    """(the run's number for `backward_of` or None; loss and logits, or, where places for them were
    given, nothing); None where the host is to tell what is wrong."""
    if (labels := arrays[-1]) is not None:
        model.choose_problem(labels)
    streams = _streams([*arrays, *places])
    _follow(model.core, streams)
    try:
        return model.run_padded(arrays, places, wants_gradient)
    finally:  # what failed half-way may still be written by the GPU
        _lead(model.core, streams)


def backward(model: SequenceClassifier, run: int, dloss: Any, dlogits: Any, stream: int) -> bool:
    """`backward_of` with gradients of the outputs in the GPU's memory; False: they are not."""
    given = (dloss, dlogits)
    arrays = look(model.core, given, stream)
    if not are_all(arrays, given):
        return False
    model.take_run(run)
    model.core.follow(stream)
    try:
        model.core.backward_from(*arrays)
    finally:
        model.core.lead(stream)
    return True


def download(core: _core.Model, array: _core.GpuArray) -> Any:
    """A NumPy array of the same numbers."""
    _follow(core, _streams([array]))
    return core.download(array)


def _streams(arrays: Arrays) -> set[int | None]:
    return {array.stream for array in arrays if array is not None}


def _follow(core: _core.Model, streams: set[int | None]) -> None:
    for stream in streams:
        if stream is not None:
            core.follow(stream)


def _lead(core: _core.Model, streams: set[int | None]) -> None:
    for stream in streams:
        core.lead(stream)
