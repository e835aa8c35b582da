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


@pytest.fixture(params=[np.float16, np.float32])
def inputs(rng, request):
    """x, weight, bias and dy."""
    x, weight, bias, dy = linear_inputs(rng, 24, 136, 40)
    x, weight, dy = (operand.astype(request.param) for operand in (x, weight, dy))
    return x, weight, bias, dy


@pytest.fixture(autouse=True)
def nothing_is_left(mock_cublaslt):
    gc.collect()
    before = mock_cublaslt.alive("object"), mock_cublaslt.alive("handle")
    yield
    gc.collect()
    assert (mock_cublaslt.alive("object"), mock_cublaslt.alive("handle")) == before


def forward_and_backward(cuda, inputs, **options):
    x, weight, bias, dy = inputs
    y, z = cuda.linear_forward(x, weight, bias, "gelu", **options)
    return y, z, *cuda.linear_backward(dy, x, weight, "gelu", z, **options)


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


def test_an_algorithm_is_for_operands_that_are_rounded_or_not(gpu, mock_cublaslt, inputs):
    cuda, is_float32 = gpu(), inputs[0].dtype == np.float32
    exact = forward_and_backward(cuda, inputs)
    rounded = forward_and_backward(cuda, inputs, tf32=True)
    again = forward_and_backward(cuda, inputs)
    assert mock_cublaslt.calls("cublasLtMatmulAlgoGetHeuristic") == (6 if is_float32 else 3)
    assert mock_cublaslt.matmuls(tf32=True) == (3 if is_float32 else 0)
    for one, other, third in zip(exact, rounded, again, strict=True):
        assert np.array_equal(one, other) == (not is_float32)
        np.testing.assert_array_equal(one, third)


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
    cuda, name = gpu(), str(inputs[0].dtype)
    for tf32 in (False, name == "float32"):
        mock_cublaslt.fail("cublasLtMatmulAlgoGetHeuristic", NOT_SUPPORTED)
        product = r"an algorithm for \[24, 136\] times \[136, 40\]"
        types = f"in {'TensorFloat-32' if tf32 else name}, into {name} with bias"
        why = "CUBLAS_STATUS_NOT_SUPPORTED .*; train in another precision"
        with pytest.raises(RuntimeError, match=f"{product} {types}: {why}"):
            forward_and_backward(cuda, inputs, tf32=tf32)


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
