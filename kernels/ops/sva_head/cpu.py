"""The C++ implementation for CPUs (cpu.cpp), called through ctypes."""
import ctypes

import torch

from ..build import cpu_library
from .interface import HeadGradient, Inputs, Outputs, explain
from .problem import Tensors, given_and_results, pointer, pointers


class _Problem(Tensors):
    """struct Problem of cpu.cpp."""

    _fields_ = [
        ("positions", ctypes.c_int64), ("size", ctypes.c_int64), ("vocabulary", ctypes.c_int64),
        ("k", ctypes.c_int32), ("threads", ctypes.c_int32),
    ]


def gather(inputs: Inputs, gradient: HeadGradient) -> Outputs:
    """Gathered dot products; the head's gradient by sorted segments. Bits do not depend on the number of threads."""
    library = cpu_library()
    given, results = given_and_results(inputs)
    problem = _Problem(*pointers(given, results), *inputs.hidden.shape, inputs.head.shape[0], inputs.ids.shape[1], torch.get_num_threads())
    bfloat16 = ctypes.c_int32(inputs.hidden.dtype == torch.bfloat16)
    library.sva_head_forward.restype = ctypes.c_int64
    bad = library.sva_head_forward(ctypes.byref(problem), bfloat16)
    if bad >= 0:
        raise explain(inputs, bad)
    ids, rows = _head_rows(library, problem, bfloat16, gradient)
    return Outputs(**results, head_ids=ids, head_rows=rows)


def _head_rows(library, problem: _Problem, bfloat16, gradient: HeadGradient) -> tuple[torch.Tensor, torch.Tensor]:
    nothing = torch.zeros(0, dtype=torch.int64), torch.zeros(0, problem.size)
    if gradient.into is None and not gradient.rows:
        return nothing
    pairs = torch.empty(problem.positions * problem.k, dtype=torch.int32)
    segments, unique = torch.empty(len(pairs) + 1, dtype=torch.int64), torch.empty(len(pairs), dtype=torch.int64)
    library.sva_head_plan.restype = ctypes.c_int64
    count = library.sva_head_plan(ctypes.byref(problem), pointer(pairs), pointer(segments), pointer(unique))
    ids = unique[:count].clone()
    out = torch.zeros(count, problem.size) if gradient.into is None else gradient.into
    if not out.is_contiguous():
        raise ValueError("sva_head: the head's gradient buffer must be contiguous")
    target = torch.arange(count) if gradient.into is None else ids
    library.sva_head_accumulate(
        ctypes.byref(problem), bfloat16, pointer(pairs), pointer(segments), pointer(target), ctypes.c_int64(count), pointer(out))
    return (ids, out) if gradient.into is None else nothing
