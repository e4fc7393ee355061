"""Every step makes sure of its claims: it may be the first step of a re-execution.

A re-execution from failure skips `resolve_file` and runs under a new id, so the claims that
came with its inputs are another run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from node_import.jobs.claiming import hold_claims
from node_import.pipeline.resolve_file import ResolvedJob
from node_import.pipeline.workshop import Run, Workshop


def held_jobs(workshop: Workshop, run: Run, jobs: Sequence[ResolvedJob]) -> tuple[ResolvedJob, ...]:
    """Those of `jobs` that this run holds now, each with its claim; claims what it can."""
    if not jobs:
        return ()
    held = hold_claims(
        workshop.database,
        run.partition_key,
        run.id,
        run_is_live=run.is_live,
        job_ids={job.claim.job_id for job in jobs},
    )
    claims = {claim.job_id: claim for _, claim in held.claimed}
    return tuple(
        replace(job, claim=claims[job.claim.job_id]) for job in jobs if job.claim.job_id in claims
    )
