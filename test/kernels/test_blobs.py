"""The cases of test/contract/blob-store.cases.ts for the sidecar's stores: a directory and a bucket."""
import hashlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from minio_server import MinioServer

from sidecar.blobs import BlobStore, Ref, open_blobs
from sidecar.errors import SidecarError


class Harness(NamedTuple):
    """A store, and hands that reach behind its back."""

    place: str
    blobs: BlobStore
    remove: object
    overwrite: object


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    server = MinioServer(tmp_path_factory.mktemp("minio"))
    yield server
    server.stop()


@pytest.fixture(params=["directory", "bucket"])
def store(request, tmp_path) -> Harness:
    if request.param == "directory":
        return _directory(tmp_path)
    return _bucket(request.getfixturevalue("minio"))


def _directory(root: Path) -> Harness:
    def file(ref: Ref) -> Path:
        return root / ref.sha256[:2] / ref.sha256

    return Harness(str(root), open_blobs(root), lambda ref: file(ref).unlink(), lambda ref, data: file(ref).write_bytes(data))


def _bucket(minio: MinioServer) -> Harness:
    bucket, place = minio.new_bucket()

    def of(ref: Ref) -> dict:
        return {"Bucket": bucket, "Key": f"some/prefix/{ref.sha256[:2]}/{ref.sha256}"}

    return Harness(
        place, open_blobs(place), lambda ref: minio.client.delete_object(**of(ref)),
        lambda ref, data: minio.client.put_object(**of(ref), Body=data),
    )


def _refused(reason: str):
    return pytest.raises(SidecarError, match=f"^{reason}: ")


def test_a_blob_is_named_by_its_content_and_comes_back_from_another_opening(store):
    ref = store.blobs.put(b"a blob")
    assert ref == Ref(hashlib.sha256(b"a blob").hexdigest(), 6)
    assert open_blobs(store.place).get(ref) == b"a blob"


def test_a_blob_may_be_empty_or_large(store):
    large = os.urandom(5 << 20)
    assert store.blobs.get(store.blobs.put(b"")) == b""
    assert store.blobs.get(store.blobs.put(large)) == large


def test_a_blob_may_be_put_often_and_at_once(store):
    with ThreadPoolExecutor(8) as pool:
        refs = list(pool.map(lambda _: store.blobs.put(b"same"), range(20)))
        many = list(pool.map(lambda number: store.blobs.put(b"blob %d" % number), range(100)))
    assert len(set(refs)) == 1
    assert [store.blobs.get(ref) for ref in many] == [b"blob %d" % number for number in range(100)]


def test_a_missing_blob_is_named(store):
    ref = store.blobs.put(b"what was written")
    store.remove(ref)
    with _refused("NOT_FOUND") as missing:
        store.blobs.get(ref)
    assert ref.sha256 in str(missing.value)


@pytest.mark.parametrize("bad", [b"what was altered", b"what", b"", b"what was written!"])
def test_a_damaged_blob_is_corrupt_and_putting_it_again_heals_it(store, bad):
    ref = store.blobs.put(b"what was written")
    store.overwrite(ref, bad)
    with _refused("CORRUPT"):
        store.blobs.get(ref)
    store.blobs.put(b"what was written")
    assert store.blobs.get(ref) == b"what was written"


def test_a_reference_with_the_wrong_length_is_not_that_blob(store):
    with _refused("CORRUPT"):
        store.blobs.get(Ref(store.blobs.put(b"abc").sha256, 4))


@pytest.mark.parametrize("name", ["", "abc", "../../../etc/passwd", "A" * 64, "a" * 63 + "/", "a" * 64 + "\n"])
def test_a_bad_name_names_no_blob(store, name):
    with _refused("INVALID"):
        store.blobs.get(Ref(name, 1))


def test_a_blob_that_a_collector_holds_aside_is_read_there(tmp_path):
    blobs = open_blobs(tmp_path)
    ref = blobs.put(b"held")
    (tmp_path / ".collecting").mkdir()
    (tmp_path / ref.sha256[:2] / ref.sha256).rename(tmp_path / ".collecting" / ref.sha256)
    assert blobs.get(ref) == b"held"


def test_a_put_renews_what_is_old(tmp_path):
    blobs = open_blobs(tmp_path)
    ref = blobs.put(b"old")
    file = tmp_path / ref.sha256[:2] / ref.sha256
    os.utime(file, (0, 0))
    blobs.put(b"old")
    assert time.time() - file.stat().st_mtime < 3600


def test_what_is_large_goes_in_parts_once_and_is_verified_as_a_whole(minio, monkeypatch):
    monkeypatch.setattr("sidecar.s3_blobs._PART_BYTES", 5 << 20)  # the smallest part that S3 takes
    bucket, place = minio.new_bucket()
    minio.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    blobs, data = open_blobs(place), os.urandom((12 << 20) + 1)
    ref = blobs.put(data)
    blobs.put(data)
    versions = minio.client.list_object_versions(Bucket=bucket)["Versions"]
    assert [version["Size"] for version in versions] == [len(data)]
    key = versions[0]["Key"]
    assert minio.client.head_object(Bucket=bucket, Key=key, PartNumber=1)["PartsCount"] == 3
    assert blobs.get(ref) == data
    minio.client.put_object(Bucket=bucket, Key=key, Body=data[:-1] + bytes([data[-1] ^ 1]))
    with _refused("CORRUPT"):
        blobs.get(ref)


def test_a_wrong_secret_is_refused_and_not_repeated(minio, monkeypatch):
    _, place = minio.new_bucket()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the credentials it found first
    with _refused("INVALID") as refused:
        open_blobs(place)
    assert refused.value.boundary == "blob" and "wrong-secret" not in str(refused.value)


def test_a_bucket_that_is_not_there_or_does_not_answer_is_said(minio):
    _, place = minio.new_bucket()
    with _refused("INVALID"):
        open_blobs(place.replace("s3://stemma", "s3://nobody"))
    with _refused("UNAVAILABLE"):
        open_blobs(f"s3://bucket?endpoint=http://127.0.0.1:{_closed_port()}")


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
