"""The CUDA implementations (kernel.cu, *.cuh), and the same source compiled for the host (emulate/). Called through ctypes."""
import ctypes
from collections.abc import Callable

import torch

from ..build import cuda_library
from .interface import HeadGradient, Implementation, Inputs, Outputs, explain
from .problem import Tensors, given_and_results, pointer, pointers

# Design of forward.cuh, and how many blocks share a position.
_DESIGNS = {"two-pass": (0, 1), "online": (1, 1), "cluster-2": (2, 2), "cluster-4": (2, 4), "cluster-8": (2, 8)}
KERNEL_DESIGNS = tuple(_DESIGNS)
_DOES_NOT_FIT = -1
# Sorted pairs that one thread column of the head's gradient adds up; runs that cross its ends are joined by a second kernel.
_PAIRS_PER_CHUNK = 512
_BARRED = torch.iinfo(torch.int32).max


class _Problem(Tensors):
    """struct Problem of position.cuh."""

    _fields_ = [("known", ctypes.c_void_p), ("first_bad", ctypes.c_void_p)] + [
        (name, ctypes.c_int32) for name in ("positions", "size", "vocabulary", "k", "bfloat16", "design", "blocks")
    ]


class _Segments(ctypes.Structure):
    """struct Segments of segments.cuh."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("hidden", "grad_logits", "rows", "pairs", "out", "edges", "edge_rows")] + [
        (name, ctypes.c_int32) for name in ("count", "size", "k", "chunk", "barred", "bfloat16")
    ]


def kernel(design: str, library: Callable[[], ctypes.CDLL] = cuda_library) -> Implementation:
    """An implementation by one design of forward.cuh; `library` is the one for a GPU, or the emulation."""
    return lambda inputs, gradient: run(library(), design, inputs, gradient)


def run(library: ctypes.CDLL, design: str, inputs: Inputs, gradient: HeadGradient, known: torch.Tensor | None = None) -> Outputs:
    """known: float32 [T, k], logits computed elsewhere, NaN for none. Those pairs have no part in dX, then float32, and in dW; their gradients of logits are there."""
    positions, size = inputs.hidden.shape
    k, device = inputs.ids.shape[1], inputs.hidden.device
    if size % 64 or size > 8192:
        raise ValueError(f"sva_head: the CUDA kernels take a hidden size divisible by 64 up to 8192, not {size}")
    given, results = given_and_results(inputs)
    if known is not None:
        results["grad_hidden"] = torch.zeros(positions, size, device=device)
    first_bad = torch.full((1,), positions, dtype=torch.int32, device=device)
    bfloat16 = inputs.hidden.dtype == torch.bfloat16
    problem = _Problem(*pointers(given, results), pointer(known), pointer(first_bad), positions, size, inputs.head.shape[0], k, bfloat16, *_DESIGNS[design])
    code = library.sva_head_forward(ctypes.byref(problem), _stream(device))
    if code == _DOES_NOT_FIT:
        raise ValueError(f"sva_head: k = {k} rows of H = {size} do not fit in the shared memory of the blocks of {design}")
    _launched(code)
    # The sort needs the ids only: it runs while the host waits for the verdict.
    ordered = _sorted_pairs(inputs, known) if gradient.rows or gradient.into is not None else None
    bad = int(first_bad)
    if bad < positions:
        raise explain(inputs, bad)
    ids, rows = _head_rows(library, inputs, results["grad_logits"], ordered, gradient)
    return Outputs(**results, head_ids=ids, head_rows=rows)


def _sorted_pairs(inputs: Inputs, known: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids ascending, those of positions without weight and of known logits last as _BARRED, and the pair (position·k + slot) of each: a stable sort, so one order."""
    left_out = inputs.weight[:, None] == 0
    keys = inputs.ids.masked_fill(left_out if known is None else left_out | torch.isfinite(known), _BARRED)
    return keys.view(-1).sort(stable=True)


def _head_rows(library, inputs: Inputs, grad_logits: torch.Tensor, ordered, gradient: HeadGradient) -> tuple[torch.Tensor, torch.Tensor]:
    device, size = inputs.hidden.device, inputs.hidden.shape[1]
    nothing = torch.zeros(0, dtype=torch.int64, device=device), torch.zeros(0, size, device=device)
    if ordered is None:
        return nothing
    rows, pairs = ordered
    if gradient.into is not None:
        out, ids = gradient.into, None
    else:
        unique, ranks = rows.unique_consecutive(return_inverse=True)
        ids = unique[unique != _BARRED].long()
        out, rows = torch.zeros(len(ids), size, device=device), ranks.int().masked_fill(rows == _BARRED, _BARRED)
    chunks = -(-len(rows) // _PAIRS_PER_CHUNK)
    edges = torch.empty(2 * chunks, size, device=device)
    edge_rows = torch.empty(2 * chunks, dtype=torch.int32, device=device)
    hidden = inputs.hidden.contiguous()
    segments = _Segments(
        pointer(hidden), pointer(grad_logits), pointer(rows), pointer(pairs), pointer(out), pointer(edges), pointer(edge_rows),
        len(rows), size, inputs.ids.shape[1], _PAIRS_PER_CHUNK, _BARRED, hidden.dtype == torch.bfloat16,
    )
    _launched(library.sva_head_accumulate(ctypes.byref(segments), _stream(device)))
    return nothing if ids is None else (ids, out)


def _launched(code: int) -> None:
    if code:
        raise RuntimeError(f"sva_head: CUDA error {code} at launch; run with CUDA_LAUNCH_BLOCKING=1 to find the kernel")


def _stream(device: torch.device) -> ctypes.c_void_p:
    return ctypes.c_void_p(torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else None)
