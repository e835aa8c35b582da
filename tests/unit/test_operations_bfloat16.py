"""Every backend's operations on bfloat16, one by one, against the same formulas in float64 on the
same rounded operands: the reference and the CPU backend alike, so that they differ by one unit of
the last place at most.

bfloat16 has 8 significant bits, so a number rounded to it moves by half a unit of its last place
at most: 2^-8 of itself. That is the tolerance for what an operation writes in bfloat16, next to
the few millionths of the largest entry by which sums in float32 are off. What is made of something
that the operation rounded and wrote is compared with the formula on what it wrote."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from operations_support import (
    ACTIVATIONS,
    CPU_BACKENDS,
    DROPOUT,
    EPS,
    HYPER,
    assert_close,
    attention_inputs,
    attention_magnitudes,
    attention_of_torch,
    boundaries,
    cpu_backend,
    cpu_name,
    double,
    embedding_inputs,
    flags_of,
    linear_inputs,
    mask,
    needs_cpu,
    norm_inputs,
    normal,
)

from ftcore import _core


@pytest.fixture(
    scope="module",
    params=["reference", *CPU_BACKENDS],
    ids=lambda p: p if p == "reference" else cpu_name(p),
)
def backend(request):
    """Each backend that takes bfloat16 here."""
    if request.param == "reference":
        return _core.Backend("reference")
    cpu = cpu_backend(*request.param)
    if not cpu.supports("bfloat16"):
        pytest.skip("the CPU backend does not take bfloat16 here")
    return cpu


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def rounded(x):
    """x in bfloat16 as torch rounds it, as the bits that operations take."""
    x = torch.from_numpy(np.ascontiguousarray(x, np.float32))
    return x.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)


def exact(bits):
    """What bfloat16 bits stand for."""
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def assert_rounded(bits, want, roundings=1, tolerance=4e-6):
    """bits are `want` rounded so many times, and computed in float32."""
    want = np.asarray(want)
    assert bits.dtype == np.uint16 and bits.shape == want.shape
    got = exact(bits)
    assert np.isfinite(got).all()
    bound = roundings * 2.0**-8 * np.abs(want) + tolerance * np.abs(want).max(initial=0)
    excess = np.abs(got - want) - bound
    assert excess.max(initial=-1) <= 0


# ------------------------------------------------------------------------------ rounding

ALL = np.arange(65536, dtype=np.uint32)
IS_NAN = (ALL & 0x7FFF) > 0x7F80


def float_of(bits):
    return bits.astype(np.uint32).view(np.float32)


def test_every_bfloat16_is_itself_again(backend):
    again = backend.cast(float_of(ALL << 16), "bfloat16")
    np.testing.assert_array_equal(again[~IS_NAN], ALL[~IS_NAN])


@pytest.mark.parametrize("low_bits", [0x0001, 0x4000, 0x7FFF, 0x8000, 0xFFFF])
def test_every_nan_stays_one_of_its_sign(backend, low_bits):
    """Also one whose bits are all in the half that is cut off."""
    nan = ALL[(ALL & 0x7F80) == 0x7F80] << 16 | low_bits
    again = backend.cast(float_of(nan), "bfloat16")
    assert ((again & 0x7FFF) > 0x7F80).all()
    np.testing.assert_array_equal(again >> 15, nan >> 31)


def test_rounding_is_to_nearest_and_of_ties_to_even(backend):
    """Between each number and the next (after the largest comes infinity, as overflow does)."""
    numbers = ALL[(ALL & 0x7F80) != 0x7F80]
    for low_bits, up in [(0x7FFF, 0), (0x8000, numbers & 1), (0x8001, 1), (1, 0), (0xFFFF, 1)]:
        got = backend.cast(float_of(numbers << 16 | low_bits), "bfloat16")
        np.testing.assert_array_equal(got, numbers + up)


@pytest.mark.parametrize("count", [0, 1, 7, 15, 16, 17, 33, 100_003])
def test_rounding_is_torchs(backend, rng, count):
    x = normal(rng, count)
    np.testing.assert_array_equal(backend.cast(x, "bfloat16"), rounded(x))


# ------------------------------------------------------------------------------ embedding


@pytest.mark.parametrize("dropout", [None, DROPOUT])
@pytest.mark.parametrize(
    "tokens,rows,hidden,types", [(0, 8, 5, 2), (1, 1, 5, 2), (37, 64, 30, 0), (97, 112, 768, 2)]
)
def test_embedding(backend, rng, tokens, rows, hidden, types, dropout):
    inputs = embedding_inputs(rng, tokens, hidden, types)
    options = {"eps": EPS, "rows": rows, "dropout": dropout}
    out, total, mean, rstd, stream = backend.embedding_forward(
        **inputs, **options, precision="bfloat16", stream=True
    )
    assert not out[tokens:].any() and not total[tokens:].any() and not stream[tokens:].any()
    want = inputs["word"][inputs["input_ids"]].astype(np.float64)
    want = want + inputs["position"][inputs["position_ids"]]
    if types:
        want = want + inputs["type"][inputs["token_type_ids"]]
    assert_close(total[:tokens], want)
    want = (want - want.mean(1, keepdims=True)) / np.sqrt(want.var(1, keepdims=True) + EPS)
    want = (want * inputs["gamma"] + inputs["beta"]) * mask(dropout, tokens, hidden)
    assert_close(stream[:tokens], want, 4e-6)
    np.testing.assert_array_equal(out, rounded(stream))

    plain = backend.embedding_forward(**inputs, **options, precision="bfloat16")
    assert plain[4] is None
    np.testing.assert_array_equal(plain[0], out)
    float32 = backend.embedding_forward(**inputs, **options, stream=True)
    for one, other in zip(float32, (stream, total, mean, rstd, stream), strict=True):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------------ linear

SHAPES = [(1, 1, 1), (8, 96, 2), (33, 50, 70), (416, 64, 257)]


def linear_bits(rng, *shape):
    """x, weight, bias, dy, of which bias alone is float32."""
    x, weight, bias, dy = linear_inputs(rng, *shape)
    return rounded(x), rounded(weight), bias, rounded(dy)


def activated(activation, z):
    return ACTIVATIONS[activation](torch.tensor(z)).numpy()


def pre_activation(x, weight, bias):
    return exact(x) @ exact(weight).T + bias


def kept_by(activation, x, weight, bias):
    """What backward is given of forward."""
    z = exact(rounded(pre_activation(x, weight, bias)))
    return {"none": None, "gelu": rounded(z)}.get(activation, rounded(activated(activation, z)))


def slope(activation, kept):
    if activation == "none":
        return 1.0
    kept = exact(kept)
    if activation == "gelu":
        t = double(kept)
        ACTIVATIONS["gelu"](t).sum().backward()
        return t.grad.numpy()
    return 1 - kept**2 if activation == "tanh" else kept > 0


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows,width,out", SHAPES)
def test_linear_forward(backend, rng, rows, width, out, activation):
    x, weight, bias, _ = linear_bits(rng, rows, width, out)
    y, kept = backend.linear_forward(x, weight, bias, activation)
    z = pre_activation(x, weight, bias)
    if activation == "gelu":
        assert_rounded(kept, z)
        assert_rounded(y, activated("gelu", exact(kept)))
    else:
        assert kept is None
        # tanh takes the rounded z, which moves it by no more of itself than that moved z.
        assert_rounded(y, activated(activation, z), roundings=2 if activation == "tanh" else 1)


def test_linear_of_evaluation_keeps_nothing_and_computes_the_same(backend, rng):
    x, weight, bias, _ = linear_bits(rng, 40, 32, 48)
    y, _ = backend.linear_forward(x, weight, bias, "gelu")
    alone, kept = backend.linear_forward(x, weight, bias, "gelu", keep=False)
    assert kept is None
    np.testing.assert_array_equal(alone, y)


@pytest.mark.parametrize("keep", [False, True])
def test_an_activation_takes_the_rounded_product(backend, keep):
    """1 + 2^-9 + 2^-10 rounds to 1, but GELU of the one does not round to GELU of the other."""
    one, near = rounded(np.ones((1, 1))), np.float32([2.0**-9 + 2.0**-10])
    of_near = activated("gelu", 1 + near.astype(np.float64))
    assert rounded(of_near) != rounded(activated("gelu", np.ones(1)))
    y, _ = backend.linear_forward(one, one, near, "gelu", keep)
    np.testing.assert_array_equal(y[0], rounded(activated("gelu", np.ones(1))))


def test_linear_and_gelu_round_where_torchs_autocast_does(backend, rng):
    """Bit for bit, but for the few sums that end so near a tie that their order decides."""
    x, weight, bias, dy = linear_bits(rng, 416, 64, 257)
    bias = exact(rounded(bias)).astype(np.float32)
    tensors = [torch.tensor(t, dtype=torch.float32) for t in (exact(x), exact(weight), bias)]
    for t in tensors:
        t.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        z = F.linear(*tensors)
        z.retain_grad()
        want = F.gelu(z)
    want.backward(torch.tensor(exact(dy)).bfloat16())
    y, kept = backend.linear_forward(x, weight, bias, "gelu")
    dz, dx, *_ = backend.linear_backward(dy, x, weight, "gelu", kept)
    for got, tensor in [(kept, z), (y, want), (dz, z.grad), (dx, tensors[0].grad)]:
        assert (got == rounded(tensor.detach().float().numpy())).mean() > 0.99


@pytest.mark.parametrize("float32_dx", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows,width,out", SHAPES)
def test_linear_backward(backend, rng, rows, width, out, activation, float32_dx):
    x, weight, bias, dy = linear_bits(rng, rows, width, out)
    kept = kept_by(activation, x, weight, bias)
    dz, dx, dweight, dbias = backend.linear_backward(
        dy, x, weight, activation, kept, float32_dx=float32_dx
    )
    assert_rounded(dz, exact(dy) * slope(activation, kept))
    want = exact(dz) @ exact(weight)
    if float32_dx:
        assert dx.dtype == np.float32
        assert_close(dx, want, 4e-6)
    else:
        assert_rounded(dx, want)
    assert_close(dweight, exact(dz).T @ exact(x), 1e-5)
    assert_close(dbias, exact(dz).sum(0), 1e-5)


def test_linear_adds_to_gradients(backend, rng):
    x, weight, _, dy = linear_bits(rng, 24, 40, 56)
    into, dx = (normal(rng, 56, 40), normal(rng, 56)), normal(rng, 24, 40)
    got = backend.linear_backward(dy, x, weight, add_to_dx=dx, accumulate=True, into=into)
    assert got[1].dtype == np.float32
    assert_close(got[1], exact(dy) @ exact(weight) + dx, 4e-6)
    assert_close(got[2], exact(dy).T @ exact(x) + into[0], 4e-6)
    assert_close(got[3], exact(dy).sum(0) + into[1], 4e-6)


def test_linear_overwrites_gradients_without_reading_them(backend, rng):
    x, weight, _, dy = linear_bits(rng, 24, 40, 56)
    nan = (np.full((56, 40), np.nan, np.float32), np.full(56, np.nan, np.float32))
    got = backend.linear_backward(dy, x, weight, into=nan)
    for one, other in zip(got, backend.linear_backward(dy, x, weight), strict=True):
        np.testing.assert_array_equal(one, other)


def test_linear_without_dx(backend, rng):
    x, weight, _, dy = linear_bits(rng, 24, 40, 56)
    assert backend.linear_backward(dy, x, weight, want_dx=False)[1] is None


def test_linear_of_no_rows_has_zero_gradients(backend):
    x, weight = np.zeros((0, 8), np.uint16), rounded(np.ones((4, 8)))
    y, _ = backend.linear_forward(x, weight, np.ones(4, np.float32))
    assert y.shape == (0, 4) and y.dtype == np.uint16
    into = (np.ones((4, 8), np.float32), np.ones(4, np.float32))
    for options in ({}, {"into": into}):
        _, dx, dweight, dbias = backend.linear_backward(y, x, weight, **options)
        assert dx.shape == (0, 8)
        assert not dweight.any() and not dbias.any()
    _, _, *kept = backend.linear_backward(y, x, weight, accumulate=True, into=into)
    for one, other in zip(kept, into, strict=True):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------------ attention


def assert_attention(backend, got, *operands, tolerance=1e-5):
    """got are out, dq, dk and dv. Backends may round probabilities and the scores' gradients
    before they multiply them, which moves each term of a sum by 2^-8 of itself at most; the
    reference does not."""
    wanted, terms = attention_of_torch(*operands), attention_magnitudes(*operands)
    largest = [max(1.0, np.abs(want).max()) for want in wanted]
    largest[1:3] = [max(largest[1:3])] * 2  # at length 1 both are 0, and what is computed is noise
    for bits, want, term, scale in zip(got, wanted, terms, largest, strict=True):
        assert bits.dtype == np.uint16 and bits.shape == want.shape
        moved = np.abs(want) + (0 if backend.name == "reference" else term)
        off = np.abs(exact(bits) - want)
        assert (off <= (1 + 2.0**-8) * 2.0**-8 * moved + tolerance * scale).all()


def rounded_columns(view):
    """A matrix's columns, rounded, as columns of a matrix as wide."""
    whole = np.zeros((view.shape[0], view.strides[0] // view.itemsize), np.uint16)
    columns = whole[:, : view.shape[1]]
    columns[...] = rounded(view)
    return columns


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("dropout", [None, DROPOUT])
@pytest.mark.parametrize(
    "lengths,rows,heads,head_dim",
    [
        ([1], 1, 1, 1),
        ([1, 2, 3, 15, 16, 17], 64, 3, 8),
        ([50, 59, 47, 67, 32], 256, 2, 64),
        ([1, 2, 31, 49], 96, 3, 32),
        ([24, 25, 48, 49], 160, 3, 17),
        ([257], 272, 1, 40),
    ],
)
@pytest.mark.parametrize("masked_first", [False, True])
def test_attention(backend, rng, lengths, rows, heads, head_dim, dropout, first_only, masked_first):
    *views, cu, dout = attention_inputs(rng, lengths, rows, heads, head_dim, first_only)
    q, k, v = map(rounded_columns, views)
    dout = rounded(dout)
    starts = cu[:-1] + np.array([masked_first and n > 1 for n in lengths], np.int32)
    options = {"key_starts": starts, "first_only": first_only, "dropout": dropout}
    out, lse = backend.attention_forward(q, k, v, cu, heads, **options)
    gradients = backend.attention_backward(dout, q, k, v, lse, cu, heads, **options)
    got = (out, *gradients)
    q, k, v, dout = map(exact, (q, k, v, dout))
    assert_attention(backend, got, q, k, v, cu, dout, heads, starts, first_only, dropout)
    for bits in got[2:] if first_only else got:
        assert not bits[cu[-1] :].any()


def test_attention_survives_scores_that_exp_would_not(backend, rng):
    q, k, v, cu, dout = attention_inputs(rng, [20, 40], 64, 2, 16, False)
    q, k, v, dout = map(rounded, (q * 100, k, v, dout))
    out, lse = backend.attention_forward(q, k, v, cu, 2)
    got = (out, *backend.attention_backward(dout, q, k, v, lse, cu, 2))
    q, k, v, dout = map(exact, (q, k, v, dout))
    # A score of hundreds is off by its millionths, and its exp by as much of itself.
    assert_attention(backend, got, q, k, v, cu, dout, 2, cu[:-1], False, None, tolerance=1e-4)


# ------------------------------------------------------------------------------ residual + norm


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dropout", [None, DROPOUT])
@pytest.mark.parametrize(
    "rows,tokens,hidden",
    [(0, 0, 16), (8, 0, 5), (1, 1, 3), (40, 33, 30), (64, 64, 384), (128, 97, 768)],
)
def test_residual_norm(backend, rng, rows, tokens, hidden, dropout, in_place):
    x, residual, gamma, beta, dy = norm_inputs(rng, rows, hidden)
    x, factors = rounded(x), mask(dropout, rows, hidden)[:tokens]
    y, kept, mean, rstd, stream = backend.residual_norm_forward(
        x, residual, gamma, beta, EPS, tokens, dropout, stream=True
    )
    assert not y[tokens:].any() and not stream[tokens:].any()
    total = exact(x[:tokens]) * factors + residual[:tokens]
    assert_rounded(kept[:tokens], total)
    # Of the sum before it was rounded.
    want_mean, want_rstd = total.mean(1), 1 / np.sqrt(total.var(1) + EPS)
    assert np.abs(mean[:tokens] - want_mean).max(initial=0) < 1e-6
    assert_close(rstd[:tokens], want_rstd, 4e-6)
    z = (total - want_mean[:, None]) * want_rstd[:, None]
    assert_close(stream[:tokens], z * gamma + beta, 4e-6)
    np.testing.assert_array_equal(y, rounded(stream))

    into = (normal(rng, hidden), normal(rng, hidden))
    for accumulate in (False, True):
        dresidual, dx, dgamma, dbeta = backend.residual_norm_backward(
            dy, kept, mean, rstd, gamma, tokens, dropout, in_place, accumulate, into
        )
        # Of the sum as it was kept.
        z = (exact(kept[:tokens]) - mean[:tokens, None]) * rstd[:tokens, None].astype(np.float64)
        d = dy[:tokens].astype(np.float64)
        g = d * gamma
        along = (g * z).mean(1, keepdims=True)
        dtotal = rstd[:tokens, None] * (g - g.mean(1, keepdims=True) - z * along)
        assert_close(dresidual[:tokens], dtotal, 4e-6)
        assert_rounded(dx[:tokens], dtotal * factors)
        assert not dresidual[tokens:].any() and not dx[tokens:].any()
        assert_close(dgamma, (d * z).sum(0) + accumulate * into[0], 4e-6)
        assert_close(dbeta, d.sum(0) + accumulate * into[1], 4e-6)


@pytest.mark.parametrize("dropout", [None, DROPOUT])
def test_the_stream_is_the_result_where_nothing_is_rounded(backend, rng, dropout):
    x, residual, gamma, beta, _ = norm_inputs(rng, 40, 30)
    y, *_, stream = backend.residual_norm_forward(
        x, residual, gamma, beta, EPS, 33, dropout, stream=True
    )
    np.testing.assert_array_equal(stream, y)
    alone, *_, none = backend.residual_norm_forward(x, residual, gamma, beta, EPS, 33, dropout)
    assert none is None
    np.testing.assert_array_equal(alone, y)


# ------------------------------------------------------------------------------ rows and passes


def test_first_rows_are_gathered(backend, rng):
    x, cu = rounded(normal(rng, 20, 7)), boundaries([4, 9, 5])
    np.testing.assert_array_equal(backend.first_rows_gather(x, cu), x[cu[:-1]])


def adamw_with_and_without_shadow(backend, rng, shape, hyper, flags):
    lives = 1.0 if flags is None else flags[:, None].astype(np.float32)
    p, g, m = normal(rng, *shape), *(normal(rng, *shape) * lives for _ in range(2))
    v = normal(rng, *shape) ** 2 * lives
    shadow, alone = rounded(p), p.copy()
    for step in (1, 2, 3):
        gradient = g * np.float32(step)
        backend.adamw(alone, gradient, m.copy(), v.copy(), **hyper, step=step, flags=flags)
        backend.adamw(
            p, gradient, m.copy(), v.copy(), **hyper, step=step, flags=flags, shadow=shadow
        )
    return p, alone, shadow


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(1,), (37,), (100_003,)])
def test_adamws_shadow_is_the_parameter_rounded(backend, rng, shape, decay):
    hyper = HYPER | {"weight_decay": decay}
    p, alone, shadow = adamw_with_and_without_shadow(backend, rng, shape, hyper, None)
    np.testing.assert_array_equal(shadow, rounded(p))
    np.testing.assert_array_equal(p, alone)


@pytest.mark.parametrize("kind", ["random", "none", "all", "ends"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("rows,width", [(50, 7), (700, 129)])
def test_adamws_shadow_follows_rows_that_are_only_decayed(backend, rng, rows, width, kind, decay):
    hyper, flags = HYPER | {"weight_decay": decay}, flags_of(rng, rows, kind)
    p, alone, shadow = adamw_with_and_without_shadow(backend, rng, (rows, width), hyper, flags)
    np.testing.assert_array_equal(shadow, rounded(p))
    np.testing.assert_array_equal(p, alone)


# ------------------------------------------------------------------------------ the whole of it


def test_nan_is_not_lost(backend, rng):
    x, weight, bias, dy = linear_bits(rng, 20, 33, 33)
    nan = rounded(np.array([np.nan]))[0]
    x[7, 5] = nan
    for activation in ACTIVATIONS:
        y, kept = backend.linear_forward(x, weight, bias, activation)
        assert np.isnan(exact(y)[7]).all() and np.isfinite(np.delete(exact(y), 7, 0)).all()
        if activation == "gelu":
            dz = backend.linear_backward(dy, x, weight, activation, kept)[0]
            assert np.isnan(exact(dz)[7]).all()
    operands = attention_inputs(rng, [20, 30], 50, 2, 16, False)
    q, k, v = (rounded(t) for t in operands[:3])
    k[3, 4] = nan
    out, lse = backend.attention_forward(q, k, v, operands[3], 2)
    out = exact(out)
    assert np.isnan(out[:20, :16]).all() and np.isnan(lse[0, :20]).all()
    assert np.isfinite(out[20:]).all() and np.isfinite(out[:, 16:]).all()
    residual = np.zeros((20, 33), np.float32)
    y, total, *_ = backend.residual_norm_forward(x, residual, bias, bias, EPS)
    assert np.isnan(exact(total)[7, 5]) and np.isnan(exact(y)[7]).all()
    assert np.isfinite(np.delete(exact(y), 7, 0)).all()


def test_infinity_is_not_lost_and_overflow_is_infinity(backend):
    largest = float(np.float32(exact(np.array([0x7F7F], np.uint16))[0]))
    x = rounded(np.array([[np.inf], [-np.inf], [largest], [-largest], [1.0]]))
    weight = rounded(np.array([[1.0], [-1.0]]))
    y, _ = backend.linear_forward(x, weight, np.zeros(2, np.float32))
    np.testing.assert_array_equal(exact(y[:, 0]), exact(x[:, 0]))
    np.testing.assert_array_equal(exact(y[:, 1]), -exact(x[:, 0]))
    # Half a unit of the last place beyond the largest bfloat16 is still a float32.
    bias = np.full(2, 2.0**119, np.float32)
    y, _ = backend.linear_forward(x[2:3], weight, bias)
    assert exact(y[0, 0]) == np.inf and np.isfinite(exact(y[0, 1]))


def test_the_same_thread_count_gives_the_same_bits(backend, rng):
    lengths = rng.integers(20, 90, 8)
    q, k, v, cu, dout = attention_inputs(rng, lengths, 768, 2, 64, False)
    q, k, v, dout = (rounded(t) for t in (q, k, v, dout))
    x, weight, bias, dy = linear_bits(rng, 300, 96, 160)

    def run():
        out, lse = backend.attention_forward(q, k, v, cu, 2, dropout=DROPOUT)
        y, kept = backend.linear_forward(x, weight, bias, "gelu")
        return (
            out,
            *backend.attention_backward(dout, q, k, v, lse, cu, 2, dropout=DROPOUT),
            y,
            *backend.linear_backward(dy, x, weight, "gelu", kept),
        )

    for one, other in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(one, other)


WITHOUT_BFLOAT16 = """
import numpy as np
from ftcore import _core

backend = _core.Backend("cpu")
assert backend.supports("float32") and not backend.supports("bfloat16")
x = np.zeros((2, 2), np.uint16)
try:
    backend.linear_forward(x, x, np.zeros(2, np.float32))
except ValueError as error:
    print(error)
"""


@needs_cpu
def test_a_processor_without_bfloat16_refuses_it():
    """oneDNN is told to use no more than AVX2, in a process of its own: it asks only once."""
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_BFLOAT16],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
    )
    assert "bfloat16 is not supported on this processor" in run.stdout, run.stderr
