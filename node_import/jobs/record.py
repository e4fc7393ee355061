"""A job as it lies in `nodes_import_job`, without the bytes of its message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.node_type import NodeType


class JobStatus(StrEnum):
    """Where a job stands; its value is what the table and the status message say."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class JobKind(StrEnum):
    """Whether a request names a file or lists references."""

    FILE = "file"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class NewJob:
    """An accepted request, on its way into the inbox.

    `request` is the message as it was decoded; `key`, `value` and `headers` are its bytes, for a
    dead letter. `reference_count` is the length of its list, 0 for a file.
    """

    id: UUID
    identity: MessageIdentity
    domain_id: UUID
    group_id: UUID
    kind: JobKind
    node_type: NodeType
    request: Mapping[str, Any]
    reference_count: int = 0
    traceparent: str | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: bytes | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One row of `nodes_import_job`."""

    id: UUID
    identity: MessageIdentity
    domain_id: UUID
    group_id: UUID
    kind: JobKind
    node_type: NodeType
    request: Mapping[str, Any]
    reference_count: int
    status: JobStatus
    attempt: int
    total_nodes: int
    processed_nodes: int
    failure_code: ErrorCode | None
    failure_reason: str | None
    started_at: datetime | None
    finished_at: datetime | None
    partition_key: str | None
    dispatch_no: int
    died_runs: int
    dagster_run_id: str | None
    source_url: str | None
    object_version: str | None
    plan_fingerprint: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Job:
        """The job of a row that has at least the columns of `JOB_COLUMNS`."""
        plain = {name: row[name] for name in _PLAIN_COLUMNS}
        code = row["failure_code"]
        return cls(
            identity=MessageIdentity(*(row[name] for name in _IDENTITY_COLUMNS)),
            kind=JobKind(row["kind"]),
            node_type=NodeType(row["node_type"]),
            status=JobStatus(row["status"]),
            failure_code=ErrorCode(code) if code is not None else None,
            **plain,
        )


_IDENTITY_COLUMNS = (
    "message_cluster",
    "message_topic",
    "message_partition",
    "message_offset",
    "message_timestamp",
)
_ENUM_COLUMNS = ("kind", "node_type", "status", "failure_code")
_PLAIN_COLUMNS = tuple(name for name in Job.__slots__ if name not in {"identity", *_ENUM_COLUMNS})
JOB_COLUMNS = (*_PLAIN_COLUMNS, *_ENUM_COLUMNS, *_IDENTITY_COLUMNS)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of one run to work on one job. It holds while the job's row says the same."""

    job_id: UUID
    domain_id: UUID
    dagster_run_id: str
    attempt: int
