"""Top-k with ties to the lower id, so that a teacher's support is reproducible."""
import torch


def top_k(values: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """values [N, V] → values [N, k] descending and ids [N, k] (i64); equal values are ordered and cut by the lower id.

    torch.topk promises no order among equals. Where the k-th value is unique the set is right already;
    only rows with a tie across the cut are sorted in full.
    """
    chosen, ids = values.topk(k, -1)
    tied = ((values >= chosen[:, -1:]).sum(-1) > k).nonzero()[:, 0]
    ids = ids.sort(dim=-1).values
    chosen, order = values.gather(1, ids).sort(stable=True, dim=-1, descending=True)
    ids = ids.gather(1, order)
    if len(tied):
        sorted_values, sorted_ids = values[tied].sort(stable=True, dim=-1, descending=True)
        chosen[tied], ids[tied] = sorted_values[:, :k], sorted_ids[:, :k]
    return chosen, ids
