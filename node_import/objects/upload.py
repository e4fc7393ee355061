"""Writing an object while it is still being made, in bounded memory."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from node_import.objects.refusals import writing
from node_import.sizes import MIB

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

# S3 takes 10,000 parts: 160 GB, more than any reject file can have by the default limit of
# 100 GiB a source. This is also the memory that one open upload holds.
PART_BYTES = 16 * MIB


class Upload(io.RawIOBase):
    """An object in the making: one request if it is small, a multipart upload if it is not.

    Nothing is visible under the key before `complete`; `abort` leaves nothing behind.
    """

    def __init__(self, client: S3Client, bucket: str, key: str, content_type: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._content_type = content_type
        self._waiting = bytearray()
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """Take all of `data`; sends whole parts on."""
        self._waiting += data
        while len(self._waiting) > PART_BYTES:
            part = bytes(memoryview(self._waiting)[:PART_BYTES])
            del self._waiting[:PART_BYTES]
            self._send_part(part)
        return len(data)

    def complete(self) -> None:
        """Make the object visible."""
        with self._translated():
            if self._upload_id is None:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._key,
                    Body=bytes(self._waiting),
                    ContentType=self._content_type,
                )
                return
            self._send_part(bytes(self._waiting))
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
            )

    def abort(self) -> None:
        """Throw away what was sent."""
        self._waiting.clear()
        if self._upload_id is not None:
            with self._translated():
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=self._key, UploadId=self._upload_id
                )

    def _send_part(self, data: bytes) -> None:
        with self._translated():
            if self._upload_id is None:
                self._upload_id = self._client.create_multipart_upload(
                    Bucket=self._bucket, Key=self._key, ContentType=self._content_type
                )["UploadId"]
            number = len(self._parts) + 1
            answer = self._client.upload_part(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload_id,
                PartNumber=number,
                Body=data,
            )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return writing(f"s3://{self._bucket}/{self._key}")
