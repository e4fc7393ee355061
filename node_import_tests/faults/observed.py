"""What is there: tables, topics, objects; read by plain clients, by no code of the importer."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from psycopg.rows import dict_row

from node_import_tests.faults.model import Node
from node_import_tests.faults.world import World
from node_import_tests.support.kafka_messages import Received, read_topic

Place: TypeAlias = tuple[str, int]
"""Topic and offset of a request; its partition is 0."""

COUNTS = ("inserted", "updated", "unchanged", "duplicate", "rejected", "failed")


@dataclass(frozen=True, slots=True)
class Event:
    """A final event as it lies on the status topic, at the first of its deliveries."""

    ce_id: str
    value: Mapping[str, Any]
    offset: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: of which message, why, and how often it lies there."""

    place: Place
    code: str
    job_id: str | None
    attempts: int
    value: bytes | None
    key: bytes | None


@dataclass
class Observed:
    """Everything that a comparison needs."""

    jobs: dict[Place, dict[str, Any]]
    nodes: dict[UUID, dict[str, Node]]
    ledger: dict[UUID, list[dict[str, Any]]]
    outbox: dict[UUID, list[dict[str, Any]]]
    letters_kept: dict[UUID, list[dict[str, Any]]]
    events: dict[str, list[Event]]
    letters: list[Letter]
    oddities: list[str] = field(default_factory=list)


def observe(world: World) -> Observed:
    """Read it all; everything must be up."""
    with world.database.connect() as conn:
        cursor = conn.cursor(row_factory=dict_row)
        jobs = cursor.execute("SELECT * FROM nodes_import_job ORDER BY sequence_no").fetchall()
        nodes = cursor.execute("SELECT * FROM nodes").fetchall()
        metadata = cursor.execute("SELECT * FROM node_metadata").fetchall()
        ledger = cursor.execute("SELECT * FROM import_ledger ORDER BY slice_no").fetchall()
        outbox = cursor.execute("SELECT * FROM job_status_event ORDER BY sequence_no").fetchall()
        letters = cursor.execute("SELECT * FROM job_dead_letter ORDER BY sequence_no").fetchall()
    observed = Observed(
        jobs={(row["message_topic"], row["message_offset"]): row for row in jobs},
        nodes=_nodes(nodes, metadata),
        ledger=_by_job(ledger),
        outbox=_by_job(outbox),
        letters_kept=_by_job(letters),
        events=_events(read_topic(world.direct, world.settings.status_topic)),
        letters=[
            _letter(message)
            for domain in world.tenants
            for message in read_topic(world.direct, world.topic(domain) + world.settings.dlt_suffix)
        ],
    )
    observed.oddities += _oddities(jobs, nodes, metadata)
    return observed


def _nodes(
    nodes: list[dict[str, Any]], metadata: list[dict[str, Any]]
) -> dict[UUID, dict[str, Node]]:
    values: dict[UUID, dict[str, str]] = defaultdict(dict)
    for row in metadata:
        values[row["node_id"]][row["metadata_key"]] = row["metadata_value"]
    groups: dict[UUID, dict[str, Node]] = defaultdict(dict)
    for row in nodes:
        pairs = tuple(sorted(values[row["id"]].items()))
        groups[row["group_id"]][row["reference_id"]] = (row["type"], pairs)
    return groups


def _by_job(rows: list[dict[str, Any]]) -> dict[UUID, list[dict[str, Any]]]:
    grouped: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["job_id"]].append(row)
    return grouped


def _events(messages: list[Received]) -> dict[str, list[Event]]:
    """The events of each job, in the order of their first delivery."""
    found: dict[str, dict[str, Event]] = defaultdict(dict)
    for message in messages:
        ce_id = (message.header("ce_id") or b"").decode()
        job = (message.key or b"").decode()
        value = json.loads(message.value or b"{}")
        known = found[job].get(ce_id)
        if known is None:
            found[job][ce_id] = Event(ce_id, value, message.offset, 1)
        else:
            assert known.value == value, f"two deliveries of event {ce_id} differ"
            found[job][ce_id] = Event(ce_id, value, known.offset, known.deliveries + 1)
    return {job: list(events.values()) for job, events in found.items()}


def _letter(message: Received) -> Letter:
    def text(name: str) -> str:
        return (message.header(name) or b"").decode()

    headers = dict(message.headers)
    job_id = headers.get("node-import-job-id")
    offset = int.from_bytes(message.header("kafka_dlt-original-offset") or b"", "big", signed=True)
    return Letter(
        place=(text("kafka_dlt-original-topic"), offset),
        code=text("node-import-error-code"),
        job_id=job_id.decode() if job_id else None,
        attempts=int(text("node-import-attempts")),
        value=message.value,
        key=message.key,
    )


def _oddities(
    jobs: list[dict[str, Any]], nodes: list[dict[str, Any]], metadata: list[dict[str, Any]]
) -> list[str]:
    """What must never be, whatever was asked for."""
    odd = []
    owners = {row["id"]: row["domain_id"] for row in nodes}
    for row in metadata:
        if row["node_id"] not in owners:
            odd.append(f"metadata of no node: {row['node_id']} {row['metadata_key']}")
        elif owners[row["node_id"]] != row["domain_id"]:
            odd.append(f"metadata of another tenant's node: {row['node_id']}")
    for row in jobs:
        counts = {name: row[f"{name}_nodes"] for name in COUNTS}
        processed = sum(counts.values()) - counts["rejected"] - counts["failed"]
        if sum(counts.values()) != row["total_nodes"] or processed != row["processed_nodes"]:
            odd.append(
                f"the counts of job {row['id']} do not add up: {counts} {row['total_nodes']}"
            )
        if sum(row["rejects_by_code"].values()) != counts["rejected"]:
            odd.append(f"job {row['id']}: {row['rejects_by_code']} of {counts['rejected']} rejects")
    return odd
