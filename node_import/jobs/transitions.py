"""Which way a job may go, and which run may take it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from node_import.jobs.record import Job, JobStatus

# RUNNING → PENDING is recovery alone: FAILED → PENDING without an end that is told to anybody.
LEGAL_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.RUNNING}),
    JobStatus.RUNNING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PENDING}),
    JobStatus.FAILED: frozenset({JobStatus.PENDING}),
    JobStatus.COMPLETED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Granted:
    """The run may work on the job, as this attempt; `new` if the job's row must say so first."""

    attempt: int
    new: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The run must leave the job alone; `reason` goes on from "the job …"."""

    reason: str


def decide_claims(
    jobs: Sequence[Job], run_id: str, run_is_live: Callable[[str], bool], *, given_up: bool = False
) -> dict[UUID, Granted | Refused]:
    """What the run `run_id` may do with each job of a partition; `jobs` are all of them.

    A job that waits, or that a dead run left behind, is granted as a new attempt; one's own goes
    on. FAILED jobs are taken only where nothing of the partition waits or is being imported:
    then somebody executes it again in the UI, and they go FAILED → PENDING → RUNNING in one
    transaction. Otherwise the run is for those that wait, and the FAILED ones beside them have
    had their answer.

    A run that was `given_up` (Dagster counts it as over, but its process works on) goes on with
    what it holds and takes nothing new: two of them would each find the other dead, for ever.
    """
    at_rest = all(_is_at_rest(job, run_id, run_is_live) for job in jobs)
    decisions = {job.id: _decide(job, run_id, run_is_live, at_rest=at_rest) for job in jobs}
    return {id_: _unless_given_up(d) for id_, d in decisions.items()} if given_up else decisions


def _is_at_rest(job: Job, run_id: str, run_is_live: Callable[[str], bool]) -> bool:
    if job.status is JobStatus.RUNNING:
        holder = job.dagster_run_id
        return holder != run_id and (holder is None or not run_is_live(holder))
    return job.status is not JobStatus.PENDING


def _decide(
    job: Job, run_id: str, run_is_live: Callable[[str], bool], *, at_rest: bool
) -> Granted | Refused:
    mine = job.dagster_run_id == run_id
    if job.status is JobStatus.RUNNING and mine:
        return Granted(job.attempt, new=False)
    refusal = _refusal(job, run_is_live, mine=mine, at_rest=at_rest)
    return Refused(refusal) if refusal else Granted(job.attempt + 1, new=True)


def _unless_given_up(decision: Granted | Refused) -> Granted | Refused:
    if isinstance(decision, Granted) and decision.new:
        return Refused("is left to another run, since this one counted as dead")
    return decision


def _refusal(
    job: Job, run_is_live: Callable[[str], bool], *, mine: bool, at_rest: bool
) -> str | None:
    if job.status is JobStatus.COMPLETED:
        return "is COMPLETED already"
    if job.status is JobStatus.FAILED:
        return _refusal_of_failed(mine=mine, at_rest=at_rest)
    if job.status is JobStatus.PENDING and mine:
        return "was taken from this run, which had counted as dead or was told to stop"
    holder = job.dagster_run_id
    if job.status is JobStatus.RUNNING and holder is not None and run_is_live(holder):
        return f"is being imported by run {holder}"
    return None


def _refusal_of_failed(*, mine: bool, at_rest: bool) -> str | None:
    """A job that this very run closed is not its business any more."""
    if mine:
        return "was closed as FAILED by this run or in its name"
    return None if at_rest else "stays FAILED; this run is for other jobs of its partition"
