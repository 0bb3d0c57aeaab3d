"""The head's forward + dX + dW into a zeroed buffer (zeroing untimed), every implementation, over V, T and k."""
import torch

from ..timing import Clock
from .interface import FROZEN, HeadGradient, Inputs
from .op import forward_backward
from .ref import reference

_IMPLEMENTATIONS = {
    "cuda": ("dense", "chunked", "compaction", "hot-rows", "gather-two-pass", "gather-online", "gather-cluster-2", "gather-cluster-4", "gather-cluster-8"),
    "cpu": ("dense", "chunked", "compaction", "gather-cpu"),
}
# T, k, V, H, draw
_SWEEP = [(8192, 64, v, 2048, draw) for v in (151_936, 248_320) for draw in ("zipf", "uniform")]
_SWEEP += [(t, 64, 248_320, 2048, "zipf") for t in (1024, 2048, 4096, 16_384, 32_768, 65_536)]
_SWEEP += [(8192, k, 248_320, 2048, "zipf") for k in (8, 16, 32, 128, 256)]
_SMALL = [(256, 16, 512, 128, "zipf"), (256, 32, 8192, 128, "zipf"), (256, 32, 8192, 128, "uniform"), (256, 32, 32_768, 128, "zipf")]
_CPU = [(512, 64, v, 256, draw) for v in (512, 2048, 8192, 32_768, 151_936) for draw in ("zipf", "uniform")]
# The dense baselines are measured at the shapes and at sizes whose logits fit.
_DENSE_LOGITS = 1 << 32


def draw_inputs(device, dtype, positions, k, vocabulary, size, draw, seed=0) -> Inputs:
    """Zipf: s = 1, distinct within a row (Gumbel top-k), in blocks so that no [T, V] is held."""
    g = torch.Generator(device).manual_seed(seed)
    weights = -torch.arange(1, vocabulary + 1, device=device).log() if draw == "zipf" else torch.zeros(vocabulary, device=device)
    ids = []
    for start in range(0, positions, 256):
        noise = torch.rand(min(256, positions - start), vocabulary, generator=g, device=device).clamp_(1e-20).log_().neg_().log_().neg_()
        ids.append((noise + weights).topk(k, -1).indices.int())
    return Inputs(
        torch.randn(positions, size, generator=g, device=device).to(dtype), (torch.randn(vocabulary, size, generator=g, device=device) * (2 / size**0.5)).to(dtype),
        torch.cat(ids), 2 * torch.randn(positions, k, generator=g, device=device), torch.rand(positions, generator=g, device=device) / positions,
    )


def check(device: torch.device, small: bool) -> list[str]:
    """Against the float64 reference, and bit for bit from run to run. Relative to the largest element: float32 sums of up to H terms, and the element types' rounding."""
    problems = []
    for dtype, size in ((torch.bfloat16, 256 if small else 2048), (torch.bfloat16, 64), (torch.float32, 512 if small else 8192)):
        inputs = draw_inputs(device, dtype, 37, 64, 4001, size, "zipf")
        r = reference(*inputs)
        for name in _IMPLEMENTATIONS[device.type]:
            rounding = 2.0**-8 if dtype == torch.bfloat16 else 0.0
            # On a GPU these two round logits or gradients of logits to bfloat16 on the way: their own error, up to |z| · 2⁻⁸ in a logit.
            coarse = 16 * rounding if name in ("dense", "chunked") or (name in ("compaction", "hot-rows") and device.type == "cuda") else 0.0
            into = [torch.zeros(inputs.head.shape, device=device) for _ in range(2)]
            if not _fits(inputs, name):
                continue
            runs = [forward_backward(inputs, name, HeadGradient(into=buffer)) for buffer in into]
            if not all(torch.equal(a, b) for a, b in zip((*runs[0], into[0]), (*runs[1], into[1]))):
                problems.append(f"{name}, H = {size}, {dtype}: two runs differ")
            for what, ours, exact in (("loss", runs[0].loss, r.loss), ("dX", runs[0].grad_hidden, r.grad_hidden), ("dW", into[0], r.grad_head)):
                error = float((ours.cpu().double() - exact).abs().max() / exact.abs().max())
                allowed = size * 2.0**-24 * 16 + rounding * (what == "dX") + coarse
                if not error <= allowed:
                    problems.append(f"{name}, H = {size}, {dtype}: {what} is off by {error:.2e} of its largest element, {allowed:.2e} is allowed")
    return problems


def _fits(inputs: Inputs, name: str) -> bool:
    """A cluster of few blocks cannot hold many long rows."""
    try:
        forward_backward(Inputs(*(t if t is None or field == "head" else t[:1] for field, t in inputs._asdict().items())), name, FROZEN)
    except ValueError as problem:
        if "do not fit" not in str(problem):
            raise
        return False
    return True


def measure(device: torch.device, small: bool, clock: Clock) -> list[dict]:
    rows = []
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    for shape in _SMALL if small else _SWEEP if device.type == "cuda" else _CPU:
        inputs = draw_inputs(device, dtype, *shape)
        into = torch.zeros(inputs.head.shape, device=device)
        at = dict(zip(("T", "k", "V", "H", "ids"), shape)) | {"unique": len(inputs.ids.unique())}
        times = {}
        for name in _IMPLEMENTATIONS[device.type]:
            if (name == "dense" and shape[0] * shape[2] > _DENSE_LOGITS) or not _fits(inputs, name):
                continue
            measured = clock.row(lambda name=name, inputs=inputs, into=into: forward_backward(inputs, name, HeadGradient(into=into)))
            times[name] = measured["warm ms"]
            rows.append(at | {"implementation": name} | measured | {"of the fastest so far": measured["warm ms"] / min(times.values())})
    return rows
