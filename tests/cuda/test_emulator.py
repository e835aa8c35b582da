"""The emulator of CUDA kernels shows what it is there to show."""

import ctypes

import numpy as np
import pytest
from cuda_support import ORDERS, KernelError, device_array, kernels_of, unsanitized

ARGUMENTS = "struct arguments { float *x; unsigned *y; int n, unused; };"


class Arguments(ctypes.Structure):
    _fields_ = [
        ("x", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
        ("n", ctypes.c_int),
        ("unused", ctypes.c_int),
    ]


@pytest.fixture
def launch(tmp_path):
    """launch(body): compiles a kernel of that body, and runs it on 1024 zeros x and y."""

    def run(body, *, grid=1, block=64, shared=0, order="ascending", bounds=1024, n=0, before=""):
        source = tmp_path / "kernel.cu"
        source.write_text(
            f'#include "common.cuh"\n{ARGUMENTS}\n{before}\n'
            f"FT_KERNEL(tried, {bounds})(const arguments a)\n{{\n{body}\n}}\n"
        )
        kernels_of.cache_clear()
        kernels = kernels_of(source, ("tried",), precisions=("f32",))
        x, y = device_array(np.zeros(1024, np.float32)), device_array(np.zeros(1024, np.uint32))
        arguments = Arguments(x.ctypes.data, y.ctypes.data, n, 0)
        kernels.run("ft_tried_f32", grid, block, shared, arguments, order)
        return x, y

    return run


@pytest.mark.parametrize("order", ORDERS)
def test_threads_know_where_they_are(launch, order):
    _, y = launch(
        "unsigned t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);"
        "unsigned b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);"
        "a.y[b * blockDim.x * blockDim.y * blockDim.z + t] = 1000 * b + t;",
        grid=(2, 3, 2),
        block=(5, 3, 2),
        order=order,
    )
    assert list(y[:360]) == [1000 * b + t for b in range(12) for t in range(30)]


@pytest.mark.parametrize("order", ORDERS)
def test_shuffles_and_ballots(launch, order):
    _, y = launch(
        "unsigned lane = threadIdx.x % 32, *y = a.y + threadIdx.x;"
        "y[0] = __shfl_sync(~0u, lane, 35);"
        "y[64] = __shfl_xor_sync(~0u, lane, 16);"
        "y[128] = __shfl_up_sync(~0u, lane, 3);"
        "y[192] = __shfl_down_sync(~0u, lane, 3);"
        "y[256] = __ballot_sync(~0u, threadIdx.x % 3 == 0);"
        "y[320] = __shfl_sync(~0u, lane, 1, 8);"
        "y[384] = __shfl_down_sync(~0u, lane, 3, 8);"
        "if (lane >= 16) y[448] = __shfl_xor_sync(0xFFFF0000u, lane, 1);"
        "double d = __shfl_sync(~0u, lane + 0.5, 7); y[512] = d == 7.5;"
        "y[576] = (unsigned)ft_warp_sum(lane);",
        order=order,
    )
    lane = np.arange(32)
    expected = [
        np.full(32, 3),
        lane ^ 16,
        np.where(lane >= 3, lane - 3, lane),
        np.where(lane < 29, lane + 3, lane),
        None,
        lane // 8 * 8 + 1,
        np.where(lane % 8 < 5, lane + 3, lane),
        np.where(lane >= 16, lane ^ 1, 0),
        np.ones(32),
        np.full(32, 496),
    ]
    for i, one in enumerate(expected):
        if one is not None:
            assert (y[64 * i : 64 * i + 64].reshape(2, 32) == one).all()
    assert set(y[256:288]) == {sum(1 << i for i in range(32) if i % 3 == 0)}
    assert set(y[288:320]) == {sum(1 << i for i in range(32) if (i + 32) % 3 == 0)}


SHIFT = "__shared__ float s[256]; s[threadIdx.x] = threadIdx.x + 1; {barrier} "


@pytest.mark.parametrize("neighbour", ["(threadIdx.x + 1) % 256", "(threadIdx.x + 255) % 256"])
def test_a_missing_barrier_shows_under_one_of_the_orders(launch, neighbour):
    read = f"a.x[threadIdx.x] = s[{neighbour}];"
    right = {}
    for barrier in ("__syncthreads();", "__syncwarp();", ""):
        for order in ORDERS:
            x, _ = launch(SHIFT.format(barrier=barrier) + read, block=256, order=order)
            right[barrier, order] = sorted(x[:256]) == list(range(1, 257))
    assert right["__syncthreads();", "ascending"] and right["__syncthreads();", "descending"]
    assert not (right["__syncwarp();", "ascending"] and right["__syncwarp();", "descending"])
    assert not (right["", "ascending"] and right["", "descending"])


def test_a_barrier_missing_before_shared_memory_is_used_again_shows(launch):
    body = (
        "__shared__ float part[8]; float total = 0;"
        "for (int i = 0; i < 2; i++) {{"
        "  float sum = ft_warp_sum(i + 1.0f);"
        "  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;"
        "  __syncthreads();"
        "  for (int w = 0; w < 8; w++) total += part[w];"
        "  {barrier}"
        "}}"
        "a.x[threadIdx.x] = total;"
    )
    for barrier, right in (("__syncthreads();", True), ("", False)):
        x, _ = launch(body.format(barrier=barrier), block=256)
        assert (set(x[:256]) == {768.0}) == right


@pytest.mark.parametrize("template", [False, True])
def test_static_shared_memory_is_poisoned_before_each_block(launch, template):
    before = (
        f"{'template <int N>' if template else ''} __device__ inline float old(float next)"
        f"{{ __shared__ float s[{'N' if template else '4'}]; float x = s[threadIdx.x];"
        "s[threadIdx.x] = next; return x; }"
    )
    call = "old<4>" if template else "old"
    x, _ = launch(f"a.x[blockIdx.x * 4 + threadIdx.x] = {call}(1);", grid=3, block=4, before=before)
    assert np.isnan(x[:12]).all()


def test_dynamic_shared_memory_is_poisoned_before_each_block(launch):
    x, _ = launch(
        "FT_DYNAMIC_SHARED(float, s); a.x[blockIdx.x * 4 + threadIdx.x] = s[threadIdx.x];"
        "s[threadIdx.x] = 1;",
        grid=3,
        block=4,
        shared=16,
    )
    assert np.isnan(x[:12]).all()


@unsanitized
def test_writing_behind_dynamic_shared_memory_is_reported(launch):
    with pytest.raises(KernelError, match=r"written behind its 16 bytes .* at 16"):
        launch("FT_DYNAMIC_SHARED(float, s); s[threadIdx.x] = 1;", block=5, shared=16)


def test_threads_that_exited_before_a_barrier_are_reported(launch):
    with pytest.raises(KernelError, match=r"kernel.cu:\d+ in __syncthreads"):
        launch("if (threadIdx.x == 40) return; __syncthreads();")


def test_threads_at_different_barriers_are_reported(launch):
    with pytest.raises(KernelError, match="1 wait at kernel.cu:7 .* 63 wait at kernel.cu:9"):
        launch("if (threadIdx.x == 40) {\n__syncthreads();\n} else {\n__syncthreads();\n}")
    with pytest.raises(KernelError, match="cannot go on: .*__syncthreads"):
        launch("if (threadIdx.x == 40)\n__syncwarp();\nelse\n__syncthreads();")


def test_a_lane_outside_its_own_mask_is_reported(launch):
    with pytest.raises(KernelError, match=r"thread \(31, 0, 0\).* do not hold its own, 31"):
        launch("__shfl_xor_sync(0x7FFFFFFFu, 1.0f, 1);")


def test_lanes_that_never_come_are_reported(launch):
    with pytest.raises(KernelError, match="32 wait at kernel.cu:.* of the lanes ffffffff"):
        launch(
            "if (threadIdx.x % 32 < 16)\n__shfl_sync(~0u, 1.0f, 0);\nelse\n__syncwarp(0xFFFF0000u);"
            "\n__syncthreads();"
        )


def test_different_operations_of_one_mask_are_reported(launch):
    with pytest.raises(KernelError, match="another lane of its warp"):
        launch("if (threadIdx.x % 2)\n__syncwarp();\nelse\n__ballot_sync(~0u, 1);")


def test_reading_a_lane_that_takes_no_part_is_reported(launch):
    with pytest.raises(KernelError, match="reads lane 16, which takes no part"):
        launch("__shfl_xor_sync(~0u, 1.0f, 16);", block=16)


def test_impossible_launches_are_reported(launch):
    with pytest.raises(KernelError, match="1024 are the most"):
        launch("", block=1056)
    with pytest.raises(KernelError, match="launch bounds are 128"):
        launch("", block=160, bounds=128)
    with pytest.raises(KernelError, match="is larger than"):
        launch("", grid=(1, 65536))
    with pytest.raises(KernelError, match="is empty"):
        launch("", grid=0)


def test_what_follows_an_error_is_as_if_it_had_not_been(launch):
    with pytest.raises(KernelError):
        launch("if (threadIdx.x == 40) return; __syncthreads();")
    x, _ = launch("a.x[threadIdx.x] = ft_warp_sum(1);", block=1024)
    assert (x == 32).all()


@unsanitized
def test_invalid_memory_is_reported(launch):
    with pytest.raises(KernelError, match=r"block \(1, 0, 0\), thread \(3, 0, 0\).*address 0x10"):
        launch("if (blockIdx.x == 1 && threadIdx.x == 3) *(volatile float *)16 = 1;", grid=2)


def test_atomics_of_floats_do_not_compile(launch):
    with pytest.raises(RuntimeError, match="the order of a sum of floats must be fixed"):
        launch("atomicAdd(a.x, 1.0f);")
    _, y = launch("atomicAdd(a.y, 2u); atomicMax(a.y + 1, threadIdx.x);")
    assert list(y[:2]) == [128, 63]
