"""`NodesTransferJobExchange`, the answer: its value, its lists within a size, its headers.

The value is JSON as in `schemas/nodes_transfer_job_exchange.json`. CloudEvents attributes come
beside it as headers, in the binary mode of the CloudEvents 1.0 Kafka binding.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any, Literal
from uuid import UUID

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.message import Headers

JobEnd = Literal["COMPLETED", "FAILED"]

CE_TYPE_PREFIX = "node-import.nodes-transfer-job"

# The contract's fields first and in its order, then the additional ones.
FIELD_ORDER = (
    "jobId",
    "groupId",
    "domainId",
    "status",
    "processed",
    "total",
    "successList",
    "failedList",
    "successListTruncated",
    "failedListTruncated",
    "resultUrl",
    "rejectsUrl",
    "failureCode",
    "failureReason",
    "attempt",
    "startedAt",
    "finishedAt",
)


@dataclass(frozen=True, slots=True)
class ReferenceLists:
    """The two lists as a message carries them: whole, or cut and said to be."""

    success: Sequence[str] = ()
    failed: Sequence[str] = ()
    success_truncated: bool = False
    failed_truncated: bool = False

    @property
    def truncated(self) -> bool:
        """Whether the message needs a `resultUrl`."""
        return self.success_truncated or self.failed_truncated


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """How one attempt of a job ended. `group_id` is what the request called the group."""

    job_id: UUID
    group_id: str
    domain_id: UUID
    status: JobEnd
    processed: int
    total: int
    attempt: int
    lists: ReferenceLists = ReferenceLists()
    result_url: str | None = None
    rejects_url: str | None = None
    failure_code: ErrorCode | None = None
    failure_reason: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def details(self) -> dict[str, Any]:
        """Every field of the value but the two lists, as the outbox keeps them.

        Fields without a value are left out; `resultUrl` stands only beside a cut list.
        """
        fields = {
            "jobId": str(self.job_id),
            "groupId": self.group_id,
            "domainId": str(self.domain_id),
            "status": self.status,
            "processed": self.processed,
            "total": self.total,
            "successListTruncated": self.lists.success_truncated,
            "failedListTruncated": self.lists.failed_truncated,
            "resultUrl": self.result_url if self.lists.truncated else None,
            "rejectsUrl": self.rejects_url,
            "failureCode": self.failure_code,
            "failureReason": self.failure_reason,
            "attempt": self.attempt,
            "startedAt": _timestamp(self.started_at),
            "finishedAt": _timestamp(self.finished_at),
        }
        return {name: value for name, value in fields.items() if value is not None}

    def value(self) -> bytes:
        """The message's value."""
        return encode_status_value(self.details(), self.lists.success, self.lists.failed)


def encode_status_value(
    details: Mapping[str, Any], success: Sequence[str], failed: Sequence[str]
) -> bytes:
    """The value of a status message, from what the outbox keeps of it.

    `details` is `StatusMessage.details()`, in any order: jsonb forgets it.
    """
    fields = {**details, "successList": list(success), "failedList": list(failed)}
    ordered = {name: fields[name] for name in FIELD_ORDER if name in fields}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def fit_lists(success: Iterable[str], failed: Iterable[str], max_bytes: int) -> ReferenceLists:
    """The two lists within `max_bytes` together, as JSON: whole if they fit, else each cut.

    They may be longer than memory: they are read only as far as the room reaches.
    What failed is what somebody has to look at, so it may take half of the room, and more if
    the other list leaves it.
    """
    succeeded, some_failed = _take(success, max_bytes), _take(failed, max_bytes)
    some_failed = some_failed.within(max(max_bytes - succeeded.size, max_bytes // 2))
    succeeded = succeeded.within(max_bytes - some_failed.size)
    return ReferenceLists(succeeded.entries, some_failed.entries, succeeded.cut, some_failed.cut)


@dataclass(frozen=True, slots=True)
class _Taken:
    """The first entries of a list, their bytes in JSON with a comma each, and if any is missing."""

    entries: list[str]
    size: int
    cut: bool

    def within(self, max_bytes: int) -> _Taken:
        return self if self.size <= max_bytes else _take(self.entries, max_bytes)


def _take(entries: Iterable[str], max_bytes: int) -> _Taken:
    taken: list[str] = []
    total = 0
    for entry in entries:
        size = len(encode_basestring(entry).encode("utf-8")) + 1
        if total + size > max_bytes:
            return _Taken(taken, total, cut=True)
        taken.append(entry)
        total += size
    return _Taken(taken, total, cut=False)


def cloud_event_headers(
    *, event_id: UUID, domain_id: UUID, status: str, time: datetime, traceparent: str | None
) -> Headers:
    """CloudEvents 1.0 attributes as Kafka headers, the same at every delivery of the event."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(event_id),
        "ce_source": f"/node-import/domains/{domain_id}",
        "ce_type": f"{CE_TYPE_PREFIX}.{status.lower()}",
        "ce_time": _timestamp(time),
        "content-type": "application/json",
        "traceparent": traceparent,
    }
    return tuple(
        (name, value.encode("utf-8")) for name, value in headers.items() if value is not None
    )


def _timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, `2024-12-12T09:30:00.123Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
