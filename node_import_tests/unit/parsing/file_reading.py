"""The product's reader, asked for the same things as the reference parser."""

from __future__ import annotations

import io

import polars as pl

from node_import.errors import PermanentError
from node_import.parsing.file_reader import FileReader
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.reference_parser import BadRow, GoodRow, ReferenceResult

REFERENCE_OF_REJECT = ("INVALID_TYPE", "VALUE_TOO_LONG")


class SlowStream(io.BytesIO):
    """A stream as a socket has it: it gives fewer bytes than it was asked for."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = self._most
        return super().read(min(size, self._most))


def read_file(data: bytes, rules: ParseRules, most: int | None = None) -> ReferenceResult:
    """What `FileReader` makes of `data`; `most` bytes at a time come from its stream."""
    stream = io.BytesIO(data) if most is None else SlowStream(data, most)
    try:
        reader = FileReader(stream, rules, compressed_bytes=len(data))
        header = reader.header
    except PermanentError as error:
        return ReferenceResult(error=error.code)
    result = ReferenceResult(
        header_raw=header.raw,
        columns=tuple(header.columns),
        delimiter=header.delimiter,
        reference_column=header.reference_column,
        metadata_keys=tuple(header.metadata_keys),
    )
    fragment = b""  # of a record that is too long to be held: its end is a later block's reject
    try:
        for block in reader.blocks():
            result.rows += good_rows(block.rows, result.metadata_keys)
            for reject in block.rejects:
                assert reject.message
                told = reject.column is not None and reject.code in REFERENCE_OF_REJECT
                result.rejects.append(
                    BadRow(
                        reject.line,
                        reject.code,
                        reject.column,
                        fragment + reject.record,
                        reject.reference if told else None,
                    )
                )
                fragment = b""
            fragment += block.fragment
    except PermanentError as error:
        result.error = error.code
    return result


def good_rows(frame: pl.DataFrame, keys: tuple[str, ...]) -> list[GoodRow]:
    """The rows of a block, which must have the promised columns and types."""
    assert frame.columns == ["line", "reference_id", "type", *(f"v{i}" for i in range(len(keys)))]
    assert frame.dtypes == [pl.Int64, *[pl.String] * (len(keys) + 2)]
    rows = []
    for line, reference, kind, *values in frame.iter_rows():
        assert "" not in values  # an empty value is no value
        metadata = {
            key: value for key, value in zip(keys, values, strict=True) if value is not None
        }
        rows.append(GoodRow(line, reference, kind, metadata))
    return rows
