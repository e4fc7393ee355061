"""Random sequences of imports, and of what others do in between, against a model in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node_import.database import Database
from node_import.loading import Loader, comparison
from node_import.staging.plan import Plan
from node_import_tests.integration.loading.imports import Imports, Row, Staged, counts
from node_import_tests.integration.loading.model import Group, ImportOutcome
from node_import_tests.support.databases import TestDatabase

# Few of each, so that steps meet: the same node imported, changed and imported again.
REFERENCES = ["a", "b", "A", "a ", "ä", 'q",\n']
KEYS = ["name", "city", "score"]
VALUES = ["1", "2", '"', "\n"]
PLACES = [("acme", "g"), ("acme", "h"), ("bolt", "g")]
place = st.sampled_from([*PLACES, ("acme", "g"), ("acme", "g")])

OTHERS = {
    "delete": "DELETE FROM nodes WHERE reference_id = %s AND group_id = %s",
    "edit": "UPDATE node_metadata SET metadata_value = 'edited' WHERE metadata_key = 'name'"
    " AND node_id = (SELECT id FROM nodes WHERE reference_id = %s AND group_id = %s)",
    "remove": "DELETE FROM node_metadata WHERE metadata_key = 'city'"
    " AND node_id = (SELECT id FROM nodes WHERE reference_id = %s AND group_id = %s)",
    "retype": "UPDATE nodes SET type = 'RESOURCE' WHERE reference_id = %s AND group_id = %s",
    "process": "UPDATE nodes SET processed = true WHERE reference_id = %s AND group_id = %s",
}

number = itertools.count()


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """One import: its rows, its cut, and how it is loaded."""
    keys = draw(st.permutations(KEYS))[: draw(st.integers(0, len(KEYS)))]
    values = [st.none() | st.sampled_from(VALUES) for _ in keys]
    row = st.tuples(
        st.sampled_from(REFERENCES), st.sampled_from(["USER", "USER", "PRODUCT"]), *values
    )
    slices = draw(st.sampled_from([1, 2, 8]))
    return {
        "place": draw(place),
        "rows": draw(st.lists(row, max_size=12)),
        "keys": keys,
        "plan": Plan(slices=slices, batches=draw(st.sampled_from([1, 2, 8])) if slices == 8 else 1),
        "flush_bytes": draw(st.sampled_from([1, 100, 10**6])),
        "connections": draw(st.integers(1, 3)),
        "backwards": draw(st.booleans()),
        "least_compared": draw(st.sampled_from([0, comparison.LEAST_ROWS])),
    }


others = st.tuples(st.sampled_from(sorted(OTHERS)), place, st.sampled_from(REFERENCES))


@pytest.fixture(scope="module")
def loaders(module_database: TestDatabase) -> Iterator[dict[int, Loader]]:
    """Loaders of one to three connections, used again for every import."""
    importer = Database(module_database.importer_dsn)
    with Loader(importer, 1) as one, Loader(importer, 2) as two, Loader(importer, 3) as three:
        yield {1: one, 2: two, 3: three}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(files() | files() | others, min_size=1, max_size=8))
def test_tables_are_as_the_model_says(
    module_database: TestDatabase,
    loaders: dict[int, Loader],
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[dict[str, Any] | tuple[str, tuple[str, str], str]],
) -> None:
    """Nodes, metadata, processed, what is touched, counts and ledger, after each step."""
    world = World(module_database, loaders, tmp_path_factory.mktemp("area"))
    for step in steps:
        if isinstance(step, dict):
            world.load(**step)
        else:
            world.somebody(*step)
        world.check_tables()


class World:
    """The database and the model, side by side; tenants of its own in a shared database."""

    def __init__(self, database: TestDatabase, loaders: dict[int, Loader], folder: Path) -> None:
        self.loaders = loaders
        self.imports = Imports(database, Database(database.importer_dsn), folder)
        self.suffix = str(next(number))
        self.model = {place: Group() for place in PLACES}

    def load(
        self,
        place: tuple[str, str],
        rows: list[Row],
        keys: list[str],
        plan: Plan,
        flush_bytes: int,
        connections: int,
        backwards: bool,
        least_compared: int,
    ) -> None:
        """Import into the database and the model, batch by batch."""
        before = self.states(place)
        tenant, group = self.name(place)
        staged = self.imports.stage(
            rows, keys, tenant=tenant, group=group, plan=plan, flush_bytes=flush_bytes
        )
        batches = [plan.slices_of(batch) for batch in range(plan.batches)]
        with patch.object(comparison, "LEAST_ROWS", least_compared):
            results = [
                self.imports.load_with(self.loaders[connections], staged, slices)
                for slices in (reversed(batches) if backwards else batches)
            ]
        expected = self.model[place].load(rows, keys)
        totals = tuple(map(sum, zip(*map(counts, results), strict=True)))
        assert totals == expected.counts
        assert sum(sum(line) for line in self.imports.ledger(staged).values()) == len(rows)
        self.check_touched(expected, before, self.states(place))
        self.check_repetition(staged, totals)

    def check_touched(
        self, outcome: ImportOutcome, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        """Unchanged nodes keep the version of their row, updated ones have a new time."""
        for reference in before.keys() - outcome.updated:
            assert after[reference] == before[reference]
        for reference in outcome.updated:
            _, _, identifier, created, earlier, _ = before[reference]
            assert after[reference][2:4] == (identifier, created)
            assert after[reference][4] > max(created, earlier or created)
        for reference in outcome.inserted:
            assert after[reference][4] is None

    def check_repetition(self, staged: Staged, totals: tuple[int, ...]) -> None:
        """The same slices again give the same counts from the ledger."""
        again = self.imports.load_with(self.loaders[1], staged)
        assert len(again.skipped) == len(again.slices)
        assert counts(again) == totals

    def somebody(self, action: str, place: tuple[str, str], reference: str) -> None:
        """Somebody else writes."""
        tenant, group = self.name(place)
        self.imports.change(OTHERS[action], reference, self.imports.tenant(tenant).groups[group])
        nodes = self.model[place].nodes
        node = nodes.get(reference)
        if node is None:
            return
        actions: dict[str, Callable[[], object]] = {
            "delete": lambda: nodes.pop(reference),
            "edit": lambda: "name" in node.metadata and node.metadata.update(name="edited"),
            "remove": lambda: node.metadata.pop("city", None),
            "retype": lambda: setattr(node, "type", "RESOURCE"),
            "process": lambda: setattr(node, "processed", True),
        }
        actions[action]()

    def check_tables(self) -> None:
        """All groups are as the model has them, and no metadata is without its node."""
        for place, group in self.model.items():
            states = self.states(place)
            found = {
                reference: (*content, states[reference][5])
                for reference, content in self.imports.nodes(*self.name(place)).items()
            }
            assert found == group.found()
        assert self.imports.query(
            "SELECT count(*) FROM node_metadata m WHERE NOT EXISTS"
            " (SELECT FROM nodes n WHERE n.id = m.node_id AND n.domain_id = m.domain_id)"
        ) == [(0,)]

    def states(self, place: tuple[str, str]) -> dict[str, tuple[Any, ...]]:
        """The version of each node's row and of its metadata rows, times, and processed."""
        tenant, group = self.name(place)
        found = self.imports.query(
            "SELECT n.reference_id, n.xmin::text, (SELECT array_agg(m.id || ' ' || m.xmin::text"
            "   ORDER BY m.id) FROM node_metadata m WHERE m.node_id = n.id),"
            " n.id, n.created_at, n.updated_at, n.processed"
            " FROM nodes n WHERE n.group_id = %s",
            self.imports.tenant(tenant).groups[group],
        )
        return {reference: tuple(state) for reference, *state in found}

    def name(self, place: tuple[str, str]) -> tuple[str, str]:
        """Tenant and group in the database."""
        return f"{place[0]}-{self.suffix}", place[1]
