"""What `check` says of a file, and the reject file it writes, against the reference parser."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from node_import.parsing.check import check_file
from node_import.parsing.reject_file import RejectFile
from node_import_tests.unit.parsing import plain_files, strategies
from node_import_tests.unit.parsing.profile import examples
from node_import_tests.unit.parsing.reference_parser import reference_parse
from node_import_tests.unit.parsing.strategies import NastyFile


class Kept:
    """An object that is written whole, and kept."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    @contextmanager
    def open(self) -> Iterator[io.BytesIO]:
        stream = io.BytesIO()
        yield stream
        self.data = stream.getvalue()


@given(strategies.nasty_files(st.one_of(plain_files.tables(), plain_files.dense_files())))
@examples(150)
def test_check(file: NastyFile) -> None:
    """Its counts, its columns, and both objects of the rejects, byte for byte."""
    expected = reference_parse(file.data, file.rules)
    records, reasons = Kept(), Kept()
    with RejectFile(records.open, reasons.open, "url") as rejects:
        result = check_file(io.BytesIO(file.data), file.rules, rejects=rejects)
    assert (result.error and result.error.code) == expected.error
    if expected.error is not None:
        return
    assert result.columns == expected.columns
    assert result.reference_column == expected.reference_column
    assert result.delimiter == expected.delimiter
    assert result.accepted == len(expected.rows)
    assert result.duplicates == len(expected.rows) - len(expected.winners)
    assert result.rejects == Counter(reject.code for reject in expected.rejects)
    if not expected.rejects:
        assert records.data is None
        assert reasons.data is None
        return
    bad_records = b"".join(reject.record for reject in expected.rejects)
    assert records.data == expected.header_raw + bad_records
    assert reasons.data is not None
    lines = [json.loads(line) for line in reasons.data.splitlines()]
    assert [(line["line"], line["code"], line["column"]) for line in lines] == [
        (reject.line, reject.code, reject.column) for reject in expected.rejects
    ]
    assert all(list(line) == ["line", "code", "column", "message"] for line in lines)
