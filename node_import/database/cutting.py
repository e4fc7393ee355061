"""Breaking a connection under the thread that waits for it.

PostgreSQL ends a statement that takes too long, and TCP finds out that a machine is gone. A server
that hangs does neither: it takes what is sent, and never answers.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg


class Cutter:
    """Cuts one connection, from any thread."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        # A second name of the connection's socket: the first one belongs to libpq, which may
        # close it at any moment, and its number can then be another connection's.
        self._socket = socket.socket(fileno=os.dup(conn.fileno()))
        self.has_cut = False

    def cut(self) -> None:
        """Break the connection: whoever waits for it sees an OperationalError at once."""
        self.has_cut = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the socket go; the connection is as it was."""
        self._socket.close()


@contextlib.contextmanager
def cut_after(conn: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """The block uses the connection for so long at most; then the connection is cut."""
    cutter = Cutter(conn)
    timer = threading.Timer(seconds, cutter.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        cutter.close()
