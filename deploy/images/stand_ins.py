"""Stand-ins for NVIDIA's libraries that PyTorch's own libraries ask for by name, so that the published PyTorch loads where there is no GPU.

    python stand-ins.py SITE_PACKAGES

PyTorch's wheel for Linux links against 3 GB of NVIDIA libraries that a CPU never calls. Each of them that is not there gets a library of
its name with the functions that PyTorch imports; one that is called says so and ends the process. PyTorch itself is not touched: a CPU
image computes with the same machine code as any other installation of the same pin, so it ends in the same weights.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Asked for what it is at import, and answered: none.
_ANSWERED = {"cudnnGetVersion": "0", "cudnnGetCudartVersion": "0"}
# Libraries without symbol versions: whose functions begin so.
_PREFIXES = {"libnccl.so.2": "nccl", "libcudnn.so.9": "cudnn", "libnvshmem_host.so.3": "nvshmem", "libcusparseLt.so.0": "cusparseLt", "libnvrtc.so.13": "nvrtc", "libcurand.so.10": "curand", "libcufile.so.0": "cuFile"}
_OF_THE_SYSTEM = re.compile(r"^(ld-linux|lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s|gomp)\.so|libcuda\.so)")


def _read(option: str, library: Path) -> str:
    return subprocess.run(["readelf", "--wide", option, str(library)], capture_output=True, text=True, check=True).stdout


def main() -> int:
    site = Path(sys.argv[1])
    libraries = sorted((site / "torch" / "lib").glob("*.so*"))
    present = {path.name for path in [*libraries, *site.glob("nvidia/*/lib/*.so*")]}
    needed, imported = set(), set()
    for library in libraries:
        needed |= set(re.findall(r"\(NEEDED\).*\[(.+)\]", _read("--dynamic", library)))
        for line in _read("--dyn-syms", library).splitlines():
            found = re.search(r"\b(FUNC|OBJECT|NOTYPE)\s+(GLOBAL|WEAK)\s+DEFAULT\s+UND\s+(\S+)", line)
            if found:
                imported.add((found[1], *(re.split("@+", found[3]) + [""])[:2]))
    for name in sorted(n for n in needed - present if not _OF_THE_SYSTEM.match(n)):
        prefix = _PREFIXES.get(name, "\0")
        _write(site, name, sorted({(symbol, version) for _, symbol, version in imported if version == name or symbol.startswith(prefix)}))
    return 0


def _write(site: Path, name: str, symbols: list[tuple[str, str]]) -> None:
    folder = site / "nvidia" / "cu13" / "lib"
    folder.mkdir(parents=True, exist_ok=True)
    code = ["#include <stdio.h>", "#include <stdlib.h>"]
    for symbol, _ in symbols:
        body = f"return {_ANSWERED[symbol]};" if symbol in _ANSWERED else f'fputs("{symbol}: this image computes on CPUs only and has no {name}; use the CUDA image.\\n", stderr); abort();'
        code.append(f"long {symbol}(void) {{ {body} }}")
    versions = {version for _, version in symbols if version}
    script = "".join(f"{version} {{ global: {' '.join(f'{s};' for s, v in symbols if v == version)} }};\n" for version in sorted(versions))
    with tempfile.TemporaryDirectory() as scratch:
        source, version_script = Path(scratch) / "it.c", Path(scratch) / "it.map"
        source.write_text("\n".join(code) + "\n", encoding="utf-8")
        version_script.write_text(script, encoding="utf-8")
        with_versions = [f"-Wl,--version-script={version_script}"] if versions else []
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", f"-Wl,-soname,{name}", *with_versions, "-o", str(folder / name), str(source)], check=True)
    print(f"{name}: {len(symbols)} functions")


if __name__ == "__main__":
    sys.exit(main())
