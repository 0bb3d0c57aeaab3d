"""A real sidecar process for tests, and small messages to send it."""
import json
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np

from sidecar.protocol import data_pb2, sampler_pb2_grpc, scorer_pb2_grpc, trainer_pb2_grpc

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
CONFIG = {
    "model_type": "qwen3", "vocab_size": 512, "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 24, "intermediate_size": 288, "max_position_embeddings": 512,
    "tie_word_embeddings": True, "initializer_range": 0.1,
}


class SidecarProcess:
    """Use as a context manager; closing it closes the process's stdin and waits for its exit."""

    def __init__(self, blobs: Path, *arguments: str):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "--blobs", str(blobs), *arguments], cwd=KERNELS,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"sidecar exited with {self.process.wait()}: {self.process.stderr.read()}")
        self.ready = json.loads(line)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.ready['port']}")
        self.sampler = sampler_pb2_grpc.SamplerServiceStub(self.channel)
        self.scorer = scorer_pb2_grpc.ScorerServiceStub(self.channel)
        self.trainer = trainer_pb2_grpc.TrainerServiceStub(self.channel)

    def __enter__(self) -> "SidecarProcess":
        return self

    def __exit__(self, *_error) -> None:
        self.channel.close()
        self.close_stdin()

    def close_stdin(self) -> int:
        self.process.stdin.close()
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def f32(values) -> bytes:
    return np.asarray(values, "<f4").tobytes()


def u32(values) -> bytes:
    return np.asarray(values, "<u4").tobytes()


def cross_entropy_batch(sequences, rows=None, rows_per_micro_batch: int = 0) -> "data_pb2.Batch":
    """Trains on every token but the first, each with weight 1 / all of them; one sample a row by default."""
    total = sum(len(s) - 1 for s in sequences)
    samples = [
        data_pb2.Sample(
            member=f"m{i}", tokens=u32(s),
            terms=[data_pb2.LossTerm(weights=f32([0] + [1 / total] * (len(s) - 1)), cross_entropy=data_pb2.CrossEntropy())],
        )
        for i, s in enumerate(sequences)
    ]
    plan = rows or [[i] for i in range(len(sequences))]
    return data_pb2.Batch(samples=samples, rows=[data_pb2.PackedRow(samples=r) for r in plan], rows_per_micro_batch=rows_per_micro_batch)
