"""Results of the pipeline as Dagster's metadata: the job table, mirrored for the UI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

from node_import.pipeline.close_job import Closed

Metadata: TypeAlias = dict[str, Any]

COUNTS = (
    "total",
    "processed",
    "inserted",
    "updated",
    "unchanged",
    "duplicate",
    "rejected",
    "failed",
)
LINKS = ("source_url", "rejects_url", "result_url")

# The UI draws a table whole; the job table and `node-import jobs list` have the rest.
MOST_ROWS_IN_TABLE = 50


def shown(values: Mapping[str, object]) -> Metadata:
    """Plain values as Dagster shows them: URLs as links, lines as they are."""
    return {name: _value(value) for name, value in values.items()}


def job_report_metadata(closed: Closed) -> Metadata:
    """Counts, rates, rejects by code, links: the rows of the job table that a run closed."""
    jobs = closed.jobs
    totals = {name: sum(job.get(f"{name}_nodes") or 0 for job in jobs) for name in COUNTS}
    metadata: Metadata = {f"{name}_nodes": count for name, count in totals.items()}
    metadata["batches"] = closed.batches
    metadata["slices"] = closed.slices
    if closed.load_seconds:
        loaded = totals["processed"] / closed.load_seconds
        metadata["loaded_nodes_per_second"] = round(loaded)
    seconds = _seconds_from_claim_to_close(jobs)
    if seconds:
        metadata["seconds"] = round(seconds, 3)
        metadata["nodes_per_second"] = round(totals["processed"] / seconds)
    if len(jobs) == 1:
        metadata |= _one_job(jobs[0])
    elif jobs:
        metadata["jobs"] = _jobs_table(jobs)
    rejects = _rejects_by_code(jobs)
    if rejects:
        metadata["rejects_by_code"] = _rejects_table(rejects)
    return metadata


def _one_job(job: Mapping[str, Any]) -> Metadata:
    shown_columns = ("id", "status", "attempt", "failure_code", "failure_reason", *LINKS)
    return {
        "job_id" if name == "id" else name: _value(job[name])
        for name in shown_columns
        if job.get(name) is not None
    }


def _jobs_table(jobs: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    columns = ("id", "status", "total_nodes", "processed_nodes", "failure_code", "failure_reason")
    records = [
        dg.TableRecord({name: _cell(job.get(name)) for name in columns})
        for job in jobs[:MOST_ROWS_IN_TABLE]
    ]
    return dg.MetadataValue.table(records)


def _rejects_by_code(jobs: Sequence[Mapping[str, Any]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for job in jobs:
        counts.update(job.get("rejects_by_code") or {})
    return counts


def _rejects_table(rejects: Counter[str]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [dg.TableRecord({"code": code, "rows": rows}) for code, rows in rejects.most_common()]
    )


def _seconds_from_claim_to_close(jobs: Sequence[Mapping[str, Any]]) -> float:
    started = [job["started_at"] for job in jobs if job.get("started_at")]
    finished = [job["finished_at"] for job in jobs if job.get("finished_at")]
    if not started or not finished:
        return 0.0
    return float((max(finished) - min(started)).total_seconds())


def _value(value: object) -> Any:
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return dg.MetadataValue.url(value)
    if isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _cell(value: object) -> str | int | float | bool:
    if value is None:
        return ""
    return value if isinstance(value, bool | int | float | str) else str(value)
