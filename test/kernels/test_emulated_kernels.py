"""The CUDA sources, compiled for the host (kernels/ops/emulate), against the float64 references: indexing, barriers and reductions without a GPU."""
import os

import pytest
import torch
from sva_head_cases import assert_within, make

from ops.build import NotBuilt, build, emulated_library
from ops.sva_head import gpu
from ops.sva_head.interface import FROZEN, HeadGradient, InputProblem
from ops.sva_head.op import forward_backward
from ops.topk_head.op import RowProblem, topk_head
from ops.topk_head.ref import reference as topk_reference
from ops.topk_head.ref import select

DESIGNS = ("emulated-two-pass", "emulated-online", "emulated-cluster-2", "emulated-cluster-8", "emulated-hot-rows")
# One case for each number of columns a lane holds and of warps that share a row, and sizes that fill neither.
CASES = [
    (5, 2, 100, 64, torch.bfloat16, "zipf", False, False), (4, 3, 300, 192, torch.float32, "uniform", True, True), (3, 32, 2000, 448, torch.bfloat16, "same", True, True),
    (3, 64, 900, 1024, torch.bfloat16, "zipf", False, False), (3, 33, 4096, 1984, torch.float32, "uniform", False, True), (2, 256, 600, 2048, torch.bfloat16, "uniform", True, False),
    (2, 5, 64, 4096, torch.float32, "disjoint", False, False), (2, 17, 50, 4160, torch.bfloat16, "zipf", False, True), (2, 3, 20, 8192, torch.float32, "same", False, False),
]


@pytest.fixture(scope="module", autouse=True)
def library():
    try:
        build("emulated")
    except NotBuilt as problem:
        pytest.skip(str(problem))


@pytest.fixture(params=[False, True], ids=["forward", "reversed"])
def order(request, monkeypatch):
    """The order in which threads run between barriers."""
    if request.param:
        monkeypatch.setitem(os.environ, "STEMMA_EMULATE_REVERSED", "1")


def inputs_of(case, skip=0.2):
    positions, k, vocabulary, size, dtype, draw, temperature, sampled = case
    return make(positions, k, vocabulary, size, dtype=dtype, draw=draw, temperature=temperature, sampled=sampled, skip=skip)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"k{c[1]}-H{c[3]}-{str(c[4])[6:]}-{c[5]}")
@pytest.mark.parametrize("name", [*DESIGNS, "emulated-cluster-4"])
def test_the_kernels_lie_within_derived_bounds(name, case):
    inputs = inputs_of(case)
    if (inputs.ids.shape[1] + 1) * inputs.head[0].nbytes > 200 * 1024 * blocks_of(name):
        with pytest.raises(ValueError, match="do not fit in the shared memory"):
            forward_backward(inputs, name)
        return
    outputs = forward_backward(inputs, name)
    assert_within(inputs, outputs)


def blocks_of(name) -> float:
    """Whose shared memory together holds the rows of a position; the other designs hold none."""
    return int(name[-1]) if "cluster" in name else float("inf")


def test_only_frequent_ids_are_hot():
    from ops.sva_head.hot import _hottest

    inputs = make(6, 3, 50, 64, draw="disjoint")
    inputs.ids[:3, 0], inputs.ids[3:5, 1] = 47, 8
    inputs.weight[5] = 0
    hot, place = _hottest(inputs, inputs.weight != 0, 2)
    assert hot.tolist() == [47, 8] and (place[:3, 0] == 0).all() and (place[3:5, 1] == 1).all() and int((place == 2).sum()) == 18 - 5


@pytest.mark.parametrize("name", DESIGNS)
def test_no_result_depends_on_the_order_of_threads(name, monkeypatch):
    inputs = make(6, 40, 90, 1088, draw="zipf", skip=0.2, sampled=True)
    forward = forward_backward(inputs, name)
    monkeypatch.setitem(os.environ, "STEMMA_EMULATE_REVERSED", "1")
    assert all(torch.equal(a, b) for a, b in zip(forward, forward_backward(inputs, name), strict=True))


@pytest.mark.parametrize("draw", ["same", "zipf", "disjoint"])
@pytest.mark.parametrize("chunk", [1, 2, 7, 16, 512])
def test_runs_that_cross_chunks_of_pairs_are_joined(draw, chunk, monkeypatch):
    """Integers as floats: every sum is exact, so the head's gradient must be equal, not close."""
    inputs = make(13, 4, 60, 64, draw=draw)
    hidden = torch.randint(-8, 8, (13, 64), generator=torch.Generator().manual_seed(1)).float()
    inputs = inputs._replace(hidden=hidden)
    inputs.weight[[0, 7, 12]] = 0
    g = torch.randint(-8, 8, inputs.ids.shape, generator=torch.Generator().manual_seed(2)).float() * (inputs.weight != 0)[:, None]
    expected = torch.zeros(60, 64).index_add_(0, inputs.ids.flatten().long(), (g[:, :, None] * hidden[:, None]).view(-1, 64))
    monkeypatch.setattr(gpu, "_PAIRS_PER_CHUNK", chunk)
    into = torch.ones(60, 64)
    library, ordered = emulated_library(), gpu._sorted_pairs(inputs)
    gpu._head_rows(library, inputs, g, ordered, HeadGradient(into=into))
    assert torch.equal(into - 1, expected)
    ids, rows = gpu._head_rows(library, inputs, g, ordered, HeadGradient())
    assert torch.equal(torch.zeros(60, 64).index_copy(0, ids, rows), expected)


@pytest.mark.parametrize("name", DESIGNS)
def test_modes_and_positions_without_weight(name):
    inputs = make(9, 4, 100, 64)
    inputs.weight[[2, 8]] = 0
    inputs.hidden[2], inputs.ids[8] = float("nan"), 3
    outputs = forward_backward(inputs, name)
    assert not outputs.loss[[2, 8]].any() and not outputs.grad_hidden[[2, 8]].any() and bool(torch.isfinite(outputs.head_rows).all())
    frozen = forward_backward(inputs, name, FROZEN)
    assert len(frozen.head_ids) == 0 and torch.equal(frozen.grad_hidden, outputs.grad_hidden)
    none = forward_backward(inputs._replace(weight=torch.zeros(9)), name)
    assert len(none.head_ids) == 0 and not none.grad_hidden.any()


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("spoil, message", [
    (lambda i: i.ids[4].__setitem__(1, int(i.ids[4, 3])), "there 2 times"), (lambda i: i.ids[4].__setitem__(1, 100), "id 100"),
    (lambda i: i.hidden[4].__setitem__(63, float("nan")), "hidden"), (lambda i: i.teacher[4].__setitem__(3, float("inf")), "teacher"),
    (lambda i: i.weight.__setitem__(4, float("nan")), "weight"), (lambda i: i.temperature.__setitem__(4, -1.0), "temperature"),
    (lambda i: i.sampled.__setitem__(4, -3), "sampled"), (lambda i: i.head[int(i.ids[4, 2])].__setitem__(0, float("inf")), "head's row"),
])
def test_bad_numbers_are_refused_with_their_position(name, spoil, message):
    inputs = make(9, 4, 100, 64, temperature=True, sampled=True, draw="disjoint")
    spoil(inputs)
    into = torch.zeros(inputs.head.shape)
    with pytest.raises(InputProblem, match=message) as error:
        forward_backward(inputs, name, HeadGradient(into=into))
    assert error.value.position == 4 and not into.any()


@pytest.mark.parametrize("vocabulary, k, dtype", [(333, 3, torch.float32), (512, 256, torch.bfloat16), (9001, 64, torch.bfloat16), (20_000, 32, torch.float32), (5000, 2, torch.float32)])
@pytest.mark.parametrize("way", ["torch", "emulated"])
def test_top_k_is_the_reference_bit_for_bit_with_ties_to_the_lower_id(way, vocabulary, k, dtype, order):
    from ops.topk_head.op import SELECTS

    g = torch.Generator().manual_seed(3)
    logits = torch.randn(3, vocabulary, generator=g)
    logits[1] = logits[1].mul(2).round()  # ties everywhere, signed zeros among them
    logits[2] = logits[2].sort().values  # every tile beats the ones before
    logits = logits.to(dtype)
    barred = torch.rand(vocabulary, generator=g) < 0.3
    for mask in (None, barred):
        chosen = SELECTS[way](logits, k, mask, True)
        ids, values = select(logits, k, mask)
        assert chosen.ids.tolist() == ids.tolist() and torch.equal(chosen.values, values.float())
        # V terms of relative error 2u each from exp, and V·u of their sum, of which at most log₂ or V/threads deep: V·u + 4u·max|z| bounds the logarithm.
        exact = logits.double().logsumexp(-1)
        assert float((chosen.lse.double() - exact).abs().max()) <= 2.0**-24 * (vocabulary + 4 * float(logits.abs().max()) + 4)


@pytest.mark.parametrize("way", ["torch", "emulated"])
def test_top_k_head_is_chunked_and_names_bad_positions(way, monkeypatch):
    from ops.topk_head import op

    monkeypatch.setitem(op._CHUNK_ELEMENTS, "cpu", 16 * 700)
    g = torch.Generator().manual_seed(4)
    hidden, head = torch.randn(37, 64, generator=g), torch.randn(700, 64, generator=g)
    result = topk_head(hidden, head, 8, with_lse=True, select=way)
    ids, values, mass = topk_reference(hidden, head, 8)
    assert result.ids.tolist() == ids.tolist()
    bound = 64 * 2.0**-24 * (hidden.abs() @ head.abs().t()).max()
    assert float((result.values.double() - values).abs().max()) <= bound
    # A value and the logsumexp each move by at most `bound` and V·u: a mass by that factor.
    torch.testing.assert_close((result.values - result.lse[:, None]).double().exp().sum(-1), mass, rtol=2 * float(bound) + 700 * 2.0**-24, atol=0)
    hidden[33, 5] = float("nan")
    with pytest.raises(RowProblem, match="position 33.*not finite"):
        topk_head(hidden, head, 8, select=way)
    barred = torch.ones(700, dtype=torch.bool)
    barred[:7] = False
    with pytest.raises(RowProblem, match="only 7 ids are valid"):
        topk_head(hidden[:4], head, 8, barred=barred, select=way)
    with pytest.raises(ValueError, match="k is 257"):
        topk_head(hidden, head, 257, select=way)
