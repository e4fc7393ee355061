"""What an interrupt leaves time for: slices that run may end, until patience ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from node_import.loading import SliceResult
from node_import.loading.session import LoadingSession
from node_import.loading.slice_rows import prepared_rows
from node_import.loading.slice_transaction import Forbidden, LoadTarget, SliceTransaction
from node_import.loading.time_limits import TimeLimits
from node_import.loading.value_tables import value_tables
from node_import.staging.plan import Plan
from node_import.staging.segments import read_slice
from node_import_tests.integration.loading.imports import Imports, Row, Staged, counts
from node_import_tests.integration.loading.waiting import other_writer, until_blocked

KEYS = ("name",)
EIGHT_SLICES = Plan(slices=8, batches=2)
HUNDRED: list[Row] = [(f"r{number}", "USER", str(number)) for number in range(100)]
NO_QUERY = [(0,)]


@pytest.fixture
def staged(imports: Imports) -> Staged:
    """r0 is there already, so that a lock on it stops the slice that it is in."""
    imports.run([("r0", "USER", "old")], KEYS)
    return imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)


@contextmanager
def locked_r0(imports: Imports) -> Iterator[psycopg.Connection]:
    """Somebody has r0; whatever becomes of it, the lock is gone afterwards."""
    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        yield other


def interrupted(imports: Imports, staged: Staged, patience: Callable[[], float]) -> None:
    """Load, and be interrupted when the slice of r0 runs and another one has ended."""

    def interrupt(_: SliceResult) -> None:
        until_blocked(imports)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imports.load(staged, on_slice=interrupt, patience=patience)


def queries(imports: Imports) -> list[tuple[int]]:
    """How many connections of the importer are at work."""
    return imports.query(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename = 'ni_importer' AND state <> 'idle'"
    )


def is_whole(imports: Imports, staged: Staged) -> bool:
    """What is in the tables is what the ledger says, and a second load adds what is missing."""
    sums = [sum(slice_counts) for slice_counts in imports.ledger(staged).values()]
    new = imports.query("SELECT count(*) FROM node_metadata WHERE metadata_value <> 'old'")
    again = imports.load(staged)
    return new == [(sum(sums),)] and counts(again) == (99, 1, 0, 0)


def test_a_slice_that_runs_may_end(imports: Imports, staged: Staged) -> None:
    """It commits, though the caller was interrupted long before."""
    with locked_r0(imports) as other:
        asked = itertools.count()

        def patience() -> float:
            if next(asked) == 1:
                other.rollback()
            return 60.0

        interrupted(imports, staged, patience)
    assert imports.nodes()["r0"] == ("USER", {"name": "0"})
    assert queries(imports) == NO_QUERY
    assert is_whole(imports, staged)


def test_a_slice_that_does_not_end_is_rolled_back(imports: Imports, staged: Staged) -> None:
    """When the time is over."""
    with locked_r0(imports):
        interrupted(imports, staged, lambda: 0.5)
        assert queries(imports) == NO_QUERY
    assert imports.nodes()["r0"] == ("USER", {"name": "old"})
    assert is_whole(imports, staged)


def test_patience_may_end_before_its_time(imports: Imports, staged: Staged) -> None:
    """As when somebody cancels a run whose worker is stopping."""
    with locked_r0(imports):
        seconds = itertools.chain([60.0, 60.0], itertools.repeat(0.0))
        interrupted(imports, staged, lambda: next(seconds))
        assert queries(imports) == NO_QUERY
    assert imports.nodes()["r0"] == ("USER", {"name": "old"})


def test_a_second_interrupt_leaves_nothing_at_work(imports: Imports, staged: Staged) -> None:
    """Process managers ask twice; the caller comes back when nothing runs any more."""
    with locked_r0(imports) as other:
        asked = itertools.count()

        def patience() -> float:
            match next(asked):
                case 1:
                    raise KeyboardInterrupt
                case 2:
                    other.rollback()
            return 60.0

        interrupted(imports, staged, patience)
        assert queries(imports) == NO_QUERY
    assert imports.nodes()["r0"] == ("USER", {"name": "0"})


def test_nothing_commits_once_it_is_forbidden(imports: Imports) -> None:
    """A slice that is cancelled between two statements does not reach its commit."""
    staged = imports.stage(HUNDRED, KEYS)
    target = LoadTarget(
        staged.claim,
        staged.group_id,
        staged.manifest.object_version,
        staged.manifest.plan.fingerprint,
        value_tables(KEYS),
    )
    session = LoadingSession(imports.importer.connect())
    session.prepare()
    limits = TimeLimits(30, 30)
    transaction = SliceTransaction(session, target, 0, limits, is_forbidden=lambda: True)
    with pytest.raises(Forbidden):
        transaction.load(
            100, lambda: prepared_rows(read_slice(staged.area, staged.manifest.segments, 0))
        )
    session.close()
    assert (imports.ledger(staged), imports.nodes()) == ({}, {})
