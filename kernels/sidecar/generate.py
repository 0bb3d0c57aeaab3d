"""Generates sidecar/gen from proto/: `python sidecar/generate.py`, from any directory. Replaces what is there."""
import shutil
import sys
from importlib.resources import files
from pathlib import Path


def generate() -> int:
    """Returns the number of .proto files compiled; SystemExit with a message when the compiler refuses."""
    from grpc_tools import protoc

    here = Path(__file__).resolve().parent
    proto = here.parent.parent / "proto"
    sources = sorted((proto / "stemma").rglob("*.proto"))
    if not sources:
        raise SystemExit(f"generate: no .proto files under {proto}")
    target, fresh = here / "gen", here / "gen.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    includes = [f"-I{proto}", f"-I{files('grpc_tools') / '_proto'}"]
    outputs = [f"--python_out={fresh}", f"--grpc_python_out={fresh}"]
    code = protoc.main(["protoc", *includes, *outputs, *map(str, sources)])
    if code != 0:
        raise SystemExit(f"generate: protoc failed with code {code}")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return len(sources)


if __name__ == "__main__":
    # Run as a script, this folder is first on the path and its modules would shadow installed ones.
    sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]
    print(f"generated {generate()} protocol files")
