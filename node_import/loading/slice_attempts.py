"""The tries of a slice: what is begun again, what is given up, and what ends the whole batch."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace

import psycopg
from psycopg import errors

from node_import.contracts.error_codes import ErrorCode
from node_import.database.failures import as_node_import_error
from node_import.errors import NodeImportError, TransientError
from node_import.loading.results import SliceResult
from node_import.loading.session import LoadingSession, SessionPool
from node_import.loading.slice_rows import SliceRows, prepared_rows
from node_import.loading.slice_transaction import LoadTarget, NodesMoved, SliceTransaction
from node_import.staging.area import StagingArea
from node_import.staging.manifest import Failure, Manifest
from node_import.staging.segments import read_slice

# Another import of the same nodes commits once a slice, so a few tries get past it.
MAX_TRIES = 6
FIRST_PAUSE_SECONDS = 0.05

# Lost against somebody who writes the same nodes.
_CONFLICTS = (NodesMoved, errors.DeadlockDetected, errors.SerializationFailure)
# The server is there, and this slice waited too long for something.
_TIMEOUTS = (errors.QueryCanceled, errors.LockNotAvailable)


class SliceAttempts:
    """Loads slices of one job, each until it is done or fails for good; for many threads."""

    def __init__(
        self,
        sessions: SessionPool,
        target: LoadTarget,
        manifest: Manifest,
        area: StagingArea,
        stop: threading.Event,
    ) -> None:
        self._sessions = sessions
        self._target = target
        self._manifest = manifest
        self._area = area
        self._stop = stop
        self._halt = threading.Event()
        self.rows_by_slice = manifest.rows_by_slice()

    def halt(self) -> None:
        """Begin nothing more."""
        self._halt.set()

    def halted(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._halt.is_set() or self._stop.is_set()

    def load(self, slice_no: int) -> SliceResult | None:
        """The result of one slice; None if it was not begun or was cancelled by a halt.

        Raises:
            ClaimLost, StagedRowsLost, TransientError: the other slices cannot go on either.
        """
        started = time.monotonic()
        for tries_left in reversed(range(MAX_TRIES)):
            if self.halted():
                return None
            try:
                result = self._attempt(slice_no)
            except _CONFLICTS as error:
                if not tries_left:
                    return self._conflicting(slice_no, error)
                self._pause(MAX_TRIES - tries_left)
            except psycopg.Error as error:
                return None if self.halted() else self._failed(slice_no, error)
            else:
                return replace(result, seconds=time.monotonic() - started)
        return None

    def _attempt(self, slice_no: int) -> SliceResult:
        session = self._sessions.borrow()
        try:
            result = self._transaction(session, slice_no)
        except BaseException:
            # A cancel request may still be under way to it after a halt.
            self._sessions.give_back(session, keep=not self.halted())
            raise
        self._sessions.give_back(session, keep=not self.halted())
        return result

    def _transaction(self, session: LoadingSession, slice_no: int) -> SliceResult:
        transaction = SliceTransaction(session, self._target, slice_no)
        return transaction.load(self.rows_by_slice[slice_no], lambda: self._prepare(slice_no))

    def _prepare(self, slice_no: int) -> SliceRows:
        return prepared_rows(read_slice(self._area, self._manifest.segments, slice_no))

    def _pause(self, failures: int) -> None:
        """Twice as long each time, and by chance, so that two rivals do not meet again."""
        self._halt.wait(FIRST_PAUSE_SECONDS * 2**failures * random.uniform(0.5, 1))  # noqa: S311

    def _conflicting(self, slice_no: int, error: Exception) -> SliceResult:
        message = (
            f"others kept writing the nodes of slice {slice_no}: {MAX_TRIES} tries failed"
            f" ({type(error).__name__})"
        )
        return self._failure(slice_no, TransientError(ErrorCode.TIMEOUT, message))

    def _failed(self, slice_no: int, error: psycopg.Error) -> SliceResult:
        """The failure of this slice alone; an outage is raised instead, for it ends the batch."""
        translated = as_node_import_error(error)
        if translated is None:
            refused = f"PostgreSQL refused slice {slice_no}: {error}".splitlines()[0]
            translated = NodeImportError(ErrorCode.DATABASE_UNAVAILABLE, refused)
        elif not isinstance(error, _TIMEOUTS):
            raise translated from error
        return self._failure(slice_no, translated)

    def _failure(self, slice_no: int, error: NodeImportError) -> SliceResult:
        return SliceResult(
            slice_no,
            self.rows_by_slice[slice_no],
            failure=Failure(error.code, error.message),
            transient=isinstance(error, TransientError),
        )
