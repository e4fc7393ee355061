"""A staging area in the object store, for workers that share no disk."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO

from node_import.objects.store import ObjectStore

STAGING_PREFIX = "staging/"


class ObjectStagingArea:
    """Objects `staging/AREA/NAME` of the importer's bucket; see `StagingArea`.

    A range of a segment is one request. A worker that dies while it writes more than
    `objects.upload.PART_BYTES` leaves an unfinished multipart upload, which no listing shows: let
    the bucket end those by a lifecycle rule (MinIO does so by itself after a day).
    """

    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store = store
        self._prefix = f"{STAGING_PREFIX}{name}/"

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See `StagingArea.write`; an object appears whole or not at all."""
        return self._store.write(self._prefix + name, "application/octet-stream")

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `StagingArea.read`."""
        return self._store.own.read(self._prefix + name, offset, length)

    def open(self, name: str) -> BinaryIO:
        """See `StagingArea.open`."""
        return self._store.own.open(self._prefix + name)

    def remove(self) -> None:
        """See `StagingArea.remove`."""
        self._store.own.remove(self._prefix)
