"""Runs of records as columns: read, checked and typed by polars, many rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from node_import.parsing.header import Header
from node_import.parsing.plain_lines import behind_lines
from node_import.parsing.record_judge import node_type_of
from node_import.parsing.record_runs import Runs
from node_import.parsing.rules import ParseRules

LINE, REFERENCE, TYPE = "line", "reference_id", "type"
_SUSPECT = "suspect"


def row_schema(metadata_columns: int) -> dict[str, type[pl.DataType]]:
    """The columns of a block's rows."""
    values = {f"v{at}": pl.String for at in range(metadata_columns)}
    return {LINE: pl.Int64, REFERENCE: pl.String, TYPE: pl.String, **values}


class RecordTable:
    """Turns runs into rows, for the files of one header."""

    def __init__(self, header: Header, rules: ParseRules) -> None:
        self._rules = rules
        self._delimiter = header.delimiter
        self._has_type = header.type_column is not None
        names: list[str] = []
        for column in header.columns:
            if column == header.reference_column:
                names.append(REFERENCE)
            elif column == header.type_column:
                names.append(TYPE)
            else:
                names.append(f"v{len(names) - (REFERENCE in names) - (TYPE in names)}")
        self._read_schema = dict.fromkeys(names, pl.String)
        self._values = [name for name in names if name not in {REFERENCE, TYPE}]
        # Read as the header of what follows, so that polars neither takes a byte-order mark off
        # a row nor finds the first bytes of a compressed file in one ("x\x01").
        self._first_line = (header.delimiter.join(names) + "\n").encode()

    def rows_of(self, runs: Runs) -> tuple[pl.DataFrame, Iterator[tuple[int, bytes]]]:
        """The good rows of `runs`, and the line and bytes of each record that may be bad."""
        joined = b"".join((self._first_line, *runs.pieces))
        table = self._read(joined, runs)
        starts = _first_lines(table, sum(runs.line_counts))
        table = table.with_columns(runs.file_lines(starts).alias(LINE), *self._checked(table))
        suspects = table[_SUSPECT]
        rows = table if not suspects.any() else table.filter(~suspects)
        return rows.select(self._row_columns(runs.quoted)), _records(joined, runs, starts, table)

    def _read(self, joined: bytes, runs: Runs) -> pl.DataFrame:
        table = pl.read_csv(
            joined,
            schema=self._read_schema,
            separator=self._delimiter,
            quote_char='"' if runs.quoted else None,
        )
        if not runs.stand_in:
            return table
        stand_in = runs.stand_in.decode()
        found = table.select(pl.all().str.contains(stand_in, literal=True).any()).row(0)
        held = [name for name, is_found in zip(table.columns, found, strict=True) if is_found]
        return table.with_columns(pl.col(held).str.replace_all(stand_in, '"', literal=True))

    def _checked(self, table: pl.DataFrame) -> list[pl.Expr]:
        """The reference trimmed, the type told, and whether the row needs a closer look."""
        rules = self._rules
        reference = pl.col(REFERENCE).str.strip_chars()
        node_type = self._node_type(table)
        too_long = pl.any_horizontal(
            pl.col(name).str.len_bytes() > rules.max_value_bytes for name in self._read_schema
        )
        suspect = (
            reference.is_null()
            | (reference.str.len_bytes() == 0)
            | (reference.str.len_chars() > rules.max_reference_chars)
            | node_type.is_null()
            | too_long
        )
        return [
            reference.alias(REFERENCE),
            node_type.alias(TYPE),
            suspect.fill_null(value=False).alias(_SUSPECT),
        ]

    def _node_type(self, table: pl.DataFrame) -> pl.Expr:
        default = self._rules.default_type
        if not self._has_type:
            return pl.lit(str(default))
        known = {text: node_type_of(text or "", default) for text in table[TYPE].unique().to_list()}
        text = pl.col(TYPE)
        if len(known) == 1:
            return pl.lit(next(iter(known.values())), dtype=pl.String)
        return text.replace_strict(known, default=None, return_dtype=pl.String)

    def _row_columns(self, quoted: bool) -> list[pl.Expr]:
        values = pl.col(self._values)
        if quoted:  # polars reads "" as an empty string, and nothing at all as null
            values = pl.when(values != "").then(values)
        return [pl.col(LINE), pl.col(REFERENCE), pl.col(TYPE), values]


def _first_lines(table: pl.DataFrame, lines: int) -> pl.Series:
    """On which line each record begins, from 0, when they have `lines` physical lines in all."""
    if lines == table.height:
        return pl.int_range(table.height, dtype=pl.Int64, eager=True)
    line_ends = pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True))
    more_lines = table.select(line_ends.cast(pl.Int64)).to_series() + 1
    return more_lines.cum_sum() - more_lines


def _records(
    joined: bytes, runs: Runs, starts: pl.Series, table: pl.DataFrame
) -> Iterator[tuple[int, bytes]]:
    """The line in the file and the bytes of each suspect record; `joined` has one line before."""
    suspects = table[_SUSPECT].arg_true()
    following = starts.shift(-1, fill_value=sum(runs.line_counts)).gather(suspects)
    position, line = 0, -1
    for file_line, start, end in zip(
        table[LINE].gather(suspects).to_list(),
        starts.gather(suspects).to_list(),
        following.to_list(),
        strict=True,
    ):
        begin = behind_lines(joined, position, start - line)
        position, line = behind_lines(joined, begin, end - start), end
        record = joined[begin:position]
        yield file_line, record.replace(runs.stand_in, b'"') if runs.stand_in else record
