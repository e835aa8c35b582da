"""Fixtures of the CUDA tests: mock libraries, which the process loads before ftcore asks for
NVIDIA's. Once found, libraries stay: between the tests that use them, the mock driver shows no GPU.
"""

import os

import pytest
from cuda_support import (
    Mock,
    MockCublasLt,
    MockDriver,
    MockNvrtc,
    build,
    need_compiler,
    real_driver,
)

from ftcore import _core, device_info
from ftcore.devices import default_device


@pytest.fixture(scope="session")
def mock_libraries(tmp_path_factory):
    """The mock driver, NVRTC, cuBLASLt and cuDNN, loaded."""
    need_compiler()
    # What the mocks compile is not for the user's cache.
    os.environ["FTCORE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    if real_driver():
        pytest.skip("NVIDIA's driver is here, and the mock would not be found before it")
    driver = MockDriver(build.driver())
    nvrtc = MockNvrtc(build.nvrtc())
    cublaslt = MockCublasLt(build.cublaslt())
    cudnn = Mock(build.cudnn())
    return driver, nvrtc, cublaslt, cudnn


@pytest.fixture
def mock_driver(mock_libraries):
    """The mock driver as it starts, but with a GPU: an A100."""
    driver, _, _, _ = mock_libraries
    driver.reset()
    driver.set_device("A100")
    yield driver
    driver.reset()


@pytest.fixture
def mock_nvrtc(mock_libraries):
    """The mock NVRTC as it starts."""
    _, nvrtc, _, _ = mock_libraries
    nvrtc.reset()
    yield nvrtc
    nvrtc.reset()


@pytest.fixture
def mock_cublaslt(mock_libraries):
    """The mock cuBLASLt as it starts."""
    _, _, cublaslt, _ = mock_libraries
    cublaslt.reset()
    yield cublaslt
    cublaslt.reset()


@pytest.fixture
def mock_cudnn(mock_libraries):
    """The mock cuDNN as it starts."""
    _, _, _, cudnn = mock_libraries
    cudnn.reset()
    yield cudnn
    cudnn.reset()


@pytest.fixture
def gpu(mock_driver, mock_nvrtc, mock_cublaslt, mock_cudnn):
    """gpu(name, order): the backend on a mock GPU of that name, whose threads run in that order."""

    def make(name="A100", order="ascending"):
        mock_driver.set_device(name)
        mock_driver.set_order(order)
        return _core.Backend("cuda")

    return make


@pytest.fixture
def any_gpu(request):
    """A GPU: NVIDIA's, or, where there is none, the mock driver's. The mock driver, or None."""
    if real_driver():
        if default_device() == "cpu":
            pytest.skip(str(device_info()))
        return None
    request.getfixturevalue("mock_nvrtc")
    request.getfixturevalue("mock_cublaslt")
    request.getfixturevalue("mock_cudnn")
    return request.getfixturevalue("mock_driver")


@pytest.fixture
def mock_gpu(any_gpu):
    """The mock driver, for what can be looked at or arranged there alone."""
    if any_gpu is None:
        pytest.skip("this is for the mock driver's GPU")
    return any_gpu
