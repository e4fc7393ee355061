"""How messages are cut into chunks, each with a deadline of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node_import.contracts.message import OutgoingMessage
from node_import.publishing.confirmed_producer import chunks


def messages(*sizes: int) -> list[OutgoingMessage]:
    """One message a size, all counted: key, value and headers."""
    return [
        OutgoingMessage("t", b"k" * (size // 3), b"v" * (size - size // 3 - 1), (("h", None),))
        for size in sizes
    ]


def lengths(*sizes: int, most: int) -> list[int]:
    """How many messages each chunk has."""
    return [len(chunk) for chunk in chunks(messages(*sizes), most)]


def test_a_chunk_is_as_full_as_it_may_be() -> None:
    """In order, and a message that is larger than a chunk goes by itself."""
    assert lengths(4, 4, 4, most=8) == [2, 1]
    assert lengths(4, 4, most=8) == [2]
    assert lengths(4, 20, 4, 4, most=8) == [1, 1, 2]
    assert lengths(most=8) == []


@given(st.lists(st.integers(1, 50)), st.integers(1, 60))
def test_nothing_is_lost_between_chunks(sizes: list[int], most: int) -> None:
    """All messages, in order, none twice, and no chunk of several is too large."""
    made = messages(*sizes)
    cut = list(chunks(made, most))
    assert [message for chunk in cut for message in chunk] == made
    start = 0
    for chunk in cut:
        assert len(chunk) == 1 or sum(sizes[start : start + len(chunk)]) <= most
        start += len(chunk)
