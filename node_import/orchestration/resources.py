"""Resources: what ops and sensors reach PostgreSQL, MinIO and Kafka through.

They take no configuration of their own, so no secret can show in Dagster's UI: addresses and
credentials come from `node_import.settings`, as everywhere else.
"""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from node_import.database import Database
from node_import.intake.report import IntakeReport
from node_import.intake.tick import intake_tick
from node_import.intake.waiting import wait_for_messages
from node_import.objects.client import s3_client
from node_import.objects.own_bucket import OwnBucket
from node_import.objects.store import ObjectStore
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.settings import Settings, settings_of_this_process

# One for the steps of a run, one for its heartbeat.
KEPT_CONNECTIONS = 2


class PostgresResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The importer's database."""

    def database(self) -> Database:
        """The database of this process; connections are made when they are needed."""
        return _database(settings_of_this_process())


class MinioResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The object store, and the folders from which files may be read."""

    def store(self) -> ObjectStore:
        """The store of this process; it connects when first used."""
        return store_of(settings_of_this_process())

    def check(self) -> None:
        """That the importer's bucket is there, within seconds; TransientError if it is not."""
        settings = settings_of_this_process()
        OwnBucket(s3_client(settings, patient=False), settings.s3_bucket).check()


class KafkaResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where messages come from and go to."""

    def producer(self) -> ConfirmedProducer:
        """A producer that knows of every message whether it arrived; close it after use.

        Not idempotent: that costs the first message of every run half a second, and an event is
        sent at least once whatever the producer does.
        """
        return ConfirmedProducer.from_settings(settings_of_this_process(), idempotent=False)

    def read_requests(self, database: Database, store: ObjectStore) -> IntakeReport:
        """One tick of intake; see `node_import.intake.tick`."""
        return intake_tick(database, settings_of_this_process(), store=store)

    def wait_for_requests(self, report: IntakeReport, deadline: float) -> bool:
        """Whether there is something beyond `report`; see `node_import.intake.waiting`."""
        return wait_for_messages(
            settings_of_this_process(), report.positions, deadline, resting=report.resting
        )


@lru_cache(maxsize=1)
def _database(settings: Settings) -> Database:
    """A step takes milliseconds over a connection that takes ten of them to make."""
    return Database.from_settings(settings, kept=KEPT_CONNECTIONS)


@lru_cache(maxsize=1)
def store_of(settings: Settings) -> ObjectStore:
    """Its client takes 25 ms of CPU to make and may be shared: not one for each step and tick."""
    return ObjectStore.from_settings(settings)
