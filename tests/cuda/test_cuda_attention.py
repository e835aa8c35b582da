"""Our own attention on the mock GPU, against the reference backend."""

import math

import numpy as np
import pytest
from cuda_support import ORDERS
from operations_support import (
    DROPOUT,
    assert_close,
    attention_inputs,
    attention_magnitudes,
    attention_of_torch,
    heads_of,
)

from ftcore import _core


def to_bfloat16(x):
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def of_bfloat16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


CONVERSIONS = {
    "bfloat16": (to_bfloat16, of_bfloat16),
    "float16": (lambda x: x.astype(np.float16), lambda x: x.astype(np.float64)),
}
HALF_STEP = {"bfloat16": 2.0**-9, "float16": 2.0**-11}  # of a number, at most


@pytest.fixture(params=ORDERS)
def cuda(request, gpu):
    """A GPU without attention of cuDNN's; threads run in either order."""
    return gpu("T4", order=request.param)


@pytest.fixture(scope="module")
def reference():
    return _core.Backend("reference")


@pytest.fixture
def rng():
    return np.random.default_rng(31)


def both(backend, q, k, v, cu, dout, heads, **options):
    out, lse = backend.attention_forward(q, k, v, cu, heads, **options)
    gradients = backend.attention_backward(dout, q, k, v, lse, cu, heads, out=out, **options)
    owned = slice(None) if options.get("first_only") else slice(0, cu[-1])
    return (out, *gradients, lse[:, owned])


def starts_of(cu, masked):
    """The first `masked` keys of each sequence are masked, but never all."""
    return np.minimum(cu[:-1] + masked, cu[1:] - 1).astype(np.int32)


SHAPES = [
    ([1], 1, 1, 1),
    ([1, 2, 3, 15, 16, 17], 64, 3, 8),
    ([50, 67, 32], 160, 2, 64),
    ([31, 97], 128, 1, 32),
    ([24, 25, 49], 160, 3, 17),
    ([65], 72, 1, 128),
    ([33, 40], 80, 1, 90),
    ([130], 144, 1, 40),
]


@pytest.mark.parametrize("dropout,masked", [(None, 0), (DROPOUT, 0), (DROPOUT, 1), (None, 37)])
@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("lengths,rows,heads,head_dim", SHAPES)
def test_attention_is_the_references(
    cuda, reference, rng, lengths, rows, heads, head_dim, first_only, dropout, masked
):
    q, k, v, cu, dout = attention_inputs(rng, lengths, rows, heads, head_dim, first_only)
    options = {
        "key_starts": starts_of(cu, masked),
        "first_only": first_only,
        "dropout": dropout,
    }
    got = both(cuda, q, k, v, cu, dout, heads, **options)
    want = both(reference, q, k, v, cu, dout, heads, **options)
    largest = max(1, *(np.abs(w).max() for w in want[1:3]))  # 0 but for rounding at length 1
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        if i in (1, 2):
            assert np.abs(g - w).max() <= 1e-5 * largest
        else:
            assert_close(g, w, 4e-6)
    for tail in got[2:4] if first_only else got[:4]:
        assert not tail[cu[-1] :].any()


def magnitudes(q, k, v, cu, dout, heads, starts, first_only, dropout):
    """How far out, dq, dk and dv move, at most, where what they are made of moves by its own size:
    the probabilities, the scores' gradients, and out itself where backward reads it."""
    operands = (q, k, v, cu, dout, heads, starts, first_only, dropout)
    out, dq, dk, dv = attention_magnitudes(*operands)
    for own, keys, c, m in heads_of(q.shape[1], cu, heads, starts, first_only, dropout):
        scale = 1 / math.sqrt(c.stop - c.start)
        scores = scale * q[own, c] @ k[keys, c].T
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        delta = (np.abs(dout[own, c]) * (p * m @ np.abs(v[keys, c]))).sum(1, keepdims=True)
        dq[own, c] += scale * p * delta @ np.abs(k[keys, c])
        dk[keys, c] += (scale * p * delta).T @ np.abs(q[own, c])
    return out, dq, dk, dv


@pytest.mark.parametrize("dropout,masked", [(None, 1), (DROPOUT, 3), (DROPOUT, 37)])
@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("lengths,rows,heads,head_dim", SHAPES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name,precision", [("A100", "bfloat16"), ("T4", "float16")])
def test_attention_of_16_bits(
    gpu, rng, name, precision, order, lengths, rows, heads, head_dim, first_only, dropout, masked
):
    """Where cuDNN has none: with masked keys, on a T4, of heads whose size does not suit it."""
    backend = gpu(name, order)
    to_bits, exact = CONVERSIONS[precision]

    def columns(view):
        bits = to_bits(np.ascontiguousarray(view))
        whole = np.zeros((view.shape[0], view.strides[0] // view.itemsize), bits.dtype)
        whole[:, : view.shape[1]] = bits
        return whole[:, : view.shape[1]]

    *views, cu, dout = attention_inputs(rng, lengths, rows, heads, head_dim, first_only)
    q, k, v = map(columns, views)
    dout = to_bits(dout)
    starts = starts_of(cu, masked)
    options = {"key_starts": starts, "first_only": first_only, "dropout": dropout}
    got = both(backend, q, k, v, cu, dout, heads, **options)
    operands = (*map(exact, (q, k, v)), cu, exact(dout), heads, starts, first_only, dropout)
    wanted, terms = attention_of_torch(*operands), magnitudes(*operands)
    for bits, want, term in zip(got, wanted, terms, strict=False):
        off = np.abs(exact(bits) - want)
        moved = 2 * HALF_STEP[precision] * (np.abs(want) + term)
        assert (off <= moved + 1e-5 * max(1, np.abs(want).max())).all()


def test_attention_survives_scores_that_exp_would_not(cuda, reference, rng):
    q, k, v, cu, dout = attention_inputs(rng, [20, 40], 64, 2, 16, False)
    q *= 100
    got = both(cuda, q, k, v, cu, dout, 2)
    for g, w in zip(got, both(reference, q, k, v, cu, dout, 2), strict=True):
        assert_close(g, w, 1e-4)


def test_heads_that_are_too_wide_are_refused(cuda, rng):
    q, k, v, cu, _ = attention_inputs(rng, [5], 8, 1, 129, False)
    with pytest.raises(ValueError, match="heads of 129 columns"):
        cuda.attention_forward(q, k, v, cu, 1)
