"""Staging areas on a disk and in the object store: one set of tests for both."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from node_import.errors import TransientError
from node_import.objects import upload
from node_import.objects.store import ObjectStore
from node_import.sizes import GIB, MIB
from node_import.staging.area import StagingArea
from node_import.staging.areas import LocalStagingAreas, ObjectStagingAreas, StagingAreas
from node_import.staging.plan import Plan
from node_import.staging.segments import (
    SegmentWriter,
    StagedRowsLost,
    read_references,
    read_slice,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT = bytes(range(256)) * 100
PART = 5 * MIB  # the least that S3 takes


@pytest.fixture(params=["disk", "object store"])
def areas(request: pytest.FixtureRequest, tmp_path: Path) -> StagingAreas:
    """All areas of a deployment."""
    if request.param == "disk":
        return LocalStagingAreas(tmp_path / "staging")
    return ObjectStagingAreas(request.getfixturevalue("store"))


@pytest.fixture
def store(s3_client: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A store with a bucket of its own, that writes in small parts."""
    monkeypatch.setattr(upload, "PART_BYTES", PART)
    return ObjectStore(s3_client, bucket=bucket, max_file_bytes=GIB)


def put(area: StagingArea, name: str, content: bytes = CONTENT) -> None:
    """Write a file."""
    with area.write(name) as file:
        file.write(content)


def names(areas: StagingAreas, prefix: str = "") -> list[str]:
    """The areas that exist."""
    return sorted(found.name for found in areas.found(prefix))


def test_what_is_written_is_read_by_range(areas: StagingAreas) -> None:
    """From any offset, and no further than the file goes."""
    area = areas.area("a-1")
    put(area, "segment")
    assert area.read("segment", 0, 10) == CONTENT[:10]
    assert area.read("segment", 1_000, 3_000) == CONTENT[1_000:4_000]
    assert area.read("segment", len(CONTENT) - 5, 5) == CONTENT[-5:]
    assert area.read("segment", len(CONTENT) - 5, 100) == CONTENT[-5:]
    assert area.read("segment", len(CONTENT) + 1, 100) == b""


@pytest.mark.parametrize("size", [0, 1, len(CONTENT), 11 * MIB])
def test_what_is_written_is_read_whole(areas: StagingAreas, size: int) -> None:
    """Whatever its size, as a stream of lines too."""
    area = areas.area("a-1")
    content = (CONTENT * (size // len(CONTENT) + 1))[:size]
    put(area, "list", content)
    with area.open("list") as file:
        assert b"".join(file) == content


def test_a_file_that_broke_off_is_not_there(areas: StagingAreas) -> None:
    """It is visible whole or not at all, and may be written again."""
    area = areas.area("a-1")

    def write_and_fail() -> None:
        with area.write("segment") as file:
            file.write(CONTENT * 500)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with pytest.raises(FileNotFoundError):
        area.read("segment", 0, 1)
    put(area, "segment")
    assert area.read("segment", 0, 1) == CONTENT[:1]


def test_what_is_gone_is_not_found(areas: StagingAreas) -> None:
    """By range or whole, whether the file is missing or the whole area."""
    area = areas.area("a-1")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            area.read("segment", 0, 1)
        with pytest.raises(FileNotFoundError):
            area.open("segment")
        put(area, "another")


def test_an_area_is_removed_alone(areas: StagingAreas) -> None:
    """With all its files, and nothing of an area whose name begins like it; again is harmless."""
    for name in ("a-1", "a-10", "b-1"):
        put(areas.area(name), "one")
        put(areas.area(name), "two")
    areas.area("a-1").remove()
    areas.area("a-1").remove()
    assert names(areas) == ["a-10", "b-1"]
    with pytest.raises(FileNotFoundError):
        areas.area("a-1").read("one", 0, 1)


def test_areas_are_found_with_the_time_of_their_last_file(areas: StagingAreas) -> None:
    """By the beginning of their name; none where nothing was ever staged."""
    assert names(areas) == []
    before = time.time()
    put(areas.area("a-1"), "one")
    put(areas.area("b-1"), "one")
    assert names(areas) == ["a-1", "b-1"]
    [found] = areas.found("a-")
    assert found.name == "a-1"
    assert abs(found.written - before) < 300  # two clocks


def test_an_area_is_as_old_as_its_last_file(tmp_path: Path) -> None:
    """On a disk, where a test can turn the clock back."""
    areas = LocalStagingAreas(tmp_path)
    put(areas.area("a-1"), "one")
    os.utime(tmp_path / "a-1", (1_000, 1_000))
    assert [found.written for found in areas.found()] == [1_000]
    put(areas.area("a-1"), "two")
    assert next(areas.found()).written > 1_000


def test_slices_are_read_back_by_many_threads(areas: StagingAreas) -> None:
    """Staged in segments, loaded slice by slice: every row once."""
    plan = Plan(slices=8, batches=2)
    area = areas.area("a-1")
    writer = SegmentWriter(area, plan, ("name",), flush_bytes=20_000)
    rows = pl.DataFrame(
        {"line": range(2, 5_002), "reference_id": [f"u-{n}" for n in range(5_000)]}
    ).with_columns(type=pl.lit("USER"), v0=pl.col("reference_id") + " by name")
    for start in range(0, 5_000, 500):
        writer.add(rows.slice(start, 500))
    segments = writer.close()
    assert len(segments) > 3
    with ThreadPoolExecutor(4) as threads:
        slices = list(threads.map(lambda n: read_slice(area, segments, n), range(plan.slices)))
    found = pl.concat(slices).drop("content_hash").sort("reference_id")
    assert found.equals(rows.drop("line").sort("reference_id"))
    assert len(read_references(area, segments, [3])) == slices[3].height


def test_rows_that_are_gone_are_lost(areas: StagingAreas) -> None:
    """An error that says so, not an empty slice."""
    area = areas.area("a-1")
    writer = SegmentWriter(area, Plan(1, 1), ())
    writer.add(pl.DataFrame({"line": [2], "reference_id": ["u"], "type": ["USER"]}))
    segments = writer.close()
    area.remove()
    with pytest.raises(StagedRowsLost, match="the source has to be read again"):
        read_slice(area, segments, 0)


def test_a_store_without_the_bucket_is_an_outage(
    s3_client: S3Client, unique_name: Callable[[str], str]
) -> None:
    """Nothing is taken for lost: the setting is named."""
    gone = ObjectStore(s3_client, bucket=unique_name("none"), max_file_bytes=GIB)
    area = ObjectStagingAreas(gone).area("a-1")
    for act in (lambda: area.read("one", 0, 1), lambda: area.open("one"), area.remove):
        with pytest.raises(TransientError, match="NODE_IMPORT_S3_BUCKET"):
            act()
