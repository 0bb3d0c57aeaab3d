"""`npm run check:kernels`: compiles every CUDA source of this folder for sm_90a, all template instances, and links them, without a GPU.

    python -m ops.check --nvcc PATH      from kernels/; one JSON line a kernel: registers, spilled bytes, shared memory

A spill, or a kernel that needs more registers than a block of its size has, is a failure: both would be silent losses of speed or a refused launch.
"""
import argparse
import ctypes
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from .build import CUDA_OPTIONS, CUDA_SOURCES, libraries_beside

_HERE = Path(__file__).parent
_REGISTERS_OF_A_BLOCK = 65_536
_THREADS = {"select": 512}  # all others: 256
_KERNEL = re.compile(r"Compiling entry function '([^']+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers[^\n]*", re.DOTALL)


def kernels_of(report: str) -> list[dict]:
    """From what `nvcc -Xptxas -v` says."""
    found = []
    for match in _KERNEL.finditer(report):
        shared = re.search(r"(\d+) bytes smem", match[0].splitlines()[-1])
        found.append({
            "kernel": _readable(match[1]), "registers": int(match[4]), "spilledBytes": int(match[2]) + int(match[3]),
            "sharedBytes": int(shared[1]) if shared else 0,
        })
    return found


def _readable(mangled: str) -> str:
    """name<dtype, numbers>"""
    names = re.search(r"(two_pass|online|split_columns|sum_chunks|join_edges|select)I(.*?)EEv", mangled)
    if names is None:
        return mangled
    arguments = ["bfloat16" if "BFloat16" in names[2] else "float32", *re.findall(r"Li(\d+)E?", names[2])]
    return f"{names[1]}<{', '.join(arguments)}>"


def problem_of(kernel: dict) -> str | None:
    threads = _THREADS.get(kernel["kernel"].split("<")[0], 256)
    if kernel["spilledBytes"]:
        return f"{kernel['kernel']} spills {kernel['spilledBytes']} bytes of registers"
    if kernel["registers"] * threads > _REGISTERS_OF_A_BLOCK:
        return f"{kernel['kernel']} needs {kernel['registers']} registers in {threads} threads: it cannot be launched"
    return None


def link_problems(nvcc: str, folder: str) -> list[str]:
    """As images link them ahead of time: one library, which a machine without a GPU loads too."""
    library, objects = f"{folder}/cuda.so", [f"{folder}/{i}.o" for i in range(len(CUDA_SOURCES))]
    linked = subprocess.run([nvcc, *CUDA_OPTIONS, *libraries_beside(nvcc, "cuda"), *objects, "-o", library], capture_output=True, text=True, check=False)
    if linked.returncode != 0:
        return [f"the kernels do not link:\n{linked.stderr}"]
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return [f"the linked kernels do not load: {error}"]
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nvcc", required=True)
    nvcc = parser.parse_args().nvcc
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        running = [
            (source, subprocess.Popen(
                [nvcc, "-std=c++17", "-O3", "-arch=sm_90a", "-Xcompiler", "-fPIC", "-Xptxas", "-v", "-Werror", "all-warnings", "-c", str(_HERE / source), "-o", f"{scratch}/{i}.o"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
            for i, source in enumerate(CUDA_SOURCES)
        ]
        for source, process in running:
            report, _ = process.communicate()
            kernels = kernels_of(report)
            for kernel in kernels:
                print(json.dumps({"source": source, **kernel}))
            problems += [problem for problem in map(problem_of, kernels) if problem]
            if process.returncode != 0 or not kernels:
                problems.append(f"{source} does not compile for sm_90a:\n{report}")
        problems += [] if problems else link_problems(nvcc, scratch)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{'FAILED' if problems else 'ok'}: {len(CUDA_SOURCES)} CUDA sources for sm_90a, {len(problems)} problems", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
