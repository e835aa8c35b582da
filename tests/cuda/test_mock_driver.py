"""The mock driver does what NVIDIA's does, as far as the backend can see, and refuses what NVIDIA's
refuses."""

import ctypes
import threading
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint64, c_void_p

import numpy as np
import pytest
from cuda_support import MockDriver, build, need_compiler, unsanitized

KERNELS = """#include "common.cuh"
struct arguments { float *x; float add; int n; };
FT_KERNEL(add, 256)(const arguments a)
{
    FT_DYNAMIC_SHARED(float, s);
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    s[threadIdx.x] = a.add;
    if (i < a.n) a.x[i] += s[threadIdx.x];
}
FT_KERNEL(broken, 256)(const arguments a)
{
    if (threadIdx.x == 0) return;
    __syncthreads();
}
"""
INVALID_VALUE, OUT_OF_MEMORY, NO_DEVICE, INVALID_CONTEXT, NO_BINARY = 1, 2, 100, 201, 209
INVALID_HANDLE, ILLEGAL_STATE, NOT_FOUND, LAUNCH_FAILED = 400, 401, 500, 719
UNSUPPORTED, INVALIDATED, IMPLICIT = 900, 901, 906
GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2


class Arguments(ctypes.Structure):
    _fields_ = [("x", c_uint64), ("add", ctypes.c_float), ("n", c_int)]


class Cuda:
    """The driver's functions: those that give something return it, or raise the error's code."""

    def __init__(self, library):
        self.library = library

    def call(self, name, *arguments):
        return getattr(self.library, name)(*arguments)

    def get(self, kind, name, *arguments):
        out = kind()
        code = self.call(name, byref(out), *arguments)
        if code:
            raise RuntimeError(code)
        return out

    def array(self, values):
        values = np.ascontiguousarray(values, np.float32)
        address = self.get(c_uint64, "cuMemAlloc_v2", c_size_t(values.nbytes)).value
        data = values.ctypes.data_as(c_void_p)
        assert not self.call("cuMemcpyHtoD_v2", c_uint64(address), data, c_size_t(values.nbytes))
        return address

    def read(self, address, count):
        out = np.zeros(count, np.float32)
        data = out.ctypes.data_as(c_void_p)
        code = self.call("cuMemcpyDtoH_v2", data, c_uint64(address), c_size_t(4 * count))
        return code or out.tolist()

    def launch(self, function, address, add, n=4, stream=None, shared=1024, block=256, grid=1):
        arguments = Arguments(address, add, n)
        parameters = (c_void_p * 1)(ctypes.addressof(arguments))
        shape = [grid, 1, 1, block, 1, 1, shared]
        return self.call("cuLaunchKernel", function, *shape, stream, parameters, None)

    def stream(self, flags=0):
        return self.get(c_void_p, "cuStreamCreate", flags)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    need_compiler()
    source = tmp_path_factory.mktemp("kernels") / "kernels.cu"
    source.write_text(KERNELS)
    # Of a name that nobody asks for: the tests that follow want the one with ftcore's kernels.
    kernels = {source: ["add", "broken"]}
    driver = MockDriver(build.driver_of("libcuda_of_test.so", kernels, ("f32",)))
    assert driver.library.cuInit(0) == NO_DEVICE
    return driver


@pytest.fixture
def mock(library):
    library.reset()
    library.set_device("A100")
    before = {k: library.alive(k) for k in ("memory", "stream", "graph", "executable")}
    yield library
    library.reset()
    for kind, count in before.items():
        assert library.alive(kind) == count, kind


@pytest.fixture
def cuda(mock):
    """With a current context."""
    cuda = Cuda(mock.library)
    assert cuda.call("cuInit", 0) == 0
    context = cuda.get(c_void_p, "cuDevicePrimaryCtxRetain", 0)
    assert cuda.call("cuCtxPushCurrent_v2", context) == 0
    cuda.context = context
    yield cuda
    assert cuda.call("cuCtxPopCurrent_v2", None) == 0
    assert cuda.call("cuDevicePrimaryCtxRelease_v2", 0) == 0


@pytest.fixture
def add(cuda):
    module = cuda.get(
        c_void_p, "cuModuleLoadData", b"mock image for sm_80\nft_add_f32 ft_broken_f32"
    )
    cuda.module = module
    yield cuda.get(c_void_p, "cuModuleGetFunction", module, b"ft_add_f32")
    cuda.call("cuModuleUnload", module)


@pytest.fixture
def x(cuda):
    address = cuda.array([1, 2, 3, 4])
    yield address
    cuda.call("mock_reset")
    assert cuda.call("cuMemFree_v2", c_uint64(address)) == 0


def test_devices(mock):
    cuda = Cuda(mock.library)
    cuda.call("cuInit", 0)
    for name, capability, shared in (("T4", (7, 5), 65536), ("V100", (7, 0), 98304)):
        mock.set_device(name, 2)
        assert cuda.get(c_int, "cuDeviceGetCount").value == 2
        got = [cuda.get(c_int, "cuDeviceGetAttribute", a, 1).value for a in (75, 76, 97)]
        assert got == [*capability, shared]
    with pytest.raises(RuntimeError, match="101"):
        cuda.get(c_int, "cuDeviceGet", 2)


def test_calls_need_a_context_of_their_thread(cuda):
    codes = []
    thread = threading.Thread(
        target=lambda: codes.append(cuda.call("cuMemAlloc_v2", byref(c_uint64()), c_size_t(4)))
    )
    thread.start()
    thread.join()
    assert codes == [INVALID_CONTEXT]
    assert cuda.get(c_void_p, "cuCtxGetCurrent").value == cuda.context.value


def test_memory_is_checked(cuda, mock):
    mock.set_memory(1000)
    address = cuda.get(c_uint64, "cuMemAlloc_v2", c_size_t(600))
    assert address.value % 256 == 0 and mock.allocated() == 600
    assert np.isnan(cuda.read(address.value, 150)).all()
    assert cuda.call("cuMemAlloc_v2", byref(c_uint64()), c_size_t(401)) == OUT_OF_MEMORY
    assert cuda.read(address.value, 151) == INVALID_VALUE
    assert "604 bytes" in mock.message()
    assert cuda.call("cuMemFree_v2", c_uint64(address.value + 4)) == INVALID_VALUE
    assert cuda.call("cuMemFree_v2", address) == 0
    assert cuda.call("cuMemFree_v2", address) == INVALID_VALUE


def test_calls_fail_on_demand(cuda, mock):
    mock.fail("cuMemGetInfo", 999, nth=2)
    codes = [cuda.call("cuMemGetInfo_v2", byref(c_size_t()), byref(c_size_t())) for _ in range(3)]
    assert codes == [0, 999, 0] and mock.calls("cuMemGetInfo_v2") == 3


def test_launches(cuda, add, x, mock):
    assert cuda.launch(add, x, 10, n=3) == 0
    assert cuda.read(x, 4) == [11, 12, 13, 4]
    assert mock.launches() == mock.launches("ft_add_f32") == 1
    assert cuda.launch(add, x, 10, block=512) == INVALID_VALUE
    assert cuda.launch(add, x, 10, shared=50000) == INVALID_VALUE
    assert cuda.call("cuFuncSetAttribute", add, 8, 50000) == 0
    assert cuda.launch(add, x, 10, shared=50000) == 0
    assert cuda.call("cuFuncSetAttribute", add, 8, 200000) == INVALID_VALUE


def test_kernels_are_found_in_the_module_that_holds_them(cuda, add):
    with pytest.raises(RuntimeError, match=str(NOT_FOUND)):
        cuda.get(c_void_p, "cuModuleGetFunction", cuda.module, b"ft_other_f32")
    with pytest.raises(RuntimeError, match=str(NO_BINARY)):
        cuda.get(c_void_p, "cuModuleLoadData", b"mock image for sm_90\n")


def test_what_a_kernel_did_wrong_is_said_and_stays(cuda, add, x, mock):
    broken = cuda.get(c_void_p, "cuModuleGetFunction", cuda.module, b"ft_broken_f32")
    assert cuda.launch(broken, x, 0) == LAUNCH_FAILED
    text = c_char_p()
    cuda.call("cuGetErrorString", LAUNCH_FAILED, byref(text))
    assert b"ft_broken_f32, block (0, 0, 0) cannot go on" in text.value
    assert cuda.launch(add, x, 1) == LAUNCH_FAILED
    mock.reset()
    assert cuda.launch(add, x, 1) == 0


@unsanitized
def test_writing_behind_an_allocation_fails_the_launch(cuda, add, x, mock):
    assert cuda.launch(add, x, 1, n=5) == LAUNCH_FAILED
    assert (
        "ft_add_f32: what lies 0 bytes behind an allocation of 16 bytes was written"
        in mock.message()
    )
    mock.reset()
    assert cuda.launch(add, x, 1) == 0, mock.message()


def test_capture_records_and_graphs_replay(cuda, add, x, mock):
    stream = cuda.stream()
    assert cuda.call("cuStreamBeginCapture_v2", stream, THREAD_LOCAL) == 0
    assert cuda.launch(add, x, 1, stream=stream) == 0
    assert cuda.call("cuMemsetD8Async", c_uint64(x), 0, c_size_t(4), stream) == 0
    graph = c_void_p()
    assert cuda.call("cuStreamEndCapture", stream, byref(graph)) == 0
    assert cuda.read(x, 4) == [1, 2, 3, 4] and mock.launches() == 0 and mock.graph_nodes() == 2
    executable = cuda.get(c_void_p, "cuGraphInstantiateWithFlags", graph, c_uint64(0))
    assert cuda.call("cuGraphDestroy", graph) == 0
    for _ in range(2):
        assert cuda.call("cuGraphLaunch", executable, stream) == 0
    assert cuda.read(x, 4) == [0, 4, 5, 6] and mock.launches() == 2
    assert cuda.call("cuGraphExecDestroy", executable) == 0
    assert cuda.call("cuGraphLaunch", executable, stream) == INVALID_HANDLE
    assert cuda.call("cuStreamDestroy_v2", stream) == 0


@pytest.mark.parametrize(
    ("call", "mode", "code"),
    [
        (lambda c, s: c.call("cuStreamSynchronize", s), THREAD_LOCAL, UNSUPPORTED),
        (lambda c, s: c.call("cuCtxSynchronize"), THREAD_LOCAL, UNSUPPORTED),
        (lambda c, s: c.read(c.x, 1), THREAD_LOCAL, IMPLICIT),
        (lambda c, s: c.call("cuMemAlloc_v2", byref(c_uint64()), c_size_t(4)), GLOBAL, UNSUPPORTED),
        (lambda c, s: c.call("cuStreamBeginCapture_v2", s, RELAXED), RELAXED, ILLEGAL_STATE),
    ],
)
def test_what_must_not_be_done_while_capturing(cuda, x, call, mode, code):
    cuda.x = x
    stream, graph = cuda.stream(), c_void_p()
    assert cuda.call("cuStreamBeginCapture_v2", stream, mode) == 0
    assert call(cuda, stream) == code
    ended = cuda.call("cuStreamEndCapture", stream, byref(graph))
    assert ended == (0 if code == ILLEGAL_STATE else INVALIDATED)
    if graph.value:
        cuda.call("cuGraphDestroy", graph)
    assert cuda.call("cuStreamDestroy_v2", stream) == 0


def test_relaxed_capture_lets_memory_be_allocated(cuda):
    stream, graph = cuda.stream(), c_void_p()
    assert cuda.call("cuStreamBeginCapture_v2", stream, RELAXED) == 0
    address = cuda.get(c_uint64, "cuMemAlloc_v2", c_size_t(4))
    assert cuda.call("cuStreamEndCapture", stream, byref(graph)) == 0
    cuda.call("cuGraphDestroy", graph)
    cuda.call("cuMemFree_v2", address)
    cuda.call("cuStreamDestroy_v2", stream)


def test_lazy_work_waits_until_something_waits_for_it(cuda, add, x, mock):
    stream, event = cuda.stream(), cuda.get(c_void_p, "cuEventCreate", 0)
    host = cuda.get(c_void_p, "cuMemHostAlloc", c_size_t(16), 0)
    pinned = np.ctypeslib.as_array(ctypes.cast(host, ctypes.POINTER(ctypes.c_float)), (4,))
    pageable = np.full(4, 7, np.float32)
    mock.set_lazy()
    # Pinned memory is read when it is the copy's turn, pageable memory before the call returns.
    for source in (pageable, pinned):
        source[:] = 7
        data = source.ctypes.data_as(c_void_p)
        assert not cuda.call("cuMemcpyHtoDAsync_v2", c_uint64(x), data, c_size_t(16), stream)
        cuda.launch(add, x, 1, stream=stream)
        assert not cuda.call("cuEventRecord", event, stream)
        cuda.launch(add, x, 1, stream=stream)
        source[:] = 50
        launched = mock.launches()
        assert not cuda.call("cuEventSynchronize", event)
        assert mock.launches() == launched + 1
        assert cuda.read(x, 4) == ([9] * 4 if source is pageable else [52] * 4)
    for name, handle in (
        ("cuStreamDestroy_v2", stream),
        ("cuEventDestroy_v2", event),
        ("cuMemFreeHost", host),
    ):
        assert cuda.call(name, handle) == 0


def test_a_stream_that_does_not_block_is_not_waited_for(cuda, add, x, mock):
    mock.set_lazy()
    streams = [cuda.stream(flags) for flags in (0, 1)]
    for stream, expected in zip(streams, (2, 2), strict=True):
        cuda.launch(add, x, 1, stream=stream)
        assert cuda.read(x, 1) == [expected]
    for stream in streams:
        assert cuda.call("cuStreamDestroy_v2", stream) == 0
    assert cuda.read(x, 1) == [3]


def test_other_libraries_enqueue_work(cuda, x, mock):
    seen = []
    function = ctypes.CFUNCTYPE(c_int, c_void_p)

    def work(argument):
        seen.append(ctypes.cast(argument, ctypes.POINTER(c_int)).contents.value)
        return 0

    work, number, stream, graph = function(work), c_int(5), cuda.stream(), c_void_p()
    assert cuda.call("mock_enqueue", stream, work, byref(number), c_size_t(4)) == 0
    assert cuda.call("cuStreamBeginCapture_v2", stream, THREAD_LOCAL) == 0
    number.value = 6
    assert cuda.call("mock_enqueue", stream, work, byref(number), c_size_t(4)) == 0
    number.value = 7
    assert cuda.call("cuStreamEndCapture", stream, byref(graph)) == 0
    assert seen == [5]
    executable = cuda.get(c_void_p, "cuGraphInstantiateWithFlags", graph, c_uint64(0))
    assert cuda.call("cuGraphLaunch", executable, stream) == 0
    assert seen == [5, 6]
    for name, handle in (
        ("cuGraphDestroy", graph),
        ("cuGraphExecDestroy", executable),
        ("cuStreamDestroy_v2", stream),
    ):
        assert cuda.call(name, handle) == 0
