"""CUDA without a GPU. ``run_kernel`` runs a kernel on the processor, by the emulator in
``tests/cuda/mock``; ``MockDriver`` and ``MockNvrtc`` are the libraries that stand in for NVIDIA's.
"""

import ctypes
import functools
import importlib.util
import pathlib

import numpy as np
import pytest

import ftcore

MOCK = pathlib.Path(__file__).resolve().parent / "cuda" / "mock"
_spec = importlib.util.spec_from_file_location("cuda_mock_build", MOCK / "build.py")
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
# Threads run in an order that CUDA leaves open: a test of a kernel passes under both of these.
ORDERS = ("ascending", "descending")


# What the address sanitizer sees first, and ends the process.
unsanitized = pytest.mark.skipif(bool(build.SANITIZERS), reason="the sanitizer reports it itself")


def small_config(**fields):
    """A BERT of one layer, which the emulator takes little time for."""
    return ftcore.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=20,
        **fields,
    )


class KernelError(RuntimeError):
    """What a kernel did wrong, or why it cannot be launched."""


class Kernels:
    """The kernels of a library that build.py made."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        self.library.emulator_message.restype = ctypes.c_char_p

    def run(self, function, grid, block, shared, arguments, order="ascending"):
        """Runs the function of that name with its one parameter, a ctypes structure or bytes."""
        data = bytes(arguments)
        parameter = ctypes.create_string_buffer(data, len(data))
        failed = self.library.emulator_run(
            function.encode(),
            (ctypes.c_uint * 3)(*three(grid)),
            (ctypes.c_uint * 3)(*three(block)),
            ctypes.c_size_t(shared),
            parameter,
            ctypes.c_size_t(len(data)),
            ORDERS.index(order),
        )
        if failed:
            raise KernelError(self.library.emulator_message().decode())


def three(extent):
    extent = (extent,) if isinstance(extent, int) else tuple(extent)
    return extent + (1,) * (3 - len(extent))


def need_compiler():
    if build.compiler() is None:
        pytest.skip("g++ was not found: the emulator of CUDA kernels is built with it")


@functools.cache
def kernels_of(source, names=None, precisions=build.PRECISIONS):
    """The kernels of a .cu file: those of list.h, or of these names."""
    need_compiler()
    path = pathlib.Path(source)
    return Kernels(build.kernels_of(path, list(names or build.listed()[path.stem]), precisions))


def run_kernel(name, precision, grid, block, shared, arguments, order="ascending"):
    """Runs the kernel of list.h of that name, of "float32", "bfloat16" or "float16", on host
    memory: pointers in the arguments are those of arrays."""
    (source,) = [s for s, names in build.listed().items() if name in names]
    function = f"ft_{name}_{PRECISIONS[precision]}"
    kernels = kernels_of(build.KERNELS / f"{source}.cu")
    kernels.run(function, grid, block, shared, arguments, order)


def pointer(array):
    """An array's address for a field of c_void_p; None: NULL."""
    if array is None:
        return None
    assert array.flags.c_contiguous and array.ctypes.data % 16 == 0
    return array.ctypes.data


def device_array(values, dtype=None):
    """A copy of the values that is aligned as device memory is."""
    values = np.ascontiguousarray(values, dtype)
    memory = np.empty(values.nbytes + 256, np.uint8)
    start = -memory.ctypes.data % 256
    array = memory[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    array[...] = values
    return array


# ------------------------------------------------------------------------------ mock libraries


class Mock:
    """What a mock library has for tests: see tests/cuda/mock/mock.h."""

    def __init__(self, path):
        # Global: who asks for a library of this name gets it.
        self.library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)

    def fail(self, function, code, nth=1):
        """The nth next call of the function does nothing but return the code."""
        self.library.mock_fail(function.encode(), nth, code)

    def calls(self, function):
        return self.library.mock_calls(function.encode())

    def time(self, function):
        """When the function was last called, by a clock that all mocks have."""
        self.library.mock_time.restype = ctypes.c_longlong
        return self.library.mock_time(function.encode())

    def reset(self):
        self.library.mock_reset()


class MockDriver(Mock):
    def __init__(self, path):
        super().__init__(path)
        self.library.mock_allocated.restype = ctypes.c_size_t
        self.library.mock_message.restype = ctypes.c_char_p

    def set_device(self, name="A100", count=1):
        assert self.library.mock_set_device(name.encode(), count)

    def set_memory(self, size):
        self.library.mock_set_memory(ctypes.c_size_t(size))

    def set_driver_version(self, version):
        self.library.mock_set_driver_version(version)

    def set_order(self, order):
        self.library.mock_set_order(ORDERS.index(order))

    def set_lazy(self, lazy=True):
        self.library.mock_set_lazy(int(lazy))

    def launches(self, kernel=None):
        return self.library.mock_launches(kernel.encode() if kernel else None)

    def graph_nodes(self):
        return self.library.mock_graph_nodes()

    def alive(self, kind):
        return self.library.mock_alive(kind.encode())

    def allocated(self):
        return self.library.mock_allocated()

    def contexts(self):
        return self.library.mock_contexts()

    def message(self):
        return self.library.mock_message().decode()


class MockNvrtc(Mock):
    def set_version(self, major, minor=0):
        self.library.mock_set_nvrtc_version(major, minor)

    def programs(self):
        return self.library.mock_programs()


class MockCublasLt(Mock):
    def __init__(self, path):
        super().__init__(path)
        self.library.mock_message.restype = ctypes.c_char_p

    def alive(self, kind):
        """ "object": layouts, operations and preferences; "handle"."""
        return self.library.mock_alive(kind.encode())

    def schemes(self):
        """The reduction schemes that the last heuristic was allowed."""
        return self.library.mock_schemes()

    def matmuls(self, tf32):
        """How many there were whose operands are rounded to TensorFloat-32, or are not."""
        return self.library.mock_matmuls(tf32)

    def message(self):
        return self.library.mock_message().decode()


def real_driver() -> bool:
    """Whether this machine has NVIDIA's driver, or one is loaded."""
    try:
        return not hasattr(ctypes.CDLL("libcuda.so.1"), "mock_reset")
    except OSError:
        return False
