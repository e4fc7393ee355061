"""A run that is told to stop gives its jobs back."""

from __future__ import annotations

import pytest

from node_import.database import Database
from node_import.errors import ClaimLost
from node_import.jobs.claiming import claim_partition, fence_slice, hold_claims
from node_import.jobs.closing import close
from node_import.jobs.outcome import JobOutcome
from node_import.jobs.record import Claim
from node_import.jobs.recovery import Recovery, recover
from node_import.jobs.releasing import release
from node_import.jobs.runs import RunState
from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.runs import FakeRun, FakeRuns
from node_import_tests.support.tenants import Tenant, job_row, put, rows


@pytest.fixture
def claims(importer: Database, acme: Tenant, database: TestDatabase) -> list[Claim]:
    """A run has claimed two reference lists, and closed the second."""
    for _ in range(2):
        put(database, acme.references(), partition_key="p", dispatch_no=1)
    claimed = claim_partition(importer, "p", "run", run_is_live=lambda _: False)
    claims = [claim for _, claim in claimed.claimed]
    with importer.connect() as conn:
        close(conn, claims[1], JobOutcome())
    return claims


def test_what_is_released_is_due_at_once(
    importer: Database, database: TestDatabase, claims: list[Claim]
) -> None:
    """It counts as no run that died; what was closed stays closed; nobody is told of an end."""
    events = len(rows(database, "SELECT FROM job_status_event"))
    assert release(importer, "run") == [claims[0].job_id]
    row = job_row(database, claims[0].job_id)
    assert (row["status"], row["died_runs"], row["dispatched_at"]) == ("PENDING", 0, None)
    assert rows(database, "SELECT count(*) FROM nodes_import_job WHERE not_before > now()") == [
        (0,)
    ]
    assert job_row(database, claims[1].job_id)["status"] == "COMPLETED"
    assert len(rows(database, "SELECT FROM job_status_event")) == events
    assert release(importer, "run") == []


def test_the_run_can_do_nothing_more(
    importer: Database, database: TestDatabase, claims: list[Claim]
) -> None:
    """Neither load nor close nor claim again; the next run does, as the next attempt."""
    release(importer, "run")
    with pytest.raises(ClaimLost), importer.tenant(claims[0].domain_id) as conn:
        fence_slice(conn, claims[0])
    with pytest.raises(ClaimLost), importer.connect() as conn:
        close(conn, claims[0], JobOutcome())
    [(_, reason), _] = hold_claims(importer, "p", "run", run_is_live=lambda _: False).refused
    assert "told to stop" in reason
    again = claim_partition(importer, "p", "next", run_is_live=lambda _: False)
    assert [claim.attempt for _, claim in again.claimed] == [2]


def test_another_runs_jobs_are_not_released(
    importer: Database, database: TestDatabase, claims: list[Claim]
) -> None:
    """A run that lost its job to another one leaves it there."""
    put(database, claims[0].job_id, dagster_run_id="another")
    assert release(importer, "run") == []
    assert job_row(database, claims[0].job_id)["status"] == "RUNNING"


def test_recovery_releases_what_an_interrupted_run_did_not(
    importer: Database, settings: Settings, database: TestDatabase, claims: list[Claim]
) -> None:
    """An interrupt between two steps; again it counts as no run that died, however often."""
    put(database, claims[0].job_id, died_runs=2)
    runs = FakeRuns({"run": FakeRun("run", "p", RunState.INTERRUPTED)})
    assert recover(importer, settings, runs) == Recovery(put_back=(claims[0].job_id,))
    row = job_row(database, claims[0].job_id)
    assert (row["status"], row["died_runs"]) == ("PENDING", 2)
    assert rows(database, "SELECT count(*) FROM nodes_import_job WHERE not_before > now()") == [
        (0,)
    ]
