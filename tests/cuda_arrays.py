"""Arrays and tensors of other libraries in the mock GPU's memory, which is the host's: what CuPy's,
numba's and torch's show to those that take them."""

import contextlib
import ctypes
import weakref

import numpy as np
import torch

GPU = (2, 0)  # as DLPack numbers devices
LEGACY_STREAM = 1
CODES = {"i": 0, "u": 1, "f": 2, "b": 6}


class Memory:
    """Memory of the mock GPU."""

    def __init__(self, driver):
        self.library = driver.library
        self.context = ctypes.c_void_p()
        self.library.cuInit(0)
        self.check("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), 0)
        self.streams = []

    def close(self):
        with self.current():
            while self.streams:
                self.check("cuStreamDestroy_v2", self.streams.pop())
        self.check("cuDevicePrimaryCtxRelease_v2", 0)

    def check(self, function, *arguments):
        assert getattr(self.library, function)(*arguments) == 0, function

    @contextlib.contextmanager
    def current(self):
        self.check("cuCtxPushCurrent_v2", self.context)
        yield
        self.check("cuCtxPopCurrent_v2", None)

    def array(self, values):
        """A copy of the values there, with their strides, as a NumPy array that keeps it."""
        values = np.asarray(values)
        base = values if values.base is None else np.asarray(values.base)
        while base.base is not None:
            base = np.asarray(base.base)
        offset = values.ctypes.data - base.ctypes.data
        owner = _Allocation(self, max(base.nbytes, 1))
        raw = np.asarray(owner)
        raw[: base.nbytes] = np.ndarray(base.nbytes, np.uint8, buffer=_bytes_of(base))
        return np.ndarray(values.shape, values.dtype, raw, offset, values.strides)

    def stream(self):
        """The handle of a stream that waits for no other by itself."""
        handle = ctypes.c_void_p()
        with self.current():
            self.check("cuStreamCreate", ctypes.byref(handle), 1)
        self.streams.append(handle)
        return handle.value


def _bytes_of(base):
    return (ctypes.c_char * base.nbytes).from_address(base.ctypes.data)


class _Allocation:
    def __init__(self, memory, size):
        address = ctypes.c_uint64()
        with memory.current():
            memory.check("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        self.__array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (address.value, False),
            "version": 3,
        }
        weakref.finalize(self, _free, memory, address.value)


def _free(memory, address):
    with memory.current():
        memory.library.cuMemFree_v2(ctypes.c_uint64(address))


# ------------------------------------------------------------------------------ DLPack


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class Versioned(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32 * 2),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
# What capsules and tensors point to; as long as the process.
_kept = []
_DESTRUCTOR = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


def fill(tensor, array):
    """Makes the Tensor show the NumPy array as one on a GPU."""
    shape = extents(*array.shape)
    strides = extents(*(s // array.itemsize for s in array.strides))
    _kept.append((shape, strides))
    tensor.data, tensor.device[:] = array.ctypes.data, GPU
    tensor.ndim, tensor.code = array.ndim, CODES[array.dtype.kind]
    tensor.bits, tensor.lanes = 8 * array.itemsize, 1
    tensor.shape, tensor.strides, tensor.byte_offset = shape, strides, 0


def extents(*numbers):
    """A shape or strides, for a field of a Tensor."""
    return (ctypes.c_int64 * len(numbers))(*numbers)


def capsule(array, version, destructor=None, **fields):
    """What __dlpack__ returns of an array, of that major version or of none; `destructor` is called
    with its address, `fields` are the tensor's that are other than the array's."""
    managed = Versioned(version=(version, 0)) if version else Managed()
    fill(managed.tensor, array)
    for name, value in fields.items():
        setattr(managed.tensor, name, value)
    destroy = _DESTRUCTOR(destructor) if destructor else None
    _kept.append((managed, destroy))
    name = b"dltensor_versioned" if version else b"dltensor"
    address = ctypes.cast(destroy, ctypes.c_void_p) if destroy else None
    return _new_capsule(ctypes.addressof(managed), name, address)


# ------------------------------------------------------------------------------ arrays


class DlpackArray:
    """An array that __dlpack__ shows alone; of a library before its versions where old."""

    old = False

    def __init__(self, array):
        self.array, self.asked = array, []

    def __dlpack_device__(self):
        return GPU

    def __dlpack__(self, *, stream, **options):
        if self.old and options:
            raise TypeError(f"unexpected keywords {sorted(options)}")
        self.asked.append(stream)
        return capsule(self.array, 0 if self.old else 1)


class OldDlpackArray(DlpackArray):
    old = True


class InterfaceArray:
    """An array that __cuda_array_interface__ shows alone, as numba's."""

    def __init__(self, array, stream=LEGACY_STREAM):
        self.array, self.stream = array, stream

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.array.shape,
            "typestr": self.array.dtype.str,
            "data": (self.array.ctypes.data, False),
            "strides": None if self.array.flags.c_contiguous else self.array.strides,
            "version": 3,
            "stream": self.stream,
        }

    def __float__(self):
        return float(self.array)


class Namespace:
    """The part of the array API that makes arrays."""

    float32 = np.float32

    def __init__(self, memory, stream):
        self.memory, self.stream = memory, stream

    def empty(self, shape, dtype):
        return Array(self.memory, np.zeros(shape, dtype), self.stream)


class Array(InterfaceArray):
    """An array as CuPy's: of a library that makes them, too."""

    def __init__(self, memory, values, stream=LEGACY_STREAM):
        super().__init__(memory.array(values), stream)
        self.memory = memory

    def __dlpack_device__(self):
        return GPU

    def __array_namespace__(self):
        return Namespace(self.memory, self.stream)


class CudaTensor(torch.Tensor):
    """A torch tensor that says it is on a GPU. What torch computes of it, it computes here."""

    __dlpack_c_exchange_api__ = None  # torch's would tell the truth

    @property
    def device(self):
        return torch.device("cuda:0")

    def __dlpack_device__(self):
        return GPU

    def __dlpack__(self, *, stream=None, max_version=None):
        assert stream == -1  # the caller keeps the order
        return capsule(self.detach().as_subclass(torch.Tensor).numpy(), 1)

    def cpu(self):
        return self.as_subclass(torch.Tensor)


# Its C functions: two that are not asked for, and a version.
class ExchangeApi(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32 * 2),
        ("older", ctypes.c_void_p),
        ("unused", ctypes.c_void_p * 3),
        ("view", ctypes.c_void_p),
        ("stream", ctypes.c_void_p),
    )


@ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(Tensor))
def _view(tensor, out):
    fill(out.contents, tensor.detach().as_subclass(torch.Tensor).numpy())
    return 0


_NAME = b"dlpack_exchange_api"  # a capsule keeps its address
_api = ExchangeApi(version=(1, 3), view=ctypes.cast(_view, ctypes.c_void_p).value)


class FastCudaTensor(CudaTensor):
    """One whose type has C functions for DLPack, as torch's newer ones."""

    __dlpack_c_exchange_api__ = _new_capsule(ctypes.addressof(_api), _NAME, None)

    def __dlpack__(self, **options):
        raise AssertionError("the C functions come first")


def cuda_tensor(memory, values, kind=CudaTensor):
    values = values.numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return torch.from_numpy(memory.array(values)).as_subclass(kind)
