"""Every step makes sure of its claims: it may be the first step of a re-execution.

A re-execution from failure skips `resolve_file` and runs under a new id, so the claims that
came with its inputs are another run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from node_import.jobs.claiming import hold_claims
from node_import.jobs.record import Job
from node_import.pipeline.left_alone import LeftAlone, left_alone_by
from node_import.pipeline.resolve_file import ResolvedJob
from node_import.pipeline.workshop import Run, Workshop


@dataclass(frozen=True, slots=True)
class Held:
    """What a run holds now of the jobs that were prepared: each with its claim, and its row."""

    jobs: tuple[tuple[ResolvedJob, Job], ...]
    left_alone: LeftAlone

    def by_id(self) -> dict[str, ResolvedJob]:
        """The jobs it holds."""
        return {job.job_id: job for job, _ in self.jobs}


def held_jobs(workshop: Workshop, run: Run, jobs: Sequence[ResolvedJob]) -> Held:
    """Those of `jobs` that this run holds now; claims what it can.

    Raises:
        TransientError: the database is away.
    """
    if not jobs:
        return Held((), ())
    prepared = {job.claim.job_id: job for job in jobs}
    claimed = hold_claims(
        workshop.database,
        run.partition_key,
        run.id,
        run_is_live=run.is_live,
        is_given_up=run.is_given_up,
        job_ids=prepared.keys(),
    )
    held = ((replace(prepared[job.id], claim=claim), job) for job, claim in claimed.claimed)
    return Held(tuple(held), left_alone_by(claimed))
