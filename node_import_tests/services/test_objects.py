"""Objects in MinIO: parts, versions, an overwriting in the middle, and every wrong setting."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from pydantic import SecretStr

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, PermanentError, TransientError
from node_import.objects import upload
from node_import.objects.location import S3Location
from node_import.objects.store import ObjectStore
from node_import.settings import Settings
from node_import.sizes import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

PART = 5 * MIB
# 40 MB, no two blocks alike: what is read can be told apart from what replaced it.
OLD = b"".join(hashlib.sha256(str(n).encode()).digest() * 32 for n in range(40_000))
NEW = OLD[::-1]


@pytest.fixture
def store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The store of a deployment; it writes in small parts and retries at once."""
    monkeypatch.setattr(upload, "PART_BYTES", PART)
    monkeypatch.setattr("node_import.objects.resuming.FIRST_PAUSE", 0.01)
    return ObjectStore.from_settings(settings)


def refusal(act: Callable[[], object], kind: type[NodeImportError]) -> NodeImportError:
    """The error with which `act` fails."""
    with pytest.raises(kind) as caught:
        act()
    return caught.value


def pin(store: ObjectStore, bucket: str, key: str) -> Any:
    """The object as it is now."""
    return store.pin(S3Location(bucket, key))


def test_parts_become_one_object(store: ObjectStore, bucket: str, s3_client: S3Client) -> None:
    """Written in eight parts, read as one stream; its ETag is no MD5 and pins it all the same."""
    with store.write("large", "text/csv") as file:
        file.write(OLD)
    pinned = pin(store, bucket, "large")
    assert pinned.version.endswith('-8"')
    with store.open(pinned) as stream:
        assert stream.read() == OLD
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=bucket)


def test_an_upload_by_somebody_else_in_parts(
    store: ObjectStore, bucket: str, s3_client: S3Client, tmp_path: Path
) -> None:
    """boto3's own multipart upload, as producers use it."""
    (tmp_path / "users.csv").write_bytes(OLD)
    parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3_client.upload_file(str(tmp_path / "users.csv"), bucket, "users.csv", Config=parts)
    with store.open(pin(store, bucket, "users.csv")) as stream:
        assert stream.read() == OLD


def test_an_upload_that_was_given_up_is_not_seen(
    store: ObjectStore, bucket: str, s3_client: S3Client
) -> None:
    """Neither the object nor its parts."""

    def write_and_fail() -> None:
        with store.write("unfinished", "text/csv") as file:
            file.write(OLD)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert "Contents" not in s3_client.list_objects_v2(Bucket=bucket)
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=bucket, Prefix="unfinished")


@pytest.mark.parametrize("versioned", [False, True], ids=["plain bucket", "versioned bucket"])
def test_an_object_overwritten_while_it_is_read(
    store: ObjectStore, bucket: str, s3_client: S3Client, versioned: bool
) -> None:
    """The old bytes to their end or a failure, FILE_CHANGED; never some of each."""
    if versioned:
        version(s3_client, bucket)
    put(s3_client, bucket, OLD)
    with store.open(pin(store, bucket, "k")) as stream, ThreadPoolExecutor() as other:
        read = stream.read(MIB)
        # MinIO lets the writer wait for readers, and after 30 s cuts a reader who does not read.
        overwritten = other.submit(put, s3_client, bucket, NEW)
        with suppress(PermanentError):
            read += stream.read()
    overwritten.result()
    assert OLD.startswith(read)


@pytest.mark.parametrize("versioned", [False, True], ids=["plain bucket", "versioned bucket"])
def test_an_object_overwritten_or_deleted_after_the_pin(
    store: ObjectStore, bucket: str, s3_client: S3Client, versioned: bool
) -> None:
    """The newest version is what a request names: another is FILE_CHANGED, none FILE_NOT_FOUND."""
    if versioned:
        version(s3_client, bucket)
    put(s3_client, bucket, b"id\n1\n")
    pinned = pin(store, bucket, "k")
    put(s3_client, bucket, b"id\n2\n")
    assert refusal(lambda: store.open(pinned), PermanentError).code == ErrorCode.FILE_CHANGED
    s3_client.delete_object(Bucket=bucket, Key="k")
    assert refusal(lambda: store.open(pinned), PermanentError).code == ErrorCode.FILE_NOT_FOUND
    assert refusal(lambda: pin(store, bucket, "k"), PermanentError).code == (
        ErrorCode.FILE_NOT_FOUND
    )


def test_the_same_bytes_written_again_are_the_same_version(
    store: ObjectStore, bucket: str, s3_client: S3Client
) -> None:
    """A producer that repeats its upload does not break the import that is under way."""
    version(s3_client, bucket)
    for _ in range(2):
        put(s3_client, bucket, b"id\n1\n")
    pinned = pin(store, bucket, "k")
    put(s3_client, bucket, b"id\n1\n")
    with store.open(pinned) as stream:
        assert stream.read() == b"id\n1\n"


def put(s3_client: S3Client, bucket: str, body: bytes) -> None:
    """Write the object `k`."""
    s3_client.put_object(Bucket=bucket, Key="k", Body=body)


def version(s3_client: S3Client, bucket: str) -> None:
    """Let the bucket keep old versions."""
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def changed(settings: Settings, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> ObjectStore:
    """A store with settings that are wrong; one try, since it will not get better."""
    monkeypatch.setattr("node_import.objects.client.MAX_ATTEMPTS", 1)
    return ObjectStore.from_settings(settings.model_copy(update=changes))


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"s3_access_key": "nobody"}, "NODE_IMPORT_S3_ACCESS_KEY"),
        ({"s3_secret_key": SecretStr("hunter2")}, "NODE_IMPORT_S3_SECRET_KEY"),
        ({"s3_endpoint_url": "http://127.0.0.1:9"}, "NODE_IMPORT_S3_ENDPOINT_URL"),
    ],
    ids=["access key", "secret key", "endpoint"],
)
def test_wrong_settings_are_an_outage_that_names_them(
    settings: Settings,
    s3_client: S3Client,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    hint: str,
) -> None:
    """The deployment's fault, not the request's: nothing goes to the dead letters at once."""
    put(s3_client, bucket, b"id\n1\n")
    store = changed(settings, monkeypatch, **wrong)

    def write() -> None:
        with store.write("out", "text/csv") as file:
            file.write(b"x")

    for act in (lambda: pin(store, bucket, "k"), write):
        error = refusal(act, TransientError)
        assert error.code == ErrorCode.OBJECT_STORE_UNAVAILABLE
        assert hint in error.message
        assert "hunter2" not in str(error)


def test_a_wrong_bucket(
    settings: Settings, unique_name: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The importer's own is an outage that names the setting; a request's is FILE_NOT_FOUND."""
    store = changed(settings, monkeypatch, s3_bucket=unique_name("no-bucket"))

    def write() -> None:
        with store.write("out", "text/csv") as file:
            file.write(b"x")

    error = refusal(write, TransientError)
    assert "NODE_IMPORT_S3_BUCKET" in error.message
    missing = refusal(lambda: pin(store, store.bucket, "k"), PermanentError)
    assert missing.code == ErrorCode.FILE_NOT_FOUND


def test_a_key_that_may_not_read_an_object(
    settings: Settings, s3_client: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Access denied to one object is that request's fault; others go on with the same key.

    The key is the machine's own, with a session token: what a role in a cloud gives.
    """
    for key in ("open/k", "closed/k"):
        s3_client.put_object(Bucket=bucket, Key=key, Body=b"id\n1\n")
    for name, value in narrow_credentials(settings, f"arn:aws:s3:::{bucket}/open/*").items():
        monkeypatch.setenv(name, value)
    store = changed(settings, monkeypatch, s3_access_key=None, s3_secret_key=None)
    with store.open(pin(store, bucket, "open/k")) as stream:
        assert stream.read() == b"id\n1\n"
    error = refusal(lambda: pin(store, bucket, "closed/k"), PermanentError)
    assert error.code == ErrorCode.PATH_NOT_ALLOWED


def narrow_credentials(settings: Settings, resource: str) -> dict[str, str]:
    """Variables with a temporary key that may get `resource` and nothing else."""
    assert settings.s3_secret_key is not None
    sts = boto3.client(
        "sts",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
    )
    allowed = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [resource]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    role = {"RoleArn": "arn:minio:iam:::role/ignored", "RoleSessionName": "test"}
    key = sts.assume_role(**role, Policy=policy)["Credentials"]
    sts.close()
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_SESSION_TOKEN": key["SessionToken"],
    }
