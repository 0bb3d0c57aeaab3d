"""Turns exceptions of a unary RPC into its status: the reason in the message's prefix and in trailing metadata.
There too, for a caller that traces, when the call was computed (times.py)."""
import functools
import traceback

import grpc

from . import times
from .errors import BOUNDARY_METADATA_KEY, REASON_METADATA_KEY, SidecarError
from .logs import log

# A status travels in a header, and one that is too long breaks the connection for everyone on it.
_MOST_CHARACTERS = 2000


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}… ({len(text)} characters)"


def answering(method):
    """Decorates a servicer method (self, request, context)."""

    @functools.wraps(method)
    def answer(self, request, context):
        measured = times.begin(context)

        def trailing(*more: tuple[str, str]) -> None:
            metadata = (*more, *(measured.metadata() if measured else ()))
            if metadata:
                context.set_trailing_metadata(metadata)

        try:
            response = method(self, request, context)
            trailing()
            return response
        except SidecarError as error:
            boundary = ((BOUNDARY_METADATA_KEY, error.boundary),) if error.boundary else ()
            trailing((REASON_METADATA_KEY, error.reason), *boundary)
            context.abort(error.status, _cut(str(error)))
        except Exception as error:
            log("error", f"{method.__name__} failed", traceback=traceback.format_exc())
            trailing((REASON_METADATA_KEY, "INTERNAL"))
            context.abort(grpc.StatusCode.INTERNAL, _cut(f"INTERNAL: {type(error).__name__}: {error}"))
        finally:
            times.end()

    return answer
