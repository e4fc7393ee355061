"""Tenants and their requests, for tests that need jobs in the table."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row

from node_import.contracts.identity import MessageIdentity, job_id
from node_import.contracts.node_type import NodeType
from node_import.database import Database
from node_import.jobs.inbox import add_jobs
from node_import.jobs.record import Claim, JobKind, NewJob
from node_import_tests.support.databases import TestDatabase


@dataclass
class Tenant:
    """One domain with groups; numbers its messages as one partition of its topic would."""

    database: Database
    name: str
    domain_id: UUID = field(default_factory=uuid.uuid4)
    groups: dict[str, UUID] = field(default_factory=dict)
    next_offset: int = 0

    def new_job(self, group: str = "g", *, references: int = 0, **changes: Any) -> NewJob:
        """A request that has not been written; a file import unless it has references."""
        identity = MessageIdentity("cluster", f"{self.name}-users", 0, self.next_offset, 1_000)
        self.next_offset += 1
        names = [f"ref-{number}" for number in range(references)]
        source = {"referenceIds": names} if references else {"filePath": "s3://bucket/key"}
        job = NewJob(
            id=job_id(identity),
            identity=identity,
            domain_id=self.domain_id,
            group_id=self.groups[group],
            kind=JobKind.REFERENCES if references else JobKind.FILE,
            node_type=NodeType.USER,
            request={"domainId": str(self.domain_id), "groupId": group, **source},
            reference_count=references,
            key=b"key",
            value=b"value",
            headers=b"[]",
        )
        return replace(job, **changes)

    def add(self, *jobs: NewJob) -> list[UUID]:
        """Write the jobs, and return their ids in this order."""
        with self.database.operator() as conn:
            add_jobs(conn, jobs)
        return [job.id for job in jobs]

    def file(self, group: str = "g") -> UUID:
        """A file import has come in."""
        return self.add(self.new_job(group))[0]

    def references(self, count: int = 1, group: str = "g") -> UUID:
        """A list of references has come in."""
        return self.add(self.new_job(group, references=count))[0]


def make_tenant(database: Database, admin: TestDatabase, name: str, groups: str = "g h") -> Tenant:
    """An active domain and its groups."""
    tenant = Tenant(database, name)
    with admin.connect() as conn:
        conn.execute("INSERT INTO domain (id, name) VALUES (%s, %s)", [tenant.domain_id, name])
        for group in groups.split():
            tenant.groups[group] = uuid.uuid4()
            conn.execute(
                "INSERT INTO matching_group (id, domain_id, name) VALUES (%s, %s, %s)",
                [tenant.groups[group], tenant.domain_id, group],
            )
    return tenant


def rows(database: TestDatabase, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """What is in the database, seen by the superuser."""
    with database.connect() as conn:
        return conn.execute(query, parameters).fetchall()  # type: ignore[arg-type]


def put(database: TestDatabase, job_id: UUID, **columns: object) -> None:
    """Put a job into a state, as the superuser."""
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns
    )
    statement = sql.SQL("UPDATE nodes_import_job SET {} WHERE id = {}")
    with database.connect() as conn:
        conn.execute(
            statement.format(assignments, sql.Placeholder("job_id")), columns | {"job_id": job_id}
        )


def one(database: TestDatabase, query: str, *parameters: object) -> dict[str, Any]:
    """The only row of a query, under its column names."""
    with database.connect() as conn:
        [row] = conn.cursor(row_factory=dict_row).execute(query, parameters).fetchall()  # type: ignore[arg-type]
        return row


def job_row(database: TestDatabase, job_id: UUID) -> dict[str, Any]:
    """A job's whole row."""
    return one(database, "SELECT * FROM nodes_import_job WHERE id = %s", job_id)


def load_slice(
    database: TestDatabase, claim: Claim, slice_no: int, *, inserted: int = 0, duplicate: int = 0
) -> None:
    """A ledger row, as a slice of version `v` by plan `p` would leave it."""
    with database.connect() as conn:
        conn.execute(
            "INSERT INTO import_ledger (job_id, domain_id, object_version, plan_fingerprint,"
            " slice_no, inserted_nodes, duplicate_nodes, dagster_run_id, attempt)"
            " VALUES (%s, %s, 'v', 'p', %s, %s, %s, %s, %s)",
            [
                claim.job_id,
                claim.domain_id,
                slice_no,
                inserted,
                duplicate,
                claim.dagster_run_id,
                claim.attempt,
            ],
        )
