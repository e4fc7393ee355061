"""The settings of the stack as environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from node_import.settings import load_settings
from node_import.stack.environment import (
    child_environment,
    embedded_settings,
    settings_environment,
    stack_variables,
)
from node_import.stack.layout import Layout
from node_import.stack.services import Endpoints

ENDPOINTS = Endpoints(
    postgres_admin_dsn="postgresql://postgres:a@127.0.0.1:5432/node_import",
    postgres_importer_dsn="postgresql://ni_importer:b@127.0.0.1:5432/node_import",
    dagster_dsn="postgresql://dagster:c@127.0.0.1:5432/dagster",
    kafka_bootstrap_servers="127.0.0.1:40000",
    s3_endpoint_url="http://127.0.0.1:9000",
    s3_access_key="key",
    s3_secret_key="secret",
)


def test_settings_survive_the_way_through_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that gets the variables has the very same settings."""
    settings = embedded_settings(ENDPOINTS, Layout(tmp_path))
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_own_connections_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that the user has set for elsewhere do not reach the embedded stack."""
    monkeypatch.setenv("NODE_IMPORT_KAFKA_CONFIG", '{"security.protocol": "SSL"}')
    monkeypatch.setenv("NODE_IMPORT_S3_CA_FILE", "/elsewhere/ca.pem")
    monkeypatch.setenv("NODE_IMPORT_POSTGRES_DSN", "postgresql://production/db")
    settings = embedded_settings(ENDPOINTS, Layout(tmp_path))
    assert settings.kafka_client_config() == {"bootstrap.servers": "127.0.0.1:40000"}
    assert settings.s3_ca_file is None
    assert settings.postgres_dsn.get_secret_value() == ENDPOINTS.postgres_importer_dsn


def test_other_settings_are_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How imports run is for the user to say, with the embedded stack too."""
    monkeypatch.setenv("NODE_IMPORT_EXECUTOR", "multiprocess")
    settings = embedded_settings(ENDPOINTS, Layout(tmp_path))
    assert settings.executor == "multiprocess"


def test_children_see_no_foreign_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that the stack leaves unset is not inherited from the shell either."""
    monkeypatch.setenv("NODE_IMPORT_S3_CA_FILE", "/elsewhere/ca.pem")
    settings = embedded_settings(ENDPOINTS, Layout(tmp_path))
    variables = stack_variables(settings, Layout(tmp_path), "postgresql://d", "http://ui")
    child = child_environment(variables)
    assert "NODE_IMPORT_S3_CA_FILE" not in child
    assert child["NODE_IMPORT_WEBSERVER_URL"] == "http://ui"
    assert child["DAGSTER_POSTGRES_URL"] == "postgresql://d"
    assert child["DAGSTER_HOME"] == str(tmp_path / "dagster")
