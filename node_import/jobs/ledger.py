"""What the ledger says of a job: which slices are loaded, and what they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from node_import.database import Connection
from node_import.sql import statements


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Rows of all loaded slices of one job, object version and plan, and the slices' numbers."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    slices: frozenset[int] = frozenset()

    @property
    def processed(self) -> int:
        """Rows that are imported."""
        return self.inserted + self.updated + self.unchanged + self.duplicate


def ledger_totals(
    conn: Connection, job_id: UUID, object_version: str | None, plan_fingerprint: str | None
) -> LedgerTotals:
    """The totals of slices loaded from that version by that plan; nothing for one of them None."""
    parameters = {
        "job_id": job_id,
        "object_version": object_version,
        "plan_fingerprint": plan_fingerprint,
    }
    return _totals(conn, "ledger_totals", parameters)


def last_ledger_totals(conn: Connection, job_id: UUID) -> LedgerTotals:
    """The totals of what was loaded last, for a job whose run left no manifest."""
    return _totals(conn, "last_ledger_totals", {"job_id": job_id})


def _totals(conn: Connection, statement: str, parameters: Mapping[str, object]) -> LedgerTotals:
    row = conn.execute(statements("ledger.sql")[statement], parameters).fetchone()
    if row is None:
        return LedgerTotals()
    return LedgerTotals(
        row["inserted"],
        row["updated"],
        row["unchanged"],
        row["duplicate"],
        frozenset(row["slices"]),
    )
