"""The colour of a run, and the first line of a red one."""

from __future__ import annotations

import uuid
from typing import Any

from node_import.contracts.error_codes import ErrorCode
from node_import.jobs.record import Job, JobStatus
from node_import.pipeline.publish_status import RunReport, jobs_of_run
from node_import.pipeline.workshop import Run
from node_import_tests.unit.jobs.records import a_job

RUN = Run("run-1", "key", lambda _: True)


def failed(**changes: Any) -> Job:
    """A job that is FAILED for its rows."""
    return a_job(
        status=JobStatus.FAILED,
        failure_code=ErrorCode.ROWS_REJECTED,
        failure_reason="2 of 5 rows were rejected",
        **changes,
    )


def test_completed_and_waiting_jobs_are_no_problem() -> None:
    """Nor is a partition without jobs."""
    done = a_job(status=JobStatus.COMPLETED)
    report = RunReport((done, a_job()), left_alone=((str(done.id), "job x is COMPLETED already"),))
    assert report.problems == ()
    assert report.as_metadata()["left_alone"] == "job x is COMPLETED already"
    assert RunReport(()).problems == ()
    assert RunReport(()).status == "NO JOBS"


def test_the_first_line_names_code_job_and_reason() -> None:
    """And how many more there are."""
    first, second = failed(), failed()
    line = f"ROWS_REJECTED: job {first.id}: 2 of 5 rows were rejected"
    assert RunReport((a_job(status=JobStatus.COMPLETED), first)).first_line == line
    assert RunReport((first, second)).first_line == f"{line} (and 1 more)"


def test_a_failed_job_that_was_left_alone_says_why_first() -> None:
    """What is to be done stands before what had happened."""
    job = failed()
    reason = f"job {job.id} is older than job 7"
    report = RunReport((job,), left_alone=((str(job.id), reason),))
    stays = "it stays FAILED: 2 of 5 rows were rejected"
    assert report.first_line == f"ROWS_REJECTED: {reason}; {stays}"


def test_a_job_in_another_runs_hands_makes_it_red() -> None:
    """With the run that has it."""
    job = a_job(status=JobStatus.RUNNING, dagster_run_id="run-2")
    report = RunReport((job,), held_elsewhere=(job,))
    assert report.first_line == f"job {job.id} is being imported by run run-2, not by this one"


def test_a_run_shows_its_own_jobs() -> None:
    """Those of its partition that another run had closed are not its business."""
    own = a_job(status=JobStatus.COMPLETED, dagster_run_id="run-1")
    others = [failed(dagster_run_id="run-0"), failed(id=uuid.uuid4(), dagster_run_id=None)]
    assert jobs_of_run(RUN, [own, *others]) == (own,)
    assert jobs_of_run(RUN, others) == tuple(others)
    assert jobs_of_run(RUN, []) == ()


def test_status_and_counts() -> None:
    """One word if all agree, else each with its number."""
    done, bad = a_job(status=JobStatus.COMPLETED), failed()
    assert RunReport((done,)).status == "COMPLETED"
    assert RunReport((done, bad, bad)).status == "2 FAILED, 1 COMPLETED"
    shown = RunReport((done, bad, bad), left_for_later="KAFKA_UNAVAILABLE: away").as_metadata()
    assert shown == {
        "jobs_completed": 1,
        "jobs_failed": 2,
        "left_for_later": "KAFKA_UNAVAILABLE: away",
    }
