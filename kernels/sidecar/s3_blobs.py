"""Blobs in a bucket: `[prefix/]<first 2 hex>/<sha256>`, as services/adapters/blob/s3.ts has them."""
import base64
import hashlib
import io
import time
from urllib.parse import parse_qs, urlsplit

from .blobs import Ref, path_of, verified
from .errors import SidecarError

try:
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, PartialCredentialsError
except ImportError as error:  # a Python that its owner has prepared
    raise SidecarError("INVALID", f"blobs in a bucket need boto3: install it as kernels/requirements.txt has it ({error})", "blob") from None

# A collector takes nothing younger than 13 hours: an older copy is put again (docs/decisions/blobs-and-gc.md).
_RENEW_AFTER_SECONDS = 12 * 3600
# What is larger goes in parts of this size, each tried again by itself; one request may carry 5 GiB at most.
_PART_BYTES = 64 << 20
_NO_SPACE = ("XMinioStorageFull", "QuotaExceeded")
_NO_ACCESS = (ValueError, NoCredentialsError, PartialCredentialsError, NoRegionError)


class BlobBucket:
    def __init__(self, place: str):
        """Credentials come from the AWS environment. SidecarError if the bucket is not there or refuses us."""
        url = urlsplit(place)
        options = parse_qs(url.query)
        endpoint = options.get("endpoint", [None])[0]
        region = options.get("region", [None])[0]
        prefix = url.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._bucket = url.netloc
        try:
            self._client = boto3.client(
                "s3", endpoint_url=endpoint, region_name=region or ("us-east-1" if endpoint else None),
                config=Config(
                    s3={"addressing_style": "path" if endpoint else "auto"}, connect_timeout=5, read_timeout=60,
                    request_checksum_calculation="when_required", response_checksum_validation="when_required",
                ),
            )
            self._client.head_bucket(Bucket=self._bucket)
        except (BotoCoreError, ClientError, ValueError) as error:
            raise self._error(error, "") from None

    def put(self, data: bytes) -> Ref:
        ref = Ref(hashlib.sha256(data).hexdigest(), len(data))
        key = self._prefix + path_of(ref.sha256)
        try:
            if not self._holds(key, _checksum(data, ref), ref.length):
                self._write(key, data, ref)
        except (BotoCoreError, ClientError) as error:
            raise self._error(error, key) from None
        return ref

    def _write(self, key: str, data: bytes, ref: Ref) -> None:
        """The server checks what arrives against its sha256, part by part, and keeps that."""
        if len(data) <= _PART_BYTES:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ChecksumSHA256=_checksum(data, ref))
            return
        self._client.upload_fileobj(
            io.BytesIO(data), self._bucket, key, ExtraArgs={"ChecksumAlgorithm": "SHA256"},
            Config=TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES),
        )

    def _holds(self, key: str, checksum: str, length: int) -> bool:
        """Whether the server vouches for that content and the copy is young."""
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if _status(error) == 404:
                return False
            raise
        is_young = time.time() - head["LastModified"].timestamp() < _RENEW_AFTER_SECONDS
        return is_young and head.get("ChecksumSHA256") == checksum and head["ContentLength"] == length

    def get(self, ref) -> bytes:
        key = self._prefix + path_of(ref.sha256)
        try:
            data = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise self._error(error, key) from None
        return verified(data, ref)

    def _error(self, error: Exception, key: str) -> SidecarError:
        """botocore has tried again already where that can help. Its messages name keys and hosts, never a secret."""
        what = f"blob {key} in bucket {self._bucket}" if key else f"bucket {self._bucket}"
        reason, text = _meaning(error, what, is_bucket=not key)
        return SidecarError(reason, text, "blob")


def _checksum(data: bytes, ref: Ref) -> str:
    """As S3 keeps it: base64 of the sha256; of a blob in parts, that of its parts' digests, and their number."""
    if len(data) <= _PART_BYTES:
        return base64.b64encode(bytes.fromhex(ref.sha256)).decode()
    view = memoryview(data)
    digests = [hashlib.sha256(view[at:at + _PART_BYTES]).digest() for at in range(0, len(data), _PART_BYTES)]
    return f"{base64.b64encode(hashlib.sha256(b''.join(digests)).digest()).decode()}-{len(digests)}"


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _meaning(error: Exception, what: str, is_bucket: bool) -> tuple[str, str]:
    """The rules of s3-errors.ts."""
    if not isinstance(error, ClientError):
        if isinstance(error, _NO_ACCESS):
            return "INVALID", f"no access to {what}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a profile or role) and AWS_REGION"
        return "UNAVAILABLE", f"the blob store does not answer for {what}: {error}"
    status, code = _status(error), error.response.get("Error", {}).get("Code", "")
    if code == "NoSuchBucket" or (status == 404 and is_bucket):
        return "INVALID", f"{what} is not there: create it, or correct STEMMA_BLOBS"
    if status == 404:
        return "NOT_FOUND", f"{what} is not in the store"
    if status == 507 or code in _NO_SPACE:
        return "DISK_FULL", f"{what}: no space left on that server; free some space and retry"
    if 300 <= status < 500 and status not in (408, 429):
        return "INVALID", f"the store refuses {what}: {error}; check the credentials in the AWS environment and what they may do with that bucket"
    return "UNAVAILABLE", f"the blob store does not answer for {what}: {error}"
