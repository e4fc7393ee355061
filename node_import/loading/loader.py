"""Loads slices of jobs over a few connections.

Threads take slices from one list; each slice is a transaction (`slice_transaction`). No two
slices of a job hold the same reference, so they never wait for each other. More connections
than the server has cores make it slower: 8 on 2 cores by up to a third.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar
from uuid import UUID

from node_import.database import Database
from node_import.jobs.record import Claim
from node_import.loading.results import BatchResult, SliceResult, SliceRetry
from node_import.loading.session import SessionPool
from node_import.loading.slice_attempts import SliceAttempts
from node_import.loading.slice_transaction import LoadTarget
from node_import.loading.value_tables import value_tables
from node_import.staging.area import StagingArea
from node_import.staging.manifest import Manifest

# How often the calling thread looks at the stop event while slices are being loaded.
POLL_SECONDS = 0.1
# A server that has not answered a cancel after so long hangs.
DEAF_SECONDS = 10.0

T = TypeVar("T")


def load_slices(
    database: Database,
    claim: Claim,
    manifest: Manifest,
    area: StagingArea,
    group_id: UUID,
    slices: Iterable[int],
    *,
    connections: int,
    stop: threading.Event,
    on_slice: Callable[[SliceResult], None] = lambda _: None,
    on_retry: Callable[[SliceRetry], None] = lambda _: None,
    patience: Callable[[], float] = lambda: 0.0,
) -> BatchResult:
    """`Loader.load` with connections of its own."""
    with Loader(database, connections) as loader:
        return loader.load(
            claim,
            manifest,
            area,
            group_id,
            slices,
            stop=stop,
            on_slice=on_slice,
            on_retry=on_retry,
            patience=patience,
        )


class Loader:
    """Holds `connections` connections, made when first used, for as many jobs as you like."""

    def __init__(self, database: Database, connections: int) -> None:
        self._sessions = SessionPool(database)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="load")

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._sessions.close()

    def load(
        self,
        claim: Claim,
        manifest: Manifest,
        area: StagingArea,
        group_id: UUID,
        slices: Iterable[int],
        *,
        stop: threading.Event,
        on_slice: Callable[[SliceResult], None] = lambda _: None,
        on_retry: Callable[[SliceRetry], None] = lambda _: None,
        patience: Callable[[], float] = lambda: 0.0,
    ) -> BatchResult:
        """Load those of `slices` that have staged rows; the ledger tells which are loaded.

        `on_slice` is called in this thread, once a slice that ended, in the order they end, and
        `on_retry` once a slice that is begun again. A slice that fails is in the result and stops
        no other. When `stop` is set running queries are cancelled and rolled back, and no slice is
        begun. When this thread is interrupted no slice is begun either, but those that run may
        end within `patience()` seconds from then; it is asked again and again, since whoever
        interrupted may lose patience.

        Raises:
            ClaimLost: the run no longer holds the job; what other slices committed stays.
            StagedRowsLost: staged rows are gone.
            TransientError: DATABASE_UNAVAILABLE, the database could not be reached in all tries
                of a slice; slices that were committed are in the ledger.
        """
        started = time.monotonic()
        target = LoadTarget(
            claim,
            group_id,
            manifest.object_version,
            manifest.plan.fingerprint,
            value_tables(manifest.metadata_keys),
        )
        attempts = SliceAttempts(self._sessions, target, manifest, area, stop)
        wanted = [number for number in slices if number in attempts.rows_by_slice]
        self._compare(wanted, attempts, on_retry, patience)
        loads = [partial(attempts.load, number) for number in wanted]
        results = self._run(loads, attempts, on_retry, patience, on_slice)
        ended = {result.slice_no for result in results}
        return BatchResult(
            slices=tuple(sorted(results, key=lambda result: result.slice_no)),
            unfinished=tuple(number for number in wanted if number not in ended),
            seconds=time.monotonic() - started,
        )

    def _compare(
        self,
        wanted: Sequence[int],
        attempts: SliceAttempts,
        on_retry: Callable[[SliceRetry], None],
        patience: Callable[[], float],
    ) -> None:
        """Find out what is stored already; the keys of the batch are let go when this ends."""
        comparison = attempts.comparison
        ranges = self._run([partial(comparison.ranges, wanted)], attempts, on_retry, patience)
        comparisons = [partial(comparison.compare, keys) for found in ranges for keys in found]
        self._run(comparisons, attempts, on_retry, patience)

    def _run(
        self,
        tasks: Iterable[Callable[[], T | None]],
        attempts: SliceAttempts,
        on_retry: Callable[[SliceRetry], None],
        patience: Callable[[], float],
        on_result: Callable[[T], None] = lambda _: None,
    ) -> list[T]:
        """The results as they come; whatever ends this ends all threads first."""
        results: list[T] = []
        pending: set[Future[T | None]] = set()
        try:
            pending.update(map(self._threads.submit, tasks))
            while pending and not attempts.halted():
                done, pending = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
                while not attempts.retries.empty():
                    on_retry(attempts.retries.get())
                self._sessions.cut_overdue()
                for future in done:
                    result = future.result()
                    if result is not None:
                        results.append(result)
                        on_result(result)
        except Exception:  # the other slices cannot go on either
            self._end(pending, attempts)
            raise
        except BaseException:  # an interrupt
            self._end(pending, attempts, patience)
            raise
        if not pending:
            return results
        self._end(pending, attempts)
        for future in pending:
            result = None if future.cancelled() else future.result()
            if result is not None:  # it committed just before the stop
                results.append(result)
                on_result(result)
        return results

    def _end(
        self,
        pending: set[Future[T | None]],
        attempts: SliceAttempts,
        patience: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Begin nothing more and wait until nothing runs, whatever interrupts the wait.

        What still runs after `patience()` seconds is cancelled, and cannot commit any more.
        """
        attempts.halt()
        running = {future for future in pending if not future.cancel()}
        began = time.monotonic()
        cancelled_at: float | None = None
        interrupt: BaseException | None = None
        while running:
            try:
                if cancelled_at is None and time.monotonic() - began >= patience():
                    attempts.forbid()
                    cancelled_at = time.monotonic()
                self._sessions.cut_overdue()
                if cancelled_at is not None:
                    self._cancel(cancelled_at)
                running = wait(running, POLL_SECONDS).not_done
            except BaseException as error:  # noqa: BLE001 - raised when nothing runs any more
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _cancel(self, since: float) -> None:
        self._sessions.cancel_queries()
        if time.monotonic() - since > DEAF_SECONDS:
            self._sessions.cut_all()
