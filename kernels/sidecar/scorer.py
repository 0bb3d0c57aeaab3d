"""Teacher forcing: what a model says at given positions of given tokens. A pure function of its arguments.

A row's numbers do not depend on the other samples of the request (prefill.py), so chunking changes nothing.
Position t is that of the predicted token: its distribution is computed from tokens[<t].
"""
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ops.topk_head.op import SELECTS, RowProblem
from ops.topk_head.top_k import top_k

from .arrays import pack_f32, pack_u32, unpack_u32
from .errors import SidecarError
from .head_choice import DENSE, TopKSelector
from .models import Model
from .prefill import padded_rows, passes, prefill
from .protocol import data_pb2

# Log-probabilities held at once, in floats (256 MiB).
_MAX_LOGITS = 1 << 26


def score(model: Model, request, heads: TopKSelector) -> "data_pb2.ScoreTable":
    """A ScoreTable for a ScoreRequest, rows in the request's order. INVALID names the sample that is wrong."""
    samples = [_read_sample(index, sample, model) for index, sample in enumerate(request.samples)]
    k = request.top_k
    banned = _banned(request, model)
    if k and int((~banned).sum()) < k:
        raise SidecarError("INVALID", f"top_k is {k} but only {int((~banned).sum())} ids are valid")
    table = data_pb2.ScoreTable(scorer_weights_hash=model.weights_hash, top_k=k)
    rows = [table.rows.add(tokens_sha256=hashlib.sha256(s.tokens).hexdigest(), positions=s.positions) for s in request.samples]
    wanted = [index for index, (_, positions) in enumerate(samples) if len(positions)]
    for chunk in passes([len(samples[index][0]) for index in wanted]):
        chosen = [wanted[i] for i in chunk]
        hidden, _ = prefill(model, [samples[i][0] for i in chosen], [samples[i][1] - 1 for i in chosen])
        given = np.concatenate([samples[i][0][samples[i][1]] for i in chosen]).astype(np.int64)
        counts = [len(samples[i][1]) for i in chosen]
        columns = _columns(model, hidden, given, (k, banned, heads))
        _fill_rows([rows[i] for i in chosen], counts, columns)
    return table


def _columns(model: Model, hidden: torch.Tensor, given: np.ndarray, support: tuple[int, torch.Tensor, TopKSelector]) -> dict[str, np.ndarray]:
    """hidden [≥ n, H], given ids [n] → ScoreRow fields with n leading entries."""
    k, banned, heads = support
    vocabulary = model.architecture.vocab_size
    implementation = heads.choose(vocabulary, k)
    parts: dict[str, list[np.ndarray]] = {}
    ids = torch.zeros(hidden.shape[0], dtype=torch.int64)
    ids[: len(given)] = torch.from_numpy(given)
    ids = ids.to(model.device)
    block = padded_rows(_MAX_LOGITS // vocabulary, model)
    for start in range(0, hidden.shape[0], block):
        # A short last block begins earlier, to stay above the row floor.
        low = max(0, min(start, hidden.shape[0] - model.row_floor))
        logits = F.linear(hidden[low : start + block], model.weights.head)[start - low :]
        if k:
            values, chosen = _largest(logits, k, banned, implementation)
            heads.count(implementation, vocabulary, k)
            fields = {"ids": chosen, "values": values, "mass": values.double().exp().sum(-1).float()}
        else:
            fields = {"given_logprobs": logits.log_softmax(-1).gather(1, ids[start : start + block, None])[:, 0]}
        for name, tensor in fields.items():
            parts.setdefault(name, []).append(tensor.cpu().numpy())
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _largest(logits: torch.Tensor, k: int, banned: torch.Tensor, implementation: str) -> tuple[torch.Tensor, torch.Tensor]:
    """logits [n, V] → log-probabilities over the whole vocabulary, descending, and ids, both [n, k]; a row depends on its own logits only."""
    if implementation == DENSE:
        return top_k(logits.log_softmax(-1).masked_fill(banned, float("-inf")), k)
    try:
        chosen = SELECTS[implementation](logits, k, banned, True)
    except RowProblem as problem:
        raise SidecarError("INVALID", f"the teacher cannot be scored: {problem}") from None
    return chosen.values - chosen.lse[:, None], chosen.ids


def _fill_rows(rows: Sequence, counts: Sequence[int], columns: dict[str, np.ndarray]) -> None:
    start = 0
    for row, count in zip(rows, counts, strict=True):
        for name, array in columns.items():
            pack = pack_u32 if name == "ids" else pack_f32
            setattr(row, name, pack(array[start : start + count]))
        start += count


def _banned(request, model: Model) -> torch.Tensor:
    """bool [V]"""
    vocabulary = model.architecture.vocab_size
    banned = torch.zeros(vocabulary, dtype=torch.bool, device=model.device)
    if request.valid_vocabulary:
        banned[request.valid_vocabulary :] = True
    ids = list(request.banned_token_ids)
    if any(i >= vocabulary for i in ids):
        raise SidecarError("INVALID", f"a banned id is outside the vocabulary of {vocabulary}")
    banned[ids] = True
    return banned


def _read_sample(index: int, sample, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """tokens u32 [L], positions i64 [n]."""
    tokens = unpack_u32(sample.tokens, f"sample {index} tokens")
    positions = unpack_u32(sample.positions, f"sample {index} positions").astype(np.int64)
    if len(tokens) == 0 or len(tokens) > model.architecture.max_position_embeddings:
        raise SidecarError("INVALID", f"sample {index} has {len(tokens)} tokens; the model takes 1 to {model.architecture.max_position_embeddings}")
    if int(tokens.max()) >= model.architecture.vocab_size:
        raise SidecarError("INVALID", f"sample {index}: token {int(tokens.max())} is outside the vocabulary")
    if len(positions) and (int(positions.min()) < 1 or int(positions.max()) >= len(tokens)):
        raise SidecarError("INVALID", f"sample {index}: positions must lie in 1…{len(tokens) - 1}, those of predicted tokens")
    return tokens, positions
