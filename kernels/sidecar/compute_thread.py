"""The one thread that owns all tensors. Everything else sends it jobs.

Between jobs it advances the continuous sampling batch, one token at a time, as long as there is one.
"""
import queue
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import torch

from . import times
from .errors import SidecarError
from .logs import log
from .sampler import Sampler


class ComputeThread:
    def __init__(self, sampler: Sampler):
        self._sampler = sampler
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._busy_seconds = 0.0
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._loop, name="compute", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def busy_seconds(self) -> float:
        """Seconds spent computing since the start, a job in progress included."""
        since = self._busy_since
        return self._busy_seconds + (time.perf_counter() - since if since is not None else 0.0)

    @property
    def waiting_jobs(self) -> int:
        return self._jobs.qsize()

    @property
    def sampler(self) -> Sampler:
        return self._sampler

    def run(self, job: Callable[[], Any]) -> Any:
        """Runs `job` on the compute thread and returns its result, or raises what it raised."""
        future: Future = Future()
        measured = times.current()

        def wrapped() -> None:
            start = time.time_ns()
            try:
                result = job()
            except BaseException as error:
                future.set_exception(error)
                return
            if measured is not None:
                measured.computed(start, time.time_ns())
            future.set_result(result)

        self._jobs.put(wrapped)
        return future.result()

    def post(self, job: Callable[[], None]) -> None:
        """Runs `job` without waiting; it must not raise."""
        self._jobs.put(job)

    def _loop(self) -> None:
        while True:
            job = None if self._sampler.has_work else self._jobs.get()
            self._busy_since = time.perf_counter()
            try:
                self._drain(job)
                if self._sampler.has_work:
                    self._tick()
            except Exception:
                log("error", "a posted job failed", traceback=traceback.format_exc())
            self._busy_seconds += time.perf_counter() - self._busy_since
            self._busy_since = None

    def _drain(self, job: Callable[[], None] | None) -> None:
        while True:
            if job is not None:
                job()
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return

    def _tick(self) -> None:
        try:
            with torch.inference_mode():
                self._sampler.tick()
        except Exception as error:
            log("error", "sampling failed", traceback=traceback.format_exc())
            self._sampler.fail_all(SidecarError("UNAVAILABLE", f"sampling failed: {type(error).__name__}: {error}"))
