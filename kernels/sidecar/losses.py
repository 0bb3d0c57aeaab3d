"""The three losses, a value a token. Pure, and written for any float dtype: tests differentiate them in float64.

Sources: verl `core_algos.py` (clipping, k3), hhh675597/revisiting_opd (renormalised top-k reverse KL).
"""
from typing import NamedTuple

import torch


class PolicySettings(NamedTuple):
    """Of every token [n]."""

    advantage: torch.Tensor
    old_logprob: torch.Tensor
    reference_logprob: torch.Tensor  # read where kl_coefficient is not 0
    clip_low: torch.Tensor
    clip_high: torch.Tensor
    kl_coefficient: torch.Tensor
    entropy_coefficient: torch.Tensor
    importance_cap: torch.Tensor  # 0: clipped


class PolicyLoss(NamedTuple):
    """All [n]."""

    loss: torch.Tensor
    clipped: torch.Tensor  # 1 where the clipped branch is the larger one, or the importance weight was truncated
    ratio: torch.Tensor
    kl: torch.Tensor  # k3; 0 where there is no reference


def cross_entropy(logprob: torch.Tensor) -> torch.Tensor:
    """−log p(token)"""
    return -logprob


def policy_gradient(logprob: torch.Tensor, entropy: torch.Tensor, s: PolicySettings) -> PolicyLoss:
    """max(−A·ρ, −A·clip(ρ, 1−low, 1+high)) + c_kl·k3 − c_ent·H, with ρ = exp(clamp(log p − log p_old, ±20)).

    Where importance_cap C > 0 the first term is −A·sg(min(ρ, C))·log p: truncated importance weights (V-trace; slime's TIS; CISPO).
    No dual clip. verl's clamps: the log-ratio at ±20, as the KL's argument below.
    """
    ratio = torch.exp((logprob - s.old_logprob).clamp(-20.0, 20.0))
    unclipped = -s.advantage * ratio
    clipped = -s.advantage * torch.minimum(torch.maximum(ratio, 1.0 - s.clip_low), 1.0 + s.clip_high)
    surrogate, over = torch.maximum(unclipped, clipped), clipped > unclipped
    weighted = s.importance_cap > 0
    if weighted.any():
        truncated = -s.advantage * torch.minimum(ratio, s.importance_cap).detach() * logprob
        surrogate = torch.where(weighted, truncated, surrogate)
        over = torch.where(weighted, ratio > s.importance_cap, over)
    has_reference = s.kl_coefficient != 0
    kl = torch.where(has_reference, k3(logprob, s.reference_logprob), torch.zeros_like(logprob))
    loss = surrogate + s.kl_coefficient * kl - s.entropy_coefficient * entropy
    return PolicyLoss(loss, over.to(logprob.dtype), ratio, kl)


def k3(logprob: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """verl's low_var_kl: d = clamp(ref − log p, ±20); clamp(exp(d) − d − 1, ±10). The gradient is zero where the ±10 clamp is active."""
    d = (reference - logprob).clamp(-20.0, 20.0)
    return (d.exp() - d - 1.0).clamp(-10.0, 10.0)


def salient_vocabulary(student: torch.Tensor, teacher: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    """Σ_u p̄_u (log p̄_u − log q̄_u), both sides renormalised on the k ids.

    student [n, k]: logits, gradients flow; teacher [n, k]: logits or log-probabilities (a constant per position
    cancels); temperature [n] divides both.
    """
    p = (student / temperature[:, None]).log_softmax(-1)
    q = (teacher / temperature[:, None]).log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def entropy_of(logprobs: torch.Tensor) -> torch.Tensor:
    """[n, V] log-probabilities → −Σ p log p [n]"""
    return -(logprobs.exp() * logprobs).sum(-1)
