"""Jobs that are staged and loaded, and what they leave in the tables."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl

from node_import.database import Database
from node_import.jobs.record import Claim
from node_import.loading import BatchResult, Loader, SliceResult, SliceRetry, load_slices
from node_import.staging.area import LocalStagingArea
from node_import.staging.manifest import Manifest
from node_import.staging.plan import Plan
from node_import.staging.segments import FLUSH_BYTES, SegmentWriter
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, make_tenant, put, rows

ONE_SLICE = Plan(slices=1, batches=1)
# reference, type, values in the order of the keys
Row = tuple[str, str, *tuple[str | None, ...]]


@dataclass(frozen=True, slots=True)
class Staged:
    """One job that is RUNNING and whose rows are staged."""

    claim: Claim
    manifest: Manifest
    area: LocalStagingArea
    group_id: UUID


@dataclass
class Imports:
    """Stages and loads rows into one database."""

    database: TestDatabase
    importer: Database
    folder: Path
    tenants: dict[str, Tenant] = field(default_factory=dict)

    def tenant(self, name: str = "acme") -> Tenant:
        """The tenant of that name, with the groups g and h."""
        if name not in self.tenants:
            self.tenants[name] = make_tenant(self.importer, self.database, name)
        return self.tenants[name]

    def stage(
        self,
        rows: Sequence[Row],
        keys: Sequence[str] = (),
        *,
        tenant: str = "acme",
        group: str = "g",
        plan: Plan = ONE_SLICE,
        flush_bytes: int = FLUSH_BYTES,
    ) -> Staged:
        """Rows in file order, on their way into a group."""
        owner = self.tenant(tenant)
        # Reference lists of one group may run at once, files may not; loading does not care.
        job_id = owner.references(group=group)
        put(self.database, job_id, status="RUNNING", dagster_run_id="run", attempt=1)
        area = LocalStagingArea(self.folder / str(job_id))
        writer = SegmentWriter(area, plan, keys, flush_bytes)
        for line, row in enumerate(rows, start=2):
            writer.add(_frame(line, row, len(keys)))
        manifest = Manifest(
            job_id=str(job_id),
            domain_id=str(owner.domain_id),
            object_version="version",
            plan=plan,
            segments=writer.close(),
            metadata_keys=tuple(keys),
            total_rows=len(rows),
            accepted_rows=len(rows),
        )
        claim = Claim(job_id, owner.domain_id, "run", 1)
        return Staged(claim, manifest, area, owner.groups[group])

    def load(
        self,
        staged: Staged,
        *,
        slices: Iterable[int] | None = None,
        connections: int = 2,
        stop: threading.Event | None = None,
        on_slice: Callable[[SliceResult], None] = lambda _: None,
        on_retry: Callable[[SliceRetry], None] = lambda _: None,
        patience: Callable[[], float] = lambda: 0.0,
        importer: Database | None = None,
    ) -> BatchResult:
        """Load all slices, or some."""
        return load_slices(
            importer or self.importer,
            staged.claim,
            staged.manifest,
            staged.area,
            staged.group_id,
            range(staged.manifest.plan.slices) if slices is None else slices,
            connections=connections,
            stop=stop or threading.Event(),
            on_slice=on_slice,
            on_retry=on_retry,
            patience=patience,
        )

    def load_with(
        self, loader: Loader, staged: Staged, slices: Iterable[int] | None = None
    ) -> BatchResult:
        """Load all slices, or some, over a loader that lives on."""
        return loader.load(
            staged.claim,
            staged.manifest,
            staged.area,
            staged.group_id,
            range(staged.manifest.plan.slices) if slices is None else slices,
            stop=threading.Event(),
        )

    def run(self, rows: Sequence[Row], keys: Sequence[str] = (), **options: Any) -> BatchResult:
        """Stage and load."""
        return self.load(self.stage(rows, keys, **options))

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What is in the database, seen by the superuser."""
        return rows(self.database, statement, *parameters)

    def change(self, statement: str, *parameters: object) -> None:
        """Somebody else, not the importer, writes something."""
        with self.database.connect() as conn:
            conn.execute(statement, parameters)

    def nodes(
        self, tenant: str = "acme", group: str = "g"
    ) -> dict[str, tuple[str, dict[str, str]]]:
        """Type and metadata of each node of a group, by reference."""
        found = self.query(
            "SELECT n.reference_id, n.type, coalesce("
            "   json_object_agg(m.metadata_key, m.metadata_value)"
            "   FILTER (WHERE m.metadata_key IS NOT NULL), '{}')"
            " FROM nodes n LEFT JOIN node_metadata m"
            "   ON m.node_id = n.id AND m.domain_id = n.domain_id"
            " WHERE n.group_id = %s GROUP BY n.id, n.reference_id, n.type",
            self.tenant(tenant).groups[group],
        )
        return {reference: (node_type, metadata) for reference, node_type, metadata in found}

    def ledger(self, staged: Staged) -> Mapping[int, tuple[int, int, int, int]]:
        """Inserted, updated, unchanged and duplicate of each slice that is in the ledger."""
        found = self.query(
            "SELECT slice_no, inserted_nodes, updated_nodes, unchanged_nodes, duplicate_nodes"
            " FROM import_ledger WHERE job_id = %s",
            staged.claim.job_id,
        )
        return {slice_no: tuple(counts) for slice_no, *counts in found}  # type: ignore[misc]


def counts(result: BatchResult) -> tuple[int, int, int, int]:
    """Inserted, updated, unchanged, duplicate."""
    return result.inserted, result.updated, result.unchanged, result.duplicate


def _frame(line: int, row: Row, width: int) -> pl.DataFrame:
    reference, node_type, *values = row
    assert len(values) == width
    record = {"line": line, "reference_id": reference, "type": node_type}
    record |= {f"v{index}": value for index, value in enumerate(values)}
    schema = {"line": pl.Int64, "reference_id": pl.String, "type": pl.String}
    return pl.DataFrame([record], schema=schema | {f"v{i}": pl.String for i in range(width)})
