"""The reference parser itself: it gives the answers that were written by hand."""

from __future__ import annotations

import pytest

from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.hostile import HOSTILE_FILES, HostileFile, assert_as_written
from node_import_tests.unit.parsing.reference_parser import reference_parse

QUICK = 20_000  # bytes; it takes half a second for a megabyte


@pytest.mark.parametrize(
    "file",
    [file for file in HOSTILE_FILES if len(file.data) < QUICK],
    ids=lambda file: file.name.replace(" ", "-"),
)
def test_hostile_file(file: HostileFile) -> None:
    """The answer of the reference is the one that the file's author read in the contract."""
    assert_as_written(reference_parse(file.data, file.rules), file)


def test_the_last_good_row_of_a_reference_wins() -> None:
    """It counts whole: values of earlier rows are not mixed in, and bad rows do not count."""
    data = b"id,a,type\n1,x,\n2,y,\n1,,PRODUCT\n1,z,bad\n"
    winner = reference_parse(data, ParseRules()).winners["1"]
    assert (winner.line, winner.type, winner.values) == (4, "PRODUCT", {})
