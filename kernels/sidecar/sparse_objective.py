"""L = Σ w·ℓ for a micro-batch of SVA alone, through k rows of the head a position: no [P, V] logits.

What needs the whole vocabulary, entropy and coverage ρ, is measured without gradient at every 16th weighted position
of a sample, counted from its first: which ones does not depend on packing.
"""
import numpy as np
import torch
import torch.nn.functional as F

from ops.sva_head.interface import InputProblem, Inputs
from ops.sva_head.op import accumulating_loss

from .errors import SidecarError
from .losses import entropy_of
from .packing import MicroBatch, Stream
from .step_stats import StepStats

MEASURED_EVERY = 16
# Logits held at once, in floats (64 MiB).
_MAX_LOGITS = 1 << 24


def sparse_micro_batch_loss(hidden: torch.Tensor, head: torch.Tensor, micro: MicroBatch, stats: StepStats, implementation: str) -> torch.Tensor:
    """hidden [P, H] with gradients → scalar, for `backward()` without an argument: the head's gradient is added to head.grad here.
    INVALID names the sample whose numbers are bad."""
    measured = measured_rows(micro.target_sample)
    entropy, lse = _whole_vocabulary(hidden.detach()[measured], head.detach())
    stats.add_tokens(micro.target_sample)
    stats.add(micro.target_sample[measured], {"entropy": entropy.numpy(force=True)})
    total = hidden.new_zeros(())
    for stream in micro.streams.values():
        weighted, loss, support_lse = _salient_vocabulary(hidden, head, stream, implementation)
        rows = np.searchsorted(measured, stream.index)
        seen = np.flatnonzero(measured[np.minimum(rows, len(measured) - 1)] == stream.index)
        coverage = (support_lse[seen] - lse[rows[seen]]).exp().numpy(force=True)
        unweighted = loss.numpy(force=True)
        stats.add(stream.sample, {"salient_vocabulary": unweighted, "teacher_mass": stream.fields["mass"]})
        stats.add(stream.sample[seen], {"coverage": coverage})
        stats.add_loss(stream.sample, unweighted * stream.weight)
        total = total + weighted
    return total


def measured_rows(sample: np.ndarray) -> np.ndarray:
    """sample [P], rows of one sample side by side → rows whose place among their sample's is a multiple of MEASURED_EVERY."""
    starts = np.flatnonzero(np.diff(sample, prepend=-1))
    place = np.arange(len(sample)) - np.repeat(starts, np.diff(starts, append=len(sample)))
    return np.flatnonzero(place % MEASURED_EVERY == 0)


def _salient_vocabulary(hidden: torch.Tensor, head: torch.Tensor, stream: Stream, implementation: str):
    device = hidden.device

    def on(array: np.ndarray, dtype=torch.float32) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device, dtype)

    rows = hidden if np.array_equal(stream.index, np.arange(hidden.shape[0])) else hidden[on(stream.index, torch.int64)]
    inputs = Inputs(
        rows, head, on(stream.fields["ids"], torch.int32), on(stream.fields["values"]), on(stream.weight), on(stream.fields["temperature"]),
    )
    try:
        weighted, loss, support_lse, _ = accumulating_loss(inputs, implementation, head.grad)
    except InputProblem as error:
        raise BadSample(int(stream.sample[error.position]), str(error)) from None
    return weighted, loss, support_lse


class BadSample(SidecarError):
    """Numbers of one sample that no loss can be computed from. `sample`: its index in the batch."""

    def __init__(self, sample: int, message: str):
        super().__init__("INVALID", f"sample {sample}: {message}")
        self.sample = sample


@torch.no_grad()
def _whole_vocabulary(hidden: torch.Tensor, head: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """hidden [n, H] → entropy [n], logsumexp [n], in blocks of rows."""
    entropies, sums = [], []
    for rows in hidden.split(max(1, _MAX_LOGITS // head.shape[0])):
        logits = F.linear(rows, head)
        lse = logits.logsumexp(-1)
        sums.append(lse)
        entropies.append(entropy_of(logits.sub_(lse[:, None])))
    return torch.cat(entropies), torch.cat(sums)
