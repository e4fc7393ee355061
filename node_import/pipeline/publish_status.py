"""Last step: send what the outbox holds of this run's jobs, and say how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node_import.errors import TransientError
from node_import.jobs.record import Job, JobStatus
from node_import.jobs.table import jobs_of_partition
from node_import.pipeline.workshop import Run, Workshop
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.publishing.status_publisher import PublishReport, publish_outbox


@dataclass(frozen=True, slots=True)
class RunReport:
    """How the jobs of a run's partition stand at its end, and what was sent of them."""

    jobs: tuple[Job, ...]
    sent: PublishReport
    left_for_later: str = ""  # why the outbox was not sent

    @property
    def failed(self) -> Sequence[Job]:
        """The jobs that are FAILED: if there is one, the run ends red."""
        return [job for job in self.jobs if job.status is JobStatus.FAILED]

    @property
    def first_failure(self) -> str:
        """One line for the top of a red run: which job, which code, why."""
        first, *others = self.failed
        more = f" (and {len(others)} more FAILED)" if others else ""
        return f"{first.failure_code}: job {first.id}: {first.failure_reason}{more}"

    def as_metadata(self) -> dict[str, object]:
        """What the step shows in Dagster's UI."""
        by_status = dict.fromkeys(JobStatus, 0)
        for job in self.jobs:
            by_status[job.status] += 1
        counts = {f"jobs_{status.lower()}": n for status, n in by_status.items() if n}
        if self.left_for_later:
            return {**counts, "left_for_later": self.left_for_later}
        return {**counts, **self.sent.as_metadata()}


def publish_status(workshop: Workshop, run: Run, producer: ConfirmedProducer) -> RunReport:
    """Send the events of the partition's jobs in order; each is stamped once it is delivered.

    Raises:
        TransientError: something is away and the step has another try. After the last one it is
            left to the recovery sensor: what became of the jobs does not depend on Kafka.
    """
    with workshop.database.operator() as conn:
        jobs = jobs_of_partition(conn, run.partition_key)
    sent, left_for_later = PublishReport(), ""
    try:
        sent = publish_outbox(
            workshop.database, producer, workshop.settings, job_ids=[job.id for job in jobs]
        )
    except TransientError as error:
        if not run.last_try:
            raise
        left_for_later = str(error)
    return RunReport(tuple(jobs), sent, left_for_later)
