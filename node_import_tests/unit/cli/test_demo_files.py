"""The files of the demo hold what the demo expects of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from node_import.cli.demo_files import METADATA_COLUMNS, clean_file, dirty_file
from node_import.parsing.check import check_file


@pytest.mark.parametrize("users", [1, 7, 2_000])
def test_the_bad_rows_are_the_ones_announced(tmp_path: Path, users: int) -> None:
    """Every code as often as said, however many users there are."""
    file = dirty_file(tmp_path, users)
    with file.path.open("rb") as stream:
        found = check_file(stream)
    assert (found.error, found.accepted, found.rows) == (None, users, file.rows)
    assert found.rejects == file.rejects
    assert found.duplicates == 0


def test_the_clean_file_is_clean(tmp_path: Path) -> None:
    """Five metadata columns beside reference and type."""
    file = clean_file(tmp_path, 2_000)
    with file.path.open("rb") as stream:
        found = check_file(stream)
    assert (found.error, found.accepted, found.rejected) == (None, 2_000, 0)
    assert len(found.columns) == METADATA_COLUMNS + 2


def test_a_second_demo_makes_the_same_file(tmp_path: Path) -> None:
    """So that its rows are found unchanged."""
    assert (
        clean_file(tmp_path, 50).path.read_bytes()[10:]
        == (clean_file(tmp_path, 50).path.read_bytes()[10:])
    )
