"""Attention by hand (products, softmax, products), because fused attention is not bit-identical under padding.

Queries are scaled before their product: a scale inside it is applied at different points by different code paths.
Grouped queries are not repeated over: the g query heads that share a key-value head are g·L rows of one product.
"""
import torch

from .forward import Attend

# Scores held at once, in floats (256 MiB): bounds memory for long sequences. Blocks are cut along queries only,
# by the length alone, so that a sequence's result does not depend on its neighbours.
_MAX_SCORES = 1 << 26


def causal_attend(batch: int, length: int, scale: float, device: torch.device) -> Attend:
    """Attend over [batch·length] rows, sequences padded on the right to `length`: padding is never seen,
    because it lies after every real position. Rows of padding compute garbage that nobody reads."""
    blocks = {}

    def attend(_layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = _by_sequence(q, batch), _by_sequence(k, batch), _by_sequence(v, batch)
        heads = q.shape[1]
        block = max(16, min(length, _MAX_SCORES // (heads * length)))
        outputs = []
        for start in range(0, length, block):
            stop = min(start + block, length)
            if start not in blocks:
                blocks[start] = _causal_bias(start, stop, device)
            outputs.append(_attend_block(q[:, :, start:stop], k[:, :, :stop], v[:, :, :stop], blocks[start], scale))
        out = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
        return out.transpose(1, 2).reshape(batch * length, -1)

    return attend


def cached_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor, scale: float) -> torch.Tensor:
    """One query a row against its cache: q [N, heads, D], k and v [N, kv_heads, S, D],
    bias [N·kv_heads, 1, S] (0 or −inf) → [N, heads·D]."""
    rows, heads, d = q.shape
    kv_heads, columns = k.shape[1], k.shape[2]
    group = heads // kv_heads
    grouped = (q * scale).view(rows * kv_heads, group, d)
    if group == 1:
        # The product of one row is one of a vector, whose last bits depend on where it lies in memory on some processors, and so on the slot: make it two rows.
        grouped = grouped.expand(-1, 2, -1)
    keys, values = k.reshape(rows * kv_heads, columns, d), v.reshape(rows * kv_heads, columns, d)
    scores = torch.baddbmm(bias, grouped, keys.transpose(1, 2))
    return torch.bmm(scores.softmax(-1), values)[:, :group].reshape(rows, heads * d)


def _causal_bias(start: int, stop: int, device: torch.device) -> torch.Tensor:
    """[stop−start, stop]: −inf where the key lies after the query."""
    return torch.full((stop - start, stop), float("-inf"), device=device).triu(start + 1)


def _attend_block(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor, scale: float) -> torch.Tensor:
    """A block of queries against all keys up to its end: [B, heads, rows, D]."""
    batch, heads, rows, d = q.shape
    kv_heads, columns = k.shape[1], k.shape[2]
    group = heads // kv_heads
    keys, values = k.reshape(batch * kv_heads, columns, d), v.reshape(batch * kv_heads, columns, d)
    grouped = (q * scale).reshape(batch * kv_heads, group * rows, d)
    scores = torch.baddbmm(bias.repeat(group, 1), grouped, keys.transpose(1, 2))
    return torch.bmm(scores.softmax(-1), values).view(batch, heads, rows, d)


def _by_sequence(x: torch.Tensor, batch: int) -> torch.Tensor:
    """[B·L, heads, D] → [B, heads, L, D]"""
    rows, heads, d = x.shape
    return x.view(batch, rows // batch, heads, d).transpose(1, 2)
