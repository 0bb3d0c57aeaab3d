"""Slots of one continuous batch: sequences of one model and one cache length, at any point of their turns.

Every row has the same padded cache length, so reductions over it have one shape whoever the neighbours are.
Active rows are kept at the front (a finished row's slot is taken by the last), so a step computes only them.
"""
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from .attention import cached_attention
from .draw import draw, uniforms
from .forward import hidden_states
from .models import Model
from .prefill import padded_length, padded_rows, prefill
from .threads import tensor_threads

_INITIAL_SLOTS = 32


def cache_length(tokens: int) -> int:
    """The cache length of a request that may reach `tokens`: 64, 96, 128, 192, 256, 384, 512, …; its own doing alone."""
    length = 64
    while length < tokens:
        length = length * 3 // 2 if length & (length - 1) == 0 else length * 4 // 3
    return length


@dataclass
class Slot:
    """What a request brings; `payload` is returned untouched with its result."""

    prefix: np.ndarray  # u32 [L]
    seed: int
    temperature: float
    greedy: bool
    max_new_tokens: int
    stop_token_ids: Sequence[int]
    banned_token_ids: Sequence[int]
    payload: object


@dataclass(frozen=True)
class Finished:
    slot: Slot
    tokens: np.ndarray  # u32 [n]
    logprobs: np.ndarray  # f32 [n]
    stopped: bool
    interrupted: bool = False


class DecodePool:
    def __init__(self, model: Model, length: int):
        self.model = model
        self.length = length
        self.slots: list[Slot] = []
        self._capacity = 0
        self._tensors: dict[str, torch.Tensor] = {}
        self._seeds = np.zeros(0, dtype=np.uint64)
        self._reserve(max(_INITIAL_SLOTS, model.row_floor))

    def _shapes(self, n: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        a = self.model.architecture
        cache = (n, a.num_hidden_layers, a.num_key_value_heads, self.length, a.head_dim)
        return {
            "keys": (cache, torch.float32), "values": (cache, torch.float32),
            "token": ((n,), torch.int64),  # drawn last, not yet in the cache
            "filled": ((n,), torch.int64),  # tokens in the cache
            "drawn": ((n,), torch.int64),
            "limit": ((n,), torch.int64),
            "temperature": ((n,), torch.float64), "greedy": ((n,), torch.bool),
            "banned": ((n, a.vocab_size), torch.bool), "stop": ((n, a.vocab_size), torch.bool),
            "tokens": ((n, self.length), torch.int64), "logprobs": ((n, self.length), torch.float32),
        }

    def _reserve(self, rows: int) -> None:
        if rows <= self._capacity:
            return
        capacity = max(rows, 2 * self._capacity)
        for name, (shape, dtype) in self._shapes(capacity).items():
            grown = torch.zeros(shape, dtype=dtype, device=self.model.device)
            if name == "temperature":
                grown.fill_(1.0)
            if name in ("keys", "values"):
                # [layers, slots, kv_heads, S, D]: the active slots of a layer are one contiguous block.
                grown = grown.transpose(0, 1).contiguous()
                if self._capacity:
                    grown[:, : self._capacity] = self._tensors[name]
            elif self._capacity:
                grown[: self._capacity] = self._tensors[name]
            self._tensors[name] = grown
        self._seeds = np.concatenate([self._seeds, np.zeros(capacity - self._capacity, dtype=np.uint64)])
        self._capacity = capacity

    def admit(self, slots: Sequence[Slot]) -> list[Finished]:
        """Prefills requests of one padded prefix length, draws their first tokens; returns those already done."""
        unique: dict[bytes, int] = {}
        source = [unique.setdefault(slot.prefix.tobytes(), len(unique)) for slot in slots]
        prefixes = [np.frombuffer(key, dtype=np.uint32) for key in unique]
        hidden, kept = prefill(self.model, prefixes, [np.array([len(p) - 1]) for p in prefixes])
        first, last = len(self.slots), len(self.slots) + len(slots)
        self._reserve(padded_rows(last, self.model))
        self.slots += slots
        t, index = self._tensors, torch.tensor(source, device=self.model.device)
        width = padded_length(max(len(p) for p in prefixes))
        for layer, (k, v) in enumerate(kept):
            t["keys"][layer, first:last, :, :width] = k[index]
            t["values"][layer, first:last, :, :width] = v[index]
        self._fill_settings(first, slots)
        logits = F.linear(hidden, self.model.weights.head)[index]
        self._draw(first, last, logits)
        return self._collect(first)

    def _fill_settings(self, first: int, slots: Sequence[Slot]) -> None:
        t, last = self._tensors, first + len(slots)
        t["filled"][first:last] = torch.tensor([len(s.prefix) for s in slots])
        t["limit"][first:last] = torch.tensor([s.max_new_tokens for s in slots])
        t["drawn"][first:last] = 0
        t["temperature"][first:last] = torch.tensor([1.0 if s.greedy else s.temperature for s in slots], dtype=torch.float64)
        t["greedy"][first:last] = torch.tensor([s.greedy for s in slots])
        t["banned"][first:last] = False
        t["stop"][first:last] = False
        for row, slot in enumerate(slots, first):
            self._seeds[row] = slot.seed
            if slot.banned_token_ids:
                t["banned"][row, list(slot.banned_token_ids)] = True
            if slot.stop_token_ids:
                t["stop"][row, list(slot.stop_token_ids)] = True

    def step(self) -> list[Finished]:
        """One token for every active slot; returns the finished ones."""
        with tensor_threads(self.model.decode_threads):
            return self._step()

    def _step(self) -> list[Finished]:
        active = len(self.slots)
        rows = padded_rows(active, self.model)
        hidden = self._forward(rows)
        self._tensors["filled"][:active] += 1
        self._draw(0, active, F.linear(hidden, self.model.weights.head)[:active])
        return self._collect(0)

    def _forward(self, rows: int) -> torch.Tensor:
        model, t = self.model, self._tensors
        filled = t["filled"][:rows]
        kv_heads = model.architecture.num_key_value_heads
        slot = torch.arange(rows, device=model.device)
        unseen = torch.arange(self.length, device=model.device) > filled[:, None]
        bias = torch.zeros(rows, 1, 1, self.length, device=model.device).masked_fill_(unseen[:, None, None], float("-inf"))
        bias = bias.expand(rows, kv_heads, 1, self.length).reshape(rows * kv_heads, 1, self.length)

        def attend(layer, q, k, v):
            keys, values = t["keys"][layer, :rows], t["values"][layer, :rows]
            keys[slot, :, filled] = k
            values[slot, :, filled] = v
            return cached_attention(q, keys, values, bias, model.attention_scale)

        return hidden_states(model.architecture, model.weights, t["token"][:rows], model.rotary.at(filled), attend)

    def _draw(self, first: int, last: int, logits: torch.Tensor) -> None:
        t, rows = self._tensors, slice(first, last)
        counters = t["drawn"][rows]
        u = torch.from_numpy(uniforms(self._seeds[rows], counters.cpu().numpy().astype(np.uint64))).to(logits.device)
        tokens, logprobs = draw(logits, u, t["temperature"][rows], t["greedy"][rows], t["banned"][rows])
        t["token"][rows] = tokens
        t["tokens"][rows].scatter_(1, counters[:, None], tokens[:, None])
        t["logprobs"][rows].scatter_(1, counters[:, None], logprobs[:, None])
        counters += 1

    def _collect(self, first: int) -> list[Finished]:
        """Takes out the finished among slots first…; each is replaced by the then last slot."""
        t, active = self._tensors, len(self.slots)
        rows = slice(first, active)
        stopped = t["stop"][rows].gather(1, t["token"][rows, None])[:, 0]
        done = (stopped | (t["drawn"][rows] >= t["limit"][rows])).nonzero()[:, 0].tolist()
        if not done:
            return []
        stopped = stopped.tolist()
        finished = [self._result(first + row, stopped[row]) for row in done]
        for row in reversed(done):
            self._remove(first + row)
        return finished

    def _result(self, row: int, stopped: bool) -> Finished:
        t, count = self._tensors, int(self._tensors["drawn"][row])
        tokens = t["tokens"][row, :count].cpu().numpy().astype(np.uint32)
        return Finished(self.slots[row], tokens, t["logprobs"][row, :count].cpu().numpy().copy(), stopped)

    def _remove(self, row: int) -> None:
        last = len(self.slots) - 1
        if row != last:
            for name, tensor in self._tensors.items():
                if name in ("keys", "values"):
                    tensor[:, row] = tensor[:, last]
                else:
                    tensor[row] = tensor[last]
            self._seeds[row] = self._seeds[last]
            self.slots[row] = self.slots[last]
        self.slots.pop()

    def interrupt(self, payload: object) -> list[Finished]:
        """Takes out the slot with this payload, as far as it is; none if it has left."""
        rows = [row for row, slot in enumerate(self.slots) if slot.payload is payload]
        finished = [replace(self._result(row, False), interrupted=True) for row in rows]
        for row in rows:
            self._remove(row)
        return finished

    def drop(self, unwanted) -> None:
        """Frees the slots whose payload satisfies `unwanted`."""
        for row in reversed(range(len(self.slots))):
            if unwanted(self.slots[row].payload):
                self._remove(row)
