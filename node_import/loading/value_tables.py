"""The temporary tables for metadata values, and the statements over them.

A row of a thousand columns does not fit a page of 8 KiB: each value moved out of line leaves 18
bytes, each shorter than that stays. So values are spread over tables of at most 200 columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from node_import.sql import statements

MAX_COLUMNS = 200


@dataclass(frozen=True, slots=True)
class ValueTable:
    """One temporary table: `keys[j]` is the key of its column `v{j}`, staged as `columns[j]`."""

    number: int
    keys: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in pg_temp."""
        return f"staged_values_{self.number}"

    @property
    def key_parameters(self) -> dict[str, str]:
        """Keys are parameters of the statements, never part of their text."""
        return {f"key_{index}": key for index, key in enumerate(self.keys)}

    def statement(self, name: str) -> sql.Composed:
        """A statement of `loading.sql` for this table."""
        columns = [sql.Identifier(f"v{index}") for index in range(len(self.keys))]
        keys = [
            sql.SQL("{}::text").format(sql.Placeholder(f"key_{index}"))
            for index in range(len(columns))
        ]
        pairs = (
            sql.SQL("({}, v.{})").format(key, column)
            for key, column in zip(keys, columns, strict=True)
        )
        return sql.SQL(statements("loading.sql")[name]).format(
            table=sql.Identifier(self.name),
            columns=sql.SQL(", ").join(columns),
            keys=sql.SQL(", ").join(keys),
            pairs=sql.SQL(", ").join(pairs),
        )

    def definition(self) -> sql.Composed:
        """CREATE TEMPORARY TABLE."""
        columns = (sql.SQL("v{} text").format(index) for index in range(len(self.keys)))
        return sql.SQL(statements("loading.sql")["make_values_table"]).format(
            table=sql.Identifier(self.name), columns=sql.SQL(", ").join(columns)
        )


def value_tables(metadata_keys: Sequence[str]) -> tuple[ValueTable, ...]:
    """The tables for a job whose staged column `v{i}` has the key `metadata_keys[i]`.

    Keys in their order, so that the metadata of a node is inserted in the order of its index.
    """
    ordered = sorted((key, f"v{index}") for index, key in enumerate(metadata_keys))
    tables = []
    for number, start in enumerate(range(0, len(ordered), MAX_COLUMNS)):
        keys, columns = zip(*ordered[start : start + MAX_COLUMNS], strict=True)
        tables.append(ValueTable(number, keys, columns))
    return tuple(tables)
