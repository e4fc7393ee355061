"""The job: one graph for every import, whatever executor runs it."""

from __future__ import annotations

import dagster as dg

from node_import.jobs import runs
from node_import.orchestration.ops import (
    close_job,
    load_batch,
    publish_status,
    resolve_file,
    stream_parse,
)
from node_import.orchestration.partitions import import_requests

JOB_NAME = runs.JOB_NAME


@dg.graph(
    name=JOB_NAME,
    description=(
        "Import the requests that one partition key names: pin the object, parse and stage it, "
        "load its batches, close the jobs, publish their status."
    ),
)
def import_graph() -> None:
    batches, parsed = stream_parse(resolve_file())
    publish_status(close_job(parsed, batches.map(load_batch).collect()))


def import_job(executor: dg.ExecutorDefinition) -> dg.JobDefinition:
    """The graph as a job, partitioned by request.

    A re-execution runs all steps again: *from failure* can leave mapped steps out
    (github.com/dagster-io/dagster/issues/30248), and the ledger skips what is loaded anyway.
    """
    return import_graph.to_job(
        name=JOB_NAME,
        partitions_def=import_requests,
        executor_def=executor,
        tags={"dagster/retry_strategy": "ALL_STEPS"},
    )
