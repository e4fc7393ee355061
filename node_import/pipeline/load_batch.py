"""Third step, one a batch: load the batch's slices; one that fails stops no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import ClaimLost, TransientError
from node_import.loading.loader import Loader
from node_import.loading.results import BatchResult, SliceResult
from node_import.pipeline.claims import held_jobs
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
        if self.failures:
            shown["failed_slices"] = len(self.failures)
            shown["first_failure"] = f"{self.failures[0].code}: {self.failures[0].message}"
        if self.left_alone:
            shown["left_alone"] = ", ".join(self.left_alone)
        return shown


def load_batch(
    workshop: Workshop,
    run: Run,
    batch: Batch,
    *,
    stop: threading.Event | None = None,
    on_slice: Callable[[SliceResult], None] = lambda _: None,
) -> BatchOutcome:
    """Load the slices of `batch` of all jobs that this run holds.

    Raises:
        TransientError: a slice failed for now and the step has another try; what is loaded is
            in the ledger and will be passed over.
    """
    started = time.monotonic()
    jobs = {job.job_id: job for job in held_jobs(workshop, run, [u.job for u in batch.units])}
    results: list[tuple[BatchUnit, BatchResult]] = []
    left_alone = [unit.job.job_id for unit in batch.units if unit.job.job_id not in jobs]
    with Loader(workshop.database, workshop.settings.load_connections) as loader:
        for unit in batch.units:
            job = jobs.get(unit.job.job_id)
            if job is None:
                continue
            try:
                result = loader.load(
                    job.claim,
                    unit.manifest,
                    workshop.staging_area(unit.manifest.area),
                    job.group_id,
                    unit.slices,
                    stop=stop or threading.Event(),
                    on_slice=on_slice,
                )
            except ClaimLost:
                left_alone.append(job.job_id)
                continue
            except TransientError as error:
                if not run.last_try:
                    raise
                result = _nothing_loaded(unit, error)
            results.append((unit, result))
    _retry_what_may_pass(run, results)
    return _outcome(batch, results, left_alone, time.monotonic() - started)


def _retry_what_may_pass(run: Run, results: Iterable[tuple[BatchUnit, BatchResult]]) -> None:
    """A slice that failed for now is worth another try of the step, while there is one."""
    if run.last_try:
        return
    for _, result in results:
        for failed in result.failed:
            if failed.transient and failed.failure is not None:
                raise TransientError(failed.failure.code, failed.failure.message)


def _nothing_loaded(unit: BatchUnit, error: TransientError) -> BatchResult:
    rows = unit.manifest.rows_by_slice()
    failure = Failure(error.code, error.message)
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
        failures=failures,
        left_alone=tuple(left_alone),
        seconds=seconds,
    )
