"""The learner's fold, executed: state' = step(state, batch, settings). Knows no algorithm, only loss kinds.

State is flat fp32 parameters, AdamW moments and a step count. A step computes everything before it changes anything.
Only the compute thread runs this code.
"""
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from google.protobuf.message import DecodeError

from . import checkpoint, hashing
from .architecture import Architecture
from .blobs import BlobStore, Ref
from .errors import SidecarError
from .forward import Rotary
from .head_choice import DENSE, HeadSelector
from .objective import micro_batch_loss
from .optimizer import AdamW, OptimizerSettings, clip_by_norm
from .packing import MicroBatch, micro_batches
from .parameters import fused_views, matrix_parameter_count, model_weights, named_parameters
from .protocol import data_pb2
from .sparse_objective import BadSample, sparse_micro_batch_loss
from .step_stats import Stat, StepStats
from .training_forward import selected_hidden


@dataclass(frozen=True)
class StepIdentity:
    parent_state_hash: str
    batch_id: str
    settings_hash: str


@dataclass(frozen=True)
class StepOutcome:
    state_hash: str
    weights_hash: str
    step: int
    stats: list[Stat]
    sample_stats: list[list[Stat]]


class TrainingState:
    """Parameters as leaves that share one flat buffer, their gradients sharing another."""

    def __init__(self, architecture: Architecture, flat: torch.Tensor, moments: tuple[torch.Tensor, torch.Tensor], step: int):
        self.architecture = architecture
        self.flat = flat
        self.gradient = torch.zeros_like(flat)
        self.optimizer = AdamW(*moments, matrix_parameter_count(architecture))
        self.rotary = Rotary(architecture, flat.device)
        self.step = step
        gradients = fused_views(architecture, self.gradient)
        leaves = {name: view.detach().requires_grad_() for name, view in fused_views(architecture, flat).items()}
        for name, leaf in leaves.items():
            leaf.grad = gradients[name]
        self.weights = model_weights(architecture, leaves)
        self.rehash()

    def rehash(self) -> None:
        named = named_parameters(self.architecture, self.flat)
        weights_hash = hashing.weights_hash(self.architecture.to_json(), named)
        moments = {
            f"{kind}/{name}": tensor
            for kind in ("exp_avg", "exp_avg_sq")
            for name, tensor in fused_views(self.architecture, getattr(self.optimizer, kind)).items()
        }
        # One assignment: status requests read it from other threads.
        self.hashes = (hashing.state_hash(weights_hash, moments, self.step), weights_hash)

    @property
    def state_hash(self) -> str:
        return self.hashes[0]

    @property
    def weights_hash(self) -> str:
        return self.hashes[1]


class Trainer:
    def __init__(self, blobs: BlobStore, device: torch.device):
        self._blobs = blobs
        self.device = device
        self.heads = HeadSelector(device)
        self.state: TrainingState | None = None
        self._last: tuple[StepIdentity, StepOutcome] | None = None

    def current_weights(self) -> tuple[Architecture, torch.Tensor, str] | None:
        s = self.state
        return None if s is None else (s.architecture, s.flat, s.weights_hash)

    def identity(self) -> tuple[str, str]:
        """State hash and weights hash, empty before the first restore. Safe from any thread."""
        return ("", "") if self.state is None else self.state.hashes

    def restore_weights(self, ref) -> TrainingState:
        """Optimizer state zero, step 0."""
        architecture, flat = checkpoint.load_weights(self._blobs.get(ref))
        return self._become(architecture, flat, (torch.zeros_like(flat), torch.zeros_like(flat)), 0)

    def restore_snapshot(self, ref) -> TrainingState:
        """CORRUPT if the content does not hash to the state it claims; the current state stays then."""
        s = checkpoint.load_snapshot(self._blobs.get(ref))
        before, last = self.state, self._last
        state = self._become(s.architecture, s.flat, (s.exp_avg, s.exp_avg_sq), s.step)
        if (state.state_hash, state.weights_hash) != (s.state_hash, s.weights_hash):
            self.state, self._last = before, last
            raise SidecarError("CORRUPT", f"snapshot {ref.sha256} hashes to state {state.state_hash}, it claims {s.state_hash}")
        return state

    def _become(self, architecture: Architecture, flat: torch.Tensor, moments, step: int) -> TrainingState:
        self.state = TrainingState(architecture, flat.to(self.device), tuple(m.to(self.device) for m in moments), step)
        self._last = None
        return self.state

    def step(self, identity: StepIdentity, batch_ref, settings: OptimizerSettings) -> StepOutcome:
        """Applied just before: the same outcome again. WRONG_PARENT if the state is another; INVALID if not finite."""
        if self._last is not None and self._last[0] == identity:
            return self._last[1]
        state = self._require_state(identity.parent_state_hash)
        batch = _parse(data_pb2.Batch, self._blobs.get(batch_ref), f"batch {identity.batch_id}")
        a = state.architecture
        micros = micro_batches(batch, a.vocab_size, a.max_position_embeddings, self._score_tables())
        stats = StepStats(len(batch.samples))
        members = [sample.member for sample in batch.samples]
        self._accumulate(state, micros, stats, members)
        norm = clip_by_norm(state.gradient, settings.max_gradient_norm)
        if not math.isfinite(norm):
            raise SidecarError("INVALID", f"the gradient is not finite; member {self._first_bad_member(state, micros, members)}")
        try:
            state.optimizer.update(state.flat, state.gradient, settings, state.step + 1)
            state.step += 1
            state.rehash()
        except BaseException:
            # Half an update under the old hash must never be served: the caller restores.
            self.state, self._last = None, None
            raise
        outcome = StepOutcome(state.state_hash, state.weights_hash, state.step, stats.of_batch(norm), stats.of_samples())
        self._last = (identity, outcome)
        return outcome

    def _accumulate(self, state: TrainingState, micros: list[MicroBatch], stats: StepStats, members: list[str]) -> None:
        state.gradient.zero_()
        for micro in micros:
            with torch.enable_grad():
                try:
                    loss = self._loss(state, micro, stats)
                except BadSample as error:
                    raise SidecarError("INVALID", f"the loss of member {members[error.sample]} is not finite: {error.message}; the state is unchanged") from None
                if loss.requires_grad:
                    loss.backward()
        bad = np.flatnonzero(~np.isfinite(stats.loss_by_sample()))
        if len(bad):
            raise SidecarError("INVALID", f"the loss of member {members[bad[0]]} is not finite; the state is unchanged")

    def _loss(self, state: TrainingState, micro: MicroBatch, stats: StepStats) -> torch.Tensor:
        hidden = selected_hidden(state.architecture, state.weights, state.rotary, micro)
        head = self._head(state.architecture, micro)
        if head == DENSE:
            return micro_batch_loss(F.linear(hidden, state.weights.head), micro, stats)
        return sparse_micro_batch_loss(hidden, state.weights.head, micro, stats, head)

    def _head(self, a: Architecture, micro: MicroBatch) -> str:
        """Other losses need every logit: with one of them in the micro-batch SVA takes its k from those."""
        top_ks = [kind[1] if isinstance(kind, tuple) else 0 for kind in micro.streams]
        chosen = {self.heads.choose(a.vocab_size, a.hidden_size, k) if k else DENSE for k in top_ks}
        head = chosen.pop() if len(chosen) == 1 else DENSE
        if any(top_ks):
            self.heads.count(head, a.vocab_size, max(top_ks))
        return head

    def _first_bad_member(self, state: TrainingState, micros: list[MicroBatch], members: list[str]) -> str:
        """Only on the way to an error: gradients sample by sample."""
        for micro in micros:
            for sample in micro.samples:
                state.gradient.zero_()
                with torch.enable_grad():
                    own = {kind: stream.of_sample(sample) for kind, stream in micro.streams.items()}
                    self._loss(state, micro.with_streams(own), StepStats(len(members))).backward()
                if not bool(torch.isfinite(state.gradient).all()):
                    return members[sample]
        return "unknown: only the sum over members overflows"

    def _score_tables(self):
        tables: dict[str, object] = {}

        def read(sha256: str):
            if sha256 not in tables:
                data = self._blobs.get(Ref(sha256, 0))
                tables[sha256] = _parse(data_pb2.ScoreTable, data, f"score blob {sha256}")
            return tables[sha256]

        return read

    def _require_state(self, state_hash: str) -> TrainingState:
        if self.state is None:
            raise SidecarError("WRONG_PARENT", f"no state is loaded, {state_hash} is wanted; restore and replay")
        if self.state.state_hash != state_hash:
            raise SidecarError("WRONG_PARENT", f"the current state is {self.state.state_hash}, {state_hash} is wanted; restore and replay")
        return self.state

    def snapshot(self, state_hash: str) -> tuple[Ref, TrainingState]:
        s = self._require_state(state_hash)
        data = checkpoint.Snapshot(
            s.architecture, s.flat, s.optimizer.exp_avg, s.optimizer.exp_avg_sq, s.step, s.state_hash, s.weights_hash,
        )
        return self._blobs.put(checkpoint.dump_snapshot(data)), s

    def publish(self, weights_hash: str) -> tuple[Ref, str]:
        """WRONG_PARENT if the current weights are others; an empty hash means the current ones."""
        if self.state is None or (weights_hash and weights_hash != self.state.weights_hash):
            current = self.state.weights_hash if self.state else "none"
            raise SidecarError("WRONG_PARENT", f"the current weights are {current}, {weights_hash} are wanted; restore and replay")
        return self._blobs.put(checkpoint.dump_weights(self.state.architecture, self.state.flat)), self.state.weights_hash


def _parse(message_class, data: bytes, what: str):
    message = message_class()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise SidecarError("CORRUPT", f"{what} does not parse: {error}") from None
    return message
