"""What an error of PostgreSQL means for the work in hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, TransientError

# A lock or statement that took too long: the same statement may pass later.
_TIMEOUTS = (errors.QueryCanceled, errors.LockNotAvailable, errors.IdleInTransactionSessionTimeout)

# Gone, going down, short of something, lost against another transaction (a deadlock is an
# OperationalError to psycopg), or a standby now: after a failover the name leads to the new
# primary.
UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
)


def as_node_import_error(error: psycopg.Error) -> NodeImportError | None:
    """The error of our tree that `error` stands for; None if it is a fault of our own."""
    summary = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, _TIMEOUTS):
        return TransientError(ErrorCode.TIMEOUT, f"PostgreSQL: {summary}")
    if isinstance(error, UNAVAILABLE):
        return TransientError(ErrorCode.DATABASE_UNAVAILABLE, f"PostgreSQL: {summary}")
    return None


@contextmanager
def translated_failures() -> Iterator[None]:
    """Errors of PostgreSQL leave the block as errors of our tree; faults of our own as they are."""
    try:
        yield
    except psycopg.Error as error:
        translated = as_node_import_error(error)
        if translated is None:
            raise
        raise translated from error
