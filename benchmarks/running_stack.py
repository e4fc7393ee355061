"""The embedded stack of the benchmark: started, spoken to as a producer would, and reset."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from pydantic import SecretStr

from benchmarks.meter import Meter
from node_import.database import Database
from node_import.database.migrations import migrate
from node_import.jobs.tenants import add_domain, add_group
from node_import.objects.store import ObjectStore
from node_import.settings import Settings, load_settings
from node_import.stack.layout import Layout
from node_import.stack.ports import Ports, choose_ports, remember_ports
from node_import.stack.state import StackState, last_state

READY_SECONDS = 240.0
PORTS = Ports(21_400, 21_401, 21_402, 21_403)

_RUN = """query($id: ID!) {runOrError(runId: $id) {... on Run {
  status creationTime startTime endTime stepStats {stepKey startTime endTime}}}}"""
_REPOSITORIES = """{repositoriesOrError {... on RepositoryConnection {nodes {
  name location {name}}}}}"""
_LAUNCH = """mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}}}"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A domain and one group of it."""

    name: str
    domain_id: str
    group_id: str

    @property
    def topic(self) -> str:
        """Where its requests go."""
        return f"{self.name}-users"

    def file_request(self, url: str) -> bytes:
        """A `NodeExchange` that names a file."""
        return self._request(filePath=url, fileName=url.rpartition("/")[2])

    def reference_request(self, references: Iterable[str]) -> bytes:
        """A `NodeExchange` that lists references."""
        return self._request(referenceIds=list(references))

    def _request(self, **source: Any) -> bytes:
        request = {"domainId": self.domain_id, "groupId": self.group_id, **source}
        return json.dumps(request).encode()


@dataclass(frozen=True, slots=True)
class Status:
    """A status message and when it came."""

    time: float
    value: Mapping[str, Any]


class RunningStack:
    """A running stack, with the clients of a producer who waits for answers."""

    def __init__(self, state: StackState) -> None:
        self.environment = state.environment
        self.children = {name: child.pid for name, child in state.children.items()}
        prefix = "NODE_IMPORT_"
        values = {
            name.removeprefix(prefix).lower(): value
            for name, value in state.environment.items()
            if name.startswith(prefix)
        }
        known = {name: value for name, value in values.items() if name in Settings.model_fields}
        self.settings = load_settings(_env_file=None, **known)
        self.admin_dsn = values["postgres_admin_dsn"]
        self.store = ObjectStore.from_settings(self.settings)
        config = self.settings.kafka_client_config()
        # The broker goes before its clients do, which is nothing to write about.
        quiet = {"log_level": 0}
        queue = {"linger.ms": 1, "queue.buffering.max.messages": 1_000_000}
        self._producer = Producer({**config, **quiet, **queue})
        reading = {"group.id": "benchmark", "enable.auto.commit": False, "fetch.wait.max.ms": 10}
        self._consumer = Consumer({**config, **quiet, **reading})
        self._tenants: dict[str, Tenant] = {}
        self._statuses: list[Status] = []
        self._follow_statuses()

    def close(self) -> None:
        """Close the clients."""
        self._consumer.close()

    def connect(self) -> psycopg.Connection:
        """As the superuser, autocommit."""
        return psycopg.connect(self.admin_dsn, autocommit=True)

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows that the superuser sees."""
        with self.connect() as conn:
            return conn.execute(statement, parameters or None).fetchall()

    def empty_tables(self) -> None:
        """No nodes, and no work of an earlier measurement left for the server to do."""
        with self.connect() as conn:
            conn.execute("TRUNCATE nodes, node_metadata")
            conn.execute("CHECKPOINT")

    def tenant(self, name: str) -> Tenant:
        """A domain with one group, made once; its topic has been read before."""
        if name not in self._tenants:
            made = make_tenant(Database.from_settings(self.settings), name)
            self._tenants[name] = made
            self.publish([(made.topic, made.reference_request(["warm-up"]))])
            self.wait_for_statuses(1)
        return self._tenants[name]

    @contextmanager
    def database_beside(self, name: str, *, migrated: bool = True) -> Iterator[Settings]:
        """Settings for another, new database on the same server; it is dropped afterwards."""
        dsns = (self.admin_dsn, self.settings.postgres_dsn.get_secret_value())
        admin, importer = (urlunsplit(urlsplit(dsn)._replace(path=f"/{name}")) for dsn in dsns)
        with self.connect() as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            conn.execute(f"CREATE DATABASE {name}")
            conn.execute("CHECKPOINT")
        if migrated:
            migrate(admin, importer)
        update = {"postgres_dsn": SecretStr(importer), "postgres_admin_dsn": SecretStr(admin)}
        yield self.settings.model_copy(update=update)
        with self.connect() as conn:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def upload(self, path: Path) -> str:
        """Put a file into the importer's bucket; its URL."""
        return self.store.upload(path, f"bench/{uuid.uuid4().hex[:8]}/{path.name}")

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> float:
        """Publish (topic, value) and wait until the broker has all; when the first was sent."""
        self._consumer.consume(1_000, 0)  # late answers to a measurement that was given up
        self._statuses.clear()
        began = time.time()
        for number, (topic, value) in enumerate(messages):
            self._producer.produce(topic, value, key=str(number).encode())
            self._producer.poll(0)
        if self._producer.flush(60):
            raise RuntimeError("Kafka did not take the messages")
        return began

    def wait_for_statuses(self, count: int, seconds: float = 1_800.0) -> list[Status]:
        """The next `count` status messages, in the order in which they came."""
        deadline = time.monotonic() + seconds
        while len(self._statuses) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self._statuses)} of {count} status messages came")
            for message in self._consumer.consume(500, 0.02):
                if message.error() is None:
                    self._statuses.append(Status(time.time(), json.loads(message.value() or b"")))
        came, self._statuses = self._statuses[:count], self._statuses[count:]
        return came

    def _follow_statuses(self) -> None:
        topic = self.settings.status_topic
        # A topic comes into being when a producer asks for it; a consumer's question makes none.
        while not (places := self._producer.list_topics(topic, 30).topics[topic].partitions):
            time.sleep(0.2)
        self._consumer.assign(
            [TopicPartition(topic, number, OFFSET_BEGINNING) for number in places]
        )

    def meter(self) -> Meter:
        """Watches this stack's processes."""
        return Meter(self.children, "code-location", self.admin_dsn)

    def run(self, run_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """A Dagster run that has ended, with its steps' times."""
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.ask(_RUN, id=run_id)["runOrError"]
            if found.get("endTime") or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def launch_job(self, job: str) -> str:
        """Launch a job that needs no configuration, through the queue; its run's id."""
        repository = self.ask(_REPOSITORIES)["repositoriesOrError"]["nodes"][0]
        selector = {
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
            "pipelineName": job,
        }
        params = {"selector": selector, "mode": "default"}
        answer = self.ask(_LAUNCH, params=params)["launchPipelineExecution"]
        run_id: str = answer["run"]["runId"]
        return run_id

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """GraphQL of Dagster's webserver."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = self.environment["NODE_IMPORT_WEBSERVER_URL"] + "/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data


def make_tenant(database: Database, name: str) -> Tenant:
    """A new domain with a new group."""
    with database.operator() as conn:
        domain = add_domain(conn, name)
        group = add_group(conn, domain, "members")
    return Tenant(name, str(domain.id), str(group.id))


@contextmanager
def running_stack(folder: Path) -> Iterator[RunningStack]:
    """Start a new stack in `folder`, and stop it afterwards; what an earlier one left goes."""
    shutil.rmtree(folder, ignore_errors=True)
    layout = Layout(folder.absolute())
    layout.create()
    remember_ports(layout, choose_ports(PORTS))
    log = layout.logs / "benchmark-stack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "benchmarks.stack_process", str(layout.root)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
    try:
        stack = RunningStack(_wait_until_ready(layout, process, log))
        try:
            yield stack
        finally:
            stack.close()
    finally:
        process.terminate()
        process.wait(180)


def _wait_until_ready(layout: Layout, process: subprocess.Popen[bytes], log: Path) -> StackState:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        state = last_state(layout)
        if state and state.phase == "ready" and state.supervisor.pid == process.pid:
            return state
        time.sleep(0.1)
    raise RuntimeError(f"the stack did not come up:\n{log.read_text()[-2_000:]}")
