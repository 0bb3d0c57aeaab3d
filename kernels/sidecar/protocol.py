"""The generated protocol modules, under short names. They are made by `python sidecar/generate.py` and not committed."""
import sys
from pathlib import Path

_GENERATED = Path(__file__).parent / "gen"
if not (_GENERATED / "stemma" / "v1" / "trainer_pb2_grpc.py").is_file():
    raise SystemExit(f"sidecar: the generated protocol code is missing; run `{sys.executable} {Path(__file__).parent / 'generate.py'}`")
sys.path.insert(0, str(_GENERATED))

from stemma.v1 import (  # noqa: E402
    data_pb2,
    events_pb2,
    sampler_pb2,
    sampler_pb2_grpc,
    scorer_pb2,
    scorer_pb2_grpc,
    trainer_pb2,
    trainer_pb2_grpc,
)

__all__ = [
    "data_pb2", "events_pb2", "sampler_pb2", "sampler_pb2_grpc", "scorer_pb2", "scorer_pb2_grpc", "trainer_pb2", "trainer_pb2_grpc",
]
