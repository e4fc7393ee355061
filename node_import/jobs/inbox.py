"""The inbox: accepted requests become jobs, each message once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from uuid import UUID

from psycopg.types.json import Jsonb

from node_import.contracts.identity import MessageIdentity
from node_import.database import Connection
from node_import.jobs.record import NewJob
from node_import.sizes import MIB
from node_import.sql import statements

# A message may have 1 MB: bounds what one statement sends. 5,000 small jobs take 0.2 s.
STATEMENT_JOBS = 1_000
STATEMENT_BYTES = 8 * MIB


def add_jobs(conn: Connection, jobs: Sequence[NewJob]) -> set[UUID]:
    """Write `jobs` as PENDING and return the ids that are new; a known message changes nothing.

    Runs inside the caller's operator transaction, so that positions move with the jobs.
    """
    statement = statements("jobs.sql")["add_jobs"]
    added: set[UUID] = set()
    for part in _parts(in_message_order(jobs)):
        added.update(row["id"] for row in conn.execute(statement, _columns(part)))
    return added


def reopen(conn: Connection, job_id: UUID, domain_id: UUID, *, handed_over: bool = False) -> bool:
    """FAILED → PENDING, due at once, with as many lives as a new job; False changes nothing.

    False: there is no such job, it belongs to another tenant, or it is not FAILED. The job keeps
    its partition key and its attempts. With `handed_over` the caller launches the partition
    itself (a backfill), and dispatch leaves the job alone for as long as that may take. Whether
    an old file may come again is the caller's question (`node_import.jobs.superseding`).
    """
    statement = statements("jobs.sql")["reopen_job"]
    parameters = {"job_id": job_id, "domain_id": domain_id, "handed_over": handed_over}
    return conn.execute(statement, parameters).fetchone() is not None


def in_message_order(jobs: Iterable[NewJob]) -> list[NewJob]:
    """Offset order within a partition; across partitions by time, as far as that allows."""
    streams: dict[tuple[str, str, int], list[NewJob]] = {}
    for job in jobs:
        identity = job.identity
        stream = (identity.cluster_id, identity.topic, identity.partition)
        streams.setdefault(stream, []).append(job)
    timed = (_with_times(sorted(stream, key=_offset)) for stream in streams.values())
    return [job for _, _, job in heapq.merge(*timed, key=lambda entry: entry[:2])]


def _with_times(stream: list[NewJob]) -> Iterator[tuple[int, MessageIdentity, NewJob]]:
    """Producers' clocks differ: a message counts as no older than the one before it."""
    times = accumulate((job.identity.timestamp_ms for job in stream), max)
    return ((time, job.identity, job) for time, job in zip(times, stream, strict=True))


def _offset(job: NewJob) -> int:
    return job.identity.offset


def _parts(jobs: Iterable[NewJob]) -> Iterator[list[NewJob]]:
    part: list[NewJob] = []
    size = 0
    for job in jobs:
        part.append(job)
        size += sum(len(data) for data in (job.key, job.value, job.headers) if data)
        if len(part) >= STATEMENT_JOBS or size >= STATEMENT_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _columns(jobs: Sequence[NewJob]) -> dict[str, list[object]]:
    """The jobs turned over: an array for each column of the statement."""
    return {
        "ids": [job.id for job in jobs],
        "domain_ids": [job.domain_id for job in jobs],
        "group_ids": [job.group_id for job in jobs],
        "kinds": [job.kind.value for job in jobs],
        "node_types": [job.node_type.value for job in jobs],
        "reference_counts": [job.reference_count for job in jobs],
        "requests": [Jsonb(job.request) for job in jobs],
        "traceparents": [job.traceparent for job in jobs],
        "clusters": [job.identity.cluster_id for job in jobs],
        "topics": [job.identity.topic for job in jobs],
        "partitions": [job.identity.partition for job in jobs],
        "offsets": [job.identity.offset for job in jobs],
        "timestamps": [job.identity.timestamp_ms for job in jobs],
        "keys": [job.key for job in jobs],
        "values": [job.value for job in jobs],
        "headers": [job.headers for job in jobs],
    }
