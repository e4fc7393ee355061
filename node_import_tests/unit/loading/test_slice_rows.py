"""What is sent of a slice."""

from __future__ import annotations

import csv
import io

import polars as pl
import pytest

from node_import.loading import slice_rows
from node_import.loading.slice_rows import csv_blocks, prepared_rows, rows_with_values


def staged(*rows: tuple[str, str | None]) -> pl.DataFrame:
    """Staged rows of (reference, value), in file order."""
    schema = {
        "reference_id": pl.String,
        "type": pl.String,
        "v0": pl.String,
        "content_hash": pl.Int64,
    }
    records = [(reference, "USER", value, at) for at, (reference, value) in enumerate(rows)]
    return pl.DataFrame(records, schema=schema, orient="row")


def test_the_last_row_of_a_reference_wins() -> None:
    """The earlier ones are counted, and left out."""
    prepared = prepared_rows(staged(("a", "old"), ("b", "only"), ("a", "new")))
    assert prepared.rows.select("reference_id", "v0").rows() == [("a", "new"), ("b", "only")]
    assert (prepared.duplicate, prepared.unchanged) == (1, 0)


def test_rows_that_are_known_to_be_unchanged_are_left_out() -> None:
    """The others keep their order, and are numbered anew."""
    rows = staged(("a", "old"), ("c", "3"), ("b", "2"), ("a", "new"), ("d", "4"))
    prepared = prepared_rows(rows, pl.Series(["a", "c"]), is_new=True)
    assert prepared.rows.select("ord", "reference_id").rows() == [(0, "b"), (1, "d")]
    assert (prepared.duplicate, prepared.unchanged, prepared.is_new) == (1, 2, True)


def test_rows_are_in_the_order_of_the_bytes_of_their_references() -> None:
    """The order is that of PostgreSQL's collation C, for locks and indexes."""
    references = ["é", "z", "a", "Z", "10", "9", "a b", "\U0001f600", "\uffff"]
    rows = staged(*[(reference, None) for reference in references])
    ordered = prepared_rows(rows).rows
    assert ordered["reference_id"].to_list() == sorted(references, key=str.encode)
    assert ordered["ord"].to_list() == list(range(len(references)))


def test_values_are_sent_for_new_and_suspect_nodes_alone() -> None:
    """A stored node keeps its id; one that is known to be unchanged is left out."""
    rows = prepared_rows(staged(("a", "1"), ("b", "2"), ("c", "3"))).rows
    needed = rows_with_values(rows, [(0, None), (1, "id of b")])
    assert needed.select("reference_id", "is_new").rows() == [("b", False), ("c", True)]
    assert needed["node_id"].to_list() == ["id of b", rows["node_id"][2]]


def test_null_is_an_empty_field_and_text_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reader of CSV gets every value back, however the rows are cut into blocks."""
    monkeypatch.setattr(slice_rows, "BLOCK_BYTES", 1)
    values = ['"', "a\nb", "\r", ",", "\\.", "NULL", " x ", "a\n\\.\nb", None]
    rows = staged(*[("r", value) for value in values])
    blocks = list(csv_blocks(rows.select("content_hash", "v0")))
    read = csv.reader(io.StringIO(b"".join(blocks).decode(), newline=""))
    assert len(blocks) == len(values)
    assert [row[1] or None for row in read] == values
    assert blocks[-1] == b"8,\n"
