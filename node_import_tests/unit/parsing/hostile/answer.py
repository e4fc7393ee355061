"""Holding a result against the answer that a hostile file gives by hand."""

from __future__ import annotations

from node_import.contracts.error_codes import ErrorCode
from node_import_tests.unit.parsing.hostile.case import HostileFile
from node_import_tests.unit.parsing.reference_parser import ReferenceResult


def assert_as_written(result: ReferenceResult, file: HostileFile) -> None:
    """Error, rows and rejects are those of `file`, and its columns and values where given."""
    assert result.error == file.error
    if result.error == ErrorCode.DECOMPRESSED_TOO_LARGE:
        return  # how much of it is read before that is up to the reader
    assert tuple(row.reference for row in result.rows) == file.rows
    assert tuple((reject.line, reject.code) for reject in result.rejects) == file.rejects
    assert file.columns in (None, result.columns)
    if file.values is not None:
        assert result.rows[0].values == file.values
