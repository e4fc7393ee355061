"""Others write the same nodes at the same time."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Database
from node_import.loading import slice_troubles
from node_import.staging.plan import Plan
from node_import_tests.integration.loading.imports import Imports, Row, counts
from node_import_tests.integration.loading.waiting import loading, other_writer, until_blocked

KEYS = ("name",)
INSERT_NODE = (
    "INSERT INTO nodes (id, reference_id, group_id, type, domain_id, created_at)"
    " VALUES (gen_random_uuid(), %s, %s, 'USER', %s, now())"
)
ORPHANS = (
    "SELECT count(*) FROM node_metadata m"
    " WHERE NOT EXISTS (SELECT FROM nodes n WHERE n.id = m.node_id)"
)


def test_a_node_that_somebody_inserts_meanwhile_is_updated(imports: Imports) -> None:
    """The slice begins again and finds the node there."""
    staged = imports.stage([("a", "USER", "Ann"), ("b", "USER", "Ben")], KEYS)
    with other_writer(imports) as other, loading(imports, staged) as load:
        other.execute(INSERT_NODE, ["b", staged.group_id, staged.claim.domain_id])
        until_blocked(imports)
        other.commit()
        assert counts(load.result()) == (1, 1, 0, 0)
    assert imports.nodes() == {"a": ("USER", {"name": "Ann"}), "b": ("USER", {"name": "Ben"})}


def test_a_node_that_somebody_deletes_meanwhile_is_new(imports: Imports) -> None:
    """No metadata is written for a node that is no longer there."""
    imports.run([("a", "USER", "old"), ("b", "USER", "old")], KEYS)
    staged = imports.stage([("a", "USER", "new"), ("b", "USER", "new")], KEYS)
    with other_writer(imports) as other:
        other.execute("DELETE FROM nodes WHERE reference_id = 'b'")
        with loading(imports, staged) as load:
            until_blocked(imports)
            other.commit()
            assert counts(load.result()) == (1, 1, 0, 0)
    assert imports.nodes() == {"a": ("USER", {"name": "new"}), "b": ("USER", {"name": "new"})}
    assert imports.query(ORPHANS) == [(0,)]


def test_values_are_compared_as_they_are_when_the_lock_is_had(imports: Imports) -> None:
    """What somebody wrote while the slice waited for the node is what counts."""
    imports.run([("a", "USER", "old")], KEYS)
    staged = imports.stage([("a", "USER", "new")], KEYS)
    with other_writer(imports) as other:
        other.execute("UPDATE node_metadata SET metadata_value = 'new'")  # locks the node too
        with loading(imports, staged) as load:
            until_blocked(imports)
            other.commit()
            assert counts(load.result()) == (0, 0, 1, 0)


def test_a_slice_gives_up_after_a_while(imports: Imports) -> None:
    """A node that is locked for too long fails its slice for now, and stops no other."""
    imports.run([("r0", "USER", "old")], KEYS)
    rows: list[Row] = [(f"r{number}", "USER", "new") for number in range(20)]
    staged = imports.stage(rows, KEYS, plan=Plan(slices=4, batches=1))
    impatient = Database(imports.database.importer_dsn, lock_timeout=0.2)
    with other_writer(imports) as other:
        other.execute("SELECT FROM nodes FOR UPDATE")
        result = imports.load(staged, importer=impatient)
    [failed] = result.failed
    assert failed.failure is not None
    assert (failed.failure.code, failed.transient) == (ErrorCode.TIMEOUT, True)
    assert "lock timeout" in failed.failure.message
    assert failed.retries == result.retries == 1
    assert result.inserted + failed.rows == 20
    assert counts(imports.load(staged)) == (19, 1, 0, 0)


def test_a_slice_gives_up_when_its_nodes_never_rest(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tries are limited; the failure says what happened."""
    once = replace(slice_troubles.RIVALS, tries=1)
    monkeypatch.setattr(slice_troubles, "RIVALS", once)
    staged = imports.stage([("a", "USER", "1")], KEYS)
    with other_writer(imports) as other, loading(imports, staged) as load:
        other.execute(INSERT_NODE, ["a", staged.group_id, staged.claim.domain_id])
        until_blocked(imports)
        other.commit()
        [failed] = load.result().failed
    assert failed.failure is not None
    assert failed.failure.code == ErrorCode.TIMEOUT
    assert "others kept writing" in failed.failure.message
    assert failed.transient
    assert imports.ledger(staged) == {}


def test_two_imports_of_the_same_nodes_at_once(imports: Imports) -> None:
    """Both end, each node is one of the two whole, and the counts add up."""
    randomly = random.Random(7)
    references = [f"r{number}" for number in range(400)]
    staged = []
    for name, plan in (("x", Plan(slices=8, batches=1)), ("y", Plan(slices=2, batches=1))):
        chosen = randomly.choices(references, k=600)
        rows: list[Row] = [(reference, "USER", name, name) for reference in chosen]
        staged.append((imports.stage(rows, ("k", "l"), plan=plan), {row[0] for row in rows}))
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(imports.load, [one for one, _ in staged]))
    for result, (_, chosen_references) in zip(results, staged, strict=True):
        assert not result.failed
        assert sum(counts(result)) == 600
        assert result.duplicate == 600 - len(chosen_references)
    found = imports.nodes()
    assert found.keys() == staged[0][1] | staged[1][1]
    assert sum(result.inserted for result in results) == len(found)
    for _, metadata in found.values():
        assert metadata in ({"k": "x", "l": "x"}, {"k": "y", "l": "y"})


def test_the_same_slice_is_loaded_once_by_two_runs_at_once(imports: Imports) -> None:
    """The second waits for the ledger row of the first, and then takes its counts."""
    staged = imports.stage([(f"r{number}", "USER", "1") for number in range(50)], KEYS)
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(imports.load, [staged, staged]))
    assert [counts(result) for result in results] == [(50, 0, 0, 0)] * 2
    assert sorted(len(result.skipped) for result in results) == [0, 1]
