"""Staging: what the loader finds, and the manifest that tells of it."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.node_type import NodeType
from node_import.parsing.reject_file import reject_file_at
from node_import.parsing.rules import ParseRules
from node_import.parsing.stage import stage_file, stage_references
from node_import.staging.area import LocalStagingArea
from node_import.staging.manifest import Manifest
from node_import.staging.plan import Plan
from node_import.staging.segments import read_slice

PLAN = Plan(slices=4, batches=2)


class Staging:
    """A folder for one job's rows and rejects."""

    def __init__(self, folder: Path) -> None:
        self.area = LocalStagingArea(folder / "area")
        self.rejects = folder / "rejects.csv"

    def file(self, data: bytes, *, compressed_bytes: int | None = None, **rules: Any) -> Manifest:
        with reject_file_at(self.rejects) as rejects:
            return stage_file(
                io.BytesIO(data),
                rules=ParseRules(**rules),
                plan=PLAN,
                area=self.area,
                job_id="job",
                domain_id="domain",
                object_version="v1",
                compressed_bytes=compressed_bytes,
                source_url="s3://b/k",
                rejects=rejects,
            )

    def references(self, references: list[str], **rules: Any) -> Manifest:
        with reject_file_at(self.rejects) as rejects:
            return stage_references(
                references,
                rules=ParseRules(**rules),
                plan=PLAN,
                area=self.area,
                job_id="job",
                domain_id="domain",
                object_version="",
                rejects=rejects,
            )

    def rows(self, manifest: Manifest) -> list[tuple[object, ...]]:
        """All staged rows by reference, those of one in file order; without their content hash."""
        slices = [read_slice(self.area, manifest.segments, n) for n in range(PLAN.slices)]
        rows = pl.concat([rows for rows in slices if rows.height])
        rows = rows.sort("reference_id", maintain_order=True)
        return rows.drop("content_hash").rows()

    def rejected_references(self, manifest: Manifest) -> list[str]:
        assert manifest.rejected_references is not None
        with self.area.open(manifest.rejected_references) as file:
            return [json.loads(line) for line in file]


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path)


def test_rows_are_staged(staging: Staging) -> None:
    """Rows by slice, the manifest with their keys and counts; no rejects, no reject file."""
    data = gzip.compress(b"name,id\nx,r1\n,r2\ny,r1\n")
    manifest = staging.file(data, compressed_bytes=len(data), default_type=NodeType.PRODUCT)
    assert staging.rows(manifest) == [
        ("r1", "PRODUCT", "x"),
        ("r1", "PRODUCT", "y"),
        ("r2", "PRODUCT", None),
    ]
    assert manifest.metadata_keys == ("name",)
    assert (manifest.total_rows, manifest.accepted_rows, manifest.rejected_rows) == (3, 3, 0)
    assert (manifest.csv_bytes, manifest.compressed_bytes) == (22, len(data))
    assert manifest.staged_bytes > 0
    assert manifest.failure is manifest.rejects_url is manifest.rejected_references is None
    assert (manifest.job_id, manifest.domain_id) == ("job", "domain")
    assert (manifest.object_version, manifest.source_url) == ("v1", "s3://b/k")
    assert not staging.rejects.exists()


def test_rejects_are_kept_and_counted(staging: Staging) -> None:
    """Rejected references are distinct and in file order; the reject file has its URL."""
    data = b"id,type\nb,bad\nr1,\na,bad\nb,bad\n,\nc\n"
    manifest = staging.file(data, block_bytes=8)
    assert (manifest.total_rows, manifest.accepted_rows) == (6, 1)
    assert manifest.rejects_by_code == {
        "INVALID_TYPE": 3,
        "MISSING_REFERENCE_ID": 1,
        "COLUMN_COUNT_MISMATCH": 1,
    }
    assert staging.rejected_references(manifest) == ["b", "a", "c"]
    assert manifest.rejects_url == str(staging.rejects)
    assert staging.rejects.read_bytes() == b"id,type\nb,bad\na,bad\nb,bad\n,\nc\n"


def test_a_file_with_a_header_alone(staging: Staging) -> None:
    """No rows, no segments, no failure."""
    manifest = staging.file(b"id,a\n")
    assert (manifest.total_rows, manifest.segments, manifest.failure) == (0, (), None)
    assert manifest.metadata_keys == ("a",)


def test_a_header_fault_is_a_failure(staging: Staging) -> None:
    """Nothing is staged, and the manifest says why."""
    manifest = staging.file(b"name\nx\n")
    assert manifest.failure is not None
    assert manifest.failure.code == ErrorCode.NO_REFERENCE_COLUMN
    assert manifest.segments == ()
    assert manifest.total_rows == 0


def test_a_file_that_breaks_is_counted_up_to_there(staging: Staging) -> None:
    """It has a failure, so nothing is loaded; its rows are staged for their references."""
    rows = b"".join(b"r%d\n" % (n * 7919) for n in range(50))
    manifest = staging.file(gzip.compress(b"id\n \n" + rows)[:-9])
    assert manifest.failure is not None
    assert manifest.failure.code == ErrorCode.CORRUPT_GZIP
    assert len(staging.rows(manifest)) == manifest.accepted_rows
    assert 0 < manifest.accepted_rows <= 50
    assert manifest.total_rows == manifest.accepted_rows + 1
    assert staging.rejects.read_bytes() == b"id\n \n"


def test_too_many_rejects_are_a_failure(staging: Staging) -> None:
    """Those that were allowed are in the reject file."""
    manifest = staging.file(b"id\n \nr1\n \n \n", max_rejects=2)
    assert manifest.failure is not None
    assert manifest.failure.code == ErrorCode.TOO_MANY_REJECTS
    assert (manifest.total_rows, manifest.rejected_rows) == (3, 2)
    assert staging.rejects.read_bytes() == b"id\n \n \n"


def test_a_list_of_references(staging: Staging) -> None:
    """Entries are trimmed and judged like a file's; their line is their position, from 1."""
    entries = ["r1", "", " r2\u00a0", "  ", "x" * 256, 'a,"b"\n', '"' + "y" * 255]
    manifest = staging.references(entries, default_type=NodeType.RESOURCE)
    assert staging.rows(manifest) == [
        ('a,"b"', "RESOURCE"),
        ("r1", "RESOURCE"),
        ("r2", "RESOURCE"),
    ]
    assert manifest.rejects_by_code == {"MISSING_REFERENCE_ID": 2, "REFERENCE_ID_TOO_LONG": 2}
    assert (manifest.total_rows, manifest.metadata_keys) == (7, ())
    assert staging.rejects.read_text() == "\n".join(
        ["reference_id", '""', "  ", "x" * 256, '"""' + "y" * 255 + '"', ""]
    )
    reasons = staging.rejects.with_name("rejects.csv.reasons.jsonl").read_text().splitlines()
    assert [json.loads(reason)["line"] for reason in reasons] == [2, 4, 5, 7]


def test_a_long_list_of_references(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions go on from block to block."""
    monkeypatch.setattr("node_import.parsing.reference_list._BLOCK_ROWS", 10)
    manifest = staging.references([*(f"r{n:02}" for n in range(25)), ""])
    assert staging.rows(manifest) == [(f"r{n:02}", "USER") for n in range(25)]
    reasons = staging.rejects.with_name("rejects.csv.reasons.jsonl").read_text()
    assert json.loads(reasons)["line"] == 26
