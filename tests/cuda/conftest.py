"""Fixtures of the CUDA tests: mock libraries, which the process loads before ftcore asks for
NVIDIA's. Once found, libraries stay: between the tests that use them, the mock driver shows no GPU.
"""

import contextlib
import os
import typing

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


class Mocks(typing.NamedTuple):
    driver: MockDriver
    nvrtc: MockNvrtc
    cublaslt: MockCublasLt
    cudnn: Mock


@pytest.fixture(scope="session")
def mock_libraries(tmp_path_factory):
    """The mock driver, NVRTC, cuBLASLt and cuDNN, loaded."""
    need_compiler()
    # What the mocks compile is not for the user's cache.
    os.environ["FTCORE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    if real_driver():
        pytest.skip("NVIDIA's driver is here, and the mock would not be found before it")
    return Mocks(
        driver=MockDriver(build.driver()),
        nvrtc=MockNvrtc(build.nvrtc()),
        cublaslt=MockCublasLt(build.cublaslt()),
        cudnn=Mock(build.cudnn()),
    )


@contextlib.contextmanager
def as_it_starts(mock):
    mock.reset()
    yield mock
    mock.reset()


@pytest.fixture
def mock_driver(mock_libraries):
    """The mock driver as it starts, but with a GPU: an A100."""
    with as_it_starts(mock_libraries.driver) as driver:
        driver.set_device("A100")
        yield driver


@pytest.fixture
def mock_nvrtc(mock_libraries):
    """The mock NVRTC as it starts."""
    with as_it_starts(mock_libraries.nvrtc) as mock:
        yield mock


@pytest.fixture
def mock_cublaslt(mock_libraries):
    """The mock cuBLASLt as it starts."""
    with as_it_starts(mock_libraries.cublaslt) as mock:
        yield mock


@pytest.fixture
def mock_cudnn(mock_libraries):
    """The mock cuDNN as it starts."""
    with as_it_starts(mock_libraries.cudnn) as mock:
        yield mock


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
