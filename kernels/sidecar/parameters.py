"""All parameters of a model in one flat fp32 buffer, seen as fused matrices by the forward pass
and under their Hugging Face names by hashes, files and exports.

Matrices come first and norm weights last, so that weight decay is one slice. q, k, v and gate, up lie one
after the other: their fused product is one matrix, and each Hugging Face tensor is a slice of rows.
"""
from typing import NamedTuple

import torch

from .architecture import Architecture
from .errors import SidecarError
from .memory import available_bytes

# The parameters, a copy of each tensor, and the file: fp32 each.
_BYTES_TO_MAKE = 12


class LayerWeights(NamedTuple):
    input_norm: torch.Tensor  # [H]
    qkv: torch.Tensor  # [(heads + 2·kv_heads)·D, H]
    q_norm: torch.Tensor  # [D]
    k_norm: torch.Tensor  # [D]
    o: torch.Tensor  # [H, heads·D]
    post_norm: torch.Tensor  # [H]
    gate_up: torch.Tensor  # [2·I, H]
    down: torch.Tensor  # [H, I]


class ModelWeights(NamedTuple):
    embedding: torch.Tensor  # [V, H]
    head: torch.Tensor  # [V, H]; the embedding itself when tied
    final_norm: torch.Tensor  # [H]
    layers: tuple[LayerWeights, ...]


def _fused_shapes(a: Architecture) -> list[tuple[str, tuple[int, ...]]]:
    h, d = a.hidden_size, a.head_dim
    matrices: list[tuple[str, tuple[int, ...]]] = [("embedding", (a.vocab_size, h))]
    if not a.tie_word_embeddings:
        matrices.append(("head", (a.vocab_size, h)))
    vectors: list[tuple[str, tuple[int, ...]]] = []
    for i in range(a.num_hidden_layers):
        matrices += [
            (f"{i}.qkv", ((a.num_attention_heads + 2 * a.num_key_value_heads) * d, h)),
            (f"{i}.o", (h, a.num_attention_heads * d)),
            (f"{i}.gate_up", (2 * a.intermediate_size, h)),
            (f"{i}.down", (h, a.intermediate_size)),
        ]
        vectors += [(f"{i}.input_norm", (h,)), (f"{i}.post_norm", (h,)), (f"{i}.q_norm", (d,)), (f"{i}.k_norm", (d,))]
    return matrices + vectors + [("final_norm", (h,))]


def parameter_count(architecture: Architecture) -> int:
    return sum(torch.Size(shape).numel() for _, shape in _fused_shapes(architecture))


def matrix_parameter_count(architecture: Architecture) -> int:
    """Length of the leading slice that holds matrices, the part weight decay applies to."""
    return sum(torch.Size(shape).numel() for _, shape in _fused_shapes(architecture) if len(shape) == 2)


def fused_views(architecture: Architecture, flat: torch.Tensor) -> dict[str, torch.Tensor]:
    """Views of `flat` [parameters] by fused name."""
    views, offset = {}, 0
    for name, shape in _fused_shapes(architecture):
        size = torch.Size(shape).numel()
        views[name] = flat[offset : offset + size].view(shape)
        offset += size
    if offset != flat.numel():
        raise ValueError(f"flat buffer has {flat.numel()} elements, the architecture {offset}")
    return views


def model_weights(architecture: Architecture, views: dict[str, torch.Tensor]) -> ModelWeights:
    """The fused views as the forward pass reads them."""
    layers = tuple(
        LayerWeights(**{field: views[f"{i}.{field}"] for field in LayerWeights._fields})
        for i in range(architecture.num_hidden_layers)
    )
    return ModelWeights(views["embedding"], views.get("head", views["embedding"]), views["final_norm"], layers)


def named_parameters(architecture: Architecture, flat: torch.Tensor) -> dict[str, torch.Tensor]:
    """Views of `flat` under Hugging Face names. The tied head is not listed twice."""
    a, views = architecture, fused_views(architecture, flat)
    named = {"model.embed_tokens.weight": views["embedding"], "model.norm.weight": views["final_norm"]}
    if not a.tie_word_embeddings:
        named["lm_head.weight"] = views["head"]
    q_rows, kv_rows = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim
    for i in range(a.num_hidden_layers):
        prefix = f"model.layers.{i}."
        qkv, gate_up = views[f"{i}.qkv"], views[f"{i}.gate_up"]
        named |= {
            prefix + "input_layernorm.weight": views[f"{i}.input_norm"],
            prefix + "post_attention_layernorm.weight": views[f"{i}.post_norm"],
            prefix + "self_attn.q_proj.weight": qkv[:q_rows],
            prefix + "self_attn.k_proj.weight": qkv[q_rows : q_rows + kv_rows],
            prefix + "self_attn.v_proj.weight": qkv[q_rows + kv_rows :],
            prefix + "self_attn.q_norm.weight": views[f"{i}.q_norm"],
            prefix + "self_attn.k_norm.weight": views[f"{i}.k_norm"],
            prefix + "self_attn.o_proj.weight": views[f"{i}.o"],
            prefix + "mlp.gate_proj.weight": gate_up[: a.intermediate_size],
            prefix + "mlp.up_proj.weight": gate_up[a.intermediate_size :],
            prefix + "mlp.down_proj.weight": views[f"{i}.down"],
        }
    return named


def initialize(architecture: Architecture, seed: int) -> torch.Tensor:
    """A flat buffer [parameters]: matrices ~ N(0, initializer_range²), norm weights 1, as Hugging Face initialises Qwen3.

    One CPU generator in the buffer's order: a function of (architecture, seed) alone.
    """
    count = parameter_count(architecture)
    if count * _BYTES_TO_MAKE > available_bytes():
        raise SidecarError("INVALID", f"model config: {count} parameters do not fit in the memory of this machine: making them takes {count * _BYTES_TO_MAKE / 2**30:.1f} GiB")
    generator = torch.Generator().manual_seed(seed)
    flat = torch.ones(count)
    matrices = flat[: matrix_parameter_count(architecture)]
    matrices.normal_(0.0, architecture.initializer_range, generator=generator)
    return flat
