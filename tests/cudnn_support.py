"""The mock cuDNN of ``tests/cuda/mock/cudnn`` from Python: operation graphs, plans, executions."""

import ctypes
import functools
import math
import re
import struct
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from cuda_support import Mock, build, device_array, need_compiler, real_driver

API = (build.CSRC / "backend" / "cuda" / "cudnn" / "cudnn_api.h").read_text()
# cuDNN's constants without their "CUDNN_", from the header that the product is built with.
C = {name: int(value) for name, value in re.findall(r"CUDNN_(\w+) = (-?\d+)", API)}

TYPES = {
    torch.float32: C["DATA_FLOAT"],
    torch.float16: C["DATA_HALF"],
    torch.bfloat16: C["DATA_BFLOAT16"],
    torch.int32: C["DATA_INT32"],
    torch.int64: C["DATA_INT64"],
    torch.bool: C["DATA_BOOLEAN"],
}
BAD_PARAM, NOT_SUPPORTED = 2000, 3000


class CudnnError(RuntimeError):
    def __init__(self, function, status, text):
        super().__init__(f"{function}: {status}: {text}")
        self.status = status


class Cudnn(Mock):
    """The library's functions; those that fail raise."""

    def __init__(self, path):
        super().__init__(path)
        self.path = str(path)
        self.library.cudnnGetVersion.restype = ctypes.c_size_t
        self.library.mock_message.restype = ctypes.c_char_p

    def call(self, function, *arguments):
        """Calls one of cuDNN's functions."""
        status = getattr(self.library, function)(*arguments)
        if status:
            room = ctypes.create_string_buffer(4096)
            self.library.cudnnGetLastErrorString(room, ctypes.c_size_t(len(room)))
            raise CudnnError(function, status, room.value.decode())

    def handle(self, stream=None):
        handle = ctypes.c_void_p()
        self.call("cudnnCreate", ctypes.byref(handle))
        self.call("cudnnSetStream", handle, stream)
        return handle

    def set_version(self, version):
        self.library.mock_set_cudnn_version(ctypes.c_size_t(version))

    def set_configurations(self, mode_a, fallback, failing):
        self.library.mock_set_configurations(mode_a, fallback, failing)

    def alive(self):
        """How many descriptors and handles are."""
        return self.library.mock_alive(b"descriptor"), self.library.mock_alive(b"handle")

    def message(self):
        return self.library.mock_message().decode()


@functools.cache
def mock_cudnn():
    """The mock cuDNN, loaded: from now on it is what this process finds."""
    need_compiler()
    if real_driver():
        pytest.skip("NVIDIA's driver is here, and with it a cuDNN")
    Mock(build.cublaslt())
    return Cudnn(build.cudnn())


# How an attribute's elements are packed, by the name of their type; enumerations are ints.
FORMATS = {"INT64": "q", "BOOLEAN": "?", "DOUBLE": "d", "CHAR": "c", "VOID_PTR": "P"}
FORMATS |= {"BACKEND_DESCRIPTOR": "P", "HANDLE": "P"}


class Descriptor:
    def __init__(self, cudnn, kind):
        self.cudnn, self.pointer = cudnn, ctypes.c_void_p()
        number = kind if isinstance(kind, int) else C[f"BACKEND_{kind}_DESCRIPTOR"]
        cudnn.call("cudnnBackendCreateDescriptor", number, ctypes.byref(self.pointer))

    def set(self, attribute, kind, *values):
        """Sets ATTR_<attribute> to values of TYPE_<kind>."""
        values = [v.pointer.value if isinstance(v, Descriptor) else v for v in values]
        values = [v.value if isinstance(v, ctypes.c_void_p) else v for v in values]
        data = struct.pack(f"{len(values)}{FORMATS.get(kind, 'i')}", *values)
        number = attribute if isinstance(attribute, int) else C[f"ATTR_{attribute}"]
        count = ctypes.c_int64(len(values))
        arguments = (self.pointer, number, C[f"TYPE_{kind}"], count, data)
        self.cudnn.call("cudnnBackendSetAttribute", *arguments)
        return self

    def set_text(self, attribute, text):
        arguments = (self.pointer, C[f"ATTR_{attribute}"], C["TYPE_CHAR"])
        data = text.encode()
        self.cudnn.call("cudnnBackendSetAttribute", *arguments, ctypes.c_int64(len(data)), data)
        return self

    def get(self, attribute, kind, room, elements):
        """How many elements the attribute has; `room` of them are written."""
        count = ctypes.c_int64()
        arguments = (self.pointer, C[f"ATTR_{attribute}"], C[f"TYPE_{kind}"])
        arguments += (ctypes.c_int64(room), ctypes.byref(count), elements)
        self.cudnn.call("cudnnBackendGetAttribute", *arguments)
        return count.value

    def finalize(self):
        self.cudnn.call("cudnnBackendFinalize", self.pointer)
        return self

    def destroy(self):
        self.cudnn.call("cudnnBackendDestroyDescriptor", self.pointer)


@dataclass(eq=False)
class Tensor:
    descriptor: Descriptor
    uid: int
    dtype: torch.dtype
    dims: tuple


def packed(dims):
    strides = [1]
    for dim in reversed(dims[1:]):
        strides.insert(0, strides[0] * dim)
    return strides


class Graph:
    """Operations, collected; then `plan` and `execute`."""

    def __init__(self, cudnn):
        self.cudnn, self.operations, self.uid = cudnn, [], 0
        self.kept = []

    def make(self, kind):
        self.kept.append(Descriptor(self.cudnn, kind))
        return self.kept[-1]

    def tensor(
        self, dtype, dims, strides=None, *, virtual=False, value=False, ragged=None, uid=None
    ):
        self.uid += 1
        uid = uid or self.uid
        d = self.make("TENSOR")
        d.set("TENSOR_DATA_TYPE", "DATA_TYPE", TYPES[dtype])
        d.set("TENSOR_DIMENSIONS", "INT64", *dims)
        d.set("TENSOR_STRIDES", "INT64", *(strides or packed(dims)))
        d.set("TENSOR_UNIQUE_ID", "INT64", uid)
        d.set("TENSOR_BYTE_ALIGNMENT", "INT64", 16)
        if virtual:
            d.set("TENSOR_IS_VIRTUAL", "BOOLEAN", True)
        if value:
            d.set("TENSOR_IS_BY_VALUE", "BOOLEAN", True)
        if ragged:
            d.set("TENSOR_RAGGED_OFFSET_DESC", "BACKEND_DESCRIPTOR", ragged.descriptor)
        return Tensor(d.finalize(), uid, dtype, tuple(dims))

    def operation(self, kind, **tensors):
        """An operation of that kind; its attributes' names are those of the tensors."""
        d = self.make(f"OPERATION_{kind}")
        for name, tensor in tensors.items():
            if tensor is not None:
                target = tensor.descriptor if isinstance(tensor, Tensor) else tensor
                d.set(f"OPERATION_{kind}_{name}", "BACKEND_DESCRIPTOR", target)
        self.operations.append(d.finalize())

    def matmul(self, a, b, c, m=None, n=None, k=None):
        how = self.make("MATMUL").set("MATMUL_COMP_TYPE", "DATA_TYPE", C["DATA_FLOAT"]).finalize()
        lengths = {"GEMM_M_OVERRIDE_DESC": m, "GEMM_N_OVERRIDE_DESC": n, "GEMM_K_OVERRIDE_DESC": k}
        self.operation("MATMUL", ADESC=a, BDESC=b, CDESC=c, DESC=how, **lengths)
        return c

    def pointwise(self, mode, y, x, b=None, t=None, axis=None):
        how = self.make("POINTWISE")
        how.set("POINTWISE_MODE", "POINTWISE_MODE", C[f"POINTWISE_{mode}"])
        how.set("POINTWISE_MATH_PREC", "DATA_TYPE", C["DATA_FLOAT"])
        if axis is not None:
            how.set("POINTWISE_AXIS", "INT64", axis)
        how.finalize()
        self.operation("POINTWISE", PW_DESCRIPTOR=how, XDESC=x, BDESC=b, TDESC=t, YDESC=y)
        return y

    def reduction(self, operator, y, x):
        how = self.make("REDUCTION").set("REDUCTION_COMP_TYPE", "DATA_TYPE", C["DATA_FLOAT"])
        number = C[f"REDUCE_TENSOR_{operator}"]
        how.set("REDUCTION_OPERATOR", "REDUCTION_OPERATOR_TYPE", number).finalize()
        self.operation("REDUCTION", XDESC=x, YDESC=y, DESC=how)
        return y

    def reshape(self, y, x):
        self.operation("RESHAPE", XDESC=x, YDESC=y)
        return y

    def rng(self, y, seed, offset, probability):
        how = self.make("RNG")
        bernoulli = C["RNG_DISTRIBUTION_BERNOULLI"]
        how.set("RNG_DISTRIBUTION", "RNG_DISTRIBUTION", bernoulli)
        how.set("RNG_BERNOULLI_DIST_PROBABILITY", "DOUBLE", probability).finalize()
        self.operation("RNG", YDESC=y, SEED=seed, OFFSET_DESC=offset, DESC=how)
        return y

    def finish(self):
        graph = self.make("OPERATIONGRAPH")
        graph.set("OPERATIONGRAPH_OPS", "BACKEND_DESCRIPTOR", *self.operations)
        return graph.finalize()

    def device(self):
        return self.make("DEVICEPROP").set_text("DEVICEPROP_JSON_REPRESENTATION", "{}").finalize()

    def configurations(self, mode="A", room=8):
        """How many there are, and the first of them."""
        heuristics = self.make("ENGINEHEUR")
        heuristics.set("ENGINEHEUR_OPERATION_GRAPH", "BACKEND_DESCRIPTOR", self.finish())
        heuristics.set("ENGINEHEUR_MODE", "HEUR_MODE", C[f"HEUR_MODE_{mode}"])
        heuristics.set("ENGINEHEUR_DEVICEPROP", "BACKEND_DESCRIPTOR", self.device()).finalize()
        made = [self.make("ENGINECFG") for _ in range(room)]
        array = (ctypes.c_void_p * room)(*[d.pointer for d in made])
        count = heuristics.get("ENGINEHEUR_RESULTS", "BACKEND_DESCRIPTOR", room, array)
        return count, made[:count]

    def plan_of(self, configuration):
        plan = self.make("EXECUTION_PLAN")
        plan.set("EXECUTION_PLAN_ENGINE_CONFIG", "BACKEND_DESCRIPTOR", configuration)
        return plan.finalize()

    def plan(self):
        count, configurations = self.configurations()
        assert count
        return self.plan_of(configurations[0])

    def execute(self, plan, memory):
        execute(self.cudnn, plan, {tensor.uid: array for tensor, array in memory.items()})

    def run(self, memory):
        self.execute(self.plan(), memory)

    def destroy(self):
        for descriptor in self.kept:
            descriptor.destroy()


def workspace():
    """Memory that every plan of the mock can do with."""
    return torch.empty(4096, dtype=torch.uint8)


def execute(cudnn, plan, memory, room=None, stream=None):
    """memory: torch tensors by unique id; room: the workspace. A graph that captures this needs
    all of it when it is launched."""
    handle = cudnn.handle(stream)
    room = workspace() if room is None else room
    pack = Descriptor(cudnn, "VARIANT_PACK")
    try:
        pack.set("VARIANT_PACK_UNIQUE_IDS", "INT64", *memory)
        pointers = [array.data_ptr() for array in memory.values()]
        pack.set("VARIANT_PACK_DATA_POINTERS", "VOID_PTR", *pointers)
        pack.set("VARIANT_PACK_WORKSPACE", "VOID_PTR", room.data_ptr())
        cudnn.call("cudnnBackendExecute", handle, plan.pointer, pack.finalize().pointer)
    finally:
        pack.destroy()
        cudnn.call("cudnnDestroy", handle)


# ------------------------------------------------------------------------------ numbers

# By how much of itself a number moves that is rounded; of float32, sums.
EPSILON = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-22}


def rounded(x, precision):
    x = torch.from_numpy(np.ascontiguousarray(x, np.float32))
    if precision == "float32":
        return device_array(x.numpy())
    return device_array(x.to(getattr(torch, precision)).view(torch.int16).numpy().view(np.uint16))


def exact(bits, precision):
    if precision == "float32":
        return bits.astype(np.float64)
    dtype = getattr(torch, precision)
    return torch.from_numpy(bits.view(np.int16)).view(dtype).double().numpy()


def operand(bits, precision):
    """Bits as backends take them."""
    return bits.view(np.float16) if precision == "float16" else bits


def assert_rounded(got, want, precision, terms=0.0):
    """got is `want`, rounded once; `terms`: what sums of rounded numbers are made of."""
    epsilon = EPSILON[precision]
    bound = epsilon * (np.abs(want) + terms) + 4e-6 * np.abs(want).max(initial=0)
    assert np.isfinite(got).all()
    assert (np.abs(got - want) <= bound).all()


def heads_of(x, cu, s, heads):
    """Sequence s's rows of x, [heads, length, head_dim]."""
    return x[cu[s] : cu[s + 1]].unflatten(1, (heads, -1)).transpose(0, 1)


def attention_of_mask(q, k, v, cu, dout, heads, mask):
    """out, dq, dk and dv in float64, of dropout by a mask [sequences, heads, length, length]; and
    what they would be if nothing in their last products cancelled. Their rounding is a part of
    that: of probabilities, of the scores' gradients, and of out, with which these are made."""
    q, k, v = (torch.tensor(x, requires_grad=True) for x in (q, k, v))
    dout, out = torch.tensor(dout), torch.zeros(q.shape, dtype=torch.float64)
    terms = [torch.zeros_like(out) for _ in range(4)]
    for s in range(len(cu) - 1):
        own = lambda x: heads_of(x, cu, s, heads)  # noqa: B023, E731
        scale = 1 / math.sqrt(own(q).shape[-1])
        p = torch.softmax(own(q) @ own(k).mT * scale, -1)
        m = mask[s, :, : p.shape[1], : p.shape[1]]
        own(out).copy_(p * m @ own(v))
        with torch.no_grad():
            dp = m * (own(dout) @ own(v).mT)
            ds = scale * p * (dp.abs() + (own(dout) * own(out)).abs().sum(-1, keepdim=True))
            own(terms[0]).copy_(p * m @ own(v).abs())
            own(terms[1]).copy_(ds @ own(k).abs())
            own(terms[2]).copy_(ds.mT @ own(q).abs())
            own(terms[3]).copy_((p * m).mT @ own(dout).abs())
    out.backward(dout)
    results = [x.numpy() for x in (out.detach(), q.grad, k.grad, v.grad)]
    return results, [x.numpy() for x in terms]
