"""Keeps moto's objects on disk, where they survive a restart and take no memory.

moto holds objects in memory, completes a multipart upload by joining it there three times over,
and reads a whole object for every range of it: a file of 1 GB would need 4 GB and minutes. Here
the bytes of every object and part are a file, and a small JSON file beside them says which object
they are. That file is written before the client gets its answer, and replaced in one step, so
whatever was acknowledged is there after a SIGKILL of the server. (Not after a power cut: nothing
is flushed. And versions, tags and ACLs of objects, settings of buckets, and uploads in progress
are moto's alone: they end with the process.)

    FOLDER/data/RANDOM                 bytes of an object or of a part
    FOLDER/buckets/BUCKET/SHA256.json  an object; the hash is of its key
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import moto.s3.models as moto_models
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML
from moto.s3.utils import compute_checksum
from moto.settings import S3_UPLOAD_PART_MIN_SIZE
from moto.utilities.utils import LowercaseDict

from node_import.sizes import MIB

logger = logging.getLogger(__name__)
KEPT = ("checksum_algorithm", "checksum_value", "checksum_type", "checksum_parts", "size", "etag")


@dataclass(frozen=True, slots=True)
class DataFile:
    """Bytes that already lie in the data folder."""

    path: Path


class DiskKey(moto_models.FakeKey):
    """An object or a part whose bytes are a file."""

    folder: Path

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.data = self.folder / uuid.uuid4().hex
        super().__init__(*args, **kwargs)

    @property
    def value(self) -> bytes:
        """All bytes; only moto's rarer operations ask for them."""
        return self.data.read_bytes()

    @value.setter
    def value(self, new_value: bytes | DataFile) -> None:
        if isinstance(new_value, DataFile):
            self.data = new_value.path
        else:
            self.data.write_bytes(new_value)
            self._etag = self._etag or hashlib.md5(new_value, usedforsecurity=False).hexdigest()
        self.contentsize = self.data.stat().st_size


def complete_on_disk(
    upload: moto_models.FakeMultipart, body: Iterator[tuple[int, str]]
) -> tuple[DataFile, str, tuple[str, str, int] | None]:
    """`FakeMultipart.complete`, joining files instead of bytes.

    An object-wide checksum is left out: clients verify the parts' own.
    """
    parts = list(_checked_parts(upload, body))
    joined = DataFile(DiskKey.folder / uuid.uuid4().hex)
    with joined.path.open("wb") as target:
        for part in parts:
            with part.data.open("rb") as source:
                shutil.copyfileobj(source, target, MIB)
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    etag = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    return joined, f"{etag}-{len(parts)}", _composite_checksum(upload, parts)


def _checked_parts(
    upload: moto_models.FakeMultipart, body: Iterator[tuple[int, str]]
) -> Iterator[DiskKey]:
    last = None
    for number, etag in body:
        part = upload.parts.get(number)
        if not isinstance(part, DiskKey) or part.etag.strip('"') != etag.strip('"'):
            raise InvalidPart
        if last is not None and last.contentsize < S3_UPLOAD_PART_MIN_SIZE:
            raise EntityTooSmall
        last = part
        yield part
    if last is None:
        raise MalformedXML


def _composite_checksum(
    upload: moto_models.FakeMultipart, parts: list[DiskKey]
) -> tuple[str, str, int] | None:
    algorithm = upload.metadata.get("x-amz-checksum-algorithm")
    if not algorithm or upload.metadata.get("x-amz-checksum-type") == "FULL_OBJECT":
        return None
    sums = b"".join(compute_checksum(part.value, algorithm, encode_base64=False) for part in parts)
    return "COMPOSITE", compute_checksum(sums, algorithm).decode(), len(parts)


class ObjectFolder:
    """What moto knows of buckets and objects, kept equal to what lies on disk."""

    def __init__(self, folder: Path) -> None:
        """Make moto use `folder`, and give it what an earlier process left there."""
        self._data = folder / "data"
        self._buckets = folder / "buckets"
        self._data.mkdir(parents=True, exist_ok=True)
        self._buckets.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._saved: dict[tuple[str, str], DiskKey] = {}
        self._backend = moto_models.s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        DiskKey.folder = self._data
        moto_models.FakeKey = DiskKey  # type: ignore[misc]
        moto_models.FakeMultipart.complete = complete_on_disk  # type: ignore[assignment]
        self._restore()

    def newest(self, bucket: str, key: str) -> DiskKey | None:
        """The object as moto has it now."""
        known = self._backend.buckets.get(bucket)
        found = known.keys.get(key) if known else None
        return found if isinstance(found, DiskKey) else None

    def save(self, bucket: str, key: str) -> None:
        """Put one object on disk, or take it off, as moto has it now."""
        with self._lock:
            self._save(bucket, key)

    def save_all(self) -> None:
        """The same for all buckets and objects, after a request that may have touched many."""
        with self._lock:
            known = {name: list(bucket.keys) for name, bucket in self._backend.buckets.items()}
            for bucket, keys in known.items():
                (self._buckets / bucket).mkdir(exist_ok=True)
                for key in keys:
                    self._save(bucket, key)
            for bucket, key in list(self._saved):
                self._save(bucket, key)
            for folder in self._buckets.iterdir():
                if folder.name not in known:
                    shutil.rmtree(folder)

    def _save(self, bucket: str, key: str) -> None:
        current = self.newest(bucket, key)
        before = self._saved.get((bucket, key))
        if current is before:
            return
        record = self._buckets / bucket / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
        if current is None:
            record.unlink(missing_ok=True)
            self._saved.pop((bucket, key), None)
        else:
            _forget_parts(current)
            beside = record.with_suffix(".new")
            beside.write_text(json.dumps(_record(key, current)), encoding="utf-8")
            beside.replace(record)
            self._saved[bucket, key] = current
        if before is not None:
            before.data.unlink(missing_ok=True)

    def _restore(self) -> None:
        for folder in sorted(self._buckets.iterdir()):
            bucket = self._backend.create_bucket(folder.name, "us-east-1")
            for file in folder.glob("*.json"):
                record = json.loads(file.read_text(encoding="utf-8"))
                if not (self._data / record["data"]).exists():
                    logger.warning("object %s/%s has lost its bytes", folder.name, record["key"])
                    continue
                restored = self._key(folder.name, record)
                bucket.keys.setlist(record["key"], [restored])
                self._saved[folder.name, record["key"]] = restored
        # What no record names: parts of uploads that were never completed, replaced objects.
        named = {key.data for key in self._saved.values()}
        for path in self._data.iterdir():
            if path not in named:
                path.unlink()

    def _key(self, bucket: str, record: dict[str, Any]) -> DiskKey:
        key = DiskKey(
            name=record["key"],
            bucket_name=bucket,
            value=DataFile(self._data / record["data"]),
            account_id=DEFAULT_ACCOUNT_ID,
            region_name="us-east-1",
            etag=record["etag"].strip('"'),
            version_id="null",
            checksum_value=record["checksum_value"],
            checksum_type=record["checksum_type"],
            checksum_parts=record["checksum_parts"],
        )
        key.checksum_algorithm = record["checksum_algorithm"]
        key.last_modified = datetime.fromisoformat(record["last_modified"])
        key.set_metadata(LowercaseDict(record["metadata"]))
        return key


def _record(name: str, key: DiskKey) -> dict[str, Any]:
    return {
        "key": name,
        "data": key.data.name,
        "last_modified": key.last_modified.isoformat(),
        "metadata": dict(key.metadata),
        **{field: getattr(key, field) for field in KEPT},
    }


def _forget_parts(key: DiskKey) -> None:
    """A completed upload's parts; moto would keep them beside the object."""
    if key.multipart is None:
        return
    for part in key.multipart.parts.values():
        if isinstance(part, DiskKey):
            part.data.unlink(missing_ok=True)
    key.multipart = None
