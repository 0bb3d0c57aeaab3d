"""From the Batch message to micro-batches: flat tokens, and one stream a loss kind over the weighted positions.

Packed rows decide only which samples share a forward-backward pass (rows_per_micro_batch rows): attention never
crosses samples and position ids restart, so a row needs no padding and the linear layers run on flat tokens.
"""
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .arrays import unpack_f32, unpack_u32
from .errors import SidecarError

# sha256 of a ScoreTable blob → its message
ScoreTables = Callable[[str], object]


@dataclass
class Stream:
    """Tokens of one loss kind. `index`: into MicroBatch.select; fields: per-token arrays of that kind."""

    index: np.ndarray  # i64 [n]
    weight: np.ndarray  # f32 [n]
    sample: np.ndarray  # i64 [n], index in the batch
    fields: dict[str, np.ndarray] = field(default_factory=dict)

    def of_sample(self, sample: int) -> "Stream":
        own = self.sample == sample
        return Stream(self.index[own], self.weight[own], self.sample[own], {name: a[own] for name, a in self.fields.items()})


@dataclass
class MicroBatch:
    samples: list[int]  # indices in the batch, in flat order
    lengths: list[int]
    tokens: np.ndarray  # i64 [N]
    select: np.ndarray  # i64 [P]: flat rows whose next token carries weight
    targets: np.ndarray  # i64 [P]
    target_sample: np.ndarray  # i64 [P]: index in the batch
    # "cross_entropy", "policy_gradient" or ("salient_vocabulary", k)
    streams: dict[str | tuple[str, int], Stream]

    def with_streams(self, streams: dict[str | tuple[str, int], Stream]) -> "MicroBatch":
        return replace(self, streams=streams)


def micro_batches(batch, vocabulary: int, max_length: int, score_tables: ScoreTables) -> list[MicroBatch]:
    """INVALID names the member that is wrong."""
    planned = [index for row in batch.rows for index in row.samples]
    if sorted(planned) != list(range(len(batch.samples))):
        raise SidecarError("INVALID", "the row plan must name every sample of the batch exactly once")
    if not planned:
        raise SidecarError("INVALID", "the batch has no samples")
    size = batch.rows_per_micro_batch or len(batch.rows)
    reader = _Reader(vocabulary, max_length, score_tables)
    groups = [[i for row in batch.rows[start : start + size] for i in row.samples] for start in range(0, len(batch.rows), size)]
    read = [reader.micro_batch([(i, batch.samples[i]) for i in group]) for group in groups]
    return [micro for micro in read if micro is not None]


class _Reader:
    def __init__(self, vocabulary: int, max_length: int, score_tables: ScoreTables):
        self._vocabulary = vocabulary
        self._max_length = max_length
        self._score_tables = score_tables

    def micro_batch(self, members: list[tuple[int, object]]) -> MicroBatch | None:
        """None where nothing carries weight."""
        read = []
        # Samples of similar length stand together: attention pads within such groups (training_forward.py).
        for index, sample in sorted(members, key=lambda m: (-length_class(len(m[1].tokens) // 4), m[0])):
            ids = self._tokens(sample)
            weights = [self._weights(sample, term, len(ids)) for term in sample.terms]
            # Without weight a sample is checked and left out: it changes nothing, not even the order of a sum.
            if any(w.any() for w in weights):
                read.append((index, sample, ids, weights))
        return self._pack(read) if read else None

    def _pack(self, read) -> MicroBatch:
        pieces: dict[str | tuple[str, int], list[Stream]] = {}
        select, targets, target_sample = [], [], []
        start = selected = 0
        for index, sample, ids, weights in read:
            used = np.flatnonzero(np.logical_or.reduce([w != 0 for w in weights]))
            for term, weight in zip(sample.terms, weights, strict=True):
                positions = np.flatnonzero(weight)
                if len(positions):
                    kind, fields = self._term(sample, term, positions, len(ids))
                    at = selected + np.searchsorted(used, positions)
                    pieces.setdefault(kind, []).append(Stream(at, weight[positions], np.full(len(positions), index), fields))
            select.append(start + used - 1)
            targets.append(ids[used])
            target_sample.append(np.full(len(used), index))
            start += len(ids)
            selected += len(used)
        tokens = [ids for _, _, ids, _ in read]
        return MicroBatch(
            [index for index, *_ in read], [len(ids) for ids in tokens], np.concatenate(tokens),
            np.concatenate(select), np.concatenate(targets), np.concatenate(target_sample),
            {kind: _join(streams) for kind, streams in pieces.items()},
        )

    def _tokens(self, sample) -> np.ndarray:
        tokens = unpack_u32(sample.tokens, f"member {sample.member} tokens").astype(np.int64)
        if not 1 <= len(tokens) <= self._max_length:
            raise SidecarError("INVALID", f"member {sample.member} has {len(tokens)} tokens; the model takes 1 to {self._max_length}")
        if int(tokens.max()) >= self._vocabulary:
            raise SidecarError("INVALID", f"member {sample.member}: token {int(tokens.max())} is outside the vocabulary of {self._vocabulary}")
        return tokens

    @staticmethod
    def _weights(sample, term, length: int) -> np.ndarray:
        if term.WhichOneof("kind") is None:
            raise SidecarError("INVALID", f"member {sample.member}: a loss term has no kind")
        weights = _floats(sample, term.weights, "weights", length)
        if weights[0] != 0:
            raise SidecarError("INVALID", f"member {sample.member}: weights[0] must be 0, nothing predicts the first token")
        if not np.isfinite(weights).all():
            raise SidecarError("INVALID", f"member {sample.member}: a weight is not finite")
        return weights

    def _term(self, sample, term, positions: np.ndarray, length: int):
        kind = term.WhichOneof("kind")
        if kind == "policy_gradient":
            return kind, _policy_fields(sample, term.policy_gradient, positions, length)
        if kind == "salient_vocabulary":
            return (kind, term.salient_vocabulary.top_k), self._salient_fields(sample, term.salient_vocabulary, positions)
        return kind, {}

    def _salient_fields(self, sample, term, positions: np.ndarray) -> dict[str, np.ndarray]:
        member, k = sample.member, term.top_k
        if k < 2:
            raise SidecarError("INVALID", f"member {member}: top_k is {k}; below 2 the loss is identically zero")
        if not term.temperature > 0:
            raise SidecarError("INVALID", f"member {member}: the temperature must be positive")
        table = self._score_tables(term.score_blob_sha256)
        if term.score_row >= len(table.rows):
            raise SidecarError("INVALID", f"member {member}: score blob {term.score_blob_sha256} has no row {term.score_row}")
        row = table.rows[term.score_row]
        if table.top_k != k:
            raise SidecarError("INVALID", f"member {member}: the scores have top_k {table.top_k}, the batch says {k}")
        if row.tokens_sha256 != hashlib.sha256(sample.tokens).hexdigest():
            raise SidecarError("HASH_MISMATCH", f"member {member}: score row {term.score_row} of {term.score_blob_sha256} was scored for other tokens")
        scored = unpack_u32(row.positions, f"member {member} scored positions").astype(np.int64)
        at = np.searchsorted(scored, positions)
        if len(scored) == 0 or (scored[np.minimum(at, len(scored) - 1)] != positions).any():
            raise SidecarError("INVALID", f"member {member}: a weighted position has no teacher scores")
        every_ids, values = unpack_u32(row.ids, f"member {member} ids"), unpack_f32(row.values, f"member {member} values")
        mass = unpack_f32(row.mass, f"member {member} mass")
        found = len(every_ids), len(values), len(mass)
        if found != (len(scored) * k, len(scored) * k, len(scored)):
            raise SidecarError("INVALID", f"member {member}: {found} ids, values and masses do not fit {len(scored)} positions of {k}")
        ids = every_ids.reshape(-1, k)[at].astype(np.int64)
        if int(ids.max()) >= self._vocabulary:
            raise SidecarError("INVALID", f"member {member}: a teacher id is outside the vocabulary")
        return {"ids": ids, "values": values.reshape(-1, k)[at], "mass": mass[at], "temperature": np.full(len(positions), term.temperature, np.float32)}


def length_class(length: int) -> int:
    """Powers of two from 32: samples of one class are padded to their longest in attention."""
    return 1 << max(5, (length - 1).bit_length())


def _policy_fields(sample, term, positions: np.ndarray, length: int) -> dict[str, np.ndarray]:
    reference = np.zeros(length, np.float32)
    if term.kl_coefficient != 0:
        reference = _floats(sample, term.reference_logprobs, "reference_logprobs", length)
    per_token = {
        "advantage": _floats(sample, term.advantages, "advantages", length),
        "old_logprob": _floats(sample, term.old_logprobs, "old_logprobs", length), "reference_logprob": reference,
    }
    constants = {name: getattr(term, name) for name in ("clip_low", "clip_high", "kl_coefficient", "entropy_coefficient", "importance_cap")}
    return {name: array[positions] for name, array in per_token.items()} | {
        name: np.full(len(positions), value, np.float32) for name, value in constants.items()
    }


def _floats(sample, data: bytes, name: str, length: int) -> np.ndarray:
    array = unpack_f32(data, f"member {sample.member} {name}")
    if len(array) != length:
        raise SidecarError("INVALID", f"member {sample.member}: {name} has {len(array)} values for {length} tokens")
    return array


def _join(streams: list[Stream]) -> Stream:
    fields = {name: np.concatenate([s.fields[name] for s in streams]) for name in streams[0].fields}
    return Stream(*(np.concatenate([getattr(s, name) for s in streams]) for name in ("index", "weight", "sample")), fields)
