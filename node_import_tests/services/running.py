"""All real services at once, and how tests are told where they are."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from node_import.stack.child import Guardian
from node_import.stack.layout import PASS_THROUGH, write_private
from node_import.stack.ports import free_port
from node_import.stack.start_failure import StartFailed
from node_import_tests.services.certificates import Authority
from node_import_tests.services.kafka import KafkaBroker
from node_import_tests.services.minio import MinioServer
from node_import_tests.services.postgres import PostgresCluster
from node_import_tests.support.services import PREFIX

# Names a file with the rest: what a test of these services needs beyond their addresses.
DETAILS_VARIABLE = PREFIX + "REAL_SERVICES"

START_TRIES = 3


@dataclass(frozen=True, slots=True)
class RealServices:
    """Where the services are when they are asked for more than plain connections."""

    folder: str
    ca_file: str
    kafka_bootstrap_servers: str
    kafka_tls_bootstrap_servers: str
    kafka_sasl_bootstrap_servers: str
    kafka_user: str
    kafka_password: str = field(repr=False)
    # None: this build of PostgreSQL has no TLS.
    postgres_tls_dsn: str | None = field(repr=False)

    @property
    def kafka_folder(self) -> Path:
        """Where Kafka's own command-line tools find how to log."""
        return Path(self.folder) / "kafka"


def details() -> RealServices | None:
    """The services that this test session was started with; None in any other session."""
    name = os.environ.get(DETAILS_VARIABLE)
    if not name:
        return None
    return RealServices(**json.loads(Path(name).read_text(encoding="utf-8")))


@contextmanager
def real_services(folder: Path, postgres_major: int) -> Iterator[dict[str, str]]:
    """Start everything in `folder`; gives the variables that point tests at it.

    A port that is free when it is chosen can be another's a moment later: then all start anew.

    Raises:
        UsageError: a program is missing on this machine.
        StartFailed: one of the services does not come up.
    """
    folder.chmod(PASS_THROUGH)
    with ExitStack() as stack:
        for number in range(START_TRIES):
            own = folder / str(number)
            own.mkdir()
            try:
                variables = stack.enter_context(_started(own, postgres_major))
            except StartFailed as error:
                if "in use" not in str(error) or number + 1 == START_TRIES:
                    raise
            else:
                break
        yield variables


@contextmanager
def _started(folder: Path, postgres_major: int) -> Iterator[dict[str, str]]:
    folder.chmod(PASS_THROUGH)
    authority = Authority()
    ports = free_ports(7)
    kafka = KafkaBroker(folder / "kafka", ports[:4], authority.issue())
    minio = MinioServer(folder / "minio", (ports[4], ports[5]))
    postgres = PostgresCluster(folder / "postgres", postgres_major, ports[6], authority.issue())
    with ExitStack() as stack:
        guard = stack.enter_context(Guardian())
        for server in (kafka, minio, postgres):
            stack.callback(server.child.stop, guard)
            server.launch(guard)
        for server in (kafka, minio, postgres):
            server.wait_until_ready()
        ca_file = authority.save(folder / "ca.pem")
        described = RealServices(
            folder=str(folder),
            ca_file=str(ca_file),
            kafka_bootstrap_servers=kafka.bootstrap_servers,
            kafka_tls_bootstrap_servers=kafka.tls_bootstrap_servers,
            kafka_sasl_bootstrap_servers=kafka.sasl_bootstrap_servers,
            kafka_user=kafka.USER,
            kafka_password=kafka.password,
            postgres_tls_dsn=postgres.tls_dsn(ca_file) if postgres.has_tls else None,
        )
        write_private(folder / "details.json", json.dumps(asdict(described)))
        yield {
            DETAILS_VARIABLE: str(folder / "details.json"),
            PREFIX + "POSTGRES_ADMIN_DSN": postgres.admin_dsn,
            PREFIX + "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            PREFIX + "S3_ENDPOINT_URL": minio.endpoint_url,
            PREFIX + "S3_ACCESS_KEY": minio.access_key,
            PREFIX + "S3_SECRET_KEY": minio.secret_key,
        }


def free_ports(number: int) -> list[int]:
    """Ports at random, so that two sessions on one machine do not reach for the same."""
    ports: list[int] = []
    for _ in range(number):
        ports.append(free_port(random.randrange(20_000, 32_000), ports))
    return ports
