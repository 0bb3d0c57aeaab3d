"""SamplerService: streams in, answers out in the order they finish."""
import queue
import threading
import time

import grpc

from .answering import answering
from .arrays import pack_f32, pack_u32, unpack_u32
from .compute_thread import ComputeThread
from .decode_pool import Finished, Slot
from .errors import SidecarError
from .models import ModelCache
from .protocol import sampler_pb2, sampler_pb2_grpc
from .sampler import Sampler, Ticket


class SamplerService(sampler_pb2_grpc.SamplerServiceServicer):
    def __init__(self, compute: ComputeThread, sampler: Sampler, models: ModelCache):
        self._compute = compute
        self._sampler = sampler
        self._models = models

    @answering
    def LoadWeights(self, request, context):
        was_loaded = self._compute.run(lambda: self._models.load(request.weights_hash, request.weights))
        return sampler_pb2.LoadWeightsResponse(was_loaded=was_loaded)

    def Sample(self, request_iterator, context):
        stream = _Stream(self._compute, self._sampler)
        if context.add_callback(stream.cancel):
            threading.Thread(target=stream.read, args=(request_iterator,), name="sample-reader", daemon=True).start()
            yield from stream.answers()


class _Stream:
    """One call: a reader thread submits its requests, the handler's thread yields the answers."""

    def __init__(self, compute: ComputeThread, sampler: Sampler):
        self._compute = compute
        self._sampler = sampler
        # What an answer is made of; an int: no more requests come, so many came; None: the call is over.
        self._results: queue.SimpleQueue = queue.SimpleQueue()
        self._cancelled = False
        self._answered = False
        # By request id, from its arrival to its answer.
        self._open: dict[str, Ticket] = {}

    def cancel(self) -> None:
        """Called by gRPC when the call ends, for whatever reason."""
        self._cancelled = True
        self._results.put(None)
        if not self._answered:
            self._compute.post(self._sampler.drop_cancelled)

    def read(self, requests) -> None:
        count = 0
        try:
            for request in requests:
                if request.interrupt:
                    self._interrupt(request.request_id)
                else:
                    count += 1
                    self._submit(request)
        except grpc.RpcError:
            return  # cancelled: the callback ends the call
        self._results.put(count)

    def _submit(self, request) -> None:
        arrived_ns = time.time_ns() if request.traceparent else 0

        def deliver(result: Finished | SidecarError) -> None:
            self._open.pop(request.request_id, None)
            stamps = {"arrived_ns": arrived_ns, "admitted_ns": ticket.admitted_ns, "answered_ns": time.time_ns()} if arrived_ns else {}
            self._results.put((request.request_id, request.weights_hash, result, stamps))

        ticket = Ticket(deliver, lambda: self._cancelled, measured=arrived_ns > 0)
        try:
            slot = _slot(request, ticket)
        except SidecarError as error:
            deliver(error)
            return
        self._open[request.request_id] = ticket
        self._compute.post(lambda: self._sampler.submit(request.weights_hash, slot))

    def _interrupt(self, request_id: str) -> None:
        ticket = self._open.get(request_id)
        if ticket is not None:
            self._compute.post(lambda: self._sampler.interrupt(ticket))

    def answers(self):
        answered, expected = 0, None
        while expected is None or answered < expected:
            item = self._results.get()
            if item is None:
                return
            if isinstance(item, int):
                expected = item
                continue
            answered += 1
            yield _response(*item)
        self._answered = True


def _slot(request, ticket: Ticket) -> Slot:
    return Slot(
        prefix=unpack_u32(request.tokens, "tokens"), seed=request.seed, temperature=request.temperature, greedy=request.greedy,
        max_new_tokens=request.max_new_tokens, stop_token_ids=list(request.stop_token_ids),
        banned_token_ids=list(request.banned_token_ids), payload=ticket,
    )


def _response(request_id: str, weights_hash: str, result: Finished | SidecarError, stamps: dict[str, int]):
    if isinstance(result, SidecarError):
        return sampler_pb2.SampleResponse(
            request_id=request_id, weights_hash=weights_hash, error_code=result.reason, error_message=result.message, **stamps,
        )
    return sampler_pb2.SampleResponse(
        request_id=request_id, weights_hash=weights_hash, tokens=pack_u32(result.tokens), logprobs=pack_f32(result.logprobs),
        finish="interrupted" if result.interrupted else "stop" if result.stopped else "length", **stamps,
    )
