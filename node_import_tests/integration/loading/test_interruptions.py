"""Loads that do not come to their end, and what is left of them."""

from __future__ import annotations

import threading

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import ClaimLost
from node_import.loading import SliceResult
from node_import.staging.plan import Plan
from node_import.staging.segments import StagedRowsLost
from node_import_tests.integration.loading.imports import Imports, Row, Staged, counts
from node_import_tests.integration.loading.waiting import loading, other_writer, until_blocked
from node_import_tests.support.tenants import put

KEYS = ("name",)
EIGHT_SLICES = Plan(slices=8, batches=2)
HUNDRED: list[Row] = [(f"r{number}", "USER", str(number)) for number in range(100)]


def left_behind(imports: Imports, staged: Staged) -> tuple[int, int, int]:
    """How many nodes, metadata rows and ledger rows there are."""
    [(nodes, metadata)] = imports.query(
        "SELECT (SELECT count(*) FROM nodes), (SELECT count(*) FROM node_metadata)"
    )
    return nodes, metadata, len(imports.ledger(staged))


@pytest.mark.parametrize(
    "change",
    [{"status": "FAILED"}, {"dagster_run_id": "another run"}, {"attempt": 2}],
    ids=["closed", "taken over", "next attempt"],
)
def test_a_run_that_lost_its_claim_changes_nothing(
    imports: Imports, change: dict[str, object]
) -> None:
    """No node, no metadata, no ledger row; and the caller is told."""
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)
    put(imports.database, staged.claim.job_id, **change)
    with pytest.raises(ClaimLost):
        imports.load(staged)
    assert left_behind(imports, staged) == (0, 0, 0)


def test_a_claim_lost_in_the_middle_of_a_slice_counts(imports: Imports) -> None:
    """The claim is looked at last, not first."""
    imports.run([("a", "USER", "old")], KEYS)
    staged = imports.stage([("a", "USER", "new"), ("b", "USER", "new")], KEYS)
    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        with loading(imports, staged) as load:
            until_blocked(imports)
            put(imports.database, staged.claim.job_id, dagster_run_id="another run")
            other.rollback()
            with pytest.raises(ClaimLost, match="run run no longer holds job"):
                load.result()
    assert imports.nodes() == {"a": ("USER", {"name": "old"})}
    assert imports.ledger(staged) == {}


def test_a_job_that_is_gone_is_a_lost_claim(imports: Imports) -> None:
    """A job deleted under the run stops it."""
    staged = imports.stage(HUNDRED, KEYS)
    imports.change("DELETE FROM nodes_import_job")
    with pytest.raises(ClaimLost, match="is gone"):
        imports.load(staged)
    assert left_behind(imports, staged) == (0, 0, 0)


def test_a_second_load_skips_what_is_loaded(imports: Imports) -> None:
    """The ledger gives the counts; staged rows are not even read."""
    staged = imports.stage([*HUNDRED, *HUNDRED[:10]], KEYS, plan=EIGHT_SLICES)
    first = imports.load(staged)
    before = imports.query("SELECT xmin::text, * FROM nodes ORDER BY id")
    staged.area.remove()
    second = imports.load(staged)
    assert counts(second) == counts(first) == (100, 0, 0, 10)
    assert len(second.skipped) == len(second.slices) == 8
    assert imports.query("SELECT xmin::text, * FROM nodes ORDER BY id") == before


def test_the_ledger_has_the_counts_of_each_slice(imports: Imports) -> None:
    """Inserted, updated, unchanged and duplicate rows, as the results say."""
    imports.run([*HUNDRED[:50], ("r50", "USER", "old")], KEYS)
    staged = imports.stage([*HUNDRED, *HUNDRED[:10]], KEYS, plan=EIGHT_SLICES)
    result = imports.load(staged)
    assert counts(result) == (49, 1, 50, 10)
    assert imports.ledger(staged) == {
        one.slice_no: (one.inserted, one.updated, one.unchanged, one.duplicate)
        for one in result.slices
    }


def test_slices_are_loaded_batch_by_batch(imports: Imports) -> None:
    """A batch loads its slices alone, the next one the rest; empty ones take no room."""
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)
    first = imports.load(staged, slices=EIGHT_SLICES.slices_of(0))
    assert {one.slice_no for one in first.slices} == {0, 1, 2, 3}
    second = imports.load(staged, slices=EIGHT_SLICES.slices_of(1))
    assert first.inserted + second.inserted == 100
    lonely = imports.stage([("a", "USER", "1")], KEYS, plan=EIGHT_SLICES)
    assert len(imports.load(lonely).slices) == len(imports.ledger(lonely)) == 1


def test_a_slice_that_fails_stops_no_other(imports: Imports) -> None:
    """Its rows are counted as failed, with a reason; it leaves nothing behind."""
    staged = imports.stage([*HUNDRED, ("bad", "ROBOT", "x")], KEYS, plan=EIGHT_SLICES)
    told: list[SliceResult] = []
    result = imports.load(staged, on_slice=told.append)
    [failed] = result.failed
    assert failed.failure is not None
    assert failed.failure.code == ErrorCode.DATABASE_UNAVAILABLE
    assert "nodes_type_check" in failed.failure.message
    assert not failed.transient
    assert result.inserted + result.failed_rows == 101
    assert len(imports.ledger(staged)) == 7
    assert sorted(told, key=lambda one: one.slice_no) == list(result.slices)


def test_a_stop_before_the_start_begins_nothing(imports: Imports) -> None:
    """Every slice is unfinished."""
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)
    stop = threading.Event()
    stop.set()
    result = imports.load(staged, stop=stop)
    assert result.unfinished == tuple(range(8))
    assert left_behind(imports, staged) == (0, 0, 0)


def test_a_stop_cancels_what_runs_and_rolls_it_back(imports: Imports) -> None:
    """The slice that waits ends at once; those that had ended stay, and a second load goes on."""
    imports.run([("r0", "USER", "old")], KEYS)
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)
    stop = threading.Event()
    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        with loading(imports, staged, stop=stop) as load:
            until_blocked(imports)
            stop.set()
            result = load.result(timeout=20)
    assert result.unfinished
    assert not result.failed
    assert imports.ledger(staged).keys() == {one.slice_no for one in result.slices}
    assert imports.nodes()["r0"] == ("USER", {"name": "old"})
    assert counts(imports.load(staged)) == (99, 1, 0, 0)


def test_an_interrupted_caller_leaves_no_thread_at_work(imports: Imports) -> None:
    """An exception in the calling thread, such as Dagster's on cancel, ends the load."""
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)

    def interrupt(_: SliceResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imports.load(staged, on_slice=interrupt, connections=1)
    loaded = sum(sum(slice_counts) for slice_counts in imports.ledger(staged).values())
    assert left_behind(imports, staged)[:2] == (loaded, loaded)
    assert imports.query(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename = 'ni_importer' AND state <> 'idle'"
    ) == [(0,)]
    assert imports.load(staged).inserted == 100


def test_staged_rows_that_are_gone_are_reported(imports: Imports) -> None:
    """The source has to be parsed again; no slice counts as loaded."""
    staged = imports.stage(HUNDRED, KEYS, plan=EIGHT_SLICES)
    staged.area.remove()
    with pytest.raises(StagedRowsLost):
        imports.load(staged)
    assert left_behind(imports, staged) == (0, 0, 0)
