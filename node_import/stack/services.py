"""PostgreSQL, Kafka and S3 without Dagster: what `stack up` starts first, and what tests use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node_import.stack.child import Child, Guardian
from node_import.stack.credentials import stored_credentials
from node_import.stack.kafka import KafkaCluster
from node_import.stack.layout import Layout
from node_import.stack.ports import Ports, choose_ports, remembered_ports
from node_import.stack.postgres import PostgresServer
from node_import.stack.s3 import BUCKETS, REGION, ObjectStore


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the three services are and how to get in."""

    postgres_admin_dsn: str = field(repr=False)
    postgres_importer_dsn: str = field(repr=False)
    dagster_dsn: str = field(repr=False)
    kafka_bootstrap_servers: str
    s3_endpoint_url: str
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    s3_region: str = REGION
    s3_bucket: str = BUCKETS[0]


class Services:
    """The three services on one data directory, as a context manager.

        with Services(tmp_path) as services:
            psycopg.connect(services.endpoints.postgres_admin_dsn)

    The services end with this process, also when it is killed; Kafka lives in it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        ports: Ports | None = None,
        postgres_settings: Mapping[str, str] | None = None,
        buckets: Iterable[str] = BUCKETS,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._layout = Layout(data_dir.absolute())
        self._layout.create()
        self._on_progress = on_progress
        self._buckets = tuple(buckets)
        self.ports = choose_ports(ports or remembered_ports(self._layout))
        self._credentials = stored_credentials(self._layout)
        self.guard = Guardian()
        self.postgres = PostgresServer(
            self._layout, self.ports.postgres, self._credentials, postgres_settings
        )
        self.kafka = KafkaCluster()
        self.s3 = ObjectStore(self._layout, self.ports.s3, self._credentials)

    @property
    def endpoints(self) -> Endpoints:
        """Valid while the services run."""
        return Endpoints(
            postgres_admin_dsn=self.postgres.admin_dsn,
            postgres_importer_dsn=self.postgres.importer_dsn,
            dagster_dsn=self.postgres.dagster_dsn,
            kafka_bootstrap_servers=self.kafka.bootstrap_servers,
            s3_endpoint_url=self.s3.endpoint_url,
            s3_access_key=self._credentials.s3_access_key,
            s3_secret_key=self._credentials.s3_secret_key,
        )

    @property
    def children(self) -> tuple[Child, ...]:
        """The processes, in the order in which they started."""
        return (self.postgres.child, self.s3.child)

    def start(self) -> None:
        """Start all three; what has started is stopped again if one does not come up."""
        try:
            self.s3.launch(self.guard)
            self._on_progress("PostgreSQL")
            self.postgres.start(self.guard)
            self._on_progress("Kafka")
            self.kafka.start()
            self._on_progress("S3")
            self.s3.wait_until_ready(self._buckets)
        except BaseException:
            self.stop(grace=5)
            raise

    def stop(self, *, grace: float | None = None) -> None:
        """Stop all three; PostgreSQL last, with a fast shutdown."""
        self.s3.child.stop(self.guard, grace=grace)
        self.kafka.stop()
        self.postgres.child.stop(self.guard, grace=grace)
        self.guard.close()

    def __enter__(self) -> Services:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
