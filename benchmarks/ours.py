"""An import as a user sees it: from the published message to the status message, and its parts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.meter import Curves
from benchmarks.running_stack import RunningStack, Tenant

# A part that is no step of the graph: the tick, the queue, and a process that imports Dagster.
START = "wait and start"
STEPS = ("resolve_file", "stream_parse", "load_batch", "close_job", "publish_status")
# The services whose CPU is counted, beside the run's own process.
SERVICES = ("postgres", "s3", "code-location", "daemon", "webserver")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an import: its wall time and what it took meanwhile."""

    seconds: float
    worker_cpu: float
    server_cpu: float
    other_cpu: float
    wal_bytes: float


def import_once(stack: RunningStack, tenant: Tenant, url: str) -> dict[str, Any]:
    """Publish, wait for the answer, and take the run apart; the result can be kept as JSON."""
    with stack.meter() as meter:
        began = stack.publish([(tenant.topic, tenant.file_request(url))])
        [status] = stack.wait_for_statuses(1)
        job = _job(stack, str(status.value["jobId"]))
        run = stack.run(job["dagster_run_id"])
        time.sleep(0.3)  # the process of the run ends after its last event
    if status.value["status"] not in {"COMPLETED", "FAILED"} or not run.get("endTime"):
        raise RuntimeError(f"the import did not end as it should: {status.value}")
    parts = _parts(meter.curves, began, status.time, run)
    return {
        "seconds": status.time - began,
        "claim_to_close": job["claim_to_close"],
        "total": status.value["total"],
        "processed": status.value["processed"],
        "inserted": job["inserted_nodes"],
        "updated": job["updated_nodes"],
        "unchanged": job["unchanged_nodes"],
        "rejected": job["rejected_nodes"],
        "run_seconds": run["endTime"] - run["creationTime"],
        "peak_rss": meter.curves.peak_rss,
        "wal_fsyncs": meter.curves.wal_fsyncs,
        "data_fsyncs": meter.curves.data_fsyncs,
        "parts": {
            name: {
                "seconds": part.seconds,
                "worker_cpu": part.worker_cpu,
                "server_cpu": part.server_cpu,
                "other_cpu": part.other_cpu,
                "wal_bytes": part.wal_bytes,
            }
            for name, part in parts.items()
        },
    }


def rows_written(stack: RunningStack) -> dict[str, int]:
    """Rows that were inserted, updated or deleted in the two tables so far."""
    query = (
        "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
        " WHERE relname IN ('nodes', 'node_metadata')"
    )
    return dict(stack.query(query))


def wal_of_tables(stack: RunningStack, start: str, end: str) -> dict[str, int]:
    """Bytes of WAL that speak of the two tables and their indexes, by kind of record.

    From `pg_walinspect`, record by record: what autovacuum and checkpoints write is there too,
    under `Heap2` and `XLOG`.
    """
    query = (
        "SELECT resource_manager, sum(record_length)::bigint"
        " FROM pg_get_wal_block_info(%s::pg_lsn, %s::pg_lsn)"
        " WHERE relfilenode IN (SELECT pg_relation_filenode(c.oid) FROM pg_class AS c"
        "   WHERE c.oid IN ('nodes'::regclass, 'node_metadata'::regclass)"
        "   UNION SELECT pg_relation_filenode(indexrelid) FROM pg_index"
        "   WHERE indrelid IN ('nodes'::regclass, 'node_metadata'::regclass))"
        " GROUP BY 1"
    )
    return {name: int(size) for name, size in stack.query(query, start, end)}


def wal_position(stack: RunningStack) -> str:
    """Where the WAL ends now."""
    return str(stack.query("SELECT pg_current_wal_flush_lsn()")[0][0])


def empty_job_run(stack: RunningStack, job: str) -> float:
    """Seconds of a Dagster job without work, from its launch to its end."""
    run = stack.run(stack.launch_job(job))
    return float(run["endTime"] - run["creationTime"])


def _job(stack: RunningStack, job_id: str) -> dict[str, Any]:
    counts = ("inserted_nodes", "updated_nodes", "unchanged_nodes", "rejected_nodes")
    columns = ("dagster_run_id", *counts)
    [row] = stack.query(
        f"SELECT {', '.join(columns)}, extract(epoch FROM finished_at - started_at)::float"
        " FROM nodes_import_job WHERE id = %s",
        job_id,
    )
    return dict(zip((*columns, "claim_to_close"), row, strict=True))


def _parts(curves: Curves, began: float, ended: float, run: dict[str, Any]) -> dict[str, Part]:
    """Steps of one name are one part: from the first one's start to the last one's end."""
    spans: dict[str, tuple[float, float]] = {}
    for step in run["stepStats"]:
        name = step["stepKey"].partition("[")[0]
        start, end = spans.get(name, (step["startTime"], step["endTime"]))
        spans[name] = (min(start, step["startTime"]), max(end, step["endTime"]))
    begins = {name: spans[name][0] for name in STEPS if name in spans}
    marks = [(START, began), *sorted(begins.items(), key=lambda item: item[1])]
    ends = [start for _, start in marks[1:]] + [ended]
    return {name: _part(curves, start, end) for (name, start), end in zip(marks, ends, strict=True)}


def _part(curves: Curves, start: float, end: float) -> Part:
    others = [name for name in SERVICES if name != "postgres"]
    return Part(
        seconds=end - start,
        worker_cpu=curves.cpu("worker", start, end),
        server_cpu=curves.cpu("postgres", start, end),
        other_cpu=sum(curves.cpu(name, start, end) for name in others),
        wal_bytes=curves.wal(start, end),
    )
