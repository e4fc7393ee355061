"""Segments: what is staged is read back, by slice, whatever the buffers."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_import.sizes import MIB
from node_import.staging.area import LocalStagingArea
from node_import.staging.manifest import Segment
from node_import.staging.plan import Plan
from node_import.staging.segments import (
    FEW_ROWS,
    SegmentWriter,
    StagedRowsLost,
    read_references,
    read_slice,
)
from node_import_tests.unit.staging.xxh64 import xxh64

KEYS = ("name", "city")
SCHEMA = {"line": pl.Int64, "reference_id": pl.String, "type": pl.String}
VALUES = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
REFERENCES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)


def frame(rows: list[tuple[str, str | None, str | None]], first_line: int = 2) -> pl.DataFrame:
    """Parsed rows: reference and two values each."""
    records = [
        {"line": first_line + index, "reference_id": ref, "type": "USER", "v0": one, "v1": two}
        for index, (ref, one, two) in enumerate(rows)
    ]
    return pl.DataFrame(records, schema={**SCHEMA, "v0": pl.String, "v1": pl.String})


def stage(
    folder: Path, plan: Plan, rows: pl.DataFrame, block: int, flush_bytes: int
) -> tuple[LocalStagingArea, tuple[Segment, ...]]:
    """`rows` staged in blocks of `block` rows."""
    area = LocalStagingArea(folder)
    writer = SegmentWriter(area, plan, KEYS, flush_bytes)
    for start in range(0, rows.height, block):
        writer.add(rows.slice(start, block))
    return area, writer.close()


@given(
    rows=st.lists(st.tuples(REFERENCES, VALUES, VALUES), max_size=40),
    slices=st.sampled_from([1, 2, 8, 64]),
    block=st.integers(1, 50),
    flush_bytes=st.sampled_from([1, 200, 10_000]),
)
def test_every_row_is_read_back_from_the_slice_of_its_hash(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str | None, str | None]],
    slices: int,
    block: int,
    flush_bytes: int,
) -> None:
    """A slice holds the rows whose hash begins with its number, in file order, values intact."""
    parsed = frame(rows)
    folder = tmp_path_factory.mktemp("area")
    area, segments = stage(folder, Plan(slices=slices, batches=1), parsed, block, flush_bytes)
    for slice_no in range(slices):
        expected = [
            row for row in parsed.rows() if xxh64(row[1].encode()) * slices // 2**64 == slice_no
        ]
        found = read_slice(area, segments, slice_no)
        assert found.drop("content_hash", strict=False).rows() == [row[1:] for row in expected]
        references = read_references(area, segments, [slice_no]).to_list()
        assert references == [row[1] for row in expected]
        chunks = [chunk for segment in segments for chunk in segment.chunks]
        indexed = sum(chunk.rows for chunk in chunks if chunk.slice_no == slice_no)
        assert indexed == len(expected)


def test_equal_content_has_an_equal_hash_in_every_segment(tmp_path: Path) -> None:
    """The content hash is staged, and does not depend on the reference or the segment."""
    rows = frame([("a", "1", None), ("b", "1", None), ("c", None, "1")])
    area, segments = stage(tmp_path, Plan(slices=1, batches=1), rows, block=1, flush_bytes=1)
    hashes = read_slice(area, segments, 0)["content_hash"].to_list()
    assert len(segments) == 3
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_slice_of_few_and_of_many_rows_a_segment_is_one(tmp_path: Path) -> None:
    """However many rows of a slice were buffered, they are read back in file order."""
    area = LocalStagingArea(tmp_path)
    writer = SegmentWriter(area, Plan(slices=1, batches=1), KEYS, flush_bytes=1)
    rows = frame([(f"r-{number}", "Zürich", None) for number in range(3 * FEW_ROWS)])
    writer.add(rows.head(1))
    writer.add(rows.slice(1, 2 * FEW_ROWS))
    writer.add(rows.slice(1 + 2 * FEW_ROWS))
    segments = writer.close()
    assert len(segments) == 3
    found = read_slice(area, segments, 0).drop("content_hash")
    assert found.equals(rows.drop("line"))


def test_references_of_neighbours_are_one_read_a_segment(tmp_path: Path) -> None:
    """Of the slices that are asked for alone: where staging is far, each read is a request."""
    rows = frame([(f"r-{number}", None, None) for number in range(200)])
    area, segments = stage(tmp_path, Plan(slices=16, batches=1), rows, 50, 1)
    reads = []
    read = area.read
    area.read = lambda *where: reads.append(where) or read(*where)  # type: ignore[method-assign]
    found = read_references(area, segments, [3, 4, 6])
    assert len(segments) == 4
    assert len(reads) == 4
    expected = [read_slice(area, segments, number)["reference_id"] for number in (3, 4, 6)]
    assert sorted(found) == sorted(pl.concat(expected))


def test_more_columns_than_rows_are_read_back(tmp_path: Path) -> None:
    """Rows of 999 values survive, few to a chunk."""
    keys = [f"key_{index}" for index in range(999)]
    row: dict[str, object] = {"line": 2, "reference_id": "r", "type": "USER"}
    row |= {f"v{index}": f"value {index}" if index % 2 else None for index in range(999)}
    parsed = pl.DataFrame([row], schema={**SCHEMA, **{f"v{i}": pl.String for i in range(999)}})
    area = LocalStagingArea(tmp_path)
    writer = SegmentWriter(area, Plan(slices=1, batches=1), keys)
    writer.add(parsed)
    found = read_slice(area, writer.close(), 0).drop("content_hash")
    assert found.equals(parsed.drop("line"))


def test_rows_of_many_empty_columns_are_not_gathered_for_long(tmp_path: Path) -> None:
    """Each cell takes 16 bytes of memory, whatever is in it: of a million, more than 8 MiB."""
    values = {f"v{index}": pl.Series([None] * 100, dtype=pl.String) for index in range(999)}
    names = [f"r-{number}" for number in range(100)]
    rows = pl.DataFrame({"line": range(100), "reference_id": names, "type": "USER", **values})
    keys = [f"key_{index}" for index in range(999)]
    area = LocalStagingArea(tmp_path)
    writer = SegmentWriter(area, Plan(slices=1, batches=1), keys, flush_bytes=8 * MIB)
    for _ in range(10):
        writer.add(rows)
    assert len(writer.close()) > 1


def test_staged_rows_are_smaller_than_their_csv(tmp_path: Path) -> None:
    """Staging a file takes less room than the file."""
    rows = frame([(f"user-{number:08d}", f"Name {number}", "Zürich") for number in range(20_000)])
    area = LocalStagingArea(tmp_path)
    writer = SegmentWriter(area, Plan(slices=16, batches=4), KEYS)
    writer.add(rows)
    writer.close()
    assert writer.staged_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert writer.staged_bytes < len(rows.drop("line").write_csv().encode()) / 2


def test_nothing_staged_is_no_segment(tmp_path: Path) -> None:
    """A file without rows leaves no files and empty slices."""
    area, segments = stage(tmp_path, Plan(slices=1, batches=1), frame([]), 1, 1)
    assert segments == ()
    assert read_slice(area, segments, 0).is_empty()
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_is_gone_is_told_from_an_empty_slice(tmp_path: Path) -> None:
    """Rows that were staged and are no longer there are an error, not an empty slice."""
    area, segments = stage(tmp_path, Plan(slices=1, batches=1), frame([("a", None, None)]), 1, 1)
    area.remove()
    with pytest.raises(StagedRowsLost, match="segment-00000 is gone"):
        read_slice(area, segments, 0)
