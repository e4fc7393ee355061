"""What a real Dagster instance says of its runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from node_import.orchestration.dagster_runs import PARTITION_TAG, DagsterRuns
from node_import.orchestration.job import JOB_NAME


@dg.job(name=JOB_NAME)
def nothing() -> None:
    """A job of the import's name."""


def test_runs_without_a_run_key_are_found_by_their_partition() -> None:
    """The newest of each counts, if it was made after the moment that is asked about."""
    before = datetime.now(UTC) - timedelta(minutes=1)
    with dg.DagsterInstance.ephemeral() as instance:
        for key in ("canceled", "again", "other"):
            run = instance.create_run_for_job(nothing, tags={PARTITION_TAG: key})
            instance.report_run_canceled(run)
        instance.create_run_for_job(nothing, tags={PARTITION_TAG: "again"})
        runs = DagsterRuns(instance, JOB_NAME)
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert runs.canceled_since({"canceled": before, "again": before}) == {"canceled"}
        assert runs.canceled_since({"canceled": later, "unknown": before}) == set()
