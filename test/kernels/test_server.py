"""Over real gRPC with a real process: the parts together, restarts, and how it ends."""
import json
import subprocess
import sys
import time

import grpc
import numpy as np
import pytest
from sidecar_process import CONFIG, KERNELS, SidecarProcess, cross_entropy_batch, u32

from sidecar.blobs import BlobDirectory
from sidecar.protocol import data_pb2, events_pb2, sampler_pb2, scorer_pb2, trainer_pb2

SETTINGS = data_pb2.StepSettings(learning_rate=1e-3, beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, max_gradient_norm=1)


def blob_ref(ref) -> "events_pb2.BlobRef":
    return events_pb2.BlobRef(sha256=ref.sha256, length=ref.length)


def sample_requests(weights_hash, count):
    rng = np.random.default_rng(0)
    return [sampler_pb2.SampleRequest(
        request_id=str(i), weights_hash=weights_hash, tokens=u32(rng.integers(0, 512, int(rng.integers(1, 60)))), max_new_tokens=8, seed=i, temperature=1.0,
    ) for i in range(count)]


def sample(sidecar, requests):
    answers = {a.request_id: a for a in sidecar.sampler.Sample(iter(requests))}
    return {k: (a.tokens, a.logprobs, a.finish, a.weights_hash, a.error_code) for k, a in answers.items()}


def reason_of(error: grpc.RpcError) -> str:
    return dict(error.trailing_metadata())["stemma-reason"]


def test_a_traced_call_says_when_it_was_computed_and_another_says_nothing(tmp_path):
    with SidecarProcess(tmp_path / "blobs") as sidecar:
        request = trainer_pb2.InitializeModelRequest(model_config_json=json.dumps(CONFIG), seed=3)
        context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        before = time.time_ns()
        made, call = sidecar.trainer.InitializeModel.with_call(request, metadata=(("traceparent", context),))
        times = json.loads(dict(call.trailing_metadata())["stemma-times"])
        [[start, end]] = times["computed"]
        stamps = [before, *(int(ns) for ns in (times["began"], start, end, times["ended"])), time.time_ns()]
        assert stamps == sorted(stamps)
        assert "stemma-times" not in dict(sidecar.trainer.InitializeModel.with_call(request)[1].trailing_metadata())
        with pytest.raises(grpc.RpcError) as failed:
            sidecar.trainer.Restore(trainer_pb2.RestoreRequest(), metadata=(("traceparent", context),))
        assert reason_of(failed.value) == "INVALID" and "stemma-times" in dict(failed.value.trailing_metadata())

        sidecar.sampler.LoadWeights(sampler_pb2.LoadWeightsRequest(weights_hash=made.weights_hash, weights=made.weights))
        traced, plain = sample_requests(made.weights_hash, 2)
        traced.traceparent = context
        answers = {answer.request_id: answer for answer in sidecar.sampler.Sample(iter([traced, plain]))}
        stamped = answers[traced.request_id]
        assert 0 < stamped.arrived_ns <= stamped.admitted_ns <= stamped.answered_ns
        assert answers[plain.request_id].answered_ns == 0


def test_the_whole_service_and_a_restart(tmp_path):
    store = BlobDirectory(tmp_path / "blobs")
    with SidecarProcess(tmp_path / "blobs") as sidecar:
        status = sidecar.trainer.GetStatus(trainer_pb2.GetStatusRequest())
        assert status.state_hash == "" and json.loads(status.fingerprint_json) == sidecar.ready["fingerprint"]
        made = sidecar.trainer.InitializeModel(trainer_pb2.InitializeModelRequest(model_config_json=json.dumps(CONFIG), seed=3))
        assert made.parameters == 381744
        requests = sample_requests(made.weights_hash, 20)
        assert {a[4] for a in sample(sidecar, requests).values()} == {"WEIGHTS_NOT_LOADED"}
        load = sampler_pb2.LoadWeightsRequest(weights_hash=made.weights_hash, weights=made.weights)
        assert [sidecar.sampler.LoadWeights(load).was_loaded for _ in range(2)] == [False, True]
        sampled = sample(sidecar, requests)
        assert len(sampled) == 20 and all(len(a[0]) == len(a[1]) == 32 and a[2] == "length" for a in sampled.values())

        scored = sidecar.scorer.Score(scorer_pb2.ScoreRequest(
            weights_hash=made.weights_hash, top_k=8, samples=[scorer_pb2.ScoreSample(tokens=u32([1, 2, 3]), positions=u32([1, 2]))]))
        table = data_pb2.ScoreTable.FromString(store.get(scored.scores))
        assert (scored.rows, table.top_k, len(table.rows[0].ids)) == (1, 8, 64)

        restored = sidecar.trainer.Restore(trainer_pb2.RestoreRequest(weights=made.weights))
        assert (restored.weights_hash, restored.step) == (made.weights_hash, 0)
        batch = store.put(cross_entropy_batch([np.arange(10) + i for i in range(8)]).SerializeToString())
        step = trainer_pb2.StepRequest(parent_state_hash=restored.state_hash, batch_id="b", batch=blob_ref(batch), settings=SETTINGS, settings_hash="s")
        first = sidecar.trainer.Step(step)
        assert sidecar.trainer.Step(step).state_hash == first.state_hash and len(first.samples) == 8 and first.compute_seconds > 0
        # the stepped weights sample without a blob, and the old hash still means the old weights
        after = sample(sidecar, sample_requests(first.weights_hash, 20))
        assert {a[4] for a in after.values()} == {""} and after["0"][1] != sampled["0"][1]
        assert sample(sidecar, requests) == sampled
        snapshot = sidecar.trainer.Snapshot(trainer_pb2.SnapshotRequest(state_hash=first.state_hash)).snapshot
        status = sidecar.trainer.GetStatus(trainer_pb2.GetStatusRequest())
        assert status.state_hash == first.state_hash and status.busy_seconds > 0 and status.peak_memory_bytes > 1 << 20
        assert {made.weights_hash, first.weights_hash} <= set(status.loaded_weights_hashes)

    with SidecarProcess(tmp_path / "blobs") as sidecar:
        with pytest.raises(grpc.RpcError) as error:
            sidecar.trainer.Step(step)
        assert (error.value.code(), reason_of(error.value)) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_PARENT")
        assert error.value.details().startswith("WRONG_PARENT: ")
        with pytest.raises(grpc.RpcError) as error:
            sidecar.scorer.Score(scorer_pb2.ScoreRequest(weights_hash=made.weights_hash))
        assert (error.value.code(), reason_of(error.value)) == (grpc.StatusCode.NOT_FOUND, "WEIGHTS_NOT_LOADED")
        sidecar.sampler.LoadWeights(load)
        assert sample(sidecar, requests) == sampled  # R2: over a restart
        assert sidecar.trainer.Restore(trainer_pb2.RestoreRequest(snapshot=snapshot)).state_hash == first.state_hash
        sidecar.trainer.Restore(trainer_pb2.RestoreRequest(weights=made.weights))
        assert sidecar.trainer.Step(step).state_hash == first.state_hash
        wrong = sampler_pb2.LoadWeightsRequest(weights_hash="f" * 64, weights=made.weights)
        with pytest.raises(grpc.RpcError) as error:
            sidecar.sampler.LoadWeights(wrong)
        assert reason_of(error.value) == "HASH_MISMATCH"
        assert sidecar.close_stdin() == 0


def test_streams_share_the_batch_and_a_cancelled_one_leaves(tmp_path):
    with SidecarProcess(tmp_path / "blobs") as sidecar:
        made = sidecar.trainer.InitializeModel(trainer_pb2.InitializeModelRequest(model_config_json=json.dumps(CONFIG), seed=3))
        sidecar.sampler.LoadWeights(sampler_pb2.LoadWeightsRequest(weights_hash=made.weights_hash, weights=made.weights))
        requests = sample_requests(made.weights_hash, 12)
        expected = sample(sidecar, requests)
        long = sidecar.sampler.Sample(iter([sampler_pb2.SampleRequest(
            request_id="long", weights_hash=made.weights_hash, tokens=u32([1]), max_new_tokens=500, seed=1, temperature=1.0)]))
        streams = [sidecar.sampler.Sample(iter(requests[i::3])) for i in range(3)]
        answers = {a.request_id: a.tokens for stream in streams for a in stream}
        assert answers == {k: a[0] for k, a in expected.items()}
        long.cancel()
        assert sample(sidecar, requests) == expected


def test_start_up_problems_are_named(tmp_path):
    with SidecarProcess(tmp_path / "blobs") as sidecar:
        with pytest.raises(RuntimeError, match="(?s)exited with 1.*port .* in use"):
            SidecarProcess(tmp_path / "blobs", "--port", str(sidecar.ready["port"]))
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match="(?s)exited with 1.*blob directory .* not usable"):
        SidecarProcess(tmp_path / "file")


def test_it_exits_when_stdin_is_closed_from_the_start(tmp_path):
    done = subprocess.run([sys.executable, "-m", "sidecar", "--blobs", str(tmp_path)], cwd=KERNELS, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert done.returncode == 0
