"""Results of the pipeline as Dagster's metadata: the job table, mirrored for the UI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

from node_import.orchestration.links import browser_link
from node_import.pipeline.close_job import Closed

Metadata: TypeAlias = dict[str, Any]
Row: TypeAlias = Mapping[str, Any]

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

_ONE_JOB = (
    "kind",
    "attempt",
    "failure_code",
    "failure_reason",
    *LINKS,
    "object_version",
    "message_topic",
    "message_partition",
    "message_offset",
    "started_at",
    "finished_at",
)
_OF_MANY = (
    "id",
    "status",
    "attempt",
    *(f"{name}_nodes" for name in COUNTS),
    "failure_code",
    "failure_reason",
    "rejects_url",
)


def shown(values: Mapping[str, object]) -> Metadata:
    """Plain values as Dagster shows them: URLs as links, lines as they are."""
    return {name: _value(value) for name, value in values.items()}


def job_report_metadata(closed: Closed, s3_endpoint_url: str | None = None) -> Metadata:
    """Counts, rates, rejects by code, links: the rows of the job table that a run closed.

    `s3://` URLs stand as text, which every S3 tool takes; with an endpoint there is a link
    beside each, for browsers that may read the bucket.
    """
    jobs = closed.jobs
    totals = {name: sum(job[f"{name}_nodes"] for job in jobs) for name in COUNTS}
    metadata: Metadata = {f"{name}_nodes": count for name, count in totals.items()}
    metadata |= {"batches": closed.batches, "slices": closed.slices}
    metadata |= _rates(closed, totals["processed"])
    if len(jobs) == 1:
        metadata |= _one_job(jobs[0], s3_endpoint_url)
    elif jobs:
        metadata |= _many_jobs(jobs)
    rejects = _rejects_by_code(jobs)
    if rejects:
        metadata["rejects_by_code"] = _rejects_table(rejects)
    if closed.left_alone:
        metadata["left_alone"] = "\n".join(reason for _, reason in closed.left_alone)
    return metadata


def _rates(closed: Closed, processed: int) -> Metadata:
    rates: Metadata = {}
    if closed.load_seconds:
        rates["loaded_nodes_per_second"] = round(processed / closed.load_seconds)
    seconds = _seconds_from_claim_to_close(closed.jobs)
    if seconds:
        rates["seconds"] = round(seconds, 3)
        rates["nodes_per_second"] = round(processed / seconds)
    return rates


def _one_job(job: Row, s3_endpoint_url: str | None) -> Metadata:
    known = {"job_id": job["id"], "status": job["status"]}
    known |= {name: job[name] for name in _ONE_JOB if job[name] is not None}
    metadata = {name: _value(value) for name, value in known.items()}
    for name in LINKS:
        link = browser_link(str(job[name]), s3_endpoint_url) if job[name] else None
        if link:
            metadata[name.removesuffix("_url") + "_link"] = dg.MetadataValue.url(link)
    return metadata


def _many_jobs(jobs: Sequence[Row]) -> Metadata:
    by_status = Counter(job["status"] for job in jobs)
    metadata: Metadata = {f"jobs_{status.lower()}": n for status, n in by_status.items()}
    # Those that somebody has to look at first.
    worst_first = sorted(jobs, key=lambda job: bool(job["status"] != "FAILED"))
    metadata["jobs"] = dg.MetadataValue.table(
        [
            dg.TableRecord({name: _cell(job[name]) for name in _OF_MANY})
            for job in worst_first[:MOST_ROWS_IN_TABLE]
        ]
    )
    if len(jobs) > MOST_ROWS_IN_TABLE:
        metadata["jobs_not_in_table"] = len(jobs) - MOST_ROWS_IN_TABLE
    return metadata


def _rejects_by_code(jobs: Iterable[Row]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for job in jobs:
        counts.update(job["rejects_by_code"])
    return counts


def _rejects_table(rejects: Counter[str]) -> dg.TableMetadataValue:
    by_frequency = sorted(rejects.items(), key=lambda entry: (-entry[1], entry[0]))
    return dg.MetadataValue.table(
        [dg.TableRecord({"code": code, "rows": rows}) for code, rows in by_frequency]
    )


def _seconds_from_claim_to_close(jobs: Iterable[Row]) -> float:
    """From the first claim to the last close; a job that never began has no start."""
    begun = [job for job in jobs if job["started_at"]]
    if not begun:
        return 0.0
    first = min(job["started_at"] for job in begun)
    last = max(job["finished_at"] for job in begun)
    return float((last - first).total_seconds())


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
