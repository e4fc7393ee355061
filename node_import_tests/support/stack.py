"""A running embedded stack, as its user has it: the command line, and Dagster's own doors."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from node_import.stack.dagster_home import workspace_file
from node_import.stack.layout import DEFAULT_DATA_DIR, Layout
from node_import.stack.ports import remember_ports
from node_import_tests.support.command_line import CommandLine
from node_import_tests.support.ports import random_ports
from node_import_tests.support.processes import wait_until_none_in

PATIENCE = 240.0
DAGSTER = Path(sys.executable).with_name("dagster")
# A run that goes down with the stack is missed soon.
SETTINGS = {"NODE_IMPORT_HEARTBEAT_SECONDS": "1", "NODE_IMPORT_HEARTBEAT_EXPIRY": "15"}


@dataclass
class Stack:
    """A running stack with the tenant acme and its group members."""

    cli: CommandLine
    layout: Layout
    variables: dict[str, str] = field(default_factory=dict)

    def up(self) -> None:
        """Start it, and learn where everything is."""
        started = self.cli("stack", "up", "--detach")
        assert started.status == 0, started.err
        self.variables = self.cli.document("stack", "env")

    def write(self, name: str, text: str) -> Path:
        """A local file."""
        path = self.cli.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the superuser sees."""
        with self.connect() as conn:
            return conn.execute(statement, parameters or None).fetchall()  # type: ignore[arg-type]

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the superuser."""
        return psycopg.connect(self.variables["NODE_IMPORT_POSTGRES_ADMIN_DSN"], autocommit=True)

    def wait_until(self, statement: str, *parameters: object) -> None:
        """Until a query says true."""
        deadline = time.monotonic() + PATIENCE
        while not self.query(statement, *parameters)[0][0]:
            assert time.monotonic() < deadline, self.query(
                "SELECT status, failure_code, count(*) FROM nodes_import_job GROUP BY 1, 2"
            )
            time.sleep(0.5)

    def dagster_run(self, run_id: str) -> dict[str, Any]:
        """A run as Dagster's UI gets it: `status`, and `tags` as a mapping."""
        query = "query($id: ID!) {runOrError(runId: $id) {... on Run {status tags {key value}}}}"
        run: dict[str, Any] = self.ask_dagster(query, id=run_id)["runOrError"]
        return {"status": run["status"], "tags": {t["key"]: t["value"] for t in run["tags"]}}

    def ask_dagster(self, query: str, **variables: object) -> dict[str, Any]:
        """The data of an answer of the webserver's GraphQL."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = self.variables["NODE_IMPORT_WEBSERVER_URL"] + "/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            document = json.load(answer)
        assert "errors" not in document, document
        data: dict[str, Any] = document["data"]
        return data

    def dagster(self, *arguments: str) -> None:
        """Type `dagster …`, with the stack's workspace."""
        done = subprocess.run(
            [DAGSTER, *arguments, "-w", str(workspace_file(self.layout))],
            cwd=self.cli.folder,
            env=self.cli.environment(**self.variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """In an empty folder, on ports of its own; nothing is left of it in the end."""
    cli = CommandLine(folder, SETTINGS)
    layout = Layout(cli.folder / DEFAULT_DATA_DIR)
    layout.create()
    remember_ports(layout, random_ports())
    made = Stack(cli, layout)
    made.up()
    cli.document("domain", "add", "acme")
    cli.document("group", "add", "acme", "members")
    yield made
    assert cli.document("stack", "down")["stopped"]
    assert wait_until_none_in(cli.folder) == {}
