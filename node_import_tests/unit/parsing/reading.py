"""Reads small files whole, for tests."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError
from node_import.parsing.file_reader import FileReader
from node_import.parsing.reject import Reject
from node_import.parsing.rules import ParseRules

Row = tuple[object, ...]


@dataclass
class WholeFile:
    """All rows and rejects of a file, and what stopped its reading."""

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    error: ErrorCode | None = None

    @property
    def references(self) -> list[object]:
        return [row[1] for row in self.rows]

    @property
    def codes(self) -> list[tuple[int, str]]:
        return [(reject.line, str(reject.code)) for reject in self.rejects]


def read_whole(data: bytes, *, compressed_bytes: int | None = None, **rules: object) -> WholeFile:
    """Read `data` with the given rules; a header fault is an error like any other."""
    reader = FileReader(
        io.BytesIO(data),
        ParseRules(**rules),  # type: ignore[arg-type]
        compressed_bytes=compressed_bytes,
    )
    whole = WholeFile()
    fragment = b""
    try:
        for block in reader.blocks():
            whole.rows += block.rows.rows()
            for reject in block.rejects:
                whole.rejects.append(_with_beginning(reject, fragment))
                fragment = b""
            fragment += block.fragment
    except PermanentError as error:
        whole.error = error.code
    return whole


def _with_beginning(reject: Reject, fragment: bytes) -> Reject:
    if not fragment:
        return reject
    record = fragment + reject.record
    return Reject(reject.line, reject.code, reject.column, reject.message, record, reject.reference)
