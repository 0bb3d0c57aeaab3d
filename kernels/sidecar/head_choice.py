"""Which implementation of the head computes SVA for a shape: a pure function of shape, device and what is built here.

The thresholds are committed and were measured offline (ops/sva_head/README.md): a choice measured at start could differ
between two starts and break replay (docs/decisions/sva-head.md). What is built is part of the fingerprint.
"""
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


class HeadSelector:
    """One rule for the life of the process, and how often which implementation was used."""

    def __init__(self, device: torch.device):
        self._device = device
        self._rule = head_rule(device)
        self._used: dict[tuple[str, int, int], int] = {}

    def choose(self, vocabulary: int, hidden_size: int, top_k: int) -> str:
        r = self._rule
        kernel_takes = self._device.type == "cpu" or r.implementation == "compaction" or (hidden_size % 64 == 0 and hidden_size <= 8192)
        large = vocabulary >= r.vocabulary and vocabulary >= r.vocabulary_per_k * top_k
        return r.implementation if large and kernel_takes and top_k <= MAX_TOP_K else DENSE

    def count(self, implementation: str, vocabulary: int, top_k: int) -> None:
        key = (implementation, vocabulary, top_k)
        if key not in self._used:
            log("info", "head for SVA", implementation=implementation, vocabulary=vocabulary, topK=top_k, device=self._device.type)
        self._used[key] = self._used.get(key, 0) + 1

    def announce(self) -> None:
        """At start: the table, and a warning where the preferred implementation is not built."""
        library, preferred = _RULES[self._device.type][0]
        if preferred != self._rule:
            log("warning", f"the {library} kernels are not built: SVA on large vocabularies uses {self._rule.implementation}, "
                f"which is slower than {preferred.implementation}; run `python -m ops.build` in kernels/", svaHead=self._rule.implementation)
        table = {str(v): self.choose(v, 2048, 64) for v in _TABLE_VOCABULARIES}
        log("info", "heads for SVA by vocabulary, at k = 64", device=self._device.type, heads=table)

    def used(self) -> list[tuple[str, int, int, int]]:
        """(implementation, vocabulary, top k, micro-batches) of every shape that has been used. Safe from any thread."""
        return sorted((*shape, n) for shape, n in list(self._used.items()))

