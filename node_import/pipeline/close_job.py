"""Fourth step: compare the ledger with the manifest and write how each job ended.

It always runs, and never trusts what the steps before handed on alone: a slice counts as loaded
if the ledger says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.status_message import ReferenceLists, fit_lists
from node_import.database import Connection
from node_import.database.connections import operator_transaction
from node_import.errors import ClaimLost, TransientError
from node_import.jobs.closing import close
from node_import.jobs.ledger import LedgerTotals, ledger_totals
from node_import.jobs.listing import JobRow, jobs_closed_by
from node_import.jobs.outcome import JobOutcome
from node_import.pipeline.claims import Held, held_jobs
from node_import.pipeline.failures import failure_of
from node_import.pipeline.left_alone import LeftAlone, say_what_is_left_alone
from node_import.pipeline.leftovers import remove_areas_of
from node_import.pipeline.load_batch import BatchOutcome, SliceFailure
from node_import.pipeline.reference_lists import References
from node_import.pipeline.resolve_file import ResolvedJob
from node_import.pipeline.stream_parse import Parsed
from node_import.pipeline.workshop import Run, Workshop
from node_import.sizes import KIB
from node_import.staging.manifest import Manifest
from node_import.staging.segments import StagedRowsLost

# The other fields of a status message: a reason of 2,000 characters, which JSON may write with six
# bytes each, and two URLs with an object key's 1,024 bytes, which may be percent-encoded.
ROOM_FOR_OTHER_FIELDS = 32 * KIB

# An answer without its lists, which are lost or cannot be written: better than none.
_WITHOUT_LISTS = ReferenceLists(success_truncated=True, failed_truncated=True)


@dataclass(frozen=True, slots=True)
class Closed:
    """The rows of `nodes_import_job` that this run closed, without the message's bytes.

    `batches` and `slices` are those of the jobs that were loaded; `load_seconds` is the sum over
    batches, which may have run at once.
    """

    jobs: tuple[JobRow, ...]
    left_alone: LeftAlone = ()
    batches: int = 0
    slices: int = 0
    load_seconds: float = 0.0


def close_job(
    workshop: Workshop, run: Run, parsed: Parsed, outcomes: Sequence[BatchOutcome]
) -> Closed:
    """Close every job of the run that it still holds; see `node_import.jobs.closing`.

    What it shows is read from the table, so that a second try of the step shows what the first
    has closed as well.

    Raises:
        TransientError: something is away and the step has another try.
    """
    held = held_jobs(workshop, run, parsed.jobs)
    failures = _failures_by_job(outcomes)
    jobs = held.by_id()
    with workshop.database.session() as conn:
        for manifest in parsed.manifests:
            job = jobs.get(manifest.job_id)
            if job is not None:
                slices_failed = failures.get(job.job_id, ())
                _Closing(workshop, run, conn, job, manifest).close(slices_failed)
        with workshop.database.limited(conn), operator_transaction(conn):
            rows = jobs_closed_by(conn, run.partition_key, run.id)
    left_alone = _left_alone(parsed, held, rows)
    say_what_is_left_alone(run, left_alone)
    return Closed(
        jobs=tuple(rows),
        left_alone=left_alone,
        batches=len(outcomes),
        slices=sum(outcome.slices for outcome in outcomes),
        load_seconds=sum(outcome.seconds for outcome in outcomes),
    )


def _failures_by_job(outcomes: Iterable[BatchOutcome]) -> dict[str, list[SliceFailure]]:
    failures: dict[str, list[SliceFailure]] = {}
    for outcome in outcomes:
        for failure in outcome.failures:
            failures.setdefault(failure.job_id, []).append(failure)
    return failures


def _left_alone(parsed: Parsed, held: Held, closed: Iterable[JobRow]) -> LeftAlone:
    """What this run did not close, and why; the last reason of each job."""
    reasons = {**dict(parsed.left_alone), **dict(held.left_alone)}
    for row in closed:
        reasons.pop(str(row["id"]), None)
    return tuple(reasons.items())


class _Closing:
    """Closes one job that this run holds."""

    def __init__(
        self, workshop: Workshop, run: Run, conn: Connection, job: ResolvedJob, manifest: Manifest
    ) -> None:
        self._workshop = workshop
        self._run = run
        self._conn = conn
        self._job = job
        self._manifest = manifest

    def close(self, slices_failed: Sequence[SliceFailure]) -> None:
        """Write the job's end and remove what is staged; nothing if it was taken from this run.

        The connection rests while the lists are written, which takes minutes for a large file.
        """
        job, manifest, database = self._job, self._manifest, self._workshop.database
        with database.limited(self._conn), operator_transaction(self._conn):
            ledger = ledger_totals(
                self._conn, job.claim.job_id, manifest.object_version, manifest.plan.fingerprint
            )
        failure = _failure(manifest, ledger, slices_failed)
        lists, result_url = self._lists(ledger)
        outcome = _outcome(manifest, failure, lists, result_url)
        try:
            with database.limited(self._conn):
                close(self._conn, job.claim, outcome)
        except ClaimLost as error:
            self._run.log.warning("Not closed: %s.", error)
            return
        self._remove_staged()

    def _remove_staged(self) -> None:
        """The job is closed, whatever becomes of what was staged: recovery sweeps later."""
        claim = self._job.claim
        try:
            remove_areas_of(self._workshop.staging_areas, claim.job_id, claim.attempt)
        except TransientError as error:
            self._run.log.warning("Job %s: staged rows are left behind: %s", claim.job_id, error)

    def _lists(self, ledger: LedgerTotals) -> tuple[ReferenceLists, str | None]:
        """The lists as the message carries them, and where the whole ones are if it cannot."""
        if ledger.slices - self._manifest.rows_by_slice().keys():
            # An earlier attempt loaded them, and this one could not read the source: which
            # references they hold is not known here.
            return _WITHOUT_LISTS, None
        area = self._workshop.staging_area(self._manifest.area or self._job.area_name)
        references = References(area, self._manifest, ledger.slices, ledger.duplicate > 0)
        try:
            return self._fitted(references)
        except (StagedRowsLost, FileNotFoundError):
            # What was staged went with another machine; the numbers stand in the ledger.
            self._run.log.warning("Job %s: its lists of references are lost.", self._job.job_id)
        except BaseException as error:  # noqa: BLE001 - is told, or goes on
            failure = failure_of(self._run, error, "writing the lists of references")
            self._run.log.warning("Job %s: %s", self._job.job_id, failure.message)
        return _WITHOUT_LISTS, None

    def _fitted(self, references: References) -> tuple[ReferenceLists, str | None]:
        room = self._workshop.settings.status_max_bytes - ROOM_FOR_OTHER_FIELDS
        lists = fit_lists(references.succeeded(), references.failed(), room)
        if not lists.truncated:
            return lists, None
        store = self._workshop.store
        key = f"results/{self._job.job_id}/attempt-{self._job.claim.attempt}.json"
        with store.write(key, "application/json") as file:
            references.write(file)
        return lists, store.url_of(key)


def _outcome(
    manifest: Manifest,
    failure: tuple[ErrorCode, str] | None,
    lists: ReferenceLists,
    result_url: str | None,
) -> JobOutcome:
    return JobOutcome(
        total=manifest.total_rows,
        rejected=manifest.rejected_rows,
        rejects_by_code=manifest.rejects_by_code,
        failure=failure,
        lists=lists,
        source_url=manifest.source_url,
        object_version=manifest.object_version,
        plan_fingerprint=manifest.plan.fingerprint,
        rejects_url=manifest.rejects_url,
        result_url=result_url,
    )


def _failure(
    manifest: Manifest, ledger: LedgerTotals, slices_failed: Sequence[SliceFailure]
) -> tuple[ErrorCode, str] | None:
    """Why the job fails as a whole: its source, or slices that the ledger does not have."""
    if manifest.failure is not None:
        return manifest.failure.code, manifest.failure.message
    filled = manifest.rows_by_slice()
    missing = filled.keys() - ledger.slices
    if not missing:
        return None
    code, why = ErrorCode.DATABASE_UNAVAILABLE, "no reason is known"
    for failure in slices_failed:
        if failure.slice_no in missing:
            code, why = failure.code, failure.message
            break
    rows = sum(filled[slice_no] for slice_no in missing)
    return code, f"{rows} rows in {len(missing)} of {len(filled)} slices were not loaded: {why}"
