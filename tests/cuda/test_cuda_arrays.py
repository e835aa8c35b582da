"""Other libraries' arrays in the GPU's memory go in and out of a model without a copy through the
host: results, messages, the order of streams, and what is waited for."""

import contextlib
import copy
import ctypes
import gc

import cuda_arrays
import numpy as np
import pytest
import torch
from cuda_arrays import (
    LEGACY_STREAM,
    Array,
    CudaTensor,
    DlpackArray,
    FastCudaTensor,
    InterfaceArray,
    OldDlpackArray,
    cuda_tensor,
)

from ftcore import (
    AdamW,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    _core,
    set_seed,
)
from ftcore.modeling import gpu_arrays, torch_bridge

pytestmark = pytest.mark.usefixtures("mock_gpu")
SIZES = {"vocab_size": 50, "max_position_embeddings": 300}


@pytest.fixture
def memory(mock_gpu):
    with contextlib.closing(cuda_arrays.Memory(mock_gpu)) as memory:
        yield memory
        gc.collect()


def bert(**options):
    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**SIZES, **sizes, intermediate_size=24, num_labels=3, **options)
    return BertForSequenceClassification(config).cuda()


def distilbert():
    set_seed(0)
    config = DistilBertConfig(**SIZES, dim=16, n_layers=1, n_heads=2, hidden_dim=24, num_labels=3)
    return DistilBertForSequenceClassification(config).cuda()


@pytest.fixture
def stream(monkeypatch, memory):
    """What torch works on: the default stream; new tensors are in the mock GPU's memory."""
    streams = [0]
    monkeypatch.setattr(torch_bridge, "current_stream", lambda _: streams[0])
    monkeypatch.setattr(
        torch_bridge,
        "new_tensor",
        lambda shape, _: cuda_tensor(memory, np.full(shape, np.nan, np.float32)),
    )
    return streams


def make_batch(rows=4, length=9, seed=0, **changes):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, length + 1, rows)
    lengths[0] = length
    batch = {
        "input_ids": rng.integers(1, 50, (rows, length)),
        "attention_mask": (np.arange(length) < lengths[:, None]).astype(np.int64),
        "token_type_ids": rng.integers(0, 2, (rows, length)),
        "labels": rng.integers(0, 3, rows),
    }
    batch.update(changes)
    return {name: value for name, value in batch.items() if value is not None}


def gradients(model):
    return [parameter.grad for parameter in model.parameters()]


def host_results(model, batch):
    """Loss, logits and gradients of the host's path."""
    model.zero_grad()
    output = model(**batch)
    if output.loss is None:
        return [output.logits]
    output.loss.backward()
    return [np.float32(output.loss.item()), output.logits, *gradients(model)]


def results_of(model, batch):
    """The same of tensors or arrays on the GPU, which are not packed on the host."""
    model.zero_grad()
    model.pack = None
    output = model(**batch)
    del model.pack
    logits = output.logits
    loss = output.loss
    if loss is not None:
        loss.backward()
    logits = logits.detach().cpu().numpy() if isinstance(logits, torch.Tensor) else logits.array
    return [logits] if loss is None else [np.float32(loss.detach()), logits, *gradients(model)]


def assert_equal(got, want):
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)


def to_gpu(memory, batch, make):
    return {name: make(memory, value) for name, value in batch.items()}


def downloads(mock):
    return mock.calls("cuMemcpyDtoHAsync_v2"), mock.calls("cuStreamSynchronize")


# ------------------------------------------------------------------------------ results

HOLES = np.array([[1, 0, 1, 1, 0, 1, 0, 0, 1], [1] * 9, [1] + [0] * 8, [1, 1, 1, 0, 0, 0, 0, 0, 1]])
FIRST_MASKED = HOLES.copy()
FIRST_MASKED[[0, 3], 0] = 0
MASKS = {
    "right": make_batch()["attention_mask"],
    "left": make_batch()["attention_mask"][:, ::-1].copy(),
    "holes": HOLES,
    "first masked": FIRST_MASKED,
    "all": np.ones((4, 9), np.int64),
    "none": None,
}


@pytest.mark.parametrize("kind", [CudaTensor, FastCudaTensor])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("positions", [None, "rows", "row"])
def test_tensors_give_what_the_host_s_path_gives(memory, stream, kind, mask, positions):
    model, given = bert().eval(), None
    if positions is not None:
        given = np.arange(20, 29)[None]
        given = given + np.arange(4)[:, None] if positions == "rows" else given
    batch = make_batch(attention_mask=mask, position_ids=given)
    want = host_results(model, batch)
    got = results_of(model, to_gpu(memory, batch, lambda m, v: cuda_tensor(m, v, kind)))
    assert_equal(got, want)


def strided(values, how):
    if how == "transposed":
        return np.ascontiguousarray(values.T).T
    if how == "reversed":
        return np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]
    wide = np.zeros((*values.shape, 3), values.dtype)
    wide[..., 1] = values
    return wide[..., 1]


@pytest.mark.parametrize("how", ["transposed", "reversed", "every third"])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_any_strides_and_types(memory, how, dtype):
    model, batch = bert().eval(), make_batch()
    want = host_results(model, batch)
    arrays = {name: value.astype(dtype) for name, value in batch.items()}
    arrays["attention_mask"] = batch["attention_mask"].astype(bool)
    arrays = {n: strided(v, how) if v.ndim == 2 else v for n, v in arrays.items()}
    assert_equal(results_of(model, to_gpu(memory, arrays, Array)), want)


@pytest.mark.parametrize("length", [1, 31, 256, 257, 300])
def test_long_and_short_rows(memory, length):
    rng = np.random.default_rng(length)
    mask = rng.integers(0, 2, (3, length))
    mask[:, rng.integers(length)] = 1
    batch = make_batch(3, length, attention_mask=mask)
    model = bert().eval()
    assert_equal(results_of(model, to_gpu(memory, batch, Array)), host_results(model, batch))


LABELS = {
    "classes": ("single_label_classification", np.array([2, 0, -100, 1])),
    "classes in a column": ("single_label_classification", np.array([[2], [0], [1], [1]])),
    "short classes": (None, np.array([2, 0, -100, 1], np.int32)),
    "ignored": ("single_label_classification", np.array([-100] * 4)),
    "targets": ("regression", np.arange(12, dtype=np.float32).reshape(4, 3)),
    "whole targets": ("regression", np.arange(12).reshape(4, 3)),
    "true or false": (None, np.eye(4, 3) > 0),
    "double targets": ("multi_label_classification", np.eye(4, 3) / 3),
    "none": (None, None),
}


@pytest.mark.parametrize(("problem", "labels"), LABELS.values(), ids=LABELS)
def test_labels_of_every_problem(memory, stream, problem, labels):
    batch = make_batch(labels=labels)
    want = host_results(bert(problem_type=problem).eval(), batch)
    for make in (Array, cuda_tensor):
        model = bert(problem_type=problem).eval()
        assert_equal(results_of(model, to_gpu(memory, batch, make)), want)
        assert model.config.problem_type != problem or problem is not None or labels is None


@pytest.mark.parametrize("make", [DlpackArray, OldDlpackArray, InterfaceArray])
def test_libraries_that_say_not_how_to_make_arrays_give_numpy_s(memory, make):
    model, batch = bert().eval(), make_batch()
    arrays = {name: make(memory.array(value)) for name, value in batch.items()}
    want = host_results(model, batch)
    output = model(**arrays)
    np.testing.assert_array_equal(output.logits, want[1])
    assert np.float32(output.loss.item()) == want[0]
    if make is not InterfaceArray:
        # The producer's work comes before the default stream's, for which the model's waits.
        assert arrays["input_ids"].asked == [LEGACY_STREAM]


def test_distilbert(memory, stream):
    model, batch = distilbert().eval(), make_batch(token_type_ids=np.zeros((4, 9), np.int64))
    want = host_results(model, batch)
    assert_equal(results_of(model, to_gpu(memory, batch, cuda_tensor)), want)


def test_dropout_is_that_of_the_host_s_path(memory, stream):
    models = [bert(), bert()]
    batch = make_batch()
    for _ in range(3):
        want = host_results(models[0], batch)
        assert_equal(results_of(models[1], to_gpu(memory, batch, cuda_tensor)), want)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_autocast(memory, stream, precision, monkeypatch):
    batch, models = make_batch(), [bert().eval(), bert().eval()]
    models[0].core.precision = precision
    monkeypatch.setattr(torch_bridge, "autocast_precision", lambda _: precision)
    want = host_results(models[0], batch)
    got = results_of(models[1], to_gpu(memory, batch, cuda_tensor))
    assert models[1].core.precision == precision
    assert_equal(got, want)


def test_gradients_of_both_outputs(memory, stream):
    """Of a loss that is scaled, and of one that torch computes of the logits."""

    def run(model, batch):
        output = model(**batch)
        (0.5 * output.loss + (output.logits * output.logits).sum() / 7).backward()
        model(**batch).logits.sum().backward()  # its gradient has strides of 0
        return gradients(model)

    batch, one, other = make_batch(), bert().eval(), bert().eval()
    got = run(one, to_gpu(memory, batch, cuda_tensor))
    assert_equal(got, run(other, {n: torch.tensor(v) for n, v in batch.items()}))


# ------------------------------------------------------------------------------ messages


def changed(name, at, value):
    batch = make_batch(position_ids=np.arange(9) + np.zeros((4, 1), np.int64))
    batch[name] = batch[name].copy()
    batch[name][at] = value
    return batch


FAULTS = {
    "an id": changed("input_ids", (2, 0), 50),
    "a negative id": changed("input_ids", (2, 0), -1),
    "an id of more than 32 bits": changed("input_ids", (2, 0), 1 << 40),
    "a type": changed("token_type_ids", (2, 0), 2),
    "a position": changed("position_ids", (2, 0), 300),
    "a mask": changed("attention_mask", (2, 3), 2),
    "an empty row": changed("attention_mask", 2, 0),
    "a label": changed("labels", 2, 3),
    "a negative label": changed("labels", 2, -1),
    "shapes": make_batch(attention_mask=np.ones((4, 8), np.int64)),
    "positions": make_batch(position_ids=np.ones((2, 9), np.int64)),
    "labels": make_batch(labels=np.ones(5, np.int64)),
    "float labels": make_batch(labels=np.ones(4, np.float32)),
    "float ids": make_batch(input_ids=np.ones((4, 9), np.float32)),
    "a vector": make_batch(2, 4, input_ids=np.ones(4, np.int64), attention_mask=None),
    "no rows": {"input_ids": np.ones((0, 4), np.int64)},
    "no columns": {"input_ids": np.ones((4, 0), np.int64)},
    "a long sequence": {"input_ids": np.ones((1, 301), np.int64)},
}


@pytest.mark.parametrize("batch", FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_said_as_on_the_host(memory, stream, batch):
    model = bert(problem_type="single_label_classification").eval()
    with pytest.raises((ValueError, IndexError, TypeError)) as expected:
        model(**batch)
    for make in (Array, cuda_tensor):
        with pytest.raises(type(expected.value)) as got:
            model(**to_gpu(memory, batch, make))
        assert str(got.value) == str(expected.value)


class Empty(InterfaceArray):
    """Of no numbers, and no memory, as libraries make it."""

    @property
    def __cuda_array_interface__(self):
        return {**super().__cuda_array_interface__, "data": (0, False)}


@pytest.mark.parametrize("problem", ["single_label_classification", "regression"])
def test_labels_of_no_columns_are_not_none(memory, problem):
    model, batch = bert(problem_type=problem).eval(), make_batch(labels=np.ones((4, 0), np.int64))
    with pytest.raises(ValueError, match="labels") as expected:
        model(**batch)
    arrays = to_gpu(memory, batch, Array) | {"labels": Empty(batch["labels"])}
    with pytest.raises(ValueError, match="labels") as got:
        model(**arrays)
    assert str(got.value) == str(expected.value)


def test_distilbert_s_types_are_refused_as_on_the_host(memory, stream):
    batch = changed("token_type_ids", 0, 0)
    del batch["position_ids"]
    batch["attention_mask"][1, 8], batch["token_type_ids"][...] = 0, 0
    batch["token_type_ids"][1, 8] = 1  # where it is masked
    with pytest.raises(ValueError, match="DistilBERT has no token types"):
        distilbert()(**to_gpu(memory, batch, cuda_tensor))


def test_what_is_masked_may_hold_anything(memory, stream):
    batch = make_batch(attention_mask=HOLES)
    model = bert().eval()
    want = host_results(model, batch)
    batch["input_ids"][HOLES == 0] = -100
    assert_equal(results_of(model, to_gpu(memory, batch, cuda_tensor)), want)


def test_other_types_and_places_take_the_host_s_path(memory, stream):
    model, batch = bert().eval(), make_batch()
    want = host_results(model, batch)[1]
    arrays = to_gpu(memory, batch, Array)
    arrays["attention_mask"] = Array(memory, batch["attention_mask"].astype(np.float32))
    arrays["labels"] = batch["labels"]
    np.testing.assert_array_equal(model(**arrays).logits, want)
    tensors = to_gpu(memory, batch, cuda_tensor)
    tensors["input_ids"] = torch.tensor(batch["input_ids"])
    np.testing.assert_array_equal(model(**tensors).logits.detach().numpy(), want)


def test_the_core_s_arguments_are_checked(memory):
    core = bert().core
    ids, loss, logits, flags = (
        _core.gpu_array(Array(memory, value), 0)
        for value in (
            np.ones((2, 3), np.int64),
            np.zeros((), np.float32),
            np.zeros((2, 3), np.float32),
            np.zeros(2, np.int64),
        )
    )
    rest = (None, None, None)
    with pytest.raises(TypeError, match="input_ids must be a GpuArray of the model's GPU"):
        core.forward_padded(np.ones((2, 3), np.int64), *rest, None)
    with pytest.raises(ValueError, match="logits must be 6 float32 numbers in one piece"):
        core.forward_padded(ids, *rest, None, None, loss)
    with pytest.raises(ValueError, match="there is no array for the loss"):
        core.forward_padded(ids, *rest, flags, None, logits)
    assert core.forward_padded(ids, *rest, flags, loss, logits, keep=True) == ()
    with pytest.raises(ValueError, match="dlogits must be 6 float32 numbers"):
        core.backward_from(None, loss)
    core.backward_from(loss, logits)
    with pytest.raises(RuntimeError, match="backward needs a forward before it"):
        core.backward_from(loss, logits)
    with pytest.raises(TypeError):
        core.lead("a stream")
    with pytest.raises(ValueError, match="stream must be a stream's handle or -1, got -2"):
        core.parameter_dlpack(0, -2)


def test_rows_longer_than_kernels_count_are_not_packed_there(memory):
    """As a tensor of one number may be expanded to."""
    one = memory.array(np.ones((1, 1), np.int64))
    for shape in ((1, (1 << 31) - 1), ((1 << 31) - 1, 1), (1, 1 << 40)):
        many = np.lib.stride_tricks.as_strided(one, shape, (0, 0))
        ids = _core.gpu_array(InterfaceArray(many), 0, alone=True)
        assert ids.shape == shape
        assert bert().core.forward_padded(ids, None, None, None, None) is None


def test_an_array_of_another_gpu_is_not_read(mock_gpu, memory, stream):
    mock_gpu.set_device("A100", 2)
    model, ids = bert().to("cuda:1"), make_batch()["input_ids"]
    for make in (Array, lambda _, x: DlpackArray(memory.array(x)), cuda_tensor):
        assert gpu_arrays.look(model.core, [make(memory, ids)]) == [None]
    # One that does not say on which it is may be on either.
    assert gpu_arrays.look(model.core, [InterfaceArray(memory.array(ids))]) == [None]


# ------------------------------------------------------------------------------ waits and streams


@pytest.mark.parametrize("make", [cuda_tensor, Array])
def test_a_step_waits_for_the_lengths_of_its_rows_alone(mock_gpu, memory, stream, make):
    model, batch = bert(), to_gpu(memory, make_batch(), make)
    optimizer = AdamW(model.parameters(), lr=1e-3)
    for step in range(4):
        before = downloads(mock_gpu)
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step > 0:  # by then there is memory for all
            assert downloads(mock_gpu) == (before[0] + 1, before[1] + 1)


def test_steps_are_replayed_as_graphs_whatever_the_arrays_addresses(mock_gpu, memory, stream):
    model = bert()
    optimizer, kept = AdamW(model.parameters(), lr=1e-3), []
    launched = []
    for seed in range(6):
        batch = to_gpu(memory, make_batch(seed=seed), cuda_tensor)
        before = mock_gpu.calls("cuLaunchKernel")
        output = model(**batch)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        kept.append((batch, output))
        launched.append(mock_gpu.calls("cuLaunchKernel") - before)
    assert launched[-1] < 10 < launched[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_batches_of_the_host_and_of_the_gpu_take_turns(memory, stream, precision):
    """Gradients add up over both, with passes of evaluation and faults between them."""
    makes = [lambda _, x: x, cuda_tensor, Array, lambda _, x: torch.tensor(x)]

    def train(kinds):
        model = bert()
        model.core.precision = precision
        optimizer = AdamW(model.parameters(), lr=1e-2)
        for step in range(8):
            make = makes[step % len(makes) if kinds > 1 else 0]
            batch = make_batch(2 + step % 3, 5 + step, seed=step, labels=None)
            labels = np.arange(2 + step % 3) % 3
            model(**to_gpu(memory, {**batch, "labels": labels}, make)).loss.backward()
            with torch.no_grad():
                model.eval()(**to_gpu(memory, make_batch(seed=step), makes[kinds // 2]))
            with pytest.raises(IndexError, match="input id 50"):
                model(**to_gpu(memory, changed("input_ids", (2, 0), 50), makes[kinds // 2]))
            model.train()
            if step % 2:
                optimizer.step()
                optimizer.zero_grad()
        return [parameter.data for parameter in model.parameters()]

    assert_equal(train(len(makes)), train(1))


def test_outputs_are_the_caller_s(mock_gpu, memory, stream):
    model, batch = bert().eval(), make_batch()
    output = model(**to_gpu(memory, batch, cuda_tensor))
    loss, logits = output.loss.item(), output.logits.detach().cpu().clone()
    model(**to_gpu(memory, make_batch(seed=1), cuda_tensor))
    del model
    gc.collect()
    assert output.loss.item() == loss
    torch.testing.assert_close(output.logits.detach().cpu(), logits, rtol=0, atol=0)


def copy_later(memory, to, values, handle):
    """Writes the values to a NumPy array in the GPU's memory, as a stream comes to it."""
    source = memory.array(values)
    numbers = (to.ctypes.data, source.ctypes.data, source.nbytes)
    with memory.current():
        memory.check(
            "cuMemcpyDtoDAsync_v2", *map(ctypes.c_uint64, numbers), ctypes.c_void_p(handle)
        )
    return source


def wait(memory, handle):
    with memory.current():
        memory.check("cuStreamSynchronize", ctypes.c_void_p(handle))


@pytest.mark.parametrize("kind", ["tensors", "arrays"])
def test_the_order_of_streams_is_kept_by_events(mock_gpu, memory, stream, kind):
    """Where the GPU does nothing before it is waited for, and the arrays are written late."""
    model, batch = bert().eval(), make_batch()
    want = host_results(model, batch)
    handle = stream[0] = memory.stream()
    make = cuda_tensor if kind == "tensors" else lambda m, v: Array(m, v, handle)
    arrays = to_gpu(memory, {n: np.zeros_like(v) for n, v in batch.items()}, make)
    model.zero_grad()
    mock_gpu.set_lazy()
    places = {n: a.cpu().numpy() if kind == "tensors" else a.array for n, a in arrays.items()}
    sources = [copy_later(memory, places[n], v, handle) for n, v in batch.items()]
    output = model(**arrays)
    output.loss.backward()
    wait(memory, handle)
    del sources
    logits = output.logits.detach().cpu() if kind == "tensors" else output.logits.array
    np.testing.assert_array_equal(np.asarray(logits), want[1])
    assert_equal(gradients(model), want[2:])


def test_gradients_that_come_late_are_waited_for(mock_gpu, memory, stream):
    model, other, batch = bert().eval(), bert().eval(), make_batch()
    dloss, dlogits = np.float32(0.5), np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    host = other(**{name: torch.tensor(value) for name, value in batch.items()})
    torch.autograd.backward((host.loss, host.logits), map(torch.tensor, (dloss, dlogits)))
    stream[0] = memory.stream()
    tensors = to_gpu(memory, batch, cuda_tensor)
    output = model(**tensors)
    places = [memory.array(np.full_like(value, np.nan)) for value in (dloss, dlogits)]
    mock_gpu.set_lazy()
    late = zip(places, (dloss, dlogits), strict=True)
    sources = [copy_later(memory, place, value, stream[0]) for place, value in late]
    arrays = [torch.from_numpy(place).as_subclass(CudaTensor) for place in places]
    assert gpu_arrays.backward(model, output.loss.grad_fn.run, *arrays, stream[0])
    for place in places:
        copy_later(memory, place, np.full_like(place, np.nan), stream[0])
    wait(memory, stream[0])
    del sources
    assert_equal(gradients(model), gradients(other))


def test_an_array_whose_stream_is_not_known_is_read_before_the_call_ends(mock_gpu, memory):
    model, batch = bert().eval(), make_batch()
    want = host_results(model, batch)
    arrays = to_gpu(memory, batch, lambda m, v: Array(m, v, None))
    mock_gpu.set_lazy()
    output = model(**arrays)
    np.testing.assert_array_equal(output.logits.array, want[1])


def test_run_away_gradients_are_refused_as_ever(memory, stream):
    model, batch = bert(), to_gpu(memory, make_batch(), cuda_tensor)
    first, second = model(**batch).loss, model(**batch).loss
    with pytest.raises(RuntimeError, match="before the model's next call"):
        first.backward()
    second.backward()
    with torch.no_grad():
        assert not model(**batch).loss.requires_grad
    loss = model(**batch).loss
    model.cpu()
    with pytest.raises(RuntimeError, match="run the model again"):
        loss.backward()


def test_a_failure_of_the_gpu_is_an_error(mock_gpu, memory, stream):
    model, batch = bert(), to_gpu(memory, make_batch(), cuda_tensor)
    model(**batch)
    for function in ("cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2", "cuLaunchKernel"):
        mock_gpu.fail(function, 999)
        with pytest.raises(RuntimeError, match="CUDA error 999"):
            model(**batch)
    assert model(**batch).loss.item() > 0


def test_a_stream_waits_for_what_failed_half_way(mock_gpu, memory, stream):
    """Its library may reuse at once what the call had of it, which the GPU may still write to."""
    model, batch = bert(), to_gpu(memory, make_batch(), cuda_tensor)
    stream[0] = memory.stream()
    loss = model(**batch).loss
    waits = mock_gpu.calls("cuStreamWaitEvent")
    mock_gpu.fail("cuLaunchKernel", 999)
    with pytest.raises(RuntimeError, match="CUDA error 999"):
        loss.backward(cuda_tensor(memory, np.float32(1)))
    assert mock_gpu.calls("cuStreamWaitEvent") == waits + 2
    for function in ("cuMemcpyDtoDAsync_v2", "cuLaunchKernel"):
        waits = mock_gpu.calls("cuStreamWaitEvent")
        mock_gpu.fail(function, 999)
        with pytest.raises(RuntimeError, match="CUDA error 999"):
            model(**batch)
        assert mock_gpu.calls("cuStreamWaitEvent") == waits + 2


# ------------------------------------------------------------------------------ parameters


def test_parameters_show_their_memory_to_other_libraries(mock_gpu, memory):
    model = bert()
    parameter = next(model.parameters())
    shown = parameter.__cuda_array_interface__
    address, read_only = shown["data"]
    assert (shown["version"], shown["stream"], read_only) == (3, LEGACY_STREAM, False)
    shared = np.ctypeslib.as_array(
        (ctypes.c_float * parameter.numel()).from_address(address)
    ).reshape(shown["shape"])
    np.testing.assert_array_equal(shared, parameter.data)
    before = mock_gpu.allocated()
    model.cpu()
    assert not hasattr(parameter, "__cuda_array_interface__")
    shared += 1  # it stays behind, and stays
    assert mock_gpu.allocated() == before
    assert copy.deepcopy(model).core.device == "cpu"
