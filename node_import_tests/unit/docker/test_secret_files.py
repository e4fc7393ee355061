"""Secrets by files: what make-secrets.sh makes, the entry point and the settings read."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from node_import.settings import load_settings
from node_import_tests.support.deployment_files import DOCKER, compose


def make_secrets(folder: Path) -> str:
    """Run the script; what it prints."""
    done = subprocess.run(
        [DOCKER / "make-secrets.sh", folder], check=True, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def through_the_entry_point(folder: Path, *command: str, **variables: str) -> str:
    """What a command prints that runs behind it."""
    environment = {"PATH": os.environ["PATH"], "NODE_IMPORT_SECRETS_DIR": str(folder), **variables}
    done = subprocess.run(
        [DOCKER / "entrypoint.sh", *command],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_every_file_that_compose_mounts_is_made(tmp_path: Path) -> None:
    """No more and no less, in a folder that is closed to others."""
    folder = tmp_path / "secrets"
    make_secrets(folder)
    files = {str(one["file"]).rpartition("/")[2] for one in compose()["secrets"].values()}
    assert {path.name for path in folder.iterdir()} == files
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_passwords_are_random_and_not_printed(tmp_path: Path) -> None:
    """Two runs have none in common."""
    first, second = tmp_path / "first", tmp_path / "second"
    printed = make_secrets(first) + make_secrets(second)
    for name in ("postgres_password", "minio_root_password", "node_import_s3_secret_key"):
        passwords = {(folder / name).read_text() for folder in (first, second)}
        assert len(passwords) == 2
        assert all(len(one) == 48 and one not in printed for one in passwords)


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    """Running it again, or after putting a password of one's own there, changes nothing."""
    (tmp_path / "postgres_dagster_password").write_text("my own")
    make_secrets(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    make_secrets(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    assert ":my own@" in before["dagster_postgres_url"]


def test_the_importer_reads_its_settings_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of the files are those of the settings."""
    make_secrets(tmp_path)
    monkeypatch.setenv("NODE_IMPORT_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    settings = load_settings()
    importer = conninfo_to_dict(settings.postgres_dsn.get_secret_value())
    assert (importer["user"], importer["host"]) == ("ni_importer", "postgres")
    assert settings.postgres_admin_dsn is not None
    admin = conninfo_to_dict(settings.postgres_admin_dsn.get_secret_value())
    password = (tmp_path / "postgres_node_import_admin_password").read_text()
    assert (admin["user"], admin["password"]) == ("node_import_admin", password)
    assert settings.s3_access_key == "node-import"
    assert settings.s3_secret_key is not None
    assert settings.kafka_client_config() == {"bootstrap.servers": "kafka:9092"}


def test_the_entry_point_hands_dagster_its_database(tmp_path: Path) -> None:
    """From the file; a variable that is set wins."""
    (tmp_path / "dagster_postgres_url").write_text("postgresql://from-file\n")
    show = ("printenv", "DAGSTER_POSTGRES_URL")
    assert through_the_entry_point(tmp_path, *show) == "postgresql://from-file\n"
    given = through_the_entry_point(tmp_path, *show, DAGSTER_POSTGRES_URL="postgresql://given")
    assert given == "postgresql://given\n"


def test_without_secret_files_there_is_no_folder_to_read(tmp_path: Path) -> None:
    """Or every command would warn of a folder that is not there."""
    names = through_the_entry_point(tmp_path / "nothing", "env")
    assert "NODE_IMPORT_SECRETS_DIR" not in names
