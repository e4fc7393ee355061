"""Third step, one a batch: load the batch's slices; one that fails stops no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import ClaimLost, TransientError
from node_import.loading.loader import Loader
from node_import.loading.results import BatchResult, SliceResult, SliceRetry
from node_import.pipeline.claims import held_jobs
from node_import.pipeline.failures import failure_of
from node_import.pipeline.left_alone import say_what_is_left_alone
from node_import.pipeline.progress import Progress
from node_import.pipeline.resolve_file import ResolvedJob
from node_import.pipeline.stopping import Patience
from node_import.pipeline.stream_parse import Batch, BatchUnit
from node_import.pipeline.workshop import Run, Workshop
from node_import.staging.manifest import Failure


@dataclass(frozen=True, slots=True)
class SliceFailure:
    """A slice that was not loaded, and why."""

    job_id: str
    slice_no: int
    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What one batch did: nodes, slices, and the slices it could not load."""

    number: int
    inserted: int
    updated: int
    unchanged: int
    duplicate: int
    slices: int
    slices_loaded_before: int
    slice_retries: int
    failures: tuple[SliceFailure, ...]
    left_alone: tuple[str, ...]  # jobs that this run no longer holds
    seconds: float

    def as_metadata(self) -> dict[str, object]:
        """What the step shows in Dagster's UI."""
        nodes = self.inserted + self.updated + self.unchanged
        shown: dict[str, object] = {
            "inserted_nodes": self.inserted,
            "updated_nodes": self.updated,
            "unchanged_nodes": self.unchanged,
            "duplicate_nodes": self.duplicate,
            "slices": self.slices,
            "slices_loaded_before": self.slices_loaded_before,
            "seconds": round(self.seconds, 3),
            "nodes_per_second": round(nodes / self.seconds) if self.seconds else 0,
        }
        if self.slice_retries:
            shown["slice_retries"] = self.slice_retries
        if self.failures:
            shown["failed_slices"] = len(self.failures)
            shown["first_failure"] = f"{self.failures[0].code}: {self.failures[0].message}"
        if self.left_alone:
            shown["left_alone"] = ", ".join(self.left_alone)
        return shown


def load_batch(workshop: Workshop, run: Run, batch: Batch) -> BatchOutcome:
    """Load the slices of `batch` of all jobs that this run holds.

    Raises:
        TransientError: a slice failed for now and the step has another try; what is loaded is
            in the ledger and will be passed over.
    """
    started = time.monotonic()
    held = held_jobs(workshop, run, [unit.job for unit in batch.units])
    say_what_is_left_alone(run, held.left_alone)
    jobs = held.by_id()
    results: list[tuple[BatchUnit, BatchResult]] = []
    left_alone = [unit.job.job_id for unit in batch.units if unit.job.job_id not in jobs]
    with Loader(workshop.database, workshop.connections_a_step) as loader:
        loading = _Loading(workshop, run, batch, loader)
        for unit in batch.units:
            job = jobs.get(unit.job.job_id)
            if job is None:
                continue
            try:
                results.append((unit, loading.load(unit, job)))
            except ClaimLost:
                left_alone.append(job.job_id)
    _retry_what_may_pass(run, results)
    return _outcome(batch, results, left_alone, time.monotonic() - started)


class _Loading:
    """Loads one batch, unit by unit."""

    def __init__(self, workshop: Workshop, run: Run, batch: Batch, loader: Loader) -> None:
        self._workshop = workshop
        self._run = run
        self._batch = batch
        self._loader = loader
        self._progress = Progress(run.log)
        self._slices = sum(len(unit.slices) for unit in batch.units)
        self._done = 0
        self._rows = 0
        self._outage: Failure | None = None

    def load(self, unit: BatchUnit, job: ResolvedJob) -> BatchResult:
        """Load a unit; after the last try its slices have failed, and the other units go on.

        Raises:
            ClaimLost: the run no longer holds the job.
        """
        if self._outage is not None:
            # The database was away for the unit before. To wait for it once more with each of
            # hundreds of jobs would take an hour.
            return _nothing_loaded(unit, self._outage)
        try:
            return self._loader.load(
                job.claim,
                unit.manifest,
                self._workshop.staging_area(unit.manifest.area),
                job.group_id,
                unit.slices,
                stop=threading.Event(),
                on_slice=self._count,
                on_retry=self._say_retry,
                patience=Patience(self._run, self._workshop.settings.shutdown_grace_seconds),
            )
        except ClaimLost:
            raise
        except BaseException as error:  # noqa: BLE001 - becomes the job's status, or goes on
            failure = failure_of(self._run, error, f"loading job {job.job_id}")
            if failure.code is ErrorCode.DATABASE_UNAVAILABLE:
                self._outage = failure
            return _nothing_loaded(unit, failure)

    def _count(self, result: SliceResult) -> None:
        self._done += 1
        self._rows += 0 if result.failure else result.rows
        line = "Batch %d: %d of %d slices, %s rows loaded."
        rows = f"{self._rows:,}"
        self._progress.say(line, self._batch.number, self._done, self._slices, rows)

    def _say_retry(self, retry: SliceRetry) -> None:
        """Not by way of `Progress`: whoever looks for the cause of a delay needs every line."""
        line = "Batch %d: try %d of slice %d failed, it is begun again in %.1f s: %s"
        number = self._batch.number
        self._run.log.warning(
            line, number, retry.failures, retry.slice_no, retry.pause, retry.reason
        )


def _retry_what_may_pass(run: Run, results: Iterable[tuple[BatchUnit, BatchResult]]) -> None:
    """A slice that failed for now is worth another try of the step, while there is one."""
    if run.last_try:
        return
    for _, result in results:
        for failed in result.failed:
            if failed.transient and failed.failure is not None:
                raise TransientError(failed.failure.code, failed.failure.message)


def _nothing_loaded(unit: BatchUnit, failure: Failure) -> BatchResult:
    """As if each slice had failed; those that were loaded all the same are in the ledger."""
    rows = unit.manifest.rows_by_slice()
    slices = tuple(SliceResult(number, rows[number], failure=failure) for number in unit.slices)
    return BatchResult(slices, (), 0.0)


def _outcome(
    batch: Batch,
    results: list[tuple[BatchUnit, BatchResult]],
    left_alone: list[str],
    seconds: float,
) -> BatchOutcome:
    of_slices = [result for _, result in results]
    failures = tuple(
        SliceFailure(unit.job.job_id, failed.slice_no, failed.failure.code, failed.failure.message)
        for unit, result in results
        for failed in result.failed
        if failed.failure is not None
    )
    return BatchOutcome(
        number=batch.number,
        inserted=sum(result.inserted for result in of_slices),
        updated=sum(result.updated for result in of_slices),
        unchanged=sum(result.unchanged for result in of_slices),
        duplicate=sum(result.duplicate for result in of_slices),
        slices=sum(len(result.slices) for result in of_slices),
        slices_loaded_before=sum(len(result.skipped) for result in of_slices),
        slice_retries=sum(result.retries for result in of_slices),
        failures=failures,
        left_alone=tuple(left_alone),
        seconds=seconds,
    )
