"""Wires the parts together behind one gRPC port: on the loopback interface, or over TLS."""
import ipaddress
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
from .tls import OnlyCallers, TlsFiles, server_credentials
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
    host: str = "127.0.0.1"
    tls: TlsFiles | None = None  # None: plain text, on loopback only
    exports: str = ""  # the only directory below which exports are written; none is without it


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
    interceptors = () if settings.tls is None else (OnlyCallers(settings.tls.callers),)
    server = grpc.server(ThreadPoolExecutor(_HANDLER_THREADS, "rpc"), options=options, interceptors=interceptors)
    sampler_pb2_grpc.add_SamplerServiceServicer_to_server(SamplerService(compute, sampler, models), server)
    scorer_pb2_grpc.add_ScorerServiceServicer_to_server(ScorerService(compute, models, blobs, scorer_heads), server)
    description = fingerprint_json(settings.device, settings.threads)
    service = TrainerService(compute, trainer, models, blobs, description, scorer_heads, settings.exports)
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(service, server)
    port = _bind(server, settings)
    compute.start()
    server.start()
    return server, port


def _bind(server: grpc.Server, settings: ServerSettings) -> int:
    address = f"{settings.host}:{settings.port}"
    try:
        if settings.tls is not None:
            return server.add_secure_port(address, server_credentials(settings.tls))
        if not ipaddress.ip_address(settings.host).is_loopback:
            raise SidecarError("INVALID", f"{settings.host} can be reached from elsewhere: give --tls-cert, --tls-key, --tls-ca and --tls-caller")
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise SidecarError("UNAVAILABLE", f"port {settings.port} of {settings.host} cannot be bound, is it in use? {error}") from None
