"""Staging areas that nobody will read again, and their removal.

An area is named `JOB-ATTEMPT`. Its own run removes it, with those of earlier attempts, when it
closes the job; a run that dies leaves it behind.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from uuid import UUID

from node_import.database import Database
from node_import.jobs.table import running_jobs
from node_import.staging.areas import FoundArea, StagingAreas

STALE_SECONDS = 24 * 3600.0

_AREA = re.compile(r"(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(?P<attempt>\d+)")


def area_name(job_id: UUID, attempt: int) -> str:
    """The staging area of one attempt: two runs never write into one."""
    return f"{job_id}-{attempt}"


def remove_areas_of(areas: StagingAreas, job_id: UUID, attempt: int) -> None:
    """Remove the areas of this attempt of the job and of those before it."""
    for found, job, number in _named(areas, f"{job_id}-"):
        if job == job_id and number <= attempt:
            areas.area(found.name).remove()


def remove_stale_areas(
    areas: StagingAreas, database: Database, *, older_than: float = STALE_SECONDS
) -> int:
    """Remove areas in which nothing was written for so many seconds; how many there were.

    Those of RUNNING jobs stay: loading a huge file may take longer. Asks the database only if
    there is something to remove.
    """
    latest = time.time() - older_than
    stale = [(found, job) for found, job, _ in _named(areas) if found.written < latest]
    if not stale:
        return 0
    with database.operator() as conn:
        running = running_jobs(conn)
    gone = [found for found, job in stale if job not in running]
    for found in gone:
        areas.area(found.name).remove()
    return len(gone)


def _named(areas: StagingAreas, prefix: str = "") -> Iterator[tuple[FoundArea, UUID, int]]:
    """Areas of jobs, each with its job and attempt; whatever else lies there is not ours."""
    for found in areas.found(prefix):
        if named := _AREA.fullmatch(found.name):
            yield found, UUID(named["job"]), int(named["attempt"])
