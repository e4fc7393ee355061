"""What is sent of a slice."""

from __future__ import annotations

import csv
import io

import polars as pl
import pytest

from node_import.loading import slice_rows
from node_import.loading.slice_rows import csv_blocks, prepared_rows, rows_with_values


def staged(*rows: tuple[int, str, str | None]) -> pl.DataFrame:
    """Staged rows of (line, reference, value)."""
    schema = {
        "line": pl.Int64,
        "reference_id": pl.String,
        "type": pl.String,
        "v0": pl.String,
        "content_hash": pl.Int64,
    }
    records = [(line, reference, "USER", value, line) for line, reference, value in rows]
    return pl.DataFrame(records, schema=schema, orient="row")


def test_the_row_with_the_highest_line_wins() -> None:
    """Of several rows with one reference the last one counts, in whatever order they come."""
    prepared = prepared_rows(staged((9, "a", "new"), (2, "b", "only"), (3, "a", "old")))
    assert prepared.rows.select("reference_id", "v0").rows() == [("a", "new"), ("b", "only")]
    assert prepared.duplicate == 1


def test_rows_are_in_the_order_of_the_bytes_of_their_references() -> None:
    """The order is that of PostgreSQL's collation C, for locks and indexes."""
    references = ["é", "z", "a", "Z", "10", "9", "a b", "\U0001f600", "\uffff"]
    rows = staged(*[(line, reference, None) for line, reference in enumerate(references)])
    ordered = prepared_rows(rows).rows
    assert ordered["reference_id"].to_list() == sorted(references, key=str.encode)
    assert ordered["ord"].to_list() == list(range(len(references)))


def test_values_are_sent_for_new_and_suspect_nodes_alone() -> None:
    """A stored node keeps its id; one that is known to be unchanged is left out."""
    rows = prepared_rows(staged((2, "a", "1"), (3, "b", "2"), (4, "c", "3"))).rows
    needed = rows_with_values(rows, [(0, None), (1, "id of b")])
    assert needed.select("reference_id", "is_new").rows() == [("b", False), ("c", True)]
    assert needed["node_id"].to_list() == ["id of b", rows["node_id"][2]]


def test_null_is_an_empty_field_and_text_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reader of CSV gets every value back, however the rows are cut into blocks."""
    monkeypatch.setattr(slice_rows, "BLOCK_BYTES", 1)
    values = ['"', "a\nb", "\r", ",", "\\.", "NULL", " x ", "a\n\\.\nb", None]
    rows = staged(*[(line, "r", value) for line, value in enumerate(values)])
    blocks = list(csv_blocks(rows.select("line", "v0")))
    read = csv.reader(io.StringIO(b"".join(blocks).decode(), newline=""))
    assert len(blocks) == len(values)
    assert [row[1] or None for row in read] == values
    assert blocks[-1] == b"8,\n"
