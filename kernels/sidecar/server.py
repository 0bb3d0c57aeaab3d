"""Wires the parts together behind one gRPC port on the loopback interface."""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import torch

from .blobs import open_blobs
from .compute_thread import ComputeThread
from .errors import SidecarError
from .fingerprint import fingerprint_json
from .head_choice import TopKSelector
from .models import ModelCache
from .protocol import sampler_pb2_grpc, scorer_pb2_grpc, trainer_pb2_grpc
from .sampler import Sampler
from .sampler_service import SamplerService
from .scorer_service import ScorerService
from .trainer import Trainer
from .trainer_service import TrainerService

# A Sample stream holds one handler thread as long as it is open.
_HANDLER_THREADS = 128
_MAX_MESSAGE_BYTES = 256 << 20


@dataclass(frozen=True)
class ServerSettings:
    blobs: str
    port: int  # 0: any free one
    device: torch.device
    threads: int
    max_models: int = 16
    pinned_weights: tuple[str, ...] = field(default=())


def start_server(settings: ServerSettings) -> tuple[grpc.Server, int]:
    """The running server and its port. SidecarError if the port is taken or the blob store is unusable."""
    blobs = open_blobs(settings.blobs)
    models = ModelCache(blobs, settings.device, settings.max_models, settings.pinned_weights)
    trainer = Trainer(blobs, settings.device)
    scorer_heads = TopKSelector(settings.device)
    for heads in (trainer.heads, scorer_heads):
        heads.announce()
    models.current_weights = trainer.current_weights
    sampler = Sampler(models)
    compute = ComputeThread(sampler)
    options = [
        ("grpc.so_reuseport", 0),  # else a second sidecar would share the port silently
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ]
    server = grpc.server(ThreadPoolExecutor(_HANDLER_THREADS, "rpc"), options=options)
    sampler_pb2_grpc.add_SamplerServiceServicer_to_server(SamplerService(compute, sampler, models), server)
    scorer_pb2_grpc.add_ScorerServiceServicer_to_server(ScorerService(compute, models, blobs, scorer_heads), server)
    description = fingerprint_json(settings.device, settings.threads)
    service = TrainerService(compute, trainer, models, blobs, description, scorer_heads)
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(service, server)
    try:
        port = server.add_insecure_port(f"127.0.0.1:{settings.port}")
    except RuntimeError as error:
        raise SidecarError("UNAVAILABLE", f"port {settings.port} of 127.0.0.1 cannot be bound, is it in use? {error}") from None
    compute.start()
    server.start()
    return server, port
