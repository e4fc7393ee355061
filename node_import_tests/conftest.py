"""Fixtures of all tests. A test that asks for none of the services starts none."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from node_import.settings import Settings
from node_import_tests.support.databases import DatabaseFactory, TestDatabase
from node_import_tests.support.services import TestServices, running_services

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# A shell starts a background job (`make test &`) with Ctrl-C ignored. Dagster gives SIGTERM the
# same meaning in this process, and every process that a test starts would inherit both.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither see a `.env` of the working directory nor settings of the shell."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"NODE_IMPORT_{name.upper()}", raising=False)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServices]:
    """PostgreSQL, Kafka and S3, started once a session."""
    with running_services(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture(scope="session")
def database_factory(services: TestServices) -> Iterator[DatabaseFactory]:
    """Makes migrated databases; `database` is one of them."""
    factory = DatabaseFactory(services.postgres_admin_dsn, services.importer_password)
    factory.migrate_template()
    yield factory
    factory.drop_template()


@pytest.fixture
def database(database_factory: DatabaseFactory) -> Iterator[TestDatabase]:
    """A fresh migrated database of this test: `admin_dsn`, `importer_dsn`, `connect()`."""
    with database_factory.database() as made:
        yield made


@pytest.fixture(scope="module")
def module_database(database_factory: DatabaseFactory) -> Iterator[TestDatabase]:
    """A migrated database that the tests of one module share."""
    with database_factory.database() as made:
        yield made


@pytest.fixture
def unique_name() -> Callable[[str], str]:
    """`unique_name("acme")` is `acme-` and eight letters: topics and keys outlive a test."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def s3_client(services: TestServices) -> Iterator[S3Client]:
    """A client of the object store, with all rights."""
    client: S3Client = boto3.client(
        "s3",
        endpoint_url=services.s3_endpoint_url,
        aws_access_key_id=services.s3_access_key,
        aws_secret_access_key=services.s3_secret_key,
        region_name=services.s3_region,
        config=Config(s3={"addressing_style": "path"}),
    )
    yield client
    client.close()


@pytest.fixture
def bucket(s3_client: S3Client, unique_name: Callable[[str], str]) -> str:
    """A new, empty bucket."""
    name = unique_name("bucket")
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def settings(
    services: TestServices,
    database: TestDatabase,
    bucket: str,
    unique_name: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Settings:
    """Settings that point at this test's database, bucket, status topic and folders.

    Change one with `settings.model_copy(update={"block_bytes": 64})`.
    """
    folder = tmp_path_factory.mktemp("settings")
    (folder / "files").mkdir()
    return Settings(
        postgres_dsn=database.importer_dsn,
        postgres_admin_dsn=database.admin_dsn,
        kafka_bootstrap_servers=services.kafka_bootstrap_servers,
        kafka_config=services.kafka_config,
        kafka_group_id=unique_name("node-import"),
        status_topic=unique_name("status"),
        s3_endpoint_url=services.s3_endpoint_url,
        s3_access_key=services.s3_access_key,
        s3_secret_key=services.s3_secret_key,
        s3_region=services.s3_region,
        s3_bucket=bucket,
        file_roots=(str(folder / "files"),),
        staging_dir=folder / "staging",
    )
