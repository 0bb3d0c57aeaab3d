"""A training step through the sparse head: equal to the dense one, without [P, V] logits, and what it says of bad scores."""
import hashlib

import numpy as np
import pytest
import torch
from sidecar_process import f32, u32
from tiny_model import SMALLEST

from ops.build import NotBuilt, build
from sidecar import checkpoint, head_choice
from sidecar.architecture import Architecture
from sidecar.blobs import BlobDirectory
from sidecar.errors import SidecarError
from sidecar.fingerprint import fingerprint
from sidecar.head_choice import HeadSelector, Rule, head_rule
from sidecar.optimizer import OptimizerSettings
from sidecar.parameters import initialize
from sidecar.protocol import data_pb2
from sidecar.sparse_objective import measured_rows
from sidecar.trainer import StepIdentity, Trainer

CPU = torch.device("cpu")
SETTINGS = OptimizerSettings(1e-3, 0.9, 0.95, 1e-8, 0.1, 0.0)
LARGE = {tied: Architecture(151_936, 64, 2, 2, 1, 32, 128, 512, 1e-6, 1e4, tied, 0.1) for tied in (True, False)}
TOP_K, LENGTH = 32, 70


@pytest.fixture
def blobs(tmp_path) -> BlobDirectory:
    return BlobDirectory(tmp_path / "blobs")


@pytest.fixture
def sparse(monkeypatch):
    """Sets the rule of trainers made afterwards."""
    def use(implementation: str) -> None:
        if implementation == "gather-cpu":
            try:
                build("cpu")
            except NotBuilt as problem:
                pytest.skip(str(problem))
        monkeypatch.setattr(head_choice, "head_rule", lambda device: Rule(implementation, 0, 0))
    return use


def salient_batch(blobs, vocabulary, samples=4, spoil=None):
    rng = np.random.default_rng(5)
    table, batch = data_pb2.ScoreTable(top_k=TOP_K), data_pb2.Batch()
    for i in range(samples):
        length = LENGTH - 3 * i
        tokens, positions = rng.integers(0, vocabulary, length).astype(np.uint32), np.arange(20, length)
        ids = np.stack([rng.choice(vocabulary, TOP_K, replace=False) for _ in positions])
        values = rng.normal(size=(len(positions), TOP_K)).astype(np.float32)
        if spoil:
            spoil(i, ids, values)
        table.rows.add(tokens_sha256=hashlib.sha256(u32(tokens)).hexdigest(), positions=u32(positions), ids=u32(ids), values=f32(values), mass=f32(np.full(len(positions), 0.9)))
        weights = np.zeros(length, np.float32)
        weights[20:] = (0.5 + rng.random(length - 20)) / samples / length
        batch.samples.add(member=f"m{i}", tokens=u32(tokens)).terms.add(weights=f32(weights), salient_vocabulary=data_pb2.SalientVocabulary(
            top_k=TOP_K, score_row=i, temperature=1.25))
    sha256 = blobs.put(table.SerializeToString()).sha256
    for sample in batch.samples:
        sample.terms[0].salient_vocabulary.score_blob_sha256 = sha256
    batch.rows.extend(data_pb2.PackedRow(samples=[i]) for i in range(samples))
    return batch


def stepped(blobs, architecture, batch):
    trainer = Trainer(blobs, CPU)
    trainer.restore_weights(blobs.put(checkpoint.dump_weights(architecture, initialize(architecture, 1))))
    outcome = trainer.step(StepIdentity(trainer.state.state_hash, "b", "s"), blobs.put(batch.SerializeToString()), SETTINGS)
    return trainer, outcome


@pytest.mark.parametrize("implementation", ["gather-cpu", "compaction"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_step_through_the_sparse_head_equals_the_dense_step(blobs, sparse, implementation, tied):
    """Both are float32 sums of the same products in another order. Per position (sva_head_cases.py): |δg_u| ≤ w·p̄_u·(2|d_u − ℓ| + Σ p̄|d − ℓ| + 4)·ε/τ
    with ε ≤ H·u·Σ|x W| + 8·u·M. Here H = 64, Σ|x W| ≤ ‖x‖‖W‖ < 8·1.3, |z|, |ζ| and |d| stay below 12: ε < 4.6e-5, |δg| < 1.9e-3·w·p̄, twice that for two
    paths. A head element sums |δg|·|x| over the few positions that hold its id, p̄ about 1/k: 4 · 3.8e-3 · w/32 · 4 with w < 1.5/4/70 gives 1e-5. The trunk
    sees every position once more: Σ w < 1.2 times Σ_u |δg||W| < 3.8e-3 · 0.4, spread by norms of order one over 64 columns: 1e-4."""
    architecture, batch = LARGE[tied], salient_batch(blobs, LARGE[tied].vocab_size)
    sparse("dense")
    dense, dense_outcome = stepped(blobs, architecture, batch)
    sparse(implementation)
    ours, outcome = stepped(blobs, architecture, batch)
    head = architecture.vocab_size * architecture.hidden_size * (1 if tied else 2)
    torch.testing.assert_close(ours.state.gradient[:head], dense.state.gradient[:head], atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.state.gradient[head:], dense.state.gradient[head:], atol=1e-4, rtol=0)
    assert float(dense.state.gradient[:head].abs().max()) > 1e-4 < float(dense.state.gradient[head:].abs().max())
    figures, expected = ({name: (total, count) for name, total, count in o.stats} for o in (outcome, dense_outcome))
    assert set(figures) == set(expected)
    for name in ("loss", "salient_vocabulary", "teacher_mass", "tokens", "gradient_norm"):
        assert figures[name] == pytest.approx(expected[name], rel=1e-5)
    for name in ("entropy", "coverage"):
        assert figures[name][1] == sum(-(-(LENGTH - 3 * i - 20) // 16) for i in range(4)) < expected[name][1]
        assert figures[name][0] / figures[name][1] == pytest.approx(expected[name][0] / expected[name][1], rel=0.25)
    assert [(name, n) for name, _, _, n in ours.heads.used()] == [(implementation, 1)]


def test_two_sparse_steps_have_one_hash_whatever_the_micro_batches_say(blobs, sparse):
    sparse("gather-cpu")
    batch = salient_batch(blobs, 151_936)
    first, second = stepped(blobs, LARGE[True], batch), stepped(blobs, LARGE[True], batch)
    assert first[1].state_hash == second[1].state_hash
    batch.rows_per_micro_batch = 1
    parts = stepped(blobs, LARGE[True], batch)
    torch.testing.assert_close(parts[0].state.gradient, first[0].state.gradient, atol=1e-6, rtol=0)
    for one, other in zip(parts[1].sample_stats, first[1].sample_stats, strict=True):
        assert [(n, c) for n, _, c in one] == [(n, c) for n, _, c in other]


def test_a_sparse_step_does_not_hold_the_logits(blobs, sparse, monkeypatch):
    """The largest tensor an operation makes in the loss's forward and backward stays below [P, V] / 4."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, function, types, arguments=(), named=None):
            result = function(*arguments, **(named or {}))
            for tensor in result if isinstance(result, (tuple, list)) else (result,):
                if isinstance(tensor, torch.Tensor) and not function._schema.is_mutable:
                    Largest.elements = max(Largest.elements, tensor.numel())
            return result

    positions = sum(LENGTH - 3 * i - 20 for i in range(16))
    batch, largest = salient_batch(blobs, 151_936, samples=16), {}
    for implementation in ("dense", "gather-cpu"):
        sparse(implementation)
        trainer = Trainer(blobs, CPU)
        trainer.restore_weights(blobs.put(checkpoint.dump_weights(LARGE[True], initialize(LARGE[True], 1))))
        Largest.elements = 0
        accumulate = trainer._accumulate
        monkeypatch.setattr(trainer, "_accumulate", lambda *a, run=accumulate: watched(run, a))

        def watched(run, a):
            with Largest():
                run(*a)

        trainer.step(StepIdentity(trainer.state.state_hash, "b", "s"), blobs.put(batch.SerializeToString()), SETTINGS)
        largest[implementation] = Largest.elements
    assert largest["dense"] >= positions * 151_936
    assert largest["gather-cpu"] <= positions * 151_936 // 4


@pytest.mark.parametrize("what, message", [("ids", "there 2 times"), ("values", "teacher")])
def test_bad_scores_name_the_member_and_change_nothing(blobs, sparse, what, message):
    def spoil(i, ids, values):
        if i == 2:
            ids[7, 1], values[7, 0] = (ids[7, 0], 0) if what == "ids" else (ids[7, 1], np.nan)

    sparse("gather-cpu")
    batch = salient_batch(blobs, 151_936, spoil=spoil)
    trainer = Trainer(blobs, CPU)
    trainer.restore_weights(blobs.put(checkpoint.dump_weights(LARGE[True], initialize(LARGE[True], 1))))
    before = trainer.state.state_hash
    with pytest.raises(SidecarError, match=f"member m2 .*{message}"):
        trainer.step(StepIdentity(before, "b", "s"), blobs.put(batch.SerializeToString()), SETTINGS)
    trainer.state.rehash()
    assert trainer.state.state_hash == before


def test_the_choice_is_a_function_of_shape_device_and_what_is_built(monkeypatch, capfd):
    for library in (True, False):
        monkeypatch.setattr(head_choice, "is_built", lambda _kind, there=library: there)
        selector = HeadSelector(CPU)
        assert selector.choose(512, 96, 16) == selector.choose(8191, 96, 2) == selector.choose(151_936, 64, 257) == "dense"
        assert selector.choose(151_936, 64, 64) == ("gather-cpu" if library else "compaction")
        assert fingerprint(CPU, 2)["svaHead"] == "/".join(map(str, head_rule(CPU)))
        selector.announce()
        said = capfd.readouterr().err
        assert ('"level": "warning"' in said and "not built" in said) is (not library)
        assert '"heads": {"512": "dense"' in said
    assert HeadSelector(torch.device("cuda")).choose(248_320, 2048, 64) == "compaction"


def test_measured_positions_do_not_depend_on_packing():
    assert measured_rows(np.array([3] * 17 + [0] * 2 + [5] * 33)).tolist() == [0, 16, 17, 19, 35, 51]
    assert measured_rows(np.array([0])).tolist() == [0]


def test_small_vocabularies_take_the_dense_head(blobs):
    trainer, _ = stepped(blobs, SMALLEST, _small_batch(blobs))
    assert [name for name, *_ in trainer.heads.used()] == ["dense"]


def _small_batch(blobs):
    batch = salient_batch(blobs, SMALLEST.vocab_size, samples=1)
    sample, table = batch.samples[0], data_pb2.ScoreTable(top_k=TOP_K)
    tokens = np.frombuffer(sample.tokens, np.uint32)
    weights = np.frombuffer(sample.terms[0].weights, np.float32)
    rng, positions = np.random.default_rng(0), np.arange(20, LENGTH)
    ids = np.stack([rng.choice(SMALLEST.vocab_size, TOP_K, replace=False) for _ in positions])
    table.rows.add(tokens_sha256=hashlib.sha256(u32(tokens)).hexdigest(), positions=u32(positions), ids=u32(ids), values=f32(rng.normal(size=ids.shape)), mass=f32(np.ones(LENGTH - 20)))
    sample.tokens, sample.terms[0].weights = u32(tokens), f32(weights)
    sample.terms[0].salient_vocabulary.score_blob_sha256 = blobs.put(table.SerializeToString()).sha256
    return batch
