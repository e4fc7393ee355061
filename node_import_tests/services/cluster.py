"""A deployment over several machines, for tests: see `machines`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import dagster as dg
import pytest
from psycopg.conninfo import conninfo_to_dict

from node_import.jobs.dispatch import Dispatch
from node_import.jobs.recovery import recover
from node_import.orchestration.dagster_runs import DagsterRuns
from node_import.orchestration.job import JOB_NAME
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.settings import Settings
from node_import.stack.environment import settings_environment
from node_import_tests.services.machines import Machine
from node_import_tests.services.topics import wait_until
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.deployment import Deployment, open_deployment
from node_import_tests.support.tenants import Tenant, rows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PATIENCE = 180.0  # seconds


@dataclass
class Cluster:
    """A deployment whose runs are executed by Celery's workers, each on a machine of its own."""

    deployment: Deployment
    folder: Path
    instance_url: str
    running: ExitStack

    def machine(self, name: str) -> Machine:
        """A new machine; whatever still runs on it is killed at the end of the test."""
        settings = settings_environment(self.deployment.settings)
        made = Machine(self.folder / name, {**settings, "DAGSTER_POSTGRES_URL": self.instance_url})
        self.running.callback(self._end, made)
        return made

    def worker(self, name: str) -> Machine:
        """A machine with a worker that is ready."""
        made = self.machine(name)
        made.start_worker(name)
        wait_until(lambda: " ready." in made.log(), PATIENCE)
        return made

    def next_due(self) -> Dispatch:
        """What the request sensor hands over next; after a death there is a pause."""
        found: list[Dispatch] = []
        wait_until(lambda: bool(found) or bool(found.extend(self.deployment.dispatch())), PATIENCE)
        [due] = found
        self.deployment.instance.add_dynamic_partitions(PARTITIONS_NAME, [due.partition_key])
        return due

    def run(self, name: str = "run") -> Machine:
        """The machine of a run that has begun."""
        made = self.machine(name)
        made.start_run(self.next_due())
        return made

    def executed_by(self, run_id: str) -> dict[str, str]:
        """The worker of each step that was begun."""
        found = {}
        for entry in self.deployment.instance.all_logs(run_id):
            event = entry.dagster_event
            if event is None or event.step_key is None or not event.is_engine_event:
                continue
            worker = event.engine_event_data.metadata.get("Celery worker")
            if worker is not None:
                found[event.step_key] = str(worker.value).partition("@")[0]
        return found

    def recover(self) -> int:
        """One tick of the recovery sensor: how many jobs went back into the queue."""
        instance = self.deployment.instance
        runs = DagsterRuns(instance, JOB_NAME)
        found = recover(self.deployment.tenant.database, self.deployment.settings, runs)
        for run_id in found.dead_runs:
            run = instance.get_run_by_id(run_id)
            assert run is not None
            instance.report_run_failed(run, "its worker gives no sign of life")
        return len(found.put_back)

    def run_ids(self) -> list[str]:
        """All runs, the newest first."""
        return [run.run_id for run in self.deployment.instance.get_runs()]

    @staticmethod
    def _end(machine: Machine) -> None:
        if machine.process is not None:
            with suppress(ProcessLookupError):
                machine.end()
            machine.process.wait(PATIENCE)


@contextmanager
def open_cluster(
    settings: Settings,
    database: TestDatabase,
    tenant: Tenant,
    storage: TestDatabase,
    s3: S3Client,
    folder: Path,
) -> Iterator[Cluster]:
    """Dagster's runs and events are in `storage`, which all machines know; none runs yet."""
    with pytest.MonkeyPatch.context() as monkeypatch, ExitStack() as stack:
        instance_url = as_url(storage.admin_dsn)
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", instance_url)
        own = Machine(folder / "test", {})
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(own.dagster_home)))
        deployment = stack.enter_context(open_deployment(settings, database, tenant, instance, s3))
        yield Cluster(deployment, folder, instance_url, stack.enter_context(ExitStack()))


def waiting_for_locks(database: TestDatabase) -> int:
    """Connections to it that wait for somebody's lock."""
    mine = "datname = current_database() AND wait_event_type = 'Lock'"
    [(count,)] = rows(database, f"SELECT count(*) FROM pg_stat_activity WHERE {mine}")
    return int(count)


def as_url(dsn: str) -> str:
    """The form that SQLAlchemy takes."""
    parts = conninfo_to_dict(dsn)
    login = f"{parts['user']}:{quote(str(parts.get('password', '')))}"
    return f"postgresql://{login}@{parts['host']}:{parts['port']}/{parts['dbname']}"
