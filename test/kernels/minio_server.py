"""A real S3-compatible server for tests: STEMMA_TEST_MINIO, else what set-up built (test/support/real-minio.ts is its twin)."""
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest

_TOOLCHAIN = Path(__file__).resolve().parents[2] / ".stemma" / "toolchain.json"
_READY_WITHIN_SECONDS = 60


def _executable() -> str:
    given = os.environ.get("STEMMA_TEST_MINIO", "")
    built = json.loads(_TOOLCHAIN.read_text()).get("minio", "") if _TOOLCHAIN.exists() else ""
    found = given or built
    return found if found and Path(found).exists() else ""


class MinioServer:
    """Sets the AWS environment of this process to its credentials. Skips the test where there is no MinIO, fails it under CI=true."""

    def __init__(self, directory: Path):
        executable = _executable()
        if not executable:
            reason = "no MinIO: run `npm run setup -- --only=minio`, or set STEMMA_TEST_MINIO"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            port, console = one.getsockname()[1], two.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        credentials = {"AWS_ACCESS_KEY_ID": "stemma-tests", "AWS_SECRET_ACCESS_KEY": "only-for-tests"}
        self._process = subprocess.Popen(
            [executable, "server", str(directory / "data"), "--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}",
             "--config-dir", str(directory)],
            env={**os.environ, "MINIO_ROOT_USER": credentials["AWS_ACCESS_KEY_ID"], "MINIO_ROOT_PASSWORD": credentials["AWS_SECRET_ACCESS_KEY"],
                 "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self._wait_until_ready()
        os.environ.update(credentials)
        self.client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")
        self._buckets = 0

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _READY_WITHIN_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.endpoint}/minio/health/ready", timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        self.stop()
        raise RuntimeError("MinIO did not become ready")

    def new_bucket(self) -> tuple[str, str]:
        """A new bucket's name, and a place in it as the sidecar's --blobs has it."""
        self._buckets += 1
        bucket = f"stemma-{self._buckets}"
        self.client.create_bucket(Bucket=bucket)
        return bucket, f"s3://{bucket}/some/prefix?endpoint={self.endpoint}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
