"""Models for sampling and scoring: a cache keyed by weights hash. Only the compute thread touches it.

A cached model owns its tensors: the trainer's state is cloned in under its current hash, so a later step
can never change what an older hash serves.
"""
from collections import OrderedDict
from collections.abc import Callable, Collection

import torch

from . import checkpoint, hashing
from .architecture import Architecture
from .blobs import BlobStore
from .errors import SidecarError
from .forward import Rotary
from .parameters import fused_views, model_weights, named_parameters
from .row_floor import find_row_floor
from .threads import decode_threads

# The trainer's current (architecture, flat buffer, weights hash), or None before the first restore.
CurrentWeights = Callable[[], tuple[Architecture, torch.Tensor, str] | None]


class Model:
    """Weights ready for inference. `row_floor`: rows a product needs for its rows not to depend on their number."""

    def __init__(self, architecture: Architecture, flat: torch.Tensor, weights_hash: str, row_floor: int):
        self.architecture = architecture
        self.weights_hash = weights_hash
        self.device = flat.device
        self.weights = model_weights(architecture, fused_views(architecture, flat))
        self.rotary = Rotary(architecture, flat.device)
        self.row_floor = row_floor
        self.decode_threads = decode_threads(flat.numel())
        self.attention_scale = architecture.head_dim**-0.5


class ModelCache:
    def __init__(self, blobs: BlobStore, device: torch.device, limit: int, pinned: Collection[str] = ()):
        """Holds at most `limit` models, least recently used leaving first; `pinned` hashes never leave."""
        self._blobs = blobs
        self._device = device
        self._limit = limit
        self._pinned = frozenset(pinned)
        self._models: OrderedDict[str, Model] = OrderedDict()
        self._row_floors: dict[Architecture, int] = {}
        self.current_weights: CurrentWeights = lambda: None

    def hashes(self) -> list[str]:
        current = self.current_weights()
        return sorted(set(self._models) | ({current[2]} if current else set()))

    def get(self, weights_hash: str) -> Model:
        """WEIGHTS_NOT_LOADED if neither cached nor the trainer's current weights."""
        model = self._models.get(weights_hash)
        if model is not None:
            self._models.move_to_end(weights_hash)
            return model
        current = self.current_weights()
        if current is not None and current[2] == weights_hash:
            return self._insert(current[0], current[1].clone(), weights_hash)
        raise SidecarError("WEIGHTS_NOT_LOADED", f"weights {weights_hash} are not loaded; call LoadWeights and retry")

    def load(self, weights_hash: str, ref) -> bool:
        """Loads a weights blob. True if the weights were there already. HASH_MISMATCH if the blob holds others."""
        try:
            self.get(weights_hash)
            return True
        except SidecarError as error:
            if error.reason != "WEIGHTS_NOT_LOADED":
                raise
        architecture, flat = checkpoint.load_weights(self._blobs.get(ref))
        found = hashing.weights_hash(architecture.to_json(), named_parameters(architecture, flat))
        if found != weights_hash:
            raise SidecarError("HASH_MISMATCH", f"blob {ref.sha256} holds weights {found}, not {weights_hash}")
        self._insert(architecture, flat.to(self._device), weights_hash)
        return False

    def _insert(self, architecture: Architecture, flat: torch.Tensor, weights_hash: str) -> Model:
        if architecture not in self._row_floors:
            self._row_floors[architecture] = find_row_floor(architecture, self._device)
        model = Model(architecture, flat, weights_hash, self._row_floors[architecture])
        self._models[weights_hash] = model
        evictable = [h for h in self._models if h not in self._pinned and h != weights_hash]
        while len(self._models) > self._limit and evictable:
            del self._models[evictable.pop(0)]
        return model
