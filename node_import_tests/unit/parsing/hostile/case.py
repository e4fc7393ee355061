"""What a hostile file is, and what the contract says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from node_import.contracts.error_codes import ErrorCode
from node_import.parsing.rules import ParseRules


@dataclass(frozen=True)
class HostileFile:
    """Bytes, and their answer: an error, or the good rows' references and the bad rows.

    `rows` are references in file order, `rejects` pairs of physical line and code. `columns` and
    `values` (the metadata of the first good row) are given where they are what is hostile. With
    an `error` after the header (a broken stream) the rows are those before it.
    """

    name: str
    data: bytes
    error: ErrorCode | None = None
    rows: tuple[str, ...] = ()
    rejects: tuple[tuple[int, ErrorCode], ...] = ()
    columns: tuple[str, ...] | None = None
    values: dict[str, str] | None = None
    rules: ParseRules = field(default_factory=ParseRules)
