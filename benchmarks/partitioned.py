"""What partitioning by domain costs the loader: the same loads into plain, hash and list tables.

    python -m benchmarks.partitioned [--nodes 100000] [--tenants 4] [--rounds 3]

Each round makes three fresh databases on one throwaway server (no disk flushes) and loads the same
staged rows into each: all new, the same again, and with one of five values changed. The figures are
medians over the rounds of nodes per second, ratios to the plain tables, and the bytes that the
last round wrote for each node (full_page_writes is off, as on no server that matters).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import polars as pl
import psycopg

from node_import.database import Database
from node_import.jobs.record import Claim
from node_import.loading import load_slices
from node_import.sql import sql_folder
from node_import.staging.area import LocalStagingArea
from node_import.staging.manifest import Manifest
from node_import.staging.plan import plan_for
from node_import.staging.segments import SegmentWriter
from node_import_tests.support.databases import DatabaseFactory, TestDatabase
from node_import_tests.support.services import running_services
from node_import_tests.support.tenants import Tenant, make_tenant, put

KINDS = ("plain", "hash", "list")
KEYS = ("name", "city", "score", "segment", "note")
CSV_BYTES_A_ROW = 80
CONNECTIONS = 2


def rows_of(nodes: int, version: int) -> pl.DataFrame:
    """Five values each; one of them says which version of the file this is."""
    number = pl.int_range(nodes, eager=True)
    text = number.cast(pl.String)
    return pl.DataFrame(
        {
            "line": number + 2,
            "reference_id": "user-" + text.str.zfill(9),
            "type": pl.repeat("USER", nodes, eager=True),
            "v0": "Name of user " + text,
            "v1": "City " + (number % 997).cast(pl.String),
            "v2": (number % 101).cast(pl.String),
            "v3": "segment-" + (number % 13).cast(pl.String),
            "v4": pl.repeat(f"version {version}", nodes, eager=True),
        }
    )


def load(database: TestDatabase, tenant: Tenant, folder: Path, rows: pl.DataFrame) -> float:
    """Stage and load one file; the seconds of the loading."""
    job_id: UUID = tenant.references()
    put(database, job_id, status="RUNNING", dagster_run_id="run", attempt=1)
    area = LocalStagingArea(folder / str(job_id))
    plan = plan_for(rows.height * CSV_BYTES_A_ROW)
    writer = SegmentWriter(area, plan, KEYS)
    writer.add(rows)
    manifest = Manifest(
        job_id=str(job_id),
        domain_id=str(tenant.domain_id),
        object_version="version",
        plan=plan,
        segments=writer.close(),
        metadata_keys=KEYS,
        total_rows=rows.height,
        accepted_rows=rows.height,
    )
    started = time.perf_counter()
    result = load_slices(
        tenant.database,
        Claim(job_id, tenant.domain_id, "run", 1),
        manifest,
        area,
        tenant.groups["g"],
        range(plan.slices),
        connections=CONNECTIONS,
        stop=threading.Event(),
    )
    seconds = time.perf_counter() - started
    assert not result.failed, result.failed[0]
    area.remove()
    return seconds


@contextmanager
def tables(
    factory: DatabaseFactory, kind: str, tenants: int
) -> Iterator[tuple[TestDatabase, list[Tenant]]]:
    """A fresh database whose two tables are of that kind."""
    with factory.database() as database:
        importer = Database(database.importer_dsn)
        made = [make_tenant(importer, database, f"tenant-{n}") for n in range(tenants)]
        if kind != "plain":
            options = f"-c node_import.partition_by={kind}"
            script = sql_folder() / "partitioning" / "partition_by_domain.sql"
            with psycopg.connect(database.admin_dsn, options=options) as conn:
                conn.execute(script.read_text(encoding="utf-8"))
        yield database, made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partitioned")
    parser.add_argument("--nodes", type=int, default=100_000, help="nodes of each tenant")
    parser.add_argument("--tenants", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    loads = {"new": 1, "the same again": 1, "one value changed": 2}
    files = {version: rows_of(options.nodes, version) for version in set(loads.values())}
    speeds: dict[tuple[str, str], list[float]] = defaultdict(list)
    written: dict[tuple[str, str], float] = {}
    nodes = options.nodes * options.tenants
    with tempfile.TemporaryDirectory() as folder, running_services(Path(folder)) as services:
        factory = DatabaseFactory(services.postgres_admin_dsn, services.importer_password)
        factory.migrate_template()
        for number in range(options.rounds):
            for kind in (*KINDS[number % 3 :], *KINDS[: number % 3]):  # no kind is always first
                with tables(factory, kind, options.tenants) as (database, tenants):
                    for name, version in loads.items():
                        before = bytes_of(database)
                        rows = files[version]
                        seconds = sum(load(database, one, Path(folder), rows) for one in tenants)
                        speeds[kind, name].append(nodes / seconds)
                        after = bytes_of(database)
                        for what in before:
                            written[f"{name}: {what}", kind] = (after[what] - before[what]) / nodes
    for name in loads:
        plain = statistics.median(speeds["plain", name])
        for kind in KINDS:
            speed = statistics.median(speeds[kind, name])
            print(f"{name:24} {kind:6} {speed:9,.0f} nodes/s    {speed / plain:5.2f}")
    for (what, kind), size in sorted(written.items()):
        print(f"{what:24} {kind:6} {size:9,.0f} bytes a node")


def bytes_of(database: TestDatabase) -> dict[str, int]:
    """What the server has written so far: its log, and tables with their indexes."""
    query = (
        "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,"
        " pg_database_size(current_database())"
    )
    with database.connect() as conn:
        [(log, tables)] = conn.execute(query).fetchall()
    return {"WAL": log, "size": tables}


if __name__ == "__main__":
    main()
