"""The job table as a run shows it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from node_import.orchestration.metadata import MOST_ROWS_IN_TABLE, job_report_metadata, shown
from node_import.pipeline.close_job import Closed

START = datetime(2025, 1, 1, tzinfo=UTC)


def a_row(**changes: Any) -> dict[str, Any]:
    """A row of a COMPLETED job of 100 nodes, as `jobs_closed_by` gives it."""
    counts = {"total": 100, "processed": 100, "inserted": 90, "updated": 4, "unchanged": 5}
    counts |= {"duplicate": 1, "rejected": 0, "failed": 0}
    row = {f"{name}_nodes": count for name, count in counts.items()}
    row |= {
        "id": uuid.uuid4(),
        "kind": "file",
        "status": "COMPLETED",
        "attempt": 1,
        "rejects_by_code": {},
        "failure_code": None,
        "failure_reason": None,
        "source_url": "s3://in/users.csv",
        "object_version": "etag",
        "rejects_url": None,
        "result_url": None,
        "message_topic": "acme-users",
        "message_partition": 2,
        "message_offset": 17,
        "started_at": START,
        "finished_at": START + timedelta(seconds=4),
    }
    return {**row, **changes}


def test_one_job_shows_its_row() -> None:
    """Counts, rates, where it came from, links; no column without a value."""
    row = a_row()
    metadata = job_report_metadata(
        Closed((row,), batches=2, slices=8, load_seconds=2.0), "http://minio:9000"
    )
    assert metadata["job_id"] == str(row["id"])
    assert (metadata["total_nodes"], metadata["inserted_nodes"]) == (100, 90)
    assert (metadata["batches"], metadata["slices"]) == (2, 8)
    assert (metadata["seconds"], metadata["nodes_per_second"]) == (4.0, 25)
    assert metadata["loaded_nodes_per_second"] == 50
    assert metadata["source_url"] == "s3://in/users.csv"
    assert metadata["source_link"] == dg.MetadataValue.url("http://minio:9000/in/users.csv")
    assert (metadata["message_topic"], metadata["message_offset"]) == ("acme-users", 17)
    assert not {"failure_code", "rejects_url", "rejects_link", "jobs"} & metadata.keys()


def test_a_file_of_a_folder_has_no_link() -> None:
    """Nor has an object without an endpoint."""
    folder = job_report_metadata(Closed((a_row(source_url="file:///x.csv"),)), "http://h")
    amazon = job_report_metadata(Closed((a_row(),)))
    assert "source_link" not in folder | amazon


def test_many_jobs_are_a_table_with_the_failed_first() -> None:
    """Sums over all, and how many the table leaves out."""
    bad = a_row(
        status="FAILED",
        failure_code="ROWS_REJECTED",
        processed_nodes=98,
        inserted_nodes=88,
        rejected_nodes=2,
        rejects_by_code={"INVALID_TYPE": 1, "COLUMN_COUNT_MISMATCH": 1},
    )
    jobs = (*(a_row() for _ in range(MOST_ROWS_IN_TABLE)), bad)
    metadata = job_report_metadata(Closed(jobs))
    assert metadata["total_nodes"] == 100 * len(jobs)
    assert (metadata["jobs_completed"], metadata["jobs_failed"]) == (MOST_ROWS_IN_TABLE, 1)
    table = [record.data for record in metadata["jobs"].records]
    assert table[0]["id"] == str(bad["id"])
    assert len(table) == MOST_ROWS_IN_TABLE
    assert metadata["jobs_not_in_table"] == 1
    rejects = [record.data for record in metadata["rejects_by_code"].records]
    assert rejects == [
        {"code": "COLUMN_COUNT_MISMATCH", "rows": 1},
        {"code": "INVALID_TYPE", "rows": 1},
    ]


def test_a_run_without_jobs_has_zeros_and_reasons() -> None:
    """No rate is made of nothing."""
    metadata = job_report_metadata(Closed((), left_alone=(("7", "job 7 is COMPLETED already"),)))
    assert metadata["total_nodes"] == 0
    assert metadata["left_alone"] == "job 7 is COMPLETED already"
    assert "nodes_per_second" not in metadata


def test_a_job_that_was_never_begun() -> None:
    """A job that was given up before its first claim has no times to make a rate of."""
    metadata = job_report_metadata(Closed((a_row(started_at=None),)))
    assert "seconds" not in metadata


def test_plain_values() -> None:
    """http URLs are links, everything that Dagster has no type for is text."""
    values = shown({"url": "https://x/y", "n": 3, "id": uuid.UUID(int=1), "t": "s3://b/k"})
    assert values["url"] == dg.MetadataValue.url("https://x/y")
    assert (values["n"], values["t"]) == (3, "s3://b/k")
    assert values["id"] == "00000000-0000-0000-0000-000000000001"
