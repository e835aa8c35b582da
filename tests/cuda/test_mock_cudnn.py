"""The mock cuDNN computes what its graphs say, and refuses what cuDNN refuses."""

import ctypes
import math

import pytest
import torch
from cudnn_support import (
    BAD_PARAM,
    NOT_SUPPORTED,
    CudnnError,
    Descriptor,
    Graph,
    execute,
    workspace,
)
from cudnn_support import mock_cudnn as library

HALVES = [torch.bfloat16, torch.float16]
EPSILON = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11, torch.float32: 2.0**-22}


@pytest.fixture
def cudnn():
    cudnn = library()
    cudnn.reset()
    yield cudnn
    cudnn.reset()


@pytest.fixture
def graph(cudnn):
    before = cudnn.alive()
    graph = Graph(cudnn)
    yield graph
    graph.destroy()
    assert cudnn.alive() == before


def close(got, want, dtype):
    assert torch.isfinite(got).all()
    assert (got.double() - want).abs().max() <= EPSILON[dtype] * want.abs().max()


def refused(text, status=BAD_PARAM):
    return pytest.raises(CudnnError, match=f"{status}: .*{text}")


# ------------------------------------------------------------------------------ products


def product(graph, dtype, m=8, n=16, k=24):
    a, b = graph.tensor(dtype, (1, m, k)), graph.tensor(dtype, (1, k, n))
    out = graph.tensor(torch.float32, (1, m, n))
    graph.matmul(a, b, out)
    return a, b, out


@pytest.mark.parametrize("dtype", HALVES)
def test_a_product_with_bias_and_exp(graph, dtype):
    """The weight lies transposed; what is kept is rounded before the exponential takes it."""
    m, n, k = 5, 16, 24
    x, weight = (torch.randn(1, m, k) / 8).to(dtype), torch.randn(1, n, k).to(dtype)
    bias = torch.randn(1, 1, n)
    a, b = graph.tensor(dtype, (1, m, k)), graph.tensor(dtype, (1, k, n), (n * k, 1, k))
    c = graph.tensor(torch.float32, (1, 1, n))
    s = graph.matmul(a, b, graph.tensor(torch.float32, (1, m, n), virtual=True))
    kept = graph.pointwise("ADD", graph.tensor(dtype, (1, m, n)), s, c)
    out = graph.pointwise("EXP", graph.tensor(dtype, (1, m, n)), kept)
    z, y = torch.empty(1, m, n, dtype=dtype), torch.empty(1, m, n, dtype=dtype)
    graph.run({a: x, b: weight, c: bias, kept: z, out: y})
    close(z, x.double() @ weight.double().mT + bias.double(), dtype)
    close(y, torch.exp(z.double()), dtype)


def test_a_product_is_added_in_place(graph):
    a, b, _ = product(graph, torch.bfloat16)
    graph.operations.clear()
    s = graph.matmul(a, b, graph.tensor(torch.float32, (1, 8, 16), virtual=True))
    c, out = graph.tensor(torch.float32, (1, 8, 16)), graph.tensor(torch.float32, (1, 8, 16))
    graph.pointwise("ADD", out, s, c)
    x, w = torch.randn(1, 8, 24).bfloat16(), torch.randn(1, 24, 16).bfloat16()
    y = torch.randn(1, 8, 16)
    want = y.double() + x.double() @ w.double()
    graph.run({a: x, b: w, c: y, out: y})
    close(y, want, torch.float32)


def test_an_output_does_not_lie_on_an_operand_of_a_matmul(graph):
    a = graph.tensor(torch.float16, (1, 8, 8))
    b = graph.tensor(torch.float16, (1, 8, 8))
    out = graph.matmul(a, b, graph.tensor(torch.float16, (1, 8, 8)))
    x, w = torch.ones(1, 8, 8).half(), torch.ones(1, 8, 8).half()
    plan = graph.plan()
    with pytest.raises(CudnnError, match="output 3 shares memory with tensor 1"):
        graph.execute(plan, {a: x, b: w, out: x})
    assert "shares memory" in graph.cudnn.message()


# ------------------------------------------------------------------------------ attention


class Attention:
    """The graphs of shared shape: dense [batch, heads, length, width] tensors, or packed rows."""

    def __init__(self, dtype, lengths, length, heads=2, width=8, p=0.0, ragged=False):
        self.dtype, self.lengths, self.length = dtype, lengths, length
        self.heads, self.width, self.p, self.ragged = heads, width, p, ragged
        self.batch, self.columns = len(lengths), heads * width
        self.keep = 1 - p
        self.scale = 1 / math.sqrt(width)
        self.rows = sum(lengths) if ragged else self.batch * length

    # -- operands

    def strides(self, transposed=False):
        row, head = self.columns, self.width
        inner = (1, row) if transposed else (row, 1)
        return (self.length * row, head, *inner)

    def operand(self, graph, transposed=False, **options):
        inner = (self.width, self.length) if transposed else (self.length, self.width)
        dims = (self.batch, self.heads, *inner)
        options.setdefault("ragged", self.offsets)
        return graph.tensor(self.dtype, dims, self.strides(transposed), **options)

    def scores(self, graph, dtype=torch.float32, virtual=True):
        return graph.tensor(
            dtype, (self.batch, self.heads, self.length, self.length), virtual=virtual
        )

    def row_values(self, graph, virtual=True):
        return graph.tensor(
            torch.float32, (self.batch, self.heads, self.length, 1), virtual=virtual
        )

    def constant(self, graph, value):
        tensor = graph.tensor(torch.float32, (1, 1, 1, 1), value=True)
        self.memory[tensor] = torch.tensor([value])
        return tensor

    def begin(self, graph):
        self.memory = {}
        self.offsets = None
        boundaries = torch.tensor([0, *self.lengths]).cumsum(0)
        if self.ragged:
            self.offsets = graph.tensor(torch.int32, (self.batch + 1, 1, 1, 1))
            self.memory[self.offsets] = (boundaries * self.columns).int()
        self.lengths_q = graph.tensor(torch.int32, (self.batch, 1, 1, 1))
        self.lengths_kv = graph.tensor(torch.int32, (self.batch, 1, 1, 1))
        for tensor in (self.lengths_q, self.lengths_kv):
            self.memory[tensor] = torch.tensor(self.lengths, dtype=torch.int32)
        if self.p:
            self.seed = graph.tensor(torch.int64, (1, 1, 1, 1))
            self.offset = graph.tensor(torch.int64, (1, 1, 1, 1))
            self.memory[self.seed] = torch.tensor([0x1234_5678_9ABC_DEF0])
            self.memory[self.offset] = torch.tensor([7])

    def masked(self, graph, x):
        """Scores outside a sequence are minus infinity."""
        row = graph.pointwise("GEN_INDEX", self.scores(graph, torch.int32), x, axis=2)
        column = graph.pointwise("GEN_INDEX", self.scores(graph, torch.int32), x, axis=3)
        row = graph.pointwise("CMP_LT", self.scores(graph, torch.bool), row, self.lengths_q)
        column = graph.pointwise("CMP_LT", self.scores(graph, torch.bool), column, self.lengths_kv)
        both = graph.pointwise("LOGICAL_AND", self.scores(graph, torch.bool), row, column)
        low = self.constant(graph, -math.inf)
        return graph.pointwise("BINARY_SELECT", self.scores(graph), x, low, both)

    def times(self, graph, x, y, dtype=torch.float32):
        y = self.constant(graph, y) if isinstance(y, float) else y
        return graph.pointwise("MUL", self.scores(graph, dtype), x, y)

    # -- graphs

    def forward(self, graph, q, k, v, out, stats, mask=None):
        self.begin(graph)
        tq, tk = self.operand(graph), self.operand(graph, transposed=True)
        tv, to = self.operand(graph), self.operand(graph)
        ts = self.row_values(graph, virtual=False)
        self.memory |= {tq: q, tk: k, tv: v, to: out, ts: stats}
        s = graph.matmul(tq, tk, self.scores(graph), self.lengths_q, self.lengths_kv)
        s = self.masked(graph, self.times(graph, s, self.scale))
        high = graph.reduction("MAX", self.row_values(graph), s)
        e = graph.pointwise(
            "EXP", self.scores(graph), graph.pointwise("SUB", self.scores(graph), s, high)
        )
        total = graph.reduction("ADD", self.row_values(graph), e)
        logarithm = graph.pointwise("LOG", self.row_values(graph), total)
        graph.pointwise("ADD", ts, high, logarithm)
        p = self.scores(graph, torch.float32 if self.p else self.dtype)
        graph.pointwise("DIV", p, e, total)
        if self.p:
            r = self.scores(graph, virtual=mask is None)
            if mask is not None:
                self.memory[r] = mask
            graph.rng(r, self.seed, self.offset, self.keep)
            p = self.times(graph, self.times(graph, p, r), 1 / self.keep, self.dtype)
        graph.matmul(p, tv, to, self.lengths_q, None, self.lengths_kv)
        graph.run(self.memory)

    def backward(self, graph, q, k, v, out, stats, dout, dq, dk, dv):
        self.begin(graph)
        tq, to, tdo = (self.operand(graph) for _ in range(3))
        tk, tv = (self.operand(graph, transposed=True) for _ in range(2))
        tdq, tdk, tdv = (self.operand(graph) for _ in range(3))
        ts, sums = self.row_values(graph, virtual=False), self.row_values(graph, virtual=False)
        full = (self.batch, self.heads, self.length, self.width)
        accumulated = graph.tensor(torch.float32, full)
        self.memory |= {tq: q, tk: k, tv: v, to: out, ts: stats, tdo: dout}
        self.memory |= {tdq: dq, tdk: dk, tdv: dv, accumulated: torch.empty(full)}
        self.memory[sums] = torch.empty(self.batch, self.heads, self.length)
        lq, lkv = self.lengths_q, self.lengths_kv
        r = None
        if self.p:
            r = graph.rng(self.scores(graph), self.seed, self.offset, self.keep)
        both = graph.pointwise("MUL", graph.tensor(torch.float32, full, virtual=True), tdo, to)
        both = graph.reduction("ADD", self.row_values(graph), both)
        graph.pointwise("MUL", sums, both, self.constant(graph, self.keep))
        s = self.times(graph, graph.matmul(tq, tk, self.scores(graph), lq, lkv), self.scale)
        s = self.masked(graph, graph.pointwise("SUB", self.scores(graph), s, ts))
        e = p = graph.pointwise("EXP", self.scores(graph), s)
        if self.p:
            p = self.times(graph, self.times(graph, p, r), 1 / self.keep)
        graph.matmul(self.flipped(graph, p), tdo, tdv, lkv, None, lq)
        dp = graph.matmul(tdo, tv, self.scores(graph), lq, lkv)
        if self.p:
            dp = self.times(graph, dp, r)
        ds = graph.pointwise("SUB", self.scores(graph), dp, sums)
        ds = self.times(graph, ds, e)
        if self.p:
            ds = self.times(graph, ds, 1 / self.keep)
        ds = self.times(graph, ds, self.scale)
        graph.matmul(self.flipped(graph, ds), tq, tdk, lkv, None, lq)
        plain = graph.reshape(self.operand(graph, virtual=True), tk)
        graph.matmul(ds, plain, accumulated, lq, None, lkv)
        graph.pointwise("IDENTITY", tdq, accumulated)
        graph.run(self.memory)

    def flipped(self, graph, x):
        length, dims = self.length, (self.batch, self.heads, self.length, self.length)
        strides = (self.heads * length * length, length * length, 1, length)
        return graph.reshape(graph.tensor(self.dtype, dims, strides, virtual=True), x)

    # -- what is expected

    def sequences(self, *matrices):
        """Of each sequence, its number and its rows [heads, length, width] of each matrix."""
        for s, length in enumerate(self.lengths):
            first = sum(self.lengths[:s]) if self.ragged else s * self.length
            rows = [x[first : first + length].view(length, self.heads, -1) for x in matrices]
            yield s, [x.transpose(0, 1) for x in rows]

    def expected(self, q, k, v, mask):
        out = torch.full((self.rows, self.columns), math.nan, dtype=torch.float64)
        for s, (sq, sk, sv, so) in self.sequences(q, k, v, out):
            p = torch.softmax(sq @ sk.mT * self.scale, dim=-1)
            length = self.lengths[s]
            if self.p:
                p = p * mask[s, :, :length, :length].double() / self.keep
            so.copy_(p @ sv)
        return out


@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
@pytest.mark.parametrize("dtype", HALVES)
def test_attention_equals_torchs(graph, dtype, ragged, p):
    """With the mask that the forward graph dumps. Outside the sequences a ragged tensor's memory
    is left alone, and a dense one's says nothing."""
    torch.manual_seed(3)
    attention = Attention(dtype, [5, 8, 1], 8, p=p, ragged=ragged)
    behind = 2  # rows behind the packed ones
    make = lambda: torch.randn(attention.rows + behind, attention.columns).to(dtype)  # noqa: E731
    q, k, v, dout = make(), make(), make(), make()
    results = [torch.full_like(q, 77) for _ in range(4)]
    out, dq, dk, dv = results
    shape = (attention.batch, attention.heads, attention.length)
    stats, mask = torch.empty(shape), torch.empty(*shape, attention.length)
    attention.forward(graph, q, k, v, out, stats, mask)
    graph.operations.clear()
    attention.backward(graph, q, k, v, out, stats, dout, dq, dk, dv)

    if p:
        assert set(mask.unique().tolist()) == {0, 1}
        assert abs(mask.mean() - (1 - p)) < 0.1
    operands = [x.double().requires_grad_() for x in (q, k, v)]
    want = attention.expected(*operands, mask)
    inside = ~torch.isnan(want[:, 0])
    want.backward(torch.where(inside[:, None], dout[: attention.rows].double(), 0))
    wants = [want, *(x.grad[: attention.rows] for x in operands)]
    for got, expected in zip(results, wants, strict=True):
        assert (got[attention.rows :] == 77).all()
        got = got[: attention.rows]
        assert (got[inside].double() - expected[inside]).abs().max() < 4 * EPSILON[
            dtype
        ] * expected[inside].abs().max()
        assert torch.isnan(got[~inside]).all()


def test_a_masks_elements_depend_on_nothing_but_their_place(graph):
    """Not on the tensors' sizes; but on the seed and the offset."""

    def mask(batch, length, seed, offset):
        graph.operations.clear()
        shape = (batch, 2, length, length)
        r = graph.tensor(torch.float32, shape)
        seeds = [graph.tensor(torch.int64, (1, 1, 1, 1)) for _ in range(2)]
        graph.rng(r, *seeds, 0.5)
        x = graph.tensor(torch.float16, shape)
        y = graph.matmul(x, x, graph.tensor(torch.float16, shape))
        kept = torch.empty(shape)
        values = [torch.tensor([seed]), torch.tensor([offset])]
        half = torch.zeros(shape, dtype=torch.float16)
        graph.run({r: kept, seeds[0]: values[0], seeds[1]: values[1], x: half, y: half.clone()})
        return kept

    small, large = mask(1, 4, 5, 6), mask(3, 8, 5, 6)
    assert torch.equal(small, large[:1, :, :4, :4])
    assert not torch.equal(large, mask(3, 8, 6, 6))
    assert not torch.equal(large, mask(3, 8, 5, 7))


# ------------------------------------------------------------------------------ refusals


def test_attributes_are_checked(graph):
    tensor = graph.make("TENSOR")
    with refused("'tensor' has no attribute 1520"):
        tensor.set("OPERATION_MATMUL_ADESC", "INT64", 1)
    with refused("attribute 906 of 'tensor' has elements of type 3, not 1"):
        tensor.set("TENSOR_UNIQUE_ID", "DATA_TYPE", 1)
    with refused("attribute 906 of 'tensor' with 2 elements"):
        tensor.set("TENSOR_UNIQUE_ID", "INT64", 1, 2)
    with refused("'tensor' is finalised without attribute 900"):
        tensor.finalize()
    made = graph.tensor(torch.float32, (1, 2, 3)).descriptor
    with refused("is set after it was finalised"):
        made.set("TENSOR_UNIQUE_ID", "INT64", 1)
    with refused("finalised twice"):
        made.finalize()
    with refused("attribute 202 of 'heuristics' cannot be set"):
        graph.make("ENGINEHEUR").set("ENGINEHEUR_RESULTS", "BACKEND_DESCRIPTOR", made)
    with refused("type 10 ", NOT_SUPPORTED):
        Descriptor(graph.cudnn, 10)


def test_descriptors_are_checked(graph):
    unfinished = graph.make("TENSOR")
    operation = graph.make("OPERATION_MATMUL")
    with refused("the tensor descriptor that is referred to is not finalised"):
        operation.set("OPERATION_MATMUL_ADESC", "BACKEND_DESCRIPTOR", unfinished)
    with refused("is no descriptor"):
        operation.set("OPERATION_MATMUL_ADESC", "BACKEND_DESCRIPTOR", 64)
    gone = graph.tensor(torch.float16, (1, 8, 8))
    b, c = (graph.tensor(torch.float16, (1, 8, 8)) for _ in range(2))
    how = graph.make("MATMUL").set("MATMUL_COMP_TYPE", "DATA_TYPE", 0).finalize()
    for name, tensor in {"A": gone, "B": b, "C": c}.items():
        operation.set(f"OPERATION_MATMUL_{name}DESC", "BACKEND_DESCRIPTOR", tensor.descriptor)
    operation.set("OPERATION_MATMUL_DESC", "BACKEND_DESCRIPTOR", how)
    gone.descriptor.destroy()
    graph.kept.remove(gone.descriptor)
    with refused("the tensor descriptor that is referred to was destroyed"):
        operation.finalize()


def test_dimensions_are_checked(graph):
    half = torch.float16
    with refused(r"matmul: dimensions \[1, 8, 9\] times \[1, 8, 8\] do not give \[1, 8, 8\]"):
        graph.matmul(
            graph.tensor(half, (1, 8, 9)),
            graph.tensor(half, (1, 8, 8)),
            graph.tensor(half, (1, 8, 8)),
        )
    x, y = graph.tensor(half, (1, 8, 8)), graph.tensor(half, (1, 8, 8))
    with refused(r"tensor \d+ is \[1, 8, 4\], its output \[1, 8, 8\]"):
        graph.pointwise("ADD", y, x, graph.tensor(half, (1, 8, 4)))
    with refused("takes 2 inputs"):
        graph.pointwise("ADD", y, x)
    with refused("not BOOLEAN"):
        graph.pointwise("CMP_LT", y, x, x)
    with refused(r"not INT32 with one element a batch"):
        graph.matmul(x, x, y, m=graph.tensor(torch.int32, (2, 1, 1)))
    with refused(r"dimensions \[1, 8, 8\], strides \[64, 0, 1\]"):
        graph.tensor(half, (1, 8, 8), (64, 0, 1))
    with refused("INT32 .*, not INT32 .batches . 1. in memory"):
        graph.tensor(half, (2, 1, 8, 8), ragged=graph.tensor(torch.int32, (2, 1, 1, 1)))


def test_graphs_are_checked(graph):
    half = torch.float16
    a, b, out = product(graph, half)
    graph.pointwise(
        "IDENTITY",
        graph.tensor(torch.float32, (1, 8, 16)),
        graph.tensor(half, (1, 8, 16), uid=out.uid),
    )
    with refused(f"two different tensors have the unique id {out.uid}"):
        graph.finish()

    graph.operations.pop()
    nothing = graph.tensor(torch.float32, (1, 8, 16), virtual=True)
    graph.pointwise("IDENTITY", graph.tensor(half, (1, 8, 16)), nothing)
    with refused(f"tensor {nothing.uid} is virtual, and no operation's output"):
        graph.finish()

    graph.operations.pop()
    graph.matmul(a, b, out)
    with refused("is the output of 2 operations"):
        graph.finish()

    graph.operations.clear()
    first, second = (graph.tensor(half, (1, 8, 8), virtual=True) for _ in range(2))
    graph.pointwise("IDENTITY", first, second)
    graph.pointwise("IDENTITY", second, first)
    with refused("the operations form a cycle"):
        graph.finish()

    graph.operations.clear()
    graph.matmul(a, b, graph.tensor(torch.float32, (1, 8, 16), (128, 8, 1)))
    with refused("share memory"):
        graph.finish()


def test_operations_may_come_in_any_order(graph):
    a, b, _ = product(graph, torch.bfloat16)
    graph.operations.clear()
    s = graph.tensor(torch.float32, (1, 8, 16), virtual=True)
    out = graph.pointwise("EXP", graph.tensor(torch.float32, (1, 8, 16)), s)
    graph.matmul(a, b, s)
    x, w = torch.rand(1, 8, 24).bfloat16() / 8, torch.randn(1, 24, 16).bfloat16()
    y = torch.empty(1, 8, 16)
    graph.run({a: x, b: w, out: y})
    close(y, torch.exp(x.double() @ w.double()), torch.float32)


def test_variant_packs_are_checked(graph, cudnn):
    a, b, out = product(graph, torch.bfloat16)
    plan = graph.plan()
    memory = {
        a.uid: torch.ones(1, 8, 24).bfloat16(),
        b.uid: torch.ones(1, 24, 16).bfloat16(),
        out.uid: torch.empty(1, 8, 16),
    }
    execute(cudnn, plan, memory)
    assert (memory[out.uid] == 24).all()
    with refused("workspace of 4096 bytes"):
        execute(cudnn, plan, memory, torch.empty(0))
    with refused(f"lacks tensor {b.uid}"):
        execute(cudnn, plan, {uid: x for uid, x in memory.items() if uid != b.uid})
    with refused("has tensor 99, which the graph does not have"):
        execute(cudnn, plan, memory | {99: torch.ones(4)})
    aside = torch.empty(8 * 16 + 1)[1:]
    with refused("no multiple of 16"):
        execute(cudnn, plan, memory | {out.uid: aside})


def test_lengths_and_offsets_are_checked(graph):
    attention = Attention(torch.float16, [5, 9], 8)
    q = torch.zeros(16, 16).half()
    with pytest.raises(CudnnError, match="length is 9, its tensor's dimension 8"):
        attention.forward(graph, q, q, q, q.clone(), torch.empty(2, 2, 8))
    graph.operations.clear()
    attention = Attention(torch.float16, [5, 9], 8, ragged=True)
    with pytest.raises(CudnnError, match="offsets 80 and 224 of ragged tensor"):
        attention.forward(graph, q, q, q, q.clone(), torch.empty(2, 2, 8))


# ------------------------------------------------------------------------------ engines and plans


def test_engines_are_as_a_test_asks(graph, cudnn):
    product(graph, torch.bfloat16)
    cudnn.set_configurations(3, 20, 2)
    count, configurations = graph.configurations()
    assert count == 3
    for failing in configurations[:2]:
        with refused("makes no plan", NOT_SUPPORTED):
            graph.plan_of(failing)
    plan = graph.plan_of(configurations[2])
    size, index = ctypes.c_int64(), ctypes.c_int64()
    plan.get("EXECUTION_PLAN_WORKSPACE_SIZE", "INT64", 1, ctypes.byref(size))
    assert size.value == 4096
    engine = graph.make("ENGINE")
    pointer = ctypes.byref(engine.pointer)
    configurations[2].get("ENGINECFG_ENGINE", "BACKEND_DESCRIPTOR", 1, pointer)
    engine.get("ENGINE_GLOBAL_INDEX", "INT64", 1, ctypes.byref(index))
    assert index.value == 2
    count, configurations = graph.configurations("FALLBACK", room=4)
    assert (count, len(configurations)) == (20, 4)


def test_there_is_no_engine_for_what_cudnn_has_none_for(graph, cudnn):
    product(graph, torch.float32)
    count, _ = graph.configurations()
    assert count == 0
    message = ctypes.create_string_buffer(200)
    cudnn.library.cudnnGetLastErrorString(message, ctypes.c_size_t(200))
    assert message.value == b"Reason: operand 1 of a matmul is FLOAT in memory"


def test_plans_are_kept_as_text(graph, cudnn):
    a, b, out = product(graph, torch.bfloat16)
    plan = graph.plan()
    name = "EXECUTION_PLAN_JSON_REPRESENTATION"
    length = plan.get(name, "CHAR", 0, None)
    room = ctypes.create_string_buffer(length)
    assert plan.get(name, "CHAR", length, room) == length
    text = room.raw.decode()

    def restored(text, device=True):
        plan = graph.make("EXECUTION_PLAN").set_text(name, text)
        if device:
            plan.set("EXECUTION_PLAN_DEVICEPROP", "BACKEND_DESCRIPTOR", graph.device())
        return plan.finalize()

    y = torch.empty(1, 8, 16)
    x, w = torch.ones(1, 8, 24).bfloat16(), torch.ones(1, 24, 16).bfloat16()
    execute(cudnn, restored(text), {a.uid: x, b.uid: w, out.uid: y})
    assert (y == 24).all()
    with refused("neither a handle nor device properties"):
        restored(text, device=False)
    for damaged in ("{}", text[:-10], text[:-2], text.replace("24", "25")):
        with refused("the plan's representation is damaged"):
            restored(damaged)
    cudnn.set_version(92000)
    with refused("a plan of cuDNN 91801 is read by cuDNN 92000", 1003):
        restored(text)


def test_functions_fail_when_a_test_asks(graph, cudnn):
    cudnn.fail("cudnnBackendFinalize", 4000, nth=2)
    made = cudnn.calls("cudnnBackendFinalize")
    graph.tensor(torch.float32, (1, 1, 1))
    with refused("fails as a test asked", 4000):
        graph.tensor(torch.float32, (1, 1, 1))
    graph.tensor(torch.float32, (1, 1, 1))
    assert cudnn.calls("cudnnBackendFinalize") == made + 3


def test_the_version_is_as_a_test_asks(cudnn):
    assert cudnn.library.cudnnGetVersion() == 91801
    cudnn.set_version(91002)
    assert cudnn.library.cudnnGetVersion() == 91002


def test_execution_waits_for_its_turn_on_the_stream(graph, cudnn, mock_driver):
    """A captured graph replays it, on what its operands are then."""
    cuda = mock_driver.library

    def get(name, *arguments):
        out = ctypes.c_void_p()
        assert getattr(cuda, name)(ctypes.byref(out), *arguments) == 0
        return out

    assert cuda.cuInit(0) == 0
    assert cuda.cuCtxPushCurrent_v2(get("cuDevicePrimaryCtxRetain", 0)) == 0
    stream, captured = get("cuStreamCreate", 0), ctypes.c_void_p()

    a, b, out = product(graph, torch.bfloat16)
    x, w = torch.ones(1, 8, 24).bfloat16(), torch.ones(1, 24, 16).bfloat16()
    y, room = torch.zeros(1, 8, 16), workspace()
    assert cuda.cuStreamBeginCapture_v2(stream, 1) == 0
    execute(cudnn, graph.plan(), {a.uid: x, b.uid: w, out.uid: y}, room, stream)
    assert cuda.cuStreamEndCapture(stream, ctypes.byref(captured)) == 0
    assert not y.any()
    executable = get("cuGraphInstantiateWithFlags", captured, ctypes.c_uint64(0))
    for value in (1, 2):
        x.fill_(value)
        assert cuda.cuGraphLaunch(executable, stream) == 0
        assert (y == 24 * value).all()

    # What is wrong only then is the launch's error.
    product_in_place = {a.uid: x, b.uid: w, out.uid: x}
    with pytest.raises(CudnnError, match="CUresult 719: output .* shares memory"):
        execute(cudnn, graph.plan(), product_in_place, stream=stream)
    mock_driver.reset()
    mock_driver.set_device("A100")
    for name, handle in (
        ("cuGraphDestroy", captured),
        ("cuGraphExecDestroy", executable),
        ("cuStreamDestroy_v2", stream),
        ("cuCtxPopCurrent_v2", None),
        ("cuDevicePrimaryCtxRelease_v2", 0),
    ):
        assert getattr(cuda, name)(handle) == 0
