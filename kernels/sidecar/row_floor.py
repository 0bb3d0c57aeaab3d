"""How many rows a matrix product needs for its rows not to depend on how many there are.

A CPU matrix library takes other code paths, with sums in another order, when a product has few rows; where "few"
ends depends on the shape and on the number of threads. So it is measured once per architecture, with the very
products of the forward pass, and every product gets at least that many rows (docs/decisions/0002-bitwise-sampling.md).
"""
from collections.abc import Callable

import torch
import torch.nn.functional as F

from .architecture import Architecture
from .forward import swiglu
from .logs import log
from .parameters import parameter_count
from .threads import decode_threads, tensor_threads

CANDIDATES = (16, 32, 64, 128, 256)
ROW_MULTIPLE = 16
_REFERENCE_ROWS = 512


def find_row_floor(architecture: Architecture, device: torch.device) -> int:
    """The smallest candidate from which on all row counts agree bit for bit. GPU: the smallest; no such claim there."""
    if device.type != "cpu":
        return CANDIDATES[0]
    floor = 0
    with torch.inference_mode():
        for count in {torch.get_num_threads(), decode_threads(parameter_count(architecture))}:
            with tensor_threads(count):
                floor = max(floor, *(_floor_of(product) for product in _products(architecture)))
    if floor > CANDIDATES[-1]:
        log("warning", "matrix products on this machine depend on their number of rows: sampling is not bitwise reproducible")
        return CANDIDATES[-1]
    return floor


def _floor_of(product: Callable[[int], torch.Tensor]) -> int:
    """`product(rows)`: of the first rows of one fixed input. Twice the last candidate when not even that is enough."""
    reference = product(_REFERENCE_ROWS)
    counts = sorted({*CANDIDATES, *range(ROW_MULTIPLE, 129, ROW_MULTIPLE), 144, 192, 208, 384})
    differing = [rows for rows in counts if not torch.equal(product(rows), reference[:rows])]
    return next((c for c in CANDIDATES if all(rows < c for rows in differing)), 2 * CANDIDATES[-1])


def _products(a: Architecture) -> list[Callable[[int], torch.Tensor]]:
    """The products of the forward pass, with random numbers."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    def linear(inputs: int, outputs: int) -> Callable[[int], torch.Tensor]:
        x, weight = random(_REFERENCE_ROWS, inputs), random(outputs, inputs)
        return lambda rows: F.linear(x[:rows], weight)

    def residual(inputs: int, outputs: int) -> Callable[[int], torch.Tensor]:
        x, weight, added = random(_REFERENCE_ROWS, inputs), random(outputs, inputs), random(_REFERENCE_ROWS, outputs)
        return lambda rows: torch.addmm(added[:rows], x[:rows], weight.t())

    def gated(inputs: int, outputs: int) -> Callable[[int], torch.Tensor]:
        x, weight = random(_REFERENCE_ROWS, inputs), random(2 * outputs, inputs)
        return lambda rows: swiglu(x[:rows], weight)

    heads = a.num_attention_heads * a.head_dim
    return [
        linear(a.hidden_size, heads + 2 * a.num_key_value_heads * a.head_dim), residual(heads, a.hidden_size),
        gated(a.hidden_size, a.intermediate_size), residual(a.intermediate_size, a.hidden_size),
        linear(a.hidden_size, a.vocab_size),
    ]
