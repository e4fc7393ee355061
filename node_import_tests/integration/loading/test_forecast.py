"""Slices whose nodes are taken for new because those of the slices before were."""

from __future__ import annotations

import polars as pl
import pytest

from node_import.staging.plan import Plan
from node_import.staging.segments import slice_number
from node_import_tests.integration.loading.imports import Imports, Row, counts
from node_import_tests.integration.loading.waiting import loading, other_writer, until_blocked

KEYS = ("name", "city")
PLAN = Plan(slices=16, batches=1)
REFERENCES = [f"r{number:03}" for number in range(200)]


def last_slice() -> list[str]:
    """The references that are loaded last."""
    frame = pl.DataFrame({"reference_id": REFERENCES})
    return frame.filter(slice_number(PLAN.slices) == PLAN.slices - 1)["reference_id"].to_list()


def rows_of(references: list[str], city: str = "Ulm") -> list[Row]:
    """A row each."""
    return [(reference, "USER", f"name of {reference}", city) for reference in references]


@pytest.mark.parametrize("connections", [1, 2])
def test_new_nodes_have_all_their_values(imports: Imports, connections: int) -> None:
    """Whether their slice was looked for or not."""
    staged = imports.stage(rows_of(REFERENCES), KEYS, plan=PLAN)
    assert counts(imports.load(staged, connections=connections)) == (200, 0, 0, 0)
    expected = {r: ("USER", {"name": f"name of {r}", "city": "Ulm"}) for r in REFERENCES}
    assert imports.nodes() == expected


def test_a_node_that_is_there_is_found_all_the_same(imports: Imports) -> None:
    """Two of the last slice are: one is changed, one is left as it is."""
    changed, same, *_ = last_slice()
    imports.run(rows_of([changed], city="Rom") + rows_of([same]), KEYS)
    before = imports.query("SELECT id, ctid::text FROM nodes WHERE reference_id = %s", same)
    staged = imports.stage(rows_of(REFERENCES), KEYS, plan=PLAN)
    assert counts(imports.load(staged, connections=1)) == (198, 1, 1, 0)
    assert imports.nodes()[changed] == ("USER", {"name": f"name of {changed}", "city": "Ulm"})
    after = imports.query("SELECT id, ctid::text FROM nodes WHERE reference_id = %s", same)
    assert after == before
    assert imports.query("SELECT count(*) FROM node_metadata") == [(400,)]


def test_a_rival_who_inserts_first_is_waited_for(imports: Imports) -> None:
    """What it inserted is then found, and updated."""
    theirs = last_slice()[0]
    staged = imports.stage(rows_of(REFERENCES), KEYS, plan=PLAN)
    with other_writer(imports) as other, loading(imports, staged) as load:
        other.execute(
            "INSERT INTO nodes (id, reference_id, group_id, type, domain_id, created_at)"
            " VALUES (gen_random_uuid(), %s, %s, 'USER', %s, now())",
            [theirs, staged.group_id, staged.claim.domain_id],
        )
        until_blocked(imports)
        other.commit()
        assert counts(load.result()) == (199, 1, 0, 0)
    assert len(imports.nodes()) == 200
