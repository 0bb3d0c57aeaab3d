"""Implementations out of PyTorch's own products: dense, dense in chunks with recompute, and compaction to the ids that occur."""
import torch
import torch.nn.functional as F

from .interface import HeadGradient, Inputs, Outputs, explain, first_bad_position, first_not_finite

# Elements of the largest temporary of a chunk: 64 MiB in float32.
_CHUNK_ELEMENTS = 1 << 24


def dense(inputs: Inputs, gradient: HeadGradient) -> Outputs:
    """[T, V] logits, gather, autograd: what everyone does."""
    live = _checked(inputs)
    hidden, head = live.hidden.detach().requires_grad_(), live.head.detach().requires_grad_(gradient.rows or gradient.into is not None)
    with torch.enable_grad():
        logits = F.linear(hidden, head)
        chosen = logits.gather(1, live.ids.long()).float()
        loss, g, lse = _loss_and_gradient(chosen.detach(), live)
        _refuse(inputs, live, loss)
        chosen.backward(g)
    given = torch.zeros_like(lse) if live.sampled is None else logits.detach().gather(1, live.sampled.long()[:, None])[:, 0].float()
    grad_head = None if head.grad is None else head.grad.float()
    return _outputs(inputs, (loss, hidden.grad, g, lse, given), _given_away(grad_head, gradient, inputs))


def chunked(inputs: Inputs, gradient: HeadGradient) -> Outputs:
    """Dense in chunks of positions; logits are made, used forward and backward, and dropped."""
    live = _checked(inputs)
    vocabulary, size = live.head.shape
    grad_head = torch.zeros(vocabulary, size, device=live.head.device) if gradient.rows or gradient.into is not None else None
    parts = []
    for part in _chunks(live, max(16, _CHUNK_ELEMENTS // vocabulary)):
        logits = F.linear(part.hidden, part.head)
        loss, g, lse = _loss_and_gradient(logits.gather(1, part.ids.long()).float(), part)
        given = torch.zeros_like(lse) if part.sampled is None else logits.gather(1, part.sampled.long()[:, None])[:, 0].float()
        dense_g = torch.zeros_like(logits).scatter_(1, part.ids.long(), g.to(logits.dtype))
        parts.append((loss, dense_g @ part.head, g, lse, given))
        if grad_head is not None:
            grad_head.addmm_(dense_g.t().float(), part.hidden.float())
    columns = _concatenated(parts, live)
    _refuse(inputs, live, columns[0])
    return _outputs(inputs, columns, _given_away(grad_head, gradient, inputs))


def compaction(inputs: Inputs, gradient: HeadGradient) -> Outputs:
    """The head's rows that occur in a chunk of positions as a small dense head. float32 sums; on a CPU bfloat16 is widened first."""
    live = _checked(inputs)
    all_ids, inverse = torch.unique(live.ids, return_inverse=True)
    wanted = gradient.rows or gradient.into is not None
    rows = torch.zeros(len(all_ids), live.hidden.shape[1], device=live.head.device) if wanted else None
    parts = []
    chunk = max(16, _CHUNK_ELEMENTS // max(1, len(all_ids)))
    for start, part in zip(range(0, len(live.ids), chunk), _chunks(live, chunk)):
        used, local = torch.unique(inverse[start : start + chunk], return_inverse=True)
        table, x = widened(part.head[all_ids[used]]), widened(part.hidden)
        loss, g, lse = _loss_and_gradient(product(x, table.t()).gather(1, local), part)
        scattered = torch.zeros(len(local), len(used), dtype=x.dtype, device=x.device).scatter_(1, local, g.to(x.dtype))
        given = torch.zeros_like(lse) if part.sampled is None else (widened(part.head[part.sampled.long()]) * x).sum(-1, dtype=torch.float32)
        parts.append((loss, product(scattered, table).to(live.hidden.dtype), g, lse, given))
        if rows is not None:
            rows.index_add_(0, used, product(scattered.t(), x))
    columns = _concatenated(parts, live)
    _refuse(inputs, live, columns[0])
    if gradient.into is not None and rows is not None:
        gradient.into.index_add_(0, all_ids.long(), rows)
    return _outputs(inputs, columns, (all_ids.long(), rows) if gradient.rows and gradient.into is None else None)


def widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.device.type == "cpu" else tensor


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """float32 out of float32 or bfloat16 factors, sums in float32."""
    return a @ b if a.dtype == torch.float32 else torch.mm(a, b, out_dtype=torch.float32)


def _loss_and_gradient(logits: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """logits [T, k] float32 → loss [T], weighted gradient of the logits [T, k], logsumexp at temperature 1 [T]."""
    tau = torch.ones_like(inputs.weight) if inputs.temperature is None else inputs.temperature
    log_p = (logits / tau[:, None]).log_softmax(-1)
    difference = log_p - (inputs.teacher / tau[:, None]).log_softmax(-1)
    p = log_p.exp()
    loss = (p * difference).sum(-1)
    return loss, (inputs.weight / tau)[:, None] * p * (difference - loss[:, None]), logits.logsumexp(-1)


def _checked(inputs: Inputs) -> Inputs:
    """Without the positions of weight 0."""
    position = first_bad_position(inputs)
    if position is not None:
        raise explain(inputs, position)
    keep = inputs.weight != 0
    if bool(keep.all()):
        return inputs
    return _rows(inputs, keep)


def _chunks(inputs: Inputs, size: int):
    for start in range(0, inputs.hidden.shape[0], size):
        yield _rows(inputs, slice(start, start + size))


def _rows(inputs: Inputs, which) -> Inputs:
    return Inputs(*(t if t is None or name == "head" else t[which] for name, t in inputs._asdict().items()))


def _concatenated(parts, live: Inputs):
    if not parts:
        empty = live.teacher.new_zeros(0)
        return empty, live.hidden, live.teacher, empty, empty
    return tuple(torch.cat(column) for column in zip(*parts))


def _refuse(inputs: Inputs, live: Inputs, loss: torch.Tensor) -> None:
    position = first_not_finite(live, loss)
    if position is not None:
        raise explain(inputs, int((inputs.weight != 0).nonzero()[position]))


def _outputs(inputs: Inputs, columns, head) -> Outputs:
    """Columns of the live positions put back among all."""
    keep = inputs.weight != 0
    if not bool(keep.all()):
        columns = tuple(c.new_zeros(len(keep), *c.shape[1:]).index_copy(0, keep.nonzero()[:, 0], c) for c in columns)
    none = (inputs.ids.new_zeros(0, dtype=torch.int64), inputs.weight.new_zeros(0, inputs.hidden.shape[1]))
    return Outputs(*columns, *(head or none))


def _given_away(grad_head: torch.Tensor | None, gradient: HeadGradient, inputs: Inputs):
    if grad_head is None:
        return None
    if gradient.into is not None:
        gradient.into.add_(grad_head)
        return None
    ids = torch.unique(inputs.ids[inputs.weight != 0]).long()
    return ids, grad_head[ids]
