"""The importer's own bucket, by key: reading back, listing and removing what it wrote itself.

Unlike the objects that requests name, these are the deployment's: whatever the store refuses here
is an outage and never a request's fault.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError

from node_import.objects.body import ObjectBody
from node_import.objects.refusals import is_missing_key, is_past_the_end, keeping
from node_import.objects.resuming import ResumingStream
from node_import.sizes import MIB

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

READ_BUFFER_BYTES = MIB


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A key of the bucket, and when it was written: seconds since 1970, by the store's clock."""

    key: str
    written: float


class OwnBucket:
    """What lies in the bucket. Safe to share between threads.

    Every method raises TransientError OBJECT_STORE_UNAVAILABLE when the store is away or refuses.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def check(self) -> None:
        """That the store answers, knows our credentials and has the bucket."""
        with keeping(f"s3://{self._bucket}"):
            self._client.head_bucket(Bucket=self._bucket)

    def read(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes (1 or more) from `offset`; fewer where the object ends before.

        Raises:
            FileNotFoundError: there is no such key.
        """
        try:
            with self._stream(key, offset, offset + length - 1) as stream:
                return stream.read(length)
        except _PastTheEnd:
            return b""

    def open(self, key: str) -> BinaryIO:
        """The whole object, from its start, not seekable, in bounded memory.

        A connection that breaks is taken up where it broke.

        Raises:
            FileNotFoundError: there is no such key.
        """
        return self._stream(key, 0, None)

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """All objects whose key begins so, in the order of their keys."""
        with keeping(self._url(prefix)):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    yield StoredObject(found["Key"], found["LastModified"].timestamp())

    def remove(self, prefix: str) -> None:
        """Delete all objects whose key begins so; nothing happens if there are none.

        One request each: what S3-compatible stores want of a request for many differs (MD5, CRC32).
        """
        for stored in [*self.objects(prefix)]:
            with keeping(self._url(stored.key)):
                self._client.delete_object(Bucket=self._bucket, Key=stored.key)

    def _stream(self, key: str, first: int, last: int | None) -> BinaryIO:
        """The bytes `first` to `last`, both included, or to the end of the object."""
        body, size = self._get(key, first, last)

        def again(offset: int) -> ObjectBody:
            return self._get(key, first + offset, last)[0]

        return io.BufferedReader(ResumingStream(again, size, body), READ_BUFFER_BYTES)

    def _get(self, key: str, first: int, last: int | None) -> tuple[ObjectBody, int]:
        """An answer, and how many bytes it will have."""
        request: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": key}
        if first or last is not None:  # a range of an empty object would be an error
            request["Range"] = f"bytes={first}-{'' if last is None else last}"
        url = self._url(key)
        with keeping(url):
            try:
                answer = self._client.get_object(**request)
            except ClientError as error:
                if is_missing_key(error):
                    raise FileNotFoundError(url) from error
                if is_past_the_end(error):
                    raise _PastTheEnd from error
                raise
        return ObjectBody(answer["Body"], url, keeping), answer["ContentLength"]

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


class _PastTheEnd(Exception):
    """The object has no byte at that offset."""
