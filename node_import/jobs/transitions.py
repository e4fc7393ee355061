"""Which way a job may go, and which run may take it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


def decide_claim(job: Job, run_id: str, run_is_live: Callable[[str], bool]) -> Granted | Refused:
    """Whether the run `run_id` may work on `job`.

    A FAILED job that is claimed (a re-execution from the UI) goes FAILED → PENDING → RUNNING in
    one transaction. A job that this very run closed, or that was taken from it because it
    counted as dead, is not its business any more.
    """
    mine = job.dagster_run_id == run_id
    if job.status is JobStatus.RUNNING and mine:
        return Granted(job.attempt, new=False)
    refusal = _refusal(job, mine=mine, run_is_live=run_is_live)
    return Refused(refusal) if refusal else Granted(job.attempt + 1, new=True)


def _refusal(job: Job, *, mine: bool, run_is_live: Callable[[str], bool]) -> str | None:
    if job.status is JobStatus.COMPLETED:
        return "is COMPLETED already"
    if job.status is JobStatus.FAILED and mine:
        return "was closed as FAILED by this run or in its name"
    if job.status is JobStatus.PENDING and mine:
        return "was taken from this run, which had counted as dead"
    if job.status is JobStatus.RUNNING:
        holder = job.dagster_run_id
        if holder is not None and run_is_live(holder):
            return f"is being imported by run {holder}"
    return None
