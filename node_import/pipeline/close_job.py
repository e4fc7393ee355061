"""Fourth step: compare the ledger with the manifest and write how each job ended.

It always runs, and never trusts what the steps before handed on alone: a slice counts as loaded
if the ledger says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.status_message import ReferenceLists, fit_lists
from node_import.errors import ClaimLost
from node_import.jobs.closing import close
from node_import.jobs.ledger import LedgerTotals, ledger_totals
from node_import.jobs.outcome import JobOutcome
from node_import.jobs.table import get_job
from node_import.pipeline.claims import held_jobs
from node_import.pipeline.load_batch import BatchOutcome, SliceFailure
from node_import.pipeline.reference_lists import References
from node_import.pipeline.resolve_file import ResolvedJob
from node_import.pipeline.stream_parse import Parsed
from node_import.pipeline.workshop import Run, Workshop
from node_import.staging.manifest import Manifest
from node_import.staging.segments import StagedRowsLost

# The other fields of a status message, a long failure reason and two URLs among them.
ROOM_FOR_OTHER_FIELDS = 8_192


@dataclass(frozen=True, slots=True)
class Closed:
    """The rows of `nodes_import_job` that this run closed, without the message's bytes."""

    jobs: tuple[Mapping[str, Any], ...]
    batches: int
    slices: int
    load_seconds: float


def close_job(
    workshop: Workshop, run: Run, parsed: Parsed, outcomes: Sequence[BatchOutcome]
) -> Closed:
    """Close every job of the run that it still holds; see `node_import.jobs.closing`.

    Raises:
        TransientError: something is away and the step has another try.
    """
    held = {job.job_id: job for job in held_jobs(workshop, run, parsed.jobs)}
    failures = _failures_by_job(outcomes)
    rows = []
    for manifest in parsed.manifests:
        job = held.get(manifest.job_id)
        if job is not None:
            rows.append(_close(workshop, job, manifest, failures.get(job.job_id, ())))
    return Closed(
        jobs=tuple(rows),
        batches=len(outcomes),
        slices=sum(len(manifest.rows_by_slice()) for manifest in parsed.manifests),
        load_seconds=sum(outcome.seconds for outcome in outcomes),
    )


def _failures_by_job(outcomes: Iterable[BatchOutcome]) -> dict[str, list[SliceFailure]]:
    failures: dict[str, list[SliceFailure]] = {}
    for outcome in outcomes:
        for failure in outcome.failures:
            failures.setdefault(failure.job_id, []).append(failure)
    return failures


def _close(
    workshop: Workshop, job: ResolvedJob, manifest: Manifest, failures: Sequence[SliceFailure]
) -> dict[str, Any]:
    area = workshop.staging_area(manifest.area or job.area_name)
    with workshop.database.operator() as conn:
        ledger = ledger_totals(
            conn, job.claim.job_id, manifest.object_version, manifest.plan.fingerprint
        )
    references = References(area, manifest, ledger.slices)
    lists, result_url = _lists(workshop, job, references)
    outcome = _outcome(manifest, ledger, failures, lists, result_url)
    with workshop.database.connect() as conn:
        try:
            close(conn, job.claim, outcome)
        except ClaimLost:
            return {"id": job.claim.job_id, "status": "TAKEN"}
    area.remove()
    with workshop.database.operator() as conn:
        row = get_job(conn, job.claim.job_id)
    return {name: value for name, value in row.items() if not isinstance(value, bytes)}


def _lists(
    workshop: Workshop, job: ResolvedJob, references: References
) -> tuple[ReferenceLists, str | None]:
    """The lists as the message carries them, and where the whole ones are if it cannot."""
    room = workshop.settings.status_max_bytes - ROOM_FOR_OTHER_FIELDS
    try:
        lists = fit_lists(references.succeeded(), references.failed(), room)
        if not lists.truncated:
            return lists, None
        key = f"results/{job.job_id}/attempt-{job.claim.attempt}.json"
        with workshop.store.write(key, "application/json") as file:
            references.write(file)
        return lists, workshop.store.url_of(key)
    except (StagedRowsLost, FileNotFoundError):
        # What was staged went with another machine. The numbers stand in the ledger, and an
        # answer without its lists is better than none.
        return ReferenceLists(success_truncated=True, failed_truncated=True), None


def _outcome(
    manifest: Manifest,
    ledger: LedgerTotals,
    failures: Sequence[SliceFailure],
    lists: ReferenceLists,
    result_url: str | None,
) -> JobOutcome:
    return JobOutcome(
        total=manifest.total_rows,
        rejected=manifest.rejected_rows,
        rejects_by_code=manifest.rejects_by_code,
        failure=_failure(manifest, ledger, failures),
        lists=lists,
        source_url=manifest.source_url,
        object_version=manifest.object_version,
        plan_fingerprint=manifest.plan.fingerprint,
        rejects_url=manifest.rejects_url,
        result_url=result_url,
    )


def _failure(
    manifest: Manifest, ledger: LedgerTotals, failures: Sequence[SliceFailure]
) -> tuple[ErrorCode, str] | None:
    if manifest.failure is not None:
        return manifest.failure.code, manifest.failure.message
    filled = manifest.rows_by_slice()
    missing = filled.keys() - ledger.slices
    if not missing:
        return None
    code, why = ErrorCode.DATABASE_UNAVAILABLE, "no reason is known"
    for failure in failures:
        if failure.slice_no in missing:
            code, why = failure.code, failure.message
            break
    rows = sum(filled[slice_no] for slice_no in missing)
    return code, f"{rows} rows in {len(missing)} of {len(filled)} slices were not loaded: {why}"
