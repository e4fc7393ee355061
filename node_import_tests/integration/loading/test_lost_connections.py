"""Connections that break under a load: the slice is begun again, and an outage is told as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Database
from node_import.errors import TransientError
from node_import.loading import SliceRetry, slice_troubles
from node_import.staging.plan import Plan
from node_import_tests.integration.loading.imports import Imports, Row, counts
from node_import_tests.integration.loading.waiting import loading, other_writer, until_blocked

KEYS = ("name",)
EIGHT_SLICES = Plan(slices=8, batches=2)
HUNDRED: list[Row] = [(f"r{number}", "USER", str(number)) for number in range(100)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same number of tries, without the wait between them."""
    monkeypatch.setattr(slice_troubles, "LOST", replace(slice_troubles.LOST, first_pause=0.01))


def close_the_door(imports: Imports) -> None:
    """As far as the importer can see, the server is away: it lets nobody in."""
    change = sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC")
    with imports.database.connect() as conn:
        conn.execute(change.format(sql.Identifier(imports.database.name)))


def open_the_door(imports: Imports) -> None:
    """The server is back."""
    change = sql.SQL("GRANT CONNECT ON DATABASE {} TO PUBLIC")
    with imports.database.connect() as conn:
        conn.execute(change.format(sql.Identifier(imports.database.name)))


def test_a_connection_that_breaks_costs_one_more_try(imports: Imports) -> None:
    """The slice begins again over another connection; all is loaded, and the retry is told."""
    imports.run([("r0", "USER", "old")], KEYS)
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)
    told: list[SliceRetry] = []
    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        with loading(imports, staged, on_retry=told.append) as load:
            [blocked] = until_blocked(imports)
            imports.query("SELECT pg_terminate_backend(%s)", blocked)
            until_blocked(imports, besides=blocked)
            other.commit()
            result = load.result()
    assert counts(result) == (99, 1, 0, 0)
    [retry] = told
    assert (retry.failures, result.retries) == (1, 1)
    assert "terminating connection" in retry.reason
    [begun_again] = [one for one in result.slices if one.retries]
    assert begun_again.slice_no == retry.slice_no


def test_a_server_that_is_away_for_a_while(imports: Imports) -> None:
    """All connections break at once and none can be had, as in a restart; then the load goes on."""
    imports.run([("r0", "USER", "old")], KEYS)
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)
    told: list[SliceRetry] = []

    def come_back_later(retry: SliceRetry) -> None:
        told.append(retry)
        if retry.failures == 2:
            open_the_door(imports)

    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        with loading(imports, staged, connections=1, on_retry=come_back_later) as load:
            [blocked] = until_blocked(imports)
            close_the_door(imports)
            other.rollback()
            imports.query("SELECT pg_terminate_backend(%s)", blocked)
            result = load.result()
    assert result.inserted + result.updated == 100
    assert not result.failed
    assert [retry.failures for retry in told[:2]] == [1, 2]
    assert "permission denied for database" in told[1].reason


def test_a_server_that_stays_away_ends_the_batch(imports: Imports) -> None:
    """When the tries are used up the other slices are not tried; a second load goes on."""
    imports.run([("r0", "USER", "old")], KEYS)
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)
    told: list[SliceRetry] = []
    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        with loading(imports, staged, connections=1, on_retry=told.append) as load:
            [blocked] = until_blocked(imports)
            close_the_door(imports)
            imports.query("SELECT pg_terminate_backend(%s)", blocked)
            with pytest.raises(TransientError, match="in the last of 6 tries") as outage:
                load.result()
    assert outage.value.code == ErrorCode.DATABASE_UNAVAILABLE
    assert len(told) == 5
    assert len({retry.slice_no for retry in told}) == 1
    loaded_before = len(imports.ledger(staged))
    open_the_door(imports)
    again = imports.load(staged)
    assert again.inserted + again.updated == 100
    assert len(again.skipped) == loaded_before


def test_a_load_without_any_connection(imports: Imports) -> None:
    """To make the first connection is tried as often."""
    staged = imports.stage(HUNDRED, KEYS)
    nowhere = Database("postgresql://ni_importer@127.0.0.1:1/none")
    told: list[SliceRetry] = []
    with pytest.raises(TransientError, match="the connection was lost") as outage:
        imports.load(staged, importer=nowhere, on_retry=told.append)
    assert outage.value.code == ErrorCode.DATABASE_UNAVAILABLE
    assert [retry.failures for retry in told] == [1, 2, 3, 4, 5]


def test_what_cannot_pass_is_tried_once(imports: Imports) -> None:
    """A row that the database refuses fails its slice at the first try."""
    staged = imports.stage([("bad", "ROBOT", "x")], KEYS)
    told: list[SliceRetry] = []
    [failed] = imports.load(staged, on_retry=told.append).failed
    assert failed.failure is not None
    assert "refused slice" in failed.failure.message
    assert (failed.transient, failed.retries, told) == (False, 0, [])


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (psycopg.errors.DeadlockDetected, lambda: slice_troubles.RIVALS),
        (psycopg.errors.LockNotAvailable, lambda: slice_troubles.LATE),
        (psycopg.errors.AdminShutdown, lambda: slice_troubles.LOST),
        (psycopg.errors.CannotConnectNow, lambda: slice_troubles.LOST),
        (psycopg.errors.DiskFull, lambda: slice_troubles.LOST),
        (psycopg.errors.ReadOnlySqlTransaction, lambda: slice_troubles.LOST),
        (psycopg.errors.IdleInTransactionSessionTimeout, lambda: slice_troubles.LOST),
        (psycopg.errors.CheckViolation, lambda: None),
        (psycopg.errors.InsufficientPrivilege, lambda: None),
    ],
)
def test_errors_are_told_apart(
    error: type[psycopg.Error], trouble: Callable[[], slice_troubles.Trouble | None]
) -> None:
    """What passes is tried again as its cause asks for; what does not is permanent."""
    assert slice_troubles.trouble_of(error("x")) is trouble()
