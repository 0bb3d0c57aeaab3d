"""Hidden states at the weighted positions of a micro-batch, with gradients: flat tokens, attention per sample."""
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F

from .architecture import Architecture
from .forward import Attend, Rotary, hidden_states
from .packing import MicroBatch, length_class
from .parameters import ModelWeights


def selected_hidden(architecture: Architecture, weights: ModelWeights, rotary: Rotary, micro: MicroBatch) -> torch.Tensor:
    """[P, H] for the P rows micro.select."""
    device = weights.embedding.device
    positions = torch.from_numpy(np.concatenate([np.arange(n) for n in micro.lengths])).to(device)
    return hidden_states(
        architecture, weights, torch.from_numpy(micro.tokens).to(device), rotary.at(positions),
        _per_sample_attention(micro.lengths, architecture.head_dim**-0.5, device), torch.from_numpy(micro.select).to(device),
    )


def _per_sample_attention(lengths: list[int], scale: float, device: torch.device) -> Attend:
    """Causal within each sample. Neighbouring samples of one length class are padded to their longest;
    padding lies after the real positions, so the causal mask hides it."""
    groups, start = [], 0
    for _, members in groupby(lengths, key=length_class):
        members = list(members)
        width, total = max(members), sum(members)
        index = np.concatenate([np.arange(n) + row * width for row, n in enumerate(members)])
        full = total == width * len(members)
        groups.append((slice(start, start + total), len(members), width, None if full else torch.from_numpy(index).to(device)))
        start += total

    def attend(_layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        outputs = []
        for rows, batch, width, index in groups:
            padded = [_pad(x[rows], batch, width, index) for x in (q, k, v)]
            out = F.scaled_dot_product_attention(*padded, is_causal=True, scale=scale, enable_gqa=True)
            out = out.transpose(1, 2).reshape(batch * width, -1)
            outputs.append(out if index is None else out.index_select(0, index))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    return attend


def _pad(x: torch.Tensor, batch: int, width: int, index: torch.Tensor | None) -> torch.Tensor:
    """[n, heads, D] → [batch, heads, width, D]"""
    if index is not None:
        x = x.new_zeros(batch * width, *x.shape[1:]).index_copy(0, index, x)
    return x.reshape(batch, width, *x.shape[1:]).transpose(1, 2)
