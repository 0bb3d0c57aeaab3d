"""Content-addressed bytes in a directory: `<dir>/<first 2 hex>/<sha256>`, the layout of the services' store."""
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple

from .errors import SidecarError, from_os_error

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Ref(NamedTuple):
    sha256: str
    length: int


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
        """The verified bytes of anything with `sha256` and `length`. NOT_FOUND, CORRUPT."""
        sha256 = ref.sha256
        if not _SHA256.fullmatch(sha256):
            raise SidecarError("INVALID", f"'{sha256}' is not a lower-case hex sha256 of a blob")
        path = self._directory / sha256[:2] / sha256
        # A collector holds a blob aside while it looks whether it was put again (directory-sweep.ts).
        for place in (path, self._directory / ".collecting" / sha256, path):
            try:
                data = place.read_bytes()
                break
            except FileNotFoundError:
                continue
            except OSError as error:
                raise from_os_error(error, f"reading blob {sha256}", "blob") from error
        else:
            raise SidecarError("NOT_FOUND", f"blob {sha256} is not in the store", "blob")
        if len(data) != ref.length and ref.length:
            raise SidecarError("CORRUPT", f"blob {sha256} has {len(data)} bytes, its reference says {ref.length}", "blob")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SidecarError("CORRUPT", f"the content of blob {sha256} does not hash to its name", "blob")
        return data


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
