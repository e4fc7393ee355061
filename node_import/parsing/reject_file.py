"""The two objects of rejected records: the records themselves, and the reason of each.

The first is an import file: the original header, and below it the rejected records byte for
byte, in file order. The second has one JSON document a line: `line`, `code`, `column`, `message`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from node_import.parsing.block import Block
from node_import.parsing.reject import Reject
from node_import.sizes import MIB

REASONS_SUFFIX = ".reasons.jsonl"

# Rejects of small files never touch the disk; 1,000,000 rejects of 100 bytes are some 250 MB.
_HELD_BYTES = 4 * MIB

Open = Callable[[], AbstractContextManager[BinaryIO]]


class RejectSink(Protocol):
    """Takes what a file's blocks reject."""

    def begin(self, header: bytes) -> None:
        """The header record, with its line end; before anything else."""

    def add(self, block: Block) -> None:
        """The rejects of the next block."""

    def finish(self) -> str | None:
        """The file has been read; where the rejected records are, or None if there are none."""


class RejectFile:
    """Writes the two objects when the file has been read, and only if it has rejects.

    Until then they are spooled: in memory at first, then on disk. `open_records` and
    `open_reasons` begin a new object, whole or not at all; `url` is the name by which readers
    find the records. A context manager: leaving it drops the spools.
    """

    def __init__(self, open_records: Open, open_reasons: Open, url: str) -> None:
        self._open_records = open_records
        self._open_reasons = open_reasons
        self._url = url
        self._records = _spool()
        self._reasons = _spool()
        self._end_of_whole_records = 0
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._records.close()
        self._reasons.close()

    def begin(self, header: bytes) -> None:
        """See `RejectSink.begin`."""
        self._records.write(header)

    def add(self, block: Block) -> None:
        """See `RejectSink.add`."""
        for reject in block.rejects:
            self._records.write(reject.record)
            self._reasons.write(reason_line(reject))
        if block.rejects:
            self._count += len(block.rejects)
            self._end_of_whole_records = self._records.tell()
        self._records.write(block.fragment)

    def finish(self) -> str | None:
        """See `RejectSink.finish`; a record of which the file held only a part is left out."""
        if not self._count:
            return None
        self._records.truncate(self._end_of_whole_records)
        for spool, opened in (
            (self._records, self._open_records),
            (self._reasons, self._open_reasons),
        ):
            spool.seek(0)
            with opened() as target:
                shutil.copyfileobj(spool, target, MIB)
        return self._url


def reject_file_at(path: Path) -> RejectFile:
    """A reject file on this machine's disk, its reasons beside it."""
    reasons = path.with_name(path.name + REASONS_SUFFIX)
    return RejectFile(lambda: path.open("wb"), lambda: reasons.open("wb"), str(path))


def reason_line(reject: Reject) -> bytes:
    """The reason of a reject as a line of JSON, in UTF-8."""
    reason = {
        "line": reject.line,
        "code": str(reject.code),
        "column": reject.column,
        "message": reject.message,
    }
    return json.dumps(reason, ensure_ascii=False).encode() + b"\n"


def _spool() -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES)
