"""Last step: send what the outbox holds of this run's jobs, and say how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from node_import.errors import TransientError
from node_import.jobs.record import Job, JobStatus
from node_import.jobs.table import jobs_of_partition
from node_import.pipeline.close_job import Closed
from node_import.pipeline.left_alone import LeftAlone
from node_import.pipeline.workshop import Run, Workshop
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.publishing.status_publisher import PublishReport, publish_outbox


@dataclass(frozen=True, slots=True)
class RunReport:
    """How the jobs of a run stand at its end, and what was sent of them.

    `jobs` are those that the run worked on; all of its partition, if it could work on none.
    `held_elsewhere` are those of them that another live run is importing.
    """

    jobs: tuple[Job, ...]
    held_elsewhere: tuple[Job, ...] = ()
    left_alone: LeftAlone = ()
    sent: PublishReport = field(default_factory=PublishReport)
    left_for_later: str = ""  # why the outbox was not sent

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each job that is FAILED or in another run's hands: one makes the run red."""
        return tuple(self._problems())

    @property
    def first_line(self) -> str:
        """For the top of a red run: which job, which code, why."""
        first, *others = self.problems
        return f"{first} (and {len(others)} more)" if others else first

    @property
    def status(self) -> str:
        """How the run's jobs stand: one status if they agree, else each with its number."""
        counts = Counter(job.status for job in self.jobs)
        if len(counts) == 1:
            return str(*counts)
        return ", ".join(f"{n} {status}" for status, n in counts.most_common()) or "NO JOBS"

    def as_metadata(self) -> dict[str, object]:
        """What the step shows in Dagster's UI."""
        counts = Counter(job.status for job in self.jobs)
        shown: dict[str, object] = {f"jobs_{s.lower()}": counts[s] for s in JobStatus if counts[s]}
        if self.left_alone:
            shown["left_alone"] = "\n".join(reason for _, reason in self.left_alone)
        if self.left_for_later:
            return {**shown, "left_for_later": self.left_for_later}
        return {**shown, **self.sent.as_metadata()}

    def _problems(self) -> Iterator[str]:
        reasons = dict(self.left_alone)
        for job in self.jobs:
            reason = reasons.get(str(job.id))
            if job.status is JobStatus.FAILED and reason:
                failed = f"it stays FAILED: {job.failure_reason}"
                yield f"{job.failure_code}: {reason}; {failed}"
            elif job.status is JobStatus.FAILED:
                yield f"{job.failure_code}: job {job.id}: {job.failure_reason}"
        for job in self.held_elsewhere:
            yield f"job {job.id} is being imported by run {job.dagster_run_id}, not by this one"


def publish_status(
    workshop: Workshop, run: Run, producer: ConfirmedProducer, closed: Closed
) -> RunReport:
    """Send the events of the partition's jobs in order; each is stamped once it is delivered.

    Raises:
        TransientError: something is away and the step has another try. After the last one it is
            left to the recovery sensor: what became of the jobs does not depend on Kafka.
    """
    with workshop.database.operator() as conn:
        partition = jobs_of_partition(conn, run.partition_key)
    sent, left_for_later = PublishReport(), ""
    try:
        sent = publish_outbox(
            workshop.database, producer, workshop.settings, job_ids=[job.id for job in partition]
        )
    except TransientError as error:
        if not run.last_try:
            raise
        run.log.warning("The outbox is left to the recovery sensor: %s", error)
        left_for_later = str(error)
    jobs = jobs_of_run(run, partition)
    return RunReport(
        jobs=jobs,
        held_elsewhere=_held_elsewhere(run, jobs),
        left_alone=closed.left_alone,
        sent=sent,
        left_for_later=left_for_later,
    )


def jobs_of_run(run: Run, partition: Sequence[Job]) -> tuple[Job, ...]:
    """The jobs that give a run its colour.

    A group of lists whose one FAILED member was replayed is not red for the sake of others that
    had failed before; but a run that could do nothing at all shows how its partition stands.
    """
    own = tuple(job for job in partition if job.dagster_run_id == run.id)
    return own or tuple(partition)


def _held_elsewhere(run: Run, jobs: Sequence[Job]) -> tuple[Job, ...]:
    others = (job for job in jobs if job.status is JobStatus.RUNNING)
    return tuple(
        job
        for job in others
        if job.dagster_run_id and job.dagster_run_id != run.id and run.is_live(job.dagster_run_id)
    )
