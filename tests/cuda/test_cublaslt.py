"""Products by the mock cuBLASLt: what the backend asks of it, and what becomes of its failures."""

import gc

import numpy as np
import pytest
from operations_support import linear_inputs, normal

FUNCTIONS = [
    *["cublasLtMatmulDescCreate", "cublasLtMatmulDescSetAttribute"],
    *["cublasLtMatrixLayoutCreate", "cublasLtMatmulPreferenceCreate"],
    *["cublasLtMatmulPreferenceSetAttribute", "cublasLtMatmulAlgoGetHeuristic", "cublasLtMatmul"],
]
NONE_OR_COMPUTE_TYPE = 2  # of cublasLtReductionScheme_t
NOT_INITIALIZED, ALLOC_FAILED, ARCH_MISMATCH, EXECUTION_FAILED, NOT_SUPPORTED = 1, 3, 8, 13, 15


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def inputs(rng):
    """x, weight, bias and dy, of float16."""
    x, weight, bias, dy = linear_inputs(rng, 24, 136, 40)
    return x.astype(np.float16), weight.astype(np.float16), bias, dy.astype(np.float16)


@pytest.fixture(autouse=True)
def nothing_is_left(mock_cublaslt):
    gc.collect()
    before = mock_cublaslt.alive("object"), mock_cublaslt.alive("handle")
    yield
    gc.collect()
    assert (mock_cublaslt.alive("object"), mock_cublaslt.alive("handle")) == before


def forward_and_backward(cuda, inputs):
    x, weight, bias, dy = inputs
    y, z = cuda.linear_forward(x, weight, bias, "gelu")
    return y, z, *cuda.linear_backward(dy, x, weight, "gelu", z)


def test_an_algorithm_is_chosen_once_a_shape(gpu, mock_cublaslt, inputs):
    cuda = gpu()
    first = forward_and_backward(cuda, inputs)
    assert mock_cublaslt.calls("cublasLtMatmul") == 3
    assert mock_cublaslt.calls("cublasLtMatmulAlgoGetHeuristic") == 3
    second = forward_and_backward(cuda, inputs)
    assert mock_cublaslt.calls("cublasLtMatmul") == 6
    assert mock_cublaslt.calls("cublasLtMatmulAlgoGetHeuristic") == 3
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sums_are_in_an_order_that_is_always_the_same(gpu, mock_cublaslt, inputs):
    """Not in the order in which blocks are done, and not of parts that were rounded."""
    forward_and_backward(gpu(), inputs)
    assert mock_cublaslt.schemes() == NONE_OR_COMPUTE_TYPE


def test_gradients_are_added_to_without_another_kernel(gpu, mock_driver, inputs, rng):
    cuda = gpu()
    x, weight, _, dy = inputs
    into = normal(rng, 40, 136), normal(rng, 40)
    _, dx, dweight, _ = cuda.linear_backward(dy, x, weight, float32_dx=True)
    options = {"accumulate": True, "into": into, "add_to_dx": np.ones_like(dx)}
    _, sum_dx, sum_dweight, _ = cuda.linear_backward(dy, x, weight, **options)
    np.testing.assert_array_equal(sum_dx, dx + 1)
    np.testing.assert_array_equal(sum_dweight, dweight + into[0])
    assert mock_driver.launches("ft_scale_add_f32") == 0


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_call_that_fails_is_said_and_the_backend_goes_on(gpu, mock_cublaslt, inputs, function):
    wanted = forward_and_backward(gpu(), inputs)
    calls = mock_cublaslt.calls(function)
    assert calls
    for nth in range(1, calls + 1):
        cuda = gpu()
        mock_cublaslt.fail(function, EXECUTION_FAILED, nth)
        with pytest.raises(RuntimeError, match="cuBLASLt 13.0.1, .*: CUBLAS_STATUS_EXECUTION"):
            forward_and_backward(cuda, inputs)
        for got, want in zip(forward_and_backward(cuda, inputs), wanted, strict=True):
            np.testing.assert_array_equal(got, want)


def test_a_product_that_cublaslt_has_not_is_named(gpu, mock_cublaslt, inputs):
    cuda = gpu()
    mock_cublaslt.fail("cublasLtMatmulAlgoGetHeuristic", NOT_SUPPORTED)
    with pytest.raises(
        RuntimeError,
        match=r"an algorithm for \[24, 136\] times \[136, 40\] in float16, into float16 with bias: "
        "CUBLAS_STATUS_NOT_SUPPORTED .*; train in another precision",
    ):
        forward_and_backward(cuda, inputs)


@pytest.mark.parametrize(
    ("status", "error", "match"),
    [
        (NOT_INITIALIZED, RuntimeError, "starting on this GPU: .*driver new enough"),
        (ALLOC_FAILED, MemoryError, "smaller batches"),
        (ARCH_MISMATCH, RuntimeError, "newer nvidia-cublas"),
    ],
)
def test_it_may_not_start(gpu, mock_cublaslt, status, error, match):
    mock_cublaslt.fail("cublasLtCreate", status)
    with pytest.raises(error, match=f"backend 'cuda:0': .*{match}"):
        gpu()
