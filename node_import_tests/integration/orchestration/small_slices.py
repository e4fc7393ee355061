"""The importer's definitions, for a worker that cuts a short file into several slices."""

from __future__ import annotations

from node_import.staging import plan

plan.SLICE_TARGET_BYTES = 1_000
plan.BATCH_TARGET_BYTES = 100_000

from node_import.definitions import defs  # noqa: E402

__all__ = ["defs"]
