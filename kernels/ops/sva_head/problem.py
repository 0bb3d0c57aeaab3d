"""problem.h for ctypes: the tensors that every compiled implementation is given, and the results it fills."""
import ctypes

import torch

from .interface import Inputs

_GIVEN = ("hidden", "head", "ids", "teacher", "weight", "temperature", "sampled")
_RESULTS = ("loss", "grad_hidden", "grad_logits", "support_lse", "sampled_logit")


class Tensors(ctypes.Structure):
    """struct Tensors."""

    _fields_ = [(name, ctypes.c_void_p) for name in (*_GIVEN, *_RESULTS)]


def pointer(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def given_and_results(inputs: Inputs) -> tuple[dict[str, torch.Tensor | None], dict[str, torch.Tensor]]:
    """What is given, contiguous, and zeroed results by their names in Outputs: to be kept as long as `pointers` of them are used."""
    positions, device = inputs.hidden.shape[0], inputs.hidden.device
    given = {name: t if t is None else t.contiguous() for name, t in inputs._asdict().items()}
    loss, support_lse, sampled_logit = (torch.zeros(positions, device=device) for _ in range(3))
    grad_logits = torch.zeros(positions, inputs.ids.shape[1], device=device)
    return given, dict(zip(_RESULTS, (loss, torch.zeros_like(given["hidden"]), grad_logits, support_lse, sampled_logit)))


def pointers(given: dict[str, torch.Tensor | None], results: dict[str, torch.Tensor]) -> tuple[ctypes.c_void_p, ...]:
    """The fields of Tensors."""
    return *(pointer(given[name]) for name in _GIVEN), *(pointer(results[name]) for name in _RESULTS)
