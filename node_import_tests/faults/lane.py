"""The services of one lane: real ones, each behind a proxy, to be stopped, killed, started again.

Everything lives as long as the lane; what a case needs for itself is in its `World`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import dagster as dg
import psutil
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from node_import.stack.child import Child, Guardian
from node_import.stack.layout import PASS_THROUGH
from node_import.stack.ports import LOOPBACK
from node_import_tests.faults.proxy import Network, Proxy
from node_import_tests.services.certificates import Authority, Certificate
from node_import_tests.services.kafka import KafkaBroker
from node_import_tests.services.minio import MinioServer
from node_import_tests.services.postgres import PostgresCluster
from node_import_tests.services.running import free_ports
from node_import_tests.support.databases import DatabaseFactory, TestDatabase

POSTGRES_MAJOR = 18
# Dagster connects anew for each event: to look for missing tables, and to prove a password, would
# take most of the time of a short run.
INSTANCE = """\
storage:
  postgres:
    postgres_url:
      env: DAGSTER_POSTGRES_URL
    should_autocreate_tables: %s
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
telemetry:
  enabled: false
"""
TRUST = "host all all 127.0.0.1/32 trust\n"
IMPORTER_PASSWORD = "importer-of-the-fault-suite"
PATIENCE = 60.0  # seconds


class Server(Protocol):
    """What Kafka, MinIO and PostgreSQL have in common."""

    child: Child

    def wait_until_ready(self) -> None:
        """Until it answers."""


class ProxiedBroker(KafkaBroker):
    """Kafka with one more listener, which sends its clients to the proxy: see facts of Kafka.

    A client leaves the address that it was given for the one that the broker advertises.
    """

    def __init__(
        self, folder: Path, ports: Sequence[int], certificate: Certificate, own: int, proxy: int
    ) -> None:
        self._own, self._proxy = own, proxy
        super().__init__(folder, ports, certificate)

    def _settings(self) -> dict[str, str]:
        settings = super()._settings()
        settings["listeners"] += f",PROXIED://{LOOPBACK}:{self._own}"
        settings["advertised.listeners"] += f",PROXIED://{LOOPBACK}:{self._proxy}"
        settings["listener.security.protocol.map"] += ",PROXIED:PLAINTEXT"
        # Two requests' topics of every case; nobody looks at balance in here.
        return settings | {"num.partitions": "1", "log.segment.bytes": "1048576"}


@dataclass
class Service:
    """A server and the network in front of it."""

    name: str
    server: Server
    proxy: Proxy
    guard: Guardian
    # Two faults may want the same service at once: the second finds it down, or up.
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def stop(self) -> None:
        """As an operator does; of PostgreSQL this is a fast shutdown."""
        with self._lock:
            self.server.child.stop(self.guard)

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        self._end(signal.SIGKILL)

    def stop_at_once(self) -> None:
        """SIGQUIT: PostgreSQL's `immediate` stop, which leaves recovery to the next start."""
        self._end(signal.SIGQUIT, leader_only=True)

    def start(self) -> None:
        """Start it (again), unless it runs, and wait until it answers."""
        with self._lock:
            if not self.is_up():
                self.server.child.start(self.guard)
                self.server.wait_until_ready()

    def is_up(self) -> bool:
        """Whether its process runs."""
        return self.server.child.is_running()

    def ensure_up(self) -> None:
        """Whatever was done to it is undone."""
        self.proxy.mend()
        self.start()

    def _end(self, number: int, *, leader_only: bool = False) -> None:
        with self._lock:
            if self.is_up():
                self._end_now(number, leader_only=leader_only)

    def _end_now(self, number: int, *, leader_only: bool) -> None:
        child = self.server.child
        assert child.pid is not None
        leader = psutil.Process(child.pid)
        # A backend that outlives its postmaster would keep the next one from starting.
        family = [leader, *leader.children(recursive=True)]
        with suppress(ProcessLookupError):
            (os.kill if leader_only else os.killpg)(child.pid, number)
        deadline = time.monotonic() + PATIENCE
        # A process whose first thread is gone shows as a zombie while others are still dying.
        while child.is_running() or any(_runs(process) for process in family):
            assert time.monotonic() < deadline, f"{self.name} does not die"
            time.sleep(0.01)


@dataclass
class Lane:
    """Addresses with `proxy` in their name lead through the proxies."""

    folder: Path
    kafka: Service
    minio: Service
    postgres: Service
    databases: DatabaseFactory
    dagster_databases: DagsterDatabases
    s3_access_key: str
    s3_secret_key: str
    kafka_bootstrap: str
    s3_endpoint: str

    @property
    def services(self) -> tuple[Service, ...]:
        """All three."""
        return self.kafka, self.minio, self.postgres

    @property
    def kafka_proxy_bootstrap(self) -> str:
        """For the importer."""
        return f"{LOOPBACK}:{self.kafka.proxy.port}"

    @property
    def s3_proxy_endpoint(self) -> str:
        """For the importer."""
        return f"http://{LOOPBACK}:{self.minio.proxy.port}"

    def through_proxy(self, dsn: str) -> str:
        """The same database, for the importer."""
        parts = {**conninfo_to_dict(dsn), "port": str(self.postgres.proxy.port)}
        return make_conninfo("", **parts)

    def url_of(self, database: TestDatabase, *, proxy: bool = False) -> str:
        """The database as SQLAlchemy wants it."""
        return as_url(self.through_proxy(database.admin_dsn) if proxy else database.admin_dsn)

    def ensure_up(self) -> None:
        """All services run, and nothing is in their way."""
        for service in self.services:
            service.ensure_up()


class DagsterDatabases(DatabaseFactory):
    """Databases with Dagster's tables, which take a second to make: copies of one."""

    def __init__(self, admin_dsn: str, home: Path) -> None:
        super().__init__(admin_dsn, IMPORTER_PASSWORD)
        self._home = home

    def migrate_template(self) -> None:
        """Let Dagster make its tables."""
        template = self._database(self._template)
        self._execute("CREATE DATABASE {}", sql.Identifier(self._template))
        write_instance(self._home, makes_tables=True)
        with open_instance(self._home, as_url(template.admin_dsn)) as instance:
            instance.get_runs(limit=1)
            instance.all_instigator_state()
            instance.get_dynamic_partitions("none")


def write_instance(home: Path, *, makes_tables: bool = False) -> None:
    """A DAGSTER_HOME whose database the environment names."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(INSTANCE % str(makes_tables).lower())


@contextmanager
def open_instance(home: Path, url: str) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance over that database."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
        instance = dg.DagsterInstance.from_config(str(home))
    with instance:
        yield instance


def as_url(dsn: str) -> str:
    """The form that SQLAlchemy takes."""
    parts = conninfo_to_dict(dsn)
    login = f"{parts['user']}:{quote(str(parts.get('password', '')))}"
    return f"postgresql://{login}@{parts['host']}:{parts['port']}/{parts['dbname']}"


@contextmanager
def open_lane(folder: Path) -> Iterator[Lane]:
    """Start everything in `folder`.

    Raises:
        UsageError: a program is missing on this machine.
        StartFailed: one of the services does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(PASS_THROUGH)
    authority = Authority()
    ports = free_ports(11)
    broker = ProxiedBroker(folder / "kafka", ports[:4], authority.issue(), ports[4], ports[8])
    minio = MinioServer(folder / "minio", (ports[5], ports[6]))
    cluster = PostgresCluster(folder / "postgres", POSTGRES_MAJOR, ports[7], authority.issue())
    with ExitStack() as stack:
        guard = stack.enter_context(Guardian())
        network = Network()
        stack.callback(network.close)
        for server in (broker, minio, cluster):
            stack.callback(server.child.stop, guard)
            server.launch(guard)
        for server in (broker, minio, cluster):
            server.wait_until_ready()
        _trust_loopback(cluster, folder / "postgres")
        databases = DatabaseFactory(cluster.admin_dsn, IMPORTER_PASSWORD)
        databases.migrate_template()
        dagster_databases = DagsterDatabases(cluster.admin_dsn, folder / "dagster")
        dagster_databases.migrate_template()
        services = []
        for name, server, port, own in (
            ("Kafka", broker, ports[8], ports[4]),
            ("MinIO", minio, ports[9], ports[5]),
            ("PostgreSQL", cluster, ports[10], ports[7]),
        ):
            proxy = Proxy(network, port, own)
            stack.callback(proxy.close)
            services.append(Service(name, server, proxy, guard))
        yield Lane(
            folder,
            *services,
            databases=databases,
            dagster_databases=dagster_databases,
            s3_access_key=minio.access_key,
            s3_secret_key=minio.secret_key,
            kafka_bootstrap=broker.bootstrap_servers,
            s3_endpoint=minio.endpoint_url,
        )


def _trust_loopback(cluster: PostgresCluster, folder: Path) -> None:
    (folder / "data" / "pg_hba.conf").write_text(TRUST)
    assert cluster.child.pid is not None
    os.kill(cluster.child.pid, signal.SIGHUP)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
