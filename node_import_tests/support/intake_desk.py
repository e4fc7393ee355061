"""A tenant with a topic of its own, and ticks of intake for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from node_import.database import Database
from node_import.intake.report import IntakeReport
from node_import.intake.tick import Intake
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.publishing.dead_letters import DeadLetterSender, store_in_bucket
from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, make_tenant, rows


@dataclass
class Desk:
    """What a test of intake needs: settings, one tenant, its topic, and a producer of letters."""

    settings: Settings
    database: TestDatabase
    tenant: Tenant
    producer: ConfirmedProducer
    letters: DeadLetterSender = field(init=False)

    def __post_init__(self) -> None:
        store_value = store_in_bucket(self.settings)
        self.letters = DeadLetterSender(self.producer, self.settings.dlt_suffix, store_value)

    @property
    def topic(self) -> str:
        """The tenant's request topic; nobody has made it yet."""
        return f"{self.tenant.name}-users"

    @property
    def dlt(self) -> str:
        """Where its dead letters go."""
        return f"{self.topic}{self.settings.dlt_suffix}"

    def request(self, number: int = 0, **changes: Any) -> str:
        """A valid request, a list of one reference unless changed."""
        fields = {
            "domainId": str(self.tenant.domain_id),
            "groupId": "g",
            "referenceIds": [f"ref-{number}"],
        }
        return json.dumps({**fields, **changes})

    def intake(self, letters: Any = None, **changes: Any) -> Intake:
        """The engine, with `changes` of the settings, and its letters on their way by `letters`."""
        settings = self.settings.model_copy(update=changes)
        return Intake(settings, Database.from_settings(settings), letters or self.letters)

    def tick(self, **changes: Any) -> IntakeReport:
        """One tick."""
        return self.intake(**changes).tick()

    def jobs(self, columns: str = "id") -> list[tuple[Any, ...]]:
        """The job table, in the order in which the jobs came."""
        query = f"SELECT {columns} FROM nodes_import_job ORDER BY sequence_no"
        return rows(self.database, query)

    def positions(self) -> dict[tuple[str, int], int]:
        """(topic, partition) → the next offset."""
        query = "SELECT topic, partition_no, next_offset FROM intake_position"
        return {(topic, number): offset for topic, number, offset in rows(self.database, query)}


@contextmanager
def open_desk(settings: Settings, database: TestDatabase, name: str) -> Iterator[Desk]:
    """A desk whose tenant is `name`; only topics that begin so are read.

    Other tests' topics live in the same cluster.
    """
    tenant = make_tenant(Database.from_settings(settings), database, name)
    own = settings.model_copy(update={"request_topic_pattern": rf"^(?P<domain>{name}.*)-users$"})
    with ConfirmedProducer.from_settings(own, idempotent=False) as producer:
        yield Desk(own, database, tenant, producer)
