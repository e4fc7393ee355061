"""The embedded PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from node_import.errors import UsageError
from node_import.stack.account import database_account
from node_import.stack.child import Guardian
from node_import.stack.credentials import stored_credentials
from node_import.stack.layout import Layout
from node_import.stack.postgres import PostgresServer
from node_import_tests.support.ports import random_ports
from node_import_tests.support.processes import processes_in


@contextmanager
def running_server(folder: Path) -> Iterator[PostgresServer]:
    """A server of its own, tuned as the stack's."""
    layout = Layout(folder)
    layout.create()
    server = PostgresServer(layout, random_ports().postgres, stored_credentials(layout))
    with Guardian() as guard:
        try:
            server.start(guard)
            yield server
        finally:
            server.child.stop(guard)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One server for the tests that only look."""
    with running_server(tmp_path_factory.mktemp("postgres")) as running:
        yield running


def setting(server: PostgresServer, name: str) -> str:
    """One of the server's settings, as SHOW prints it."""
    with psycopg.connect(server.admin_dsn) as conn:
        row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_nothing_is_traded_for_speed(server: PostgresServer, name: str) -> None:
    """A commit that was acknowledged survives a power cut."""
    assert setting(server, name) == "on"


def test_only_the_loopback_interface_listens(server: PostgresServer) -> None:
    """Nobody on the network can try a password, and there is no socket file."""
    assert setting(server, "listen_addresses") == "127.0.0.1"
    assert setting(server, "unix_socket_directories") == ""


def test_a_password_is_needed(server: PostgresServer) -> None:
    """Not even the superuser comes in without."""
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.dsn("postgres", "wrong"))


def test_dagster_has_a_database_of_its_own(server: PostgresServer) -> None:
    """Its role owns it and is no superuser; other roles are not let in."""
    with psycopg.connect(server.dagster_dsn) as conn:
        conn.execute("CREATE TABLE t (id int)")
        assert conn.info.parameter_status("is_superuser") == "off"
    with psycopg.connect(server.admin_dsn, autocommit=True) as conn:
        conn.execute("CREATE ROLE somebody LOGIN PASSWORD 'x'")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(server.dsn("somebody", "x", "dagster"))


def test_server_does_not_run_as_root(server: PostgresServer) -> None:
    """As root it is another account's process, and its files are that account's alone."""
    data = Path(setting(server, "data_directory"))
    assert data.stat().st_uid != 0
    assert data.stat().st_mode & 0o077 == 0


def test_data_survive_a_restart(tmp_path: Path) -> None:
    """A second start on the same folder finds the database, under the same passwords."""
    with running_server(tmp_path) as server, psycopg.connect(server.admin_dsn) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert not processes_in(tmp_path)
    with running_server(tmp_path) as server, psycopg.connect(server.admin_dsn) as conn:
        assert conn.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_start_after_the_server_was_killed(tmp_path: Path) -> None:
    """With a backend of the killed server still at work, the new one waits for it to end."""
    with running_server(tmp_path) as server, Guardian() as guard:
        with closing(psycopg.connect(server.admin_dsn, autocommit=True)) as conn:
            conn.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            conn.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 10000000)")
            time.sleep(0.2)
            os.kill(server.child.pid or 0, signal.SIGKILL)
            while server.child.is_running():
                time.sleep(0.01)
            server.run(guard)
        with psycopg.connect(server.admin_dsn) as conn:
            assert conn.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_leftover_server_is_ended(tmp_path: Path) -> None:
    """A server whose supervisor and guardian are gone does not keep the folder for ever."""
    with running_server(tmp_path), running_server(tmp_path) as server:
        psycopg.connect(server.admin_dsn).close()


def test_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    """After an upgrade of the package the message says what to do; nothing is touched."""
    with running_server(tmp_path):
        pass
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("15\n")
    with (
        pytest.raises(UsageError, match=r"cluster of PostgreSQL 15.*--data-dir"),
        running_server(tmp_path),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that its server cannot enter")
def test_programs_behind_a_closed_folder_are_found(tmp_path: Path) -> None:
    """The server's account sees programs in a folder of root's alone, by access(2) as well."""
    account = database_account()
    assert account is not None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.touch(mode=0o755)
    look = "import os, sys; sys.exit(not os.access(sys.argv[1], os.X_OK))"
    command, arguments = account.command([sys.executable, "-c", look, str(program)])
    assert subprocess.run(command, **arguments, check=False).returncode == 0
