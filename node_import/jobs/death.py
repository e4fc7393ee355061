"""What becomes of a job whose run ended without closing it."""

from __future__ import annotations

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Connection
from node_import.jobs.closing import give_up
from node_import.jobs.record import Job
from node_import.jobs.runs import RunState
from node_import.sql import statements

FIRST_BACKOFF_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 300.0


def backoff_seconds(died_runs: int) -> float:
    """How long a job rests after its `died_runs`-th run died: 5 s, doubled each time, to 5 min."""
    doubled: float = FIRST_BACKOFF_SECONDS * 2 ** (min(died_runs, 16) - 1)
    return min(doubled, LONGEST_BACKOFF_SECONDS)


def after_run(conn: Connection, job: Job, state: RunState | None, max_attempts: int) -> bool:
    """Put the locked `job` back into the queue (True), or close it as FAILED (False).

    A job whose run was canceled is CANCELED; one on which `max_attempts` runs have died since
    it was made or reopened is RUN_DIED. A run whose worker was told to stop has not died: mostly
    it has released its jobs itself, and otherwise they are due at once, too.
    """
    if state in {RunState.CANCELED, RunState.CANCELING}:
        give_up(conn, job, ErrorCode.CANCELED, "the run was canceled before it had ended")
        return False
    if state is RunState.INTERRUPTED:
        _put_back(conn, job, job.died_runs, 0.0)
        return True
    died_runs = job.died_runs + 1
    if died_runs < max_attempts:
        _put_back(conn, job, died_runs, backoff_seconds(died_runs))
        return True
    give_up(conn, job, ErrorCode.RUN_DIED, _why_given_up(job, died_runs))
    return False


def _put_back(conn: Connection, job: Job, died_runs: int, backoff: float) -> None:
    parameters = {"job_id": job.id, "died_runs": died_runs, "backoff": backoff}
    conn.execute(statements("dispatch.sql")["put_back"], parameters)


def _why_given_up(job: Job, died_runs: int) -> str:
    times = "the run" if died_runs == 1 else f"each of {died_runs} runs"
    last = f"; the last was {job.dagster_run_id}" if job.dagster_run_id else ""
    return f"{times} of this import died without a result{last}: see its log in Dagster"
