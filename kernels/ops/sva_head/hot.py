"""Hot rows dense, cold rows gathered: ids that occur often (function words, digits, JSON) share a small dense head; the kernel reads the rest.

Three products over [T, hot] replace the gathers of the pairs whose id is hot. Their gradients of logits are factors of a product, so on a GPU they are
rounded to bfloat16 where the hidden states are bfloat16, as in compaction.
"""
import ctypes
from collections.abc import Callable

import torch

from ..build import cuda_library
from .dense import product, widened
from .gpu import run
from .interface import HeadGradient, Implementation, Inputs, Outputs

# 2,048 rows cost 0.087 ms a product at T = 8192, H = 2048 by the floors.
_HOT_ROWS = 2048


def hot_rows(library: Callable[[], ctypes.CDLL] = cuda_library, most: int = _HOT_ROWS) -> Implementation:
    """An implementation; `most`: how many rows are hot."""
    return lambda inputs, gradient: _run(library(), min(most, inputs.head.shape[0]), inputs, gradient)


def _run(library: ctypes.CDLL, most: int, inputs: Inputs, gradient: HeadGradient) -> Outputs:
    live = inputs.weight != 0
    hot, place = _hottest(inputs, live, most)
    is_hot = place < most
    table, x = widened(inputs.head[hot]), widened(inputs.hidden.masked_fill(~live[:, None], 0))
    known = product(x, table.t()).gather(1, place.clamp(max=most - 1)).masked_fill(~is_hot, float("nan")).contiguous()
    wanted = gradient.rows or gradient.into is not None
    into = gradient.into if gradient.into is not None or not wanted else torch.zeros(inputs.head.shape, device=inputs.head.device)
    cold = run(library, "two-pass", inputs, HeadGradient(rows=False, into=into), known)
    # One column more than there are hot rows takes what is cold, and is dropped.
    g = torch.zeros(len(place), most + 1, dtype=x.dtype, device=x.device).scatter_(1, place, cold.grad_logits.to(x.dtype))[:, :most].contiguous()
    grad_hidden = (cold.grad_hidden + product(g, table)).to(inputs.hidden.dtype)
    if into is not None:
        into.index_add_(0, hot, product(g.t().contiguous(), x))
    if gradient.into is not None or not wanted:
        return cold._replace(grad_hidden=grad_hidden)
    ids = inputs.ids[live].unique().long()
    return cold._replace(grad_hidden=grad_hidden, head_ids=ids, head_rows=into[ids])


def _hottest(inputs: Inputs, live: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `most` ids that occur most often, ties to the lower id; and of each pair the place of its id among them, `most` for a cold one."""
    vocabulary, device = inputs.head.shape[0], inputs.ids.device
    ids = inputs.ids.long().clamp(0, vocabulary - 1)  # one out of range is refused by the kernel, by its own position
    counts = torch.zeros(vocabulary, dtype=torch.int64, device=device).index_add_(0, ids.flatten(), live[:, None].expand_as(ids).flatten().long())
    order = counts * vocabulary + torch.arange(vocabulary - 1, -1, -1, device=device)  # no two are equal
    hot = order.topk(most).indices
    place = torch.full((vocabulary,), most, dtype=torch.int64, device=device).index_copy_(0, hot, torch.arange(most, device=device))
    return hot, place[ids]
