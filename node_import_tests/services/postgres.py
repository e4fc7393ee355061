"""PostgreSQL of one major version: a throwaway cluster, with TLS where the build has it."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

from node_import.stack.account import database_account
from node_import.stack.child import Child, Guardian
from node_import.stack.layout import write_private
from node_import.stack.ports import LOOPBACK
from node_import.stack.postgres import FAST_SHUTDOWN
from node_import.stack.postgres_settings import tuned_settings
from node_import.stack.start_failure import StartFailed
from node_import_tests.services.artefacts import postgres_programs
from node_import_tests.services.certificates import Certificate
from node_import_tests.support.services import THROWAWAY

SUPERUSER = "postgres"
START_SECONDS = 60.0


class PostgresCluster:
    """One cluster in a folder, on one port."""

    def __init__(self, folder: Path, major: int, port: int, certificate: Certificate) -> None:
        self._folder = folder
        self._programs = postgres_programs(major)
        self._password = secrets.token_hex(16)
        self._port = port
        self._account = database_account()
        folder.mkdir()
        write_private(folder / "password", self._password)
        (folder / "server.crt").write_bytes(certificate.certificate)
        write_private(folder / "server.key", certificate.key.decode())
        self.has_tls = self._was_built_with_tls()
        argv, arguments = self._command("postgres", "-D", str(folder / "data"), *self._options())
        self.child = Child(
            name=f"postgres-{major}",
            argv=argv,
            log=folder / "postgres.log",
            env=_environment(),
            cwd=folder,
            stop_signal=FAST_SHUTDOWN,
            popen_arguments=arguments,
        )

    @property
    def admin_dsn(self) -> str:
        """The superuser, without TLS."""
        return f"{self._url}?sslmode=disable"

    def tls_dsn(self, ca_file: Path) -> str:
        """The superuser, by TLS, with the server's name checked."""
        return f"{self._url}?sslmode=verify-full&sslrootcert={ca_file}"

    def launch(self, guard: Guardian) -> None:
        """Make the cluster and start the server."""
        if self._account:
            self._account.take(self._folder)
        self._initialise()
        self.child.start(guard)

    def wait_until_ready(self) -> None:
        """Until it takes connections.

        Raises:
            StartFailed: with the end of its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.admin_dsn, connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if not self.child.is_running() or time.monotonic() > deadline:
                    raise StartFailed(self.child.name, self.child.log_tail()) from error
                time.sleep(0.1)
            else:
                return

    @property
    def _url(self) -> str:
        return f"postgresql://{SUPERUSER}:{self._password}@{LOOPBACK}:{self._port}/postgres"

    def _options(self) -> list[str]:
        settings = {**tuned_settings(self._folder, self._port), **THROWAWAY}
        if self.has_tls:
            settings["ssl"] = "on"
            settings["ssl_cert_file"] = str(self._folder / "server.crt")
            settings["ssl_key_file"] = str(self._folder / "server.key")
        return [word for item in settings.items() for word in ("-c", "=".join(item))]

    def _was_built_with_tls(self) -> bool:
        """The wheel's PostgreSQL 18 was not."""
        config = self._programs / "pg_config"
        if not config.exists():  # Debian has it in another package
            return True
        done = subprocess.run([config, "--configure"], check=True, capture_output=True, text=True)
        return "--with-ssl" in done.stdout or "--with-openssl" in done.stdout

    def _initialise(self) -> None:
        argv, arguments = self._command(
            *("initdb", "-D", str(self._folder / "data"), f"--username={SUPERUSER}"),
            *("--auth=scram-sha-256", f"--pwfile={self._folder / 'password'}"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd="/",
            **arguments,
        )
        if done.returncode != 0:
            raise StartFailed("initdb", f"{done.stdout}{done.stderr}".strip())

    def _command(self, program: str, *arguments: str) -> tuple[list[str], dict[str, Any]]:
        argv = [str(self._programs / program), *arguments]
        return self._account.command(argv) if self._account else (argv, {})


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}
