"""A record that cannot be imported, and why."""

from __future__ import annotations

from dataclasses import dataclass

from node_import.contracts.error_codes import ErrorCode


@dataclass(frozen=True, slots=True)
class Reject:
    """One line of the reject file and of the reasons beside it.

    `record` is what goes into the reject file, byte for byte. Of a record that is too long to be
    held in memory it is only the end: see `Block.fragment`.
    """

    line: int  # physical line, from 1, on which the record begins
    code: ErrorCode
    column: str | None  # normalised name of the column at fault, if there is one
    message: str  # a sentence for the person who has to correct the file
    record: bytes  # with its own line end
    reference: str | None  # trimmed, 1 to 255 characters; None if the record cannot be split
