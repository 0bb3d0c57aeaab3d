"""TrainerService: tokenizer, initial weights, the learner's state, export."""
import time

from . import checkpoint, hashing
from .answering import answering
from .architecture import parse_architecture
from .blobs import BlobStore, Ref
from .compute_thread import ComputeThread
from .errors import SidecarError
from .export import export, export_directory
from .fingerprint import device_memory, device_utilization, peak_memory_bytes
from .head_choice import HeadSelector, TopKSelector
from .logs import log
from .models import ModelCache
from .optimizer import read_settings
from .parameters import initialize, named_parameters, parameter_count
from .protocol import events_pb2, trainer_pb2, trainer_pb2_grpc
from .tokenizer import train_tokenizer
from .trainer import StepIdentity, Trainer


class TrainerService(trainer_pb2_grpc.TrainerServiceServicer):
    def __init__(
        self, compute: ComputeThread, trainer: Trainer, models: ModelCache, blobs: BlobStore, fingerprint_json: str, scorer_heads: TopKSelector,
        exports: str = "",
    ):
        self._compute = compute
        self._trainer = trainer
        self._models = models
        self._blobs = blobs
        self._fingerprint_json = fingerprint_json
        self._scorer_heads = scorer_heads
        self._exports = exports

    @answering
    def TrainTokenizer(self, request, context):
        corpus = self._blobs.get(request.corpus)
        data, size, dropped = train_tokenizer(corpus, request.vocabulary_size, request.special_tokens)
        if dropped:
            log("warning", "words of the corpus are outside the vocabulary", dropped=dropped, vocabularySize=size)
        return trainer_pb2.TrainTokenizerResponse(tokenizer=_ref(self._blobs.put(data)), vocabulary_size=size)

    @answering
    def InitializeModel(self, request, context):
        def job():
            architecture = parse_architecture(request.model_config_json)
            flat = initialize(architecture, request.seed)
            name = hashing.weights_hash(architecture.to_json(), named_parameters(architecture, flat))
            return architecture, name, checkpoint.dump_weights(architecture, flat)

        architecture, name, data = self._compute.run(job)
        return trainer_pb2.InitializeModelResponse(
            weights_hash=name, weights=_ref(self._blobs.put(data)), parameters=parameter_count(architecture),
        )

    @answering
    def Restore(self, request, context):
        source = request.WhichOneof("source")
        if source is None:
            raise SidecarError("INVALID", "Restore needs a weights or a snapshot blob")
        restore = self._trainer.restore_weights if source == "weights" else self._trainer.restore_snapshot
        state_hash, weights_hash, step = self._compute.run(lambda: _identity(restore(getattr(request, source))))
        return trainer_pb2.RestoreResponse(state_hash=state_hash, weights_hash=weights_hash, step=step)

    @answering
    def Step(self, request, context):
        settings = read_settings(request.settings)
        identity = StepIdentity(request.parent_state_hash, request.batch_id, request.settings_hash)

        def job():
            start = time.perf_counter()
            return self._trainer.step(identity, request.batch, settings), time.perf_counter() - start

        outcome, seconds = self._compute.run(job)
        return trainer_pb2.StepResponse(
            state_hash=outcome.state_hash, weights_hash=outcome.weights_hash, step=outcome.step, stats=_stats(outcome.stats),
            samples=[trainer_pb2.SampleStats(stats=_stats(s)) for s in outcome.sample_stats], compute_seconds=seconds,
            busy_seconds=self._compute.busy_seconds,
        )

    @answering
    def Snapshot(self, request, context):
        def job():
            ref, state = self._trainer.snapshot(request.state_hash)
            return ref, _identity(state)

        ref, (state_hash, weights_hash, _) = self._compute.run(job)
        return trainer_pb2.SnapshotResponse(snapshot=_ref(ref), state_hash=state_hash, weights_hash=weights_hash)

    @answering
    def PublishWeights(self, request, context):
        ref, weights_hash = self._compute.run(lambda: self._trainer.publish(request.weights_hash))
        return trainer_pb2.PublishWeightsResponse(weights=_ref(ref), weights_hash=weights_hash)

    @answering
    def Export(self, request, context):
        directory = export_directory(self._exports, request.directory)
        architecture, flat = checkpoint.load_weights(self._blobs.get(request.weights))
        tokenizer = self._blobs.get(request.tokenizer)
        files = self._compute.run(lambda: export(architecture, flat, tokenizer, request.chat_template, directory))
        return trainer_pb2.ExportResponse(files=files)

    @answering
    def GetStatus(self, request, context):
        current = self._trainer.identity()
        sampler = self._compute.sampler
        return trainer_pb2.GetStatusResponse(
            state_hash=current[0], weights_hash=current[1], fingerprint_json=self._fingerprint_json,
            busy_seconds=self._compute.busy_seconds, peak_memory_bytes=peak_memory_bytes(),
            loaded_weights_hashes=self._models.hashes(),
            sampled_tokens=sampler.sampled_tokens, active_slots=sampler.active_slots, waiting_requests=sampler.waiting,
            waiting_jobs=self._compute.waiting_jobs,
            heads=_uses(self._trainer.heads), scorer_heads=_uses(self._scorer_heads),
            device_memory=_memory(device_memory(self._trainer.device)),
            device_utilization=device_utilization(self._trainer.device),
        )


def _identity(state) -> tuple[str, str, int]:
    return state.state_hash, state.weights_hash, state.step


def _uses(selector: HeadSelector | TopKSelector):
    return [trainer_pb2.HeadUse(implementation=name, vocabulary=v, top_k=k, uses=n) for name, v, k, n in selector.used()]


def _memory(memory: tuple[int, int] | None):
    return None if memory is None else trainer_pb2.DeviceMemory(free_bytes=memory[0], total_bytes=memory[1])


def _ref(ref: Ref):
    return events_pb2.BlobRef(sha256=ref.sha256, length=ref.length)


def _stats(stats):
    return [events_pb2.Stat(name=name, sum=total, count=count) for name, total, count in stats]
