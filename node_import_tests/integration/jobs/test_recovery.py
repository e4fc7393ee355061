"""Recovery: no job stays RUNNING when its run is gone, and none is taken from one that lives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Connection, Database
from node_import.database.connections import tenant_transaction
from node_import.errors import ClaimLost
from node_import.jobs.claiming import claim_partition, fence_slice, hold_claims
from node_import.jobs.closing import close
from node_import.jobs.dispatch import Dispatch
from node_import.jobs.outcome import JobOutcome
from node_import.jobs.record import Claim
from node_import.jobs.recovery import Recovery, recover
from node_import.jobs.run_sessions import session_name
from node_import.jobs.runs import RunState
from node_import.loading.time_limits import TimeLimits
from node_import.settings import Settings
from node_import.sql import statements
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.runs import FakeRuns
from node_import_tests.support.tenants import Tenant, job_row, load_slice, one, put, rows


@pytest.fixture
def runs() -> FakeRuns:
    """Dagster knows one run."""
    fake = FakeRuns()
    fake.submit(Dispatch("p", "run", ()))
    return fake


@pytest.fixture
def claim(importer: Database, acme: Tenant, database: TestDatabase) -> Claim:
    """The run has claimed a file import."""
    put(database, acme.file(), partition_key="p", dispatch_no=1)
    return claim_partition(importer, "p", "run", run_is_live=lambda _: False).claimed[0][1]


def silence(database: TestDatabase, seconds: int) -> None:
    """The run beat so long ago for the last time."""
    with database.connect() as conn:
        conn.execute(
            "UPDATE run_heartbeat SET beaten_at = now() - make_interval(secs => %s)", [seconds]
        )


@contextmanager
def slice_under_way(importer: Database, claim: Claim) -> Iterator[Connection]:
    """The connection of a slice that stands still between its fence and its commit."""
    limits = TimeLimits(statement=60, lock=60).parameters()
    name = {"session_name": session_name(claim.dagster_run_id)}
    with (
        suppress(psycopg.OperationalError),
        importer.connect() as conn,
        tenant_transaction(conn, claim.domain_id),
    ):
        conn.execute(statements("loading.sql")["limit_time"], limits | name)
        fence_slice(conn, claim)
        yield conn


def test_a_living_run_keeps_its_job(
    importer: Database, settings: Settings, runs: FakeRuns, claim: Claim
) -> None:
    """Nothing happens to it."""
    assert recover(importer, settings, runs) == Recovery()


def test_the_job_of_a_run_that_is_over(
    importer: Database, settings: Settings, runs: FakeRuns, claim: Claim, database: TestDatabase
) -> None:
    """It is due again after a rest, and the next run begins the next attempt."""
    runs.end("run")
    assert recover(importer, settings, runs) == Recovery(put_back=(claim.job_id,))
    row = job_row(database, claim.job_id)
    assert (row["status"], row["died_runs"], row["dispatched_at"]) == ("PENDING", 1, None)
    assert row["not_before"] > row["started_at"]
    assert rows(database, "SELECT FROM job_status_event") == []
    again = claim_partition(importer, "p", "next", run_is_live=lambda _: False)
    assert again.claimed[0][1].attempt == 2


def test_a_silent_run_is_reported_until_dagster_knows(
    importer: Database, settings: Settings, runs: FakeRuns, claim: Claim, database: TestDatabase
) -> None:
    """Code server and run died together: Dagster believes the run STARTED for ever."""
    silence(database, 61)
    runs.runs["run"].started_long_ago = True
    found = recover(importer, settings, runs)
    assert found == Recovery(put_back=(claim.job_id,), dead_runs=frozenset({"run"}))
    assert recover(importer, settings, runs) == Recovery(dead_runs=frozenset({"run"}))
    runs.end("run")
    runs.runs["run"].started_long_ago = False
    assert recover(importer, settings, runs) == Recovery()


def test_a_run_that_died_before_its_claim_is_reported(
    importer: Database, settings: Settings, runs: FakeRuns
) -> None:
    """It never beat, and Dagster believes it STARTED."""
    runs.runs["run"].started_long_ago = True
    assert recover(importer, settings, runs).dead_runs == {"run"}


def test_a_run_that_dagster_forgot(
    importer: Database, settings: Settings, runs: FakeRuns, claim: Claim, database: TestDatabase
) -> None:
    """Deleted while it ran: it counts as dead only when its heart has stopped."""
    del runs.runs["run"]
    assert recover(importer, settings, runs) == Recovery()
    silence(database, 16)
    assert recover(importer, settings, runs) == Recovery(put_back=(claim.job_id,))


@pytest.mark.parametrize("state", [RunState.CANCELED, RunState.CANCELING])
def test_a_canceled_run_ends_its_jobs(
    importer: Database,
    settings: Settings,
    runs: FakeRuns,
    claim: Claim,
    database: TestDatabase,
    state: RunState,
) -> None:
    """FAILED CANCELED with what was loaded so far; one that is being canceled may end itself."""
    load_slice(database, claim, 0, inserted=4, duplicate=1)
    runs.end("run", state)
    if state is RunState.CANCELING:
        assert recover(importer, settings, runs) == Recovery()
        silence(database, 61)
    assert recover(importer, settings, runs).closed == (claim.job_id,)
    row = job_row(database, claim.job_id)
    assert (row["status"], row["failure_code"]) == ("FAILED", "CANCELED")
    assert (row["total_nodes"], row["processed_nodes"], row["inserted_nodes"]) == (5, 5, 4)
    event = one(database, "SELECT status, success_list, details FROM job_status_event")
    assert (event["status"], event["success_list"]) == ("FAILED", [])
    assert event["details"]["successListTruncated"] is True


def test_the_last_death_ends_the_job(
    importer: Database, settings: Settings, runs: FakeRuns, claim: Claim, database: TestDatabase
) -> None:
    """FAILED RUN_DIED, with its attempt, its status event and its dead letter; once."""
    put(database, claim.job_id, died_runs=2)
    runs.end("run")
    assert recover(importer, settings, runs) == Recovery(closed=(claim.job_id,))
    assert recover(importer, settings, runs) == Recovery()
    row = job_row(database, claim.job_id)
    assert (row["status"], row["failure_code"], row["attempt"]) == ("FAILED", "RUN_DIED", 1)
    letter = one(database, "SELECT error_code, error_message FROM job_dead_letter")
    assert letter["error_code"] == "RUN_DIED"
    assert "run" in letter["error_message"]


def test_a_list_that_is_given_up_names_its_references(
    importer: Database, settings: Settings, runs: FakeRuns, acme: Tenant, database: TestDatabase
) -> None:
    """Trimmed as a row's is; what is empty or too long is only counted."""
    given = ["\u2003a\u00a0", "a", "\x1cb", " ", "x" * 256]
    request = {"groupId": "g", "referenceIds": given}
    [job] = acme.add(acme.new_job(references=len(given), request=request))
    put(database, job, partition_key="q", died_runs=2)
    claim_partition(importer, "q", "last", run_is_live=lambda _: False)
    runs.submit(Dispatch("q", "last", ()))
    runs.end("last")
    assert recover(importer, settings, runs).closed == (job,)
    event = one(database, "SELECT failed_list, total, processed FROM job_status_event")
    assert event == {"failed_list": ["a", "\x1cb"], "total": 5, "processed": 0}


def test_a_run_that_comes_back_from_the_dead(
    importer: Database, settings: Settings, runs: FakeRuns, claim: Claim, database: TestDatabase
) -> None:
    """A machine that slept: its claim is gone, and it neither closes the job nor takes it back."""
    silence(database, 61)
    recover(importer, settings, runs)
    with pytest.raises(ClaimLost), importer.connect() as conn:
        close(conn, claim, JobOutcome(failure=(ErrorCode.TIMEOUT, "late")))
    assert hold_claims(importer, "p", "run", run_is_live=lambda _: False).claimed == []
    assert job_row(database, claim.job_id)["status"] == "PENDING"


def test_a_run_that_stands_still_in_a_slice_holds_up_no_other_job(
    importer: Database,
    acme: Tenant,
    settings: Settings,
    runs: FakeRuns,
    claim: Claim,
    database: TestDatabase,
) -> None:
    """Stopped between the fence and the commit it holds its job's row; the next look takes that."""
    put(database, acme.references(), partition_key="q", dispatch_no=1)
    other = claim_partition(importer, "q", "other", run_is_live=lambda _: False).claimed[0][1]
    runs.submit(Dispatch("q", "other", ()))
    runs.end("run")
    runs.end("other")
    with importer.tenant(acme.domain_id) as conn:
        fence_slice(conn, claim)
        assert recover(importer, settings, runs) == Recovery(put_back=(other.job_id,))
    assert recover(importer, settings, runs) == Recovery(put_back=(claim.job_id,))


def test_the_slices_of_a_dead_run_are_rolled_back(
    importer: Database,
    acme: Tenant,
    settings: Settings,
    runs: FakeRuns,
    claim: Claim,
    database: TestDatabase,
) -> None:
    """A worker that stands still keeps its locks no longer; a living run's slices go on."""
    put(database, acme.references(), partition_key="q", dispatch_no=1)
    other = claim_partition(importer, "q", "other", run_is_live=lambda _: False).claimed[0][1]
    runs.submit(Dispatch("q", "other", ()))
    runs.end("run")
    with slice_under_way(importer, other) as living, slice_under_way(importer, claim) as still:
        assert recover(importer, settings, runs) == Recovery(put_back=(claim.job_id,))
        living.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            still.execute("SELECT 1")


def test_whoever_takes_a_job_from_a_dead_run_rolls_back_its_slices(
    importer: Database, claim: Claim
) -> None:
    """As in a run from the UI, before recovery has looked."""
    with slice_under_way(importer, claim) as still:
        [(_, mine)] = claim_partition(importer, "p", "next", run_is_live=lambda _: False).claimed
        assert (mine.job_id, mine.attempt) == (claim.job_id, 2)
        with pytest.raises(psycopg.OperationalError):
            still.execute("SELECT 1")


def test_old_heartbeats_are_swept(
    importer: Database, settings: Settings, runs: FakeRuns, claim: Claim, database: TestDatabase
) -> None:
    """A day after the last beat of a run that has no job any more."""
    with importer.connect() as conn:
        close(conn, claim, JobOutcome())
    silence(database, 86_401)
    recover(importer, settings, runs)
    assert rows(database, "SELECT FROM run_heartbeat") == []
