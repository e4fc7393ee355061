"""Staging areas that nobody will read again, and their removal.

An area is named `JOB-ATTEMPT`. Its own run removes it, with those of earlier attempts, when it
closes the job; a run that dies leaves it behind.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from node_import.database import Database
from node_import.jobs.table import running_jobs

STALE_SECONDS = 24 * 3600.0

_AREA = re.compile(r"(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(?P<attempt>\d+)")


def area_name(job_id: UUID, attempt: int) -> str:
    """The staging area of one attempt: two runs never write into one."""
    return f"{job_id}-{attempt}"


def remove_areas_of(folder: Path, job_id: UUID, attempt: int) -> None:
    """Remove the areas of this attempt of the job and of those before it."""
    for path, job, number in _areas(folder, f"{job_id}-*"):
        if job == job_id and number <= attempt:
            shutil.rmtree(path, ignore_errors=True)


def remove_stale_areas(
    folder: Path, database: Database, *, older_than: float = STALE_SECONDS
) -> int:
    """Remove areas in which nothing was written for so many seconds; how many there were.

    Those of RUNNING jobs stay: loading a huge file may take longer. Asks the database only if
    there is something to remove.
    """
    latest = time.time() - older_than
    stale = [(path, job) for path, job, _ in _areas(folder, "*-*") if _written(path) < latest]
    if not stale:
        return 0
    with database.operator() as conn:
        running = running_jobs(conn)
    gone = [path for path, job in stale if job not in running]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _areas(folder: Path, pattern: str) -> Iterator[tuple[Path, UUID, int]]:
    for path in folder.glob(pattern):
        if named := _AREA.fullmatch(path.name):
            yield path, UUID(named["job"]), int(named["attempt"])


def _written(path: Path) -> float:
    """When a file last came into the folder; another sweeper may remove it this moment."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
