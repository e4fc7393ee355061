"""From the arguments of `submit` to the request that it publishes."""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node_import.cli.output import note, progress
from node_import.errors import UsageError

if TYPE_CHECKING:
    from node_import.jobs.tenants import Domain, Group
    from node_import.settings import Settings

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONTENT_TYPES = {".gz": "application/gzip", ".zst": "application/zstd", ".csv": "text/csv"}
_INTO_A_FILE = (
    "write the references into a CSV file under the header reference_id and submit it with --file"
)


def is_url(source: str) -> bool:
    """Whether `source` is a URL, and not a path of this machine."""
    return _URL.match(source) is not None


def file_request(settings: Settings, domain: Domain, group: Group, source: str) -> dict[str, Any]:
    """The request to import `source`: a URL as it stands, or a local file.

    A file inside one of NODE_IMPORT_FILE_ROOTS is named by its path; any other is uploaded to the
    importer's bucket first.
    """
    name = Path(source).name
    return {
        **_addressee(domain, group),
        "filePath": source if is_url(source) else _path_or_upload(settings, domain, source),
        "fileName": name,
        "contentType": _CONTENT_TYPES.get(Path(name).suffix.lower(), "application/octet-stream"),
    }


def reference_request(domain: Domain, group: Group, references: Sequence[str]) -> dict[str, Any]:
    """The request to import nodes that have nothing but a reference."""
    if not references:
        message = "there are no references; give one a line in the file, or --ref"
        raise UsageError(message)
    return {**_addressee(domain, group), "referenceIds": list(references)}


def read_references(source: str) -> list[str]:
    """One reference a line, from a file or, for `-`, standard input; empty lines are skipped."""
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        lines = data.decode("utf-8-sig").split("\n")
    except OSError as error:
        message = f"cannot read {source}: {error.strerror}"
        raise UsageError(message) from error
    except UnicodeDecodeError as error:
        message = f"{source} is not UTF-8 (byte {error.start})"
        raise UsageError(message) from error
    return [line for line in (line.removesuffix("\r") for line in lines) if line]


def encoded(request: dict[str, Any]) -> bytes:
    """The message's value. UsageError if Kafka would not take it."""
    from node_import.contracts.node_exchange import MAX_MESSAGE_BYTES

    try:
        value = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        message = "an argument is not UTF-8, and messages are"
        raise UsageError(message) from None
    if len(value) > MAX_MESSAGE_BYTES:
        message = (
            f"the request has {len(value):,} bytes and a message holds {MAX_MESSAGE_BYTES:,}; "
            + _INTO_A_FILE
        )
        raise UsageError(message)
    return value


def _addressee(domain: Domain, group: Group) -> dict[str, Any]:
    return {"domainId": str(domain.id), "groupId": str(group.id)}


def _path_or_upload(settings: Settings, domain: Domain, source: str) -> str:
    from node_import.objects.location import root_of

    path = Path(source).expanduser()
    resolved = path.resolve()
    if root_of(resolved, settings.file_roots) is not None:
        return str(resolved)
    if not path.is_file():
        problem = "is no regular file" if path.exists() else "does not exist"
        message = f"the file {source} {problem}; give a path, or a URL such as s3://bucket/key"
        raise UsageError(message)
    return upload(settings, domain, path)


def upload(settings: Settings, domain: Domain, path: Path) -> str:
    """Put a local file into the importer's bucket and return its URL."""
    from node_import.objects.store import ObjectStore

    store = ObjectStore.from_settings(settings)
    store.ensure_bucket()
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = path.name.encode("utf-8", "replace").decode("utf-8")
    key = f"uploads/{domain.name}/{moment}-{uuid.uuid4().hex[:8]}/{name}"
    size = path.stat().st_size
    with progress() as bars:
        bar = bars.add_task(f"uploading {path.name}", total=size, detail=f"{size:,} bytes")
        url = store.upload(path, key, on_progress=lambda sent: bars.advance(bar, sent))
    note(f"uploaded {path.name} to {url}")
    return url
