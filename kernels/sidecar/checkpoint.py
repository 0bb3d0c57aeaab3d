"""Weights and snapshots as safetensors bytes; the model config and a format marker travel in the metadata.

Safetensors only: a pickle, which is what torch.save writes, can run any code when it is read, and is never read here.
"""
import json
import re
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from .architecture import Architecture, parse_architecture
from .errors import SidecarError
from .parameters import named_parameters, parameter_count

WEIGHTS_FORMAT = "stemma-weights/1"
SNAPSHOT_FORMAT = "stemma-snapshot/1"
_METADATA_KEY = "stemma"
_MOMENTS = ("exp_avg", "exp_avg_sq")
_STEP = re.compile(r"\d{1,9}")
# How a pickle begins, and the archive in which torch.save puts one.
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


@dataclass(frozen=True)
class Snapshot:
    architecture: Architecture
    flat: torch.Tensor  # [parameters]
    exp_avg: torch.Tensor  # [parameters]
    exp_avg_sq: torch.Tensor  # [parameters]
    step: int
    state_hash: str
    weights_hash: str


def dump_weights(architecture: Architecture, flat: torch.Tensor) -> bytes:
    metadata = {"format": WEIGHTS_FORMAT, "config": architecture.to_json()}
    return _save(_contiguous(named_parameters(architecture, flat)), metadata)


def load_weights(data: bytes) -> tuple[Architecture, torch.Tensor]:
    """CPU flat buffer of a weights blob, or of the parameters of a snapshot blob."""
    metadata, tensors = _read(data, (WEIGHTS_FORMAT, SNAPSHOT_FORMAT))
    architecture = parse_architecture(metadata["config"])
    return architecture, _flatten(architecture, tensors, "")


def dump_snapshot(snapshot: Snapshot) -> bytes:
    tensors = _contiguous(named_parameters(snapshot.architecture, snapshot.flat))
    for moment in _MOMENTS:
        named = named_parameters(snapshot.architecture, getattr(snapshot, moment))
        tensors |= {f"{moment}/{name}": t for name, t in _contiguous(named).items()}
    metadata = {
        "format": SNAPSHOT_FORMAT, "config": snapshot.architecture.to_json(), "step": str(snapshot.step),
        "state_hash": snapshot.state_hash, "weights_hash": snapshot.weights_hash,
    }
    return _save(tensors, metadata)


def load_snapshot(data: bytes) -> Snapshot:
    """CPU tensors. The caller checks that they hash to what the metadata says."""
    metadata, tensors = _read(data, (SNAPSHOT_FORMAT,))
    architecture = parse_architecture(metadata["config"])
    if not _STEP.fullmatch(metadata.get("step", "")):
        raise SidecarError("CORRUPT", "the snapshot names no step")
    return Snapshot(
        architecture, _flatten(architecture, tensors, ""), *(_flatten(architecture, tensors, f"{m}/") for m in _MOMENTS),
        step=int(metadata["step"]), state_hash=metadata.get("state_hash", ""), weights_hash=metadata.get("weights_hash", ""),
    )


def _save(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """One metadata key only: safetensors writes several in random order, and equal states must be equal blobs."""
    return save_tensors(tensors, {_METADATA_KEY: json.dumps(metadata, sort_keys=True)})


def _read(data: bytes, formats: tuple[str, ...]) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    if data.startswith(_PICKLES):
        raise SidecarError("INVALID", "the blob is a pickle (torch.save), which can run code: only safetensors are read; convert it where you trust it")
    try:
        header = int.from_bytes(data[:8], "little")
        metadata = _object(_object(_object(json.loads(data[8 : 8 + header])).get("__metadata__", {})).get(_METADATA_KEY, "{}"))
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, RecursionError, KeyError, TypeError, RuntimeError) as error:
        raise SidecarError("CORRUPT", f"the blob is not a safetensors file: {error}") from None
    if metadata.get("format") not in formats:
        raise SidecarError("INVALID", f"the blob's format is {str(metadata.get('format'))[:100]!r}, expected {' or '.join(formats)}")
    if not all(isinstance(value, str) for value in metadata.values()) or "config" not in metadata:
        raise SidecarError("CORRUPT", "the blob's metadata is not what is written beside weights")
    return metadata, tensors


def _object(value) -> dict:
    """A JSON object, or the text of one."""
    parsed = json.loads(value) if isinstance(value, str) else value
    if not isinstance(parsed, dict):
        raise ValueError("its header has no object where one is due")
    return parsed


def _flatten(architecture: Architecture, tensors: dict[str, torch.Tensor], prefix: str) -> torch.Tensor:
    count, held = parameter_count(architecture), sum(tensor.numel() for tensor in tensors.values())
    if count > held:  # before memory is taken for what is not there
        raise SidecarError("CORRUPT", f"the config says {count} parameters, the file holds {held} numbers")
    flat = torch.empty(count)
    for name, view in named_parameters(architecture, flat).items():
        tensor = tensors.get(prefix + name)
        if tensor is None or tensor.shape != view.shape or tensor.dtype != view.dtype:
            raise SidecarError("CORRUPT", f"tensor {prefix + name} is missing or has another shape or dtype than the config says")
        view.copy_(tensor)
    return flat


def _contiguous(named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in named.items()}
