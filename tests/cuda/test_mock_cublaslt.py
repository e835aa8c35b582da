"""The mock cuBLASLt computes matmuls, and holds a caller to what NVIDIA's documentation asks."""

import ctypes
import gc
import re

import numpy as np
import pytest
from cuda_support import build, device_array

API = (build.CSRC / "backend/cuda/cublaslt/cublaslt_api.h").read_text()
C = {name: int(value) for name, value in re.findall(r"\b(CU[A-Z]\w+) = (\d+)", API)}
HALF, BFLOAT16, FLOAT = C["CUDA_R_16F"], C["CUDA_R_16BF"], C["CUDA_R_32F"]
BIAS, DEFAULT = C["CUBLASLT_EPILOGUE_BIAS"], C["CUBLASLT_EPILOGUE_DEFAULT"]
# What is computed and scaled in.
EXACT, TF32 = (C["CUBLAS_COMPUTE_32F"], FLOAT), (C["CUBLAS_COMPUTE_32F_FAST_TF32"], FLOAT)
M, N, K = 24, 5, 136
WORKSPACE = 32 << 20


class Choice(ctypes.Structure):
    _fields_ = [
        *[("algorithm", ctypes.c_uint64 * 8), ("workspace", ctypes.c_size_t)],
        *[("state", ctypes.c_int), ("waves", ctypes.c_float), ("reserved", ctypes.c_int * 4)],
    ]


class Blas:
    """One handle, and the objects that were made for it."""

    def __init__(self, mock):
        self.mock, self.owned = mock, []
        self.handle = self.create("cublasLtCreate", "cublasLtDestroy")

    def call(self, function, *arguments):
        status = getattr(self.mock.library, function)(*arguments)
        if status:
            raise RuntimeError(f"{status}: {self.mock.message()}")

    def create(self, function, destructor, *arguments):
        made = ctypes.c_void_p()
        self.call(function, ctypes.byref(made), *arguments)
        self.owned.append((destructor, made))
        return made

    def set(self, function, target, name, value):
        self.call(
            function, target, C[name], ctypes.byref(value), ctypes.c_size_t(len(bytes(value)))
        )

    def layout(self, kind, rows, columns, leading=None):
        sizes = ctypes.c_uint64(rows), ctypes.c_uint64(columns), ctypes.c_int64(leading or rows)
        kinds = "cublasLtMatrixLayoutCreate", "cublasLtMatrixLayoutDestroy"
        return self.create(*kinds, kind, *sizes)

    def operation(self, epilogue=DEFAULT, bias=None, transposed=(0, 0), types=EXACT):
        kinds = "cublasLtMatmulDescCreate", "cublasLtMatmulDescDestroy"
        made = self.create(*kinds, *types)
        attributes = {
            "TRANSA": ctypes.c_int32(transposed[0]),
            "TRANSB": ctypes.c_int32(transposed[1]),
        }
        attributes |= {"EPILOGUE": ctypes.c_uint32(epilogue)}
        if bias is not None:
            attributes["BIAS_POINTER"] = ctypes.c_void_p(bias)
        for name, value in attributes.items():
            self.set("cublasLtMatmulDescSetAttribute", made, f"CUBLASLT_MATMUL_DESC_{name}", value)
        return made

    def choose(self, operation, a, b, c, d, alignment=16, workspace=WORKSPACE):
        kinds = "cublasLtMatmulPreferenceCreate", "cublasLtMatmulPreferenceDestroy"
        made = self.create(*kinds)
        wishes = {f"MIN_ALIGNMENT_{x}_BYTES": ctypes.c_uint32(alignment) for x in "ABCD"}
        wishes["MAX_WORKSPACE_BYTES"] = ctypes.c_uint64(workspace)
        for name, value in wishes.items():
            kind = "cublasLtMatmulPreferenceSetAttribute"
            self.set(kind, made, f"CUBLASLT_MATMUL_PREF_{name}", value)
        choice, found = Choice(), ctypes.c_int()
        self.call(
            *["cublasLtMatmulAlgoGetHeuristic", self.handle, operation, a, b, c, d, made, 1],
            *[ctypes.byref(choice), ctypes.byref(found)],
        )
        assert found.value == 1
        return choice

    def run(self, operation, layouts, pointers, choice, beta=0.0, workspace=None, room=None):
        a, b, c, d = layouts
        at_a, at_b, at_c, at_d = (ctypes.c_void_p(p) for p in pointers)
        scales = ctypes.c_float(1), ctypes.c_float(beta)
        room = choice.workspace if room is None else room
        self.call(
            *["cublasLtMatmul", self.handle, operation, ctypes.byref(scales[0]), at_a, a, at_b, b],
            *[ctypes.byref(scales[1]), at_c, c, at_d, d, choice.algorithm],
            *[ctypes.c_void_p(workspace), ctypes.c_size_t(room), None],
        )

    def end(self):
        for destructor, made in reversed(self.owned):
            self.call(destructor, made)


@pytest.fixture
def blas(mock_cublaslt):
    gc.collect()  # backends of other tests
    before = mock_cublaslt.alive("object"), mock_cublaslt.alive("handle")
    blas = Blas(mock_cublaslt)
    yield blas
    blas.end()
    assert (mock_cublaslt.alive("object"), mock_cublaslt.alive("handle")) == before


def column_major(x):
    return device_array(np.ascontiguousarray(x.T))


class Matmul:
    """D = A B of halves, [M, K] times [K, N], and all that cublasLtMatmul is given for it."""

    def __init__(self, blas, epilogue=DEFAULT):
        rng = np.random.default_rng(1)
        self.blas = blas
        self.a, self.b = rng.standard_normal((M, K)), rng.standard_normal((K, N))
        self.a, self.b = self.a.astype(np.float16), self.b.astype(np.float16)
        self.bias = device_array(rng.standard_normal(M).astype(np.float16))
        self.memory = [column_major(self.a), column_major(self.b)]
        self.d = device_array(np.ones((N, M), np.float32 if epilogue == DEFAULT else np.float16))
        self.workspace = device_array(np.zeros(8192, np.uint8))
        kind = FLOAT if epilogue == DEFAULT else HALF
        self.operation = blas.operation(epilogue, self.bias.ctypes.data)
        out = blas.layout(kind, M, N)
        self.layouts = [blas.layout(HALF, M, K), blas.layout(HALF, K, N), out, out]
        self.choice = blas.choose(self.operation, *self.layouts)
        self.pointers = [x.ctypes.data for x in (*self.memory, self.d, self.d)]

    def run(self, **options):
        options = {"workspace": self.workspace.ctypes.data} | options
        pointers = options.pop("pointers", self.pointers)
        self.blas.run(self.operation, self.layouts, pointers, self.choice, **options)
        return self.d.T.astype(np.float64)


def test_a_matmul(blas):
    matmul = Matmul(blas)
    product = matmul.a.astype(np.float64) @ matmul.b.astype(np.float64)
    np.testing.assert_allclose(matmul.run(), product, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(matmul.run(beta=2.0), 3 * product, rtol=1e-5, atol=1e-4)
    assert (matmul.workspace == 0xFF).all()


def test_a_bias_is_added_to_each_column(blas):
    matmul = Matmul(blas, BIAS)
    product = matmul.a.astype(np.float64) @ matmul.b.astype(np.float64)
    np.testing.assert_allclose(matmul.run(), product + matmul.bias[:, None], rtol=1e-3, atol=0.02)


@pytest.mark.parametrize("transposed", [(0, 1), (1, 0), (1, 1)])
def test_operands_may_lie_transposed(blas, transposed):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((M, 16)), rng.standard_normal((16, N))
    stored = [(x.T if t else x).astype(np.float16) for x, t in zip((a, b), transposed, strict=True)]
    memory = [column_major(x) for x in stored]
    d = device_array(np.zeros((N, M), np.float32))
    out = blas.layout(FLOAT, M, N)
    layouts = [*(blas.layout(HALF, *x.shape) for x in stored), out, out]
    operation = blas.operation(transposed=transposed)
    choice = blas.choose(operation, *layouts)
    blas.run(operation, layouts, [x.ctypes.data for x in (*memory, d, d)], choice)
    a, b = (x.astype(np.float16).astype(np.float64) for x in (a, b))
    np.testing.assert_allclose(d.T, a @ b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("types", [EXACT, TF32])
def test_operands_of_float32_are_rounded_where_that_is_asked_for(blas, types):
    # TensorFloat-32 has 10 bits behind the point; what lies between two is rounded away from zero.
    a = np.array([[1 + 2**-11, -1 - 2**-11, 1 + 2**-12, 1 + 2**-10, np.inf]], np.float32).T
    rounded = [1 + 2**-10, -1 - 2**-10, 1, 1 + 2**-10, np.inf]
    memory = [column_major(a), column_major(np.ones((1, 1), np.float32))]
    d = device_array(np.zeros((1, 5), np.float32))
    out = blas.layout(FLOAT, 5, 1)
    layouts = [out, blas.layout(FLOAT, 1, 1), out, out]
    operation = blas.operation(types=types)
    choice = blas.choose(operation, *layouts)
    blas.run(operation, layouts, [x.ctypes.data for x in (*memory, d, d)], choice)
    np.testing.assert_array_equal(d[0], rounded if types == TF32 else a[:, 0])


@pytest.mark.parametrize(
    ("types", "kind"), [(TF32, HALF), (TF32, BFLOAT16), ((EXACT[0], HALF), HALF)]
)
def test_what_is_not_computed_together(blas, types, kind):
    out = blas.layout(FLOAT, M, N)
    layouts = [blas.layout(kind, M, K), blas.layout(kind, K, N), out, out]
    with pytest.raises(RuntimeError, match=rf"15: types .*as {types[0]}, scaled in {types[1]}"):
        blas.choose(blas.operation(types=types), *layouts)


def test_what_was_promised_is_held_to(blas):
    matmul = Matmul(blas)
    pointers = matmul.pointers
    with pytest.raises(RuntimeError, match="matrix A lies at .* aligned to 16 bytes"):
        matmul.run(pointers=[pointers[0] + 2, *pointers[1:]])
    with pytest.raises(RuntimeError, match="D lies over A"):
        matmul.run(pointers=[pointers[3], *pointers[1:]])
    with pytest.raises(RuntimeError, match="a workspace of 16 bytes, not 8192"):
        matmul.run(room=16)
    with pytest.raises(RuntimeError, match="the workspace lies at"):
        matmul.run(workspace=None)
    matmul.choice.algorithm[0] = 0
    with pytest.raises(RuntimeError, match="an algorithm that no heuristic named"):
        matmul.run()


def test_an_algorithm_is_for_what_it_was_chosen_for(blas):
    matmul = Matmul(blas)
    matmul.operation = blas.operation(BIAS, matmul.bias.ctypes.data)
    with pytest.raises(RuntimeError, match="chosen for something else"):
        matmul.run()
    matmul.operation = blas.operation(types=TF32)
    with pytest.raises(RuntimeError, match="chosen for something else"):
        matmul.run()
    matmul = Matmul(blas, BIAS)
    name = "CUBLASLT_MATMUL_DESC_BIAS_POINTER"
    unaligned = ctypes.c_void_p(matmul.bias.ctypes.data + 2)
    blas.set("cublasLtMatmulDescSetAttribute", matmul.operation, name, unaligned)
    with pytest.raises(RuntimeError, match="the bias lies at .* aligned to 256 bytes"):
        matmul.run()


@pytest.mark.parametrize(
    ("kinds", "sizes", "match"),
    [
        ((HALF, BFLOAT16, FLOAT, FLOAT), (M, K, N), "15: types"),
        ((HALF, HALF, BFLOAT16, BFLOAT16), (M, K, N), "15: types"),
        ((HALF, HALF, HALF, FLOAT), (M, K, N), "C and D have not the same layout"),
        ((HALF, HALF, FLOAT, FLOAT), (M, K + 1, N), "A has an inner size of 136, B of 137"),
        ((HALF, HALF, FLOAT, FLOAT), (M, K, N + 1), r"D is \[24, 5\], not \[24, 6\]"),
    ],
)
def test_what_there_is_no_algorithm_for(blas, kinds, sizes, match):
    m, inner, n = sizes
    shapes = [(m, K), (inner, n), (M, N), (M, N)]
    layouts = [blas.layout(kind, *shape) for kind, shape in zip(kinds, shapes, strict=True)]
    with pytest.raises(RuntimeError, match=match):
        blas.choose(blas.operation(), *layouts)


def test_a_bias_must_be_known_to_the_heuristic(blas):
    out = blas.layout(HALF, M, N)
    layouts = [blas.layout(HALF, M, K), blas.layout(HALF, K, N), out, out]
    with pytest.raises(RuntimeError, match="a bias, but not where it is"):
        blas.choose(blas.operation(BIAS), *layouts)


def test_a_column_is_at_least_as_long_as_its_rows(blas):
    with pytest.raises(RuntimeError, match="columns of 24 rows are 23 apart"):
        blas.layout(HALF, M, N, M - 1)
