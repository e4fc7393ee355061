"""`node-import stack`, as a user types it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from confluent_kafka import Producer

from node_import.stack.layout import Layout
from node_import.stack.ports import LOOPBACK, Ports, remember_ports
from node_import_tests.support.ports import random_ports
from node_import_tests.support.processes import processes_in

NODE_IMPORT = [str(Path(sys.executable).with_name("node-import"))]
PATIENCE = 180.0


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`node-import stack …` on a data directory, to its end."""
    return subprocess.run(
        [*NODE_IMPORT, "stack", *arguments, "--data-dir", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=folder,
    )


def environment(folder: Path) -> dict[str, str]:
    """What `stack env` prints, as a shell would take it."""
    done = run(folder, "env")
    assert done.returncode == 0, done.stderr
    words = [shlex.split(line) for line in done.stdout.splitlines()]
    assert all(word[0] == "export" and len(word) == 2 for word in words)
    return dict(word[1].split("=", 1) for word in words)


@pytest.fixture(scope="module")
def taken() -> Iterator[Ports]:
    """Ports on which somebody else listens."""
    ports = random_ports()
    with ExitStack() as stack:
        for port in ports.by_name().values():
            listener = stack.enter_context(socket.socket())
            listener.bind((LOOPBACK, port))
            listener.listen()
        yield ports


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, taken: Ports) -> Path:
    """A data directory whose stack would like ports that are taken."""
    made = tmp_path_factory.mktemp("stack") / "it's data"
    layout = Layout(made)
    layout.create()
    remember_ports(layout, taken)
    return made


@pytest.fixture(scope="module")
def foreground(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`stack up --json` in the foreground of another terminal, ready."""
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [*NODE_IMPORT, "stack", "up", "--json", "--data-dir", str(folder)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)
    if process.stdout:
        process.stdout.close()


@pytest.fixture(scope="module")
def document(folder: Path, foreground: subprocess.Popen[str]) -> dict[str, Any]:
    """The document that `stack up --json` printed."""
    assert foreground.stdout
    text = ""
    while line := foreground.stdout.readline():
        text += line
        if line == "}\n":
            break
    assert text, (folder / "stderr").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def test_taken_ports_are_replaced_and_named(
    folder: Path, document: dict[str, Any], taken: Ports
) -> None:
    """It takes others and says which; none of those it lists was taken."""
    said = (folder / "stderr").read_text()
    for name, port in taken.by_name().items():
        old, new = document["movedPorts"][name]
        assert old == port != new
        assert f"port {port} is taken" in said
    assert document["webserverUrl"] == f"http://127.0.0.1:{document['movedPorts']['webserver'][1]}"


def test_no_password_is_shown(folder: Path, document: dict[str, Any]) -> None:
    """Neither in the document nor beside it; `stack env` is for that."""
    variables = environment(folder)
    shown = json.dumps(document) + (folder / "stderr").read_text()
    for name in ("POSTGRES_DSN", "POSTGRES_ADMIN_DSN"):
        password = variables[f"NODE_IMPORT_{name}"].split(":")[2].split("@")[0]
        assert password not in shown
    assert variables["NODE_IMPORT_S3_SECRET_KEY"] not in shown


def test_env_connects(folder: Path, document: dict[str, Any]) -> None:
    """Its exports lead to a migrated database, to Kafka, to S3 and to the UI."""
    variables = environment(folder)
    with psycopg.connect(variables["NODE_IMPORT_POSTGRES_DSN"]) as conn:
        assert conn.info.user == "ni_importer"
        assert conn.execute("SELECT count(*) FROM nodes").fetchone() == (0,)
    producer = Producer({"bootstrap.servers": variables["NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS"]})
    producer.produce("hello", b"value")
    assert producer.flush(10) == 0
    client = boto3.client(
        "s3",
        endpoint_url=variables["NODE_IMPORT_S3_ENDPOINT_URL"],
        aws_access_key_id=variables["NODE_IMPORT_S3_ACCESS_KEY"],
        aws_secret_access_key=variables["NODE_IMPORT_S3_SECRET_KEY"],
        region_name=variables["NODE_IMPORT_S3_REGION"],
    )
    names = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    client.close()
    assert {variables["NODE_IMPORT_S3_BUCKET"], "imports"} <= names
    assert variables["NODE_IMPORT_WEBSERVER_URL"] == document["webserverUrl"]
    assert Path(variables["DAGSTER_HOME"], "dagster.yaml").exists()


def test_env_as_json(folder: Path, document: dict[str, Any]) -> None:
    """The same as one document."""
    assert json.loads(run(folder, "env", "--json").stdout) == environment(folder)


def test_second_up_says_where_the_first_is(folder: Path, document: dict[str, Any]) -> None:
    """What was asked for is there: exit 0; with another port it is not: exit 1."""
    again = run(folder, "up", "--json")
    assert again.returncode == 0
    assert "already runs" in again.stderr
    assert json.loads(again.stdout) == {**document, "alreadyRunning": True}
    other = run(folder, "up", "--port", "1025")
    assert other.returncode == 1
    assert "stack down" in other.stderr


def test_ctrl_c_leaves_nothing_and_up_continues(
    folder: Path, foreground: subprocess.Popen[str], document: dict[str, Any]
) -> None:
    """Data written before a Ctrl-C are there after the next `up`, on the same ports."""
    before = environment(folder)
    with psycopg.connect(before["NODE_IMPORT_POSTGRES_ADMIN_DSN"]) as conn:
        conn.execute("INSERT INTO domain (id, name) VALUES (gen_random_uuid(), 'acme')")
    foreground.send_signal(signal.SIGINT)
    assert foreground.wait(PATIENCE) == 0
    assert processes_in(folder) == {}
    assert run(folder, "env").returncode == 1

    detached = run(folder, "up", "--detach")
    assert detached.returncode == 0, detached.stderr
    assert document["webserverUrl"] in detached.stdout
    assert "Kafka lives in memory" in detached.stdout
    after = environment(folder)
    assert after["NODE_IMPORT_POSTGRES_ADMIN_DSN"] == before["NODE_IMPORT_POSTGRES_ADMIN_DSN"]
    with psycopg.connect(after["NODE_IMPORT_POSTGRES_ADMIN_DSN"]) as conn:
        assert conn.execute("SELECT name FROM domain").fetchall() == [("acme",)]

    down = run(folder, "down", "--json")
    assert (down.returncode, json.loads(down.stdout)["stopped"]) == (0, True)
    assert processes_in(folder) == {}


def test_nothing_runs(tmp_path: Path) -> None:
    """`env` has nothing to print and fails with a line; `down` has nothing to do."""
    env = run(tmp_path, "env")
    assert (env.returncode, env.stdout) == (1, "")
    assert "no stack runs" in env.stderr
    down = run(tmp_path, "down")
    assert down.returncode == 0
    assert "no stack runs" in down.stdout


def test_missing_extra_is_a_usage_error(tmp_path: Path) -> None:
    """Without the packages of `embedded` it says what to install."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'moto' else find(name, *rest)\n"
    )
    done = subprocess.run(
        [*NODE_IMPORT, "stack", "up", "--data-dir", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "pip install 'node-import[embedded]'" in done.stderr
