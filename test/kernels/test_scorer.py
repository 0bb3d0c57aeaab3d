"""Teacher forcing: off by one, ties, valid ids, and independence of how samples are chunked."""
import hashlib

import numpy as np
import pytest
import torch
from tiny_model import ODD, SMALLEST, TINY, model_of

from ops.topk_head.top_k import top_k
from sidecar.errors import SidecarError
from sidecar.export import disagreement
from sidecar.parameters import initialize, named_parameters
from sidecar.protocol import scorer_pb2
from sidecar.scorer import score


def request_of(samples, **fields):
    made = [scorer_pb2.ScoreSample(tokens=np.asarray(t, "<u4").tobytes(), positions=np.asarray(p, "<u4").tobytes()) for t, p in samples]
    return scorer_pb2.ScoreRequest(samples=made, **fields)


def score_rows(model, samples, **fields):
    with torch.inference_mode():
        return score(model, request_of(samples, **fields)).rows


def transformers_logprobs(model, tokens) -> torch.Tensor:
    """[L, V] by Hugging Face's own forward."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    reference = Qwen3ForCausalLM(Qwen3Config(**model.architecture.to_config(), attn_implementation="eager")).eval()
    reference.load_state_dict(named_parameters(model.architecture, initialize(model.architecture, 1)), strict=False)
    reference.tie_weights()
    with torch.inference_mode():
        return reference(input_ids=torch.tensor(np.asarray(tokens, np.int64))[None]).logits[0].log_softmax(-1)


def test_given_log_probabilities_are_those_of_the_next_token():
    """Position t is the predicted token's: its distribution comes from the tokens before it."""
    model = model_of(TINY)
    tokens = np.random.default_rng(0).integers(0, 512, 37)
    reference = transformers_logprobs(model, tokens)
    row = score_rows(model, [(tokens, [1, 5, 36])])[0]
    expected = [reference[t - 1, tokens[t]].item() for t in (1, 5, 36)]
    np.testing.assert_allclose(np.frombuffer(row.given_logprobs, np.float32), expected, atol=1e-5)
    assert not row.ids and not row.values and row.tokens_sha256 == hashlib.sha256(np.asarray(tokens, "<u4").tobytes()).hexdigest()


def test_top_k_holds_the_largest_valid_values_and_their_mass():
    model = model_of(SMALLEST)
    tokens = np.random.default_rng(1).integers(0, 64, 20)
    reference = transformers_logprobs(model, tokens)
    row = score_rows(model, [(tokens, range(1, 20))], top_k=5, valid_vocabulary=60, banned_token_ids=[2, 11])[0]
    ids, values = (np.frombuffer(d, t).reshape(19, 5) for d, t in ((row.ids, np.uint32), (row.values, np.float32)))
    masked = reference.clone()
    masked[:, 60:] = float("-inf")
    masked[:, [2, 11]] = float("-inf")
    assert (ids == masked.topk(5, -1).indices[:19].numpy()).all()
    np.testing.assert_allclose(values, masked.topk(5, -1).values[:19].numpy(), atol=1e-5)
    np.testing.assert_allclose(np.frombuffer(row.mass, np.float32), np.exp(values).sum(-1), rtol=1e-6)


def test_ties_go_to_the_lower_id():
    values = torch.tensor([[1.0, 3.0, 2.0, 2.0, 2.0, 3.0], [0.0] * 6, [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
    chosen, ids = top_k(values, 3)
    assert ids.tolist() == [[1, 5, 2], [0, 1, 2], [0, 1, 2]]
    assert chosen.tolist() == [[3, 3, 2], [0, 0, 0], [5, 4, 3]]
    rounded = torch.randn(50, 200, generator=torch.Generator().manual_seed(3)).round(decimals=1)
    expected = [[i for _, i in sorted((-v, i) for i, v in enumerate(row))[:20]] for row in rounded.tolist()]
    assert top_k(rounded, 20)[1].tolist() == expected


def test_a_row_does_not_depend_on_its_neighbours():
    model, rng = model_of(TINY), np.random.default_rng(4)
    samples = []
    for _ in range(40):
        length = int(rng.integers(2, 120))
        samples.append((rng.integers(0, 512, length), np.sort(rng.choice(np.arange(1, length), max(1, length // 3), replace=False))))
    for k in (0, 16):
        together = [row.SerializeToString() for row in score_rows(model, samples, top_k=k)]
        alone = [score_rows(model, [sample], top_k=k)[0].SerializeToString() for sample in samples]
        assert together == alone


def test_a_sample_without_positions_keeps_its_row():
    rows = score_rows(model_of(SMALLEST), [([1, 2, 3], []), ([1, 2, 3], [2])], top_k=4)
    assert [len(row.ids) for row in rows] == [0, 16]


@pytest.mark.parametrize("samples, fields", [
    ([([1, 2], [0])], {}), ([([1, 2], [2])], {}), ([([], [])], {}), ([([64], [])], {}), ([([1] * 129, [])], {}),
    ([([1, 2], [1])], {"top_k": 62, "valid_vocabulary": 63, "banned_token_ids": [1, 2]}), ([([1, 2], [1])], {"banned_token_ids": [64]}),
])
def test_bad_requests_are_refused(samples, fields):
    with pytest.raises(SidecarError) as error:
        score_rows(model_of(SMALLEST), samples, **fields)
    assert error.value.reason == "INVALID"


def test_our_forward_agrees_with_transformers():
    for architecture in (TINY, ODD, SMALLEST):
        assert disagreement(architecture, initialize(architecture, 1)) < 1e-5
