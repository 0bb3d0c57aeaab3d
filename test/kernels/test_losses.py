"""Losses against golden numbers, finite differences and their identities, in float64."""
import json
from pathlib import Path

import pytest
import torch

from sidecar.losses import PolicySettings, cross_entropy, entropy_of, k3, policy_gradient, salient_vocabulary

GOLDEN = json.loads((Path(__file__).resolve().parents[1] / "golden" / "losses.json").read_text())


def f64(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def settings(n: int, **changes) -> PolicySettings:
    defaults = dict(advantage=1.0, old_logprob=-1.0, reference_logprob=-1.0, clip_low=0.2, clip_high=0.28, kl_coefficient=0.0, entropy_coefficient=0.0, importance_cap=0.0)
    return PolicySettings(**{k: v if isinstance(v, torch.Tensor) else torch.full((n,), v, dtype=torch.float64) for k, v in (defaults | changes).items()})


@pytest.mark.parametrize("case", GOLDEN["sva"], ids=lambda c: f"k{len(c['p'])}")
def test_salient_vocabulary_matches_golden_loss_and_gradient(case):
    student = f64([case["student_logits"]]).requires_grad_()
    loss = salient_vocabulary(student, f64([case["teacher_logits"]]), f64([1.0]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    torch.testing.assert_close(student.grad[0], f64(case["grad"]), atol=1e-9, rtol=0)


def test_salient_vocabulary_gradient_matches_finite_differences_through_a_head():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(5, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    head = torch.randn(31, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    ids = torch.stack([torch.randperm(31, generator=generator)[:6] for _ in range(5)])
    teacher = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    weight = torch.rand(5, generator=generator, dtype=torch.float64)
    for temperature in (1.0, 1.7):
        tau = torch.full((5,), temperature, dtype=torch.float64)
        assert torch.autograd.gradcheck(
            lambda h, w, tau=tau: (weight * salient_vocabulary((h @ w.t()).gather(1, ids), teacher, tau)).sum(), (hidden, head), atol=1e-8,
        )


def test_salient_vocabulary_identities():
    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(9, 12, generator=generator, dtype=torch.float64) for _ in range(2))
    one = torch.ones(9, dtype=torch.float64)
    loss = salient_vocabulary(student, teacher, one)
    assert (loss > 0).all()
    # shift invariance on either side, and permutation of the support
    torch.testing.assert_close(salient_vocabulary(student + 3.5, teacher - 11, one), loss)
    order = torch.randperm(12, generator=generator)
    torch.testing.assert_close(salient_vocabulary(student[:, order], teacher[:, order], one), loss)
    # student = teacher; k = 1; k = V is the full reverse KL
    assert salient_vocabulary(student, student, one).abs().max() < 1e-14
    assert salient_vocabulary(student[:, :1], teacher[:, :1], one).abs().max() == 0
    p, q = student.softmax(-1), teacher.softmax(-1)
    torch.testing.assert_close(loss, (p * (p.log() - q.log())).sum(-1))
    # the gradient sums to zero over the support
    leaf = student.clone().requires_grad_()
    salient_vocabulary(leaf, teacher, one).sum().backward()
    assert leaf.grad.sum(-1).abs().max() < 1e-14


def test_clipped_policy_gradient_matches_golden():
    g = GOLDEN["clipped_policy_gradient"]
    logprob = f64(g["logp"]).requires_grad_()
    n = len(g["logp"])
    result = policy_gradient(logprob, torch.zeros(n, dtype=torch.float64), settings(
        n, advantage=f64(g["advantage"]), old_logprob=f64(g["old_logp"]), clip_low=g["eps_low"], clip_high=g["eps_high"]))
    result.loss.sum().backward()
    torch.testing.assert_close(result.loss.detach(), f64(g["loss"]), atol=1e-9, rtol=0)
    torch.testing.assert_close(logprob.grad, f64(g["dloss_dlogp"]), atol=1e-9, rtol=0)


def test_truncated_importance_weighting_matches_golden():
    g = GOLDEN["truncated_policy_gradient"]
    logprob = f64(g["logp"]).requires_grad_()
    n = len(g["logp"])
    result = policy_gradient(logprob, torch.zeros(n, dtype=torch.float64), settings(
        n, advantage=f64(g["advantage"]), old_logprob=f64(g["old_logp"]), importance_cap=g["cap"]))
    result.loss.sum().backward()
    torch.testing.assert_close(result.loss.detach(), f64(g["loss"]), atol=1e-9, rtol=0)
    torch.testing.assert_close(logprob.grad, f64(g["dloss_dlogp"]), atol=1e-9, rtol=0)
    assert 0 < result.clipped.sum() < n


def test_a_cap_on_some_tokens_leaves_the_others_as_they_were():
    logprob = f64([-1.0, -0.5, -2.0])
    entropy = torch.zeros(3, dtype=torch.float64)
    mixed = policy_gradient(logprob, entropy, settings(3, old_logprob=f64([-1.5, -2.0, -1.0]), importance_cap=f64([0.0, 2.0, 0.0])))
    clipped = policy_gradient(logprob, entropy, settings(3, old_logprob=f64([-1.5, -2.0, -1.0])))
    torch.testing.assert_close(mixed.loss[[0, 2]], clipped.loss[[0, 2]], atol=0, rtol=0)
    assert mixed.loss[1].item() == 2.0 * 0.5


def test_k3_matches_golden_and_its_clamp_stops_the_gradient():
    for case in GOLDEN["kl"]:
        assert k3(f64([case["logp"]]), f64([case["ref"]])).item() == pytest.approx(min(case["k3"], 10.0), abs=1e-9)
    logprob = f64([-1.0, -9.0]).requires_grad_()
    value = k3(logprob, f64([-1.2, -1.0]))
    value.sum().backward()
    assert value[1] == 10.0 and logprob.grad[1] == 0.0
    assert logprob.grad[0].item() == pytest.approx(1 - torch.tensor(-0.2, dtype=torch.float64).exp().item(), abs=1e-12)


def test_policy_gradient_with_kl_and_entropy_matches_finite_differences_through_softmax():
    generator = torch.Generator().manual_seed(2)
    n, v = 8, 17
    logits = torch.randn(n, v, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, v, (n, 1), generator=generator)
    base = logits.detach().log_softmax(-1).gather(1, targets)[:, 0]
    s = settings(n, advantage=torch.randn(n, generator=generator, dtype=torch.float64), kl_coefficient=0.3, entropy_coefficient=0.2,
                 old_logprob=base + 0.4 * torch.randn(n, generator=generator, dtype=torch.float64),
                 reference_logprob=base + 0.3 * torch.randn(n, generator=generator, dtype=torch.float64))

    def total(z):
        logprobs = z.log_softmax(-1)
        return policy_gradient(logprobs.gather(1, targets)[:, 0], entropy_of(logprobs), s).loss.sum()

    assert torch.autograd.gradcheck(total, (logits,), atol=1e-7)


def test_policy_gradient_signs():
    logprob = f64([-1.0])
    entropy = f64([2.0])
    assert policy_gradient(logprob, entropy, settings(1)).loss.item() == -1.0
    assert policy_gradient(logprob, entropy, settings(1, entropy_coefficient=0.5)).loss.item() == -2.0
    assert policy_gradient(logprob, entropy, settings(1, kl_coefficient=1.0, reference_logprob=-3.0)).loss.item() > -1.0
    assert policy_gradient(f64([50.0]), entropy, settings(1, advantage=-1.0, old_logprob=-50.0)).loss.item() == pytest.approx(torch.tensor(20.0).double().exp().item())
    assert cross_entropy(logprob).item() == 1.0
