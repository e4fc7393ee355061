"""The inbox: every accepted message becomes one job, in order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node_import.database import Database
from node_import.jobs.inbox import add_jobs, reopen
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, rows


def test_a_request_becomes_a_pending_job(acme: Tenant, database: TestDatabase) -> None:
    """The row has the request, the identity of its message and its bytes as they came."""
    job = acme.new_job(references=2, key=None, value=b"\x00\xff", traceparent="00-ab-cd-01")
    acme.add(job)

    [row] = rows(
        database,
        "SELECT id, status, kind, request, reference_count, traceparent, message_topic,"
        " message_offset, message_key, message_value, message_headers, attempt, partition_key"
        " FROM nodes_import_job",
    )
    assert row[:4] == (job.id, "PENDING", "references", dict(job.request))
    assert row[4:8] == (2, "00-ab-cd-01", "acme-users", 0)
    assert row[8:] == (None, b"\x00\xff", b"[]", 0, None)


def test_a_message_read_again_changes_nothing(importer: Database, acme: Tenant) -> None:
    """Re-delivery is harmless, also within one tick; only new ids come back."""
    first, second = acme.new_job(), acme.new_job()
    with importer.operator() as conn:
        assert add_jobs(conn, [first, first]) == {first.id}
    with importer.operator() as conn:
        assert add_jobs(conn, [first, second]) == {second.id}


def test_jobs_and_positions_move_together(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A tick that dies before its transaction ends leaves no job."""

    def dying_tick() -> None:
        with importer.operator() as conn:
            assert add_jobs(conn, [acme.new_job()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        dying_tick()
    assert rows(database, "SELECT id FROM nodes_import_job") == []


def test_arrival_order_is_offset_order(acme: Tenant, database: TestDatabase) -> None:
    """Jobs are numbered by offset, over the border of two statements too."""
    jobs = [acme.new_job(references=1) for _ in range(2_500)]
    acme.add(*reversed(jobs))
    numbered = rows(database, "SELECT message_offset FROM nodes_import_job ORDER BY sequence_no")
    assert [offset for (offset,) in numbered] == list(range(2_500))


def test_a_failed_job_is_reopened_once(
    importer: Database, acme: Tenant, bolt: Tenant, database: TestDatabase
) -> None:
    """FAILED → PENDING for the tenant whose job it is; whoever comes second changes nothing."""
    job = acme.file()
    with importer.operator() as conn:
        assert not reopen(conn, job, acme.domain_id)
        conn.execute(
            "UPDATE nodes_import_job SET status = 'FAILED', failure_code = 'TIMEOUT',"
            " attempt = 1, died_runs = 2"
        )
        assert not reopen(conn, job, bolt.domain_id)
        assert reopen(conn, job, acme.domain_id)
        assert not reopen(conn, job, acme.domain_id)
    query = "SELECT status, failure_code, attempt, died_runs FROM nodes_import_job"
    assert rows(database, query) == [("PENDING", None, 1, 0)]


def test_another_cluster_makes_another_job(acme: Tenant) -> None:
    """The same place in a rebuilt cluster is another message."""
    job = acme.new_job()
    other = acme.new_job()
    identity = replace(job.identity, cluster_id="rebuilt")
    acme.add(job, replace(other, identity=identity))
