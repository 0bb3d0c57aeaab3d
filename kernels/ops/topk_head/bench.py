"""A teacher's top-k against the bare product that it cannot do without."""
import torch
import torch.nn.functional as F

from ..timing import Clock
from .op import SELECTS, topk_head
from .ref import select

_WAYS = {"cuda": ("torch", "bounded-cuda"), "cpu": ("torch",)}


def check(device: torch.device, small: bool) -> list[str]:
    """Bit for bit the reference's ids and values on rows with ties."""
    g = torch.Generator(device).manual_seed(0)
    problems = []
    for dtype in (torch.float32, torch.bfloat16):
        logits = torch.randn(8, 2000 if small else 20_001, generator=g, device=device).mul(4).round().div(4).to(dtype)
        ids, values = select(logits.cpu(), 64)
        for way in _WAYS[device.type]:
            chosen = SELECTS[way](logits, 64, None, True)
            if chosen.ids.tolist() != ids.tolist() or not torch.equal(chosen.values.cpu(), values.float()):
                problems.append(f"{way}, {dtype}: not the reference's top-k")
    return problems


def measure(device: torch.device, small: bool, clock: Clock) -> list[dict]:
    rows = []
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    shapes = [(128, 16, 8192, 128)] if small else [(8192, 64, 151_936, 2048), (8192, 64, 248_320, 2048)] if device.type == "cuda" else [(256, 64, 151_936, 256)]
    for positions, k, vocabulary, size in shapes:
        g = torch.Generator(device).manual_seed(0)
        hidden = torch.randn(positions, size, generator=g, device=device).to(dtype)
        head = (torch.randn(vocabulary, size, generator=g, device=device) / size**0.5).to(dtype)
        at = {"T": positions, "k": k, "V": vocabulary, "H": size}
        bare = clock.row(lambda hidden=hidden, head=head: [F.linear(part, head) for part in hidden.split(1024)])
        rows.append(at | {"implementation": "bare product in chunks"} | bare)
        for way in _WAYS[device.type]:
            for with_lse in (False, True):
                measured = clock.row(lambda way=way, with_lse=with_lse, hidden=hidden, head=head, k=k: topk_head(hidden, head, k, with_lse=with_lse, select=way))
                rows.append(at | {"implementation": f"{way}{' + mass' if with_lse else ''}"} | measured | {"of the bare product": measured["warm ms"] / bare["warm ms"]})
    return rows
