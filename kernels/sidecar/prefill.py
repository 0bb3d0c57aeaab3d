"""The canonical forward pass of whole sequences: what sampling starts from and scoring reads.

A sequence is padded on the right to a multiple of 16 that its own length decides, and runs with others of the
same padded length. Its result does not depend on them, on their number, or on its place among them.
"""
from collections.abc import Sequence

import numpy as np
import torch

from .attention import causal_attend
from .forward import hidden_states
from .models import Model
from .row_floor import ROW_MULTIPLE

LENGTH_MULTIPLE = 16
# Padded tokens of one pass: bounds memory; the split changes no result.
MAX_PASS_TOKENS = 1 << 14


def padded_length(length: int) -> int:
    return -(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def padded_rows(rows: int, model: Model) -> int:
    return max(model.row_floor, -(-rows // ROW_MULTIPLE) * ROW_MULTIPLE)


def prefill(model: Model, sequences: Sequence[np.ndarray], select: Sequence[np.ndarray]):
    """Sequences of one padded length L; select[i]: positions of sequence i wanted.

    Returns hidden states [Σ len(select[i]) padded to the row floor, H] and per layer (k, v), each [B, kv_heads, L, D].
    """
    length = padded_length(max(len(s) for s in sequences))
    batch = max(len(sequences), -(-model.row_floor // length))
    tokens = np.zeros((batch, length), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = sequence
    wanted = np.concatenate([positions.astype(np.int64) + i * length for i, positions in enumerate(select)])
    rows = np.zeros(padded_rows(len(wanted), model), dtype=np.int64)
    rows[: len(wanted)] = wanted
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    attend = causal_attend(batch, length, model.attention_scale, model.device)

    def attend_and_keep(layer, q, k, v):
        kept.append(tuple(x.view(batch, length, *x.shape[1:]).transpose(1, 2)[: len(sequences)] for x in (k, v)))
        return attend(layer, q, k, v)

    positions = torch.arange(length, device=model.device).repeat(batch)
    hidden = hidden_states(
        model.architecture, model.weights, torch.from_numpy(tokens.reshape(-1)).to(model.device),
        model.rotary.at(positions), attend_and_keep, torch.from_numpy(rows).to(model.device),
    )
    return hidden, kept


def passes(lengths: Sequence[int]) -> list[list[int]]:
    """Indices grouped by padded length and cut to MAX_PASS_TOKENS, in order."""
    groups: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        groups.setdefault(padded_length(length), []).append(index)
    result = []
    for length, indices in sorted(groups.items()):
        size = max(1, MAX_PASS_TOKENS // length)
        result += [indices[i : i + size] for i in range(0, len(indices), size)]
    return result
