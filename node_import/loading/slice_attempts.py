"""The tries of a slice: what is begun again, what is given up, and what ends the whole batch."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from queue import SimpleQueue

import polars as pl
import psycopg

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, TransientError
from node_import.loading.comparison import Comparison
from node_import.loading.forecast import Forecast
from node_import.loading.results import SliceResult, SliceRetry
from node_import.loading.session import LoadingSession, SessionPool
from node_import.loading.slice_rows import SliceRows, prepared_rows
from node_import.loading.slice_transaction import Forbidden, LoadTarget, SliceTransaction
from node_import.loading.slice_troubles import (
    PASSING,
    NoAnswer,
    NoConnection,
    Trouble,
    in_short,
    trouble_of,
)
from node_import.loading.time_limits import TimeLimits
from node_import.staging.area import StagingArea
from node_import.staging.manifest import Failure, Manifest
from node_import.staging.segments import read_slice


class SliceAttempts:
    """Loads slices of one job, each until it is done or fails for good; for many threads.

    `retries` holds what was begun again, for the thread that reports it.
    """

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
        self._forbidden = threading.Event()
        self._forecast = Forecast()
        self.comparison = Comparison(sessions, target, manifest, area, self._forecast, self.halted)
        self.retries: SimpleQueue[SliceRetry] = SimpleQueue()
        self.rows_by_slice = manifest.rows_by_slice()

    def halt(self) -> None:
        """Begin nothing more."""
        self._halt.set()

    def forbid(self) -> None:
        """Commit nothing more; what is being committed this moment may still be."""
        self._forbidden.set()

    def halted(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._halt.is_set() or self._stop.is_set()

    def load(self, slice_no: int) -> SliceResult | None:
        """The result of one slice; None if it was not begun or was cancelled by a halt.

        Raises:
            ClaimLost, StagedRowsLost, TransientError: the other slices cannot go on either.
        """
        started = time.monotonic()
        failures: Counter[Trouble] = Counter()
        while not self.halted():
            try:
                result = self._attempt(slice_no)
            except Forbidden:
                return None
            except PASSING as error:
                if self.halted():
                    return None
                trouble = trouble_of(error)
                if trouble is None:
                    return self._refused(slice_no, error, failures.total())
                failures[trouble] += 1
                if failures[trouble] >= trouble.tries:
                    return self._given_up(slice_no, error, trouble, failures.total() - 1)
                self._rest(slice_no, error, failures.total(), trouble.pause(failures[trouble]))
            else:
                seconds = time.monotonic() - started
                return replace(result, seconds=seconds, retries=failures.total())
        return None

    def _attempt(self, slice_no: int) -> SliceResult:
        session = self._borrow()
        limits = self._limits(slice_no)
        try:
            return self._transaction(session, slice_no, limits)
        except psycopg.Error as error:
            if session.was_cut:
                raise NoAnswer(f"no end within {limits.slice:.0f} s, the server hangs") from error
            raise
        finally:
            # A cancel request may still be under way to it after a halt.
            self._sessions.give_back(session, keep=not self.halted())

    def _borrow(self) -> LoadingSession:
        try:
            return self._sessions.borrow()
        except TransientError as error:
            raise NoConnection(error.message) from error

    def _transaction(
        self, session: LoadingSession, slice_no: int, limits: TimeLimits
    ) -> SliceResult:
        transaction = SliceTransaction(
            session,
            self._target,
            slice_no,
            limits,
            is_forbidden=self._forbidden.is_set,
            forecast=self._forecast,
        )
        with session.limited(limits.slice):
            return transaction.load(self.rows_by_slice[slice_no], lambda: self._prepare(slice_no))

    def _limits(self, slice_no: int) -> TimeLimits:
        rows = self.rows_by_slice[slice_no]
        return self._sessions.limits(rows, len(self._manifest.metadata_keys))

    def _prepare(self, slice_no: int) -> SliceRows:
        known = self.comparison.of(slice_no)
        if known.is_all:
            duplicate = self.rows_by_slice[slice_no] - known.unchanged.len()
            return SliceRows(pl.DataFrame(), duplicate, known.unchanged.len())
        staged = read_slice(self._area, self._manifest.segments, slice_no)
        return prepared_rows(staged, known.unchanged, is_new=known.rest_is_new)

    def _rest(self, slice_no: int, error: Exception, failures: int, pause: float) -> None:
        """Say what happened, and let it pass."""
        self.retries.put(SliceRetry(slice_no, failures, in_short(error), pause))
        self._halt.wait(pause)

    def _given_up(
        self, slice_no: int, error: Exception, trouble: Trouble, retries: int
    ) -> SliceResult:
        """The failure of this slice alone; an outage is raised instead, for it ends the batch."""
        message = (
            f"slice {slice_no}: {trouble.meaning}, in the last of {trouble.tries} tries: "
            f"{in_short(error)}"
        )
        if trouble.is_outage:
            raise TransientError(ErrorCode.DATABASE_UNAVAILABLE, message) from error
        return self._failure(slice_no, TransientError(ErrorCode.TIMEOUT, message), retries)

    def _refused(self, slice_no: int, error: Exception, retries: int) -> SliceResult:
        message = f"PostgreSQL refused slice {slice_no}: {in_short(error)}"
        refusal = NodeImportError(ErrorCode.DATABASE_UNAVAILABLE, message)
        return self._failure(slice_no, refusal, retries)

    def _failure(self, slice_no: int, error: NodeImportError, retries: int) -> SliceResult:
        return SliceResult(
            slice_no,
            self.rows_by_slice[slice_no],
            failure=Failure(error.code, error.message),
            transient=isinstance(error, TransientError),
            retries=retries,
        )
