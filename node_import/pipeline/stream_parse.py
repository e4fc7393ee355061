"""Second step: read each source once, stage its good rows by slice, keep its bad ones.

Its outputs are a manifest a job and the batches: which slices of which jobs one mapped step
loads. A source that breaks in the middle is staged in vain: its manifest has a failure, and
nothing of it is loaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from node_import.errors import TransientError
from node_import.jobs.record import Job
from node_import.objects.pinned import PinnedObject
from node_import.parsing.reject_file import RejectFile
from node_import.parsing.rules import ParseRules
from node_import.parsing.stage import stage_file, stage_references
from node_import.pipeline.claims import held_jobs
from node_import.pipeline.failures import failure_of
from node_import.pipeline.left_alone import LeftAlone, say_what_is_left_alone
from node_import.pipeline.progress import Progress
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
    """All jobs of the run with their manifests, in the same order; and what it leaves alone."""

    jobs: tuple[ResolvedJob, ...]
    manifests: tuple[Manifest, ...]
    left_alone: LeftAlone = ()

    def batches(self) -> Iterator[Batch]:
        """Batch n holds the n-th batch of every job; batches without rows are left out."""
        units: dict[int, list[BatchUnit]] = {}
        for job, manifest in zip(self.jobs, self.manifests, strict=True):
            if manifest.failure is not None:
                continue  # nothing of it is loaded
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
        batches = list(self.batches())
        seconds = sum(manifest.parse_seconds for manifest in manifests)
        total = sum(manifest.total_rows for manifest in manifests)
        shown: dict[str, object] = {
            "jobs": len(self.jobs),
            "rows": total,
            "accepted_rows": sum(manifest.accepted_rows for manifest in manifests),
            "rejected_rows": sum(manifest.rejected_rows for manifest in manifests),
            "rows_per_second": round(total / seconds) if seconds else 0,
            "parse_seconds": round(seconds, 3),
            "csv_bytes": sum(manifest.csv_bytes for manifest in manifests),
            "staged_bytes": sum(manifest.staged_bytes for manifest in manifests),
            "batches": len(batches),
            "slices": sum(len(unit.slices) for batch in batches for unit in batch.units),
        }
        if retries := sum(manifest.read_retries for manifest in manifests):
            shown["read_retries"] = retries
        keys = dict.fromkeys(key for manifest in manifests for key in manifest.metadata_keys)
        if keys:
            shown["metadata_keys"] = ", ".join(keys)
        failures = [
            f"{manifest.failure.code}: {manifest.failure.message}"
            for manifest in manifests
            if manifest.failure is not None
        ]
        if failures:
            shown["failures"] = "\n".join(failures)
        return shown


def stream_parse(workshop: Workshop, run: Run, resolution: Resolution) -> Parsed:
    """Parse and stage every job of `resolution` that this run (still) holds.

    Raises:
        TransientError: something is away and the step has another try.
    """
    held = held_jobs(workshop, run, resolution.jobs)
    say_what_is_left_alone(run, held.left_alone)
    manifests = tuple(_manifest(workshop, run, job, row) for job, row in held.jobs)
    jobs = tuple(job for job, _ in held.jobs)
    return Parsed(jobs, manifests, (*resolution.left_alone, *held.left_alone))


def plan_of(
    job: ResolvedJob, rules: ParseRules, references: int = 0, *, side_by_side: bool = False
) -> Plan:
    """How the job's rows are cut: slices the same for the same source, whenever it is asked."""
    read_by = rules.fingerprint
    if job.source is None:
        return plan_for(references * 32, rules=read_by, side_by_side=side_by_side)
    name = job.source.url.lower()
    ratio = ASSUMED_RATIO if name.endswith(_COMPRESSED_NAMES) else 1
    return plan_for(job.source.size * ratio, rules=read_by, side_by_side=side_by_side)


def _manifest(workshop: Workshop, run: Run, job: ResolvedJob, row: Job) -> Manifest:
    rules = workshop.parse_rules(job.node_type)
    if job.failure is not None:
        return _failed(job, rules, job.failure)
    started = time.perf_counter()
    what = job.source.url if job.source else f"the references of job {job.job_id}"
    try:
        workshop.staging_area(job.area_name).remove()  # what an earlier try of this step left
        with reject_objects(workshop, job) as rejects:
            if job.source is None:
                manifest = _stage_references(workshop, job, rules, row, rejects)
            else:
                manifest = _stage_file(workshop, run, job, job.source, rules, rejects)
    except BaseException as error:  # noqa: BLE001 - becomes the job's status, or goes on
        manifest = _failed(job, rules, failure_of(run, error, f"reading {what}"))
    return replace(manifest, area=job.area_name, parse_seconds=time.perf_counter() - started)


def _stage_references(
    workshop: Workshop, job: ResolvedJob, rules: ParseRules, row: Job, rejects: RejectFile
) -> Manifest:
    references = row.request["referenceIds"]
    side_by_side = workshop.settings.works_side_by_side
    return stage_references(
        references,
        rules=rules,
        plan=plan_of(job, rules, len(references), side_by_side=side_by_side),
        area=workshop.staging_area(job.area_name),
        job_id=job.job_id,
        domain_id=str(job.claim.domain_id),
        object_version=job.object_version,
        rejects=rejects,
    )


def _stage_file(
    workshop: Workshop,
    run: Run,
    job: ResolvedJob,
    source: PinnedObject,
    rules: ParseRules,
    rejects: RejectFile,
) -> Manifest:
    progress = Progress(run.log)

    def say(bytes_read: int, rows: int) -> None:
        line = "%s: %s of %s bytes read, %s rows so far."
        progress.say(line, source.url, f"{bytes_read:,}", f"{source.size:,}", f"{rows:,}")

    retries = 0

    def say_retry(offset: int, error: TransientError) -> None:
        nonlocal retries
        retries += 1
        run.log.warning("%s: read on from byte %s, since %s", source.url, f"{offset:,}", error)

    with workshop.store.open(source, on_retry=say_retry) as stream:
        manifest = stage_file(
            stream,
            rules=rules,
            plan=plan_of(job, rules, side_by_side=workshop.settings.works_side_by_side),
            area=workshop.staging_area(job.area_name),
            job_id=job.job_id,
            domain_id=str(job.claim.domain_id),
            object_version=job.object_version,
            compressed_bytes=source.size,
            source_url=source.url,
            rejects=rejects,
            on_progress=say,
        )
    return replace(manifest, read_retries=retries)


def _failed(job: ResolvedJob, rules: ParseRules, failure: Failure) -> Manifest:
    return Manifest(
        job_id=job.job_id,
        domain_id=str(job.claim.domain_id),
        object_version=job.object_version,
        plan=plan_of(job, rules),
        source_url=job.source.url if job.source else None,
        failure=failure,
    )
