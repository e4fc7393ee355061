"""The object store by its real client, against an S3 server on a real port."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, PermanentError, TransientError, UsageError
from node_import.objects import upload
from node_import.objects.location import S3Location
from node_import.objects.pinned import PinnedObject
from node_import.objects.resuming import MAX_TRIES
from node_import.objects.store import ObjectStore

CONTENT = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture
def s3(s3_url: str, s3_keys: tuple[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id=s3_keys[0],
        aws_secret_access_key=s3_keys[1],
        config=Config(s3={"addressing_style": "path"}),
    )


def write(store: ObjectStore, content: bytes, key: str | None = None) -> PinnedObject:
    """A new object, pinned."""
    key = key or f"{uuid.uuid4()}.csv"
    with store.write(key, "text/csv") as file:
        file.write(content)
    return store.pin(store.locate(store.url_of(key)))


def refusal(act: Callable[[], object], kind: type[NodeImportError]) -> ErrorCode:
    """The code with which `act` fails; its message may hold no secret."""
    with pytest.raises(kind) as caught:
        act()
    assert "hunter2" not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("size", [0, 1, 1_000_000, len(CONTENT)])
def test_an_object_comes_back_as_it_was_written(store: ObjectStore, size: int) -> None:
    """Byte for byte, whatever its size."""
    pinned = write(store, CONTENT[:size])
    assert pinned.size == size
    with store.open(pinned) as stream:
        assert stream.read() == CONTENT[:size]


@pytest.mark.parametrize("key", ["a b/ü?x#y%41+.csv", "/slash", "dots/../up", "名前", "a//b"])
def test_odd_keys_name_their_object(store: ObjectStore, key: str) -> None:
    """A key stands as it is, on its way out and on its way in; MinIO does not take all of S3's."""
    try:
        pinned = write(store, b"id\n1\n", f"{uuid.uuid4()}{key}")
    except TransientError as error:
        if "XMinioInvalid" not in error.message:
            raise
        pytest.skip("MinIO has no such keys")
    assert store.open(pinned).read() == b"id\n1\n"


def test_an_http_url_of_the_endpoint_names_the_same_object(store: ObjectStore, s3_url: str) -> None:
    """Producers may write the URL they uploaded to."""
    write(store, b"id\n", "some folder/users.csv")
    location = store.locate(f"{s3_url}/node-import/some%20folder/users.csv")
    assert store.pin(location).url == "s3://node-import/some folder/users.csv"


def test_stored_content_encoding_is_left_alone(store: ObjectStore, s3: Any) -> None:
    """An object stored with `Content-Encoding: gzip` is read as it lies, still compressed."""
    packed = gzip.compress(b"id\n1\n")
    s3.put_object(Bucket="node-import", Key="packed", Body=packed, ContentEncoding="gzip")
    pinned = store.pin(S3Location("node-import", "packed"))
    assert store.open(pinned).read() == packed


def test_what_is_missing_is_not_found(store: ObjectStore) -> None:
    """A missing object, a missing bucket, and one that goes after the pin."""
    for location in (S3Location("node-import", "missing"), S3Location("no-bucket", "x")):
        assert refusal(lambda at=location: store.pin(at), PermanentError) == (
            ErrorCode.FILE_NOT_FOUND
        )


def test_an_object_deleted_after_the_pin_is_not_found(store: ObjectStore, s3: Any) -> None:
    """It is gone, and a retry would not bring it back."""
    pinned = write(store, b"id\n")
    assert isinstance(pinned.location, S3Location)
    s3.delete_object(Bucket="node-import", Key=pinned.location.key)
    assert refusal(lambda: store.open(pinned), PermanentError) == ErrorCode.FILE_NOT_FOUND


def test_an_overwritten_object_has_changed(store: ObjectStore) -> None:
    """An import never mixes two versions of a file."""
    pinned = write(store, b"id\n1\n")
    assert isinstance(pinned.location, S3Location)
    write(store, b"id\n2\n", pinned.location.key)
    assert refusal(lambda: store.open(pinned), PermanentError) == ErrorCode.FILE_CHANGED


def test_an_object_overwritten_while_the_connection_was_down_has_changed(
    s3_url: str, store_at: Callable[..., ObjectStore], proxy: Any
) -> None:
    """The range that resumes a download is asked of the same version."""
    store = store_at(proxy.url)
    store.ensure_bucket()
    pinned = write(store, CONTENT)
    assert isinstance(pinned.location, S3Location)
    proxy.cut_after = 2_000_000
    stream = store_at(proxy.url).open(pinned)
    assert stream.read(1_000_000) == CONTENT[:1_000_000]
    write(store_at(s3_url), CONTENT[::-1], pinned.location.key)
    assert refusal(stream.read, PermanentError) == ErrorCode.FILE_CHANGED


def test_a_cut_download_is_resumed(store_at: Callable[..., ObjectStore], proxy: Any) -> None:
    """Connections that are cut in the middle cost nothing but another request."""
    store = store_at(proxy.url)
    store.ensure_bucket()
    pinned = write(store, CONTENT)
    proxy.cut_after = 1_900_000
    proxy.connections = 0
    stream = store_at(proxy.url).open(pinned)
    assert stream.read() == CONTENT
    assert proxy.connections == 3


def test_a_store_that_stays_away_is_unavailable(
    store_at: Callable[..., ObjectStore], proxy: Any
) -> None:
    """After a few tries a cut download is the transient kind of failure."""
    store = store_at(proxy.url)
    store.ensure_bucket()
    pinned = write(store, CONTENT)
    proxy.cut_after = 100_000  # less than one buffer: no byte of it is ever handed on
    proxy.connections = 0
    stream = store_at(proxy.url).open(pinned)
    assert refusal(stream.read, TransientError) == ErrorCode.OBJECT_STORE_UNAVAILABLE
    assert proxy.connections == MAX_TRIES


def test_a_dead_endpoint_is_unavailable(store_at: Callable[..., ObjectStore]) -> None:
    """No server: transient, for reading and for writing."""
    store = store_at("http://127.0.0.1:1")
    unavailable = ErrorCode.OBJECT_STORE_UNAVAILABLE
    assert refusal(lambda: store.pin(S3Location("b", "k")), TransientError) == unavailable
    assert refusal(store.ensure_bucket, TransientError) == unavailable
    assert refusal(lambda: write(store, b""), TransientError) == unavailable


@pytest.mark.parametrize(
    ("status", "code", "kind", "meaning"),
    [
        (403, "AccessDenied", PermanentError, ErrorCode.PATH_NOT_ALLOWED),
        (403, "InvalidObjectState", PermanentError, ErrorCode.PATH_NOT_ALLOWED),
        (400, "XMinioInvalidObjectName", PermanentError, ErrorCode.PATH_NOT_ALLOWED),
        (404, "NoSuchBucket", PermanentError, ErrorCode.FILE_NOT_FOUND),
        (403, "InvalidAccessKeyId", TransientError, ErrorCode.OBJECT_STORE_UNAVAILABLE),
        (403, "SignatureDoesNotMatch", TransientError, ErrorCode.OBJECT_STORE_UNAVAILABLE),
        (403, "RequestTimeTooSkewed", TransientError, ErrorCode.OBJECT_STORE_UNAVAILABLE),
        (400, "ExpiredToken", TransientError, ErrorCode.OBJECT_STORE_UNAVAILABLE),
        (503, "SlowDown", TransientError, ErrorCode.OBJECT_STORE_UNAVAILABLE),
        (500, "InternalError", TransientError, ErrorCode.OBJECT_STORE_UNAVAILABLE),
    ],
)
def test_refusals_while_reading_have_their_code(
    store_at: Callable[..., ObjectStore],
    refusing: Callable[..., str],
    status: int,
    code: str,
    kind: type[NodeImportError],
    meaning: ErrorCode,
) -> None:
    """A request's own fault is permanent, the deployment's is transient."""
    store = store_at(refusing(status, code))
    assert refusal(lambda: store.pin(S3Location("bucket", "key")), kind) == meaning


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (404, "NoSuchBucket"), (403, "InvalidAccessKeyId"), (503, "SlowDown")],
)
def test_refusals_while_writing_are_the_deployments_fault(
    store_at: Callable[..., ObjectStore],
    refusing: Callable[..., str],
    tmp_path: Path,
    status: int,
    code: str,
) -> None:
    """A reject file that cannot be written says nothing about the request."""
    store = store_at(refusing(status, code))
    (tmp_path / "file").write_bytes(b"id\n")
    unavailable = ErrorCode.OBJECT_STORE_UNAVAILABLE
    assert refusal(lambda: write(store, b"x"), TransientError) == unavailable
    assert refusal(lambda: store.upload(tmp_path / "file", "k"), TransientError) == unavailable


def test_an_object_above_the_limit_is_too_large(
    s3_url: str, store_at: Callable[..., ObjectStore]
) -> None:
    """The limit counts stored bytes, and is checked before anything is read."""
    store = store_at(s3_url, max_file_bytes=10)
    store.ensure_bucket()
    assert write(store, b"0123456789").size == 10
    assert refusal(lambda: write(store, b"0123456789x"), PermanentError) == (
        ErrorCode.FILE_TOO_LARGE
    )


def test_a_large_object_is_written_in_parts(
    store: ObjectStore, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one part becomes a multipart upload with the same bytes."""
    monkeypatch.setattr(upload, "PART_BYTES", 5 * 2**20)
    content = CONTENT * 3
    with store.write("large", "text/csv") as file:
        for start in range(0, len(content), 1_000_001):
            file.write(content[start : start + 1_000_001])
    head = s3.head_object(Bucket="node-import", Key="large")
    assert (head["ContentType"], head["ETag"][-3:]) == ("text/csv", '-3"')
    assert store.open(store.pin(S3Location("node-import", "large"))).read() == content


@pytest.mark.parametrize("size", [1, 15_000_000], ids=["small", "in parts"])
def test_an_object_whose_writing_fails_never_appears(
    store: ObjectStore, s3: Any, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The error of the block comes out, no object is seen, and no parts are left behind."""
    monkeypatch.setattr(upload, "PART_BYTES", 5 * 2**20)

    def write_and_fail() -> None:
        with store.write("unfinished", "text/csv") as file:
            file.write(bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert refusal(lambda: store.pin(S3Location("node-import", "unfinished")), PermanentError)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="node-import")


def test_a_file_is_uploaded_with_progress(store: ObjectStore, s3: Any, tmp_path: Path) -> None:
    """Every byte is counted once, and the URL leads to the object; other buckets work too."""
    (tmp_path / "users.csv").write_bytes(CONTENT)
    sent: list[int] = []
    store.ensure_bucket("other-bucket")
    url = store.upload(
        tmp_path / "users.csv", "up/users.csv", bucket="other-bucket", on_progress=sent.append
    )
    assert url == "s3://other-bucket/up/users.csv"
    assert sum(sent) == len(CONTENT)
    assert store.open(store.pin(store.locate(url))).read() == CONTENT


def test_buckets_are_made_once(store: ObjectStore) -> None:
    """Making sure of a bucket can be repeated."""
    store.ensure_bucket()
    store.ensure_bucket("another")
    store.ensure_bucket("another")


def test_a_bucket_that_may_not_be_looked_at_counts_as_there(
    store_at: Callable[..., ObjectStore], refusing: Callable[..., str]
) -> None:
    """Credentials that may only write objects are enough; writing tells the rest."""
    store_at(refusing(403, "AccessDenied")).ensure_bucket()


def test_a_bucket_in_another_region_is_made(
    s3_url: str, store_at: Callable[..., ObjectStore]
) -> None:
    """S3 wants to be told the region, except its first."""
    store_at(s3_url, s3_region="eu-central-1", s3_bucket="in-frankfurt").ensure_bucket()


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"s3_secret_key": None}, "NODE_IMPORT_S3_SECRET_KEY"),
        ({"s3_access_key": None}, "NODE_IMPORT_S3_ACCESS_KEY"),
        ({"s3_ca_file": "/nowhere/ca.pem"}, "NODE_IMPORT_S3_CA_FILE"),
        ({"s3_endpoint_url": "minio:9000"}, "minio:9000"),
    ],
)
def test_settings_that_cannot_work_are_named(
    store_at: Callable[..., ObjectStore], overrides: dict[str, Any], named: str
) -> None:
    """A wrong setting is found before the first request, and said in one line."""
    endpoint = overrides.pop("s3_endpoint_url", "http://127.0.0.1:1")
    with pytest.raises(UsageError, match=named):
        store_at(endpoint, **overrides)
