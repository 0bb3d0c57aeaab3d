"""A teacher's top-k of the head's logits in chunks of positions: [T, V] is never held. Ties go to the lower id."""
import ctypes
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..build import cuda_library, emulated_library
from .top_k import top_k

MAX_TOP_K = 256
# Logits held at once: 1 GiB of bfloat16 on a GPU, where a product needs a thousand rows to be fast; 64 MiB of float32 on a CPU.
_CHUNK_ELEMENTS = {"cuda": 1 << 29, "cpu": 1 << 24}


class TopK(NamedTuple):
    ids: torch.Tensor  # int32 [T, k]
    values: torch.Tensor  # float32 [T, k], logits, descending
    lse: torch.Tensor  # float32 [T], over the whole vocabulary, barred ids too: exp(values − lse) sums to the mass on the ids; empty if not asked for


# (logits [n, V], k, barred bool [V] or None, with_lse) → TopK
Select = Callable[[torch.Tensor, int, torch.Tensor | None, bool], TopK]


class RowProblem(ValueError):
    def __init__(self, position: int, message: str):
        super().__init__(f"position {position}: {message}")
        self.position = position


@torch.no_grad()
def topk_head(hidden: torch.Tensor, head: torch.Tensor, k: int, *, barred: torch.Tensor | None = None, with_lse: bool = False, select: str | None = None) -> TopK:
    """hidden [T, H], head [V, H] of one dtype. `select`: a key of SELECTS, by default the fastest of the device.
    ValueError for k; RowProblem names a position whose logits are not finite or that has fewer than k ids to choose from."""
    if not 1 <= k <= min(MAX_TOP_K, head.shape[0]):
        raise ValueError(f"topk_head: k is {k}, not 1 to {min(MAX_TOP_K, head.shape[0])}")
    chosen = SELECTS[select or ("bounded-cuda" if hidden.device.type == "cuda" else "torch")]
    rows = max(16, _CHUNK_ELEMENTS[hidden.device.type] // head.shape[0])
    parts = []
    for start in range(0, hidden.shape[0], rows):
        try:
            parts.append(chosen(F.linear(hidden[start : start + rows], head), k, barred, with_lse))
        except RowProblem as problem:
            raise RowProblem(start + problem.position, str(problem).split(": ", 1)[1]) from None
    if not parts:
        nothing = torch.zeros(0, k, device=hidden.device)
        return TopK(nothing.int(), nothing, nothing[:, 0])
    return TopK(*(torch.cat(column) for column in zip(*parts)))


def torch_select(logits: torch.Tensor, k: int, barred: torch.Tensor | None, with_lse: bool) -> TopK:
    wide = logits.float()
    finite = torch.isfinite(wide).all(-1)
    if not bool(finite.all()):
        raise _problem(logits, int((~finite).nonzero()[0]), k, barred)
    allowed = wide if barred is None else wide.masked_fill(barred, float("-inf"))
    values, ids = top_k(allowed, k)
    if bool(torch.isinf(values).any()):
        raise _problem(logits, 0, k, barred)
    return TopK(ids.int(), values, wide.logsumexp(-1) if with_lse else wide.new_zeros(0))


class _Selection(ctypes.Structure):
    """struct Selection of kernel.cu."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("logits", "barred", "ids", "values", "lse", "first_bad")] + [
        (name, ctypes.c_int32) for name in ("positions", "vocabulary", "k", "bfloat16")
    ]


def _kernel_select(library: Callable[[], ctypes.CDLL]) -> Select:
    def select(logits: torch.Tensor, k: int, barred: torch.Tensor | None, with_lse: bool) -> TopK:
        rows, device = logits.shape[0], logits.device
        logits = logits.contiguous()
        mask = None if barred is None else barred.to(torch.uint8).contiguous()
        result = TopK(
            torch.empty(rows, k, dtype=torch.int32, device=device), torch.empty(rows, k, device=device), torch.empty(rows if with_lse else 0, device=device))
        first_bad = torch.full((1,), rows, dtype=torch.int32, device=device)
        pointers = (logits, mask, result.ids, result.values, result.lse if with_lse else None, first_bad)
        selection = _Selection(*(ctypes.c_void_p(None if t is None else t.data_ptr()) for t in pointers), rows, logits.shape[1], k, logits.dtype == torch.bfloat16)
        stream = ctypes.c_void_p(torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else None)
        code = library().topk_head_select(ctypes.byref(selection), stream)
        if code:
            raise RuntimeError(f"topk_head: CUDA error {code} at launch")
        if int(first_bad) < rows:
            raise _problem(logits, int(first_bad), k, barred)
        return result

    return select


def _problem(logits: torch.Tensor, row: int, k: int, barred: torch.Tensor | None) -> RowProblem:
    if not bool(torch.isfinite(logits[row]).all()):
        return RowProblem(row, "a logit is not finite")
    return RowProblem(row, f"k is {k} but only {logits.shape[1] - int(barred.sum()) if barred is not None else logits.shape[1]} ids are valid")


SELECTS: dict[str, Select] = {"torch": torch_select, "bounded-cuda": _kernel_select(cuda_library), "emulated": _kernel_select(emulated_library)}
