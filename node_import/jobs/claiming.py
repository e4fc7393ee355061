"""Claims: which run works on which job, decided by the job's row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import Rollback
from psycopg.errors import UniqueViolation

from node_import.database import Connection, Database
from node_import.errors import ClaimLost
from node_import.jobs.inbox import reopen
from node_import.jobs.record import Claim, Job, JobKind, JobStatus
from node_import.jobs.run_sessions import end_sessions
from node_import.jobs.superseding import superseding_job
from node_import.jobs.table import job_statement, jobs_of_partition
from node_import.jobs.transitions import Granted, Refused, decide_claims
from node_import.sql import statements

RunIsLive = Callable[[str], bool]
IsGivenUp = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class PartitionClaim:
    """Every job of a partition: those the run works on, and those it leaves alone, with why."""

    claimed: list[tuple[Job, Claim]]
    refused: list[tuple[Job, str]]


def claim_partition(
    database: Database,
    partition_key: str,
    run_id: str,
    *,
    run_is_live: RunIsLive,
    is_given_up: IsGivenUp = lambda: False,
    force: bool = False,
) -> PartitionClaim:
    """Claim what may be claimed of the partition, in one transaction; see `decide_claims`.

    A FAILED file import that is older than the newest COMPLETED one of its group is refused
    unless `force`: claiming it straight from FAILED means a re-execution from the UI, where
    nobody was asked. One that a replay or a backfill reopened is PENDING, and was.

    Raises:
        TransientError: the database is away; nothing has been claimed, or all of it.
    """
    with database.operator() as conn:
        seen = jobs_of_partition(conn, partition_key)
    # Both ask Dagster: not while rows are locked.
    live, given_up = _live_holders(seen, run_id, run_is_live), is_given_up()
    end_sessions(database, _dead(live))
    with database.operator() as conn:
        return _claim_locked(conn, partition_key, run_id, live, given_up=given_up, force=force)


def hold_claims(
    database: Database,
    partition_key: str,
    run_id: str,
    *,
    run_is_live: RunIsLive,
    is_given_up: IsGivenUp = lambda: False,
    job_ids: Collection[UUID] | None = None,
    force: bool = False,
) -> PartitionClaim:
    """The claims of a later step, which may be the first of a re-execution: the same rules.

    `job_ids` are those that the steps before have prepared; a job of the partition that became
    free in between is none of them. Where the run holds them all, this only reads.
    """
    with database.operator() as conn:
        seen = jobs_of_partition(conn, partition_key)
    jobs = _only(seen, job_ids)
    if all(job.status is JobStatus.RUNNING and job.dagster_run_id == run_id for job in jobs):
        return PartitionClaim([(job, claim_of(job)) for job in jobs], [])
    live, given_up = _live_holders(seen, run_id, run_is_live), is_given_up()
    end_sessions(database, _dead(live))
    with database.operator() as conn:
        return _claim_locked(
            conn, partition_key, run_id, live, given_up=given_up, force=force, job_ids=job_ids
        )


def fence_slice(conn: Connection, claim: Claim) -> None:
    """The last statement of a slice's transaction, as the tenant: the claim holds until commit.

    It waits for a claim or a close that is under way, and they wait for the slice to commit.

    Raises:
        ClaimLost: another run has the job, or it is closed; the slice must roll back.
    """
    parameters = {
        "job_id": claim.job_id,
        "run_id": claim.dagster_run_id,
        "attempt": claim.attempt,
    }
    if conn.execute(statements("jobs.sql")["fence_slice"], parameters).fetchone() is None:
        raise ClaimLost(f"run {claim.dagster_run_id} no longer holds job {claim.job_id}")


def claim_of(job: Job) -> Claim:
    """The claim that the row of a RUNNING job speaks of."""
    return Claim(job.id, job.domain_id, job.dagster_run_id or "", job.attempt)


def _only(jobs: list[Job], job_ids: Collection[UUID] | None) -> list[Job]:
    return jobs if job_ids is None else [job for job in jobs if job.id in job_ids]


def _live_holders(jobs: Sequence[Job], run_id: str, run_is_live: RunIsLive) -> dict[str, bool]:
    running = (job.dagster_run_id for job in jobs if job.status is JobStatus.RUNNING)
    return {holder: run_is_live(holder) for holder in {*running} - {run_id, None} if holder}


def _dead(holders: Mapping[str, bool]) -> list[str]:
    return [holder for holder, is_live in holders.items() if not is_live]


def _claim_locked(
    conn: Connection,
    partition_key: str,
    run_id: str,
    live: dict[str, bool],
    *,
    given_up: bool,
    force: bool,
    job_ids: Collection[UUID] | None = None,
) -> PartitionClaim:
    rows = conn.execute(job_statement("lock_partition"), {"partition_key": partition_key})
    jobs = [Job.from_row(row) for row in rows]
    # A holder that was not there a moment ago has just claimed it, so it is alive.
    decisions = decide_claims(
        jobs, run_id, lambda holder: live.get(holder, True), given_up=given_up
    )
    jobs = _only(jobs, job_ids)
    won, refusals = _write_claims(conn, jobs, decisions, run_id, force=force)
    result = PartitionClaim([], [])
    for job in jobs:
        if job.id in refusals:
            result.refused.append((job, f"job {job.id} {refusals[job.id]}"))
        else:
            held = won.get(job.id, job)
            result.claimed.append((held, claim_of(held)))
    return result


def _write_claims(
    conn: Connection,
    jobs: Sequence[Job],
    decisions: dict[UUID, Granted | Refused],
    run_id: str,
    *,
    force: bool,
) -> tuple[dict[UUID, Job], dict[UUID, str]]:
    """The rows as they are after the claims that are new, and why others were refused."""
    refusals = {id_: d.reason for id_, d in decisions.items() if isinstance(d, Refused)}
    new = [job for job in jobs if isinstance(d := decisions[job.id], Granted) and d.new]
    lists = [job.id for job in new if job.kind is JobKind.REFERENCES]
    won = _take(conn, lists, run_id)
    for job in new:
        if job.kind is JobKind.FILE:
            refusal = _take_file(conn, job, run_id, won, force=force)
            if refusal:
                refusals[job.id] = refusal
    if won:
        conn.execute(statements("jobs.sql")["beat"], {"run_id": run_id})
    return won, refusals


def _take(conn: Connection, job_ids: Sequence[UUID], run_id: str) -> dict[UUID, Job]:
    if not job_ids:
        return {}
    parameters = {"job_ids": list(job_ids), "run_id": run_id}
    rows = conn.execute(job_statement("claim_jobs"), parameters)
    return {row["id"]: Job.from_row(row) for row in rows}


def _take_file(
    conn: Connection, job: Job, run_id: str, won: dict[UUID, Job], *, force: bool
) -> str | None:
    """Claim a file import unless its group is busy or has another one to go; why not, if so.

    Dispatch keeps the order of a group's files by itself; runs of a backfill, and of people, come
    in any order. What has to wait goes back into the queue, a FAILED job that somebody runs again
    too: unless it would come after a later file, and overwrite it.
    """
    try:
        refusal = _take_in_order(conn, job, run_id, won, force=force)
    except UniqueViolation:
        refusal = _Wait("another file import of its group is running")
    if not isinstance(refusal, _Wait):
        return refusal
    if job.status is not JobStatus.FAILED:
        conn.execute(statements("jobs.sql")["hand_back"], {"job_id": job.id})
    elif overtaken := None if force else _overtaken(conn, job):
        return overtaken
    else:
        reopen(conn, job.id, job.domain_id)
    return f"has to wait: {refusal.reason}"


@dataclass(frozen=True, slots=True)
class _Wait:
    """Not now; dispatch will see when."""

    reason: str


def _take_in_order(
    conn: Connection, job: Job, run_id: str, won: dict[UUID, Job], *, force: bool
) -> _Wait | str | None:
    """Why another job of the group stands in the way; None if this one is claimed.

    The look for it comes after the claim: the unique index has then waited for an import of
    the group that was just being closed.
    """
    with conn.transaction() as attempt:
        taken = _take(conn, [job.id], run_id)
        refusal = _first_in_line(conn, job) or (None if force else _superseded(conn, job))
        if refusal is not None:
            raise Rollback(attempt)
        won.update(taken)
        return None
    return refusal


def _first_in_line(conn: Connection, job: Job) -> _Wait | None:
    query = statements("jobs.sql")["earlier_file"]
    row = conn.execute(query, {"job_id": job.id}).fetchone()
    return _Wait(f"job {row['id']}, an earlier file of its group, comes first") if row else None


def _overtaken(conn: Connection, job: Job) -> str | None:
    query = statements("jobs.sql")["later_file_at_work"]
    row = conn.execute(query, {"job_id": job.id}).fetchone()
    if row is None:
        return _superseded(conn, job)
    return f"is older than job {row['id']}, a file import of its group that is running"


def _superseded(conn: Connection, job: Job) -> str | None:
    newer = superseding_job(conn, job.id) if job.status is JobStatus.FAILED else None
    if newer is None:
        return None
    return (
        f"is older than job {newer}, the newest completed file import of its group; "
        f"`node-import backfill --job {job.id} --force` imports it all the same"
    )
