"""Small problems through every CUDA kernel, for compute-sanitizer to watch; and the run of it.

    python -m ops.sanitized      from kernels/, on a GPU: what compute-sanitizer runs
"""
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from .sva_head.bench import draw_inputs
from .sva_head.gpu import KERNEL_DESIGNS
from .sva_head.interface import HeadGradient
from .sva_head.op import forward_backward
from .topk_head.op import topk_head

_KERNELS = Path(__file__).resolve().parents[1]
TOOLS = ("memcheck", "racecheck")
_FOUND = 9
_TIMEOUT_SECONDS = 60


def main() -> int:
    device = torch.device("cuda")
    for dtype, size, k in ((torch.bfloat16, 192, 33), (torch.float32, 448, 5)):
        inputs = draw_inputs(device, dtype, 7, k, 501, size, "zipf")
        for design in (*(f"gather-{name}" for name in KERNEL_DESIGNS), "hot-rows"):
            forward_backward(inputs, design, HeadGradient(into=torch.zeros(inputs.head.shape, device=device)))
        topk_head(inputs.hidden, inputs.head, k, with_lse=True)
    torch.cuda.synchronize()
    return 0


def verdict(tool: str, command: list[str] | None = None) -> str:
    """One line: clean, what was found, or the error that forbids the tool here. Never raises: a device that refuses it is no wrong kernel."""
    found = shutil.which("compute-sanitizer")
    if command is None and found is None:
        return f"{tool}: not run: there is no compute-sanitizer on the PATH"
    command = command or [str(found), "--tool", tool, "--error-exitcode", str(_FOUND), sys.executable, "-m", "ops.sanitized"]
    try:
        ran = subprocess.run(command, cwd=_KERNELS, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"{tool}: not run to its end within {_TIMEOUT_SECONDS} s"
    said = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
    summary = next((line.strip("= ") for line in reversed(said) if "SUMMARY" in line), None)
    if ran.returncode == 0 and summary is not None:
        return f"{tool}: clean ({summary})"
    if ran.returncode == _FOUND and summary is not None:
        return f"{tool}: FOUND ({summary}): {' | '.join(said[:6])[:600]}"
    return f"{tool}: not run: exit code {ran.returncode}, {' | '.join(said[-4:])[:600]}"


if __name__ == "__main__":
    sys.exit(main())
