"""Several files at once, each in the process of its run, on machines that share no disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node_import.database import Database
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.settings import Settings
from node_import_tests.services.cluster import (
    PATIENCE,
    Cluster,
    open_cluster,
    waiting_for_locks,
)
from node_import_tests.services.machines import Machine
from node_import_tests.services.topics import wait_until
from node_import_tests.support.databases import DatabaseFactory, TestDatabase
from node_import_tests.support.tenants import make_tenant, rows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

GROUPS = ("a", "b", "c", "d")
ROWS = 20_000


@pytest.fixture
def cluster(
    settings: Settings,
    database: TestDatabase,
    database_factory: DatabaseFactory,
    s3_client: S3Client,
    unique_name: Callable[[str], str],
    tmp_path: Path,
) -> Iterator[Cluster]:
    """A tenant with four groups, and Dagster's storage in PostgreSQL."""
    own = Database.from_settings(settings)
    tenant = make_tenant(own, database, unique_name("acme"), " ".join(GROUPS))
    with (
        database_factory.database() as storage,
        open_cluster(settings, database, tenant, storage, s3_client, tmp_path) as made,
    ):
        yield made


def file_of(group: str) -> str:
    """References that all groups have, with values that only this one has."""
    lines = (f"u-{n},{group} {n}" for n in range(ROWS))
    return "\n".join(["id,name", *lines])


def staged(machine: Machine) -> list[str]:
    """The segments on its disk."""
    return [name for name in machine.files() if "segment" in name]


def test_files_of_several_groups_at_once(cluster: Cluster) -> None:
    """Every row of every file is there once; each machine staged its own and left nothing."""
    deployment = cluster.deployment
    jobs = {
        group: deployment.ask_for_file(deployment.upload(file_of(group), f"{group}.csv"), group)
        for group in GROUPS
    }
    waiting = deployment.ask_for_file(deployment.upload(file_of("z"), "later.csv"), "a")
    due = deployment.dispatch()
    assert len(due) == len(GROUPS)  # a group's second file waits for its first
    keys = [item.partition_key for item in due]
    deployment.instance.add_dynamic_partitions(PARTITIONS_NAME, keys)
    machines = []
    with deployment.database.connect() as conn, conn.transaction():
        conn.execute("LOCK TABLE nodes IN EXCLUSIVE MODE")  # until all of them load
        for number, item in enumerate(due):
            machines.append(cluster.machine(f"machine-{number}"))
            machines[-1].start_run(item)
        wait_until(lambda: waiting_for_locks(deployment.database) >= len(GROUPS), PATIENCE)
        areas = [{Path(name).parent for name in staged(machine)} for machine in machines]
        assert all(len(here) == 1 for here in areas)
        assert len(set.union(*areas)) == len(GROUPS)
    for machine in machines:
        assert machine.wait(PATIENCE) == 0, machine.log()
        assert staged(machine) == []

    for group, job_id in jobs.items():
        row = deployment.row(job_id)
        assert (row["status"], row["inserted_nodes"]) == ("COMPLETED", ROWS)
        nodes = deployment.nodes(group)
        assert len(nodes) == ROWS
        assert nodes["u-7"] == {"name": f"{group} 7"}
    assert deployment.row(waiting)["status"] == "PENDING"
    assert rows(deployment.database, "SELECT count(*) FROM nodes") == [(ROWS * len(GROUPS),)]
