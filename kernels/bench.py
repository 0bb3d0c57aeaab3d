"""Measures the kernels of ops/ against their baselines, correctness first.

    python kernels/bench.py --all --out DIR                        one GPU, under 8 minutes
    python kernels/bench.py --all --device cpu --small --out DIR   a reduced run without a GPU

Writes DIR/bench.json and DIR/bench.md. Exit code 1 if a result is wrong (no time is reported for it) or compute-sanitizer found something.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ops import sanitized
from ops.build import build
from ops.sva_head import bench as sva_head
from ops.timing import Clock
from ops.topk_head import bench as topk_head

_OPERATORS = {"sva_head": sva_head, "topk_head": topk_head}


def machine(device: torch.device) -> dict:
    """What the numbers hold for. On a GPU its clocks, as the driver says them, before and after."""
    if device.type == "cpu":
        return {"device": "cpu", "threads": torch.get_num_threads(), "capability": torch.backends.cpu.get_cpu_capability(), "torch": torch.__version__}
    fields = "name,clocks.sm,clocks.mem,clocks.max.sm,power.limit,driver_version"
    asked = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], capture_output=True, text=True, check=False)
    return {"device": torch.cuda.get_device_name(device), "cuda": torch.version.cuda, "torch": torch.__version__, "clocks": asked.stdout.strip() or asked.stderr.strip()}


def table(rows: list[dict]) -> str:
    """Markdown; every key of any row is a column."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def cell(value) -> str:
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    lines = [columns, ["---"] * len(columns), *([cell(row.get(c, "")) for c in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every operator")
    parser.add_argument("--op", choices=sorted(_OPERATORS), action="append", default=[])
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--small", action="store_true", help="small shapes, few repetitions: shows that the harness works")
    parser.add_argument("--nvcc", help="the compiler to build the CUDA kernels with, if not the one on the PATH")
    arguments = parser.parse_args()
    if not arguments.all and not arguments.op:
        parser.error("--all or --op")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; --device cpu --small shows that the harness works")
    device = torch.device(arguments.device)
    build("cuda" if device.type == "cuda" else "cpu", arguments.nvcc if device.type == "cuda" else None)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False

    names = sorted(_OPERATORS) if arguments.all else arguments.op
    result: dict = {"command": " ".join(sys.argv), "before": machine(device), "operators": {}}
    wrong: list[str] = []
    for name in names:
        problems = _OPERATORS[name].check(device, arguments.small)
        wrong += problems
        rows = [] if problems else _OPERATORS[name].measure(device, arguments.small, Clock(device, 3 if arguments.small else 50))
        result["operators"][name] = {"problems": problems, "rows": rows}
    result["after"] = machine(device)
    result["sanitizer"] = [sanitized.verdict(tool) for tool in sanitized.TOOLS] if device.type == "cuda" else []
    wrong += [line for line in result["sanitizer"] if "FOUND" in line]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "bench.json").write_text(json.dumps(result, indent=1))
    text = [f"`{result['command']}`", f"before: {result['before']}", f"after: {result['after']}", *(f"compute-sanitizer {line}" for line in result["sanitizer"])]
    for name, found in result["operators"].items():
        text += [f"## {name}", "\n".join(found["problems"]) or table(found["rows"])]
    (arguments.out / "bench.md").write_text("\n\n".join(text) + "\n")
    print((arguments.out / "bench.md").read_text())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
