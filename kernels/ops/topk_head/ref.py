"""The k largest logits of each position in float64: by value descending, equal values by id ascending. Plain: one sort a position."""
import torch


def reference(hidden, head, k, barred=None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """hidden [T, H], head [V, H], barred bool [V] → ids [T, k], values [T, k], mass [T]: Σ of the softmax over the whole vocabulary at the ids."""
    logits = hidden.double() @ head.double().t()
    ids, values = select(logits, k, barred)
    return ids, values, (values - logits.logsumexp(-1, keepdim=True)).exp().sum(-1)


def select(logits, k, barred=None) -> tuple[torch.Tensor, torch.Tensor]:
    """logits [T, V] of any dtype → ids, values [T, k]."""
    chosen = []
    for row in logits.tolist():
        allowed = [i for i in range(len(row)) if barred is None or not bool(barred[i])]
        chosen.append(sorted(allowed, key=lambda i: (-row[i], i))[:k])
    ids = torch.tensor(chosen)
    return ids, logits.gather(1, ids)
