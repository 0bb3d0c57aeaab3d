"""Teacher forcing: off by one, ties, valid ids, and independence of how samples are chunked."""
import hashlib

import numpy as np
import pytest
import torch
from tiny_model import ODD, SMALLEST, TINY, model_of

from ops.build import NotBuilt, build
from ops.topk_head.top_k import top_k
from sidecar import head_choice
from sidecar.errors import SidecarError
from sidecar.export import disagreement
from sidecar.fingerprint import fingerprint
from sidecar.head_choice import Rule, TopKSelector
from sidecar.parameters import initialize, named_parameters
from sidecar.protocol import scorer_pb2
from sidecar.scorer import score

CPU = torch.device("cpu")


def request_of(samples, **fields):
    made = [scorer_pb2.ScoreSample(tokens=np.asarray(t, "<u4").tobytes(), positions=np.asarray(p, "<u4").tobytes()) for t, p in samples]
    return scorer_pb2.ScoreRequest(samples=made, **fields)


def score_rows(model, samples, heads=None, **fields):
    with torch.inference_mode():
        return score(model, request_of(samples, **fields), heads or TopKSelector(CPU)).rows


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


@pytest.mark.parametrize("implementation", ["torch", "emulated"])
def test_the_operator_finds_what_the_log_softmax_finds(implementation, monkeypatch):
    """The same ids, ties and barred ids included; values and mass to rounding; rows still on their own. Small models and CPUs do not take it."""
    if implementation == "emulated":
        try:
            build("emulated")
        except NotBuilt as problem:
            pytest.skip(str(problem))
    model, rng = model_of(SMALLEST), np.random.default_rng(6)
    samples = [(rng.integers(0, 64, length), range(1, length)) for length in (3, 20, 9)]
    fields = {"top_k": 5, "valid_vocabulary": 60, "banned_token_ids": [2, 11]}
    usual = TopKSelector(CPU)
    dense = score_rows(model, samples, usual, **fields)
    monkeypatch.setattr(head_choice, "top_k_rule", lambda device: Rule(implementation, 0, 0))
    chosen = TopKSelector(CPU)
    rows = score_rows(model, samples, chosen, **fields)
    for row, expected, sample in zip(rows, dense, samples, strict=True):
        assert row.ids == expected.ids
        for name in ("values", "mass"):
            np.testing.assert_allclose(*(np.frombuffer(getattr(r, name), np.float32) for r in (row, expected)), atol=2e-6)
        assert row.SerializeToString() == score_rows(model, [sample], chosen, **fields)[0].SerializeToString()
    assert {name for name, *_ in usual.used()} == {"dense"} and {shape[:3] for shape in chosen.used()} == {(implementation, 64, 5)}


def test_a_logit_that_is_not_finite_is_named(monkeypatch):
    model = model_of(SMALLEST, 99)  # of no other test: it is spoilt here
    model.weights.head[7] = float("nan")
    monkeypatch.setattr(head_choice, "top_k_rule", lambda device: Rule("torch", 0, 0))
    with pytest.raises(SidecarError, match="position 0: a logit is not finite") as error:
        score_rows(model, [([1, 2, 3], [1, 2])], TopKSelector(CPU), top_k=4)
    assert error.value.reason == "INVALID"


def test_who_finds_the_top_k_is_a_function_of_shape_device_and_what_is_built(monkeypatch, capfd):
    cuda = torch.device("cuda")
    for there in (True, False):
        monkeypatch.setattr(head_choice, "is_built", lambda _kind, there=there: there)
        assert TopKSelector(CPU).choose(248_320, 64) == TopKSelector(cuda).choose(512, 16) == TopKSelector(cuda).choose(151_936, 257) == "dense"
        assert TopKSelector(cuda).choose(151_936, 64) == ("bounded-cuda" if there else "dense")
        TopKSelector(cuda).announce()
        said = capfd.readouterr().err
        assert ('"level": "warning"' in said) is (not there) and '"heads": {"512": "dense"' in said
    assert "topKHead" not in fingerprint(CPU, 2)


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
