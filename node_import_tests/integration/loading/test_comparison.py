"""Batches that are compared with what is stored before their slices are loaded."""

from __future__ import annotations

import random
import threading
import time

import pytest

from node_import.database import Database
from node_import.loading import comparison
from node_import.staging.plan import Plan
from node_import_tests.integration.loading.imports import Imports, Row, counts
from node_import_tests.integration.loading.waiting import loading, other_writer, until_blocked

KEYS = ("name", "city")
PLAN = Plan(slices=8, batches=1)
REFERENCES = [f"r{number:04}" for number in range(400)]
# A look at each node is a scan of this index; a range of them is one.
SCANS = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s"
SESSIONS = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = 'ni_importer'"
)
KEY_INDEX = "nodes_group_id_domain_id_reference_id_key"


@pytest.fixture(autouse=True)
def few_rows_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not stage tens of thousands."""
    monkeypatch.setattr(comparison, "LEAST_ROWS", 0)


def rows_of(references: list[str], city: str = "Ulm", node_type: str = "USER") -> list[Row]:
    """A row each."""
    return [(reference, node_type, f"name of {reference}", city) for reference in references]


def scans_counted(imports: Imports) -> int:
    """Of all sessions that have ended: a session hands in its counts before it is gone."""
    deadline = time.monotonic() + 30
    while imports.query(SESSIONS):
        assert time.monotonic() < deadline, "a loader's session does not end"
        time.sleep(0.01)
    [(scans,)] = imports.query(SCANS, KEY_INDEX)
    return int(scans)


def load_and_count_looks(
    imports: Imports, rows: list[Row], keys: tuple[str, ...] = KEYS
) -> tuple[tuple[int, int, int, int], int]:
    """What became of the rows, and how often the server went through the index of references."""
    staged = imports.stage(rows, keys, plan=PLAN)
    before = scans_counted(imports)
    result = counts(imports.load(staged))
    return result, scans_counted(imports) - before


def test_an_export_imported_again_is_read_in_ranges(imports: Imports) -> None:
    """Nothing is looked for one by one, and nothing is touched."""
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    before = imports.query("SELECT id, ctid::text, xmin::text FROM nodes ORDER BY id")
    found, looks = load_and_count_looks(imports, rows_of(REFERENCES))
    assert found == (0, 0, 400, 0)
    assert looks < 10
    assert imports.query("SELECT id, ctid::text, xmin::text FROM nodes ORDER BY id") == before


def test_every_reference_that_can_be_stored_is_compared(imports: Imports) -> None:
    """Quotes, line ends, delimiters, backslashes and every alphabet survive the way back."""
    source = random.Random(7)
    alphabet = "\"\n\r,;\t\\' aAzäß€😀\u2028\x01\x7f"
    odd = {
        "x" + "".join(source.choices(alphabet, k=source.randint(1, 40))) + "x" for _ in range(3000)
    }
    imports.run(rows_of(sorted(odd)), KEYS, plan=PLAN)
    found, looks = load_and_count_looks(imports, rows_of(sorted(odd)))
    assert found == (0, 0, len(odd), 0)
    assert looks < 10


def test_only_what_differs_is_looked_for(imports: Imports) -> None:
    """Another value, another type, and a node whose values somebody else has written."""
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    imports.change(
        "UPDATE node_metadata SET metadata_value = 'x' WHERE metadata_value = 'name of r0009'"
    )
    changed = rows_of(["r0003"], city="Rom") + rows_of(["r0200"], node_type="PRODUCT")
    others = [reference for reference in REFERENCES if reference not in ("r0003", "r0200")]
    found, looks = load_and_count_looks(imports, changed + rows_of(others))
    assert found == (0, 3, 397, 0)
    assert looks < 20
    nodes = imports.nodes()
    assert nodes["r0003"] == ("USER", {"name": "name of r0003", "city": "Rom"})
    assert nodes["r0200"] == ("PRODUCT", {"name": "name of r0200", "city": "Ulm"})
    assert nodes["r0009"] == ("USER", {"name": "name of r0009", "city": "Ulm"})


def test_new_nodes_among_stored_ones_are_inserted(imports: Imports) -> None:
    """Every second one, and one that was deleted."""
    imports.run(rows_of(REFERENCES[::2]), KEYS, plan=PLAN)
    imports.change("DELETE FROM nodes WHERE reference_id = 'r0100'")
    found, looks = load_and_count_looks(imports, rows_of(REFERENCES))
    assert found == (201, 0, 199, 0)
    assert looks < 10
    expected = {r: ("USER", {"name": f"name of {r}", "city": "Ulm"}) for r in REFERENCES}
    assert imports.nodes() == expected


def test_the_last_row_of_a_reference_is_compared(imports: Imports) -> None:
    """Not an earlier one, which may be what is stored."""
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    twice = rows_of(REFERENCES) + rows_of(REFERENCES[:5], city="Rom")
    found, _ = load_and_count_looks(imports, twice)
    assert found == (0, 5, 395, 5)
    assert imports.nodes()["r0004"] == ("USER", {"name": "name of r0004", "city": "Rom"})
    back = rows_of(REFERENCES[:5], city="Bonn") + rows_of(REFERENCES[:5], city="Rom")
    found, _ = load_and_count_looks(imports, back + rows_of(REFERENCES[5:]))
    assert found == (0, 0, 400, 5)


def test_a_file_without_metadata_says_nothing_of_metadata(imports: Imports) -> None:
    """Its nodes are unchanged if their type is."""
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    rows: list[Row] = [(reference, "USER") for reference in REFERENCES[1:]]
    found, looks = load_and_count_looks(imports, [("r0000", "PRODUCT"), *rows], keys=())
    assert found == (0, 1, 399, 0)
    assert looks < 10


@pytest.mark.parametrize("place", [{"group": "h"}, {"tenant": "bolt"}])
def test_nodes_of_others_do_not_count(imports: Imports, place: dict[str, str]) -> None:
    """The same references in another group, or of another tenant."""
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    assert counts(imports.run(rows_of(REFERENCES), KEYS, plan=PLAN, **place)) == (400, 0, 0, 0)


def test_a_few_rows_of_a_large_group_are_looked_for(imports: Imports) -> None:
    """Reading all that lies between them would cost more."""
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    few = REFERENCES[::20]
    found, looks = load_and_count_looks(
        imports, rows_of(few[1:], city="Ulm") + rows_of(few[:1], "Rom")
    )
    assert found == (0, 1, 19, 0)
    assert looks >= 20


def test_a_crowd_between_two_references_is_not_read(imports: Imports) -> None:
    """Where many stored nodes lie between those of a file, its own are looked for."""
    crowd = [f"r0100-{number:05}" for number in range(2_000)]
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    imports.run(rows_of(crowd), KEYS, plan=PLAN)
    found, looks = load_and_count_looks(
        imports, rows_of(REFERENCES[:99], "Rom") + rows_of(REFERENCES[99:])
    )
    assert found == (0, 99, 301, 0)
    assert looks >= 400


def test_a_batch_that_would_take_too_much_memory_is_not_compared(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are looked for, slice by slice."""
    monkeypatch.setattr(comparison, "MOST_BYTES", 10_000)
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    found, looks = load_and_count_looks(imports, rows_of(REFERENCES))
    assert found == (0, 0, 400, 0)
    assert looks >= 400


def test_slices_are_loaded_when_the_comparison_gets_no_answer(
    imports: Imports, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for a lock for too long and says so, and the slices do without it."""
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    staged = imports.stage(rows_of(REFERENCES, city="Rom"), KEYS, plan=PLAN)
    impatient = Database(imports.database.importer_dsn, lock_timeout=1.0)
    with other_writer(imports) as other, loading(imports, staged, importer=impatient) as load:
        other.execute("LOCK TABLE nodes")
        [first] = until_blocked(imports)
        until_blocked(imports, besides=first)
        other.commit()
        assert counts(load.result()) == (0, 400, 0, 0)
    [said] = [record.message for record in caplog.records if "compared" in record.message]
    assert "lock timeout" in said


def test_a_stop_ends_the_comparison(imports: Imports) -> None:
    """No slice is begun after it."""
    imports.run(rows_of(REFERENCES), KEYS, plan=PLAN)
    staged = imports.stage(rows_of(REFERENCES, city="Rom"), KEYS, plan=PLAN)
    stop = threading.Event()
    with other_writer(imports) as other, loading(imports, staged, stop=stop) as load:
        other.execute("LOCK TABLE nodes")
        until_blocked(imports)
        stop.set()
        result = load.result(timeout=20)
    assert result.slices == ()
    assert result.unfinished == tuple(range(8))
    assert {metadata["city"] for _, metadata in imports.nodes().values()} == {"Ulm"}
