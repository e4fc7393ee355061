"""What waits too long, or hangs, becomes a retry and then a clear failure."""

from __future__ import annotations

import threading

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Database
from node_import.loading import SliceRetry, session, time_limits
from node_import.loading.time_limits import TimeLimits
from node_import.staging.plan import Plan
from node_import_tests.integration.loading.imports import Imports, Row, counts
from node_import_tests.integration.loading.waiting import loading, other_writer, until_blocked
from node_import_tests.support.databases import hung_backend

KEYS = ("name",)
FOUR_SLICES = Plan(slices=4, batches=1)
TWENTY: list[Row] = [(f"r{number}", "USER", "new") for number in range(20)]


def impatient(imports: Imports) -> Database:
    """The importer, with settings that allow little."""
    return Database(imports.database.importer_dsn, statement_timeout=1.5, lock_timeout=0.3)


def test_a_lock_on_the_whole_table(imports: Imports) -> None:
    """Nothing hangs: each slice waits twice as long as it may, then it has failed for now."""
    staged = imports.stage(TWENTY, KEYS, plan=FOUR_SLICES)
    told: list[SliceRetry] = []
    with other_writer(imports) as other:
        other.execute("LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE")
        result = imports.load(staged, importer=impatient(imports), on_retry=told.append)
    assert {one.failure.code for one in result.failed if one.failure} == {ErrorCode.TIMEOUT}
    assert (len(result.failed), result.failed_rows, result.inserted) == (4, 20, 0)
    assert all(one.transient for one in result.failed)
    assert sorted(retry.slice_no for retry in told) == [0, 1, 2, 3]
    assert counts(imports.load(staged)) == (20, 0, 0, 0)


def test_a_lock_that_is_gone_at_the_second_try(imports: Imports) -> None:
    """The slice is loaded, and its retry is counted."""
    staged = imports.stage(TWENTY, KEYS)
    with other_writer(imports) as other:
        other.execute("LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE")
        result = imports.load(
            staged, importer=impatient(imports), on_retry=lambda _: other.rollback()
        )
    assert counts(result) == (20, 0, 0, 0)
    assert result.retries == 1


def test_a_server_that_hangs(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends no statement by itself: its connection is cut, and the slice begun again.

    The hung process still holds the slice's ledger row, so the second try waits for it in vain.
    """
    monkeypatch.setattr(time_limits, "GRACE_SECONDS", 0.0)
    imports.run([("r0", "USER", "old")], KEYS)
    staged = imports.stage(TWENTY, KEYS)
    told: list[SliceRetry] = []
    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        owner = Database(imports.database.importer_dsn, statement_timeout=3, lock_timeout=2)
        with loading(imports, staged, importer=owner, on_retry=told.append) as load:
            [blocked] = until_blocked(imports)
            with hung_backend(imports.database, blocked):
                other.rollback()
                [failed] = load.result().failed
    assert failed.failure is not None
    assert (failed.failure.code, failed.transient) == (ErrorCode.TIMEOUT, True)
    [retry] = told
    assert retry.reason == "no end within 6 s, the server hangs"
    assert imports.nodes()["r0"] == ("USER", {"name": "old"})
    assert counts(imports.load(staged)) == (19, 1, 0, 0)


def test_the_limits_hold_for_the_slice_alone(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go by its rows and keys, and what the settings allow is the most."""
    asked: list[tuple[int, int, TimeLimits]] = []

    def limits(rows: int, keys: int, **most: float) -> TimeLimits:
        made = time_limits.time_limits(rows, keys, **most)
        asked.append((rows, keys, made))
        return made

    monkeypatch.setattr(session, "time_limits", limits)
    staged = imports.stage(TWENTY, KEYS, plan=FOUR_SLICES)
    owner = Database(imports.database.importer_dsn, statement_timeout=20, lock_timeout=30)
    imports.load(staged, importer=owner)
    assert sum(rows for rows, _, _ in asked) == 20
    assert {keys for _, keys, _ in asked} == {1}
    assert {made.statement for _, _, made in asked} == {20}
    assert all(10 < made.lock < 11 for _, _, made in asked)


def test_a_stop_does_not_wait_for_a_server_that_hangs(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers no cancel either; then its connection is cut, long before the slice's time."""
    monkeypatch.setattr("node_import.loading.loader.DEAF_SECONDS", 0.2)
    imports.run([("r0", "USER", "old")], KEYS)
    staged = imports.stage(TWENTY, KEYS)
    stop = threading.Event()
    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        with loading(imports, staged, stop=stop) as load:
            [blocked] = until_blocked(imports)
            with hung_backend(imports.database, blocked):
                other.rollback()
                stop.set()
                result = load.result(timeout=60)
    assert result.unfinished == (0,)
    assert imports.ledger(staged) == {}
