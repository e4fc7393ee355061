"""The importer's definitions and a job that does nothing: what Dagster itself costs."""

from __future__ import annotations

import dagster as dg

from node_import.definitions import defs as importer

EMPTY_JOB = "empty_job"


@dg.op
def nothing() -> None:
    """One step."""


@dg.job(name=EMPTY_JOB, executor_def=dg.in_process_executor)
def empty_job() -> None:
    """The same executor as the importer's, so that nothing else differs."""
    nothing()


defs = dg.Definitions.merge(importer, dg.Definitions(jobs=[empty_job]))
