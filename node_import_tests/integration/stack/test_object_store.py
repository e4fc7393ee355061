"""The embedded object store: what clients see, and what survives."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from node_import.sizes import MIB
from node_import.stack.child import Guardian
from node_import.stack.credentials import stored_credentials
from node_import.stack.layout import Layout
from node_import.stack.s3 import ObjectStore
from node_import_tests.support.ports import random_ports

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEYS = ["users.csv", "a b/ü/名前.csv", "plus+and%2Fpercent", "deep/" * 20 + "x", "question?mark&=#"]


class Store:
    """A store that can be killed and started again on the same folder."""

    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)
        self._layout.create()
        self._credentials = stored_credentials(self._layout)
        self._guard = Guardian()
        self._port = random_ports().s3
        self._server = ObjectStore(self._layout, self._port, self._credentials)
        self.start()

    def start(self) -> None:
        """On the port of before."""
        self._server.launch(self._guard)
        self._server.wait_until_ready()

    def restart(self) -> None:
        """After SIGKILL."""
        os.kill(self._server.child.pid or 0, signal.SIGKILL)
        self._server.child.stop(self._guard)
        self.start()

    def stop(self) -> None:
        """For good."""
        self._server.child.stop(self._guard)
        self._guard.close()

    def client(self, access_key: str | None = None) -> S3Client:
        """With the right key, or another."""
        return boto3.client(
            "s3",
            endpoint_url=self._server.endpoint_url,
            aws_access_key_id=access_key or self._credentials.s3_access_key,
            aws_secret_access_key=self._credentials.s3_secret_key,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}),
        )

    def data_files(self) -> int:
        """How many files hold bytes of objects or parts."""
        return len(list((self._layout.objects / "data").iterdir()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for this module; tests use keys of their own."""
    running = Store(tmp_path_factory.mktemp("store"))
    yield running
    running.stop()


@pytest.fixture
def client(store: Store) -> Iterator[S3Client]:
    """A client with the right key."""
    made = store.client()
    yield made
    made.close()


def error_code(call: Callable[[], Any]) -> str:
    """The code with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


@pytest.mark.parametrize("key", KEYS)
def test_object_survives_a_kill(store: Store, client: S3Client, key: str) -> None:
    """Bytes, ETag, time, content type and metadata are those of before."""
    client.put_object(
        Bucket="imports", Key=key, Body=b"id\n1\n", ContentType="text/csv", Metadata={"who": "me"}
    )
    before = client.head_object(Bucket="imports", Key=key)
    store.restart()
    after = client.get_object(Bucket="imports", Key=key)
    assert after["Body"].read() == b"id\n1\n"
    for field in ("ETag", "LastModified", "ContentType", "Metadata", "ContentLength"):
        assert after[field] == before[field], field
    assert key in [found["Key"] for found in client.list_objects_v2(Bucket="imports")["Contents"]]


def test_empty_object_survives(store: Store, client: S3Client) -> None:
    """An object of no bytes is an object."""
    client.put_object(Bucket="imports", Key="empty", Body=b"")
    store.restart()
    assert client.get_object(Bucket="imports", Key="empty")["Body"].read() == b""


def test_multipart_upload_survives_with_its_etag(
    store: Store, client: S3Client, tmp_path: Path
) -> None:
    """A pinned object is still the same object after a restart; parts leave nothing behind."""
    content = os.urandom(20 * MIB + 17)
    (tmp_path / "big").write_bytes(content)
    files = store.data_files()
    client.upload_file(str(tmp_path / "big"), "imports", "big")
    etag = client.head_object(Bucket="imports", Key="big")["ETag"]
    assert etag.endswith('-3"')
    assert store.data_files() == files + 1
    store.restart()
    answer = client.get_object(Bucket="imports", Key="big", IfMatch=etag)
    assert answer["Body"].read() == content
    client.download_file("imports", "big", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("bytes=0-3", b"0123"),
        ("bytes=4-", b"456789"),
        ("bytes=-2", b"89"),
        ("bytes=8-99", b"89"),
        ("bytes=9-9", b"9"),
    ],
)
def test_range_is_answered(client: S3Client, asked: str, got: bytes) -> None:
    """A part of an object comes as 206 with its place in the whole."""
    client.put_object(Bucket="imports", Key="digits", Body=b"0123456789")
    answer = client.get_object(Bucket="imports", Key="digits", Range=asked)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentRange"].endswith("/10")
    assert (answer["ContentLength"], answer["Body"].read()) == (len(got), got)


def test_range_behind_the_end_is_refused(client: S3Client) -> None:
    """As S3 does it: InvalidRange."""
    client.put_object(Bucket="imports", Key="digits", Body=b"0123456789")
    assert (
        error_code(lambda: client.get_object(Bucket="imports", Key="digits", Range="bytes=10-"))
        == "InvalidRange"
    )


def test_changed_object_fails_its_condition(client: S3Client) -> None:
    """Reading with the ETag of before is refused once the object was replaced."""
    etag = client.put_object(Bucket="imports", Key="pinned", Body=b"one")["ETag"]
    client.put_object(Bucket="imports", Key="pinned", Body=b"two")
    call = lambda: client.get_object(Bucket="imports", Key="pinned", IfMatch=etag)  # noqa: E731
    assert error_code(call) == "PreconditionFailed"


def test_missing_object_and_bucket_are_told_apart(client: S3Client) -> None:
    """NoSuchKey and NoSuchBucket."""
    assert error_code(lambda: client.get_object(Bucket="imports", Key="none")) == "NoSuchKey"
    assert error_code(lambda: client.get_object(Bucket="nothing", Key="x")) == "NoSuchBucket"


def test_what_was_deleted_stays_deleted(store: Store, client: S3Client) -> None:
    """One by one, several at once, and a whole bucket; no bytes stay on disk."""
    files = store.data_files()
    client.create_bucket(Bucket="passing")
    for key in ("a", "b", "c"):
        client.put_object(Bucket="passing", Key=key, Body=b"x")
    client.delete_object(Bucket="passing", Key="a")
    client.delete_objects(Bucket="passing", Delete={"Objects": [{"Key": "b"}, {"Key": "c"}]})
    assert store.data_files() == files
    client.delete_bucket(Bucket="passing")
    store.restart()
    names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    assert "passing" not in names
    assert {"imports", "node-import"} <= set(names)


def test_replaced_object_is_the_new_one(store: Store, client: S3Client) -> None:
    """And the bytes of the old one are gone from the disk."""
    client.put_object(Bucket="imports", Key="twice", Body=b"old")
    files = store.data_files()
    client.put_object(Bucket="imports", Key="twice", Body=b"new")
    assert store.data_files() == files
    store.restart()
    assert client.get_object(Bucket="imports", Key="twice")["Body"].read() == b"new"


def test_copy_is_an_object_of_its_own(store: Store, client: S3Client) -> None:
    """It survives, also without its source."""
    client.put_object(Bucket="imports", Key="source", Body=b"x", Metadata={"who": "me"})
    client.copy_object(Bucket="imports", Key="copy", CopySource="imports/source")
    client.delete_object(Bucket="imports", Key="source")
    store.restart()
    answer = client.get_object(Bucket="imports", Key="copy")
    assert (answer["Body"].read(), answer["Metadata"]) == (b"x", {"who": "me"})


def test_unfinished_upload_leaves_nothing(store: Store, client: S3Client) -> None:
    """Its parts are gone after a restart."""
    files = store.data_files()
    upload = client.create_multipart_upload(Bucket="imports", Key="never")["UploadId"]
    client.upload_part(Bucket="imports", Key="never", UploadId=upload, PartNumber=1, Body=b"x")
    store.restart()
    assert store.data_files() == files


def test_other_access_key_is_refused(store: Store) -> None:
    """Another process of the machine does not get in by guessing; the message helps."""
    client = store.client("AKIAOTHER")
    assert error_code(client.list_buckets) == "InvalidAccessKeyId"
    client.close()


def test_unsigned_request_is_refused(store: Store, client: S3Client) -> None:
    """A browser, or moto's own management interface, is not let in."""
    for path in ("/imports/users.csv", "/moto-api/data.json"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(client.meta.endpoint_url + path)
        assert caught.value.code == 403
        caught.value.close()


def test_presigned_url_is_let_in(client: S3Client) -> None:
    """The key is in the URL then."""
    client.put_object(Bucket="imports", Key="linked", Body=b"x")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "imports", "Key": "linked"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"x"
