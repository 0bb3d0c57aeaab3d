"""Content-addressed bytes: `<first 2 hex>/<sha256>` in a directory or a bucket, the layout of the services' stores."""
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple, Protocol

from .errors import SidecarError, from_os_error

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Ref(NamedTuple):
    sha256: str
    length: int


class BlobStore(Protocol):
    def put(self, data: bytes) -> Ref:
        """Durable when it returns, and fresh: no collector takes it within a day."""

    def get(self, ref) -> bytes:
        """The verified bytes of anything with `sha256` and `length`. NOT_FOUND, CORRUPT."""


def open_blobs(place: str | Path) -> BlobStore:
    """`place` is a directory, or s3://bucket[/prefix][?endpoint=URL][&region=NAME]. SidecarError if it is not usable."""
    if not str(place).startswith("s3://"):
        return BlobDirectory(place)
    from .s3_blobs import BlobBucket  # loads the AWS SDK, which a directory does without

    return BlobBucket(str(place))


def path_of(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise SidecarError("INVALID", f"'{sha256}' is not a lower-case hex sha256 of a blob")
    return f"{sha256[:2]}/{sha256}"


def verified(data: bytes, ref) -> bytes:
    if len(data) != ref.length and ref.length:
        raise SidecarError("CORRUPT", f"blob {ref.sha256} has {len(data)} bytes, its reference says {ref.length}", "blob")
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        raise SidecarError("CORRUPT", f"the content of blob {ref.sha256} does not hash to its name", "blob")
    return data


class BlobDirectory:
    def __init__(self, directory: str | Path):
        """Creates the directory. SidecarError if it cannot be written."""
        self._directory = Path(directory)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            probe = self._directory / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise from_os_error(error, f"blob directory {self._directory} is not usable") from error

    def put(self, data: bytes) -> Ref:
        """Durable when it returns: file and directory are synced.

        Writes even when the blob is there: a damaged copy is repaired and a fresh time keeps it from collection.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        folder = self._directory / sha256[:2]
        temporary = folder / f".{sha256}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                _sync_directory(self._directory)
            try:
                _write_synced(temporary, data)
                os.rename(temporary, folder / sha256)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_directory(folder)
        except OSError as error:
            raise from_os_error(error, f"writing blob {sha256}", "blob") from error
        return Ref(sha256, len(data))

    def get(self, ref) -> bytes:
        path = self._directory / path_of(ref.sha256)
        # A collector holds a blob aside while it looks whether it was put again (directory-sweep.ts).
        for place in (path, self._directory / ".collecting" / ref.sha256, path):
            try:
                return verified(place.read_bytes(), ref)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise from_os_error(error, f"reading blob {ref.sha256}", "blob") from error
        raise SidecarError("NOT_FOUND", f"blob {ref.sha256} is not in the store", "blob")


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
