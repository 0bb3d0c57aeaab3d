"""The Qwen3 forward pass, written once over flat rows of tokens; what differs between training, prefill
and decode is only how a layer attends, and that is passed in.

Differs from Hugging Face's in the order of some sums only (fused products, residuals added inside the product):
logits agree to 1e-5, asserted in test/kernels and at every export.
"""
from collections.abc import Callable

import torch
import torch.nn.functional as F

from .architecture import Architecture
from .parameters import ModelWeights

# attend(layer, q, k, v): q [N, heads, D], k and v [N, kv_heads, D] → [N, heads·D]
Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Rotary:
    """cos and sin of every position [max_positions, D]; the second half's sine carries rotate_half's sign."""

    def __init__(self, architecture: Architecture, device: torch.device):
        d = architecture.head_dim
        inverse_frequency = 1.0 / (architecture.rope_theta ** (torch.arange(0, d, 2, dtype=torch.float32) / d))
        angles = torch.arange(architecture.max_position_embeddings, dtype=torch.float32)[:, None] * inverse_frequency
        self.cos = torch.cat((angles.cos(), angles.cos()), -1).to(device)
        self.sin = torch.cat((-angles.sin(), angles.sin()), -1).to(device)

    def at(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[N] → two [N, 1, D]."""
        return self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon))


def swiglu(x: torch.Tensor, gate_up: torch.Tensor) -> torch.Tensor:
    """x [N, H], gate_up [2·I, H] → silu(gate) · up [N, I]"""
    gate, up = F.linear(x, gate_up).chunk(2, -1)
    return _silu(gate) * up


def _silu(gate: torch.Tensor) -> torch.Tensor:
    """F.silu, whose last bit on a CPU depends on where a thread's share ends: the ends of a share are computed by
    another exp. With up to two threads shares are whole rows; with more, inference takes blocks too small to be shared."""
    if gate.requires_grad or gate.device.type != "cpu" or torch.get_num_threads() <= 2:
        return F.silu(gate)
    return torch.cat([F.silu(block) for block in gate.split(max(1, _UNSHARED_ELEMENTS // gate.shape[-1]))])


# at::internal::GRAIN_SIZE: pointwise operations of fewer elements run on one thread.
_UNSHARED_ELEMENTS = 32767


def hidden_states(
    architecture: Architecture,
    weights: ModelWeights,
    tokens: torch.Tensor,
    rotation: tuple[torch.Tensor, torch.Tensor],
    attend: Attend,
    select: torch.Tensor | None = None,
) -> torch.Tensor:
    """tokens [N], rotation (cos, sin) [N, 1, D] → final normalised hidden states [N, H], or [M, H] of the
    rows `select` [M]: past the last layer's attention nothing else is needed of the others."""
    a, (cos, sin) = architecture, rotation
    heads, kv_heads, d = a.num_attention_heads, a.num_key_value_heads, a.head_dim
    rows = tokens.shape[0]
    x = F.embedding(tokens, weights.embedding)
    for index, layer in enumerate(weights.layers):
        qkv = F.linear(rms_norm(x, layer.input_norm, a.rms_norm_eps), layer.qkv).view(rows, heads + 2 * kv_heads, d)
        scale = torch.cat((layer.q_norm.expand(heads, d), layer.k_norm.expand(kv_heads, d)))
        qk = rms_norm(qkv[:, : heads + kv_heads], scale, a.rms_norm_eps)
        qk = torch.addcmul(qk * cos, qk.roll(d // 2, -1), sin)
        attended = attend(index, qk[:, :heads], qk[:, heads:], qkv[:, heads + kv_heads :])
        if select is not None and layer is weights.layers[-1]:
            x, attended = x[select], attended[select]
        x = torch.addmm(x, attended, layer.o.t())
        x = torch.addmm(x, swiglu(rms_norm(x, layer.post_norm, a.rms_norm_eps), layer.gate_up), layer.down.t())
    return rms_norm(x, weights.final_norm, a.rms_norm_eps)
