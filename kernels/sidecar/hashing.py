"""Merkle hashes over named tensors: names sorted, each tensor in fixed 1 MiB chunks, with dtype and shape.

weights hash: parameters and the architecture that reads them (equal numbers under another rotary base are
another model). state hash: weights hash, optimizer moments, step. Lower-case hex.
"""
import hashlib
from collections.abc import Mapping

import torch

CHUNK_BYTES = 1 << 20


def tensor_digest(tensor: torch.Tensor) -> bytes:
    """sha256 over (dtype, shape, sha256 of each 1 MiB chunk of the little-endian bytes)."""
    data = memoryview(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    digest = hashlib.sha256(f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}".encode())
    for start in range(0, len(data), CHUNK_BYTES):
        digest.update(hashlib.sha256(data[start : start + CHUNK_BYTES]).digest())
    return digest.digest()


def weights_hash(architecture_json: str, named: Mapping[str, torch.Tensor]) -> str:
    """`named`: Hugging Face name → parameter; `architecture_json`: Architecture.to_json()."""
    return _root("stemma-weights/1", architecture_json, {name: tensor_digest(t) for name, t in named.items()})


def state_hash(weights: str, moments: Mapping[str, torch.Tensor], step: int) -> str:
    return _root("stemma-state/1", f"{weights}/{step}", {name: tensor_digest(t) for name, t in moments.items()})


def _root(kind: str, head: str, digests: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(f"{kind}\n{head}\n".encode())
    for name in sorted(digests):
        digest.update(name.encode() + b"\0" + digests[name])
    return digest.hexdigest()
