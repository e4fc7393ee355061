"""The object store and the configured folders, behind one door."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from botocore.exceptions import ClientError

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, PermanentError
from node_import.objects.body import ObjectBody
from node_import.objects.client import s3_client
from node_import.objects.local import open_file, pin_file
from node_import.objects.location import LocalFile, ObjectLocation, S3Location, parse_location
from node_import.objects.own_bucket import OwnBucket
from node_import.objects.pinned import PinnedObject
from node_import.objects.refusals import is_vague, reading, writing
from node_import.objects.resuming import OnRetry, ResumingStream
from node_import.objects.upload import Upload
from node_import.settings import Settings
from node_import.sizes import MIB

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

READ_BUFFER_BYTES = MIB


class ObjectStore:
    """Reads what requests name and writes what the importer itself makes. Safe to share.

    Every method raises the errors of `node_import.objects.refusals` and nothing of boto3's.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        bucket: str,
        region: str = "us-east-1",
        endpoint_url: str | None = None,
        endpoint_aliases: Sequence[str] = (),
        file_roots: Sequence[str | Path] = (),
        max_file_bytes: int,
    ) -> None:
        self.bucket = bucket
        self.own = OwnBucket(client, bucket)
        self._client = client
        self._region = region
        self._endpoint_url = endpoint_url
        self._endpoint_aliases = endpoint_aliases
        self._file_roots = file_roots
        self._max_file_bytes = max_file_bytes

    @classmethod
    def from_settings(cls, settings: Settings) -> ObjectStore:
        """The store of a deployment; connects when first used. Wrong settings: UsageError."""
        return cls(
            s3_client(settings),
            bucket=settings.s3_bucket,
            region=settings.s3_region,
            endpoint_url=settings.s3_endpoint_url,
            endpoint_aliases=settings.s3_endpoint_aliases,
            file_roots=settings.file_roots,
            max_file_bytes=settings.max_file_bytes,
        )

    def locate(self, file_path: str) -> ObjectLocation:
        """The place that a request's `filePath` names; see `parse_location`."""
        return parse_location(
            file_path,
            endpoint_url=self._endpoint_url,
            aliases=self._endpoint_aliases,
            file_roots=self._file_roots,
        )

    def pin(self, location: ObjectLocation) -> PinnedObject:
        """The source as it is now: FILE_NOT_FOUND, FILE_TOO_LARGE, PATH_NOT_ALLOWED."""
        if isinstance(location, LocalFile):
            pinned = pin_file(location, self._file_roots)
        else:
            pinned = self._pin_object(location)
        if pinned.size > self._max_file_bytes:
            message = (
                f"{pinned.url} has {pinned.size:,} bytes and the limit is "
                f"{self._max_file_bytes:,} (NODE_IMPORT_MAX_FILE_BYTES): split the file"
            )
            raise PermanentError(ErrorCode.FILE_TOO_LARGE, message)
        return pinned

    def open(
        self, pinned: PinnedObject, *, on_retry: OnRetry = lambda _offset, _error: None
    ) -> BinaryIO:
        """The pinned bytes as they lie in the store, start to end, in bounded memory.

        Not seekable. A connection that breaks is taken up where it broke, and `on_retry` is told
        from which byte, and why. Raises FILE_CHANGED,
        here or while reading, if the source is no longer what was pinned, and
        OBJECT_STORE_UNAVAILABLE when the tries are used up.
        """
        if isinstance(pinned.location, LocalFile):
            return open_file(pinned, self._file_roots)

        def fetch(offset: int) -> ObjectBody:
            return self._fetch(pinned, offset)

        return io.BufferedReader(
            ResumingStream(fetch, pinned.size, on_retry=on_retry), READ_BUFFER_BYTES
        )

    @contextmanager
    def write(self, key: str, content_type: str) -> Iterator[BinaryIO]:
        """A new object of the importer's bucket, visible only if the block ends without an error.

        Holds at most one part (`upload.PART_BYTES`) in memory.
        """
        upload = Upload(self._client, self.bucket, key, content_type)
        try:
            yield cast("BinaryIO", upload)
            upload.complete()
        except BaseException:
            with contextlib.suppress(NodeImportError):  # the first error is the one to tell
                upload.abort()
            raise

    def upload(
        self,
        path: Path,
        key: str,
        *,
        bucket: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> str:
        """Copy a local file into the store and return its URL.

        `on_progress` gets the number of further bytes sent, from several threads.
        """
        target = S3Location(bucket or self.bucket, key)
        with writing(target.url):
            self._client.upload_file(str(path), target.bucket, key, Callback=on_progress)
        return target.url

    def url_of(self, key: str) -> str:
        """The URL of an object of the importer's bucket; fit for a request's `filePath`."""
        return S3Location(self.bucket, key).url

    def ensure_bucket(self, bucket: str | None = None) -> None:
        """Make the importer's bucket, or another, where it is missing."""
        name = bucket or self.bucket
        with writing(f"s3://{name}"):
            if not self._has_bucket(name):
                self._create_bucket(name)

    def _has_bucket(self, name: str) -> bool:
        try:
            self._client.head_bucket(Bucket=name)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                return False
            if status != 403:  # we may not look, and may yet be allowed to write
                raise
        return True

    def _create_bucket(self, name: str) -> None:
        try:
            if self._region == "us-east-1":  # which S3 refuses to be told
                self._client.create_bucket(Bucket=name)
            else:
                self._client.create_bucket(
                    Bucket=name,
                    CreateBucketConfiguration={"LocationConstraint": self._region},  # type: ignore[typeddict-item]
                )
        except self._client.exceptions.BucketAlreadyOwnedByYou:
            return  # somebody else was faster

    def _pin_object(self, location: S3Location) -> PinnedObject:
        with reading(location.url):
            try:
                head = self._client.head_object(Bucket=location.bucket, Key=location.key)
            except ClientError as error:
                if is_vague(error):
                    self._ask_for_reason(location)
                raise
        return PinnedObject(location, head["ContentLength"], head["ETag"])

    def _ask_for_reason(self, location: S3Location) -> None:
        """Ask again in a way that has an answer with a body; raises what it says."""
        answer = self._client.get_object(
            Bucket=location.bucket, Key=location.key, Range="bytes=0-0"
        )
        answer["Body"].close()

    def _fetch(self, pinned: PinnedObject, offset: int) -> ObjectBody:
        location = pinned.location
        assert isinstance(location, S3Location)  # noqa: S101 - `open` tells the kinds apart
        request: GetObjectRequestTypeDef = {
            "Bucket": location.bucket,
            "Key": location.key,
            "IfMatch": pinned.version,
        }
        if offset:  # a range of an empty object would be an error
            request["Range"] = f"bytes={offset}-"
        with reading(location.url):
            body = self._client.get_object(**request)["Body"]
        return ObjectBody(body, location.url, reading)
