"""How PostgreSQL goes about the statements of a slice where its statistics mislead it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from node_import.loading.slice_transaction import SliceTransaction
from node_import.loading.value_tables import ValueTable
from node_import.sql import statements
from node_import_tests.integration.loading.imports import Imports, Row, counts

KEYS = ("name", "city")
# A nested loop is meant to look something up by an index in each turn.
EACH_WITH_EACH = re.compile(r"Nested Loop.*\n *Join Filter")


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The plan of each statement, as it was when the statement was run."""
    found: dict[str, str] = {}
    execute, row = SliceTransaction._execute, SliceTransaction._row

    def explain(self: SliceTransaction, name: str, table: ValueTable | None = None) -> None:
        text = table.statement(name) if table else psycopg.sql.SQL(statements("loading.sql")[name])
        keys = table.key_parameters if table else {}
        query = psycopg.sql.SQL("EXPLAIN ") + text
        lines = self._conn.execute(query, {**self._parameters, **keys}).fetchall()
        found[name] = "\n".join(str(line["QUERY PLAN"]) for line in lines)

    def explained_execute(
        self: SliceTransaction, name: str, table: ValueTable | None = None
    ) -> int:
        if not name.startswith("truncate"):
            explain(self, name, table)
        return execute(self, name, table)

    def explained_row(self: SliceTransaction, name: str) -> dict[str, Any]:
        explain(self, name)
        return row(self, name)

    monkeypatch.setattr(SliceTransaction, "_execute", explained_execute)
    monkeypatch.setattr(SliceTransaction, "_row", explained_row)
    return found


def test_a_tenant_that_the_statistics_do_not_know(imports: Imports, plans: dict[str, str]) -> None:
    """They say that it has one node; all the same no statement compares all rows with all nodes."""
    imports.run([(f"r{number}", "USER", "1", None) for number in range(300)], KEYS, tenant="bolt")
    imports.change("ANALYZE nodes, node_metadata")
    rows: list[Row] = [(f"r{number}", "USER", "1", "2") for number in range(1_000)]
    assert counts(imports.run(rows, KEYS)) == (1_000, 0, 0, 0)
    changed: list[Row] = [(reference, "USER", "3", "2") for reference, *_ in rows]
    assert counts(imports.run(changed, KEYS)) == (0, 1_000, 0, 0)
    assert "update_changed_nodes" in plans
    for name, plan in plans.items():
        assert not EACH_WITH_EACH.search(plan), f"{name}: {plan}"
