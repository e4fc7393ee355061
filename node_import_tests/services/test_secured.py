"""TLS and logins for all three services, with a certificate authority of the tests' own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.message import OutgoingMessage
from node_import.database import Database
from node_import.errors import TransientError
from node_import.objects.location import S3Location
from node_import.objects.store import ObjectStore
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.settings import Settings
from node_import.stack.child import Guardian
from node_import_tests.services.certificates import Authority
from node_import_tests.services.minio import MinioServer
from node_import_tests.services.running import RealServices, free_ports
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.intake_desk import Desk
from node_import_tests.support.kafka_messages import produce, read_topic


@pytest.fixture
def other_ca(tmp_path: Path) -> Path:
    """A certificate authority that signed none of the servers."""
    return Authority("another").save(tmp_path / "other-ca.pem")


def kafka_config(desk: Desk, servers: str, **config: str) -> dict[str, Any]:
    """Changes of the settings: these servers, by this JSON of librdkafka's names."""
    named = {name.replace("_", "."): text for name, text in config.items()}
    return {
        "kafka_bootstrap_servers": servers,
        "kafka_config": SecretStr(json.dumps(named)),
    }


def tls(real: RealServices, desk: Desk, **more: str) -> dict[str, Any]:
    """Kafka by TLS, without a login."""
    servers = real.kafka_tls_bootstrap_servers
    config = {"security_protocol": "SSL", "ssl_ca_location": real.ca_file, **more}
    return kafka_config(desk, servers, **config)


def sasl(real: RealServices, desk: Desk, mechanism: str, **more: str) -> dict[str, Any]:
    """Kafka by TLS, with a login."""
    config = {
        "security_protocol": "SASL_SSL",
        "ssl_ca_location": real.ca_file,
        "sasl_mechanism": mechanism,
        "sasl_username": real.kafka_user,
        "sasl_password": real.kafka_password,
        **more,
    }
    return kafka_config(desk, real.kafka_sasl_bootstrap_servers, **config)


@pytest.mark.parametrize("way", ["TLS", "PLAIN", "SCRAM-SHA-512"])
def test_requests_come_in_and_letters_go_out_over_tls(
    desk: Desk, real: RealServices, way: str
) -> None:
    """Every client of ours takes NODE_IMPORT_KAFKA_CONFIG: reading, letters, group offsets."""
    changes = tls(real, desk) if way == "TLS" else sasl(real, desk, way)
    settings = desk.settings.model_copy(update=changes)
    produce(settings, desk.topic, [desk.request(1), "{"])
    with ConfirmedProducer.from_settings(settings) as producer:
        secured = Desk(settings, desk.database, desk.tenant, producer)
        report = secured.tick()
    assert (report.accepted, report.rejected, report.warnings) == (1, 1, [])
    assert len(read_topic(settings, desk.dlt)) == 1


def wrong_kafka(real: RealServices, desk: Desk, other_ca: Path) -> dict[str, dict[str, Any]]:
    """Settings that cannot work."""
    scram = "SCRAM-SHA-512"
    return {
        "password": sasl(real, desk, scram, sasl_password="hunter2"),
        "user": sasl(real, desk, "PLAIN", sasl_username="nobody"),
        "mechanism": sasl(real, desk, "SCRAM-SHA-256"),
        "ca": tls(real, desk, ssl_ca_location=str(other_ca)),
        "no ca": kafka_config(desk, real.kafka_tls_bootstrap_servers, security_protocol="SSL"),
        "plain text": kafka_config(desk, real.kafka_tls_bootstrap_servers),
        "no login": kafka_config(
            desk,
            real.kafka_sasl_bootstrap_servers,
            security_protocol="SSL",
            ssl_ca_location=real.ca_file,
        ),
    }


WRONG_KAFKA = {
    "password": "uthentication failed",
    "user": "uthentication failed",
    "mechanism": "mechanism",
    "ca": "certificate verify failed",
    "no ca": "certificate verify failed",
    "plain text": "brokers are down",
    "no login": "brokers are down",
}


@pytest.mark.parametrize("what", WRONG_KAFKA)
def test_a_kafka_that_does_not_let_us_in_is_an_outage_with_its_reason(
    desk: Desk, real: RealServices, other_ca: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Reading and sending both say what the broker or TLS complained of, and no secret."""
    monkeypatch.setattr("node_import.intake.survey.METADATA_SECONDS", 2)
    changes = wrong_kafka(real, desk, other_ca)[what]
    with pytest.raises(TransientError) as reading:
        desk.tick(**changes)
    config = desk.settings.model_copy(update=changes).kafka_client_config()
    with ConfirmedProducer(config, idempotent=False, delivery_seconds=2) as producer:
        [sending] = producer.send([OutgoingMessage(desk.dlt, None, b"v")])
    assert sending is not None
    for error in (reading.value, sending.error):
        assert error.code == ErrorCode.KAFKA_UNAVAILABLE
        assert WRONG_KAFKA[what] in error.message
        assert "hunter2" not in error.message
        assert real.kafka_password not in error.message


@pytest.fixture
def tls_parameters(real: RealServices) -> dict[str, Any]:
    """What makes a DSN of this server one that checks the server's certificate and name."""
    if real.postgres_tls_dsn is None:
        pytest.skip("this build of PostgreSQL has no TLS")
    parameters = conninfo_to_dict(real.postgres_tls_dsn)
    return {name: parameters[name] for name in ("sslmode", "sslrootcert")}


def with_parameters(dsn: SecretStr, **parameters: Any) -> SecretStr:
    """The DSN with some of its parameters changed."""
    merged = conninfo_to_dict(dsn.get_secret_value()) | parameters
    return SecretStr(make_conninfo(**merged))


def test_postgresql_by_verify_full(
    desk: Desk, database: TestDatabase, tls_parameters: dict[str, Any]
) -> None:
    """The importer's role works over TLS, and knows whom it talks to."""
    dsn = with_parameters(desk.settings.postgres_dsn, **tls_parameters)
    produce(desk.settings, desk.topic, [desk.request(1)])
    assert desk.tick(postgres_dsn=dsn).accepted == 1
    settings = desk.settings.model_copy(update={"postgres_dsn": dsn})
    with Database.from_settings(settings).connect() as conn:
        assert conn.pgconn.ssl_in_use
        row = conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    assert row == {"ssl": True}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("ca", "certificate verify failed"),
        ("name", "does not match host name"),
        ("password", "password authentication failed"),
        ("database", "does not exist"),
    ],
)
def test_a_postgresql_that_does_not_let_us_in_is_an_outage_with_its_reason(
    desk: Desk, tls_parameters: dict[str, Any], other_ca: Path, what: str, reason: str
) -> None:
    """DATABASE_UNAVAILABLE, in the server's or TLS's words, and no secret."""
    wrong = {
        "ca": {"sslrootcert": str(other_ca)},
        # A name that leads to the server and that its certificate does not have.
        "name": {"host": "elsewhere.invalid", "hostaddr": "127.0.0.1"},
        "password": {"password": "hunter2"},
        "database": {"dbname": "nowhere"},
    }
    dsn = with_parameters(desk.settings.postgres_dsn, **{**tls_parameters, **wrong[what]})
    with pytest.raises(TransientError) as caught:
        desk.tick(postgres_dsn=dsn)
    assert caught.value.code == ErrorCode.DATABASE_UNAVAILABLE
    assert reason in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.fixture(scope="module")
def tls_minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MinioServer, Path]]:
    """A MinIO that speaks TLS alone, and the authority that vouches for it."""
    folder = tmp_path_factory.mktemp("minio")
    authority = Authority()
    first, second = free_ports(2)
    server = MinioServer(folder / "server", (first, second), authority.issue())
    with Guardian() as guard:
        server.launch(guard)
        try:
            server.wait_until_ready()
            yield server, authority.save(folder / "ca.pem")
        finally:
            server.child.stop(guard)


@pytest.fixture
def store_with(
    settings: Settings, tls_minio: tuple[MinioServer, Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ObjectStore]:
    """The store of a deployment whose object store is that one."""
    monkeypatch.setattr("node_import.objects.client.MAX_ATTEMPTS", 1)
    server, _ = tls_minio

    def make(ca_file: Path | None, **changes: Any) -> ObjectStore:
        own = {
            "s3_endpoint_url": server.endpoint_url,
            "s3_access_key": server.access_key,
            "s3_secret_key": SecretStr(server.secret_key),
            "s3_ca_file": ca_file,
            **changes,
        }
        return ObjectStore.from_settings(settings.model_copy(update=own))

    return make


def test_objects_over_tls(
    store_with: Callable[..., ObjectStore],
    tls_minio: tuple[MinioServer, Path],
    other_ca: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Written, pinned and read, whatever AWS_CA_BUNDLE in the environment says."""
    server, ca_file = tls_minio
    monkeypatch.setenv("AWS_CA_BUNDLE", str(other_ca))
    store = store_with(ca_file)
    store.ensure_bucket()
    with store.write("k", "text/csv") as file:
        file.write(b"id\n1\n")
    location = store.locate(f"{server.endpoint_url}/{store.bucket}/k")
    with store.open(store.pin(location)) as stream:
        assert stream.read() == b"id\n1\n"


def test_an_object_store_that_nobody_vouches_for_is_an_outage(
    store_with: Callable[..., ObjectStore], other_ca: Path
) -> None:
    """The message names the setting for a certificate authority of one's own."""
    for ca_file in (None, other_ca):
        with pytest.raises(TransientError, match="NODE_IMPORT_S3_CA_FILE") as caught:
            store_with(ca_file).pin(S3Location("bucket", "k"))
        assert caught.value.code == ErrorCode.OBJECT_STORE_UNAVAILABLE


def test_a_plain_url_to_a_store_with_tls_is_an_outage(
    store_with: Callable[..., ObjectStore], tls_minio: tuple[MinioServer, Path]
) -> None:
    """http:// where https:// is spoken: the deployment's fault, and no request's."""
    server, ca_file = tls_minio
    plain = server.endpoint_url.replace("https", "http")
    with pytest.raises(TransientError) as caught:
        store_with(ca_file, s3_endpoint_url=plain).pin(S3Location("bucket", "k"))
    assert caught.value.code == ErrorCode.OBJECT_STORE_UNAVAILABLE
