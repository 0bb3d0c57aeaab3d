"""How many threads one tensor operation uses. Fixed for each kind of work, so that results stay a function of their inputs."""
from contextlib import contextmanager

import torch

# Below this a decoding step's products are too small for a second thread to pay for waking it.
_PARALLEL_DECODE_PARAMETERS = 4_000_000


def decode_threads(parameters: int) -> int:
    return 1 if parameters < _PARALLEL_DECODE_PARAMETERS else torch.get_num_threads()


@contextmanager
def tensor_threads(count: int):
    before = torch.get_num_threads()
    if count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count != before:
            torch.set_num_threads(before)
