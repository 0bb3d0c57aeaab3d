"""TLS with certificates that change: read anew when their files have changed, checked, and asked for from whoever calls.

A file that cannot be used leaves the old certificates in use and is said once a change.
"""
import _ssl
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from .errors import SidecarError
from .logs import log


@dataclass(frozen=True)
class TlsFiles:
    """PEM. The certificates of callers must be vouched for by `ca`, and hold one of `callers` as a subject alternative name."""

    cert: str
    key: str
    ca: str
    callers: tuple[str, ...]


@dataclass(frozen=True)
class _Material:
    key: bytes
    cert: bytes
    ca: bytes


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """SidecarError if the files cannot be used at the start."""
    try:
        first = _read(files)
    except (OSError, ValueError) as error:
        raise SidecarError("INVALID", f"the TLS files cannot be used: {_reason(error)}") from None
    return grpc.dynamic_ssl_server_credentials(_configuration(first), _watch(files, first), require_client_authentication=True)


def _watch(files: TlsFiles, material: _Material) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Called for each connection that is made; None: as before."""
    seen = _version(files)

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen, material
        version = _version(files)
        if version == seen:
            return None
        seen = version
        try:
            fresh = _read(files)
        except (OSError, ValueError) as error:
            log("error", f"new certificate files cannot be used, going on with the old ones: {_reason(error)}")
            return None
        if fresh == material:
            return None
        material = fresh
        log("info", "new certificates are in use")
        return _configuration(material)

    return changed


def _read(files: TlsFiles) -> _Material:
    def content(path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key, password=lambda: b"")  # that they belong together; never asks a terminal
    context.load_verify_locations(files.ca)
    _assert_holds_now(files.cert)
    return _Material(key=content(files.key), cert=content(files.cert), ca=content(files.ca))


def _assert_holds_now(cert: str) -> None:
    # The one decoder of certificates in the standard library; its tests and urllib3's use it.
    decoded = _ssl._test_decode_cert(cert)
    if not ssl.cert_time_to_seconds(decoded["notBefore"]) <= time.time() < ssl.cert_time_to_seconds(decoded["notAfter"]):
        raise ValueError(f"the certificate holds from {decoded['notBefore']} to {decoded['notAfter']}")


def _configuration(material: _Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(material.key, material.cert)], root_certificates=material.ca)


def _version(files: TlsFiles) -> tuple:
    def of(path: str) -> tuple:
        try:
            stat = os.stat(path)
        except OSError:
            return ()
        return (stat.st_ino, stat.st_mtime_ns, stat.st_size)

    return (of(files.cert), of(files.key), of(files.ca))


def _reason(error: Exception) -> str:
    """Without what is in a key's file."""
    return f"{type(error).__name__}: {getattr(error, 'strerror', None) or getattr(error, 'reason', None) or error}"


class OnlyCallers(grpc.ServerInterceptor):
    """PERMISSION_DENIED for whoever's certificate holds none of these names."""

    def __init__(self, callers: tuple[str, ...]):
        self._callers = frozenset(name.encode() for name in callers)

    def intercept_service(self, continuation, handler_call_details):
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        kinds = {(False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler), (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler)}
        kind, build = kinds[(handler.request_streaming, handler.response_streaming)]
        inner = getattr(handler, kind)

        def guarded(request, context):
            names = context.auth_context().get("x509_subject_alternative_name", ())
            if self._callers.isdisjoint(names):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "the certificate of the caller has no name that this sidecar serves")
            return inner(request, context)

        return build(guarded, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer)
