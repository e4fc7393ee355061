"""The queue: whatever waits, runs are few, in order, and fair."""

from __future__ import annotations

from collections import Counter
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from node_import.jobs.queue import Limits, PlannedRun, Turn, Waiting, plan_runs, runs_of_tenant
from node_import.jobs.record import JobKind

DOMAINS = [UUID(int=number) for number in range(1, 5)]
LIMITS = Limits(free_runs=10, group_max_jobs=3, group_max_references=10)


def waiting(sequence_no: int, domain: int, group: int, references: int, key: int = 0) -> Waiting:
    """A file import, or a list of so many references; with a key it was dispatched before."""
    return Waiting(
        job_id=uuid4(),
        domain_id=DOMAINS[domain],
        group_id=UUID(int=100 * (domain + 1) + group),
        kind=JobKind.REFERENCES if references else JobKind.FILE,
        sequence_no=sequence_no,
        reference_count=references,
        partition_key=f"key-{domain}-{key}" if key and references else None,
    )


JOBS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 15), st.integers(0, 2)),
    max_size=40,
).map(lambda jobs: [waiting(number, *job) for number, job in enumerate(jobs)])
TURNS = st.dictionaries(
    st.sampled_from(DOMAINS), st.builds(Turn, st.integers(0, 3), st.floats(0, 9)), max_size=4
)
FREE = st.integers(-1, 6)


def planned_jobs(runs: list[PlannedRun]) -> list[Waiting]:
    """All jobs of the runs."""
    return [job for run in runs for job in run.jobs]


@given(JOBS, TURNS, FREE)
def test_no_more_runs_than_there_is_room_for(
    jobs: list[Waiting], turns: dict[UUID, Turn], free: int
) -> None:
    """The limit holds, and no room is left while something waits."""
    runs = plan_runs(jobs, turns, Limits(free, 3, 10))
    possible = plan_runs(jobs, turns, Limits(1_000, 3, 10))
    assert len(runs) == max(0, min(free, len(possible)))


@given(JOBS, TURNS)
def test_what_is_in_a_run(jobs: list[Waiting], turns: dict[UUID, Turn]) -> None:
    """One tenant's jobs, each once: a file alone, lists together up to the limits."""
    runs = plan_runs(jobs, turns, LIMITS)
    ids = [job.job_id for job in planned_jobs(runs)]
    assert len(ids) == len(set(ids))
    for run in runs:
        assert {job.domain_id for job in run.jobs} == {run.domain_id}
        assert len({job.partition_key for job in run.jobs}) == 1
        if len(run.jobs) > 1:
            assert {job.kind for job in run.jobs} == {JobKind.REFERENCES}
        if len(run.jobs) > 1 and run.partition_key is None:
            assert len(run.jobs) <= 3
            assert sum(job.reference_count for job in run.jobs) <= 10


@given(JOBS, TURNS)
def test_a_partition_goes_whole(jobs: list[Waiting], turns: dict[UUID, Turn]) -> None:
    """Jobs that were dispatched together go together again."""
    for run in plan_runs(jobs, turns, LIMITS):
        if run.partition_key is not None:
            of_partition = [job for job in jobs if job.partition_key == run.partition_key]
            assert list(run.jobs) == of_partition


@given(JOBS, TURNS, FREE)
def test_one_file_of_a_group_and_the_first(
    jobs: list[Waiting], turns: dict[UUID, Turn], free: int
) -> None:
    """No file overtakes another of its group, and no two of them run at once."""
    runs = plan_runs(jobs, turns, Limits(free, 3, 10))
    files = [job for job in planned_jobs(runs) if job.kind is JobKind.FILE]
    for group, count in Counter(job.group_id for job in files).items():
        assert count == 1
        first = next(j for j in jobs if j.group_id == group and j.kind is JobKind.FILE)
        assert first in files


@given(JOBS, TURNS, FREE)
def test_a_tenants_runs_go_in_order_of_arrival(
    jobs: list[Waiting], turns: dict[UUID, Turn], free: int
) -> None:
    """What is planned for a tenant are the first of its runs."""
    runs = plan_runs(jobs, turns, Limits(free, 3, 10))
    for domain in DOMAINS:
        possible = runs_of_tenant([job for job in jobs if job.domain_id == domain], LIMITS)
        mine = [run for run in runs if run.domain_id == domain]
        assert mine == possible[: len(mine)]
        firsts = [run.jobs[0].sequence_no for run in possible]
        assert firsts == sorted(firsts)


@given(JOBS, TURNS, FREE)
def test_nobody_gets_more_while_another_waits_with_less(
    jobs: list[Waiting], turns: dict[UUID, Turn], free: int
) -> None:
    """A tenant with a thousand jobs does not keep one with a single job waiting."""
    runs = plan_runs(jobs, turns, Limits(free, 3, 10))
    possible = plan_runs(jobs, turns, Limits(1_000, 3, 10))
    got = Counter(run.domain_id for run in runs)
    could = Counter(run.domain_id for run in possible)
    in_flight = {domain: turns.get(domain, Turn()).runs + got[domain] for domain in DOMAINS}
    for poor in DOMAINS:
        if got[poor] < could[poor]:
            for rich in got:
                assert in_flight[rich] - 1 <= in_flight[poor]


@given(st.lists(st.integers(1, 30), min_size=4, max_size=4), st.integers(1, 3))
def test_nothing_starves(backlogs: list[int], free: int) -> None:
    """Whatever the others have waiting, a tenant's n-th job goes within n rounds of all."""
    queue = [
        waiting(1_000 * domain + number, domain, 0, references=99)
        for domain, backlog in enumerate(backlogs)
        for number in range(backlog)
    ]
    turns: dict[UUID, Turn] = {}
    order: list[UUID] = []
    while queue:
        for run in plan_runs(queue, turns, Limits(free, 1, 1)):
            order.append(run.domain_id)
            turns[run.domain_id] = Turn(runs=0, served=len(order))  # it ends within the tick
            queue = [job for job in queue if job not in run.jobs]
    for domain, backlog in zip(DOMAINS, backlogs, strict=True):
        places = [place for place, served in enumerate(order) if served == domain]
        assert len(places) == backlog
        assert all(place < (number + 1) * len(DOMAINS) for number, place in enumerate(places))


def test_a_list_over_the_limit_goes_alone() -> None:
    """It delays nobody: the lists around it share the runs before and after."""
    jobs = [waiting(n, 0, 0, references) for n, references in enumerate([4, 4, 99, 4, 4])]
    sizes = [[job.reference_count for job in run.jobs] for run in plan_runs(jobs, {}, LIMITS)]
    assert sizes == [[4, 4], [99], [4, 4]]
