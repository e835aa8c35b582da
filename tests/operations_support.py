"""What the tests of the backends' operations share: backends, operands, and what is expected."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ftcore import _core

DROPOUT = (0.1, 0x1234_5678_9ABC_DEF0, 3, 1, 7)
EPS = 1e-12
HYPER = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1}

# The CPU backend on several numbers of threads, and on each instruction set.
CPU_BACKENDS = [(1, None), (2, None), (4, None), (2, "avx512"), (2, "avx2"), (2, "generic")]


def cpu_name(parameters) -> str:
    return f"{parameters[0]}-{parameters[1] or 'best'}"


def has_cpu() -> bool:
    try:
        _core.Backend("cpu")
    except RuntimeError:
        return False
    return True


needs_cpu = pytest.mark.skipif(not has_cpu(), reason="this build has no oneDNN")


def cpu_backend(threads, kernels=None):
    """The CPU backend on kernels of that name; skips where this machine cannot."""
    if not has_cpu():
        pytest.skip("this build has no oneDNN")
    with pytest.MonkeyPatch.context() as patch:
        if kernels:
            patch.setenv("FTCORE_CPU_KERNELS", kernels)
        try:
            return _core.Backend("cpu", threads=threads)
        except ValueError as error:
            pytest.skip(str(error))


# ------------------------------------------------------------------------------ comparing


def assert_close(got, want, tolerance=2e-6):
    """Equal within `tolerance` of the largest entry; what is exactly 0 throughout stays 0."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert np.isfinite(got).all()
    largest = np.abs(want).max(initial=0)
    assert np.abs(got - want).max(initial=0) <= tolerance * largest


def assert_all_close(got, want, tolerance=2e-6):
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert (g is None) == (w is None)
        if w is not None:
            assert_close(g, w, tolerance)


def double(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64, requires_grad=True)


# ------------------------------------------------------------------------------ dropout


def factors(dropout, elements):
    """What dropout multiplies elements of those numbers by: Philox4x32-10 as its authors define
    it."""
    elements = np.asarray(elements, np.uint64)
    if dropout is None:
        return np.ones(elements.shape)
    p, seed, step, micro_step, site = dropout
    low = np.uint64(0xFFFFFFFF)
    quad, lane = elements // 4, elements % 4
    c = [quad & low, quad >> 32, np.full_like(quad, site << 16 | micro_step)]
    c.append(np.full_like(quad, step))
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (b >> 32) ^ c[1] ^ np.uint64(k[0]),
            b & low,
            (a >> 32) ^ c[3] ^ np.uint64(k[1]),
            a & low,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    kept = np.choose(lane.astype(np.intp), c) >= int(np.float32(p) * 2.0**32)
    return kept / (1 - float(np.float32(p)))


def mask(dropout, *shape):
    """The factors of a matrix's elements."""
    return factors(dropout, np.arange(math.prod(shape)).reshape(shape))


# ------------------------------------------------------------------------------ operands


def normal(rng, *shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def boundaries(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def embedding_inputs(rng, tokens, hidden, types):
    vocab, positions = 50, 40
    return {
        "input_ids": rng.integers(0, vocab, tokens).astype(np.int32),
        "position_ids": rng.integers(0, positions, tokens).astype(np.int32),
        "token_type_ids": rng.integers(0, max(types, 1), tokens).astype(np.int32),
        "word": normal(rng, vocab, hidden),
        "position": normal(rng, positions, hidden),
        "type": normal(rng, types, hidden) if types else None,
        "gamma": normal(rng, hidden, scale=0.2) + 1,
        "beta": normal(rng, hidden),
    }


def linear_inputs(rng, rows, width, out):
    """x, weight, bias, dy"""
    scale = 1 / math.sqrt(width)
    x, weight = normal(rng, rows, width), normal(rng, out, width, scale=scale)
    return x, weight, normal(rng, out), normal(rng, rows, out)


def attention_inputs(rng, lengths, rows, heads, head_dim, first_only):
    """q, k and v as the step has them: columns of one matrix, or q alone where it is short; then
    cu_seqlens and dout."""
    width = heads * head_dim
    cu = boundaries(lengths)
    if first_only:
        q, kv = normal(rng, len(lengths), width), normal(rng, rows, 2 * width)
        k, v = kv[:, :width], kv[:, width:]
    else:
        qkv = normal(rng, rows, 3 * width)
        q, k, v = (qkv[:, i * width : (i + 1) * width] for i in range(3))
    return q, k, v, cu, normal(rng, len(q), width)


def norm_inputs(rng, rows, hidden):
    """x, residual, gamma, beta, dy"""
    x, residual, dy = (normal(rng, rows, hidden) for _ in range(3))
    return x, residual, normal(rng, hidden, scale=0.2) + 1, normal(rng, hidden), dy


def flags_of(rng, rows, kind):
    """Which rows of a table matter."""
    return {
        "random": (rng.random(rows) < 0.4).astype(np.uint8),
        "none": np.zeros(rows, np.uint8),
        "all": np.ones(rows, np.uint8),
        "ends": np.array([1, *[0] * (rows - 2), 1], np.uint8),
    }[kind]


# ------------------------------------------------------------------------------ in torch's float64

ACTIVATIONS = {
    "none": lambda x: x,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


def heads_of(width, cu, heads, starts, first_only, dropout):
    """For each head of each sequence: its rows of q, its keys, its columns, dropout's factors."""
    for s in range(len(cu) - 1):
        last = cu[s] + 1 if first_only else cu[s + 1]
        queries = np.arange(cu[s], last, dtype=np.uint64)[:, None]
        keys = np.arange(starts[s] - cu[s], cu[s + 1] - cu[s], dtype=np.uint64)
        for h in range(heads):
            elements = (queries * np.uint64(heads) + np.uint64(h)) * np.uint64(65536) + keys
            yield (
                slice(s, s + 1) if first_only else slice(cu[s], last),
                slice(starts[s], cu[s + 1]),
                slice(h * (width // heads), (h + 1) * (width // heads)),
                factors(dropout, elements),
            )


def attention_of_torch(q, k, v, cu, dout, heads, starts, first_only, dropout):
    """out, dq, dk, dv"""
    tq, tk, tv = double(q), double(k), double(v)
    out = torch.zeros(tuple(q.shape), dtype=torch.float64)
    for own, keys, c, m in heads_of(q.shape[1], cu, heads, starts, first_only, dropout):
        scores = tq[own, c] @ tk[keys, c].T / math.sqrt(c.stop - c.start)
        out[own, c] = torch.softmax(scores, -1) * torch.tensor(m) @ tv[keys, c]
    (out * torch.tensor(dout)).sum().backward()
    return tuple(t.numpy() for t in (out.detach(), tq.grad, tk.grad, tv.grad))


def attention_magnitudes(q, k, v, cu, dout, heads, starts, first_only, dropout):
    """What out, dq, dk and dv would be if nothing in their last products cancelled: how far they
    move, at most, where probabilities and the scores' gradients move by their own size."""
    out, dq, dk, dv = (np.zeros(x.shape) for x in (q, q, k, v))
    for own, keys, c, m in heads_of(q.shape[1], cu, heads, starts, first_only, dropout):
        scale = 1 / math.sqrt(c.stop - c.start)
        p = torch.softmax(torch.tensor(scale * q[own, c] @ k[keys, c].T), -1).numpy()
        dp = m * (dout[own, c] @ v[keys, c].T)
        ds = np.abs(scale * p * (dp - (p * dp).sum(1, keepdims=True)))
        out[own, c] = p * m @ np.abs(v[keys, c])
        dv[keys, c] = (p * m).T @ np.abs(dout[own, c])
        dq[own, c] = ds @ np.abs(k[keys, c])
        dk[keys, c] = ds.T @ np.abs(q[own, c])
    return out, dq, dk, dv
