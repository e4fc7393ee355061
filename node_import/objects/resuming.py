"""Reading an object start to end over connections that break."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Protocol

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import TransientError
from node_import.sizes import MIB

MAX_TRIES = 5
FIRST_PAUSE = 0.5  # seconds; doubled after each try: 7.5 s over all of them

# So much progress makes a broken connection a new event, not one more try of the last: a big
# object may lose many connections on its way. Less would let a server that cuts after every few
# bytes hold an import for hours.
PROGRESS_BYTES = 4 * MIB

OnRetry = Callable[[int, TransientError], None]


class Body(Protocol):
    """What the store answers a request for a range with."""

    def read(self, amount: int) -> bytes:
        """At most `amount` bytes, none at the end; TransientError when the connection breaks."""

    def close(self) -> None:
        """Let the connection go."""


class ResumingStream(io.RawIOBase):
    """The `size` bytes of one object, asked for again from where a connection broke.

    `fetch(offset)` opens the object from `offset` to its end; what it raises but TransientError
    is passed on, so an object that was overwritten in between ends the reading. `body` is what
    `fetch(0)` would give, where somebody has asked already. `on_retry` is told from which byte
    the object is read on, and why.
    """

    def __init__(
        self,
        fetch: Callable[[int], Body],
        size: int,
        body: Body | None = None,
        *,
        on_retry: OnRetry = lambda _offset, _error: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fetch = fetch
        self._on_retry = on_retry
        self._size = size
        self._sleep = sleep
        self._offset = 0
        self._tries = 0
        self._failed_at = 0
        self._body = body or (fetch(0) if size else None)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill up to `len(buffer)` bytes; 0 at the end of the object."""
        wanted = min(len(buffer), self._size - self._offset)
        if not wanted:
            return 0
        data = self._read_with_retries(wanted)
        memoryview(buffer)[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def close(self) -> None:
        """Let the connection go."""
        self._disconnect()
        super().close()

    def _read_with_retries(self, wanted: int) -> bytes:
        while True:
            try:
                return self._read(wanted)
            except TransientError as error:
                self._disconnect()
                self._count_failure()
                if self._tries >= MAX_TRIES:
                    raise
                self._on_retry(self._offset, error)
                self._sleep(FIRST_PAUSE * 2 ** (self._tries - 1))

    def _read(self, wanted: int) -> bytes:
        if self._body is None:
            self._body = self._fetch(self._offset)
        data = self._body.read(wanted)
        if not data:
            message = f"the object store ended an object after {self._offset} of {self._size} bytes"
            raise TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, message)
        return data

    def _count_failure(self) -> None:
        if self._offset - self._failed_at >= PROGRESS_BYTES:
            self._tries = 0
        self._failed_at = self._offset
        self._tries += 1

    def _disconnect(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
