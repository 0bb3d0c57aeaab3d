"""`python -m sidecar --blobs PLACE --port P --threads 2 [--device cpu|cuda|auto]`, with kernels/ as the working directory.

Prints one JSON line on stdout when ready, logs JSON lines on stderr, and exits when its stdin closes.
"""
import argparse
import ctypes
import json
import os
import sys
import threading


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sidecar", description="Sampler, Scorer and Trainer over gRPC.")
    parser.add_argument("--blobs", required=True, help="the blob store: a directory, or s3://bucket[/prefix][?endpoint=URL][&region=NAME]")
    parser.add_argument("--port", type=int, default=0, help="0: any free port, printed in the ready line")
    parser.add_argument("--threads", type=int, default=2, help="threads of one tensor operation; fixed for the process's life")
    parser.add_argument("--device", choices=("cpu", "cuda", "auto"), default="cpu")
    parser.add_argument("--max-models", type=int, default=16, help="models kept in memory for sampling and scoring")
    parser.add_argument("--exports", default="", metavar="DIR", help="exports are written below it, and nowhere else; without it none is")
    parser.add_argument("--pin-weights", action="append", default=[], metavar="HASH", help="never evict these weights; repeatable")
    parser.add_argument("--host", default="127.0.0.1", help="an address to listen on; other than loopback only with --tls-")
    parser.add_argument("--tls-cert", help="PEM; with it the sidecar asks every caller for a certificate")
    parser.add_argument("--tls-key", help="PEM")
    parser.add_argument("--tls-ca", help="PEM: the authority of callers")
    parser.add_argument("--tls-caller", action="append", default=[], metavar="NAME", help="a subject alternative name of those who are served; repeatable")
    arguments = parser.parse_args()
    given = [arguments.tls_cert, arguments.tls_key, arguments.tls_ca, arguments.tls_caller or None]
    if any(given) and not all(given):
        parser.error("--tls-cert, --tls-key, --tls-ca and --tls-caller belong together")
    return arguments


def _exit_with_stdin() -> None:
    """The parent holds the other end: when it dies, however it dies, this process must not stay behind."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def _settle_process(threads: int) -> None:
    """Settings the libraries read when they are loaded: call before importing torch."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    # By default a thread spins milliseconds for a partner that the kernel has put aside: with as many busy processes
    # as cores that made a training step 20 times slower (docs/decisions/0003-sidecar-threads.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Temporaries of a few MB come and go in every step: keep them in the heap, or each is paged in anew. glibc only."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 512 << 20)
    mallopt(top_pad, 64 << 20)


def main() -> int:
    arguments = _arguments()
    _settle_process(arguments.threads)
    threading.Thread(target=_exit_with_stdin, name="stdin", daemon=True).start()

    from .blobs import open_blobs
    from .errors import SidecarError
    from .logs import log

    try:
        open_blobs(arguments.blobs)  # says so before the seconds that importing torch takes
    except SidecarError as error:
        log("error", str(error), reason=error.reason)
        return 1

    import torch

    from .fingerprint import choose_device, fingerprint
    from .server import ServerSettings, start_server
    from .tls import TlsFiles

    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs time; nothing here reads memory it has not written
    # The compute thread gives the interpreter away in every tensor operation; it must get it back soon.
    sys.setswitchinterval(0.0005)
    try:
        device = choose_device(arguments.device)
        tls = arguments.tls_cert and TlsFiles(arguments.tls_cert, arguments.tls_key, arguments.tls_ca, tuple(arguments.tls_caller))
        server, port = start_server(ServerSettings(
            arguments.blobs, arguments.port, device, arguments.threads, arguments.max_models, tuple(arguments.pin_weights), arguments.host, tls or None,
            arguments.exports,
        ))
    except SidecarError as error:
        log("error", str(error), reason=error.reason)
        return 1
    print(json.dumps({"ready": True, "port": port, "fingerprint": fingerprint(device, arguments.threads)}), flush=True)
    log("info", "ready", port=port, device=str(device), threads=arguments.threads)
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
