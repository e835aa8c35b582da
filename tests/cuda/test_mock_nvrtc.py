"""The mock NVRTC takes of our programs what NVIDIA's takes; its images are the mock driver's."""

from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p, create_string_buffer

import pytest
from cuda_support import build

INVALID_PROGRAM, INVALID_OPTION, COMPILATION = 4, 5, 6
OPTIONS = ["--gpu-architecture=sm_80", "--std=c++17", "-DFT_PRECISION=1"]
KERNEL = '#include "common.cuh"\nFT_KERNEL(one, 32)(int) {}\n'


class Program:
    def __init__(self, library, source, headers):
        self.library = library
        self.handle = c_void_p()
        names = (c_char_p * len(headers))(*[n.encode() for n in headers])
        texts = (c_char_p * len(headers))(*[t.encode() for t in headers.values()])
        code = library.nvrtcCreateProgram(
            byref(self.handle), source.encode(), b"one.cu", len(headers), texts, names
        )
        assert code == 0

    def compile(self, *options):
        options = options or OPTIONS
        return self.library.nvrtcCompileProgram(
            self.handle, len(options), (c_char_p * len(options))(*[o.encode() for o in options])
        )

    def get(self, what):
        size = c_size_t()
        code = getattr(self.library, f"nvrtcGet{what}Size")(self.handle, byref(size))
        if code or size.value == 0:
            return code
        room = create_string_buffer(size.value)
        assert getattr(self.library, f"nvrtcGet{what}")(self.handle, room) == 0
        return room.value.decode()


@pytest.fixture
def program(mock_nvrtc):
    """program(source, headers): destroyed after the test."""
    made = []

    def make(source, **headers):
        headers = {n.replace("_", "."): t for n, t in headers.items()}
        for name in ("common.cuh", "types.h"):
            headers.setdefault(name, (build.KERNELS / name).read_text())
        made.append(Program(mock_nvrtc.library, source, headers))
        return made[-1]

    yield make
    for one in made:
        assert mock_nvrtc.library.nvrtcDestroyProgram(byref(one.handle)) == 0
    assert mock_nvrtc.programs() == 0


def test_an_image_names_its_gpu_and_its_kernels(program):
    one = program(KERNEL)
    assert one.get("CUBIN") == 0 and one.get("PTX") == INVALID_PROGRAM
    assert one.compile() == 0
    assert one.get("CUBIN").startswith("mock image for sm_80\n")
    assert "ft_one_bf16(int)" in one.get("CUBIN")
    assert one.compile("--gpu-architecture=compute_80", "--define-macro=FT_PRECISION=2") == 0
    assert one.get("CUBIN") == 0
    assert "ft_one_f16(int)" in one.get("PTX")


def test_the_architecture_is_the_programs(program):
    one = program("#if __CUDA_ARCH__ >= 800\nint ft_new;\n#else\nint ft_old;\n#endif\n")
    for architecture, name in (("sm_75", "ft_old"), ("sm_80", "ft_new"), ("sm_120", "ft_new")):
        assert one.compile(f"--gpu-architecture={architecture}") == 0
        assert name in one.get("CUBIN")


def test_what_is_wrong_is_in_the_log(program):
    missing = program('#include "missing.h"\n')
    assert missing.compile() == COMPILATION and "missing.h" in missing.get("ProgramLog")
    error = program("#error words\n")
    assert error.compile() == COMPILATION and "words" in error.get("ProgramLog")
    one = program(KERNEL)
    assert one.compile("--no-such-option") == INVALID_OPTION
    assert "--no-such-option" in one.get("ProgramLog")
    assert one.compile("--gpu-architecture=sm_70") == INVALID_OPTION


def test_versions_and_failures(mock_nvrtc, program):
    major, minor = c_int(), c_int()
    mock_nvrtc.set_version(12, 9)
    assert mock_nvrtc.library.nvrtcVersion(byref(major), byref(minor)) == 0
    assert (major.value, minor.value) == (12, 9)
    mock_nvrtc.fail("nvrtcCompileProgram", 1)
    one = program(KERNEL)
    assert [one.compile(), one.compile()] == [1, 0]
    assert mock_nvrtc.calls("nvrtcCompileProgram") == 2


def test_the_mock_driver_loads_its_images(mock_driver, program):
    one, context, module = program(KERNEL), c_void_p(), c_void_p()
    assert one.compile() == 0
    cuda = mock_driver.library
    assert cuda.cuInit(0) == cuda.cuDevicePrimaryCtxRetain(byref(context), 0) == 0
    assert cuda.cuCtxPushCurrent_v2(context) == 0
    try:
        assert cuda.cuModuleLoadData(byref(module), one.get("CUBIN").encode()) == 0
        assert cuda.cuModuleGetFunction(byref(c_void_p()), module, b"ft_two_bf16") == 500
        assert cuda.cuModuleUnload(module) == 0
    finally:
        assert cuda.cuCtxPopCurrent_v2(byref(c_void_p())) == 0
        assert cuda.cuDevicePrimaryCtxRelease_v2(0) == 0
