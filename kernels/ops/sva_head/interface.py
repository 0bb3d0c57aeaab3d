"""What every implementation of the head takes and gives, and what all of them refuse."""
from collections.abc import Callable
from typing import NamedTuple

import torch

MAX_TOP_K = 256


class Inputs(NamedTuple):
    """T positions, H hidden size, V vocabulary, k ids a position. hidden and head share a dtype, float32 or bfloat16."""

    hidden: torch.Tensor  # [T, H]
    head: torch.Tensor  # [V, H]
    ids: torch.Tensor  # int32 [T, k], distinct within a row
    teacher: torch.Tensor  # float32 [T, k]: logits or log-probabilities
    weight: torch.Tensor  # float32 [T]; a position of weight 0 is not computed
    temperature: torch.Tensor | None = None  # float32 [T]; None is 1
    sampled: torch.Tensor | None = None  # int32 [T]: one more row, whose logit is returned


class Outputs(NamedTuple):
    """Zeros where the weight is 0. Gradients are of Σ_t weight_t · loss_t."""

    loss: torch.Tensor  # float32 [T], unweighted
    grad_hidden: torch.Tensor  # [T, H], of hidden's dtype
    grad_logits: torch.Tensor  # float32 [T, k]
    support_lse: torch.Tensor  # float32 [T]: logsumexp of the k logits at temperature 1
    sampled_logit: torch.Tensor  # float32 [T]; zeros without `sampled`
    head_ids: torch.Tensor  # int64 [U], ascending; empty unless rows are asked for
    head_rows: torch.Tensor  # float32 [U, H]: the head's gradient at head_ids


class HeadGradient(NamedTuple):
    """Where the head's gradient goes: `into` [V, H] float32, added; else returned as rows; or nowhere (a frozen head)."""

    rows: bool = True
    into: torch.Tensor | None = None


AS_ROWS = HeadGradient()
FROZEN = HeadGradient(rows=False)
Implementation = Callable[[Inputs, HeadGradient], Outputs]


class InputProblem(ValueError):
    """Bad numbers at a position: `position` is its row, the message says what is wrong there."""

    def __init__(self, position: int, message: str):
        super().__init__(f"position {position}: {message}")
        self.position = position


def check_shapes(inputs: Inputs, gradient: HeadGradient) -> None:
    """ValueError with every mismatch at once; reads no element."""
    hidden, head, ids = inputs.hidden, inputs.head, inputs.ids
    positions, size = hidden.shape
    expected = {
        "head": (head, (head.shape[0], size), hidden.dtype), "ids": (ids, (positions, ids.shape[-1]), torch.int32),
        "teacher": (inputs.teacher, tuple(ids.shape), torch.float32), "weight": (inputs.weight, (positions,), torch.float32),
        "temperature": (inputs.temperature, (positions,), torch.float32), "sampled": (inputs.sampled, (positions,), torch.int32),
        "head gradient": (gradient.into, tuple(head.shape), torch.float32),
    }
    problems = [] if hidden.dtype in (torch.float32, torch.bfloat16) else [f"hidden is {hidden.dtype}, not float32 or bfloat16"]
    for name, (tensor, shape, dtype) in expected.items():
        if tensor is not None and (tuple(tensor.shape) != shape or tensor.dtype != dtype or tensor.device != hidden.device):
            problems.append(f"{name} is {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}, not {dtype} {shape} on {hidden.device}")
    if not 2 <= ids.shape[-1] <= MAX_TOP_K:
        problems.append(f"k is {ids.shape[-1]}, not 2 to {MAX_TOP_K}: with one id the loss is identically zero")
    if problems:
        raise ValueError("sva_head: " + "; ".join(problems))


def explain(inputs: Inputs, position: int) -> InputProblem:
    """What is wrong with the inputs of a position that an implementation has found to be bad."""
    vocabulary = inputs.head.shape[0]
    ids = inputs.ids[position].tolist()
    if inputs.sampled is not None and not 0 <= int(inputs.sampled[position]) < vocabulary:
        return InputProblem(position, f"the sampled id {int(inputs.sampled[position])} is outside the vocabulary of {vocabulary}")
    outside = [i for i in ids if not 0 <= i < vocabulary]
    if outside:
        return InputProblem(position, f"id {outside[0]} is outside the vocabulary of {vocabulary}")
    repeated = [i for i in ids if ids.count(i) > 1]
    if repeated:
        return InputProblem(position, f"id {repeated[0]} is there {ids.count(repeated[0])} times; ids of one position are distinct")
    if inputs.temperature is not None and not 0 < float(inputs.temperature[position]) < float("inf"):
        return InputProblem(position, f"the temperature is {float(inputs.temperature[position])}, not a positive number")
    scalars = {"the weight": inputs.weight[position], "the teacher's values": inputs.teacher[position], "the hidden state": inputs.hidden[position]}
    for name, tensor in scalars.items():
        if not bool(torch.isfinite(tensor).all()):
            return InputProblem(position, f"{name} holds a number that is not finite")
    for i in ids if inputs.sampled is None else [*ids, int(inputs.sampled[position])]:
        if not bool(torch.isfinite(inputs.head[i]).all()):
            return InputProblem(position, f"the head's row {i} holds a number that is not finite")
    return InputProblem(position, "a logit overflows float32")


def first_bad_position(inputs: Inputs) -> int | None:
    """Before any row is read: ids in range and distinct, numbers finite. Positions of weight 0 are not looked at."""
    vocabulary = inputs.head.shape[0]
    ordered = inputs.ids.sort(-1).values
    bad = (ordered[:, 0] < 0) | (ordered[:, -1] >= vocabulary) | (ordered[:, 1:] == ordered[:, :-1]).any(-1)
    bad |= ~(torch.isfinite(inputs.teacher).all(-1) & torch.isfinite(inputs.hidden).all(-1) & torch.isfinite(inputs.weight))
    if inputs.sampled is not None:
        bad |= (inputs.sampled < 0) | (inputs.sampled >= vocabulary)
    if inputs.temperature is not None:
        bad |= ~((inputs.temperature > 0) & torch.isfinite(inputs.temperature))
    return _first(bad & (inputs.weight != 0))


def first_not_finite(inputs: Inputs, values: torch.Tensor) -> int | None:
    """values [T]: a non-finite result names its position."""
    return _first(~torch.isfinite(values) & (inputs.weight != 0))


def _first(bad: torch.Tensor) -> int | None:
    return int(bad.nonzero()[0]) if bool(bad.any()) else None
