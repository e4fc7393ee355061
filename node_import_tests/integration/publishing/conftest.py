"""Closed jobs whose events wait in the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity, job_id
from node_import.contracts.message import encode_headers
from node_import.contracts.status_message import ReferenceLists
from node_import.database import Database
from node_import.jobs.claiming import claim_partition
from node_import.jobs.closing import close
from node_import.jobs.inbox import reopen
from node_import.jobs.outcome import JobOutcome
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, make_tenant, put

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Outbox:
    """One tenant whose jobs fail, or complete without rows."""

    settings: Settings
    database: TestDatabase
    importer: Database
    tenant: Tenant

    @property
    def dlt(self) -> str:
        return f"{self.tenant.name}-users-dlt"

    def job(self) -> UUID:
        """A file import has come in, with all that a message can have."""
        headers = (("traceparent", TRACE.encode()), ("x", None))
        identity = MessageIdentity(
            "cluster", f"{self.tenant.name}-users", 0, self.tenant.next_offset, 1_000
        )
        job = replace(
            self.tenant.new_job(),
            id=job_id(identity),
            identity=identity,
            traceparent=TRACE,
            headers=encode_headers(headers),
        )
        return self.tenant.add(job)[0]

    def close(self, job: UUID, failure: tuple[ErrorCode, str] | None = None) -> None:
        """One attempt of it ends; an attempt that follows another begins with a replay."""
        with self.importer.operator() as conn:
            reopen(conn, job, self.tenant.domain_id)
        put(self.database, job, partition_key=str(job))
        claimed = claim_partition(
            self.importer, str(job), str(uuid4()), run_is_live=lambda _: False
        )
        lists = ReferenceLists(("ok-é",), ("bad",))
        with self.importer.connect() as conn:
            close(conn, claimed.claimed[0][1], JobOutcome(failure=failure, lists=lists))


@pytest.fixture
def outbox(settings: Settings, database: TestDatabase, unique_name: Callable[[str], str]) -> Outbox:
    """A fresh database with one tenant."""
    importer = Database.from_settings(settings)
    return Outbox(settings, database, importer, make_tenant(importer, database, unique_name("a")))


@pytest.fixture
def producer(settings: Settings) -> Iterator[ConfirmedProducer]:
    """A producer as the tick has it; the idempotent one is tried where it matters."""
    with ConfirmedProducer.from_settings(settings, idempotent=False) as made:
        yield made
