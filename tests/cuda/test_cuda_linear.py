"""Linear layers on the mock GPU."""

import ctypes

import numpy as np
import pytest
import torch
from cuda_support import ORDERS, device_array, pointer, run_kernel
from operations_support import (
    ACTIVATIONS,
    assert_all_close,
    assert_close,
    linear_inputs,
    normal,
)

from ftcore import _core

# Lines that are and are not a multiple of four, few rows and many (whose sums are split), few
# columns, and sums that take a workspace.
SHAPES = [
    (1, 1, 1),
    (8, 96, 2),
    (5, 768, 3),
    (33, 50, 70),
    (32, 512, 64),
    (130, 36, 132),
    (257, 31, 65),
    (128, 520, 128),
    (300, 16, 200),
]


@pytest.fixture(params=ORDERS)
def cuda(request, gpu):
    return gpu("A100", request.param)


@pytest.fixture(scope="module")
def reference():
    return _core.Backend("reference")


@pytest.fixture
def rng():
    return np.random.default_rng(32)


def to_bits(precision, x):
    if precision == "float16":
        return x.astype(np.float16)
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def exact(bits):
    if bits.dtype == np.uint16:
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return bits.astype(np.float64)


def exact_product(a, b):
    return a.astype(np.float64) @ b.astype(np.float64)


def kept_by(activation, y, kept):
    return {"none": None, "gelu": kept}.get(activation, y)


def assert_within(got, want, step):
    """Equal but for a rounding the other way where a sum's order decides."""
    got, want = exact(got), exact(want)
    bound = step * np.abs(want) + 1e-5 * np.abs(want).max(initial=0)
    assert (np.abs(got - want) <= bound).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows,width,out", SHAPES)
def test_linear_is_the_references(cuda, reference, rng, rows, width, out, activation):
    x, weight, bias, dy = linear_inputs(rng, rows, width, out)
    want = reference.linear_forward(x, weight, bias, activation)
    assert_all_close(cuda.linear_forward(x, weight, bias, activation), want, 4e-6)
    kept = kept_by(activation, *want)
    assert_all_close(
        cuda.linear_backward(dy, x, weight, activation, kept),
        reference.linear_backward(dy, x, weight, activation, kept),
        8e-6,
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
# The last two: activations of one element a thread, and sums that take a workspace.
@pytest.mark.parametrize(
    "rows,width,out", [(8, 64, 16), (40, 96, 64), (300, 32, 80), (5, 24, 7), (9, 136, 24)]
)
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_linear_of_16_bits(gpu, reference, rng, precision, rows, width, out, activation):
    cuda = gpu()
    x, weight, bias, dy = linear_inputs(rng, rows, width, out)
    x, weight, dy = (to_bits(precision, operand) for operand in (x, weight, dy))
    step = 2.0**-7 if precision == "bfloat16" else 2.0**-10
    as_rounded = exact(to_bits(precision, bias)).astype(np.float32)
    want = reference.linear_forward(x, weight, as_rounded, activation)
    y, z = cuda.linear_forward(x, weight, bias, activation)
    if activation == "gelu":  # which makes more of a rounding of its argument, where it is negative
        assert_within(z, want[1], step)
        phi = torch.special.ndtr(torch.tensor(exact(z))).numpy()
        assert_within(y, to_bits(precision, (exact(z) * phi).astype(np.float32)), step)
    else:
        assert_within(y, want[0], 2 * step)
    kept = kept_by(activation, *want)
    got = cuda.linear_backward(dy, x, weight, activation, kept)
    want = reference.linear_backward(dy, x, weight, activation, kept)
    assert_within(got[0], want[0], step)
    dz = exact(got[0])
    assert_within(got[1], dz @ exact(weight), step)
    assert_close(got[2], dz.T @ exact(x), 1e-5)
    assert_close(got[3], dz.sum(0), 1e-5)


def to_tf32(x):
    """x to 10 bits behind the point."""
    return ((x.view(np.uint32) + 0x1000) & 0xFFFFE000).view(np.float32)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows,width,out", [(9, 136, 24), (33, 50, 70)])
def test_tf32_rounds_operands_of_products_and_nothing_else(
    cuda, reference, rng, rows, width, out, activation
):
    x, weight, bias, dy = linear_inputs(rng, rows, width, out)
    forward = cuda.linear_forward(x, weight, bias, activation, tf32=True)
    want = reference.linear_forward(to_tf32(x), to_tf32(weight), bias, activation)
    assert_all_close(forward, want, 4e-6)
    kept = kept_by(activation, *want)
    dz, dx, dweight, dbias = cuda.linear_backward(dy, x, weight, activation, kept, tf32=True)
    exact = reference.linear_backward(dy, x, weight, activation, kept)
    assert_all_close((dz, dbias), (exact[0], exact[3]), 8e-6)
    assert_close(dx, exact_product(to_tf32(dz), to_tf32(weight)), 8e-6)
    assert_close(dweight, exact_product(to_tf32(dz).T, to_tf32(x)), 8e-6)
    assert not np.array_equal(dx, exact[1]) and not np.array_equal(dweight, exact[2])


def test_tf32_is_refused_where_there_is_none(gpu, reference, rng):
    x, weight, bias, dy = linear_inputs(rng, 4, 5, 6)
    for backend, match in (
        (gpu("T4"), r"TensorFloat-32 needs .* 8\.0 or newer, this one has 7\.5: .*fp16=True"),
        (reference, "TensorFloat-32 is for GPUs: on the CPU train without tf32"),
        (_core.Backend("cpu"), "TensorFloat-32 is for GPUs: on the CPU train without tf32"),
    ):
        with pytest.raises(ValueError, match=match):
            backend.linear_forward(x, weight, bias, tf32=True)
        with pytest.raises(ValueError, match=match):
            backend.linear_backward(dy, x, weight, tf32=True)


@pytest.mark.parametrize("rows", [24, 200])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_linear_adds_to_gradients(cuda, reference, rng, precision, rows):
    x, weight, _, dy = linear_inputs(rng, rows, 136, 144)
    if precision != "float32":
        x, weight, dy = (to_bits(precision, operand) for operand in (x, weight, dy))
    into, dx = (normal(rng, 144, 136), normal(rng, 144)), normal(rng, rows, 136)
    options = {"add_to_dx": dx, "accumulate": True, "into": into}
    got = cuda.linear_backward(dy, x, weight, **options)
    want = reference.linear_backward(dy, x, weight, **options)
    for g, w in zip(got[1:], want[1:], strict=True):
        assert_close(g, w, 8e-6)


def test_linear_overwrites_gradients_without_reading_them(cuda, rng):
    x, weight, _, dy = linear_inputs(rng, 140, 40, 56)
    nan = (np.full((56, 40), np.nan, np.float32), np.full(56, np.nan, np.float32))
    got = cuda.linear_backward(dy, x, weight, into=nan)
    assert_all_close(got, cuda.linear_backward(dy, x, weight), 0)


def test_linear_without_dx_and_without_what_backward_needs(cuda, rng):
    x, weight, bias, dy = linear_inputs(rng, 40, 32, 48)
    assert cuda.linear_backward(dy, x, weight, want_dx=False)[1] is None
    kept = cuda.linear_forward(x, weight, bias, "gelu")
    lost = cuda.linear_forward(x, weight, bias, "gelu", keep=False)
    assert lost[1] is None
    np.testing.assert_array_equal(lost[0], kept[0])


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_linear_of_no_rows_has_zero_gradients(cuda, dtype):
    x, weight = np.zeros((0, 8), dtype), np.ones((4, 8)).astype(dtype)
    y, _ = cuda.linear_forward(x, weight, np.ones(4, np.float32))
    assert y.shape == (0, 4)
    into = (np.ones((4, 8), np.float32), np.ones(4, np.float32))
    _, dx, *zeros = cuda.linear_backward(y, x, weight, into=into)
    assert dx.shape == (0, 8)
    assert not any(gradient.any() for gradient in zeros)
    _, _, *kept = cuda.linear_backward(y, x, weight, accumulate=True, into=into)
    assert_all_close(kept, into, 0)


class DzArguments(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("dy", "kept", "partials", "layout")],
        *[(name, ctypes.c_int) for name in ("rows", "columns", "chunk_rows", "activation")],
        *[(name, ctypes.c_int) for name in ("vector", "unused")],
    ]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("columns", [40, 7])
def test_rows_behind_the_tokens_become_zeros_unread(rng, columns, order):
    rows, tokens, chunk_rows = 70, 37, 20
    dy = normal(rng, rows, columns)
    dy[tokens:] = np.nan
    dz, partials = device_array(dy), device_array(np.full((4, columns), np.nan, np.float32))
    layout = device_array(np.int32([3, tokens, rows, 20]))
    vector = columns % 4 == 0
    arguments = DzArguments(
        *map(pointer, (dz, None, partials, layout)), rows, columns, chunk_rows, 0, vector, 0
    )
    run_kernel("linear_dz", "float32", (1, 4), (32, 8), 0, arguments, order)
    np.testing.assert_array_equal(dz[:tokens], dy[:tokens])
    assert not dz[tokens:].any()
    for chunk, part in enumerate(partials):
        own = dy[chunk * chunk_rows : min(tokens, (chunk + 1) * chunk_rows)]
        assert_close(part, own.sum(0), 1e-6)


@pytest.mark.parametrize("rows,width,out", [(40, 768, 96), (130, 640, 132)])
def test_the_order_of_threads_does_not_change_a_bit(gpu, rng, rows, width, out):
    x, weight, bias, dy = linear_inputs(rng, rows, width, out)
    results = []
    for order in ORDERS:
        cuda = gpu("A100", order)
        results.append(
            (*cuda.linear_forward(x, weight, bias), *cuda.linear_backward(dy, x, weight))
        )
    assert_all_close(*results, 0)
