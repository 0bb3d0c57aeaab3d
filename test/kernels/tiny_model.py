"""Random models for tests, in process."""
import functools

import torch

from sidecar.architecture import Architecture
from sidecar.errors import SidecarError
from sidecar.hashing import weights_hash
from sidecar.models import Model
from sidecar.parameters import initialize, named_parameters
from sidecar.row_floor import find_row_floor

TINY = Architecture(512, 96, 3, 4, 2, 24, 288, 512, 1e-6, 1e4, True, 0.1)
# One query head a key-value head, an untied head, sizes that no vector width divides.
ODD = Architecture(333, 40, 2, 3, 3, 10, 72, 256, 1e-6, 5e5, False, 0.1)
# What contract tests use: products so small that other code paths may be taken.
SMALLEST = Architecture(64, 16, 2, 2, 1, 8, 32, 128, 1e-6, 1e4, True, 0.1)


@functools.cache
def model_of(architecture: Architecture, seed: int = 1) -> Model:
    flat = initialize(architecture, seed)
    name = weights_hash(architecture.to_json(), named_parameters(architecture, flat))
    return Model(architecture, flat, name, find_row_floor(architecture, torch.device("cpu")))


class OneModel:
    """Stands where a ModelCache stands."""

    def __init__(self, model: Model):
        self._model = model

    def get(self, name: str) -> Model:
        if name != self._model.weights_hash:
            raise SidecarError("WEIGHTS_NOT_LOADED", name)
        return self._model
