"""First step: claim the jobs of a partition and hold their sources fast.

A file is located, looked at and pinned here, so that every later step reads the same bytes or
learns that it cannot. A reference list is its own source: the message that brought it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from node_import.contracts.node_type import NodeType
from node_import.errors import NodeImportError, TransientError
from node_import.jobs.claiming import PartitionClaim, claim_partition
from node_import.jobs.record import Claim, Job, JobKind
from node_import.objects.pinned import PinnedObject
from node_import.pipeline.workshop import Run, Workshop
from node_import.staging.manifest import Failure


@dataclass(frozen=True, slots=True)
class ResolvedJob:
    """A claimed job and its source: `source` for a file, or the `failure` that ends it."""

    claim: Claim
    group_id: UUID
    kind: JobKind
    node_type: NodeType
    object_version: str
    source: PinnedObject | None = None
    failure: Failure | None = None

    @property
    def job_id(self) -> str:
        """The id of the job as text, as messages and metadata show it."""
        return str(self.claim.job_id)

    @property
    def area_name(self) -> str:
        """The staging area of this attempt: two runs never write into one."""
        return f"{self.job_id}-{self.claim.attempt}"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The work of one run, and what it left alone: (job id, reason) each."""

    partition_key: str
    jobs: tuple[ResolvedJob, ...]
    refused: tuple[tuple[str, str], ...]

    def as_metadata(self) -> dict[str, object]:
        """What the step shows in Dagster's UI."""
        shown: dict[str, object] = {"jobs": len(self.jobs), "partition_key": self.partition_key}
        sources = [job.source for job in self.jobs if job.source is not None]
        if sources:
            shown["object"] = ", ".join(source.url for source in sources)
            shown["object_bytes"] = sum(source.size for source in sources)
            shown["object_version"] = ", ".join(source.version for source in sources)
        failures = [
            f"{job.failure.code}: {job.failure.message}" for job in self.jobs if job.failure
        ]
        if failures:
            shown["failures"] = "\n".join(failures)
        if self.refused:
            shown["left_alone"] = "\n".join(f"{job}: {reason}" for job, reason in self.refused)
        return shown


def resolve_file(workshop: Workshop, run: Run) -> Resolution:
    """Claim what can be claimed of the run's partition, and pin each source.

    Raises:
        TransientError: the database or the store is away and the step has another try.
    """
    claimed = claim_partition(workshop.database, run.partition_key, run.id, run_is_live=run.is_live)
    jobs = tuple(_resolve(workshop, run, job, claim) for job, claim in claimed.claimed)
    return Resolution(run.partition_key, jobs, refusals(claimed))


def refusals(claimed: PartitionClaim) -> tuple[tuple[str, str], ...]:
    """The jobs that a run may not touch, and why."""
    return tuple((str(job.id), reason) for job, reason in claimed.refused)


def object_version_of_list(references: Sequence[object]) -> str:
    """What a reference list holds, as an object version: it names the list in the ledger."""
    encoded = json.dumps(references, ensure_ascii=True, separators=(",", ":")).encode()
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def _resolve(workshop: Workshop, run: Run, job: Job, claim: Claim) -> ResolvedJob:
    failure: Failure | None = None
    source: PinnedObject | None = None
    version = ""
    if job.kind is JobKind.REFERENCES:
        version = object_version_of_list(job.request["referenceIds"])
    else:
        try:
            source = workshop.store.pin(workshop.store.locate(job.request["filePath"]))
            version = source.version
        except NodeImportError as error:
            if isinstance(error, TransientError) and not run.last_try:
                raise
            failure = Failure(error.code, error.message)
    return ResolvedJob(claim, job.group_id, job.kind, job.node_type, version, source, failure)
