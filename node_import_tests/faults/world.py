"""One case in a lane: its databases, topics, tenants, requests; and the processes it starts."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import dagster as dg
from botocore.config import Config
from confluent_kafka.admin import AdminClient, NewTopic

from node_import.database import Database
from node_import.settings import Settings
from node_import.stack.environment import settings_environment
from node_import_tests.faults.injector import Trigger
from node_import_tests.faults.lane import Lane, open_instance, write_instance
from node_import_tests.faults.nursery import Nursery, Process
from node_import_tests.faults.requests import Kind, Request, any_id
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.kafka_messages import Sent, produce
from node_import_tests.support.tenants import Tenant, make_tenant

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

GROUPS = "g h lists"
HEARTBEAT = 0.5
# Long enough for a busy machine: a run that only seems dead costs one of its lives.
EXPIRY = 30.0
# Where silence is the fault: `open_world(…, heartbeat_expiry=SHORT_EXPIRY)`.
SHORT_EXPIRY = 8.0


@dataclass
class World:
    """What one case has for itself."""

    lane: Lane
    nursery: Nursery
    folder: Path
    settings: Settings
    database: TestDatabase
    storage: TestDatabase
    dagster_url: str
    dagster_proxy_url: str
    instance: dg.DagsterInstance
    tenants: dict[str, Tenant]
    sent: dict[tuple[str, int], Request] = field(default_factory=dict)
    triggers: dict[str, list[Trigger]] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    @cached_property
    def direct(self) -> Settings:
        """The same deployment, not by way of the proxies: for looking at it."""
        return self.settings.model_copy(
            update={
                "kafka_bootstrap_servers": self.lane.kafka_bootstrap,
                "s3_endpoint_url": self.lane.s3_endpoint,
            }
        )

    @cached_property
    def s3(self) -> S3Client:
        """The object store, not by way of the proxy."""
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.lane.s3_endpoint,
            aws_access_key_id=self.lane.s3_access_key,
            aws_secret_access_key=self.lane.s3_secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 10}),
        )
        return client

    @property
    def domains(self) -> list[str]:
        """The tenants' names."""
        return list(self.tenants)

    def topic(self, domain: str) -> str:
        """The request topic of a tenant."""
        return f"{domain}-users"

    @property
    def requests(self) -> list[Request]:
        """All that was sent, each as it stands now."""
        return list(self.sent.values())

    def send(self, *requests: Request) -> None:
        """Put their files into the store and their messages on their topics."""
        for request in requests:
            if request.file is not None and request.kind is not Kind.MISSING_FILE:
                self.put_file(request)
        for domain in dict.fromkeys(request.domain for request in requests):
            own = [request for request in requests if request.domain == domain]
            tenant_id, bucket = self.tenants[domain].domain_id, self.settings.s3_bucket
            values = [request.value(tenant_id, bucket) for request in own]
            places: Sequence[Sent] = produce(self.direct, self.topic(domain), values, key=b"k")
            for request, place in zip(own, places, strict=True):
                self.sent[self.topic(domain), place.offset] = request

    def put_file(self, request: Request) -> None:
        """Its file, where its message says."""
        assert request.file is not None
        self.s3.put_object(Bucket=self.settings.s3_bucket, Key=request.key, Body=request.file)

    def mend(self, request: Request) -> None:
        """The missing file is there now."""
        self.put_file(request)
        [place] = [place for place, sent in self.sent.items() if sent == request]
        self.sent[place] = request.mended()

    def arm(self, kind: str, point: str, nth: int = 1, number: int = signal.SIGKILL) -> Trigger:
        """One of the processes of that kind that start from now on gets that signal there."""
        armed = self.triggers.setdefault(kind, [])
        once = str(self.folder / f"{kind}-{len(armed)}.died")
        trigger = Trigger(point, nth, once, int(number))
        armed.append(trigger)
        return trigger

    def start(self, role: str, *, kind: str = "", **order: Any) -> Process:
        """A process of the importer in this deployment; `kind` tells which ones are armed."""
        process = self.nursery.start(
            role,
            self.folder,
            self.environment,
            triggers=self.triggers.get(kind or role, ()),
            label=kind or role,
            **order,
        )
        self.processes.append(process)
        return process

    def reached(self) -> Counter[tuple[str, str]]:
        """(kind, point): the most often that one process of the kind has reached it."""
        most: Counter[tuple[str, str]] = Counter()
        for process in self.processes:
            for point, times in Counter(process.reached()).items():
                key = process.kind, point
                most[key] = max(most[key], times)
        return most

    def killed(self) -> list[Process]:
        """Processes that SIGKILL ended."""
        return [process for process in self.processes if process.was_killed]

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """Of the processes: the settings, and Dagster's instance."""
        return {
            **settings_environment(self.settings),
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "DAGSTER_POSTGRES_URL": self.dagster_proxy_url,
            "TMPDIR": str(self.folder / "tmp"),
        }


@contextmanager
def open_world(
    lane: Lane, nursery: Nursery, folder: Path, *, tenants: int = 1, **changes: Any
) -> Iterator[World]:
    """A fresh deployment in `folder`; whatever still runs in it is killed at the end."""
    case = any_id()
    names = [f"{case}-{letter}" for letter in "abcdef"[:tenants]]
    for name in ("tmp", "processes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_instance(folder / "dagster")
    with ExitStack() as stack:
        database = stack.enter_context(lane.databases.database())
        storage = stack.enter_context(lane.dagster_databases.database())
        settings = _settings(lane, database, case, folder).model_copy(update=changes)
        direct = Database(database.importer_dsn)
        url = lane.url_of(storage)
        instance = stack.enter_context(open_instance(folder / "dagster", url))
        world = World(
            lane=lane,
            nursery=nursery,
            folder=folder,
            settings=settings,
            database=database,
            storage=storage,
            dagster_url=url,
            dagster_proxy_url=lane.url_of(storage, proxy=True),
            instance=instance,
            tenants={name: make_tenant(direct, database, name, GROUPS) for name in names},
        )
        world.s3.create_bucket(Bucket=settings.s3_bucket)
        topics = _topics(world)
        admin = AdminClient({"bootstrap.servers": lane.kafka_bootstrap})
        for made in admin.create_topics([NewTopic(name, 1, 1) for name in topics]).values():
            made.result(30)
        try:
            yield world
        finally:
            _end(world)
            lane.ensure_up()
            # One client for two commands could be collected before its futures end.
            deleted = admin.delete_topics(topics)
            for gone in deleted.values():
                gone.exception(30)
            world.s3.close()


def _topics(world: World) -> list[str]:
    requests = [world.topic(domain) for domain in world.tenants]
    letters = [f"{topic}{world.settings.dlt_suffix}" for topic in requests]
    return [*requests, *letters, world.settings.status_topic]


def _settings(lane: Lane, database: TestDatabase, case: str, folder: Path) -> Settings:
    return Settings(
        postgres_dsn=lane.through_proxy(database.importer_dsn),
        kafka_bootstrap_servers=lane.kafka_proxy_bootstrap,
        kafka_group_id=f"{case}-importer",
        request_topic_pattern=rf"^(?P<domain>{case}-[a-z]+)-users$",
        status_topic=f"{case}-status",
        s3_endpoint_url=lane.s3_proxy_endpoint,
        s3_access_key=lane.s3_access_key,
        s3_secret_key=lane.s3_secret_key,
        s3_bucket=f"{case}-bucket",
        staging_dir=folder / "staging",
        intake_linger_seconds=0.0,
        max_concurrent_runs=3,
        group_max_jobs=3,
        heartbeat_seconds=HEARTBEAT,
        heartbeat_expiry=EXPIRY,
        lock_timeout=2.0,
        statement_timeout=20.0,
    )


def _end(world: World) -> None:
    for process in world.processes:
        if process.is_alive:
            process.send(9)
            process.wait()
