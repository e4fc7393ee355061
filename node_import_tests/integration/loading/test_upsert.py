"""What an import does to nodes and their metadata, by the rules of the contract."""

from __future__ import annotations

import pytest

from node_import.loading import Loader
from node_import.staging.plan import Plan
from node_import_tests.integration.loading.imports import Imports, Row, counts

KEYS = ("name", "city")
NASTY = [
    '"', '""', "'", "\\", "\\.", "\\N", "a\n\\.\nb", "\n", "\r", "\r\n", "\t", ",", ";", "|",
    " leading", "trailing ", " ", "NULL", "null", "{}", "%s", "%", "{", "é", "e\u0301",
    "\U0001f600", "\ufeff", "\u2028", "\x85", "\x01\x1f\x7f",
    "x" * 65_536, '"\n\\' * 20_000, "é" * 30_000,
]  # fmt: skip

ROW_STATE = (
    "SELECT n.xmin::text, n.ctid::text, n.*,"
    " (SELECT array_agg((m.xmin::text, m.ctid::text, m.*)::text ORDER BY m.metadata_key)"
    "  FROM node_metadata m WHERE m.node_id = n.id) AS metadata"
    " FROM nodes n WHERE n.reference_id = %s"
)


def test_a_new_node_waits_to_be_processed(imports: Imports) -> None:
    """It has its values, no update time, and is not processed."""
    assert counts(imports.run([("a", "PRODUCT", "Ann", None)], KEYS)) == (1, 0, 0, 0)
    assert imports.nodes() == {"a": ("PRODUCT", {"name": "Ann"})}
    [(processed, created, updated)] = imports.query(
        "SELECT processed, created_at IS NOT NULL, updated_at FROM nodes"
    )
    assert (processed, created, updated) == (False, True, None)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (("a", "USER", "Bob", None), ("USER", {"name": "Bob", "city": "Ulm"})),
        (("a", "PRODUCT", "Ann", "Ulm"), ("PRODUCT", {"name": "Ann", "city": "Ulm"})),
    ],
    ids=["value", "type"],
)
def test_a_changed_node_is_to_be_processed_again(
    imports: Imports, changed: Row, expected: tuple[str, dict[str, str]]
) -> None:
    """Another value or type updates the node; a key without a value keeps the stored one."""
    imports.run([("a", "USER", "Ann", "Ulm")], KEYS)
    imports.change("UPDATE nodes SET processed = true")
    assert counts(imports.run([changed], KEYS)) == (0, 1, 0, 0)
    assert imports.nodes() == {"a": expected}
    [(processed, updated)] = imports.query("SELECT processed, updated_at > created_at FROM nodes")
    assert (processed, updated) == (False, True)


def test_an_additional_key_updates_the_node_and_keeps_the_others(imports: Imports) -> None:
    """Keys that a file does not mention stay."""
    imports.run([("a", "USER", "Ann", "Ulm")], KEYS)
    assert counts(imports.run([("a", "USER", "x")], ["score"])) == (0, 1, 0, 0)
    assert imports.nodes() == {"a": ("USER", {"name": "Ann", "city": "Ulm", "score": "x"})}


@pytest.mark.parametrize(
    ("row", "keys"),
    [
        (("a", "USER", "Ann", "Ulm"), KEYS),
        (("a", "USER", "Ulm", "Ann"), ("city", "name")),
        (("a", "USER", "Ann", None), KEYS),
        (("a", "USER", None, None), KEYS),
        (("a", "USER", "Ulm"), ("city",)),
        (("a", "USER"), ()),
    ],
    ids=["the same", "columns in another order", "part", "no values", "fewer keys", "no keys"],
)
def test_a_row_that_says_nothing_new_touches_nothing(
    imports: Imports, row: Row, keys: tuple[str, ...]
) -> None:
    """Neither the node nor its metadata is written, not even with the same values."""
    imports.run([("a", "USER", "Ann", "Ulm")], KEYS)
    before = imports.query(ROW_STATE, "a")
    assert counts(imports.run([row], keys)) == (0, 0, 1, 0)
    assert imports.query(ROW_STATE, "a") == before


def test_only_metadata_that_differs_is_written(imports: Imports) -> None:
    """A value that is the same stays the same row."""
    imports.run([("a", "USER", "Ann", "Ulm")], KEYS)
    state = "SELECT id, xmin::text FROM node_metadata WHERE metadata_key = 'city'"
    before = imports.query(state)
    imports.run([("a", "USER", "Bob", "Ulm")], KEYS)
    assert imports.query(state) == before


def test_a_value_that_somebody_else_changed_is_imported_again(imports: Imports) -> None:
    """The stored hash does not hide what happened since the last import."""
    rows: list[Row] = [("a", "USER", "Ann", "Ulm"), ("b", "USER", "Ben", "Bonn")]
    imports.run(rows, KEYS)
    imports.change("UPDATE node_metadata SET metadata_value = 'Kiel' WHERE metadata_value = 'Ulm'")
    imports.change("DELETE FROM node_metadata WHERE metadata_value = 'Bonn'")
    assert counts(imports.run(rows, KEYS)) == (0, 2, 0, 0)
    assert imports.nodes()["a"] == ("USER", {"name": "Ann", "city": "Ulm"})
    assert imports.nodes()["b"] == ("USER", {"name": "Ben", "city": "Bonn"})


def test_a_return_to_an_earlier_value_is_a_change(imports: Imports) -> None:
    """The stored hash is that of the last import, not of the first."""
    for name, expected in (("Ann", (1, 0, 0, 0)), ("Bob", (0, 1, 0, 0)), ("Ann", (0, 1, 0, 0))):
        assert counts(imports.run([("a", "USER", name, "Ulm")], KEYS)) == expected
        assert imports.nodes()["a"] == ("USER", {"name": name, "city": "Ulm"})


def test_a_type_that_somebody_else_changed_is_imported_again(imports: Imports) -> None:
    """The type is compared itself, since no trigger tells of its change."""
    imports.run([("a", "USER", "Ann", "Ulm")], KEYS)
    imports.change("UPDATE nodes SET type = 'RESOURCE'")
    assert counts(imports.run([("a", "USER", "Ann", "Ulm")], KEYS)) == (0, 1, 0, 0)
    assert imports.nodes()["a"][0] == "USER"


def test_the_last_row_of_a_reference_counts_whole(imports: Imports) -> None:
    """Earlier rows have no effect, not even where the last one has no value."""
    rows: list[Row] = [
        ("a", "USER", "x", "y"),
        ("b", "USER", "z", None),
        ("a", "PRODUCT", None, "w"),
    ]
    assert counts(imports.run(rows, KEYS, flush_bytes=1)) == (2, 0, 0, 1)
    assert imports.nodes() == {"a": ("PRODUCT", {"city": "w"}), "b": ("USER", {"name": "z"})}


def test_every_character_and_size_comes_back(imports: Imports) -> None:
    """Values are stored as they stand, new or changed."""
    rows: list[Row] = [(f"r{number}", "USER", value, None) for number, value in enumerate(NASTY)]
    imports.run(rows, KEYS, plan=Plan(slices=4, batches=1))
    imports.run([(row[0], "USER", None, row[2]) for row in rows], KEYS)
    found = imports.nodes()
    for number, value in enumerate(NASTY):
        assert found[f"r{number}"] == ("USER", {"name": value, "city": value})


def test_every_reference_is_found_again(imports: Imports) -> None:
    """References of any characters, up to 255 of them, are one node each."""
    references = [text[:255] for text in NASTY]
    rows: list[Row] = [(reference, "USER", "1") for reference in dict.fromkeys(references)]
    assert counts(imports.run(rows, ["k"])) == (len(rows), 0, 0, 0)
    assert counts(imports.run(rows, ["k"], plan=Plan(slices=8, batches=2))) == (0, 0, len(rows), 0)
    assert imports.nodes().keys() == {row[0] for row in rows}


def test_a_thousand_columns_of_any_width_are_imported(imports: Imports) -> None:
    """Rows that do not fit a page: 999 short values, 999 of 64 KiB, and some that are missing."""
    keys = [f"key_{number}" for number in range(999)]
    short: Row = ("short", "USER", *(f"{number:023d}" for number in range(999)))
    long: Row = ("long", "USER", *(chr(97 + number % 26) * 65_536 for number in range(999)))
    some: Row = ("some", "USER", *("x" if number % 7 else None for number in range(999)))
    rows = [short, long, some]
    assert counts(imports.run(rows, keys)) == (3, 0, 0, 0)
    for reference, _, *values in rows:
        given = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        assert imports.nodes()[reference][1] == given
    assert counts(imports.run(rows, keys)) == (0, 0, 3, 0)
    changed: Row = (*short[:-1], "changed")
    assert counts(imports.run([changed, long, some], keys)) == (0, 1, 2, 0)
    assert imports.nodes()["short"][1]["key_998"] == "changed"


def test_groups_and_tenants_have_nodes_of_their_own(imports: Imports) -> None:
    """The same reference is another node in another group and for another tenant."""
    imports.run([("a", "USER", "1")], ["k"])
    assert counts(imports.run([("a", "USER", "2")], ["k"], group="h")) == (1, 0, 0, 0)
    assert counts(imports.run([("a", "USER", "3")], ["k"], tenant="bolt")) == (1, 0, 0, 0)
    assert imports.nodes("acme", "g") == {"a": ("USER", {"k": "1"})}
    assert imports.nodes("acme", "h") == {"a": ("USER", {"k": "2"})}
    assert imports.nodes("bolt", "g") == {"a": ("USER", {"k": "3"})}


def test_one_loader_serves_jobs_of_any_width_and_tenant(imports: Imports) -> None:
    """Connections and their tables are used again, and nothing of one job reaches the next."""
    with Loader(imports.importer, 1) as loader:
        for number in range(20):
            keys = [f"k{index}" for index in range(number % 3)]
            row: Row = (f"r{number}", "USER", *(str(number) for _ in keys))
            staged = imports.stage([row], keys, tenant=("acme", "bolt")[number % 2])
            assert counts(imports.load_with(loader, staged)) == (1, 0, 0, 0)
    assert imports.nodes("acme").keys() == {f"r{number}" for number in range(0, 20, 2)}
    assert imports.nodes("bolt")["r5"] == ("USER", {"k0": "5", "k1": "5"})


def test_no_tenant_sees_what_another_imported(imports: Imports) -> None:
    """The rows are bound to the domain of the job, for the importer's role too."""
    imports.run([("a", "USER", "1")], ["k"])
    with imports.importer.tenant(imports.tenant("bolt").domain_id) as conn:
        assert conn.execute("SELECT * FROM nodes").fetchall() == []
        assert conn.execute("SELECT * FROM node_metadata").fetchall() == []
    with imports.importer.tenant(imports.tenant("acme").domain_id) as conn:
        assert len(conn.execute("SELECT * FROM nodes").fetchall()) == 1
        assert len(conn.execute("SELECT * FROM node_metadata").fetchall()) == 1
