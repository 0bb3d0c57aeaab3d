"""Errors that cross the gRPC boundary: a reason a program reads, a message a person reads.

The reasons are the codes of core/errors.ts. A caller finds them in the trailing metadata key
`stemma-reason`, and as the prefix of the status message ("WRONG_PARENT: …").
"""
import errno

import grpc

REASON_METADATA_KEY = "stemma-reason"
BOUNDARY_METADATA_KEY = "stemma-boundary"

STATUS_OF_REASON = {
    "WEIGHTS_NOT_LOADED": grpc.StatusCode.NOT_FOUND,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "CORRUPT": grpc.StatusCode.DATA_LOSS,
    "HASH_MISMATCH": grpc.StatusCode.DATA_LOSS,
    "DISK_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "WRONG_PARENT": grpc.StatusCode.FAILED_PRECONDITION,
    "INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "UNSUPPORTED": grpc.StatusCode.UNIMPLEMENTED,
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
}


class SidecarError(Exception):
    """`reason` is a key of STATUS_OF_REASON; `message` says what is wrong and what to do; `boundary` where it is not the service's own."""

    def __init__(self, reason: str, message: str, boundary: str = ""):
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.boundary = boundary

    @property
    def status(self) -> grpc.StatusCode:
        return STATUS_OF_REASON[self.reason]


def from_os_error(error: OSError, what: str, boundary: str = "") -> SidecarError:
    """Maps a failed file operation; `what` names the file and the operation."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SidecarError("DISK_FULL", f"{what}: no space left on device; free some space and retry", boundary)
    if error.errno == errno.ENOENT:
        return SidecarError("NOT_FOUND", f"{what}: no such file", boundary)
    return SidecarError("UNAVAILABLE", f"{what}: {error.strerror or error}", boundary)
