"""Second step: read each source once, stage its good rows by slice, keep its bad ones.

Its outputs are a manifest a job and the batches: which slices of which jobs one mapped step
loads. A source that breaks in the middle is staged in vain: its manifest has a failure, and
nothing of it is loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, TransientError
from node_import.jobs.record import JobKind
from node_import.jobs.table import get_job
from node_import.parsing.stage import stage_file, stage_references
from node_import.pipeline.claims import held_jobs
from node_import.pipeline.reject_objects import reject_objects
from node_import.pipeline.resolve_file import Resolution, ResolvedJob
from node_import.pipeline.workshop import Run, Workshop
from node_import.staging.manifest import Failure, Manifest
from node_import.staging.plan import ASSUMED_RATIO, Plan, plan_for

# For planning only, so the name may be believed; what the bytes are is told by the bytes.
_COMPRESSED_NAMES = (".gz", ".gzip", ".zst", ".zstd")


@dataclass(frozen=True, slots=True)
class BatchUnit:
    """Some slices of one job, with the part of its manifest that speaks of them."""

    job: ResolvedJob
    manifest: Manifest
    slices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one mapped step loads: references to staged rows, never rows."""

    number: int
    units: tuple[BatchUnit, ...]


@dataclass(frozen=True, slots=True)
class Parsed:
    """All jobs of the run with their manifests, in the same order."""

    jobs: tuple[ResolvedJob, ...]
    manifests: tuple[Manifest, ...]

    def batches(self) -> Iterator[Batch]:
        """Batch n holds the n-th batch of every job; batches without rows are left out."""
        units: dict[int, list[BatchUnit]] = {}
        for job, manifest in zip(self.jobs, self.manifests, strict=True):
            if manifest.failure is not None:
                continue
            rows = manifest.rows_by_slice()
            for number in range(manifest.plan.batches):
                slices = manifest.plan.slices_of(number)
                filled = tuple(slice_no for slice_no in slices if slice_no in rows)
                if filled:
                    unit = BatchUnit(job, manifest.only(slices), filled)
                    units.setdefault(number, []).append(unit)
        for number in sorted(units):
            yield Batch(number, tuple(units[number]))

    def as_metadata(self) -> dict[str, object]:
        """What the step shows in Dagster's UI."""
        manifests = self.manifests
        seconds = sum(manifest.parse_seconds for manifest in manifests)
        total = sum(manifest.total_rows for manifest in manifests)
        return {
            "rows": total,
            "accepted_rows": sum(manifest.accepted_rows for manifest in manifests),
            "rejected_rows": sum(manifest.rejected_rows for manifest in manifests),
            "rows_per_second": round(total / seconds) if seconds else 0,
            "parse_seconds": round(seconds, 3),
            "csv_bytes": sum(manifest.csv_bytes for manifest in manifests),
            "staged_bytes": sum(manifest.staged_bytes for manifest in manifests),
            "batches": sum(1 for _ in self.batches()),
            "slices": sum(len(manifest.rows_by_slice()) for manifest in manifests),
            "metadata_keys": ", ".join(
                dict.fromkeys(key for manifest in manifests for key in manifest.metadata_keys)
            ),
        }


def stream_parse(
    workshop: Workshop,
    run: Run,
    resolution: Resolution,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Parsed:
    """Parse and stage every job of `resolution` that this run (still) holds.

    `on_progress` gets the number of bytes read from a source so far.

    Raises:
        TransientError: something is away and the step has another try.
    """
    jobs = held_jobs(workshop, run, resolution.jobs)
    manifests = tuple(_manifest(workshop, run, job, on_progress) for job in jobs)
    return Parsed(jobs, manifests)


def plan_of(job: ResolvedJob, references: int = 0) -> Plan:
    """How the job's rows are cut; the same for the same source, whenever it is asked."""
    if job.source is None:
        return plan_for(references * 32)
    name = job.source.url.lower()
    ratio = ASSUMED_RATIO if name.endswith(_COMPRESSED_NAMES) else 1
    return plan_for(job.source.size * ratio)


def _manifest(
    workshop: Workshop, run: Run, job: ResolvedJob, on_progress: Callable[[int], None]
) -> Manifest:
    if job.failure is not None:
        return _failed(job, job.failure)
    started = time.perf_counter()
    workshop.staging_area(job.area_name).remove()  # what an earlier try of this step left
    try:
        manifest = _stage(workshop, job, on_progress)
    except NodeImportError as error:
        if isinstance(error, TransientError) and not run.last_try:
            raise
        manifest = _failed(job, Failure(error.code, error.message))
    except OSError as error:  # the staging disk is full or gone
        if not run.last_try:
            raise
        message = f"staging on the worker's disk failed: {error.strerror or error}"
        manifest = _failed(job, Failure(ErrorCode.OBJECT_STORE_UNAVAILABLE, message))
    return replace(manifest, area=job.area_name, parse_seconds=time.perf_counter() - started)


def _stage(workshop: Workshop, job: ResolvedJob, on_progress: Callable[[int], None]) -> Manifest:
    area = workshop.staging_area(job.area_name)
    rules = workshop.parse_rules(job.node_type)
    with reject_objects(workshop, job) as rejects:
        if job.kind is JobKind.REFERENCES:
            with workshop.database.operator() as conn:
                references = get_job(conn, job.claim.job_id)["request"]["referenceIds"]
            return stage_references(
                references,
                rules=rules,
                plan=plan_of(job, len(references)),
                area=area,
                job_id=job.job_id,
                domain_id=str(job.claim.domain_id),
                object_version=job.object_version,
                rejects=rejects,
            )
        assert job.source is not None  # noqa: S101 - a file without a failure has been pinned
        with workshop.store.open(job.source) as stream:
            return stage_file(
                stream,
                rules=rules,
                plan=plan_of(job),
                area=area,
                job_id=job.job_id,
                domain_id=str(job.claim.domain_id),
                object_version=job.object_version,
                compressed_bytes=job.source.size,
                source_url=job.source.url,
                rejects=rejects,
                on_progress=on_progress,
            )


def _failed(job: ResolvedJob, failure: Failure) -> Manifest:
    return Manifest(
        job_id=job.job_id,
        domain_id=str(job.claim.domain_id),
        object_version=job.object_version,
        plan=plan_of(job),
        source_url=job.source.url if job.source else None,
        failure=failure,
    )
