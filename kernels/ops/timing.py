"""Medians of repeated calls, with the caches warm or flushed before each, and peak memory."""
import statistics
import time
from collections.abc import Callable

import torch


class Clock:
    def __init__(self, device: torch.device, repetitions: int, budget_seconds: float = 3.0):
        """Slow calls are repeated until `budget_seconds` are spent, at least 3 times; the number taken is reported."""
        self._device = device
        self._repetitions = repetitions
        self._budget_seconds = budget_seconds
        # Larger than any L2 (H200: 50 MB) or last-level share used here.
        self._flush = torch.zeros(32 << 20, device=device)

    def times_ms(self, call: Callable[[], object], cold: bool) -> tuple[float, int]:
        """→ median in milliseconds, number of repetitions."""
        call()
        taken: list[float] = []
        until = time.perf_counter() + self._budget_seconds
        while len(taken) < self._repetitions and (len(taken) < 3 or time.perf_counter() < until):
            if cold:
                self._flush.add_(1)
            taken.append(self._once(call))
        return statistics.median(taken), len(taken)

    def _once(self, call: Callable[[], object]) -> float:
        if self._device.type == "cpu":
            start = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - start)
        torch.cuda.synchronize()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end)

    def row(self, call: Callable[[], object]) -> dict:
        """Columns of one measurement. peak MB: memory beyond what was there before the call (GPU only)."""
        warm, repetitions = self.times_ms(call, cold=False)
        cold, _ = self.times_ms(call, cold=True)
        row = {"warm ms": warm, "cold ms": cold, "repetitions": repetitions}
        if self._device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            call()
            torch.cuda.synchronize()
            row["peak MB"] = (torch.cuda.max_memory_allocated() - before) / 2**20
        return row
