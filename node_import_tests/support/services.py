"""The services that tests run against: embedded ones, or others named in the environment.

Each service can be taken from outside, by itself:

    NODE_IMPORT_TEST_POSTGRES_ADMIN_DSN       a superuser; tests make and drop databases there, and
                                              set the password of the role `ni_importer`
    NODE_IMPORT_TEST_KAFKA_BOOTSTRAP_SERVERS  with NODE_IMPORT_TEST_KAFKA_CONFIG (JSON) beside it
    NODE_IMPORT_TEST_S3_ENDPOINT_URL          with …_S3_ACCESS_KEY, …_S3_SECRET_KEY, …_S3_REGION
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from node_import.stack.child import Guardian
from node_import.stack.credentials import Credentials, stored_credentials
from node_import.stack.kafka import KafkaCluster
from node_import.stack.layout import Layout
from node_import.stack.ports import free_port
from node_import.stack.postgres import PostgresServer
from node_import.stack.s3 import ObjectStore

PREFIX = "NODE_IMPORT_TEST_"
# A throwaway cluster: no disk flushes, little memory. It still recovers from a killed server.
THROWAWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}


@dataclass(frozen=True, slots=True)
class TestServices:
    """Where the services of this test session are."""

    __test__ = False

    postgres_admin_dsn: str = field(repr=False)
    importer_password: str = field(repr=False)
    kafka_bootstrap_servers: str
    kafka_config: str
    s3_endpoint_url: str
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    s3_region: str


@contextmanager
def running_services(folder: Path) -> Iterator[TestServices]:
    """Start, in `folder`, those services that the environment does not name."""
    layout = Layout(folder)
    layout.create()
    credentials = stored_credentials(layout)
    with ExitStack() as stack:
        guard = Guardian()
        stack.callback(guard.close)
        endpoint, access_key, secret_key = _s3(layout, credentials, guard, stack)
        yield TestServices(
            postgres_admin_dsn=_postgres(layout, credentials, guard, stack),
            importer_password=credentials.importer_password,
            kafka_bootstrap_servers=_kafka(stack),
            kafka_config=outside("KAFKA_CONFIG") or "{}",
            s3_endpoint_url=endpoint,
            s3_access_key=access_key,
            s3_secret_key=secret_key,
            s3_region=outside("S3_REGION") or "us-east-1",
        )


def outside(name: str) -> str | None:
    """What the environment says of a service from outside: `outside("S3_ENDPOINT_URL")`."""
    return os.environ.get(PREFIX + name) or None


def _any_free_port() -> int:
    """At random, so that two test sessions on one machine do not reach for the same."""
    return free_port(random.randrange(20_000, 32_000))


def _postgres(layout: Layout, credentials: Credentials, guard: Guardian, stack: ExitStack) -> str:
    if dsn := outside("POSTGRES_ADMIN_DSN"):
        return dsn
    server = PostgresServer(layout, _any_free_port(), credentials, THROWAWAY)
    stack.callback(server.child.stop, guard)
    server.start(guard)
    return server.admin_dsn


def _kafka(stack: ExitStack) -> str:
    if servers := outside("KAFKA_BOOTSTRAP_SERVERS"):
        return servers
    cluster = KafkaCluster()
    stack.callback(cluster.stop)
    cluster.start()
    return cluster.bootstrap_servers


def _s3(
    layout: Layout, credentials: Credentials, guard: Guardian, stack: ExitStack
) -> tuple[str, str, str]:
    if endpoint := outside("S3_ENDPOINT_URL"):
        return endpoint, os.environ[PREFIX + "S3_ACCESS_KEY"], os.environ[PREFIX + "S3_SECRET_KEY"]
    store = ObjectStore(layout, _any_free_port(), credentials)
    stack.callback(store.child.stop, guard)
    store.launch(guard)
    store.wait_until_ready()
    return store.endpoint_url, credentials.s3_access_key, credentials.s3_secret_key
