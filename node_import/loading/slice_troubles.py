"""What may go wrong with a slice and pass: how it is told, and how often the slice is begun again.

Everything else is permanent: the slice fails at its first try.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import psycopg
from psycopg import errors

from node_import.database.failures import UNAVAILABLE, as_node_import_error
from node_import.loading.slice_transaction import NodesMoved


class NoConnection(Exception):
    """No connection to the database can be had."""


class NoAnswer(Exception):
    """The server had not answered when the slice's time was over, and its connection was cut."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A slice is begun at most `tries` times; `first_pause` seconds are doubled after each try.

    After the last try the slice has failed, or with `is_outage` the whole batch.
    """

    meaning: str
    tries: int
    first_pause: float
    is_outage: bool = False

    def pause(self, failures: int) -> float:
        """Seconds to wait; by chance down to the half, so that two rivals do not meet again."""
        longest: float = self.first_pause * 2 ** (failures - 1)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret


# Lost against somebody who writes the same nodes. Another import of them commits once a slice, so
# a few tries get past it.
RIVALS = Trouble("others kept writing the same nodes", tries=6, first_pause=0.1)
# The server is there, and the slice waited too long for something, as long as its limits allow.
LATE = Trouble("it took too long", tries=2, first_pause=0.5)
# The connection broke, or none can be had. The pauses are 8 to 15 s together: longer than
# PostgreSQL takes to restart, or a proxy to find the new primary.
LOST = Trouble("the connection was lost", tries=6, first_pause=0.5, is_outage=True)

_RIVALS = (NodesMoved, errors.DeadlockDetected, errors.SerializationFailure)
_LATE = (NoAnswer, errors.QueryCanceled, errors.LockNotAvailable)
# psycopg calls everything OperationalError that is not the statement's fault: a server that goes
# down, starts, or is short of something. A session that idled too long is a connection lost too.
_LOST = (
    NoConnection,
    *UNAVAILABLE,
    errors.IdleInTransactionSessionTimeout,
)
PASSING = (NodesMoved, NoAnswer, NoConnection, psycopg.Error)


def trouble_of(error: Exception) -> Trouble | None:
    """Which trouble `error` is; None if it is permanent. The order tells them apart."""
    for trouble, kinds in ((RIVALS, _RIVALS), (LATE, _LATE), (LOST, _LOST)):
        if isinstance(error, kinds):
            return trouble
    return None


def in_short(error: Exception) -> str:
    """One line for a log and for a reason."""
    if isinstance(error, psycopg.Error):
        translated = as_node_import_error(error)
        if translated is not None:
            return translated.message
    return str(error).splitlines()[0] if str(error) else type(error).__name__
