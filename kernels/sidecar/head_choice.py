"""Which implementation of the head computes SVA, or finds a teacher's top-k, for a shape: a pure function of shape, device and what is built here.

The thresholds are committed and were measured offline (ops/sva_head/README.md): a choice measured at start could differ
between two starts and break replay (docs/decisions/sva-head.md). What is built is part of the fingerprint.
"""
from collections.abc import Callable
from typing import NamedTuple

import torch

from ops.build import is_built
from ops.sva_head.interface import MAX_TOP_K

from .logs import log

DENSE = "dense"


class Rule(NamedTuple):
    """Use `implementation` from these sizes on."""

    implementation: str
    vocabulary: int
    vocabulary_per_k: int


# In order of preference, a library's name or None where PyTorch is enough. Measured on a CPU only; for CUDA the numbers are the floors' (README).
_RULES = {
    "cpu": (("cpu", Rule("gather-cpu", 8192, 64)), (None, Rule("compaction", 32768, 512))),
    "cuda": (("cuda", Rule("gather-online", 32768, 64)), (None, Rule("compaction", 32768, 512))),
}
_TABLE_VOCABULARIES = (512, 8192, 32768, 151_936, 248_320)


def head_rule(device: torch.device) -> Rule:
    return next(rule for library, rule in _RULES[device.type] if library is None or is_built(library))


def top_k_rule(device: torch.device) -> Rule:
    """How a scorer finds a teacher's top-k. On a CPU always by a log-softmax over the vocabulary; the thresholds for CUDA are those of SVA's kernel."""
    return Rule("bounded-cuda", 32768, 64) if device.type == "cuda" and is_built("cuda") else Rule(DENSE, 0, 0)


def _is_large(rule: Rule, vocabulary: int, top_k: int) -> bool:
    return vocabulary >= rule.vocabulary and vocabulary >= rule.vocabulary_per_k * top_k and top_k <= MAX_TOP_K


class _Uses:
    """One rule for the life of the process, and how often which implementation was used."""

    def __init__(self, what: str, device: torch.device, rule: Rule):
        self._what = what
        self._device = device
        self._rule = rule
        self._used: dict[tuple[str, int, int], int] = {}

    def count(self, implementation: str, vocabulary: int, top_k: int) -> None:
        key = (implementation, vocabulary, top_k)
        if key not in self._used:
            log("info", f"head for {self._what}", implementation=implementation, vocabulary=vocabulary, topK=top_k, device=self._device.type)
        self._used[key] = self._used.get(key, 0) + 1

    def used(self) -> list[tuple[str, int, int, int]]:
        """(implementation, vocabulary, top k, times) of every shape that has been used. Safe from any thread."""
        return sorted((*shape, n) for shape, n in list(self._used.items()))

    def _say_table(self, choose: Callable[[int], str]) -> None:
        log("info", f"heads for {self._what} by vocabulary, at k = 64", device=self._device.type, heads={str(v): choose(v) for v in _TABLE_VOCABULARIES})


class HeadSelector(_Uses):
    """Micro-batches of the trainer."""

    def __init__(self, device: torch.device):
        super().__init__("SVA", device, head_rule(device))

    def choose(self, vocabulary: int, hidden_size: int, top_k: int) -> str:
        r = self._rule
        kernel_takes = self._device.type == "cpu" or r.implementation == "compaction" or (hidden_size % 64 == 0 and hidden_size <= 8192)
        return r.implementation if kernel_takes and _is_large(r, vocabulary, top_k) else DENSE

    def announce(self) -> None:
        """At start: the table, and a warning where the preferred implementation is not built."""
        library, preferred = _RULES[self._device.type][0]
        if preferred != self._rule:
            log("warning", f"the {library} kernels are not built: SVA on large vocabularies uses {self._rule.implementation}, "
                f"which is slower than {preferred.implementation}; run `python -m ops.build` in kernels/", svaHead=self._rule.implementation)
        self._say_table(lambda vocabulary: self.choose(vocabulary, 2048, 64))


class TopKSelector(_Uses):
    """Blocks of positions of the scorer."""

    def __init__(self, device: torch.device):
        super().__init__("teachers", device, top_k_rule(device))

    def choose(self, vocabulary: int, top_k: int) -> str:
        return self._rule.implementation if _is_large(self._rule, vocabulary, top_k) else DENSE

    def announce(self) -> None:
        """At start, as for SVA."""
        if self._device.type == "cuda" and self._rule.implementation == DENSE:
            log("warning", "the cuda kernels are not built: teachers with a large vocabulary are scored by a log-softmax over all of it; "
                "run `python -m ops.build --cuda` in kernels/", topKHead=DENSE)
        self._say_table(lambda vocabulary: self.choose(vocabulary, 64))
