"""Who is next: which waiting jobs make the next runs. Pure.

Within a tenant jobs go in order of arrival, between tenants whoever has the fewest runs and was
served the longest ago is next. A file import is a run; reference lists of one tenant share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from node_import.jobs.record import JobKind


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that is due. One with a partition key has been dispatched before, and keeps it."""

    job_id: UUID
    domain_id: UUID
    group_id: UUID
    kind: JobKind
    sequence_no: int
    reference_count: int = 0
    partition_key: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A tenant's place in the round: its runs in flight, and when it was last served.

    `served` is any number that grows; less than all others for a tenant that never was.
    """

    runs: int = 0
    served: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many runs there may be now, and how much one run of reference lists may hold."""

    free_runs: int
    group_max_jobs: int
    group_max_references: int


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """Jobs of one tenant that go together, in order of arrival; never none."""

    jobs: tuple[Waiting, ...]

    @property
    def domain_id(self) -> UUID:
        """The tenant."""
        return self.jobs[0].domain_id

    @property
    def partition_key(self) -> str | None:
        """The key they have already, None for jobs that were never dispatched."""
        return self.jobs[0].partition_key


def plan_runs(
    waiting: Iterable[Waiting], turns: Mapping[UUID, Turn], limits: Limits
) -> list[PlannedRun]:
    """The next runs, at most `limits.free_runs`, in the order in which they are due.

    `waiting` must leave out what has to wait for a run that is alive.
    """
    queues: dict[UUID, list[Waiting]] = {}
    for job in sorted(waiting, key=lambda job: job.sequence_no):
        queues.setdefault(job.domain_id, []).append(job)
    # Last first, so that the next run of a tenant is popped from the end.
    runs = {domain: runs_of_tenant(queue, limits)[::-1] for domain, queue in queues.items()}
    places = {domain: turns.get(domain, Turn()) for domain in runs}
    planned: list[PlannedRun] = []
    while runs and len(planned) < limits.free_runs:
        domain = min(runs, key=lambda domain: _place(places[domain], runs[domain][-1]))
        planned.append(runs[domain].pop())
        place = places[domain]
        places[domain] = replace(place, runs=place.runs + 1)
        if not runs[domain]:
            del runs[domain]
    return planned


def runs_of_tenant(queue: Iterable[Waiting], limits: Limits) -> list[PlannedRun]:
    """The runs that one tenant's jobs (in order of arrival) make, by their first job.

    Of the files of one group only the first goes now.
    """
    runs: dict[object, list[Waiting]] = {}
    shared = _SharedRun(limits)
    for job in queue:
        if job.kind is JobKind.FILE:
            runs.setdefault(job.group_id, [job])
        elif job.partition_key is not None:
            runs.setdefault(job.partition_key, []).append(job)
        else:
            runs.setdefault(shared.number_for(job), []).append(job)
    return [PlannedRun(tuple(jobs)) for jobs in runs.values()]


class _SharedRun:
    """Numbers the runs that reference lists share: the next one when one is full."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._number = 0
        self._jobs = 0
        self._references = 0

    def number_for(self, job: Waiting) -> int:
        full = (
            self._jobs >= self._limits.group_max_jobs
            or self._references + job.reference_count > self._limits.group_max_references
        )
        if full and self._jobs:
            self._number += 1
            self._jobs = self._references = 0
        self._jobs += 1
        self._references += job.reference_count
        return self._number


def _place(turn: Turn, run: PlannedRun) -> tuple[int, float, int]:
    return turn.runs, turn.served, run.jobs[0].sequence_no
