"""ScorerService: one ScoreTable blob a request."""
import torch

from .answering import answering
from .blobs import BlobStore
from .compute_thread import ComputeThread
from .head_choice import TopKSelector
from .models import ModelCache
from .protocol import events_pb2, scorer_pb2, scorer_pb2_grpc
from .scorer import score


class ScorerService(scorer_pb2_grpc.ScorerServiceServicer):
    def __init__(self, compute: ComputeThread, models: ModelCache, blobs: BlobStore, heads: TopKSelector):
        self._compute = compute
        self._models = models
        self._blobs = blobs
        self._heads = heads

    @answering
    def Score(self, request, context):
        def job():
            with torch.inference_mode():
                return score(self._models.get(request.weights_hash), request, self._heads)

        table = self._compute.run(job)
        ref = self._blobs.put(table.SerializeToString(deterministic=True))
        return scorer_pb2.ScoreResponse(
            scores=events_pb2.BlobRef(sha256=ref.sha256, length=ref.length), rows=len(table.rows),
        )
