"""One slice, one transaction.

    enter the ledger ─ there already? ─► take its counts
    COPY references, types and hashes; find which are stored, and which of those may differ
    lock those that may differ; COPY values of new and locked nodes alone
    write different and additional metadata; insert new nodes, then their metadata
    update changed nodes; fill the ledger; look at the claim, last of all

An unchanged node is read and not touched; its values are not even sent. Where all nodes of a slice
should be new - those of earlier slices were, or a comparison has found none - they are inserted
without a look, and looked for if one was there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from psycopg import errors
from psycopg.rows import tuple_row

from node_import.database import Connection
from node_import.database.connections import tenant_transaction
from node_import.errors import ClaimLost
from node_import.jobs.claiming import fence_slice
from node_import.jobs.record import Claim
from node_import.jobs.run_sessions import session_name
from node_import.loading.forecast import Forecast
from node_import.loading.results import SliceResult
from node_import.loading.session import LoadingSession
from node_import.loading.slice_rows import (
    NODE_COLUMNS,
    SliceRows,
    csv_blocks,
    rows_with_values,
)
from node_import.loading.time_limits import TimeLimits
from node_import.loading.value_tables import ValueTable
from node_import.sql import statements


class Forbidden(Exception):
    """The load was ended before the slice was; it rolls back."""


class NodesMoved(Exception):
    """Somebody else inserted or deleted nodes of the slice meanwhile; begin it again."""


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """What all slices of one job share."""

    claim: Claim
    group_id: UUID
    object_version: str
    plan_fingerprint: str
    tables: tuple[ValueTable, ...]

    def parameters(self, slice_no: int) -> dict[str, Any]:
        """Of the statements about the job and its ledger."""
        return {
            "job_id": self.claim.job_id,
            "domain_id": self.claim.domain_id,
            "group_id": self.group_id,
            "dagster_run_id": self.claim.dagster_run_id,
            "attempt": self.claim.attempt,
            "object_version": self.object_version,
            "plan_fingerprint": self.plan_fingerprint,
            "slice_no": slice_no,
            "has_metadata": bool(self.tables),
        }


def limit_time(conn: Connection, limits: TimeLimits, claim: Claim) -> None:
    """Of the statements of this transaction, which bears the name of the claim's run."""
    name = {"session_name": session_name(claim.dagster_run_id)}
    conn.execute(statements("loading.sql")["limit_time"], limits.parameters() | name)


class SliceTransaction:
    """Loads one slice over one session; a second try needs a second object."""

    def __init__(
        self,
        session: LoadingSession,
        target: LoadTarget,
        slice_no: int,
        limits: TimeLimits,
        is_forbidden: Callable[[], bool] = lambda: False,
        forecast: Forecast | None = None,
    ) -> None:
        self._session = session
        self._conn = session.conn
        self._target = target
        self._slice_no = slice_no
        self._limits = limits
        self._is_forbidden = is_forbidden
        self._forecast = forecast or Forecast()
        self._parameters = target.parameters(slice_no)

    def load(self, rows: int, prepare: Callable[[], SliceRows]) -> SliceResult:
        """Load the slice of `rows` staged rows; `prepare` reads them if they are needed.

        Raises:
            ClaimLost: and nothing was changed.
            Forbidden, NodesMoved, psycopg.Error: and nothing was changed.
        """
        self._session.make_tables(self._target.tables)
        with tenant_transaction(self._conn, self._target.claim.domain_id):
            limit_time(self._conn, self._limits, self._target.claim)
            if not self._enter_ledger():
                return self._loaded_before(rows)
            with self._session.at_rest():
                prepared = prepare()
            result = self._write(prepared)
            self._fill_ledger(result)
            if self._is_forbidden():
                raise Forbidden
            fence_slice(self._conn, self._target.claim)
        return result

    def _enter_ledger(self) -> bool:
        try:
            return self._execute("enter_slice") == 1
        except errors.ForeignKeyViolation:
            raise ClaimLost(f"job {self._target.claim.job_id} is gone") from None

    def _loaded_before(self, rows: int) -> SliceResult:
        row = self._row("entered_slice")
        return SliceResult(
            self._slice_no,
            rows,
            inserted=row["inserted_nodes"],
            updated=row["updated_nodes"],
            unchanged=row["unchanged_nodes"],
            duplicate=row["duplicate_nodes"],
            skipped=True,
        )

    def _write(self, prepared: SliceRows) -> SliceResult:
        if prepared.rows.is_empty():
            return self._result(prepared)
        total = prepared.rows.height
        is_expected_new = prepared.is_new or self._forecast.all_new()
        if is_expected_new and self._insert_as_new(prepared):
            return self._result(prepared, inserted=total)
        self._copy("copy_nodes", prepared.rows.select(NODE_COLUMNS))
        found = self._row("find_stored_nodes")
        stored, differing = found["stored"], found["differing"]
        self._forecast.learn(all_new=stored == 0)
        if differing:
            self._expect("lock_differing_nodes", differing)
        if differing or stored < total:
            self._copy_values(prepared.rows, has_stored=stored > 0)
        if differing:
            self._write_differing_metadata()
        if stored < total:
            self._insert_new(total - stored)
        updated = self._update_changed() if differing else 0
        return self._result(
            prepared, inserted=total - stored, updated=updated, unchanged=stored - updated
        )

    def _result(
        self, prepared: SliceRows, *, inserted: int = 0, updated: int = 0, unchanged: int = 0
    ) -> SliceResult:
        unchanged += prepared.unchanged
        return SliceResult(
            self._slice_no,
            inserted + updated + unchanged + prepared.duplicate,
            inserted=inserted,
            updated=updated,
            unchanged=unchanged,
            duplicate=prepared.duplicate,
        )

    def _insert_as_new(self, prepared: SliceRows) -> bool:
        """Insert without having looked; False, and nothing was done, if a node was there."""
        try:
            with self._conn.transaction():
                self._insert_nodes(prepared.rows)
        except errors.UniqueViolation:
            self._forecast.learn(all_new=False)
            return False
        for table in self._target.tables[1:]:
            self._copy_values_into(table, prepared.rows.with_columns(is_new=True))
        self._insert_metadata()
        return True

    def _insert_nodes(self, rows: pl.DataFrame) -> None:
        """All of them; what makes a node comes with its first values, in one row."""
        if not self._target.tables:
            self._copy("copy_nodes", rows.select(NODE_COLUMNS))
            self._execute("insert_new_nodes")
            return
        table = self._target.tables[0]
        whole = rows.select(
            "node_id", pl.lit(value=True), "reference_id", "type", "content_hash", *table.columns
        )
        self._execute("truncate_values_table", table)
        self._copy("copy_whole_nodes", whole, table)
        self._execute("insert_whole_nodes", table)

    def _copy_values(self, rows: pl.DataFrame, *, has_stored: bool) -> None:
        if not self._target.tables:
            return
        stored: list[tuple[int, str | None]] = []
        if has_stored:
            with self._conn.cursor(row_factory=tuple_row) as cursor:
                stored = cursor.execute(statements("loading.sql")["list_stored_nodes"]).fetchall()
        needed = rows_with_values(rows, stored)
        for table in self._target.tables:
            self._copy_values_into(table, needed)

    def _copy_values_into(self, table: ValueTable, rows: pl.DataFrame) -> None:
        self._copy("copy_values", rows.select("node_id", "is_new", *table.columns), table)

    def _write_differing_metadata(self) -> None:
        for table in self._target.tables:
            self._execute("write_differing_metadata", table)

    def _insert_new(self, expected: int) -> None:
        try:
            self._expect("insert_new_nodes", expected)
        except errors.UniqueViolation as error:
            raise NodesMoved from error
        self._insert_metadata()

    def _insert_metadata(self) -> None:
        for table in self._target.tables:
            self._execute("insert_new_metadata", table)

    def _update_changed(self) -> int:
        changed = self._execute("gather_changed_nodes")
        if changed:
            self._expect("update_changed_nodes", changed)
        return changed

    def _fill_ledger(self, result: SliceResult) -> None:
        counts = {
            "inserted": result.inserted,
            "updated": result.updated,
            "unchanged": result.unchanged,
            "duplicate": result.duplicate,
        }
        self._conn.execute(statements("loading.sql")["count_slice"], self._parameters | counts)

    def _copy(self, name: str, rows: pl.DataFrame, table: ValueTable | None = None) -> None:
        statement = table.statement(name) if table else statements("loading.sql")[name]
        with self._conn.cursor() as cursor, cursor.copy(statement) as copy:
            for block in csv_blocks(rows):
                copy.write(block)

    def _expect(self, name: str, rows: int) -> None:
        """Run a statement that must reach as many rows as an earlier one saw."""
        if self._execute(name) != rows:
            raise NodesMoved

    def _execute(self, name: str, table: ValueTable | None = None) -> int:
        if table is None:
            return self._conn.execute(statements("loading.sql")[name], self._parameters).rowcount
        parameters = {**self._parameters, **table.key_parameters}
        return self._conn.execute(table.statement(name), parameters).rowcount

    def _row(self, name: str) -> dict[str, Any]:
        row = self._conn.execute(statements("loading.sql")[name], self._parameters).fetchone()
        if row is None:
            raise NodesMoved  # the ledger row was removed between two statements
        return row
