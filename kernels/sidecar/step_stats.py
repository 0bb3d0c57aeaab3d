"""Learning figures as sums and counts: per sample, so that a projection groups them by domain, and of the batch.

name             sum over                                     count
loss             w·ℓ of the sample's tokens                   1
tokens           weighted tokens                              1
entropy          H over the full vocabulary                   weighted tokens
cross_entropy    ℓ, unweighted                                its tokens
policy_gradient  ℓ, unweighted                                its tokens
salient_vocabulary ℓ, unweighted                              its tokens
clip_fraction    1 where the clipped branch is the larger     clipped policy tokens
importance_weight min(p/p_old, cap)                           stale policy tokens
importance_truncated 1 where p/p_old is above the cap         stale policy tokens
ratio            p/p_old                                      policy tokens
logprob_gap      |log p − log p_old|, trainer against rollout policy tokens
kl               k3 to the reference                          policy tokens with a reference
coverage         ρ: student mass on the teacher's ids         salient tokens
teacher_mass     teacher mass on its ids                      salient tokens

With a sparse head (sparse_objective.py) entropy and coverage count every 16th weighted token of a sample.

Of the batch: the sums of these (loss counted once), and gradient_norm before clipping.
"""
from collections.abc import Mapping

import numpy as np

Stat = tuple[str, float, float]


class StepStats:
    def __init__(self, samples: int):
        self._samples = samples
        self._sums: dict[str, np.ndarray] = {}
        self._counts: dict[str, np.ndarray] = {}

    def add(self, sample: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Per-token values [n] of the samples [n]; each token counts once."""
        counts = np.bincount(sample, minlength=self._samples).astype(np.float64)
        for name, array in values.items():
            self._add(name, np.bincount(sample, weights=array.astype(np.float64), minlength=self._samples), counts)

    def add_loss(self, sample: np.ndarray, weighted: np.ndarray) -> None:
        self._add("loss", np.bincount(sample, weights=weighted.astype(np.float64), minlength=self._samples), np.zeros(self._samples))

    def add_tokens(self, sample: np.ndarray) -> None:
        self._add("tokens", np.bincount(sample, minlength=self._samples).astype(np.float64), np.zeros(self._samples))

    def _add(self, name: str, sums: np.ndarray, counts: np.ndarray) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + sums
        self._counts[name] = self._counts.get(name, 0.0) + counts

    def loss_by_sample(self) -> np.ndarray:
        return self._sums.get("loss", np.zeros(self._samples))

    def of_samples(self) -> list[list[Stat]]:
        """In batch order. loss and tokens are there for every sample, with count 1; the rest where it counts."""
        result: list[list[Stat]] = [[] for _ in range(self._samples)]
        for name in sorted(self._sums):
            once = name in ("loss", "tokens")
            for index, (total, count) in enumerate(zip(self._sums[name].tolist(), self._counts[name].tolist(), strict=True)):
                if once or count:
                    result[index].append((name, total, 1.0 if once else count))
        return result

    def of_batch(self, gradient_norm: float) -> list[Stat]:
        stats = [("gradient_norm", gradient_norm, 1.0)]
        for name in sorted(self._sums):
            count = {"loss": 1.0, "tokens": float(self._samples)}.get(name, float(np.sum(self._counts[name])))
            stats.append((name, float(np.sum(self._sums[name])), count))
        return stats
