"""What may change the last bit of a result: runs with different fingerprints may differ."""
import functools
import json
import platform
import resource

import torch

from .errors import SidecarError
from .head_choice import head_rule, top_k_rule
from .utilization import Utilization


def choose_device(name: str) -> torch.device:
    """'cpu', 'cuda' or 'auto'. UNSUPPORTED if CUDA is asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise SidecarError("UNSUPPORTED", "--device cuda: no CUDA device is usable here; use --device cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def fingerprint(device: torch.device, threads: int) -> dict:
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "dtype": "float32", "torch": torch.__version__, "threads": threads, "machine": platform.machine(),
        "cpuCapability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda if device.type == "cuda" else None, "svaHead": "/".join(map(str, head_rule(device))), "format": 1,
        **({"topKHead": "/".join(map(str, top_k_rule(device)))} if device.type == "cuda" else {}),
    }


def fingerprint_json(device: torch.device, threads: int) -> str:
    return json.dumps(fingerprint(device, threads), sort_keys=True, separators=(",", ":"))


def device_memory(device: torch.device) -> tuple[int, int] | None:
    """Free and total bytes of the GPU, as its driver counts them; None on a CPU."""
    return torch.cuda.mem_get_info(device) if device.type == "cuda" else None


@functools.cache
def _utilization_of(device: torch.device) -> Utilization:
    return Utilization(str(torch.cuda.get_device_properties(device).uuid))


def device_utilization(device: torch.device) -> float | None:
    return _utilization_of(device).ratio() if device.type == "cuda" else None


def peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
