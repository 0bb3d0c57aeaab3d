"""Continuous batching: requests of any stream join at any token, results leave as each finishes.

R2: the tokens and log-probability bits of a request are a function of (weights, prefix, seed, settings) alone
(docs/decisions/0002-bitwise-sampling.md). Only the compute thread runs this code, under inference mode.
"""
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .decode_pool import DecodePool, Finished, Slot, cache_length
from .errors import SidecarError
from .models import Model, ModelCache
from .prefill import passes


@dataclass
class Ticket:
    """A request's way home. `deliver` gets a Finished or a SidecarError, once; `is_cancelled` is asked now and then."""

    deliver: Callable[[Finished | SidecarError], None]
    is_cancelled: Callable[[], bool]
    # Of a traced request: nanoseconds since the epoch when it joined the batch; 0 before.
    measured: bool = False
    admitted_ns: int = 0


class Sampler:
    def __init__(self, models: ModelCache):
        self._models = models
        self._waiting: list[tuple[Model, Slot]] = []
        self._pools: dict[tuple[str, int], DecodePool] = {}
        self.sampled_tokens = 0

    @property
    def active_slots(self) -> int:
        """Safe from any thread, as are `waiting` and `sampled_tokens`; between two tokens they may be a step old."""
        return sum(len(pool.slots) for pool in list(self._pools.values()))

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def has_work(self) -> bool:
        return bool(self._waiting or self._pools)

    def submit(self, weights_hash: str, slot: Slot) -> None:
        """Checks a request and queues it; a bad one is answered at once."""
        ticket: Ticket = slot.payload
        try:
            model = self._models.get(weights_hash)
            _check(slot, model)
        except SidecarError as error:
            ticket.deliver(error)
            return
        self._waiting.append((model, slot))

    def tick(self) -> None:
        """Admits all that wait, then draws one token for every active request."""
        self._admit()
        for key, pool in list(self._pools.items()):
            if pool.slots:
                self.sampled_tokens += len(pool.slots)
                _deliver(pool.step())
            if not pool.slots:
                del self._pools[key]

    @torch.inference_mode()
    def drop_cancelled(self) -> None:
        self._waiting = [(model, slot) for model, slot in self._waiting if not slot.payload.is_cancelled()]
        for pool in self._pools.values():
            pool.drop(lambda ticket: ticket.is_cancelled())

    @torch.inference_mode()
    def interrupt(self, ticket: Ticket) -> None:
        """Ends a request between two tokens with what it has drawn. Nothing happens if it has been answered."""
        waiting = [slot for _, slot in self._waiting if slot.payload is ticket]
        self._waiting = [(model, slot) for model, slot in self._waiting if slot.payload is not ticket]
        for slot in waiting:
            _deliver([Finished(slot, np.zeros(0, np.uint32), np.zeros(0, np.float32), stopped=False, interrupted=True)])
        for pool in self._pools.values():
            _deliver(pool.interrupt(ticket))

    def fail_all(self, error: SidecarError) -> None:
        """Answers every request with `error`: the tensors are in an unknown state."""
        slots = [slot for _, slot in self._waiting] + [slot for pool in self._pools.values() for slot in pool.slots]
        self._waiting, self._pools = [], {}
        for slot in slots:
            slot.payload.deliver(error)

    def _admit(self) -> None:
        waiting, self._waiting = self._waiting, []
        by_pool: dict[tuple[str, int], list[tuple[Model, Slot]]] = {}
        for model, slot in waiting:
            key = (model.weights_hash, cache_length(len(slot.prefix) + slot.max_new_tokens))
            by_pool.setdefault(key, []).append((model, slot))
        for key, members in by_pool.items():
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = DecodePool(members[0][0], key[1])
            slots = [slot for _, slot in members]
            for slot in slots:
                if slot.payload.measured:
                    slot.payload.admitted_ns = time.time_ns()
            for group in passes([len(slot.prefix) for slot in slots]):
                self.sampled_tokens += len(group)
                _deliver(pool.admit([slots[i] for i in group]))


def _deliver(finished: list[Finished]) -> None:
    for result in finished:
        result.slot.payload.deliver(result)


def _check(slot: Slot, model: Model) -> None:
    vocabulary, positions = model.architecture.vocab_size, model.architecture.max_position_embeddings
    problems = []
    if len(slot.prefix) == 0:
        problems.append("the prefix is empty")
    elif int(slot.prefix.max()) >= vocabulary:
        problems.append(f"token {int(slot.prefix.max())} is outside the vocabulary of {vocabulary}")
    if slot.max_new_tokens < 1:
        problems.append("max_new_tokens must be at least 1")
    if len(slot.prefix) + slot.max_new_tokens > positions:
        problems.append(f"prefix {len(slot.prefix)} + max_new_tokens {slot.max_new_tokens} exceed the model's {positions} positions")
    if not slot.greedy and not (slot.temperature > 0 and np.isfinite(slot.temperature)):
        problems.append("temperature must be positive")
    if any(i >= vocabulary for i in (*slot.stop_token_ids, *slot.banned_token_ids)):
        problems.append(f"a stop or banned id is outside the vocabulary of {vocabulary}")
    elif len(set(slot.banned_token_ids)) >= vocabulary:
        problems.append("every id is banned")
    if problems:
        raise SidecarError("INVALID", "; ".join(problems))
