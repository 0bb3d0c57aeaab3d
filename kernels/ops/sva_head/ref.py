"""The salient-vocabulary loss on k rows of the head, in float64, forward and analytic backward. Plain: one position at a time.

    z_u = W_u·x / τ,   p̄ = softmax(z),   q̄ = softmax(ζ / τ)                  over the k ids of the position
    d_u = log p̄_u − log q̄_u,   ℓ = Σ_u p̄_u d_u,   g_u = w/τ · p̄_u (d_u − ℓ)
    dX  = Σ_u g_u W_u,   dW_u = Σ_{t: u ∈ S_t} g_tu X_t
"""
from typing import NamedTuple

import torch


class Reference(NamedTuple):
    loss: torch.Tensor  # [T], unweighted
    grad_hidden: torch.Tensor  # [T, H]
    grad_head: torch.Tensor  # [V, H]
    grad_logits: torch.Tensor  # [T, k], of the logits W·x, weight included
    support_lse: torch.Tensor  # [T], logsumexp over the k logits at temperature 1
    sampled_logit: torch.Tensor  # [T], of the sampled token; 0 where none is given


def reference(hidden, head, ids, teacher, weight, temperature=None, sampled=None) -> Reference:
    """hidden [T, H], head [V, H], ids [T, k], teacher values [T, k], weight [T], temperature [T], sampled ids [T]. All results float64; 0 where weight is 0."""
    x, rows, zeta, w = (tensor.detach().cpu().double() for tensor in (hidden, head, teacher, weight))
    tau = torch.ones_like(w) if temperature is None else temperature.detach().cpu().double()
    chosen = ids.cpu().long()
    positions, k = chosen.shape
    loss, lse, given = (torch.zeros(positions, dtype=torch.float64) for _ in range(3))
    dx, dw, g = torch.zeros_like(x), torch.zeros_like(rows), torch.zeros(positions, k, dtype=torch.float64)
    for t in range(positions):
        if w[t] == 0:
            continue
        support = rows[chosen[t]]
        logits = support @ x[t]
        log_p, log_q = (logits / tau[t]).log_softmax(0), (zeta[t] / tau[t]).log_softmax(0)
        d = log_p - log_q
        loss[t] = (log_p.exp() * d).sum()
        g[t] = w[t] / tau[t] * log_p.exp() * (d - loss[t])
        dx[t] = g[t] @ support
        dw.index_add_(0, chosen[t], g[t, :, None] * x[t])
        lse[t] = logits.logsumexp(0)
        if sampled is not None:
            given[t] = rows[int(sampled[t])] @ x[t]
    return Reference(loss, dx, dw, g, lse, given)
