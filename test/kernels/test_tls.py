"""TLS of the sidecar on real sockets: who is served, and certificates that change."""
import shutil
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import torch

from sidecar.errors import SidecarError
from sidecar.server import ServerSettings, _bind
from sidecar.tls import OnlyCallers, TlsFiles, server_credentials

LEARNER = "spiffe://stemma.test/stemma/learner"


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def authority(directory: Path) -> Path:
    directory.mkdir()
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test")
    return directory


def issue(ca: Path, name: str, uri: str, days: int = 1) -> TlsFiles:
    (ca / f"{name}.ext").write_text(f"subjectAltName=IP:127.0.0.1,DNS:localhost,URI:{uri}\n")
    openssl(ca, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(ca, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    return TlsFiles(str(ca / f"{name}.crt"), str(ca / f"{name}.key"), str(ca / "ca.pem"), (LEARNER,))


@pytest.fixture
def ours(tmp_path):
    return authority(tmp_path / "ours")


@pytest.fixture
def served(ours, tmp_path):
    """A service that echoes, with files of its own, and its port."""
    good = issue(ours, "server", LEARNER)
    files = TlsFiles(*(shutil.copy(path, tmp_path / name) for path, name in ((good.cert, "tls.crt"), (good.key, "tls.key"), (good.ca, "ca.crt"))), (LEARNER,))
    server = grpc.server(ThreadPoolExecutor(4), interceptors=(OnlyCallers(files.callers),))
    echo = grpc.unary_unary_rpc_method_handler(lambda request, _context: request)
    stream = grpc.stream_stream_rpc_method_handler(lambda requests, _context: requests)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", {"Echo": echo, "Stream": stream}),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(files))
    server.start()
    yield files, port
    server.stop(None)


def channel_of(port: int, files: TlsFiles | None, ca: str):
    def read(path: str) -> bytes:
        return Path(path).read_bytes()

    key, cert = (read(files.key), read(files.cert)) if files else (None, None)
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(read(ca), key, cert), options)


def ask(channel) -> str:
    with channel:
        try:
            assert channel.unary_unary("/Test/Echo")(b"x", timeout=10) == b"x"
            assert list(channel.stream_stream("/Test/Stream")(iter([b"x"]), timeout=10)) == [b"x"]
            return "OK"
        except grpc.RpcError as error:
            return error.code().name


def test_only_those_who_are_named_are_served(ours, served, tmp_path):
    _, port = served
    ca = str(ours / "ca.pem")
    learner, rollout = issue(ours, "learner", LEARNER), issue(ours, "rollout", "spiffe://stemma.test/stemma/rollout")
    stranger = issue(authority(tmp_path / "theirs"), "learner", LEARNER)
    assert ask(channel_of(port, learner, ca)) == "OK"
    assert ask(channel_of(port, rollout, ca)) == "PERMISSION_DENIED"
    assert ask(channel_of(port, stranger, ca)) == "UNAVAILABLE"
    assert ask(channel_of(port, None, ca)) == "UNAVAILABLE"
    assert ask(grpc.insecure_channel(f"127.0.0.1:{port}")) == "UNAVAILABLE"


def shown(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_new_certificates_are_shown_and_broken_ones_are_not(ours, served, capfd):
    files, port = served
    learner, ca = issue(ours, "learner", LEARNER), str(ours / "ca.pem")
    open_one = channel_of(port, learner, ca)
    echo = open_one.unary_unary("/Test/Echo")
    assert echo(b"1", timeout=10) == b"1"
    first = shown(port)

    fresh = issue(ours, "fresh", LEARNER)
    shutil.copy(fresh.key, files.key)
    shutil.copy(fresh.cert, files.cert)
    renewed = shown(port)
    assert renewed != first
    assert echo(b"2", timeout=10) == b"2"  # over the connection that was open

    for broken in (issue(ours, "late", LEARNER, days=-1), TlsFiles(issue(ours, "other", LEARNER).cert, fresh.key, ca, ())):
        shutil.copy(broken.key, files.key)
        shutil.copy(broken.cert, files.cert)
        assert shown(port) == renewed
        assert ask(channel_of(port, learner, ca)) == "OK"
    assert capfd.readouterr().err.count("going on with the old ones") == 2
    open_one.close()


def test_what_cannot_be_used_is_refused_at_the_start(ours, tmp_path):
    good = issue(ours, "server", LEARNER)
    with pytest.raises(SidecarError, match="TLS files"):
        server_credentials(TlsFiles(good.cert, str(tmp_path / "none"), good.ca, ()))
    with pytest.raises(SidecarError, match="can be reached from elsewhere"):
        _bind(grpc.server(ThreadPoolExecutor(1)), ServerSettings("", 0, torch.device("cpu"), 1, host="0.0.0.0"))
