"""Attention's dropout on a GPU: its mask is the GPU's own, so it is known by what it does."""

import numpy as np
import pytest
from operations_support import boundaries, normal

from ftcore import _core, devices

pytestmark = pytest.mark.gpu
LENGTHS, HEADS, HEAD_DIM = [64, 50, 33, 64], 12, 64
WIDTH, P = HEADS * HEAD_DIM, 0.1


@pytest.fixture(scope="module")
def cuda():
    devices.find_libraries()
    return _core.Backend(devices.resolve_device("cuda"))


@pytest.fixture(params=["float32", "bfloat16", "float16"])
def attention(request, cuda):
    """forward(q, k, v, dropout) and backward(dout, q, k, v, state, dropout) in each precision, on
    and to float32."""
    precision = request.param
    if not cuda.supports(precision):
        pytest.skip(f"this GPU is not used in {precision}")
    cu = boundaries(LENGTHS)

    def down(x):
        x = np.ascontiguousarray(x, np.float32)
        return x if precision == "float32" else cuda.cast(x.ravel(), precision).reshape(x.shape)

    def up(x):
        if x.dtype == np.uint16:
            x = (x.astype(np.uint32) << 16).view(np.float32)
        return x.astype(np.float64)

    class Attention:
        round_to = {"float32": 2e-5, "bfloat16": 2e-2, "float16": 4e-3}[precision]

        def forward(self, q, k, v, dropout):
            out, _ = cuda.attention_forward(down(q), down(k), down(v), cu, HEADS, dropout=dropout)
            return up(out)

        def backward(self, dout, q, k, v, dropout, change=lambda state: None):
            """change(state) is made to what forward keeps."""
            arrays = [down(x) for x in (q, k, v)]
            out, state = cuda.attention_forward(*arrays, cu, HEADS, dropout=dropout)
            change(state)
            found = cuda.attention_backward(
                down(dout), *arrays, state, cu, HEADS, dropout=dropout, out=out
            )
            return [up(x) for x in found]

    return Attention()


def operands(seed=3):
    rng = np.random.default_rng(seed)
    return [normal(rng, sum(LENGTHS), WIDTH) for _ in range(4)]


def key(step):
    return (P, 1234, step, 0, 5)


def test_dropout_keeps_the_share_that_it_should(attention):
    """With keys all alike and values of 1 an entry of the result is the mean of its mask."""
    zeros, ones = np.zeros((sum(LENGTHS), WIDTH)), np.ones((sum(LENGTHS), WIDTH))
    out = attention.forward(zeros, zeros, ones, key(1))
    rows = out[:, ::HEAD_DIM]  # a head's columns have one mask
    masks = sum(HEADS * length**2 for length in LENGTHS)
    error = np.sqrt(P / (1 - P) / masks)
    weights = np.repeat(LENGTHS, LENGTHS)[:, None]
    mean = (rows * weights).sum() / (weights.sum() * HEADS)
    assert abs(mean - 1) < 5 * error + attention.round_to / 10
    assert rows.std() > 0.01


def test_a_key_gives_its_mask_again_and_another_another(attention):
    q, k, v, _ = operands()
    one, other = (attention.forward(q, k, v, key(step)) for step in (1, 2))
    np.testing.assert_array_equal(one, attention.forward(q, k, v, key(1)))
    assert (one != other).mean() > 0.5
    plain = attention.forward(q, k, v, None)
    assert (one != plain).mean() > 0.5


def units(lengths):
    """Rows of which each has 1 in the column of its number within the sequence, in every head."""
    rows = np.concatenate([np.eye(length, HEAD_DIM) for length in lengths])
    return np.tile(rows, (1, HEADS))


def test_forward_and_backward_have_one_mask(attention):
    """With scores of 0 and rows that are units, entry (i, j) of a result is the mask's factor of
    query i and key j, or of key i and query j: forward's in out, backward's in dv, and, less their
    mean, in dq and dk."""
    unit, zero = units(LENGTHS), np.zeros((sum(LENGTHS), WIDTH))
    ones = np.ones_like(zero)
    out = attention.forward(zero, zero, unit, key(3))
    dv = attention.backward(unit, zero, zero, unit, key(3))[2]
    dq = attention.backward(ones, zero, unit, ones, key(3))[0]
    dk = attention.backward(ones, unit, zero, ones, key(3))[1]
    for first, last in zip(np.cumsum([0, *LENGTHS]), np.cumsum(LENGTHS), strict=False):
        count = last - first
        for head in range(HEADS):
            columns = slice(head * HEAD_DIM, head * HEAD_DIM + count)
            forward = out[first:last, columns] * count > 0.5
            np.testing.assert_array_equal(dv[first:last, columns].T * count > 0.5, forward)
            # What is kept is above its row's mean; where all of a row is, it is the mean.
            scale = np.sqrt(HEAD_DIM) * count / HEAD_DIM
            np.testing.assert_array_equal(dq[first:last, columns] * scale > -0.5, forward)
            np.testing.assert_array_equal(dk[first:last, columns].T * scale > -0.5, forward)
            assert 0.5 < forward.mean() <= 1


def test_statistics_behind_a_sequence_do_not_matter(attention):
    """cuDNN's are kept of all rows of a bucket, in memory that held something else before."""
    length = -(-max(LENGTHS) // 64) * 64

    def spoil(state):
        if state.ndim == 2:
            pytest.skip("this attention is not cuDNN's")
        count = len(LENGTHS) * HEADS * length
        statistics = state[:count].reshape(len(LENGTHS), HEADS, length)
        for of_sequence, own in zip(statistics, LENGTHS, strict=True):
            of_sequence[:, own:] = -1e30  # exp(score + 1e30) would be infinity

    *inputs, dout = operands()
    want = attention.backward(dout, *inputs, key(4))
    got = attention.backward(dout, *inputs, key(4), spoil)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)
