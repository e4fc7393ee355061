"""What a backfill would launch."""

from __future__ import annotations

from uuid import UUID, uuid4

from node_import.jobs.record import JobStatus
from node_import.jobs.reopening import PastJob
from node_import.replaying.backfill import plan_backfill


def past(
    status: JobStatus = JobStatus.FAILED, key: str | None = "p", newer: UUID | None = None
) -> PastJob:
    return PastJob(uuid4(), uuid4(), status, key, newer)


def test_a_partition_runs_once() -> None:
    """Also for several lists that share it; a job that never ran has none yet."""
    jobs = [past(), past(), past(key="q"), past(key=None)]
    plan = plan_backfill(jobs, force=False)
    assert plan.as_document() == {
        "backfillId": None,
        "jobs": [str(job.id) for job in jobs],
        "partitions": ["p", "q"],
    }


def test_jobs_that_are_not_failed_are_left_alone() -> None:
    """Whoever insists."""
    for status in (JobStatus.COMPLETED, JobStatus.PENDING, JobStatus.RUNNING):
        plan = plan_backfill([past(status)], force=True)
        assert (plan.jobs, plan.partitions, len(plan.refused)) == ([], [], 1)


def test_an_old_file_needs_force() -> None:
    """The newer import is named."""
    newer = uuid4()
    [(_, reason)] = plan_backfill([past(newer=newer)], force=False).refused
    assert str(newer) in reason
    assert "--force" in reason
    assert plan_backfill([past(newer=newer)], force=True).refused == []
