"""AdamW on flat buffers. Decay is decoupled and applies to matrices only, as in Megatron: norm weights are not decayed."""
import math
from typing import NamedTuple

import torch

from .errors import SidecarError

_MOST = 1e6


class OptimizerSettings(NamedTuple):
    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    max_gradient_norm: float  # 0 is off


def read_settings(message) -> OptimizerSettings:
    """From stemma.v1.StepSettings; INVALID lists what is out of range."""
    s = OptimizerSettings(*(getattr(message, name) for name in OptimizerSettings._fields))
    problems = [f"{name} must be a finite number, at least 0" for name, value in s._asdict().items() if not (math.isfinite(value) and value >= 0)]
    problems += [f"{name} must be below 1" for name in ("beta1", "beta2") if getattr(s, name) >= 1]
    # Far above what anyone means, and below what would overflow a float32 in the middle of an update.
    problems += [f"{name} must be at most {_MOST:g}" for name in ("learning_rate", "epsilon", "weight_decay") if getattr(s, name) > _MOST]
    if s.epsilon == 0:
        problems.append("epsilon must be above 0")
    if problems:
        raise SidecarError("INVALID", "step settings: " + "; ".join(problems))
    return s


class AdamW:
    """Moments of a flat parameter buffer. `matrices`: length of the leading slice that is decayed."""

    def __init__(self, exp_avg: torch.Tensor, exp_avg_sq: torch.Tensor, matrices: int):
        self.exp_avg = exp_avg
        self.exp_avg_sq = exp_avg_sq
        self._matrices = matrices

    def update(self, flat: torch.Tensor, gradient: torch.Tensor, settings: OptimizerSettings, step: int) -> None:
        """In place; `step` counts from 1."""
        s = settings
        self.exp_avg.lerp_(gradient, 1 - s.beta1)
        self.exp_avg_sq.mul_(s.beta2).addcmul_(gradient, gradient, value=1 - s.beta2)
        denominator = self.exp_avg_sq.sqrt().div_(math.sqrt(1 - s.beta2**step)).add_(s.epsilon)
        flat[: self._matrices].mul_(1 - s.learning_rate * s.weight_decay)
        flat.addcdiv_(self.exp_avg, denominator, value=-s.learning_rate / (1 - s.beta1**step))


def clip_by_norm(gradient: torch.Tensor, limit: float) -> float:
    """Scales the flat gradient to norm `limit` if it is longer (torch's clip_grad_norm_: limit / (norm + 1e-6)); returns its norm before."""
    norm = float(gradient.norm(dtype=torch.float64))  # fp32 squares overflow long before the gradient does
    if limit > 0 and norm > limit:
        gradient.mul_(limit / (norm + 1e-6))
    return norm
