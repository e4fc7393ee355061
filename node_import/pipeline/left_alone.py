"""Jobs of its partition that a run does not touch, and why."""

from __future__ import annotations

from typing import TypeAlias

from node_import.jobs.claiming import PartitionClaim
from node_import.pipeline.workshop import Run

LeftAlone: TypeAlias = tuple[tuple[str, str], ...]
"""(job id, the sentence that says why) each."""

# A log is read by people; what is left alone stands whole in the metadata of `close_job`.
MOST_LINES = 20


def left_alone_by(claimed: PartitionClaim) -> LeftAlone:
    """What a claim refused."""
    return tuple((str(job.id), reason) for job, reason in claimed.refused)


def say_what_is_left_alone(run: Run, jobs: LeftAlone) -> None:
    """One line a job, and of many how many more."""
    for _, reason in jobs[:MOST_LINES]:
        run.log.warning("Left alone: %s.", reason)
    if len(jobs) > MOST_LINES:
        run.log.warning("%d more jobs of this partition are left alone.", len(jobs) - MOST_LINES)
