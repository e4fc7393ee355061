"""Resources: what ops and sensors reach PostgreSQL, MinIO and Kafka through.

They take no configuration of their own, so no secret can show in Dagster's UI: addresses and
credentials come from `node_import.settings`, as everywhere else.
"""

from __future__ import annotations

import dagster as dg

from node_import.database import Database
from node_import.intake.report import IntakeReport
from node_import.intake.tick import intake_tick
from node_import.objects.store import ObjectStore
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.settings import settings_of_this_process


class PostgresResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The importer's database."""

    def database(self) -> Database:
        """Connections are made when they are needed."""
        return Database.from_settings(settings_of_this_process())


class MinioResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The object store, and the folders from which files may be read."""

    def store(self) -> ObjectStore:
        """A client of its own; it connects when first used."""
        return ObjectStore.from_settings(settings_of_this_process())


class KafkaResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where messages come from and go to."""

    def producer(self) -> ConfirmedProducer:
        """A producer that knows of every message whether it arrived; close it after use."""
        return ConfirmedProducer.from_settings(settings_of_this_process())

    def read_requests(self, database: Database, store: ObjectStore) -> IntakeReport:
        """One tick of intake; see `node_import.intake.tick`."""
        return intake_tick(database, settings_of_this_process(), store=store)
