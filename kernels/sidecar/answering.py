"""Turns exceptions of a unary RPC into its status: the reason in the message's prefix and in trailing metadata."""
import functools
import traceback

import grpc

from .errors import BOUNDARY_METADATA_KEY, REASON_METADATA_KEY, SidecarError
from .logs import log


def answering(method):
    """Decorates a servicer method (self, request, context)."""

    @functools.wraps(method)
    def answer(self, request, context):
        try:
            return method(self, request, context)
        except SidecarError as error:
            boundary = ((BOUNDARY_METADATA_KEY, error.boundary),) if error.boundary else ()
            context.set_trailing_metadata(((REASON_METADATA_KEY, error.reason), *boundary))
            context.abort(error.status, str(error))
        except Exception as error:
            log("error", f"{method.__name__} failed", traceback=traceback.format_exc())
            context.set_trailing_metadata(((REASON_METADATA_KEY, "INTERNAL"),))
            context.abort(grpc.StatusCode.INTERNAL, f"INTERNAL: {type(error).__name__}: {error}")

    return answer
