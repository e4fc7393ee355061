"""The dry run: everything an import would say about a file, and nothing written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from node_import.errors import PermanentError
from node_import.parsing.file_reader import FileReader
from node_import.parsing.reference_tally import ReferenceTally
from node_import.parsing.reject_file import RejectSink
from node_import.parsing.rules import ParseRules
from node_import.staging.manifest import Failure


@dataclass(slots=True)
class CheckResult:
    """What a file holds; with `error` set, the other fields mean nothing."""

    accepted: int = 0
    duplicates: int = 0  # accepted rows that a later row with their reference replaces
    columns: tuple[str, ...] = ()
    reference_column: str = ""
    delimiter: str = ","
    rejects: Counter[str] = field(default_factory=Counter)
    rejects_url: str | None = None
    error: Failure | None = None

    @property
    def rejected(self) -> int:
        """Rows that an import would reject."""
        return self.rejects.total()

    @property
    def rows(self) -> int:
        """Rows of the file, good and bad."""
        return self.accepted + self.rejected

    def as_document(self) -> dict[str, object]:
        """The JSON document of `node-import check`, as the contract gives it."""
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "duplicates": self.duplicates,
            "columns": list(self.columns),
            "referenceColumn": self.reference_column,
            "delimiter": self.delimiter,
            "rejects": dict(self.rejects),
            "error": self.error and {"code": str(self.error.code), "message": self.error.message},
        }


def check_file(
    stream: BinaryIO,
    rules: ParseRules | None = None,
    *,
    compressed_bytes: int | None = None,
    rejects: RejectSink | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> CheckResult:
    """Parse and validate a file as an import would.

    `on_progress` gets the raw bytes read so far after every block. What is wrong with the file
    as a whole is in the result's `error`; errors of the stream and the sink pass through.
    """
    reader = FileReader(stream, rules, compressed_bytes=compressed_bytes)
    result = CheckResult()
    try:
        _check(reader, result, rejects, on_progress)
    except PermanentError as error:
        result.error = Failure(error.code, error.message)
    if rejects is not None:
        result.rejects_url = rejects.finish()
    return result


def _check(
    reader: FileReader,
    result: CheckResult,
    rejects: RejectSink | None,
    on_progress: Callable[[int], None],
) -> None:
    header = reader.header
    result.columns = header.columns
    result.reference_column = header.reference_column
    result.delimiter = header.delimiter
    if rejects is not None:
        rejects.begin(header.raw)
    with ReferenceTally() as references:
        for block in reader.blocks():
            references.add(block.rows)
            result.accepted += block.rows.height
            result.rejects.update(str(reject.code) for reject in block.rejects)
            if rejects is not None:
                rejects.add(block)
            on_progress(reader.bytes_read)
        result.duplicates = result.accepted - references.distinct()
