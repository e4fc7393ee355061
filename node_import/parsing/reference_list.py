"""A request's list of references as blocks, as if it were a file with that one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from node_import.parsing.block import Block
from node_import.parsing.header import Header
from node_import.parsing.record_judge import RecordJudge
from node_import.parsing.record_table import row_schema
from node_import.parsing.reject import Reject
from node_import.parsing.rules import ParseRules

HEADER = Header(
    raw=b"reference_id\n",
    columns=("reference_id",),
    delimiter=",",
    reference_column="reference_id",
    type_column=None,
    metadata_keys=(),
)

_BLOCK_ROWS = 100_000
_QUOTED_IF_WITHIN = frozenset(',"\r\n')


def reference_blocks(references: Sequence[str], rules: ParseRules) -> Iterator[Block]:
    """The entries as rows and rejects; the `line` of an entry is its position, from 1."""
    judge = RecordJudge(HEADER, rules)
    for start in range(0, len(references), _BLOCK_ROWS):
        entries = references[start : start + _BLOCK_ROWS]
        judged = [
            judge.entry(line, entry, _record(entry))
            for line, entry in enumerate(entries, start + 1)
        ]
        rows = [row for row in judged if not isinstance(row, Reject)]
        rejects = tuple(reject for reject in judged if isinstance(reject, Reject))
        yield Block(pl.DataFrame(rows, schema=row_schema(0), orient="row"), rejects)


def _record(entry: str) -> bytes:
    """An entry as a line of the reject file; quoted where it would not be read back as it is."""
    if not entry or not _QUOTED_IF_WITHIN.isdisjoint(entry):
        entry = '"' + entry.replace('"', '""') + '"'
    return entry.encode() + b"\n"
