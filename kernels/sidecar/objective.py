"""L = Σ over streams and tokens of w·ℓ for one micro-batch, and the per-token figures that go with it."""
import numpy as np
import torch

from .losses import PolicySettings, cross_entropy, entropy_of, policy_gradient, salient_vocabulary
from .packing import MicroBatch, Stream
from .step_stats import StepStats


def micro_batch_loss(logits: torch.Tensor, micro: MicroBatch, stats: StepStats) -> torch.Tensor:
    """logits [P, V] with gradients → scalar. Adds to `stats`."""
    dense = any(kind in ("cross_entropy", "policy_gradient") for kind in micro.streams)
    with torch.set_grad_enabled(dense and torch.is_grad_enabled()):
        logprobs = logits.log_softmax(-1)
        entropy = _entropy(logprobs, micro)
    given = logprobs.gather(1, _on(logits, micro.targets)[:, None])[:, 0]
    stats.add_tokens(micro.target_sample)
    stats.add(micro.target_sample, {"entropy": _numpy(entropy)})
    total = logits.new_zeros(())
    for kind, stream in micro.streams.items():
        if kind == "cross_entropy":
            loss, figures = _cross_entropy(given, stream)
        elif kind == "policy_gradient":
            loss, figures = _policy_gradient(given, entropy, stream, stats)
        else:
            loss, figures = _salient_vocabulary(logits, logprobs, stream)
        weighted = loss * _on(logits, stream.weight)
        stats.add(stream.sample, figures)
        stats.add_loss(stream.sample, _numpy(weighted))
        total = total + weighted.sum()
    return total


def _entropy(logprobs: torch.Tensor, micro: MicroBatch) -> torch.Tensor:
    stream = micro.streams.get("policy_gradient")
    needed = stream is not None and bool(stream.fields["entropy_coefficient"].any())
    return entropy_of(logprobs if needed else logprobs.detach())


def _cross_entropy(given: torch.Tensor, stream: Stream):
    loss = cross_entropy(_rows(given, stream))
    return loss, {"cross_entropy": _numpy(loss)}


def _policy_gradient(given: torch.Tensor, entropy: torch.Tensor, stream: Stream, stats: StepStats):
    settings = PolicySettings(**{name: _on(given, array) for name, array in stream.fields.items()})
    logprob = _rows(given, stream)
    result = policy_gradient(logprob, _rows(entropy, stream), settings)
    has_reference = stream.fields["kl_coefficient"] != 0
    if has_reference.any():
        stats.add(stream.sample[has_reference], {"kl": _numpy(result.kl)[has_reference]})
    weighted = stream.fields["importance_cap"] > 0
    clipped, ratio = _numpy(result.clipped), _numpy(result.ratio)
    if weighted.any():
        stats.add(stream.sample[weighted], {
            "importance_weight": np.minimum(ratio, stream.fields["importance_cap"])[weighted], "importance_truncated": clipped[weighted],
        })
    stats.add(stream.sample[~weighted], {"clip_fraction": clipped[~weighted]})
    return result.loss, {
        "policy_gradient": _numpy(result.loss), "ratio": ratio,
        "logprob_gap": np.abs(_numpy(logprob) - stream.fields["old_logprob"]),
    }


def _salient_vocabulary(logits: torch.Tensor, logprobs: torch.Tensor, stream: Stream):
    ids = _on(logits, stream.fields["ids"])
    teacher, temperature = _on(logits, stream.fields["values"]), _on(logits, stream.fields["temperature"])
    loss = salient_vocabulary(_rows(logits, stream).gather(1, ids), teacher, temperature)
    coverage = _rows(logprobs.detach(), stream).gather(1, ids).exp().sum(-1)
    return loss, {"salient_vocabulary": _numpy(loss), "coverage": _numpy(coverage), "teacher_mass": stream.fields["mass"]}


def _rows(x: torch.Tensor, stream: Stream) -> torch.Tensor:
    """x[stream.index], without the copy (and its backward) when that is all of x in order."""
    if len(stream.index) == x.shape[0] and (np.diff(stream.index) == 1).all():
        return x
    return x[_on(x, stream.index)]


def _on(like: torch.Tensor, array: np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.to(like.device, like.dtype if tensor.is_floating_point() else tensor.dtype)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
