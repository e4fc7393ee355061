"""Reading over connections that break, against a scripted store."""

from __future__ import annotations

import io

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError, TransientError
from node_import.objects.resuming import MAX_TRIES, PROGRESS_BYTES, ResumingStream

CONTENT = bytes(range(256)) * 40_000  # 10 MB


class BrittleStore:
    """Hands out `CONTENT`, and breaks each connection after the next number of bytes."""

    def __init__(self, *breaks: int, ends: bool = False) -> None:
        self.breaks = list(breaks)
        self.ends = ends  # break by an early end instead of an error
        self.offsets: list[int] = []
        self.open_bodies = 0
        self.pauses: list[float] = []
        self.told: list[tuple[int, str]] = []

    def fetch(self, offset: int) -> BrittleBody:
        self.offsets.append(offset)
        self.open_bodies += 1
        return BrittleBody(self, offset, self.breaks.pop(0) if self.breaks else len(CONTENT))

    def stream(self) -> io.BufferedReader:
        raw = ResumingStream(
            self.fetch,
            len(CONTENT),
            on_retry=lambda offset, error: self.told.append((offset, error.message)),
            sleep=self.pauses.append,
        )
        return io.BufferedReader(raw, 64 * 1024)


class BrittleBody:
    """One connection."""

    def __init__(self, store: BrittleStore, offset: int, budget: int) -> None:
        self.store = store
        self.data = io.BytesIO(CONTENT[offset : offset + budget])
        self.whole = offset + budget >= len(CONTENT)

    def read(self, amount: int) -> bytes:
        data = self.data.read(amount)
        if not data and not self.whole and not self.store.ends:
            raise TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, "broken")
        return data

    def close(self) -> None:
        self.store.open_bodies -= 1


@pytest.mark.parametrize("ends", [False, True], ids=["error", "early end"])
def test_a_broken_connection_is_taken_up_where_it_broke(ends: bool) -> None:
    """No byte is lost or doubled, whether the connection fails or just ends."""
    store = BrittleStore(1_000_000, 0, 123, ends=ends)
    with store.stream() as stream:
        assert stream.read() == CONTENT
    assert store.offsets == [0, 1_000_000, 1_000_000, 1_000_123]
    assert store.open_bodies == 0


def test_pauses_grow_with_each_try_and_start_over_after_progress() -> None:
    """The store gets time to recover; a long download may lose many connections."""
    store = BrittleStore(10, 0, 0, PROGRESS_BYTES, 0)
    assert store.stream().read() == CONTENT
    assert store.pauses == [0.5, 1.0, 2.0, 0.5, 1.0]


def test_each_retry_is_told() -> None:
    """From which byte the object is read on, and why."""
    store = BrittleStore(10, 20)
    assert store.stream().read() == CONTENT
    assert store.told == [(10, "broken"), (30, "broken")]


def test_the_tries_end() -> None:
    """A store that gives a few bytes a connection is unavailable, not slow for hours."""
    store = BrittleStore(*[100] * 1_000)
    with pytest.raises(TransientError) as caught:
        store.stream().read()
    assert caught.value.code == ErrorCode.OBJECT_STORE_UNAVAILABLE
    assert len(store.offsets) == MAX_TRIES


def test_a_permanent_refusal_is_not_retried() -> None:
    """An object that was overwritten while a connection was down ends the reading at once."""
    store = BrittleStore(1_000)

    def fetch(offset: int) -> BrittleBody:
        if offset:
            raise PermanentError(ErrorCode.FILE_CHANGED, "changed")
        return store.fetch(offset)

    stream = io.BufferedReader(ResumingStream(fetch, len(CONTENT), sleep=store.pauses.append))
    with pytest.raises(PermanentError):
        stream.read()
    assert len(store.pauses) == 1


def test_an_empty_object_needs_no_connection() -> None:
    """Zero bytes are read without asking for them: a range of nothing is an error in S3."""
    store = BrittleStore()
    assert io.BufferedReader(ResumingStream(store.fetch, 0)).read() == b""
    assert store.offsets == []
