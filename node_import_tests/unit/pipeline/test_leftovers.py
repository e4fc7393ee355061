"""Staging areas of attempts that are over."""

from __future__ import annotations

import uuid
from pathlib import Path

from node_import.pipeline.leftovers import area_name, remove_areas_of
from node_import.staging.areas import LocalStagingAreas


def test_a_close_removes_this_attempt_and_earlier_ones(tmp_path: Path) -> None:
    """A later attempt, another job and whatever is not ours stay."""
    job, other = uuid.uuid4(), uuid.uuid4()
    names = [area_name(job, n) for n in (1, 2, 10)] + [area_name(other, 1), f"{job}-x", f"{job}"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "segment-00000").write_bytes(b"x")
    remove_areas_of(LocalStagingAreas(tmp_path), job, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[2:])


def test_no_folder_is_no_trouble(tmp_path: Path) -> None:
    """Nothing was ever staged on this machine."""
    remove_areas_of(LocalStagingAreas(tmp_path / "missing"), uuid.uuid4(), 1)
