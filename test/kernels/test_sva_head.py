"""The head against its float64 reference: every implementation that runs here, through one set of cases."""
import pytest
import torch
from sva_head_cases import assert_within, draw_ids, make

from ops.build import NotBuilt, build
from ops.sva_head.interface import FROZEN, HeadGradient, InputProblem, Inputs
from ops.sva_head.op import IMPLEMENTATIONS, accumulating_loss, forward_backward, sva_head
from ops.sva_head.ref import reference

CPU = ("dense", "chunked", "compaction", "gather-cpu")
# T, k, V, H, dtype, ids, temperature, sampled, share of weights 0: a cover in which every pair of values of k, V, H and draw that fits in 1 GiB occurs with each dtype.
COVER = [
    (37, 2, 512, 64, torch.float32, "uniform", False, False, 0.0),
    (33, 3, 151_936, 64, torch.bfloat16, "zipf", True, True, 0.2),
    (9, 32, 248_320, 128, torch.float32, "disjoint", False, True, 0.0),
    (17, 64, 248_320, 512, torch.bfloat16, "zipf", False, False, 0.1),
    (5, 256, 151_936, 1024, torch.bfloat16, "uniform", True, False, 0.0),
    (7, 64, 4096, 2048, torch.float32, "same", True, True, 0.3),
    (3, 32, 8192, 8192, torch.bfloat16, "same", False, True, 0.0),
    (3, 256, 2048, 8192, torch.float32, "zipf", False, False, 0.0),
    (11, 2, 32_768, 2112, torch.bfloat16, "disjoint", True, False, 0.0),
    (13, 3, 4096, 4096, torch.float32, "uniform", False, True, 0.5),
    (19, 256, 512, 192, torch.float32, "same", False, False, 0.0),
    (1, 64, 151_936, 64, torch.float32, "uniform", True, True, 0.0),
]
IDS = [f"T{c[0]}-k{c[1]}-V{c[2]}-H{c[3]}-{str(c[4])[6:]}-{c[5]}" for c in COVER]


@pytest.fixture(scope="session", autouse=True)
def library():
    try:
        build("cpu")
    except NotBuilt as problem:
        pytest.skip(f"no C++ compiler: {problem}")


def inputs_of(case) -> Inputs:
    positions, k, vocabulary, size, dtype, draw, temperature, sampled, skip = case
    return make(positions, k, vocabulary, size, dtype=dtype, draw=draw, temperature=temperature, sampled=sampled, skip=skip)


def head_gradient_of(inputs: Inputs, outputs) -> torch.Tensor:
    assert (outputs.head_ids.diff() > 0).all()
    assert set(outputs.head_ids.tolist()) == set(inputs.ids[inputs.weight != 0].flatten().tolist())
    return torch.zeros(inputs.head.shape).index_copy(0, outputs.head_ids, outputs.head_rows)


@pytest.mark.parametrize("case", COVER, ids=IDS)
@pytest.mark.parametrize("name", ["compaction", "gather-cpu"])
def test_loss_and_gradients_lie_within_derived_bounds(name, case):
    inputs = inputs_of(case)
    outputs = forward_backward(inputs, name)
    assert_within(inputs, outputs)


@pytest.mark.parametrize("name", ["dense", "chunked"])
def test_the_dense_baselines_compute_the_same(name):
    inputs = make(37, 5, 700, 64, temperature=True, sampled=True, skip=0.2)
    outputs = forward_backward(inputs, name)
    assert_within(inputs, outputs)


def test_reference_gradients_match_finite_differences():
    """Central differences of w·ℓ in float64, h = 1e-5: error h²·f'''/6 + u·|f|/h, below 1e-8 for numbers around 1."""
    inputs = make(3, 4, 12, 5, temperature=True)
    wide = inputs._replace(hidden=inputs.hidden.double(), head=inputs.head.double())
    r = reference(*wide)
    for tensor, gradient in ((wide.hidden, r.grad_hidden), (wide.head, r.grad_head)):
        flat, h = tensor.view(-1), 1e-5
        for i in range(len(flat)):
            values = []
            for step in (h, -h):
                before = flat[i].item()
                flat[i] = before + step
                values.append((wide.weight.double() * reference(*wide).loss).sum())
                flat[i] = before
            assert abs((values[0] - values[1]) / (2 * h) - gradient.view(-1)[i]) < 1e-8


def test_autograd_of_the_plain_formula_agrees_with_the_reference():
    from sidecar.losses import salient_vocabulary

    inputs = make(11, 6, 50, 16, temperature=True)
    x, w = inputs.hidden.double().requires_grad_(), inputs.head.double().requires_grad_()
    loss = salient_vocabulary((x @ w.t()).gather(1, inputs.ids.long()), inputs.teacher.double(), inputs.temperature.double())
    (loss * inputs.weight.double()).sum().backward()
    r = reference(*inputs)
    torch.testing.assert_close(r.loss, loss.detach(), atol=1e-13, rtol=0)
    torch.testing.assert_close(r.grad_hidden, x.grad, atol=1e-13, rtol=0)
    torch.testing.assert_close(r.grad_head, w.grad, atol=1e-13, rtol=0)


def test_golden_vector():
    """docs/algorithms.md, "SVA", through a head of one-hot rows."""
    head, hidden = torch.zeros(6, 64), torch.zeros(1, 64)
    head[1:5, 1:5] = torch.eye(4)
    hidden[0, 1:5] = torch.tensor([2.0, 1.0, 0.0, -1.0])
    inputs = Inputs(hidden, head, torch.tensor([[1, 2, 3, 4]], dtype=torch.int32), torch.tensor([[3, 0.5, 0.25, -2]]), torch.ones(1))
    for name in CPU:
        outputs = forward_backward(inputs, name)
        assert outputs.loss.item() == pytest.approx(0.1867610662, abs=1e-6)
        torch.testing.assert_close(outputs.grad_logits, torch.tensor([[-0.3121694225, 0.2404835144, 0.0231107018, 0.0485752062]]), atol=1e-6, rtol=0)
        torch.testing.assert_close(outputs.grad_hidden[0, 1:5], outputs.grad_logits[0], atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", ["compaction", "gather-cpu"])
@pytest.mark.parametrize("draw", ["zipf", "same"])
def test_runs_are_bitwise_equal_and_do_not_depend_on_threads(name, draw):
    inputs = make(301, 32, 9000, 192, draw=draw, skip=0.1)
    results = []
    for threads in (2, 2, 1, 2) if name == "gather-cpu" else (2, 2):
        torch.set_num_threads(threads)
        into = torch.zeros(inputs.head.shape)
        forward_backward(inputs, name, HeadGradient(into=into))
        outputs = forward_backward(inputs, name)
        results.append([*outputs, into])
        assert torch.equal(into, head_gradient_of(inputs, outputs))
    torch.set_num_threads(2)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("name", CPU)
def test_a_frozen_head_has_no_gradient_and_a_buffer_is_added_to(name):
    inputs = make(9, 4, 100, 64)
    rows = forward_backward(inputs, name)
    frozen = forward_backward(inputs, name, FROZEN)
    assert len(frozen.head_ids) == 0 and torch.equal(frozen.grad_hidden, rows.grad_hidden)
    into = torch.full(inputs.head.shape, 2.0)
    forward_backward(inputs, name, HeadGradient(into=into))
    torch.testing.assert_close(into - 2, head_gradient_of(inputs, rows), atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", CPU)
def test_positions_without_weight_are_not_computed(name):
    inputs = make(9, 4, 100, 64)
    inputs.weight[[2, 5]] = 0
    poisoned = inputs._replace(hidden=inputs.hidden.clone(), teacher=inputs.teacher.clone(), ids=inputs.ids.clone())
    poisoned.hidden[2], poisoned.teacher[5], poisoned.ids[2] = float("nan"), float("inf"), 7
    outputs, expected = forward_backward(poisoned, name), forward_backward(inputs, name)
    assert all(torch.equal(a, b) for a, b in zip(outputs, expected, strict=True))
    assert not outputs.loss[[2, 5]].any() and not outputs.grad_hidden[[2, 5]].any()
    nothing = forward_backward(inputs._replace(weight=torch.zeros(9)), name)
    assert len(nothing.head_ids) == 0 and not nothing.grad_hidden.any()


def test_free_coverage_equals_the_dense_one():
    """ρ = exp(LSE_S − z_y + log p(y)), y in the support and out of it."""
    inputs = make(40, 8, 300, 64, sampled=True)
    inputs.sampled[:20] = inputs.ids[:20, 3]
    outputs = forward_backward(inputs, "gather-cpu")
    logprobs = (inputs.hidden.double() @ inputs.head.double().t()).log_softmax(-1)
    exact = logprobs.gather(1, inputs.ids.long()).exp().sum(-1)
    given = logprobs.gather(1, inputs.sampled.long()[:, None])[:, 0]
    torch.testing.assert_close((outputs.support_lse - outputs.sampled_logit + given).exp(), exact, rtol=1e-5, atol=0)


BAD = {
    "repeated": lambda i: i.ids[4].__setitem__(1, int(i.ids[4, 3])), "negative id": lambda i: i.ids[4].__setitem__(0, -1),
    "id too large": lambda i: i.ids[4].__setitem__(2, 100), "NaN hidden": lambda i: i.hidden[4].__setitem__(63, float("nan")),
    "inf hidden": lambda i: i.hidden[4].__setitem__(0, float("inf")), "NaN teacher": lambda i: i.teacher[4].__setitem__(1, float("nan")),
    "inf weight": lambda i: i.weight.__setitem__(4, float("inf")), "temperature": lambda i: i.temperature.__setitem__(4, 0.0),
    "sampled": lambda i: i.sampled.__setitem__(4, 100), "head": lambda i: i.head[int(i.ids[4, 0])].__setitem__(5, float("nan")),
}
WORDS = {
    "repeated": "there 2 times", "negative id": "id -1 is outside", "id too large": "id 100 is outside", "NaN hidden": "hidden state", "inf hidden": "hidden state",
    "NaN teacher": "teacher", "inf weight": "weight", "temperature": "temperature", "sampled": "sampled id 100", "head": "head's row",
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("name", CPU)
def test_bad_numbers_are_refused_with_their_position(name, what):
    inputs = make(9, 4, 100, 64, temperature=True, sampled=True, draw="disjoint")
    BAD[what](inputs)
    into = torch.zeros(inputs.head.shape)
    with pytest.raises(InputProblem, match=WORDS[what]) as error:
        forward_backward(inputs, name, HeadGradient(into=into))
    assert error.value.position == 4 and not into.any()


def test_shapes_are_refused_all_at_once():
    inputs = make(9, 4, 100, 64)
    with pytest.raises(ValueError, match=r"ids is .*teacher is .*weight is "):
        forward_backward(inputs._replace(ids=inputs.ids.long(), teacher=inputs.teacher[:5], weight=inputs.weight.double()), "dense")
    for k in (1, 257):
        with pytest.raises(ValueError, match=f"k is {k}"):
            forward_backward(inputs._replace(ids=torch.zeros(9, k, dtype=torch.int32), teacher=torch.zeros(9, k)), "dense")


@pytest.mark.parametrize("name", ["compaction", "gather-cpu"])
def test_the_operator_differentiates(name):
    inputs = make(9, 4, 100, 64, temperature=True)
    hidden, head = inputs.hidden.requires_grad_(), inputs.head.requires_grad_()
    total, loss, *_ = sva_head(hidden, head, *inputs[2:], True, name)
    (3 * total).backward()
    r = reference(*inputs)
    torch.testing.assert_close(hidden.grad.double(), 3 * r.grad_hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(head.grad.double(), 3 * r.grad_head, atol=1e-5, rtol=1e-5)
    assert not loss.requires_grad
    with torch.no_grad():
        arguments = (inputs.hidden.detach().requires_grad_(), inputs.head.detach().requires_grad_(), *inputs[2:], True, name)
    torch.library.opcheck(sva_head, arguments, test_utils=("test_schema", "test_faketensor", "test_autograd_registration"))


def test_the_accumulating_form_takes_a_gradient_of_one_only():
    inputs = make(9, 4, 100, 64)
    hidden, into = inputs.hidden.requires_grad_(), torch.zeros(inputs.head.shape)
    total, *_ = accumulating_loss(inputs, "gather-cpu", into)
    total.backward()
    plain = forward_backward(inputs._replace(hidden=hidden.detach()), "gather-cpu")
    assert torch.equal(hidden.grad, plain.grad_hidden) and torch.equal(into, head_gradient_of(inputs, plain))
    with pytest.raises(RuntimeError):
        (2 * accumulating_loss(inputs, "gather-cpu", into)[0]).backward()


def test_there_is_a_case_for_every_implementation():
    designs = ("two-pass", "online", "cluster-2", "cluster-4", "cluster-8")
    assert {*CPU, "hot-rows", "emulated-hot-rows", *(f"{where}-{design}" for where in ("gather", "emulated") for design in designs)} == set(IMPLEMENTATIONS)
    assert draw_ids(4, 3, 12, "disjoint", torch.Generator()).unique().numel() == 12
