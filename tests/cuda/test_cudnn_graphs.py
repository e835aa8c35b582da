"""The product's cuDNN graphs, carried out by the mock cuDNN, compute what the operations of the
reference backend do."""

import ctypes
import gc
import math
import pathlib
import re

import numpy as np
import pytest
import torch
from cuda_support import build, device_array
from cudnn_support import (
    Graph,
    assert_rounded,
    attention_of_mask,
    exact,
    mock_cudnn,
    operand,
    rounded,
)
from operations_support import attention_inputs

from ftcore import _core

HERE = pathlib.Path(__file__).parent
CUDNN = build.CSRC / "backend" / "cuda" / "cudnn"
SOURCES = [HERE / "graphs.c"]
SOURCES += [CUDNN / f"{n}.c" for n in ("library", "graph", "plans", "attention_graph")]
SOURCES += [build.CSRC / "common" / f"{name}.c" for name in ("status", "memory")]
PRECISIONS = {"float32": 0, "bfloat16": 1, "float16": 2}
SEED, OFFSET = 0x1234_5678_9ABC_DEF0, 77


def tensor_ids():
    """The tensors' ids: an enumeration from 1 on."""
    text = re.sub(r"/\*.*?\*/", "", (CUDNN / "attention_graph.h").read_text(), flags=re.DOTALL)
    return {name: i + 1 for i, name in enumerate(re.findall(r"\bFT_ATTENTION_(\w+)[ =,]", text))}


IDS = tensor_ids()


class AttentionShape(ctypes.Structure):
    names = "precision backward ragged sequences heads length head_dim q_stride kv_stride"
    _fields_ = [(name, ctypes.c_int32) for name in names.split()]
    _fields_ += [("dropout", ctypes.c_float)]


class Graphs:
    """graphs.c, with cuDNN's graphs as the product builds them."""

    def __init__(self):
        self.mock = mock_cudnn()
        self.library = ctypes.CDLL(str(self.built()))
        self.library.graphs_error.restype = ctypes.c_char_p
        self.check(self.library.graphs_open(self.mock.path.encode()))

    @staticmethod
    def built():
        def command(path):
            flags = ["-shared", "-fPIC", "-O1", "-g1", "-Wall", "-Wextra", f"-I{build.CSRC}"]
            build.run(["gcc", *flags, *map(str, SOURCES), "-o", str(path), "-ldl", "-lpthread"])

        key = [build.headers(), *(s.read_text() for s in SOURCES)]
        return build.make("libgraphs.so", "".join(key), command)

    def check(self, status):
        if status:
            raise RuntimeError(self.library.graphs_error().decode())

    def attention(self, shape, arrays):
        """arrays: by the tensors' names."""
        memory = (ctypes.c_void_p * (max(IDS.values()) + 1))()
        for name, array in arrays.items():
            memory[IDS[name]] = array.ctypes.data
        self.check(self.library.graphs_attention(ctypes.byref(shape), memory))


@pytest.fixture
def graphs():
    made = Graphs()
    made.mock.reset()
    gc.collect()  # backends of other tests
    before = made.mock.alive()
    yield made
    made.mock.reset()
    assert made.mock.alive() == before


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture(scope="module")
def reference():
    return _core.Backend("reference")


HALVES = ["bfloat16", "float16"]


def mask_of(sequences, heads, length, p):
    """The mask that the mock draws for these sizes."""
    graph = Graph(mock_cudnn())
    dims = (sequences, heads, length, length)
    r, x = graph.tensor(torch.float32, dims), graph.tensor(torch.float16, dims)
    seed, offset = (graph.tensor(torch.int64, (1, 1, 1, 1)) for _ in range(2))
    graph.rng(r, seed, offset, 1 - float(np.float32(p)))
    y = graph.matmul(x, x, graph.tensor(torch.float16, dims))
    zeros, mask = torch.zeros(dims, dtype=torch.float16), torch.empty(dims)
    numbers = {seed: torch.tensor([SEED]), offset: torch.tensor([OFFSET])}
    graph.run({r: mask, x: zeros, y: zeros.clone(), **numbers})
    graph.destroy()
    return mask.double()


class Run:
    """Attention of sequences of these lengths by the graphs: on packed rows of q, k and v side by
    side, or dense with zeros behind each sequence."""

    def __init__(self, graphs, precision, lengths, heads, head_dim, p, ragged):
        self.graphs, self.precision, self.lengths = graphs, precision, lengths
        self.heads, self.head_dim, self.p, self.ragged = heads, head_dim, p, ragged
        self.width, self.length = heads * head_dim, max(lengths) + 3
        self.cu = np.concatenate([[0], np.cumsum(lengths)])
        self.stride = 3 * self.width if ragged else self.width

    def shape(self, backward):
        sizes = (len(self.lengths), self.heads, self.length, self.head_dim)
        p = PRECISIONS[self.precision]
        return AttentionShape(p, backward, self.ragged, *sizes, *[self.stride] * 2, self.p)

    def common(self, backward):
        keep = 1 - np.float32(self.p)
        lengths = device_array(np.array(self.lengths, np.int32))
        memory = {"Q_LENGTHS": lengths, "KV_LENGTHS": device_array(lengths)}
        memory["SCALE"] = scalar(1 / math.sqrt(self.head_dim))
        memory["MASKED"] = scalar(-math.inf)
        if self.ragged:
            for name, stride in [("Q", self.stride), ("KV", self.stride), ("OUT", self.width)]:
                memory[f"{name}_OFFSETS"] = device_array((self.cu * stride).astype(np.int32))
        if self.p:
            memory["SEED"] = device_array(np.array([SEED], np.int64))
            memory["SEED_OFFSET"] = device_array(np.array([OFFSET], np.int64))
            memory["KEEP_SCALE"] = scalar(1 / keep)
        if backward:
            memory["KEEP"] = scalar(keep)
        return memory

    def place(self, x):
        """Packed rows where the graphs take them."""
        if self.ragged:
            return device_array(x)
        dense = np.zeros((len(self.lengths), self.length, x.shape[1]), x.dtype)
        for s, length in enumerate(self.lengths):
            dense[s, :length] = x[self.cu[s] : self.cu[s] + length]
        return device_array(dense)

    def packed(self, x):
        if self.ragged:
            return x
        return np.concatenate([x[s, :length] for s, length in enumerate(self.lengths)])

    def empty(self, columns):
        """Memory of a result, which says where nothing was written."""
        rows = (self.cu[-1] + 2,) if self.ragged else (len(self.lengths), self.length)
        return device_array(np.full((*rows, columns), 0x3333, np.uint16))

    def results(self, x):
        """What was written; rows behind a ragged tensor's were not."""
        if self.ragged:
            assert (x[self.cu[-1] :] == 0x3333).all()
            x = x[: self.cu[-1]]
        return exact(np.ascontiguousarray(self.packed(x)), self.precision)

    def __call__(self, q, k, v, dout):
        """out, dq, dk and dv; statistics [sequences, heads, length]."""
        w = self.width
        if self.ragged:
            together = device_array(np.concatenate([q, k, v], axis=1))
            gradient = self.empty(3 * w)
            split = lambda x: [x[:, i * w : (i + 1) * w] for i in range(3)]  # noqa: E731
            inputs, gradients = split(together), split(gradient)
        else:
            inputs = [self.place(x) for x in (q, k, v)]
            gradients = [self.empty(w) for _ in range(3)]
        out = self.empty(w)
        per_query = (len(self.lengths), self.heads, self.length)
        stats, sums = (device_array(np.full(per_query, np.nan, np.float32)) for _ in range(2))
        dq_sums = device_array(np.full((*per_query, self.head_dim), np.nan, np.float32))
        memory = dict(zip("QKV", inputs, strict=True)) | {"OUT": out, "STATISTICS": stats}
        self.graphs.attention(self.shape(False), memory | self.common(False))
        # What the forward graph says nothing of, backward is given zeros for, as after unpacking.
        kept = out if self.ragged else self.place(self.packed(out))
        memory |= {"OUT": kept, "DOUT": self.place(dout), "ROW_SUMS": sums, "DQ_SUMS": dq_sums}
        memory |= dict(zip(["DQ", "DK", "DV"], gradients, strict=True))
        self.graphs.attention(self.shape(True), memory | self.common(True))
        return [self.results(x) for x in (out, *gradients)], stats


def scalar(value):
    return device_array(np.atleast_1d(np.float32(value)))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("lengths,heads,head_dim", [([5, 1, 12], 3, 8), ([17], 1, 64)])
def test_attention(graphs, reference, rng, precision, lengths, heads, head_dim, ragged, p):
    tokens = sum(lengths)
    q, k, v, cu, dout = attention_inputs(rng, lengths, tokens, heads, head_dim, False)
    bits = [rounded(x, precision) for x in (q, k, v, dout)]
    got, stats = Run(graphs, precision, lengths, heads, head_dim, p, ragged)(*bits)
    q, k, v, dout = (exact(x, precision) for x in bits)

    length = max(lengths) + 3
    keep = 1 - float(np.float32(p))
    mask = mask_of(len(lengths), heads, length, p) / keep if p else torch.ones(3, heads, 99, 99)
    wanted, terms = attention_of_mask(q, k, v, cu, dout, heads, mask)
    for one, want, term in zip(got, wanted, terms, strict=True):
        assert_rounded(one, want, precision, term)
    for s, n in enumerate(lengths):
        rows = slice(cu[s], cu[s + 1])
        for h in range(heads):
            c = slice(h * head_dim, (h + 1) * head_dim)
            scores = torch.tensor(q[rows, c] @ k[rows, c].T / math.sqrt(head_dim))
            np.testing.assert_allclose(stats[s, h, :n], scores.logsumexp(-1), rtol=1e-5, atol=1e-5)

    if not p:  # the reference backend's, on the same operands
        operands = [operand(x, precision) for x in bits]
        out, lse = reference.attention_forward(*operands[:3], cu, heads)
        gradients = reference.attention_backward(operands[3], *operands[:3], lse, cu, heads)
        for one, want, term in zip(got, (out, *gradients), terms, strict=True):
            want = exact(want.view(np.uint16), precision)
            assert_rounded(one, want, precision, np.abs(want) + term)


# ------------------------------------------------------------------------------ engines


def small_attention(graphs):
    """Whether attention to values that are all 1 is 1."""
    ones = [device_array(np.ones((4, 8), np.float16)) for _ in range(3)]
    out = device_array(np.zeros((4, 8), np.float16))
    lengths = device_array(np.array([4], np.int32))
    memory = dict(zip("QKV", ones, strict=True)) | {"OUT": out, "STATISTICS": scalar(np.zeros(4))}
    memory |= {"Q_LENGTHS": lengths, "KV_LENGTHS": lengths}
    memory |= {"SCALE": scalar(1), "MASKED": scalar(-math.inf)}
    shape = AttentionShape(PRECISIONS["float16"], 0, 0, 1, 1, 4, 8, 8, 8)
    graphs.attention(shape, memory)
    return (out == 1).all()


# How many engines are proposed by mode A and by FALLBACK, and how many of them make no plan.
@pytest.mark.parametrize("mode_a,fallback,failing", [(3, 0, 2), (0, 1, 0), (2, 4, 3), (40, 1, 0)])
def test_the_first_engine_that_can_be_made_ready_is_taken(graphs, mode_a, fallback, failing):
    graphs.mock.set_configurations(mode_a, fallback, failing)
    assert small_attention(graphs)


def test_there_may_be_no_engine(graphs):
    graphs.mock.set_configurations(0, 0, 0)
    with pytest.raises(RuntimeError, match="cuDNN has no engine .*: Reason: a test asked"):
        small_attention(graphs)
    graphs.mock.set_configurations(40, 40, 40)
    with pytest.raises(RuntimeError, match="a plan: CUDNN_STATUS_NOT_SUPPORTED .*makes no plan"):
        small_attention(graphs)


@pytest.mark.parametrize(
    "function",
    [
        *["cudnnCreate", "cudnnBackendCreateDescriptor", "cudnnBackendSetAttribute"],
        *["cudnnBackendGetAttribute", "cudnnBackendFinalize", "cudnnBackendExecute"],
    ],
)
def test_whatever_fails_is_said_and_nothing_is_left(graphs, function):
    """Each call of the function in turn. Some failures lead to the next engine."""
    before = graphs.mock.alive()
    assert small_attention(graphs)
    calls = graphs.mock.calls(function)
    assert calls
    for nth in range(1, calls + 1):
        graphs.mock.fail(function, 4000, nth)
        try:
            assert small_attention(graphs)
        except RuntimeError as error:
            assert "cuDNN" in str(error)
        assert graphs.mock.alive() == before
