"""Weights and snapshots as safetensors bytes; the model config and a format marker travel in the metadata."""
import json
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
    return Snapshot(
        architecture, _flatten(architecture, tensors, ""), *(_flatten(architecture, tensors, f"{m}/") for m in _MOMENTS),
        step=int(metadata["step"]), state_hash=metadata["state_hash"], weights_hash=metadata["weights_hash"],
    )


def _save(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """One metadata key only: safetensors writes several in random order, and equal states must be equal blobs."""
    return save_tensors(tensors, {_METADATA_KEY: json.dumps(metadata, sort_keys=True)})


def _read(data: bytes, formats: tuple[str, ...]) -> tuple[dict, dict[str, torch.Tensor]]:
    try:
        header = int.from_bytes(data[:8], "little")
        metadata = json.loads(json.loads(data[8 : 8 + header]).get("__metadata__", {}).get(_METADATA_KEY, "{}"))
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, UnicodeDecodeError) as error:
        raise SidecarError("CORRUPT", f"the blob is not a safetensors file: {error}") from None
    if metadata.get("format") not in formats:
        raise SidecarError("INVALID", f"the blob's format is {metadata.get('format')!r}, expected {' or '.join(formats)}")
    return metadata, tensors


def _flatten(architecture: Architecture, tensors: dict[str, torch.Tensor], prefix: str) -> torch.Tensor:
    flat = torch.empty(parameter_count(architecture))
    for name, view in named_parameters(architecture, flat).items():
        tensor = tensors.get(prefix + name)
        if tensor is None or tensor.shape != view.shape or tensor.dtype != view.dtype:
            raise SidecarError("CORRUPT", f"tensor {prefix + name} is missing or has another shape or dtype than the config says")
        view.copy_(tensor)
    return flat


def _contiguous(named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in named.items()}
