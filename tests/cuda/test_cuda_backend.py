"""The CUDA backend whole, on mock libraries: steps are replayed as graphs, failures of NVIDIA's
libraries are exceptions after which everything works, and nothing is left behind."""

import ctypes
import gc

import numpy as np
import pytest
from support import ADAMW, core_model, make_batch, pack, torch_model

from ftcore import _core

ALIVE = ("memory", "host memory", "stream", "event", "graph", "executable", "module", "context")


@pytest.fixture
def driver(mock_driver, mock_nvrtc, mock_cudnn):
    yield mock_driver
    gc.collect()
    assert {kind: mock_driver.alive(kind) for kind in ALIVE} == dict.fromkeys(ALIVE, 0)
    assert mock_driver.contexts() == 0


def model(backend="cuda", dropout=0.1):
    return core_model(torch_model("bert", 3), backend, dropout)


def step(core, number, lengths=(9, 7, 3, 12)):
    """Loss and norm of a training step, whose batch is made of its number."""
    batch = pack(make_batch(seed=number, lengths=lengths))
    group = np.zeros(len(core.parameters()), np.int32)
    return core.train_step([batch], 1.0, 7, [ADAMW], group, number, 1.0)


def state(core):
    count = len(core.parameters())
    return [(np.array(core.parameter(i)), *map(np.array, core.moments(i))) for i in range(count)]


def set_state(core, values):
    for i, (parameter, *moments) in enumerate(values):
        core.set_parameter(i, parameter)
        core.set_moments(i, *moments)


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


# ---- steps


def test_steps_are_those_of_the_reference(driver):
    core, reference = model(), model("reference")
    for number in range(1, 5):
        np.testing.assert_allclose(step(core, number), step(reference, number), rtol=1e-4)


@pytest.mark.parametrize("lazy", [False, True])
def test_from_its_third_time_on_a_step_is_graphs(driver, lazy):
    driver.set_lazy(lazy)
    core = model()
    launches, graphs = [], []
    for number in range(1, 6):
        before = driver.calls("cuLaunchKernel"), driver.calls("cuGraphLaunch")
        step(core, number)
        launches.append(driver.calls("cuLaunchKernel") - before[0])
        graphs.append(driver.calls("cuGraphLaunch") - before[1])
    assert launches[0] > 50 and graphs[0] == 0
    assert launches[-1] == 0 and graphs[-1] <= 2


def test_graphs_compute_what_launches_do(driver):
    """Dropout, learning rate and batches differ from step to step. What a model does for the first
    time is launched."""
    core = model()
    for number in range(1, 6):
        launched = model()
        set_state(launched, state(core))
        before = driver.calls("cuGraphLaunch")
        result = step(core, number)
        graphs = driver.calls("cuGraphLaunch")
        assert step(launched, number) == result
        assert driver.calls("cuGraphLaunch") == graphs
        assert_equal(state(core), state(launched))
    assert graphs > before


def test_batches_of_other_counts_of_tokens_in_a_bucket_are_the_same_graphs(driver):
    core, reference = model(), model("reference")
    for number, lengths in enumerate([(12, 3, 9, 7), (12, 2, 2, 2), (1, 12, 12, 12)] * 2, 1):
        graphs = driver.calls("cuGraphLaunch")
        expected = step(reference, number, lengths)
        np.testing.assert_allclose(step(core, number, lengths), expected, rtol=1e-4)
    assert driver.calls("cuGraphLaunch") > graphs
    assert driver.alive("executable") == 2  # forward and backward; the update


def test_batches_of_other_shapes_are_other_tapes(driver):
    core, reference = model(), model("reference")
    for number in range(1, 9):
        lengths = (9, 7, 3, 12) if number % 2 else (5, 5, 10, 2, 8, 11)
        expected = step(reference, number, lengths)
        np.testing.assert_allclose(step(core, number, lengths), expected, rtol=1e-4)
    assert driver.alive("executable") == 3


def test_graphs_go_before_the_kernels_that_are_in_them(driver, mock_cublaslt, mock_cudnn):
    core = model()
    core.precision = "float16"
    for number in range(1, 4):
        step(core, number)
    assert driver.alive("executable") > 0
    del core
    gc.collect()
    gone = driver.time("cuGraphExecDestroy")
    assert 0 < gone < mock_cudnn.time("cudnnBackendDestroyDescriptor")
    assert gone < mock_cudnn.time("cudnnDestroy")
    assert gone < mock_cublaslt.time("cublasLtDestroy")
    assert gone < driver.time("cuModuleUnload")


def test_two_models_take_turns(driver):
    """Each has streams, a tape and kernels of its own, and the device's one context."""
    one, other, alone = model(), model(), model()
    expected = [step(alone, number) for number in range(1, 4)]
    for number in range(1, 4):
        assert step(one, number) == step(other, number) == expected[number - 1]
    assert driver.alive("context") == 3
    assert driver.alive("stream") == 6  # of each one more, on which graphs are recorded
    del one
    gc.collect()
    assert step(other, 4) == step(alone, 4)


def test_the_context_that_was_current_still_is(driver):
    context, now = ctypes.c_void_p(), ctypes.c_void_p()
    driver.library.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
    driver.library.cuCtxPushCurrent_v2(context)
    try:
        step(model(), 1)
        gc.collect()
        assert driver.contexts() == 1
    finally:
        driver.library.cuCtxPopCurrent_v2(ctypes.byref(now))
        driver.library.cuDevicePrimaryCtxRelease_v2(0)
    assert now.value == context.value


# ---- what a GPU takes


def test_bfloat16_needs_ampere(driver):
    driver.set_device("T4")
    core = model()
    with pytest.raises(ValueError, match=r"8\.0 or newer, this one has 7\.5: use float16"):
        core.precision = "bfloat16"
    core.precision = "float16"
    assert not _core.Backend("cuda").supports("bfloat16")
    driver.set_device("A10")
    assert _core.Backend("cuda").supports("bfloat16")


def test_a_second_gpu(driver):
    driver.set_device("A100", 2)
    assert [gpu["index"] for gpu in _core.cuda_devices()] == [0, 1]
    core = model("cuda:1")
    assert np.isfinite(step(core, 1)).all()
    with pytest.raises(ValueError, match="there is no 'cuda:2'"):
        model("cuda:2")


def test_a_gpu_that_is_too_old(driver):
    driver.set_device("V100")
    with pytest.raises(RuntimeError, match=r"V100.*\(sm_70\) is not supported"):
        model()


# ---- failures


def calls_of(driver, functions, action):
    before = {f: driver.calls(f) for f in functions}
    action()
    return {f: driver.calls(f) - before[f] for f in functions}


CREATION = [
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceTotalMem",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuCtxPushCurrent",
    "cuStreamCreate",
    "cuEventCreate",
]


@pytest.mark.parametrize("function", CREATION)
def test_a_backend_whose_creation_fails_leaves_nothing(driver, function):
    """Whichever of the calls it is."""
    count = calls_of(driver, CREATION, lambda: _core.Backend("cuda"))[function]
    assert count > 0
    if function == "cuCtxPushCurrent":
        count = 1  # the others are of its end, where there is no one to tell
    for nth in range(1, count + 1):
        driver.fail(function, 999, nth)
        with pytest.raises(RuntimeError, match="backend 'cuda:0': .*999"):
            _core.Backend("cuda")
        assert {kind: driver.alive(kind) for kind in ALIVE} == dict.fromkeys(ALIVE, 0)
        assert driver.contexts() == 0
    _core.Backend("cuda")


STEPS = [
    "cuCtxPushCurrent",
    "cuMemAlloc",
    "cuMemsetD8Async",
    "cuModuleLoadData",
    "cuModuleGetFunction",
    "cuLaunchKernel",
    "cuMemcpyHtoDAsync",
    "cuMemcpyDtoHAsync",
    "cuEventRecord",
    "cuStreamSynchronize",
    "cuGraphLaunch",
]


@pytest.mark.parametrize("function", STEPS)
def test_a_step_that_fails_is_an_exception_and_the_model_works_on(driver, function):
    """Whichever step it is, be it played, captured or replayed, and whichever call of it."""
    core = model()
    began = state(core)
    expected = [step(core, number) for number in range(1, 5)]
    raised = 0
    for first in (1, 2, 3):
        for nth, code in ((1, 2), (2, 999), (50, 2)):
            core = model()
            set_state(core, began)
            assert [step(core, number) for number in range(1, first)] == expected[: first - 1]
            driver.fail(function, code, nth)
            try:
                assert step(core, first) == expected[first - 1]
            except (RuntimeError, MemoryError) as error:
                assert isinstance(error, MemoryError) == (code == 2)
                raised += 1
            driver.reset()
            driver.set_device("A100")
            assert driver.contexts() == 0
            set_state(core, began)
            assert [step(core, number) for number in range(1, 5)] == expected
    # An image that cannot be loaded is compiled again, and loaded.
    assert raised > 0 or function == "cuModuleLoadData"
