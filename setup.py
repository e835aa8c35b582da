"""Builds ``ftcore._core`` from ``csrc/``.

oneDNN is looked for in this order: ``ONEDNN_ROOT`` (a prefix holding ``include/`` and ``lib/``),
the PyPI wheels named in ``pyproject.toml`` (their library is copied beside the extension), and
``pkg-config dnnl``. With none of them the extension holds the reference backend only.

``FTCORE_SANITIZE=address,undefined`` builds with those sanitizers, unoptimised.
"""

import importlib.metadata
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import sysconfig

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = pathlib.Path(__file__).resolve().parent
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
SANITIZE = os.environ.get("FTCORE_SANITIZE", "")


class OneDNN:
    """Where oneDNN's headers and library are, and whether its library travels with ours."""

    def __init__(self, origin, include_dirs, link_args, bundled=None, licenses=()):
        self.origin = origin
        self.include_dirs = include_dirs
        self.link_args = link_args
        self.bundled = bundled
        self.licenses = licenses


def onednn_from_root():
    root = os.environ.get("ONEDNN_ROOT")
    if not root:
        return None
    prefix = pathlib.Path(root).resolve()
    if not (prefix / "include" / "oneapi" / "dnnl" / "dnnl.h").exists():
        raise SystemExit(f"ONEDNN_ROOT={root} holds no include/oneapi/dnnl/dnnl.h")
    for name in ("lib", "lib64"):
        if list((prefix / name).glob("libdnnl.*")):
            lib = prefix / name
            return OneDNN(
                root, [str(prefix / "include")], [f"-L{lib}", f"-Wl,-rpath,{lib}", "-ldnnl"]
            )
    raise SystemExit(f"ONEDNN_ROOT={root} holds no libdnnl in lib or lib64")


def onednn_from_wheels():
    include = library = None
    licenses = []
    for distribution in ("onednn-devel-cpu-gomp", "onednn-cpu-gomp"):
        try:
            files = importlib.metadata.files(distribution) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            path = pathlib.Path(file.locate()).resolve()
            if file.as_posix().endswith("include/oneapi/dnnl/dnnl.h"):
                include = path.parents[2]
            elif file.name == "libdnnl.so.3":
                library = path
            elif file.name in ("LICENSE", "THIRD-PARTY-PROGRAMS"):
                licenses.append(path)
    if not (include and library and include.exists() and library.exists()):
        return None
    return OneDNN(
        f"PyPI wheel {library}",
        [str(include)],
        [str(library), "-Wl,-rpath,$ORIGIN"],
        library,
        licenses,
    )


def onednn_from_pkg_config():
    tool = shutil.which("pkg-config")
    if tool is None or subprocess.run([tool, "--exists", "dnnl >= 3.2"]).returncode:
        return None

    def ask(option):
        return shlex.split(subprocess.check_output([tool, option, "dnnl"], text=True))

    return OneDNN("pkg-config dnnl", [a[2:] for a in ask("--cflags-only-I")], ask("--libs"))


def find_onednn():
    return onednn_from_root() or onednn_from_wheels() or onednn_from_pkg_config()


class BuildExtension(build_ext):
    """Adds oneDNN at build time (metadata commands need none of it) and bundles its library."""

    def finalize_options(self):
        super().finalize_options()
        self.force = True  # objects of another oneDNN or of other sanitizers are not to be reused

    def build_extensions(self):
        onednn = find_onednn()
        (extension,) = self.extensions
        if onednn is None:
            print(
                "ftcore: oneDNN not found (ONEDNN_ROOT, PyPI wheels, pkg-config): building the "
                "reference backend only, which is slow",
                file=sys.stderr,
            )
        else:
            print(f"ftcore: oneDNN from {onednn.origin}", file=sys.stderr)
            extension.sources += sources("csrc/backend/cpu")
            extension.define_macros.append(("FT_HAVE_ONEDNN", "1"))
            extension.include_dirs += onednn.include_dirs
            extension.extra_compile_args.append("-fopenmp")
            extension.extra_link_args += [*onednn.link_args, "-fopenmp"]
        super().build_extensions()
        self.onednn = onednn
        self.bundle(pathlib.Path(self.get_ext_fullpath(extension.name)).parent)

    def copy_extensions_to_source(self):
        super().copy_extensions_to_source()
        self.bundle(ROOT / "ftcore")

    def bundle(self, folder):
        """Copies the wheels' oneDNN, with its licences, beside the extension, and clears away
        what an earlier build with another oneDNN left there."""
        library, notices = folder / "libdnnl.so.3", folder / "licenses"
        library.unlink(missing_ok=True)
        shutil.rmtree(notices, ignore_errors=True)
        if self.onednn is None or self.onednn.bundled is None:
            return
        shutil.copyfile(self.onednn.bundled, library)
        notices.mkdir()
        for path in self.onednn.licenses:
            shutil.copyfile(path, notices / f"onednn-{path.name}")


def sources(folder):
    return sorted(str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*.c"))


def core():
    macros = [
        ("NPY_NO_DEPRECATED_API", "NPY_1_25_API_VERSION"),
        ("NPY_TARGET_VERSION", "NPY_1_25_API_VERSION"),
    ]
    if not FREE_THREADED:
        macros.append(("Py_LIMITED_API", "0x030B0000"))
    compile_args = [
        "-std=gnu11",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        "-fno-math-errno",
        "-fno-trapping-math",
    ]
    link_args = ["-ldl"] if sys.platform == "linux" else []
    if SANITIZE:
        flags = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]
        compile_args += ["-O1", "-g", "-UNDEBUG", *flags]
        link_args += flags
    else:
        compile_args += ["-O3", "-g0"]
    return Extension(
        "ftcore._core",
        sources=[s for s in sources("csrc") if not s.startswith("csrc/backend/cpu")],
        depends=[
            str(p.relative_to(ROOT))
            for suffix in ("h", "cuh", "cu")  # kernels are part of an object: kernel_sources.c
            for p in sorted((ROOT / "csrc").rglob(f"*.{suffix}"))
        ],
        include_dirs=["csrc", numpy.get_include()],
        define_macros=macros,
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        py_limited_api=not FREE_THREADED,
    )


setup(
    ext_modules=[core()],
    cmdclass={"build_ext": BuildExtension},
    options={} if FREE_THREADED else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
