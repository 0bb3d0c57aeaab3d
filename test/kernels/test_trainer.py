"""The learner's fold: determinism, restore and replay, independence of packing, and what it refuses."""
import hashlib

import numpy as np
import pytest
import torch
from sidecar_process import cross_entropy_batch, f32, u32
from tiny_model import SMALLEST, TINY

from sidecar import checkpoint
from sidecar.blobs import BlobDirectory, Ref
from sidecar.errors import SidecarError
from sidecar.head_choice import TopKSelector
from sidecar.models import Model
from sidecar.optimizer import AdamW, OptimizerSettings, read_settings
from sidecar.parameters import initialize, matrix_parameter_count
from sidecar.protocol import data_pb2, scorer_pb2
from sidecar.row_floor import find_row_floor
from sidecar.scorer import score
from sidecar.trainer import StepIdentity, Trainer

SETTINGS = OptimizerSettings(1e-2, 0.9, 0.95, 1e-8, 0.1, 1.0)


@pytest.fixture
def blobs(tmp_path) -> BlobDirectory:
    return BlobDirectory(tmp_path / "blobs")


def trainer_with(blobs, architecture=SMALLEST, seed=1) -> Trainer:
    trainer = Trainer(blobs, torch.device("cpu"))
    trainer.restore_weights(blobs.put(checkpoint.dump_weights(architecture, initialize(architecture, seed))))
    return trainer


def take_step(trainer, blobs, batch, name="b", settings=SETTINGS):
    return trainer.step(StepIdentity(trainer.state.state_hash, name, "s"), blobs.put(batch.SerializeToString()), settings)


def sequences_of(count, seed, architecture=SMALLEST):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, architecture.vocab_size, int(rng.integers(2, 60))).astype(np.uint32) for _ in range(count)]


def mixed_batch(blobs, rows, rows_per_micro_batch, count=12):
    """Cross-entropy, policy gradient with reference and entropy, and salient vocabulary, ragged, some positions unweighted."""
    rng, k = np.random.default_rng(7), 4
    batch, table = data_pb2.Batch(rows_per_micro_batch=rows_per_micro_batch), data_pb2.ScoreTable(top_k=k)
    for i, tokens in enumerate(sequences_of(count, 3)):
        length = len(tokens)
        weights = rng.random(length).astype(np.float32) * (rng.random(length) < 0.6) / count
        weights[0] = 0
        sample = batch.samples.add(member=f"m{i}", tokens=u32(tokens))
        positions = np.flatnonzero(weights)
        if i % 3 != 1:
            sample.terms.add(weights=f32(weights), cross_entropy=data_pb2.CrossEntropy())
        if i % 3 != 2:
            sample.terms.add(weights=f32(weights * 0.5), policy_gradient=data_pb2.PolicyGradient(
                advantages=f32(rng.normal(size=length)), old_logprobs=f32(-4 + 0.3 * rng.normal(size=length)),
                reference_logprobs=f32(-4 + 0.3 * rng.normal(size=length)), clip_low=0.2, clip_high=0.28,
                kl_coefficient=0.05 * (i % 2), entropy_coefficient=0.01))
        if i % 3:
            table.rows.add(
                tokens_sha256=hashlib.sha256(u32(tokens)).hexdigest(), positions=u32(positions),
                ids=u32([rng.choice(64, k, replace=False) for _ in positions]), values=f32(rng.normal(size=(len(positions), k))),
                mass=f32(np.full(len(positions), 0.9)))
            sample.terms.add(weights=f32(weights), salient_vocabulary=data_pb2.SalientVocabulary(
                top_k=k, score_blob_sha256="", score_row=len(table.rows) - 1, temperature=1.3))
    sha256 = blobs.put(table.SerializeToString()).sha256
    for sample in batch.samples:
        for term in sample.terms:
            if term.HasField("salient_vocabulary"):
                term.salient_vocabulary.score_blob_sha256 = sha256
    batch.rows.extend(data_pb2.PackedRow(samples=row) for row in rows)
    return batch


def test_the_same_log_gives_the_same_hashes_and_a_snapshot_replays_to_them(blobs):
    batches = [cross_entropy_batch(sequences_of(6, seed)) for seed in range(5)]
    first, second = trainer_with(blobs), trainer_with(blobs)
    hashes = [take_step(first, blobs, batch, str(i)).state_hash for i, batch in enumerate(batches)]
    assert [take_step(second, blobs, batch, str(i)).state_hash for i, batch in enumerate(batches)] == hashes
    assert len(set(hashes)) == 5
    third = trainer_with(blobs)
    for i in range(2):
        take_step(third, blobs, batches[i], str(i))
    ref, _ = third.snapshot(hashes[1])
    recovered = Trainer(blobs, torch.device("cpu"))
    state = recovered.restore_snapshot(ref)
    assert (state.state_hash, state.step) == (hashes[1], 2)
    assert [take_step(recovered, blobs, batches[i], str(i)).state_hash for i in (2, 3, 4)] == hashes[2:]


def test_a_step_asked_for_twice_is_applied_once(blobs):
    trainer = trainer_with(blobs)
    batch = blobs.put(cross_entropy_batch(sequences_of(4, 0)).SerializeToString())
    parent = trainer.state.state_hash
    first = trainer.step(StepIdentity(parent, "b", "s"), batch, SETTINGS)
    assert trainer.step(StepIdentity(parent, "b", "s"), batch, SETTINGS) is first
    assert trainer.state.step == 1
    for identity in (StepIdentity(parent, "c", "s"), StepIdentity(parent, "b", "t"), StepIdentity("else", "b", "s")):
        with pytest.raises(SidecarError) as error:
            trainer.step(identity, batch, SETTINGS)
        assert error.value.reason == "WRONG_PARENT"
    with pytest.raises(SidecarError) as error:
        Trainer(blobs, torch.device("cpu")).step(StepIdentity(parent, "b", "s"), batch, SETTINGS)
    assert error.value.reason == "WRONG_PARENT"


def test_the_result_does_not_depend_on_micro_batches_or_packing(blobs):
    plans = [([[i] for i in range(12)], 12), ([[i] for i in range(12)], 1), ([[0, 5, 7], [11, 1], [2, 3, 4, 6], [8, 9, 10]], 2), ([list(range(11, -1, -1))], 1)]
    gradients, outcomes = [], []
    for rows, size in plans:
        trainer = trainer_with(blobs)
        outcomes.append(take_step(trainer, blobs, mixed_batch(blobs, rows, size), settings=SETTINGS._replace(max_gradient_norm=0)))
        gradients.append(trainer.state.gradient.clone())
    for gradient, outcome in zip(gradients[1:], outcomes[1:], strict=True):
        torch.testing.assert_close(gradient, gradients[0], atol=1e-5, rtol=0)
        assert [[name for name, _, _ in stats] for stats in outcome.sample_stats] == [[name for name, _, _ in stats] for stats in outcomes[0].sample_stats]
        for ours, theirs in zip(outcome.sample_stats, outcomes[0].sample_stats, strict=True):
            np.testing.assert_allclose([s[1:] for s in ours], [s[1:] for s in theirs], atol=1e-4, rtol=1e-5)
    assert {name for name, _, _ in outcomes[0].stats} == {
        "gradient_norm", "loss", "tokens", "entropy", "cross_entropy", "policy_gradient", "salient_vocabulary", "clip_fraction",
        "ratio", "logprob_gap", "kl", "coverage", "teacher_mass"}


def test_gradient_and_loss_are_those_of_transformers_and_autograd(blobs):
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from sidecar.parameters import named_parameters

    trainer, sequences = trainer_with(blobs, TINY), sequences_of(5, 9, TINY)
    outcome = take_step(trainer, blobs, cross_entropy_batch(sequences), settings=SETTINGS._replace(max_gradient_norm=0))
    model = Qwen3ForCausalLM(Qwen3Config(**TINY.to_config(), attn_implementation="eager"))
    model.load_state_dict(named_parameters(TINY, initialize(TINY, 1)), strict=False)
    model.tie_weights()
    total = sum(len(s) - 1 for s in sequences)
    loss = sum(
        torch.nn.functional.cross_entropy(model(input_ids=ids[None]).logits[0, :-1], ids[1:], reduction="sum") / total
        for ids in (torch.tensor(s.astype(np.int64)) for s in sequences))
    loss.backward()
    assert dict((n, s) for n, s, _ in outcome.stats)["loss"] == pytest.approx(loss.item(), abs=1e-5)
    ours = named_parameters(TINY, trainer.state.gradient)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, atol=2e-6, rtol=1e-4)


def test_importance_weights_are_those_that_the_recorded_numbers_give(blobs):
    """Stale tokens have a term of their own; their weights follow from the parent's weights and the recorded log-probabilities."""
    rng, cap = np.random.default_rng(5), 1.1
    tokens = rng.integers(0, SMALLEST.vocab_size, 20).astype(np.uint32)
    old = (-4 + 0.3 * rng.normal(size=20)).astype(np.float32)
    fresh, stale = np.arange(1, 8), np.arange(8, 20)
    batch = data_pb2.Batch(rows=[data_pb2.PackedRow(samples=[0])])
    sample = batch.samples.add(member="m", tokens=u32(tokens))
    for at, settings in ((fresh, {}), (stale, {"importance_cap": cap})):
        weights = np.zeros(20, np.float32)
        weights[at] = 1 / 19
        sample.terms.add(weights=f32(weights), policy_gradient=data_pb2.PolicyGradient(
            advantages=f32(np.ones(20)), old_logprobs=f32(old), clip_low=0.2, clip_high=0.28, **settings))
    trainer = trainer_with(blobs)
    model = Model(SMALLEST, initialize(SMALLEST, 1), "w", find_row_floor(SMALLEST, torch.device("cpu")))
    asked = scorer_pb2.ScoreRequest(samples=[scorer_pb2.ScoreSample(tokens=u32(tokens), positions=u32(np.arange(1, 20)))])
    logprob = np.frombuffer(score(model, asked, TopKSelector(torch.device("cpu"))).rows[0].given_logprobs, np.float32)
    ratio = np.exp(logprob.astype(np.float64) - old[1:])[stale - 1]
    figures = {name: (total, count) for name, total, count in take_step(trainer, blobs, batch).sample_stats[0]}
    assert 0 < (ratio > cap).sum() < len(stale)
    assert figures["importance_weight"] == (pytest.approx(np.minimum(ratio, cap).sum(), rel=1e-5), len(stale))
    assert figures["importance_truncated"] == ((ratio > cap).sum(), len(stale))
    assert figures["clip_fraction"][1] == len(fresh)
    assert figures["ratio"][1] == figures["tokens"][0] == 19


def test_the_optimizer_is_adamw_without_decay_of_norm_weights():
    flat = initialize(SMALLEST, 1)
    matrices = matrix_parameter_count(SMALLEST)
    ours, optimizer = flat.clone(), AdamW(torch.zeros_like(flat), torch.zeros_like(flat), matrices)
    parts = [flat[:matrices].clone().requires_grad_(), flat[matrices:].clone().requires_grad_()]
    reference = torch.optim.AdamW([{"params": parts[:1], "weight_decay": 0.1}, {"params": parts[1:], "weight_decay": 0.0}], lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 6):
        gradient = torch.randn(flat.shape, generator=generator)
        optimizer.update(ours, gradient, SETTINGS, step)
        parts[0].grad, parts[1].grad = gradient[:matrices].clone(), gradient[matrices:].clone()
        reference.step()
    torch.testing.assert_close(ours, torch.cat([p.detach() for p in parts]), atol=1e-6, rtol=1e-5)


def test_a_loss_or_gradient_that_is_not_finite_names_the_member_and_changes_nothing(blobs):
    trainer = trainer_with(blobs)
    before = trainer.state.state_hash, trainer.state.flat.clone()
    batch = mixed_batch(blobs, [[i] for i in range(12)], 3)
    advantages = np.zeros(len(batch.samples[3].tokens) // 4, np.float32)
    advantages[:] = np.inf
    batch.samples[3].terms[1].policy_gradient.advantages = f32(advantages)
    with pytest.raises(SidecarError, match="member m3 ") as error:
        take_step(trainer, blobs, batch)
    assert error.value.reason == "INVALID"
    # Here the loss still fits into a float; its gradient, divided by small norms on the way back, does not.
    heavy = cross_entropy_batch(sequences_of(3, 1))
    heavy.samples[1].terms[0].weights = f32([0] + [3e37] * (len(heavy.samples[1].tokens) // 4 - 1))
    with pytest.raises(SidecarError, match="gradient is not finite; member m1"):
        take_step(trainer, blobs, heavy)
    assert trainer.state.state_hash == before[0] and torch.equal(trainer.state.flat, before[1])
    take_step(trainer, blobs, cross_entropy_batch(sequences_of(3, 1)))


def test_scores_of_other_tokens_or_missing_ones_are_refused(blobs):
    trainer = trainer_with(blobs)

    def refused(change, reason):
        batch = mixed_batch(blobs, [[i] for i in range(12)], 12)
        change(next(t.salient_vocabulary for t in batch.samples[1].terms if t.HasField("salient_vocabulary")), batch)
        with pytest.raises(SidecarError) as error:
            take_step(trainer, blobs, batch)
        assert error.value.reason == reason

    def set_field(name, value):
        return lambda term, _batch: setattr(term, name, value)

    refused(set_field("score_row", 1), "HASH_MISMATCH")
    refused(set_field("score_row", 99), "INVALID")
    refused(set_field("top_k", 1), "INVALID")
    refused(set_field("top_k", 5), "INVALID")
    refused(set_field("temperature", 0.0), "INVALID")
    refused(set_field("score_blob_sha256", "0" * 64), "NOT_FOUND")

    def alter_row(name, alter):
        def change(term, _batch):
            table = data_pb2.ScoreTable.FromString(blobs.get(Ref(term.score_blob_sha256, 0)))
            row = table.rows[term.score_row]
            setattr(row, name, alter(getattr(row, name)))
            term.score_blob_sha256 = blobs.put(table.SerializeToString()).sha256
        return change

    refused(alter_row("ids", lambda ids: u32([SMALLEST.vocab_size] * (len(ids) // 4))), "INVALID")
    for name in ("ids", "values", "mass"):
        refused(alter_row(name, lambda _: b""), "INVALID")
        refused(alter_row(name, lambda packed: packed[:-4]), "INVALID")

    def weigh_everything(_term, batch):
        length = len(batch.samples[1].tokens) // 4
        for term in batch.samples[1].terms:
            term.weights = f32([0] + [1] * (length - 1))

    refused(weigh_everything, "INVALID")


def test_malformed_batches_are_refused(blobs):
    trainer = trainer_with(blobs)

    def refused(change):
        batch = cross_entropy_batch(sequences_of(3, 2))
        change(batch)
        with pytest.raises(SidecarError) as error:
            take_step(trainer, blobs, batch)
        assert error.value.reason == "INVALID", error.value

    refused(lambda b: b.rows.pop())
    refused(lambda b: b.rows.add(samples=[0]))
    refused(lambda b: setattr(b.samples[0].terms[0], "weights", f32([1.0] * (len(b.samples[0].tokens) // 4))))
    refused(lambda b: setattr(b.samples[0].terms[0], "weights", f32([0.0])))
    refused(lambda b: setattr(b.samples[0], "tokens", u32([64, 1])))
    refused(lambda b: b.samples[0].terms[0].ClearField("kind"))
    with pytest.raises(SidecarError) as error:
        trainer.step(StepIdentity(trainer.state.state_hash, "x", "s"), blobs.put(b"\xff\xff\xff"), SETTINGS)
    assert error.value.reason == "CORRUPT"
    with pytest.raises(SidecarError, match="beta1.*below 1"):
        read_settings(data_pb2.StepSettings(beta1=1.0, epsilon=1e-8))


def test_samples_without_weight_are_carried_and_counted_as_nothing(blobs):
    trainer = trainer_with(blobs)
    sequences = sequences_of(3, 5)
    batch = cross_entropy_batch(sequences)
    batch.samples.add(member="empty", tokens=u32([1, 2, 3]))
    batch.rows.add(samples=[3])
    outcome = take_step(trainer, blobs, batch)
    plain = take_step(trainer_with(blobs), blobs, cross_entropy_batch(sequences))
    assert outcome.state_hash == plain.state_hash
    assert dict((n, s) for n, s, _ in outcome.sample_stats[3]).get("tokens", 0) == 0


def test_snapshots_and_weights_are_verified(blobs, tmp_path):
    trainer = trainer_with(blobs)
    ref, _ = trainer.snapshot(trainer.state.state_hash)
    data = bytearray(blobs.get(ref))
    data[-1] ^= 1
    with pytest.raises(SidecarError) as error:
        trainer.restore_snapshot(blobs.put(bytes(data)))
    assert error.value.reason == "CORRUPT"
    with pytest.raises(SidecarError) as error:
        trainer.restore_weights(blobs.put(b"not safetensors"))
    assert error.value.reason == "CORRUPT"
    published, name = trainer.publish("")
    assert name == trainer.state.weights_hash and trainer_with(blobs).restore_weights(published).weights_hash == name
    # a snapshot is a weights blob too: the optimizer starts anew
    assert trainer.restore_weights(ref).weights_hash == name


def test_blobs_are_addressed_and_verified_by_content(blobs, tmp_path):
    ref = blobs.put(b"hello")
    path = tmp_path / "blobs" / ref.sha256[:2] / ref.sha256
    assert path.read_bytes() == b"hello" and blobs.get(ref) == b"hello" and blobs.put(b"hello") == ref
    assert [p.name for p in path.parent.iterdir()] == [ref.sha256]
    path.write_bytes(b"hellO")
    with pytest.raises(SidecarError) as error:
        blobs.get(ref)
    assert error.value.reason == "CORRUPT"
    blobs.put(b"hello")  # repairs
    assert blobs.get(ref) == b"hello"
    for bad, reason in ((Ref(ref.sha256, 4), "CORRUPT"), (Ref("0" * 64, 1), "NOT_FOUND"), (Ref("../etc", 1), "INVALID")):
        with pytest.raises(SidecarError) as error:
            blobs.get(bad)
        assert error.value.reason == reason


def test_a_full_disk_is_named(blobs, monkeypatch):
    import errno
    import os

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SidecarError) as error:
        blobs.put(b"x")
    assert error.value.reason == "DISK_FULL"
