import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "kernels"))
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the sidecar does: read when torch is loaded


@pytest.fixture(scope="session", autouse=True)
def two_threads():
    import torch

    torch.set_num_threads(2)
