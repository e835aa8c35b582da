"""Kernels are compiled by NVRTC and kept on disk: with a stand-in that says what it was asked for,
and with NVRTC itself where it is installed."""

import os
import re
import stat
import subprocess
import sys

import cuda_fakes
import pytest
from cuda_fakes import CSRC, ask

SOURCES = sorted(p.name for p in (CSRC / "backend/cuda/kernels").glob("*.cu"))
PRECISIONS = ("float32", "bfloat16", "float16")
COUNT = 3 * len(SOURCES)


class Compiler:
    def __init__(self, folder):
        self.folder = folder
        self.cache = folder / "cache"
        self.log = folder / "log"
        cuda_fakes.nvrtc(folder)

    def compile(self, capability=80, **environment):
        """By source and precision what was compiled; and how often NVRTC was asked."""
        self.log.unlink(missing_ok=True)
        images = ask(
            f"[[*k, v.decode()] for k, v in core.compile_kernels({capability}).items()]",
            [self.folder],
            **{"FTCORE_CACHE": self.cache, "FAKE_LOG": self.log} | environment,
        )
        asked = len(self.log.read_text().splitlines()) if self.log.exists() else 0
        return {(source, precision): text for source, precision, text in images}, asked


@pytest.fixture
def compiler(tmp_path):
    return Compiler(tmp_path)


def test_every_file_of_the_kernels_is_embedded():
    folder = CSRC / "backend" / "cuda" / "kernels"
    text = (folder / "files.h").read_text()
    listed = {f"{name}.cu" for name in re.findall(r"^FT_SOURCE_OF\((\w+)\)$", text, re.MULTILINE)}
    listed |= set(re.findall(r'^FT_HEADER_OF\(\w+, "(.+)"\)$', text, re.MULTILINE))
    assert listed == {p.name for p in folder.iterdir()} - {"files.h", "list.h"}


def test_every_source_is_compiled_for_every_precision(compiler):
    images, asked = compiler.compile(80)
    assert asked == COUNT
    assert images == {
        (
            source,
            precision,
        ): f"{source} --gpu-architecture=sm_80 --std=c++17 -DFT_PRECISION={number}"
        for source in SOURCES
        for number, precision in enumerate(PRECISIONS)
    }


def test_a_gpu_that_nvrtc_does_not_know_gets_ptx_of_the_newest_that_it_knows(compiler):
    for capability, target in ((86, "compute_80"), (120, "compute_90")):
        images, _ = compiler.compile(capability)
        assert all(f"={target} " in text and text.endswith("\0") for text in images.values())


def test_what_is_compiled_is_kept(compiler):
    first, asked = compiler.compile()
    assert asked == COUNT
    assert compiler.compile() == (first, 0)
    assert len(list(compiler.cache.iterdir())) == COUNT
    assert stat.S_IMODE(compiler.cache.stat().st_mode) == 0o700
    # Other GPUs and other versions of NVRTC are other results.
    assert compiler.compile(90)[1] == COUNT
    (compiler.folder / "libnvrtc.so.13").unlink()
    cuda_fakes.nvrtc(compiler.folder, 12)
    assert compiler.compile()[1] == COUNT


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("own", {"FTCORE_CACHE": "{0}/own", "XDG_CACHE_HOME": "{0}/xdg", "HOME": "{0}/home"}),
        ("xdg/ftcore", {"FTCORE_CACHE": "", "XDG_CACHE_HOME": "{0}/xdg", "HOME": "{0}/home"}),
        ("home/.cache/ftcore", {"FTCORE_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "{0}/home"}),
        ("home/.cache/ftcore", {"FTCORE_CACHE": "", "XDG_CACHE_HOME": "x", "HOME": "{0}/home"}),
        (None, {"FTCORE_CACHE": "", "XDG_CACHE_HOME": "", "HOME": ""}),
    ],
)
def test_where_it_is_kept(compiler, tmp_path, name, environment):
    environment = {k: v.format(tmp_path) for k, v in environment.items()}
    compiler.compile(**environment)
    assert compiler.compile(**environment)[1] == (0 if name else COUNT)
    if name:
        assert len(list((tmp_path / name).iterdir())) == COUNT


def damage_nothing_left(path):
    path.write_bytes(b"")


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_longer(path):
    path.write_bytes(path.read_bytes() + b"x")


def damage_one_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def damage_length(path):
    data = bytearray(path.read_bytes())
    data[8:16] = b"\xff" * 8
    path.write_bytes(data)


def damage_other_format(path):
    path.write_bytes(b"ftcache9" + path.read_bytes()[8:])


def damage_folder(path):
    path.unlink()
    path.mkdir()


def damage_pipe(path):
    path.unlink()
    os.mkfifo(path)


def damage_link(path):
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGES = [value for name, value in sorted(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_a_damaged_file_is_made_again(compiler, damage):
    first, _ = compiler.compile()
    for path in sorted(compiler.cache.iterdir()):
        damage(path)
    assert compiler.compile() == (first, COUNT)
    if damage is not damage_folder:  # which nothing replaces
        assert compiler.compile() == (first, 0)


def test_a_folder_that_cannot_be_made(compiler, tmp_path):
    (tmp_path / "file").write_text("")
    for cache in (tmp_path / "file", "/proc/none", "x" * 5000, "/dev/full"):
        assert compiler.compile(FTCORE_CACHE=cache)[1] == COUNT


def test_a_disk_that_is_full_leaves_nothing_behind(compiler):
    """No file may become longer than what the log needs."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))"
    limit += "; import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    ask(
        "len(core.compile_kernels(80))",
        [compiler.folder],
        limit,
        FTCORE_CACHE=compiler.cache,
    )
    assert list(compiler.cache.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(compiler):
    compiler.cache.mkdir(0o500)
    assert compiler.compile()[1] == COUNT


def test_processes_that_compile_at_once(compiler):
    script = (
        "from ftcore import _core as core\n"
        f"core.set_library_folders([{str(compiler.folder)!r}])\n"
        "for _ in range(20): core.compile_kernels(80)"
    )
    environment = os.environ | {"FTCORE_CACHE": str(compiler.cache)}
    running = [subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert len(list(compiler.cache.iterdir())) == COUNT
    assert compiler.compile()[1] == 0


def compile_error(expression, folders, **environment):
    before = f"try: {expression}\nexcept Exception as e: error = [type(e).__name__, str(e)]"
    return ask("error", folders, before, **environment)


def test_what_does_not_compile_is_told(compiler):
    kind, text = compile_error(
        "core.compile_kernels(80)",
        [compiler.folder],
        FAKE_COMPILE_ERROR=1,
        FTCORE_CACHE=compiler.cache,
    )
    assert kind == "RuntimeError"
    first, line = text.splitlines()
    assert first.startswith("NVRTC 13.5 does not compile ") and first.endswith(".cu: a fake error")
    assert line == "line 1: no such"


def test_capabilities_that_are_refused(compiler):
    kind, text = compile_error("core.compile_kernels(70)", [compiler.folder])
    assert kind == "RuntimeError" and "no GPU as old as this (sm_70)" in text
    assert compile_error("core.compile_kernels(0)", [compiler.folder])[0] == "ValueError"
    assert compile_error("core.compile_kernels('80')", [compiler.folder])[0] == "TypeError"
    assert "NVRTC was not found" in compile_error("core.compile_kernels(80)", [])[1]


# ---- with NVIDIA's own


@pytest.mark.slow
def test_nvrtc_compiles_what_is_embedded(tmp_path):
    folders = cuda_fakes.nvidia_folders("libnvrtc.so.*")
    images = ask(
        "[v[:4].decode('latin1') for v in core.compile_kernels(80).values()]",
        folders,
        FTCORE_CACHE=tmp_path,
    )
    assert images == ["\x7fELF"] * COUNT


def test_constants_are_nvidias():
    """csrc/backend/cuda/driver/driver_api.h has them from NVIDIA's cuda.h."""
    (header, *_) = cuda_fakes.nvidia_files("include/cuda.h") or [None]
    if header is None:
        pytest.skip("NVIDIA's cuda.h was not found: pip install nvidia-cuda-runtime")
    program = (
        f'#include "{header}"\n#include "backend/cuda/driver/driver_api.h"\n'
        "#define FT_CU_CONSTANT(ours, nvidias, value) "
        "_Static_assert((int)nvidias == value && ours == value, #nvidias);\n"
        "FT_CU_CONSTANTS(FT_CU_CONSTANT)\n#undef FT_CU_CONSTANT\n"
        # The plain name is mapped to the symbol, whose parameters have the sizes of ours.
        "#define FT_CU_FUNCTION(member, symbol, parameters) void *member = (void *)symbol;\n"
        "FT_CU_FUNCTIONS(FT_CU_FUNCTION)\n"
    )
    subprocess.run(
        [cuda_fakes.compiler(), f"-I{CSRC}", "-x", "c", "-fsyntax-only", "-"],
        input=program,
        text=True,
        check=True,
    )
