"""Inputs for the head, and how far float32 results may lie from the float64 reference.

Bounds are derived, element by element, from the standard model fl(a∘b) = (a∘b)(1+δ), |δ| ≤ u = 2⁻²⁴, inputs taken as exact. To first order:
  a logit, H products summed in any order            δz_u ≤ H·u·Σ_i |x_i W_ui|                              =: ε_u, and ε = max_u ε_u + A, where
  softmax arithmetic on |z|, |ζ| ≤ M                 A = 8·u·(M/τ + log k + 2)        (subtractions, exp, log: a few roundings of numbers that large)
  d_u and ℓ = Σ p̄_u d_u                              |δℓ| ≤ 2(Σ p̄_u |d_u − ℓ| + 1)·ε/τ + A
  g_u = w/τ·p̄_u (d_u − ℓ)                            |δg_u| ≤ w/τ·p̄_u·(2|d_u − ℓ| + Σ p̄|d − ℓ| + 4)·ε/τ
  dX = Σ_u g_u W_u, dW_u = Σ_t g_tu X_t              Σ |δg||W| + n·u·Σ |g||W| with n terms; stored as bfloat16: + 2⁻⁸ of the value
No constant is fitted to what an implementation returns.
"""
from typing import NamedTuple

import torch

from ops.sva_head.interface import Inputs
from ops.sva_head.ref import Reference, reference

U = 2.0**-24
STORED = {torch.float32: 0.0, torch.bfloat16: 2.0**-8}


def make(positions, k, vocabulary, size, *, dtype=torch.float32, draw="uniform", seed=0, temperature=False, sampled=False, skip=0.0) -> Inputs:
    """draw: 'uniform', 'zipf' (s = 1, distinct within a row), 'same' ids everywhere, 'disjoint' ids (T·k ≤ V)."""
    g = torch.Generator().manual_seed(seed)
    hidden = torch.randn(positions, size, generator=g).to(dtype)
    head = many_rows(vocabulary, size, dtype, g)
    weight = torch.rand(positions, generator=g) + 0.1
    weight[torch.rand(positions, generator=g) < skip] = 0
    return Inputs(
        hidden, head, draw_ids(positions, k, vocabulary, draw, g), 2 * torch.randn(positions, k, generator=g), weight,
        0.5 + torch.rand(positions, generator=g) if temperature else None,
        torch.randint(0, vocabulary, (positions,), generator=g).int() if sampled else None,
    )


def many_rows(vocabulary, size, dtype, g) -> torch.Tensor:
    """[V, H] of different rows, out of at most 509 random ones: drawing 10⁸ numbers would take most of a test's time."""
    base = (torch.randn(min(vocabulary, 509), size, generator=g) * (2 / size**0.5)).to(dtype)
    head = base.repeat(-(-vocabulary // len(base)), 1)[:vocabulary]
    return head.mul_((1 + torch.arange(vocabulary) / vocabulary).to(dtype)[:, None])


def draw_ids(positions, k, vocabulary, draw, g) -> torch.Tensor:
    if draw == "same":
        return torch.randperm(vocabulary, generator=g)[:k].expand(positions, k).int().contiguous()
    if draw == "disjoint":
        return torch.randperm(vocabulary, generator=g)[: positions * k].view(positions, k).int()
    weights = 1 / torch.arange(1, vocabulary + 1.0) if draw == "zipf" else torch.ones(vocabulary)
    return torch.stack([torch.multinomial(weights, k, generator=g) for _ in range(positions)]).int()


class Bounds(NamedTuple):
    loss: torch.Tensor
    grad_hidden: torch.Tensor
    grad_head: torch.Tensor
    logit: torch.Tensor  # [T]


def bounds(inputs: Inputs, r: Reference, products: float = 0.0) -> Bounds:
    """products: relative error of g as a factor of a product, 0 for float32 factors."""
    x, head, ids = inputs.hidden.double(), inputs.head, inputs.ids.long()
    tau = torch.ones(len(x), dtype=torch.float64) if inputs.temperature is None else inputs.temperature.double()
    shape = r.grad_logits.shape
    eps, middle, error_g, dx, loss = (torch.zeros(s, dtype=torch.float64) for s in (len(x), len(x), shape, x.shape, len(x)))
    dw = torch.zeros(head.shape, dtype=torch.float64)
    counts = torch.zeros(head.shape[0], dtype=torch.float64).index_add_(0, ids.flatten(), torch.ones(ids.numel(), dtype=torch.float64))
    for t in torch.nonzero(inputs.weight)[:, 0].tolist():
        rows, w = head[ids[t]].double(), inputs.weight[t].double()
        z, zeta = rows @ x[t], inputs.teacher[t].double()
        largest = max(z.abs().max(), zeta.abs().max())
        extra = 0 if inputs.sampled is None else (head[int(inputs.sampled[t])].double().abs() @ x[t].abs()).item()
        softmax = 8 * U * (largest / tau[t] + torch.log(torch.tensor(float(shape[1]))) + 2)
        eps[t] = x.shape[1] * U * max((rows.abs() @ x[t].abs()).max().item(), extra) + softmax
        log_p = (z / tau[t]).log_softmax(0)
        p, away = log_p.exp(), (log_p - (zeta / tau[t]).log_softmax(0) - r.loss[t]).abs()
        middle[t] = (p * away).sum()
        loss[t] = 2 * (middle[t] + 1) * eps[t] / tau[t] + softmax
        error_g[t] = w / tau[t] * p * (2 * away + middle[t] + 4) * eps[t] / tau[t] + products * r.grad_logits[t].abs()
        absolute = r.grad_logits[t].abs()
        dx[t] = error_g[t] @ rows.abs() + shape[1] * U * (absolute @ rows.abs())
        dw.index_add_(0, ids[t], (error_g[t] + counts[ids[t]] * U * absolute)[:, None] * x[t].abs())
    return Bounds(loss, dx + STORED[inputs.hidden.dtype] * r.grad_hidden.abs(), dw, eps)


def assert_within(inputs: Inputs, outputs, products: float = 0.0) -> None:
    """`outputs` with rows of the head's gradient. The reference sees the rows that occur, under their place among them."""
    assert torch.equal(outputs.head_ids.cpu(), inputs.ids[inputs.weight != 0].unique().long().cpu())
    used = torch.cat([inputs.ids.flatten(), inputs.ids[:0, 0] if inputs.sampled is None else inputs.sampled]).unique()
    grad_head = torch.zeros(len(used), inputs.head.shape[1])
    grad_head[torch.searchsorted(used, outputs.head_ids.cpu().int())] = outputs.head_rows.cpu()
    inputs = inputs._replace(
        head=inputs.head[used.long()], ids=torch.searchsorted(used, inputs.ids).int(),
        sampled=None if inputs.sampled is None else torch.searchsorted(used, inputs.sampled).int())
    r = reference(*inputs)
    b = bounds(inputs, r, products)
    measured = {
        "loss": (outputs.loss, r.loss, b.loss), "dX": (outputs.grad_hidden, r.grad_hidden, b.grad_hidden), "dW": (grad_head, r.grad_head, b.grad_head),
        "support LSE": (outputs.support_lse, r.support_lse, b.logit), "sampled logit": (outputs.sampled_logit, r.sampled_logit, b.logit),
    }
    for name, (ours, expected, bound) in measured.items():
        excess = (ours.cpu().double() - expected).abs() - bound
        assert float(excess.max()) <= 0, f"{name}: off by {float(excess.max()):.3g} more than its bound at {int(excess.argmax())}"
