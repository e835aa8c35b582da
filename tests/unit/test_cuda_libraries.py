"""How NVIDIA's libraries are found, and what is said where they are not: with stand-ins."""

import os

import cuda_fakes
import pytest
from cuda_fakes import ask, build

LIBRARIES = "core.cuda_libraries()"


def test_nothing_is_there(tmp_path):
    found = ask(LIBRARIES)
    assert {name: (x["path"], x["version"]) for name, x in found.items()} == {
        "driver": (None, None),
        "nvrtc": (None, None),
        "cudnn": (None, None),
        "cublaslt": (None, None),
    }
    assert "there is no NVIDIA driver here" in found["driver"]["error"]
    assert "pip install nvidia-cuda-nvrtc" in found["nvrtc"]["error"]
    assert "pip install nvidia-cudnn-cu12" in found["cudnn"]["error"]
    assert ask("core.cuda_devices()") == []


def test_folders_are_searched(tmp_path):
    cuda_fakes.driver(tmp_path / "a")
    cuda_fakes.nvrtc(tmp_path / "b")
    cuda_fakes.cudnn(tmp_path / "c")
    cuda_fakes.cublaslt(tmp_path / "d")
    found = ask(LIBRARIES, [tmp_path / x for x in "abcd"])
    assert found == {
        "driver": {"path": str(tmp_path / "a/libcuda.so.1"), "version": "13.0", "error": None},
        "nvrtc": {"path": str(tmp_path / "b/libnvrtc.so.13"), "version": "13.5", "error": None},
        "cudnn": {"path": str(tmp_path / "c/libcudnn.so.9"), "version": "9.18.1", "error": None},
        "cublaslt": {
            "path": str(tmp_path / "d/libcublasLt.so.13"),
            "version": "13.0.1",
            "error": None,
        },
    }


def test_what_the_process_has_loaded_comes_first(tmp_path):
    loaded = cuda_fakes.nvrtc(tmp_path / "torch")
    cuda_fakes.nvrtc(tmp_path / "folder")
    found = ask(
        LIBRARIES, [tmp_path / "folder"], before=f"import ctypes; ctypes.CDLL({str(loaded)!r})"
    )
    assert found["nvrtc"]["path"] == str(loaded)


def test_folders_come_before_the_system(tmp_path):
    cuda_fakes.driver(tmp_path / "folder")
    cuda_fakes.driver(tmp_path / "system")
    system = {"LD_LIBRARY_PATH": tmp_path / "system"}
    path = "core.cuda_libraries()['driver']['path']"
    assert ask(path, [tmp_path / "folder"], **system) == str(tmp_path / "folder/libcuda.so.1")
    assert ask(path, **system) == str(tmp_path / "system/libcuda.so.1")


def test_what_was_not_found_is_looked_for_again(tmp_path):
    cuda_fakes.driver(tmp_path)
    first, second = ask(
        f"[before['driver']['error'], (core.set_library_folders([{str(tmp_path)!r}]), "
        f"core.cuda_libraries()['driver']['error'])[1]]",
        before=f"before = {LIBRARIES}",
    )
    assert first and second is None


@pytest.mark.parametrize("major", [12, 13])
def test_nvrtc_is_the_one_that_goes_with_cudnn(tmp_path, major):
    for each in (12, 13):
        cuda_fakes.nvrtc(tmp_path, each)
        cuda_fakes.cublaslt(tmp_path, each)
    cuda_fakes.cudnn(tmp_path, major)
    found = ask(LIBRARIES, [tmp_path])
    assert found["nvrtc"]["version"] == f"{major}.5"
    assert found["cudnn"]["error"] is None


def test_without_cudnn_nvrtc_is_the_one_that_the_driver_runs(tmp_path):
    for each in (12, 13):
        cuda_fakes.nvrtc(tmp_path, each)
    cuda_fakes.driver(tmp_path)
    assert ask(LIBRARIES, [tmp_path], FAKE_VERSION=12040)["nvrtc"]["version"] == "12.5"
    assert ask(LIBRARIES, [tmp_path], FAKE_VERSION=13010)["nvrtc"]["version"] == "13.5"


def test_cudnn_without_cublaslt_is_refused_rather_than_left_to_abort(tmp_path):
    cuda_fakes.cudnn(tmp_path, 12)
    cuda_fakes.cublaslt(tmp_path, 13)
    found = ask(LIBRARIES, [tmp_path])
    assert found["cudnn"]["version"] == "9.18.1"
    missing = "libcublasLt.so.12 was not found: pip install nvidia-cublas-cu12"
    assert found["cublaslt"] == {"path": None, "version": None, "error": missing}
    assert found["cudnn"]["error"] == f"cuDNN 9.18.1 needs cuBLASLt: {missing}"


@pytest.mark.parametrize(("version", "old"), [(91001, True), (91002, False)])
def test_a_cudnn_that_is_too_old_is_refused(tmp_path, version, old):
    cuda_fakes.cudnn(tmp_path, 12, version)
    cuda_fakes.cublaslt(tmp_path, 12)
    error = ask(LIBRARIES, [tmp_path])["cudnn"]["error"]
    assert (error is not None) == old
    if old:
        assert error.startswith("cuDNN 9.10.1 (") and "pip install -U nvidia-cudnn-cu12" in error


def test_nvrtc_finds_its_builtins(tmp_path):
    """They are loaded from beside it, those for other versions not."""
    cuda_fakes.nvrtc(tmp_path)
    for name in ("builtins.so.13.5", "builtins.alt.so.13.5", "builtins.so.12.9"):
        build(tmp_path, f"libnvrtc-{name}", "int fake;")
    maps = ask("open('/proc/self/maps').read()", [tmp_path], before=LIBRARIES)
    assert "libnvrtc-builtins.so.13.5" in maps
    assert "libnvrtc-builtins.alt" not in maps and "libnvrtc-builtins.so.12" not in maps


def test_a_file_that_is_no_library_is_told(tmp_path):
    (tmp_path / "libcudnn.so.9").write_text("<html>404</html>")
    cudnn = ask(LIBRARIES, [tmp_path])["cudnn"]
    assert cudnn["path"] is None
    assert str(tmp_path / "libcudnn.so.9") in cudnn["error"]


def test_a_library_of_that_name_that_is_not_nvidias_is_told(tmp_path):
    for name in ("libcuda.so.1", "libcudnn.so.9", "libnvrtc.so.13"):
        build(tmp_path, name, "int nothing;")
    errors = {name: x["error"] for name, x in ask(LIBRARIES, [tmp_path]).items()}
    assert errors.pop("cublaslt") == "cuBLASLt is taken with cuDNN, which cannot be used"
    assert all("is not NVIDIA's: it has no " in error for error in errors.values())


def test_torch_for_amd(tmp_path):
    loaded = build(tmp_path, "libamdhip64.so", "int nothing;")
    error = ask(
        "core.cuda_libraries()['driver']['error']",
        before=f"import ctypes; ctypes.CDLL({str(loaded)!r})",
    )
    assert "ROCm" in error


def test_folders_that_make_no_sense_do_no_harm(tmp_path):
    folders = [tmp_path / "none", "", "/" + "x" * 5000, "\udcff", tmp_path]
    cuda_fakes.driver(tmp_path)
    assert ask(LIBRARIES, folders)["driver"]["error"] is None


@pytest.mark.parametrize(
    ("folders", "error"),
    [("a/b", TypeError), (3, TypeError), ([3], TypeError), (["a\0b"], ValueError)],
)
def test_what_is_no_list_of_folders_is_refused(folders, error):
    from ftcore import _core

    with pytest.raises(error):
        _core.set_library_folders(folders)


# ---- GPUs


def devices(tmp_path, **environment):
    cuda_fakes.driver(tmp_path)
    return ask("core.cuda_devices()", [tmp_path], **environment)


def backend_error(tmp_path, name="cuda", **environment):
    """What making the backend fails with."""
    return ask(
        "error",
        [tmp_path],
        before=f"try: core.Backend({name!r})\n"
        "except Exception as e: error = [type(e).__name__, str(e)]",
        **environment,
    )


def test_devices(tmp_path):
    assert devices(tmp_path, FAKE_DEVICES=2) == [
        {
            "index": i,
            "name": f"NVIDIA Fake {i}",
            "capability": [8, 0],
            "memory": 15 << 30,
            "usable": True,
            "reason": None,
        }
        for i in range(2)
    ]
    assert devices(tmp_path, FAKE_CAPABILITY=120)[0]["capability"] == [12, 0]


def test_a_driver_without_devices(tmp_path):
    assert devices(tmp_path, FAKE_DEVICES=0) == []


def test_a_gpu_that_is_too_old_is_named(tmp_path):
    (gpu,) = devices(tmp_path, FAKE_CAPABILITY=70)
    assert not gpu["usable"]
    assert gpu["reason"] == (
        "NVIDIA Fake 0 (sm_70) is not supported: ftcore needs compute capability 7.5 (T4) or "
        "newer; train on the CPU"
    )


def test_a_driver_that_is_older_than_nvrtc(tmp_path):
    cuda_fakes.nvrtc(tmp_path)
    (gpu,) = devices(tmp_path, FAKE_VERSION=12040)
    assert not gpu["usable"]
    assert "the NVIDIA driver runs CUDA 12.4, and NVRTC is that of CUDA 13.5" in gpu["reason"]


def test_a_driver_that_is_too_old(tmp_path):
    assert devices(tmp_path, FAKE_VERSION=11080) == []
    error = ask("core.cuda_libraries()['driver']['error']", [tmp_path], FAKE_VERSION=11080)
    assert "the NVIDIA driver runs CUDA 11.8: ftcore needs one for CUDA 12.0" in error


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (100, "does CUDA_VISIBLE_DEVICES show it?"),
        (803, "restart the machine"),
        (999, "CUDA error 999, CUDA_ERROR_FAKE (it is a fake)"),
    ],
)
def test_a_driver_that_does_not_start(tmp_path, code, advice):
    assert devices(tmp_path, FAKE_INIT=code) == []
    driver = ask("core.cuda_libraries()['driver']", [tmp_path], FAKE_INIT=code)
    assert driver["path"] == str(tmp_path / "libcuda.so.1")
    assert driver["error"].startswith("starting the NVIDIA driver: ")
    assert advice in driver["error"]


def test_a_device_that_does_not_answer(tmp_path):
    (gpu,) = devices(tmp_path, FAKE_NAME=999)
    assert not gpu["usable"]
    assert "asking for GPU 0's name" in gpu["reason"]


def test_a_driver_that_lacks_a_function(tmp_path):
    source = cuda_fakes.driver_source().replace("cuGraphLaunch", "cuGraphLaunch_old")
    build(tmp_path, "libcuda.so.1", source)
    assert "has no cuGraphLaunch" in ask("core.cuda_libraries()['driver']['error']", [tmp_path])


def test_a_forked_process_is_told_that_it_cannot_use_the_gpu(tmp_path):
    cuda_fakes.driver(tmp_path)
    before = (
        "import os\ncore.cuda_devices()\nread, write = os.pipe()\nchild = os.fork()\n"
        "if child == 0:\n    os.write(write, core.cuda_libraries()['driver']['error'].encode())\n"
        "    os._exit(0)\nos.waitpid(child, 0)"
    )
    assert "'spawn'" in ask("os.read(read, 1000).decode()", [tmp_path], before)


# ---- the backend, as far as what is missing


def test_the_backend_says_what_is_missing(tmp_path):
    kind, text = backend_error(tmp_path)
    assert kind == "RuntimeError"
    assert text.startswith("backend 'cuda:0': there is no NVIDIA driver here")
    cuda_fakes.driver(tmp_path)
    assert "pip install nvidia-cudnn-cu12" in backend_error(tmp_path)[1]
    cuda_fakes.cudnn(tmp_path)
    assert "needs cuBLASLt: libcublasLt.so.13" in backend_error(tmp_path)[1]
    cuda_fakes.cublaslt(tmp_path)
    assert "pip install nvidia-cuda-nvrtc" in backend_error(tmp_path)[1]
    cuda_fakes.nvrtc(tmp_path)
    assert backend_error(tmp_path)[1].startswith(
        "backend 'cuda:0': starting NVIDIA Fake 0: CUDA error 801"
    )


def test_the_backend_refuses_a_gpu_that_will_not_do(tmp_path):
    cuda_fakes.driver(tmp_path)
    kind, text = backend_error(tmp_path, FAKE_CAPABILITY=61)
    assert kind == "RuntimeError" and "NVIDIA Fake 0 (sm_61) is not supported" in text
    kind, text = backend_error(tmp_path, "cuda:3")
    assert kind == "ValueError" and "there is no 'cuda:3'" in text
    assert "shows no GPU" in backend_error(tmp_path, FAKE_DEVICES=0)[1]


@pytest.mark.parametrize("name", ["cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda0", "cuda:99999"])
def test_names_that_are_no_device(name):
    from ftcore import _core

    with pytest.raises(ValueError, match="unknown backend"):
        _core.Backend(name)


def test_a_system_with_a_driver_of_its_own_is_no_surprise():
    """Whatever is here, nothing raises."""
    if not os.path.exists("/dev/nvidia0"):
        assert ask("core.cuda_devices()") == []
