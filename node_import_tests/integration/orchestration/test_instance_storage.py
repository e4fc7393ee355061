"""Dagster's storage as dagster.yaml has it: one pool of connections a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import event

from node_import.orchestration.instance_storage import shared_engine
from node_import_tests.support.databases import DatabaseFactory, TestDatabase
from node_import_tests.support.tenants import rows

ROOT = Path(__file__).parents[3]
CONNECTIONS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid"
)
IN_A_FORK = """
import os, sys, dagster as dg
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    instance.get_runs_count()
    child = os.fork()
    if child == 0:
        instance.get_runs_count()
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    instance.get_runs_count()
    print("both went on")
"""


@pytest.fixture
def storage(database_factory: DatabaseFactory) -> Iterator[TestDatabase]:
    """A database for Dagster."""
    with database_factory.database() as made:
        yield made


@pytest.fixture
def home(storage: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A DAGSTER_HOME whose dagster.yaml has the storage of the project's."""
    parts = conninfo_to_dict(storage.admin_dsn)
    place = f"{parts['host']}:{parts['port']}/{parts['dbname']}"
    url = f"postgresql://{parts['user']}:{parts.get('password', '')}@{place}"
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    document = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": document["storage"]}))
    yield tmp_path
    shared_engine(url).dispose()


def test_instances_of_a_process_share_one_connection(home: Path, storage: TestDatabase) -> None:
    """However much they ask; and it is kept."""
    for _ in range(3):
        with dg.DagsterInstance.from_config(str(home)) as instance:
            instance.get_runs_count()
            instance.event_log_storage.get_logs_for_run("none")
            instance.all_instigator_state()
    first = rows(storage, CONNECTIONS)
    assert len(first) == 1
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()
    assert rows(storage, CONNECTIONS) == first


def test_the_columns_of_runs_are_looked_at_once(home: Path) -> None:
    """However many runs are read."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        looks: list[str] = []

        def note(*args: Any) -> None:
            looks.extend(args[2] for _ in range("pg_attribute" in args[2]))

        url = os.environ["DAGSTER_POSTGRES_URL"]
        event.listen(shared_engine(url), "before_cursor_execute", note)
        for _ in range(3):
            assert instance.get_run_by_id("none") is None
            assert instance.get_run_records() == []
    assert len(looks) == 1


def test_a_server_that_was_away_is_asked_again(home: Path, storage: TestDatabase) -> None:
    """A kept connection that is dead costs nobody a statement."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()
        ended = rows(storage, f"SELECT pg_terminate_backend(pid, 5000) FROM ({CONNECTIONS}) AS c")
        assert ended == [(True,)]
        assert instance.get_runs_count() == 0


def test_tables_are_made_in_an_empty_database(home: Path) -> None:
    """By the first instance that comes."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.run_storage.has_run("none") is False


def test_a_fork_makes_its_own_connections(home: Path) -> None:
    """And leaves those of its parent alone."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FORK, str(home)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "both went on\n"), done.stderr
