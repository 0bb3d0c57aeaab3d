"""Builds the C++ and CUDA sources of this folder into shared libraries, and loads them.

    python -m ops.build [--cuda] [--emulated] [--nvcc PATH]      from kernels/; ahead of time, as set-up and images do

A library's file name carries a hash of its sources and of the compiler's options: one of other sources is never loaded. Loading
never builds, except for the emulation, which only tests use.
"""
import argparse
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_BUILT = _HERE / "built"
# One instruction set for all machines of a kind: the same bits on each.
_CPU_OPTIONS = ["-std=c++17", "-O3", "-shared", "-fPIC", "-pthread", *(["-march=x86-64-v3"] if platform.machine() == "x86_64" else [])]
CUDA_OPTIONS = ["-std=c++17", "-O3", "-shared", "-Xcompiler", "-fPIC", "-arch=sm_90a", "--cudart=static"]
_EMULATION_OPTIONS = ["-std=c++17", "-O2", "-shared", "-fPIC", "-x", "c++", "-include", str(_HERE / "emulate" / "cuda_on_host.h")]
CPU_SOURCES = ("sva_head/cpu.cpp",)
CUDA_SOURCES = ("sva_head/kernel.cu", "topk_head/kernel.cu")


class NotBuilt(RuntimeError):
    """The library is not there; the message says how to get it."""


def library_path(kind: str) -> Path:
    """kind: 'cpu', 'cuda' or 'emulated'."""
    sources = [_HERE / name for name in (CPU_SOURCES if kind == "cpu" else CUDA_SOURCES)]
    sources += sorted(_HERE.glob("*/*.h" if kind == "cpu" else "**/*.*h"))
    digest = hashlib.sha256(repr(_options(kind)).replace(str(_HERE), "").encode())
    for source in sources:
        digest.update(source.read_bytes())
    return _BUILT / f"{kind}-{digest.hexdigest()[:16]}.so"


def build(kind: str, compiler: str | None = None) -> Path:
    """The library's path; NotBuilt if there is no compiler or it fails."""
    path = library_path(kind)
    if path.exists():
        return path
    found = compiler or (shutil.which("nvcc") if kind == "cuda" else shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++"))
    if found is None:
        raise NotBuilt(f"there is no {'nvcc' if kind == 'cuda' else 'C++ compiler'} on the PATH to build the {kind} kernels with")
    _BUILT.mkdir(exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    sources = [str(_HERE / name) for name in (CPU_SOURCES if kind == "cpu" else CUDA_SOURCES)]
    ran = subprocess.run([found, *_options(kind), *libraries_beside(found, kind), *sources, "-o", str(partial)], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        partial.unlink(missing_ok=True)
        raise NotBuilt(f"{found} could not build the {kind} kernels:\n{ran.stderr[-4000:]}")
    partial.rename(path)  # whole or not at all
    return path


def libraries_beside(compiler: str, kind: str) -> list[str]:
    """nvcc as a package of pip's looks for its static libraries in lib64, and they are in lib."""
    lib = Path(compiler).resolve().parent.parent / "lib"
    return [f"-L{lib}"] if kind == "cuda" and (lib / "libcudart_static.a").exists() else []


def _options(kind: str) -> list[str]:
    return {"cpu": _CPU_OPTIONS, "cuda": CUDA_OPTIONS, "emulated": _EMULATION_OPTIONS}[kind]


def is_built(kind: str) -> bool:
    return library_path(kind).exists()


@functools.cache
def cpu_library() -> ctypes.CDLL:
    return _load("cpu")


@functools.cache
def cuda_library() -> ctypes.CDLL:
    return _load("cuda")


@functools.cache
def emulated_library() -> ctypes.CDLL:
    """kernel.cu for the host (emulate/), built when it is asked for: for tests of tiny shapes."""
    return ctypes.CDLL(str(build("emulated")))


def _load(kind: str) -> ctypes.CDLL:
    path = library_path(kind)
    if not path.exists():
        raise NotBuilt(f"the {kind} kernels are not built; run `{sys.executable} -m ops.build{' --cuda' if kind == 'cuda' else ''}` in kernels/")
    return ctypes.CDLL(str(path))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuda", action="store_true", help="also for sm_90a")
    parser.add_argument("--emulated", action="store_true", help="also the CUDA sources for the host")
    parser.add_argument("--nvcc", help="the compiler to use instead of the one on the PATH")
    arguments = parser.parse_args()
    for kind in ["cpu", *["cuda"] * arguments.cuda, *["emulated"] * arguments.emulated]:
        print(build(kind, arguments.nvcc if kind == "cuda" else None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
