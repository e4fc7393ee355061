"""Several files at once, and one file over several workers, on one machine without a shared disk.

    python -m benchmarks.scale_out [--rows 100000] [--files 4]

First so many files, of a group each, by one, two and four run workers at once; then one file of as
many rows as all of them by one process and by two of Celery's workers (where there is a
redis-server). PostgreSQL, S3 and Kafka are the throwaway ones of the tests, on the same machine.
Seconds are from the start of the first process to the end of the last, with what a process needs to
start; "importing" is from the first job's start to the last one's end, by the job table.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from pydantic import SecretStr

from node_import.database import Database
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.settings import Settings
from node_import_tests.services.cluster import Cluster, open_cluster
from node_import_tests.services.machines import Machine
from node_import_tests.services.redis import redis_server
from node_import_tests.support.databases import DatabaseFactory
from node_import_tests.support.services import TestServices, running_services
from node_import_tests.support.tenants import make_tenant, rows

BUCKET = "benchmark"


def file_of(count: int) -> str:
    """Five values a row; the references are the same in every file."""
    lines = (
        f"user-{n:09},Name of user {n},City {n % 997},{n % 101},segment-{n % 13},note {n}"
        for n in range(count)
    )
    return "\n".join(["id,name,city,score,segment,note", *lines])


class Bench:
    """Fresh databases on one set of services."""

    def __init__(self, services: TestServices, folder: Path) -> None:
        self._services = services
        self._folder = folder
        self._factory = DatabaseFactory(services.postgres_admin_dsn, services.importer_password)
        self._factory.migrate_template()
        self._s3: Any = boto3.client(
            "s3",
            endpoint_url=services.s3_endpoint_url,
            aws_access_key_id=services.s3_access_key,
            aws_secret_access_key=services.s3_secret_key,
            region_name=services.s3_region,
            config=Config(s3={"addressing_style": "path"}),
        )
        self._s3.create_bucket(Bucket=BUCKET)

    @contextmanager
    def cluster(self, name: str, groups: int, **changes: Any) -> Iterator[Cluster]:
        """A deployment with an empty database."""
        services = self._services
        with ExitStack() as stack:
            database = stack.enter_context(self._factory.database())
            storage = stack.enter_context(self._factory.database())
            settings = Settings(
                postgres_dsn=database.importer_dsn,
                kafka_bootstrap_servers=services.kafka_bootstrap_servers,
                s3_endpoint_url=services.s3_endpoint_url,
                s3_access_key=services.s3_access_key,
                s3_secret_key=services.s3_secret_key,
                s3_region=services.s3_region,
                s3_bucket=BUCKET,
                **changes,
            )
            names = " ".join(f"g{n}" for n in range(groups))
            tenant = make_tenant(Database.from_settings(settings), database, "acme", names)
            yield stack.enter_context(
                open_cluster(settings, database, tenant, storage, self._s3, self._folder / name)
            )


def run_all(cluster: Cluster, at_once: int) -> float:
    """Run what is due, so many run workers at a time; seconds."""
    due = cluster.deployment.dispatch()
    keys = [item.partition_key for item in due]
    cluster.deployment.instance.add_dynamic_partitions(PARTITIONS_NAME, keys)
    running: list[Machine] = []
    started = time.perf_counter()
    for number, item in enumerate(due):
        while len(running) >= at_once:
            running = [machine for machine in running if is_running(machine)]
            time.sleep(0.05)
        running.append(cluster.machine(f"machine-{number}"))
        running[-1].start_run(item)
    for machine in running:
        assert machine.wait(600) == 0, machine.log()
    return time.perf_counter() - started


def is_running(machine: Machine) -> bool:
    """Whether its process is there."""
    return machine.process is not None and machine.process.poll() is None


def report(cluster: Cluster, name: str, seconds: float) -> None:
    """One line."""
    jobs = (
        "SELECT sum(inserted_nodes), count(*) FILTER (WHERE status <> 'COMPLETED'),"
        " extract(epoch FROM max(finished_at) - min(started_at)) FROM nodes_import_job"
    )
    [(nodes, failed, importing)] = rows(cluster.deployment.database, jobs)
    assert failed == 0
    print(
        f"{name:42} {seconds:6.1f} s {nodes / seconds:8,.0f} rows/s"
        f"   importing {float(importing):6.1f} s {nodes / float(importing):8,.0f} rows/s"
    )


def several_files(bench: Bench, count: int, files: int) -> None:
    """So many groups, a file each."""
    content = file_of(count)
    for at_once, connections in ((1, 2), (2, 2), (2, 1), (4, 1)):
        name = f"{at_once}-{connections}"
        with bench.cluster(name, files, load_connections=connections) as cluster:
            deployment = cluster.deployment
            for number in range(files):
                deployment.ask_for_file(deployment.upload(content, f"{number}"), f"g{number}")
            seconds = run_all(cluster, at_once)
            report(cluster, f"{files} files, {at_once} at once, {connections} connections", seconds)


def one_file(bench: Bench, count: int, folder: Path) -> None:
    """In one process, and over Celery's workers."""
    content = file_of(count)
    for staging in ("local", "objects"):
        with bench.cluster(f"one-{staging}", 1, staging=staging) as cluster:
            cluster.deployment.ask_for_file(cluster.deployment.upload(content), "g0")
            report(cluster, f"one file, one process, staged: {staging}", run_all(cluster, 1))
    if shutil.which("redis-server") is None:
        return
    with redis_server(folder) as url:
        broker = SecretStr(url)
        with bench.cluster("celery", 1, executor="celery", celery_broker_url=broker) as cluster:
            for number in range(2):
                cluster.worker(f"worker-{number}")
            cluster.deployment.ask_for_file(cluster.deployment.upload(content), "g0")
            report(cluster, "one file, two Celery workers", run_all(cluster, 1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_out")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each file")
    parser.add_argument("--files", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("services", "redis"):
            (folder / part).mkdir()
        with running_services(folder / "services") as services:
            bench = Bench(services, folder)
            several_files(bench, options.rows, options.files)
            one_file(bench, options.rows * options.files, folder / "redis")


if __name__ == "__main__":
    main()
