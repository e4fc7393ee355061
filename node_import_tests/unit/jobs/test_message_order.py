"""The order in which requests enter the queue."""

from __future__ import annotations

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from node_import.contracts.identity import MessageIdentity, job_id
from node_import.contracts.node_type import NodeType
from node_import.jobs.inbox import in_message_order
from node_import.jobs.record import JobKind, NewJob


def new_job(partition: int, offset: int, timestamp: int) -> NewJob:
    """A request from that place, as old as that."""
    identity = MessageIdentity("c", "acme-users", partition, offset, timestamp)
    kind, node_type = JobKind.FILE, NodeType.USER
    return NewJob(job_id(identity), identity, uuid4(), uuid4(), kind, node_type, request={})


def test_partitions_are_merged_by_time() -> None:
    """A file published after another comes after it, also through another partition."""
    jobs = [new_job(0, 0, 10), new_job(0, 1, 30), new_job(1, 0, 20), new_job(1, 1, 40)]
    times = [job.identity.timestamp_ms for job in in_message_order(reversed(jobs))]
    assert times == [10, 20, 30, 40]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(-1, 9)),
        unique_by=lambda place: place[:2],
    )
)
def test_offsets_decide_within_a_partition(places: list[tuple[int, int, int]]) -> None:
    """Whatever producers' clocks say, no message overtakes an earlier one of its partition."""
    ordered = [job.identity for job in in_message_order(new_job(*place) for place in places)]
    assert len(ordered) == len(places)
    for partition in range(3):
        offsets = [i.offset for i in ordered if i.partition == partition]
        assert offsets == sorted(offsets)
