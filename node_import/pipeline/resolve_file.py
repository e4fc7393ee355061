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
from node_import.jobs.claiming import claim_partition
from node_import.jobs.record import Claim, Job, JobKind
from node_import.objects.pinned import PinnedObject
from node_import.pipeline.failures import failure_of
from node_import.pipeline.left_alone import LeftAlone, left_alone_by, say_what_is_left_alone
from node_import.pipeline.leftovers import area_name
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
        """The staging area of this attempt."""
        return area_name(self.claim.job_id, self.claim.attempt)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The work of one run, and what it leaves alone."""

    partition_key: str
    jobs: tuple[ResolvedJob, ...]
    left_alone: LeftAlone

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
        if self.left_alone:
            shown["left_alone"] = "\n".join(reason for _, reason in self.left_alone)
        return shown


def resolve_file(workshop: Workshop, run: Run) -> Resolution:
    """Claim what can be claimed of the run's partition, and pin each source.

    Raises:
        TransientError: the database or the store is away and the step has another try.
    """
    claimed = claim_partition(
        workshop.database,
        run.partition_key,
        run.id,
        run_is_live=run.is_live,
        is_given_up=run.is_given_up,
    )
    refused = left_alone_by(claimed)
    say_what_is_left_alone(run, refused)
    if not claimed.claimed:
        run.log.warning("Nothing to import: %s.", _why_nothing(run, refused))
    jobs = tuple(_resolve(workshop, run, job, claim) for job, claim in claimed.claimed)
    return Resolution(run.partition_key, jobs, refused)


def object_version_of_list(references: Sequence[object]) -> str:
    """What a reference list holds, as an object version: it names the list in the ledger."""
    encoded = json.dumps(references, ensure_ascii=True, separators=(",", ":")).encode()
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def _why_nothing(run: Run, refused: LeftAlone) -> str:
    if not refused:
        return f"no job has the partition key {run.partition_key}"
    return "all jobs of this partition are left alone"


def _resolve(workshop: Workshop, run: Run, job: Job, claim: Claim) -> ResolvedJob:
    if job.kind is JobKind.REFERENCES:
        version = object_version_of_list(job.request["referenceIds"])
        return ResolvedJob(claim, job.group_id, job.kind, job.node_type, version)
    source: PinnedObject | None = None
    failure: Failure | None = None
    try:
        source = workshop.store.pin(workshop.store.locate(job.request["filePath"]))
    except BaseException as error:  # noqa: BLE001 - becomes the job's status, or goes on
        failure = failure_of(run, error, f"looking at {job.request['filePath']}")
    version = source.version if source else ""
    return ResolvedJob(claim, job.group_id, job.kind, job.node_type, version, source, failure)
