"""Counter-based draws: a token is a pure function of (logits, seed, index of the token in its turn)."""
import numpy as np
import torch

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def uniforms(seeds: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """u64[n], u64[n] → f64[n] in [0, 1): the top 53 bits of splitmix64's output number `counter` (0-based) for `seed`."""
    z = seeds + (counters + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw(
    logits: torch.Tensor, u: torch.Tensor, temperature: torch.Tensor, greedy: torch.Tensor, banned: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """logits f32 [N, V], u and temperature f64 [N], greedy bool [N], banned bool [N, V] →
    tokens i64 [N], raw temperature-1 log-probabilities over the whole vocabulary f32 [N].

    Greedy rows take the largest logit, the lower id on ties. The others invert the cumulative distribution of
    softmax(logits / temperature) without the banned ids, in float64. Every step works row by row.
    """
    allowed = logits.double().masked_fill(banned, float("-inf"))
    cumulative = (allowed / temperature[:, None]).softmax(-1).cumsum(-1)
    total = cumulative[:, -1:]
    sampled = torch.searchsorted(cumulative, u[:, None] * total, right=True)[:, 0]
    # u·total may round up to total: then the last id with any probability is meant, the first that reaches the total.
    last = torch.searchsorted(cumulative, total.contiguous())[:, 0]
    # argmax promises no order among equals; the index of the first maximum is that of the first True.
    best = (allowed == allowed.amax(-1, keepdim=True)).to(torch.uint8).argmax(-1)
    tokens = torch.where(greedy, best, torch.minimum(sampled, last))
    logprobs = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    return tokens, logprobs
